#!/usr/bin/env python3
"""Speeds a Prometheus rule file up, so that a drill need not wait for the real windows.

Every span of time in the file is divided by one number, the speedup:

- the values of `for`, `keep_firing_for`, `interval` and `query_offset`,
- range selectors, subqueries and offsets inside expressions,
- numbers inside expressions that the comment `# seconds` follows, as in `> 60 # seconds`.

Counts and ratios stay as they are, and so does every other byte of the file: there is one set of rules, and a drill
runs that set. Durations come out in whole milliseconds, because Prometheus takes no fractions ("0.5s").

    scripts/scale_rules.py alerts/sandbox-manager.rules.yml --speedup 240 -o /tmp/drill.rules.yml

Expressions have to be block scalars (`expr: |`) or plain scalars; a quoted one is refused.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
TIME_KEYS = "for|keep_firing_for|interval|query_offset"

_KEY_LINE = re.compile(rf"^(\s*(?:-\s+)?(?:{TIME_KEYS}):\s*)(['\"]?)({DURATION}|0)\2(\s*(?:#.*)?)$")
_TIME_KEY = re.compile(rf"^\s*(?:-\s+)?(?:{TIME_KEYS}):")
_EXPR_LINE = re.compile(r"^(?P<indent>\s*)(?P<dash>-\s+)?expr:\s*(?P<rest>.*)$")
_BLOCK_HEADER = re.compile(r"^[|>][+-]?\d*\s*(?:#.*)?$")

# The order matters: what comes first wins, so that nothing inside a string or a comment is touched.
_TOKEN = re.compile(
    r"(?P<string>\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`)"
    rf"|(?P<range>\[\s*{DURATION}\s*(?::\s*(?:{DURATION})?\s*)?\])"
    rf"|(?P<offset>\boffset\s+-?\s*{DURATION})"
    r"|(?P<tagged>(?<![\w.:])\d+(?:\.\d+)?(?=[ \t]*\#[ \t]*seconds\b))"
    r"|(?P<comment>\#[^\n]*)"
)


class ScaleError(ValueError):
    """A span of time that cannot be scaled; the message says where and why."""


def milliseconds(duration: str) -> int:
    """The length of a Prometheus duration such as `1h30m`."""
    return sum(int(number) * MILLISECONDS[unit] for number, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def scale_duration(duration: str, speedup: float) -> str:
    """The duration divided by the speedup, in whole milliseconds; `0` and `0s` stay 0."""
    length = milliseconds(duration)
    if length == 0:
        return "0s"
    scaled = round(length / speedup)
    if scaled < 1:
        raise ScaleError(f"{duration} divided by {speedup:g} is less than a millisecond")
    return f"{scaled}ms"


def scale_expression(expression: str, speedup: float) -> str:
    """A PromQL expression with its ranges, offsets and tagged numbers divided by the speedup."""

    def replace(match: re.Match[str]) -> str:
        text = match.group()
        if match.lastgroup in ("range", "offset"):
            return re.sub(DURATION, lambda found: scale_duration(found.group(), speedup), text)
        if match.lastgroup == "tagged":
            # Not in scientific notation, which is legal PromQL but hard to read in a drill's log.
            return f"{float(text) / speedup:.6f}".rstrip("0").rstrip(".")
        return text

    return _TOKEN.sub(replace, expression)


def scale_rules(text: str, speedup: float) -> str:
    """A whole rule file with every span of time divided by the speedup (greater than 0)."""
    if not speedup > 0:
        raise ScaleError(f"the speedup has to be greater than 0, not {speedup:g}")
    return _rewrite(
        text, lambda expression: scale_expression(expression, speedup), lambda span: scale_duration(span, speedup)
    )


def shortest_range(text: str) -> int | None:
    """The shortest range selector of a rule file in milliseconds; None if it has none."""
    found: list[int] = []

    def collect(expression: str) -> str:
        for match in _TOKEN.finditer(expression):
            if match.lastgroup == "range":
                found.extend(milliseconds(span) for span in re.findall(DURATION, match.group())[:1])
        return expression

    _rewrite(text, collect, lambda span: span)
    return min(found, default=None)


def _rewrite(text: str, expression: Callable[[str], str], duration: Callable[[str], str]) -> str:
    """The rule file with each expression and each duration key replaced; all other lines stay."""
    lines = text.split("\n")
    result: list[str] = []
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        opening = _EXPR_LINE.match(line)
        if line.lstrip().startswith("#"):
            result.append(line)
        elif opening is not None:
            rest = opening["rest"]
            if rest[:1] in ("'", '"'):
                raise ScaleError(f"line {index}: a quoted expression; write it as a block (expr: |)")
            if not _BLOCK_HEADER.match(rest):
                result.append(line[: len(line) - len(rest)] + expression(rest))
                continue
            result.append(line)
            parent = len(opening["indent"]) + len(opening["dash"] or "")
            start = index
            while index < len(lines) and (not lines[index].strip() or _indent(lines[index]) > parent):
                index += 1
            if index > start:
                result.append(expression("\n".join(lines[start:index])))
        elif _TIME_KEY.match(line):
            key = _KEY_LINE.match(line)
            if key is None:
                raise ScaleError(f"line {index}: not a duration: {line.strip()}")
            result.append(f"{key[1]}{duration(key[3])}{key[4]}")
        else:
            result.append(line)
    return "\n".join(result)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Divides every span of time in a Prometheus rule file by one number.")
    parser.add_argument("rules", type=Path, help="the rule file")
    parser.add_argument("--speedup", type=float, required=True, help="240 turns 10m into 2500ms")
    parser.add_argument("-o", "--output", type=Path, help="where to write (default: standard output)")
    options = parser.parse_args(arguments)
    try:
        scaled = scale_rules(options.rules.read_text(encoding="utf-8"), options.speedup)
    except (OSError, ScaleError) as error:
        print(f"scale_rules: {options.rules}: {error}", file=sys.stderr)
        return 1
    if options.output is None:
        sys.stdout.write(scaled)
    else:
        options.output.write_text(scaled, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
