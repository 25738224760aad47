#!/usr/bin/env python3
"""Runs the unit tests of the alert rules in alerts/tests, several at a time, each with only the rules that it needs.

    scripts/alert_tests.py [--alerts DIR] [--only REGEX] [--jobs N]

promtool evaluates every rule of a file at every step, though a case is about one alert; and some cases last days. So
the cases of one alert in one file are put to promtool with that alert and the recording rules below it, as they stand in
the rule file: a fifth of the time, and the outcome of `promtool test rules alerts/tests/*.yml`. Needs PyYAML.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from check_alert_rules import metric_names

ROOT = Path(__file__).resolve().parents[1]

Document = dict[str, Any]


@dataclass(frozen=True)
class AlertTests:
    """All cases of one alert in one file."""

    file: str
    alert: str
    document: Document


def rules_of(document: Document) -> list[dict[str, Any]]:
    """All rules of a rule file, in their order."""
    return [rule for group in document["groups"] for rule in group["rules"]]


def below(name: str, rules: list[dict[str, Any]]) -> set[str]:
    """The rule itself and every recording rule that it reads, at any remove."""
    reads = {rule.get("alert") or rule["record"]: metric_names(rule["expr"]) for rule in rules}
    recorded = {rule["record"] for rule in rules if "record" in rule}
    found, open_names = set(), {name}
    while open_names:
        found |= open_names
        open_names = {read for one in open_names for read in reads.get(one, ()) if read in recorded} - found
    return found


def pruned(document: Document, names: set[str]) -> Document:
    """The rule file with the rules of these names alone; groups keep their order, empty ones go."""
    groups = [
        group | {"rules": [rule for rule in group["rules"] if (rule.get("alert") or rule["record"]) in names]}
        for group in document["groups"]
    ]
    return document | {"groups": [group for group in groups if group["rules"]]}


def load(folder: Path) -> list[AlertTests]:
    """Every case of a folder, by file and alert; a case's name begins with that of its alert."""
    found = []
    for path in sorted(folder.glob("*.yml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        by_alert: dict[str, list[dict[str, Any]]] = {}
        for case in document["tests"]:
            by_alert.setdefault(case["name"].partition(":")[0], []).append(case)
        found += [AlertTests(path.name, alert, document | {"tests": cases}) for alert, cases in by_alert.items()]
    return found


def dump(document: object) -> str:
    """As YAML that promtool reads."""
    return yaml.safe_dump(document, sort_keys=False, width=10_000)


def run(rules: Document, tests: AlertTests) -> str | None:
    """What promtool says about the cases, with the rules that they need; None if they pass."""
    with tempfile.TemporaryDirectory(prefix="alert-tests-") as folder:
        needed = pruned(rules, below(tests.alert, rules_of(rules)))
        Path(folder, "rules.yml").write_text(dump(needed), encoding="utf-8")
        path = Path(folder, tests.file)
        path.write_text(dump(tests.document | {"rule_files": ["rules.yml"]}), encoding="utf-8")
        result = subprocess.run(
            ["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=300, check=False
        )
        return None if result.returncode == 0 else result.stdout + result.stderr


def read_rules(folder: Path) -> Document:
    """The groups of all rule files of a folder as one document."""
    files = sorted(folder.glob("*.rules.yml"))
    return {"groups": [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]}


def main() -> int:
    """Runs all tests; 1 if one fails."""
    parser = argparse.ArgumentParser(description="Runs the unit tests of the alert rules.")
    parser.add_argument("--alerts", type=Path, default=ROOT / "alerts", help="the folder with *.rules.yml and tests/")
    parser.add_argument("--only", default="", help="a regular expression that the alert's name has to match")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    rules = read_rules(options.alerts)
    tests = [one for one in load(options.alerts / "tests") if re.search(options.only, one.alert)]
    if not tests:
        print("alert_tests: no test matches", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(options.jobs) as pool:
        failures = [found for found in pool.map(lambda one: run(rules, one), tests) if found is not None]
    for failure in failures:
        print(failure)
    cases = sum(len(one.document["tests"]) for one in tests)
    print(f"{cases} cases of {len({one.alert for one in tests})} alerts, {len(failures)} of {len(tests)} runs failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
