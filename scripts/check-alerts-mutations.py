#!/usr/bin/env python3
"""Breaks each alert rule in many small ways (rule_mutants.py) and demands that the unit tests notice every time.

A test that cannot fail is a defect. promtool has to fail on each mutant; one that passes is printed, and the exit code
is 1. Recording rules are broken too: what notices are the tests of the alerts that read them, at any remove.

    scripts/check-alerts-mutations.py [--only REGEX] [--jobs N] [--list] [--summary FILE]

--only: a regular expression that the rule's name has to match. --summary: writes a table in Markdown.

A case of the tests is put to all mutants of a rule that no case before it has noticed, several to a process, and with
no rules but those that its alert needs: most mutants are seen by the first case or the second. Needs PyYAML and
promtool; the whole takes some minutes of two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from alert_tests import AlertTests, Document, below, load, pruned, read_rules, rules_of
from rule_mutants import KINDS, Mutant, mutants

ROOT = Path(__file__).resolve().parents[1]

# Mutants that cannot change what the rule means, by the reason: rule, description of the mutation.
_REASONS = {
    "the selector leaves one series, whose sum and maximum are the same": [
        ("instance:sandbox_manager_health_checks_timed_out:ratio_rate10m", "sum -> max (piece 1)"),
        ("SandboxManagerHealthCheckTimeouts", "sum -> max (piece 5)"),
        ("SandboxManagerScrapeFailing", "sum -> max (piece 19)"),
        ("instance:sandbox_manager_acquires_good:rate5m", "sum -> max (piece 1)"),
        ("instance:sandbox_manager_acquires_quick:rate5m", "sum -> max (piece 1)"),
        ("instance:sandbox_manager_acquires_timed:rate5m", "sum -> max (piece 1)"),
    ],
    "the other side of `and` has the same matcher": [
        ("SandboxManagerScrapeFailing", 'without job=~".*sandbox-manager.*" (selector 1)'),
        ("SandboxManagerScrapeFailing", 'without job=~".*sandbox-manager.*" (selector 2)'),
    ],
    "bytes are whole numbers": [("SandboxManagerHeapBeyondBudget", "0 -> 0.5 (piece 5)")],
    # A share is 1 - x, which floating point computes as a multiple of 2^-53 wherever x is half or more.
    "a share is a multiple of 2^-53, and the number is not": [
        (f"SandboxManagerAcquire{alert}", f"> -> >= (piece {piece})")
        for alert in ("ErrorBudgetFastBurn", "ErrorBudgetSlowBurn", "LatencyBudgetBurn")
        for piece in (2, 6, 10, 14)
    ],
    "the metric has no other scope": [("instance:sandbox_manager_slots:ratio", 'without scope="total" (selector 1)')],
    "the value of build_info is 1": [
        ("job_version:sandbox_manager_malloc_in_use_bytes:per_entry", "* -> / (piece 7)"),
    ],
    "`unless` asks whether there is a value, not which": [
        ("SandboxManagerMemoryRegressionAfterRelease", "max_over_time -> min_over_time (piece 23)"),
    ],
}
EQUIVALENT = {key: reason for reason, keys in _REASONS.items() for key in keys}
BATCH = 12


@dataclass(frozen=True)
class Verdict:
    """What became of the mutants of one rule."""

    rule: str
    mutants: list[Mutant]
    missed: list[Mutant]
    excused: list[Mutant]
    seconds: float


def cases(tests: list[AlertTests]) -> list[AlertTests]:
    """Each case by itself; those that ask the most of their alert first, for they notice the most."""

    def asked(one: AlertTests) -> int:
        case = one.document["tests"][0]
        return len(case.get("promql_expr_test", [])) + len(case.get("alert_rule_test", []))

    alone = [
        AlertTests(one.file, one.alert, one.document | {"tests": [case]})
        for one in tests
        for case in one.document["tests"]
    ]
    return sorted(alone, key=asked, reverse=True)


def reads(rules: Document, alert: str, rule: str) -> bool:
    """Whether the rule is the alert, or one that it reads, at any remove."""
    return rule in below(alert, rules_of(rules))


def passing(rules: Document, case: AlertTests, tried: list[Mutant | None]) -> list[Mutant | None]:
    """Those mutants (None: the rules as they are) with which the case passes. One that does not parse fails."""
    needed = pruned(rules, below(case.alert, rules_of(rules)))
    with tempfile.TemporaryDirectory(prefix="rule-mutants-") as folder:
        files = []
        for number, mutant in enumerate(tried):
            # JSON is YAML, and quick to write. promtool finds rule files beside the test file.
            document = mutant.applied(needed) if mutant else needed
            Path(folder, f"{number}.rules.yml").write_text(json.dumps(document), encoding="utf-8")
            file = Path(folder, f"{number}.yml")
            file.write_text(json.dumps(case.document | {"rule_files": [f"{number}.rules.yml"]}), encoding="utf-8")
            files.append(str(file))
        command = ["promtool", "test", "rules", *files]
        result = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
    # Failures go to stderr; on stdout each file is followed by SUCCESS, or by the next one.
    outcomes = re.findall(r"Unit Testing: +(\S+)((?:\n(?!Unit Testing).*)*)", result.stdout)
    if [file for file, _ in outcomes] != files:
        raise RuntimeError(f"promtool did not try every file: {result.stdout}{result.stderr}")
    return [mutant for mutant, (_, said) in zip(tried, outcomes, strict=True) if "SUCCESS" in said]


def judge(rules: Document, tests: list[AlertTests], rule: str, made: list[Mutant]) -> Verdict:
    """Puts the mutants of one rule to every case of the alerts that read it, until each is noticed."""
    began = time.monotonic()
    living = list(made)
    for case in cases([one for one in tests if reads(rules, one.alert, rule)]):
        if not living:
            break
        chunks = [living[start : start + BATCH] for start in range(0, len(living), BATCH)]
        living = [mutant for chunk in chunks for mutant in passing(rules, case, list(chunk)) if mutant]
    excused = [mutant for mutant in living if (mutant.rule, mutant.change) in EQUIVALENT]
    missed = [mutant for mutant in living if (mutant.rule, mutant.change) not in EQUIVALENT]
    return Verdict(rule, made, missed, excused, time.monotonic() - began)


def summary(verdicts: list[Verdict]) -> str:
    """Two tables in Markdown: by what was broken, and by rule."""
    kinds = {kind: Counter[str]() for kind in KINDS}
    for verdict in verdicts:
        for name in ("mutants", "missed", "excused"):
            for mutant in getattr(verdict, name):
                kinds[mutant.kind][name] += 1

    def row(title: str, made: int, excused: int, missed: int) -> str:
        return f"| {title} | {made} | {made - excused - missed} | {excused} | {missed} |"

    header = " | mutants | caught | mean the same | missed |\n|---|---|---|---|---|"
    lines = [f"| what is broken{header}"]
    lines += [row(kind, found["mutants"], found["excused"], found["missed"]) for kind, found in kinds.items()]
    lines += ["", f"| rule{header}"]
    lines += [row(f"`{v.rule}`", len(v.mutants), len(v.excused), len(v.missed)) for v in verdicts]
    made, missed = sum(len(v.mutants) for v in verdicts), sum(len(v.missed) for v in verdicts)
    lines.append(row("all", made, sum(len(v.excused) for v in verdicts), missed))
    return "\n".join(lines) + "\n"


def main() -> int:
    """Tries every mutant; 1 if one is missed, or if an excuse is stale."""
    parser = argparse.ArgumentParser(description="Breaks each alert rule and demands that its unit tests notice.")
    parser.add_argument("--alerts", type=Path, default=ROOT / "alerts", help="the folder with *.rules.yml and tests/")
    parser.add_argument("--only", default="", help="a regular expression that the rule's name has to match")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    parser.add_argument("--summary", type=Path, help="where to write a table in Markdown")
    options = parser.parse_args()
    tests, rules = load(options.alerts / "tests"), read_rules(options.alerts)
    by_rule: dict[str, list[Mutant]] = {}
    for mutant in mutants(rules):
        if re.search(options.only, mutant.rule):
            by_rule.setdefault(mutant.rule, []).append(mutant)
    found = [mutant for made in by_rule.values() for mutant in made]
    if options.list:
        print("\n".join(f"{mutant.rule}: {mutant.change}" for mutant in found))
        return 0
    if not found:
        print("check-alerts-mutations: no rule matches", file=sys.stderr)
        return 1
    began = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        # The unbroken rules first: if these fail, every mutant would look noticed.
        used = [one for one in tests if any(reads(rules, one.alert, rule) for rule in by_rule)]
        if not all(pool.map(lambda one: passing(rules, one, [None]), used)):
            print("check-alerts-mutations: the unit tests fail on the rules as they are", file=sys.stderr)
            return 1
        verdicts = []
        for verdict in pool.map(lambda item: judge(rules, tests, *item), by_rule.items()):
            verdicts.append(verdict)
            print(f"{verdict.rule}: {len(verdict.mutants)} mutants, {verdict.seconds:.0f} s", flush=True)
            for mutant in verdict.missed:
                print(f"MISSED {mutant.rule}: {mutant.change}", flush=True)
    excused = {(mutant.rule, mutant.change) for verdict in verdicts for mutant in verdict.excused}
    missed = [mutant for verdict in verdicts for mutant in verdict.missed]
    stale = sorted(EQUIVALENT.keys() - excused) if not options.only else []
    for rule, change in stale:
        print(f"STALE EXCEPTION {rule}: {change}")
    if options.summary:
        options.summary.write_text(summary(verdicts), encoding="utf-8")
    caught = len(found) - len(excused) - len(missed)
    when = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    print(
        f"{len(found)} mutants of {len(by_rule)} rules: {caught} caught, {len(excused)} mean the same, "
        f"{len(missed)} missed; {time.monotonic() - began:.0f} s, {when}"
    )
    return 1 if missed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
