#!/usr/bin/env python3
"""Breaks each alert rule in many small ways and demands that the unit tests notice every time.

A test that cannot fail is a defect. For every rule this changes, one at a time: each number (a little up, a little
down, and by half), each comparison, each set operator, each arithmetic sign, each range and offset (halved, doubled),
each aggregation over time, each alternative of a label matcher, `for` and `keep_firing_for` (halved, doubled,
removed), and the severity. promtool then has to fail on the changed file; a mutant that passes is printed, and the exit
code is 1. Recording rules are broken too.

    scripts/check-alerts-mutations.py [--only REGEX] [--jobs N] [--list]

Needs PyYAML and promtool; takes some three minutes on two cores.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from scale_rules import DURATION, milliseconds

ROOT = Path(__file__).resolve().parents[1]

# Mutants that cannot change what the rule means, each with the reason. Key: rule, description of the mutation.
EQUIVALENT: dict[tuple[str, str], str] = {
    (rule, f"sum -> max (piece {piece})"): "the selector leaves one series, whose sum and maximum are the same"
    for rule, piece in (
        ("instance:sandbox_manager_health_checks_timed_out:ratio_rate10m", 1),
        ("SandboxManagerHealthCheckTimeouts", 5),
        ("SandboxManagerScrapeFailing", 19),
    )
}


@dataclass(frozen=True)
class Mutant:
    """One rule file that differs from the shipped one in a single place."""

    file: str
    rule: str
    change: str
    text: str


# Strings, comments and names are passed over as a whole, so that a digit inside of them is no number.
_PIECES = re.compile(
    r"(?P<string>\"(?:\\.|[^\"\\])*\")"
    r"|(?P<comment>\#[^\n]*)"
    rf"|(?P<span>(?<=\[){DURATION}(?=\])|(?<=offset\ ){DURATION})"
    r"|(?P<name>[A-Za-z_:][\w:]*)"
    r"|(?P<compare>==|!=|>=|<=|(?<![=~!])>|(?<![=~!])<)"
    r"|(?P<number>\d+(?:\.\d+)?)"
    r"|(?P<sign>[-+*/](?=\s))"
)
_SWAPS = {
    "compare": {">": [">=", "<"], "<": ["<=", ">"], "==": ["!="], "!=": ["=="], ">=": [">"], "<=": ["<"]},
    "sign": {"+": ["-"], "-": ["+"], "*": ["/"], "/": ["*"]},
    "name": {
        "and": ["or", "unless"],
        "or": ["and"],
        "unless": ["and"],
        "min_over_time": ["max_over_time"],
        "max_over_time": ["min_over_time"],
        "avg_over_time": ["min_over_time", "max_over_time"],
        "sum": ["max"],
    },
}


def expression_mutations(expression: str) -> Iterator[tuple[str, str]]:
    """Pairs of what was changed and the changed expression."""
    for number, match in enumerate(_PIECES.finditer(expression), start=1):
        kind, old = match.lastgroup, match.group()
        for new in _replacements(kind or "", old):
            yield f"{old} -> {new} (piece {number})", expression[: match.start()] + new + expression[match.end() :]


def _replacements(kind: str, old: str) -> list[str]:
    if kind == "number":
        value = float(old)
        near = [value + 1, value - 1] if value == int(value) else [value * 1.1, value * 0.9]
        return [f"{new:g}" for new in dict.fromkeys([*near, value * 0.5 or 0.5])]
    if kind == "span":
        return [f"{milliseconds(old) // 2}ms", f"{milliseconds(old) * 2}ms"]
    if kind == "string":
        alternatives = old[1:-1].split("|")
        dropped = ["|".join(alternatives[:i] + alternatives[i + 1 :]) for i in range(len(alternatives))]
        if len(alternatives) > 1:
            return [f'"{text}"' for text in dropped]
        return [f'"{old[1:-1]}x"'] + ([f'"{old[1:-1].replace(".*", "")}"'] if ".*" in old else [])
    return _SWAPS.get(kind, {}).get(old, [])


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of one rule file."""
    text = path.read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    for group, rule in ((g, r) for g in document["groups"] for r in g["rules"]):
        name = rule.get("alert") or rule["record"]

        def changed(key: str, value: object, rule: dict = rule) -> str:
            kept = dict(rule)
            if value is None:
                rule.pop(key)
            else:
                rule[key] = value
            broken = _dump(document)
            rule.clear()
            rule.update(kept)
            return broken

        for change, expression in expression_mutations(rule["expr"]):
            yield Mutant(path.name, name, change, changed("expr", expression))
        for key in ("for", "keep_firing_for"):
            if key in rule:
                half, double = milliseconds(rule[key]) // 2, milliseconds(rule[key]) * 2
                for value in (f"{half}ms", f"{double}ms", None):
                    yield Mutant(path.name, name, f"{key}: {rule[key]} -> {value}", changed(key, value))
        if "alert" in rule:
            labels = rule["labels"] | {"severity": "none"}
            yield Mutant(path.name, name, "severity -> none", changed("labels", labels))


def readers(name: str, document: dict) -> set[str]:
    """The alerts whose outcome a rule can change: itself, or those that read what it records."""
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    return {rule["alert"] for rule in rules if "alert" in rule and (name == rule["alert"] or name in rule["expr"])}


def survives(mutant: Mutant, tests: list[tuple[str, dict]]) -> bool:
    """Whether the unit tests are content with the mutant. A mutant that does not parse is dead as well."""
    document = yaml.safe_load(mutant.text)
    affected = readers(mutant.rule, document)
    for group in document["groups"]:
        # Only what the affected alerts need is evaluated: a tenth of the time.
        group["rules"] = [rule for rule in group["rules"] if rule.get("alert", mutant.rule) in affected | {mutant.rule}]
    with tempfile.TemporaryDirectory(prefix="alert-mutant-") as folder:
        Path(folder, mutant.file).write_text(_dump(document), encoding="utf-8")
        for name, test in tests:
            cases = [case for case in test["tests"] if case["name"].partition(":")[0] in affected]
            if not cases:
                continue
            path = Path(folder, name)
            path.write_text(_dump(test | {"tests": cases, "rule_files": [mutant.file]}), encoding="utf-8")
            command = ["promtool", "test", "rules", str(path)]
            if subprocess.run(command, capture_output=True, timeout=300).returncode != 0:
                return False
    return True


def _dump(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=10_000)


def main() -> int:
    parser = argparse.ArgumentParser(description="Breaks each alert rule and demands that its unit tests notice.")
    parser.add_argument("--alerts", type=Path, default=ROOT / "alerts", help="the folder with *.rules.yml and tests/")
    parser.add_argument("--only", default="", help="a regular expression that the rule's name has to match")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    options = parser.parse_args()
    tests = [(path.name, yaml.safe_load(path.read_text())) for path in sorted((options.alerts / "tests").glob("*.yml"))]
    files = sorted(options.alerts.glob("*.rules.yml"))
    found = [mutant for path in files for mutant in mutants(path) if re.search(options.only, mutant.rule)]
    if options.list:
        print("\n".join(f"{mutant.rule}: {mutant.change}" for mutant in found))
        return 0
    if not found:
        print("check-alerts-mutations: no rule matches", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(options.jobs) as pool:
        # The unbroken rules first: if these fail, every mutant would look noticed.
        whole = [Mutant(m.file, m.rule, "unbroken", (options.alerts / m.file).read_text()) for m in found]
        sound = list(pool.map(lambda m: survives(m, tests), {m.rule: m for m in whole}.values()))
        if not all(sound):
            print("check-alerts-mutations: the unit tests fail on the rules as they are", file=sys.stderr)
            return 1
        verdicts = list(pool.map(lambda mutant: survives(mutant, tests), found))
    missed, excused = [], set()
    for mutant, lives in zip(found, verdicts, strict=True):
        key = (mutant.rule, mutant.change)
        if lives and key in EQUIVALENT:
            excused.add(key)
        elif lives:
            missed.append(f"MISSED {mutant.rule}: {mutant.change}")
    if not options.only:
        missed += [f"STALE EXCEPTION {rule}: {change}" for rule, change in EQUIVALENT.keys() - excused]
    print("\n".join([*missed, f"{len(found)} mutants: {len(excused)} mean the same, {len(missed)} missed"]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
