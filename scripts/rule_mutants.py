"""Mutants of alert and recording rules: each rule broken in many small ways, one at a time.

Each number a little up, a little down, and by half; each comparison, set operator, arithmetic sign and aggregation
replaced by its neighbours; each range and offset halved and doubled; each alternative of a label's value left out; each
label matcher dropped; each side of a set operator or comparison dropped; `for` and `keep_firing_for` halved, doubled
and removed; the severity changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scale_rules import DURATION, milliseconds

Rule = dict[str, Any]
Document = dict[str, Any]

# What a mutant breaks, in the order of the summary.
KINDS = (
    "number",
    "comparison",
    "set operator",
    "arithmetic",
    "aggregation",
    "range or offset",
    "label value",
    "label matcher dropped",
    "term dropped",
    "for, keep_firing_for",
    "severity",
)


@dataclass(frozen=True)
class Mutant:
    """One rule that differs from the shipped one in a single place; `value` None leaves the key out."""

    rule: str
    kind: str
    change: str
    key: str
    value: Any

    def applied(self, document: Document) -> Document:
        """The rule file with this mutant in place of the rule; what it does not touch is shared."""
        groups = [group | {"rules": [self._broken(rule) for rule in group["rules"]]} for group in document["groups"]]
        return document | {"groups": groups}

    def _broken(self, rule: Rule) -> Rule:
        if name_of(rule) != self.rule:
            return rule
        kept = {key: value for key, value in rule.items() if key != self.key}
        return kept if self.value is None else kept | {self.key: self.value}


def name_of(rule: Rule) -> str:
    """What a rule is called: the alert, or what is recorded."""
    return rule.get("alert") or rule["record"]


def mutants(document: Document) -> Iterator[Mutant]:
    """Every mutant of every rule of a file."""
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        name = name_of(rule)
        for made in (_changed_pieces, _dropped_matchers, _dropped_terms):
            for kind, change, expression in made(rule["expr"]):
                yield Mutant(name, kind, change, "expr", expression)
        for key in ("for", "keep_firing_for"):
            if key in rule:
                half, double = milliseconds(rule[key]) // 2, milliseconds(rule[key]) * 2
                for value in (f"{half}ms", f"{double}ms", None):
                    yield Mutant(name, "for, keep_firing_for", f"{key}: {rule[key]} -> {value}", key, value)
        if "alert" in rule:
            yield Mutant(name, "severity", "severity -> none", "labels", rule["labels"] | {"severity": "none"})


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
_KIND_OF_PIECE = {
    "compare": "comparison",
    "sign": "arithmetic",
    "number": "number",
    "span": "range or offset",
    "string": "label value",
}


def _changed_pieces(expression: str) -> Iterator[tuple[str, str, str]]:
    """What kind of change, what was changed, and the changed expression."""
    for number, match in enumerate(_PIECES.finditer(expression), start=1):
        piece, old = match.lastgroup or "", match.group()
        kind = _KIND_OF_PIECE.get(piece) or ("set operator" if old in ("and", "or", "unless") else "aggregation")
        for new in _replacements(piece, old):
            text = expression[: match.start()] + new + expression[match.end() :]
            yield kind, f"{old} -> {new} (piece {number})", text


def _replacements(piece: str, old: str) -> list[str]:
    if piece == "number":
        value = float(old)
        near = [value + 1, value - 1] if value == int(value) else [value * 1.1, value * 0.9]
        return [f"{new:.12g}" for new in dict.fromkeys([*near, value * 0.5 or 0.5])]
    if piece == "span":
        return [f"{milliseconds(old) // 2}ms", f"{milliseconds(old) * 2}ms"]
    if piece == "string":
        alternatives = old[1:-1].split("|")
        dropped = ["|".join(alternatives[:i] + alternatives[i + 1 :]) for i in range(len(alternatives))]
        if len(alternatives) > 1:
            return [f'"{text}"' for text in dropped]
        return [f'"{old[1:-1]}x"'] + ([f'"{old[1:-1].replace(".*", "")}"'] if ".*" in old else [])
    return _SWAPS.get(piece, {}).get(old, [])


def _dropped_matchers(expression: str) -> Iterator[tuple[str, str, str]]:
    """As above: each label matcher of each selector is left out."""
    for number, selector in enumerate(re.finditer(r"\{([^{}]*)\}", expression), start=1):
        matchers = re.findall(r"\w+\s*(?:=~|!~|!=|=)\s*\"(?:\\.|[^\"\\])*\"", selector[1])
        for index, matcher in enumerate(matchers):
            kept = "{" + ", ".join(matchers[:index] + matchers[index + 1 :]) + "}"
            text = expression[: selector.start()] + (kept if kept != "{}" else "") + expression[selector.end() :]
            yield "label matcher dropped", f"without {matcher} (selector {number})", text


_SPLIT = re.compile(
    r"\"(?:\\.|[^\"\\])*\"|(?P<open>[({\[])|(?P<close>[)}\]])"
    r"|(?P<set>\b(?:and|or|unless)\b)|(?P<compare>==|!=|>=|<=|(?<![=~!])>|(?<![=~!])<)"
)
_MODIFIERS = re.compile(r"\s*(?:\b(?:on|ignoring|group_left|group_right)\s*\([^)]*\)|\bbool\b)")


def _dropped_terms(expression: str) -> Iterator[tuple[str, str, str]]:
    """As above: each set operator and each comparison is left out, with what stands on one side of it.

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
            yield "term dropped", f"without what stands before {operator}", text[:left] + " " + text[after:]
        yield "term dropped", f"without what stands after {operator}", text[:start] + " " + text[right:]


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
