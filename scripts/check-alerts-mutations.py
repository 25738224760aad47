#!/usr/bin/env python3
"""Breaks each alert rule in many small ways and demands that the unit tests notice every time.

A test that cannot fail is a defect. For every rule this changes, one at a time: each number (a little up, a little
down, and by half), each comparison, each set operator, each arithmetic sign, each range and offset (halved, doubled),
each aggregation, each alternative of a label matcher, `for` and `keep_firing_for` (halved, doubled, removed), and the
severity; and it drops each label matcher and each side of a set operator or comparison. promtool then has to fail on the
changed file; a mutant that passes is printed, and the exit code is 1. Recording rules are broken too: what notices are
the tests of the alerts that read them, at any remove.

    scripts/check-alerts-mutations.py [--only REGEX] [--jobs N] [--list]

Needs PyYAML and promtool; takes some twenty minutes on two cores, so `--only` is what one wants while writing a rule.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from alert_tests import AlertTests, below, dump, load, rules_of, run
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
} | {("SandboxManagerHeapBeyondBudget", "0 -> 0.5 (piece 5)"): "bytes are whole numbers"}
# Shares of rates, which floating point keeps from ever being just the number.
EQUIVALENT |= {
    (rule, f"> -> >= (piece {piece})"): "a computed share is not exactly the number"
    for rule, pieces in (("SandboxManagerIdleSpendHigh", (2,)),)
    for piece in pieces
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
        "avg": ["max", "min"],
        "max": ["min"],
        "min": ["max"],
        "sum_over_time": ["max_over_time"],
    },
}


def expression_mutations(expression: str) -> Iterator[tuple[str, str]]:
    """Pairs of what was changed and the changed expression."""
    for number, match in enumerate(_PIECES.finditer(expression), start=1):
        kind, old = match.lastgroup, match.group()
        for new in _replacements(kind or "", old):
            yield f"{old} -> {new} (piece {number})", expression[: match.start()] + new + expression[match.end() :]


def dropped_matchers(expression: str) -> Iterator[tuple[str, str]]:
    """Pairs as above: each label matcher of each selector is left out."""
    for number, selector in enumerate(re.finditer(r"\{([^{}]*)\}", expression), start=1):
        matchers = re.findall(r"\w+\s*(?:=~|!~|!=|=)\s*\"(?:\\.|[^\"\\])*\"", selector[1])
        for index, matcher in enumerate(matchers):
            kept = "{" + ", ".join(matchers[:index] + matchers[index + 1 :]) + "}"
            text = expression[: selector.start()] + (kept if kept != "{}" else "") + expression[selector.end() :]
            yield f"without {matcher} (selector {number})", text


_SPLIT = re.compile(
    r"\"(?:\\.|[^\"\\])*\"|(?P<open>[({\[])|(?P<close>[)}\]])"
    r"|(?P<set>\b(?:and|or|unless)\b)|(?P<compare>==|!=|>=|<=|(?<![=~!])>|(?<![=~!])<)"
)
_MODIFIERS = re.compile(r"\s*(?:\b(?:on|ignoring|group_left|group_right)\s*\([^)]*\)|\bbool\b)")


def dropped_terms(expression: str) -> Iterator[tuple[str, str]]:
    """Pairs as above: each set operator and each comparison is left out, with what stands on one side of it.

    A term reaches to the next set operator or parenthesis (that of a comparison to the next one as well).
    """
    text = re.sub(r"#[^\n]*", "", expression)
    tokens = [(m.lastgroup, m.start(), m.end()) for m in _SPLIT.finditer(text) if m.lastgroup]
    for index, (kind, start, end) in enumerate(tokens):
        if kind in ("open", "close"):
            continue
        after = end
        while (modifier := _MODIFIERS.match(text, after)) is not None:
            after = modifier.end()
        ends = {"set"} if kind == "set" else {"set", "compare"}
        left = _reach(tokens, range(index - 1, -1, -1), "open", "close", ends, 0, last=True)
        right = _reach(tokens, range(index + 1, len(tokens)), "close", "open", ends, len(text), last=False)
        operator = f"{text[start:end]} (at {start})"
        if kind == "set":
            yield f"without what stands before {operator}", text[:left] + " " + text[after:]
        yield f"without what stands after {operator}", text[:start] + " " + text[right:]


def _reach(
    tokens: list[tuple[str | None, int, int]],
    order: range,
    leaves: str,
    enters: str,
    ends: set[str],
    default: int,
    last: bool,
) -> int:
    """Where a term ends, going from token to token in an order: at one of `ends` on its own level, or leaving it."""
    depth = 0
    for index in order:
        kind, start, end = tokens[index]
        if depth == 0 and (kind == leaves or kind in ends):
            return end if last else start
        depth += (kind == enters) - (kind == leaves)
    return default


def _replacements(kind: str, old: str) -> list[str]:
    if kind == "number":
        value = float(old)
        near = [value + 1, value - 1] if value == int(value) else [value * 1.1, value * 0.9]
        return [f"{new:.12g}" for new in dict.fromkeys([*near, value * 0.5 or 0.5])]
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
            broken = dump(document)
            rule.clear()
            rule.update(kept)
            return broken

        every = (expression_mutations, dropped_matchers, dropped_terms)
        for change, expression in (pair for made in every for pair in made(rule["expr"])):
            yield Mutant(path.name, name, change, changed("expr", expression))
        for key in ("for", "keep_firing_for"):
            if key in rule:
                half, double = milliseconds(rule[key]) // 2, milliseconds(rule[key]) * 2
                for value in (f"{half}ms", f"{double}ms", None):
                    yield Mutant(path.name, name, f"{key}: {rule[key]} -> {value}", changed(key, value))
        if "alert" in rule:
            labels = rule["labels"] | {"severity": "none"}
            yield Mutant(path.name, name, "severity -> none", changed("labels", labels))


def survives(mutant: Mutant, tests: list[AlertTests]) -> bool:
    """Whether the unit tests are content with the mutant. A mutant that does not parse is dead as well."""
    document = yaml.safe_load(mutant.text)
    rules = rules_of(document)
    affected = {rule["alert"] for rule in rules if "alert" in rule and mutant.rule in below(rule["alert"], rules)}
    return all(run(document, one) is None for one in tests if one.alert in affected)


def main() -> int:
    parser = argparse.ArgumentParser(description="Breaks each alert rule and demands that its unit tests notice.")
    parser.add_argument("--alerts", type=Path, default=ROOT / "alerts", help="the folder with *.rules.yml and tests/")
    parser.add_argument("--only", default="", help="a regular expression that the rule's name has to match")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    options = parser.parse_args()
    # The small ones first: they find most.
    tests = sorted(load(options.alerts / "tests"), key=lambda one: len(str(one.document)))
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
