"""The table of results: in Benchmarks/RESULTS.md, and in README.md between two markers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- benchmarks: written by scripts/bench.sh -->"
END = "<!-- end of benchmarks -->"


def figure(value: float) -> str:
    """Three digits that mean something."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 4
    return f"{value:.{digits}f}"


def spread(values: dict[str, float] | None) -> str:
    """The median, with least and greatest behind it where they differ."""
    if values is None:
        return "-"
    if values["min"] == values["max"]:
        return figure(values["median"])
    return f"{figure(values['median'])} ({figure(values['min'])} to {figure(values['max'])})"


def verdict(result: dict[str, Any]) -> str:
    return {True: "met", False: "**missed**", None: "-"}[result["met"]]


def table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown, a line for each row: the median, with the least and the greatest of the rounds in parentheses."""
    lines = [
        "| what | unit | ours | yardstick | its figure | ratio | target | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        ratio = "-" if one["ratio"] is None else f"{one['ratio']:.2f}"
        cells = [
            one["what"], one["unit"], spread(one["ours"]), one["yardstick_is"] or "-", spread(one["yardstick"]), ratio,
            one["target"] or "-", verdict(one),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(results: Sequence[dict[str, Any]], revision: str, processors: int, root: Path = ROOT) -> None:
    """Replaces the table in both places."""
    with_target = [one for one in results if one["met"] is not None]
    missed = sum(one["met"] is False for one in with_target)
    date = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    head = (
        f"{date}, revision {revision}, {processors} processors, which the load shares; {len(with_target) - missed} of "
        f"{len(with_target)} targets met. Medians of rounds taken in turns with the yardstick, least and greatest in "
        "parentheses; the ratio is the median of the rounds' ratios."
    )
    text = f"{head}\n\n{table(results)}\n"
    (root / "Benchmarks" / "RESULTS.md").write_text(f"# Results\n\n{text}")
    readme = root / "README.md"
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise RuntimeError("README.md has no place for the table")
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
