"""Draws a board as one picture, panel by panel, from what Prometheus answered. Not Grafana: a preview.

Needs matplotlib. What is drawn is the caller's: series with a legend and points, by panel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator  # noqa: E402

BACKGROUND, FRAME, TEXT, FAINT, GRID = "#111217", "#181b1f", "#ccccdc", "#8e8e99", "#2c3036"
LIMIT = "#f2495c"
COLORS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#b877d9", "#8ab8ff", "#37872d", "#ffa6b0", "#96d98d", "#fade2a"]
DOTS_PER_INCH = 100
# In pixels.
WIDTH, MARGIN, GAP, HEADING, PLOT, TALL = 1360, 12, 8, 24, 84, 48
TITLE, AXIS, LEGEND = 18, 14, 29
SCALE = 46
# More panels than that are drawn in six columns.
MANY = 40
# Legends of what bounds the others: drawn thin, after them.
BOUND = re.compile(r"\b(limit|threshold|target)\b")


@dataclass(frozen=True)
class Line:
    """One series: what it is called, and its values by the second of the run."""

    legend: str
    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def height(self) -> float:
        """The greatest value."""
        return max((value for _, value in self.points if not math.isnan(value)), default=0)


@dataclass(frozen=True)
class Drawn:
    """A panel as the board defines it, and the series of each of its queries."""

    panel: dict[str, Any]
    lines: list[Line]

    @property
    def is_empty(self) -> bool:
        """Whether there is not one number to draw."""
        return not any(not math.isnan(value) for line in self.lines for _, value in line.points)

    @property
    def unit(self) -> str:
        return self.panel["fieldConfig"]["defaults"].get("unit", "short")


def draw_board(title: str, sections: Sequence[tuple[str, Sequence[Drawn]]], path: Path, labels: dict[str, str]) -> None:
    """Writes the picture of a board; `labels` is kept in the file. Sections fill the width."""
    columns = 6 if sum(len(found) for _, found in sections) > MANY else 5
    rows = [(heading, row) for title, found in sections for heading, row in _rows(title, found, columns)]
    height = MARGIN + HEADING + sum((HEADING if heading else 0) + _height(row) + GAP for heading, row in rows)
    size = (WIDTH / DOTS_PER_INCH, height / DOTS_PER_INCH)
    figure = plt.figure(figsize=size, dpi=DOTS_PER_INCH, facecolor=BACKGROUND)
    pen = _Pen(figure, WIDTH, height)
    pen.text(MARGIN, MARGIN, title, size=8.5, color=FAINT)
    y = MARGIN + HEADING
    for heading, row in rows:
        if heading:
            pen.text(MARGIN, y + 6, heading, size=9.5, color="#6e9fff", weight="bold")
            y += HEADING
        each = (WIDTH - 2 * MARGIN - (len(row) - 1) * GAP) / len(row)
        for index, drawn in enumerate(row):
            _draw(pen, drawn, MARGIN + index * (each + GAP), y, each, _height(row))
        y += _height(row) + GAP
    figure.savefig(path, facecolor=BACKGROUND, metadata=labels)
    plt.close(figure)


def _rows(heading: str, found: Sequence[Drawn], columns: int) -> list[tuple[str, list[Drawn]]]:
    """A section in lines of panels of the same height, as even as they can be; the first carries the heading."""
    stats = [drawn for drawn in found if drawn.panel["type"] == "stat"]
    others = [drawn for drawn in found if drawn.panel["type"] != "stat"]
    result: list[list[Drawn]] = [stats] if stats else []
    lines = math.ceil(len(others) / columns)
    for line in range(lines):
        result.append(others[len(others) * line // lines : len(others) * (line + 1) // lines])
    return [(heading if index == 0 else "", row) for index, row in enumerate(result)]


def _height(row: Sequence[Drawn]) -> int:
    return TALL if row[0].panel["type"] == "stat" else TITLE + PLOT + AXIS + LEGEND


class _Pen:
    """Places things on a figure, in pixels from its upper left corner."""

    def __init__(self, figure: Figure, width: float, height: float) -> None:
        self._figure, self._width, self._height = figure, width, height

    def text(self, x: float, y: float, text: str, size: float, color: str, weight: str = "normal") -> float:
        """Where the text ends; y is its upper edge."""
        placed = self._figure.text(
            x / self._width, 1 - y / self._height, text, size=size, color=color, weight=weight, va="top", ha="left"
        )
        return x + placed.get_window_extent().width

    def fitting(self, text: str, size: float, width: float, weight: str = "normal") -> str:
        """The text, cut if it is wider."""
        while len(text) > 4 and self.length(text, size, weight) > width:
            text = text[:-2].rstrip("… ") + "…"
        return text

    def length(self, text: str, size: float, weight: str = "normal") -> float:
        """How wide the text would be."""
        tried = self._figure.text(0, 0, text, size=size, weight=weight)
        width = tried.get_window_extent().width
        tried.remove()
        return width

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes for a rectangle."""
        return self._figure.add_axes(
            (x / self._width, 1 - (y + height) / self._height, width / self._width, height / self._height)
        )


def palette() -> list[tuple[int, int, int]]:
    """The colours that a picture is made of: those of lines and cells, pure and fading into the ground."""
    ground = to_rgb(FRAME)
    pure = [to_rgb(color) for color in (*COLORS, LIMIT, TEXT, FAINT, "#6e9fff")]
    cells = [matplotlib.colormaps["Spectral_r"](step / 15)[:3] for step in range(16)]
    faded = [[0.4 * c + 0.6 * g for c, g in zip(color, ground)] for color in pure]
    every = [*(to_rgb(color) for color in (BACKGROUND, FRAME, GRID)), *pure, *faded, *cells]
    return [(round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in every]


# Panels


def _draw(pen: _Pen, drawn: Drawn, x: float, y: float, width: float, height: float) -> None:
    frame = pen.axes(x, y, width, height)
    frame.set_facecolor(FRAME)
    frame.set_xticks([])
    frame.set_yticks([])
    for side in frame.spines.values():
        side.set_color(GRID)
    pen.text(x + 6, y + 4, pen.fitting(drawn.panel["title"], 7, width - 12, "bold"), 7, TEXT, "bold")
    match drawn.panel["type"]:
        case "stat":
            _draw_number(pen, drawn, x, y)
        case "table":
            _draw_table(pen, drawn, x, y, width)
        case kind:
            axes = pen.axes(x + SCALE, y + TITLE, width - SCALE - 8, PLOT)
            axes.set_facecolor(FRAME)
            if kind == "heatmap":
                _draw_cells(axes, drawn)
            else:
                shown = _draw_lines(axes, drawn)
                _draw_legend(pen, shown, x + 8, y + TITLE + PLOT + AXIS, width - 16)
            axes.tick_params(colors=TEXT, labelsize=6, length=0, pad=2)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
            for side in axes.spines.values():
                side.set_color(GRID)


def _draw_number(pen: _Pen, drawn: Drawn, x: float, y: float) -> None:
    last = next((value for line in drawn.lines for _, value in reversed(line.points) if not math.isnan(value)), None)
    text = "no data" if last is None else text_of(last, drawn.unit)
    steps = drawn.panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    passed = [step["color"] for step in steps if last is not None and (step["value"] is None or last >= step["value"])]
    color = {"green": "#73bf69", "red": LIMIT, "orange": "#ff9830", "yellow": "#fade2a"}.get(
        passed[-1] if passed else "", TEXT
    )
    pen.text(x + 8, y + 20, text, size=15, color=color, weight="bold")


def _draw_table(pen: _Pen, drawn: Drawn, x: float, y: float, width: float) -> None:
    """The columns that there is room for."""
    names = [name for name in drawn.lines[0].labels if name not in ("__name__", "job")] if drawn.lines else []
    left, size = x + 8, 6.2
    for name in names:
        column = [name, *(line.labels.get(name, "") for line in drawn.lines)]
        needed = max(pen.length(text, size) for text in column)
        if left + needed > x + width:
            return
        for row, text in enumerate(column):
            pen.text(left, y + TITLE + 6 + 16 * row, text, size=size, color=FAINT if row == 0 else TEXT)
        left += needed + 8


def _draw_lines(axes: Axes, drawn: Drawn) -> list[tuple[str, str]]:
    """Draws the series that are not zero throughout (all of them if there is no other); legends and their colours."""
    lines = [line for line in drawn.lines if line.height > 0] or drawn.lines
    lines = sorted(lines, key=lambda line: (BOUND.search(line.legend) is not None, -line.height))
    custom = drawn.panel["fieldConfig"]["defaults"].get("custom", {})
    stacked = custom.get("stacking", {}).get("mode") == "normal"
    moments = sorted({moment for line in lines for moment, _ in line.points})
    base = [0.0] * len(moments)
    shown = []
    for index, line in enumerate(lines):
        color, values = COLORS[index % len(COLORS)], dict(line.points)
        heights = [values.get(moment, math.nan) for moment in moments]
        if stacked:
            top = [low + (0 if math.isnan(value) else value) for low, value in zip(base, heights)]
            axes.fill_between(moments, base, top, color=color, alpha=0.3, linewidth=0)
            heights = base = top
        if BOUND.search(line.legend):
            axes.plot(moments, heights, color=color, linewidth=0.8, linestyle=(0, (2, 2)))
        else:
            axes.plot(moments, heights, color=color, linewidth=1)
        shown.append((line.legend, color))
    _scale(axes, drawn, max([*base, *(line.height for line in lines)], default=1), custom)
    axes.grid(color=GRID, linewidth=0.5)
    return shown


def _scale(axes: Axes, drawn: Drawn, highest: float, custom: dict[str, Any]) -> None:
    """The axis: from zero unless the panel wants less, with a threshold where it would be in sight."""
    defaults = drawn.panel["fieldConfig"]["defaults"]
    lowest = min((value for line in drawn.lines for _, value in line.points if not math.isnan(value)), default=0)
    scale = custom.get("scaleDistribution", {})
    if scale.get("type") == "symlog":
        axes.set_yscale("symlog", linthresh=scale.get("linearThreshold", 1))
        axes.set_ylim(0, highest * 3 or 1)
        decades = range(0, max(1, math.ceil(math.log10(max(highest, 2)))) + 1)
        step = max(1, math.ceil(len(decades) / 3))
        axes.yaxis.set_major_locator(FixedLocator([0, *(10**decade for decade in decades[::step])]))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        bottom = 0 if "min" in defaults or lowest >= 0 else lowest * 1.1
        axes.set_ylim(bottom, highest * 1.12 if highest > 0 else 1)
        axes.yaxis.set_major_locator(FixedLocator(_marks(*axes.get_ylim(), drawn.unit)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text_of(value, drawn.unit)))
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is not None and step["value"] <= axes.get_ylim()[1]:
            axes.axhline(step["value"], color=LIMIT, linewidth=0.8, linestyle=(0, (4, 3)))


def _marks(low: float, high: float, unit: str) -> list[float]:
    """Round numbers of the unit that the greatest would be told in."""
    if unit == "bool_on_off":
        return [0, 1]
    greatest = max(abs(low), abs(high))
    size = next((size for _, size in UNITS.get(unit, ()) if greatest >= size), 1)
    return [size * mark for mark in MaxNLocator(4).tick_values(low / size, high / size) if low <= size * mark <= high]


def _draw_cells(axes: Axes, drawn: Drawn) -> None:
    """A histogram over time; the cumulative counts of Prometheus are taken apart."""
    buckets = sorted(((float(line.labels["le"]), dict(line.points)) for line in drawn.lines), key=lambda one: one[0])
    moments = sorted({moment for _, points in buckets for moment in points})
    rows, below = [], [0.0] * len(moments)
    for _, points in buckets:
        row = [points.get(moment, 0.0) for moment in moments]
        rows.append([max(value - low, 0.0) for value, low in zip(row, below)])
        below = row
    used = [index for index, row in enumerate(rows) if any(row)] or [0]
    first, last = max(0, used[0] - 1), min(len(rows) - 1, used[-1] + 1)
    cells = [[math.sqrt(value) if value else math.nan for value in row] for row in rows[first : last + 1]]
    extent = (moments[0], moments[-1], 0, len(cells))
    axes.imshow(cells, aspect="auto", origin="lower", extent=extent, cmap="Spectral_r", interpolation="nearest")
    bounds = [bound for bound, _ in buckets[first : last + 1]]
    step = max(1, math.ceil(len(bounds) / 5))
    marks = range(0, len(bounds), step)
    axes.set_yticks([index + 1 for index in marks], [text_of(bounds[index], "s") for index in marks])
    axes.set_ylim(0, len(cells))


def _draw_legend(pen: _Pen, shown: Sequence[tuple[str, str]], x: float, y: float, width: float) -> None:
    """Two lines of legends at the most; how many there was no room for."""
    left, line, size = x, 0, 6.2
    for index, (text, color) in enumerate(shown):
        more = f"+{len(shown) - index}"
        needed = 12 + pen.length(text, size)
        reserve = 0 if index == len(shown) - 1 or line == 0 else pen.length(more, size) + 8
        if left > x and left + needed + reserve > x + width:
            if line == 1:
                pen.text(left, y + 13, more, size=size, color=FAINT)
                return
            left, line = x, 1
        pen.text(left, y + 13 * line, "■", size=size, color=color)
        text = pen.fitting(text, size, x + width - left - 10)
        left = pen.text(left + 9, y + 13 * line, text, size=size, color=TEXT) + 8


# Texts

UNITS: dict[str, Sequence[tuple[str, float]]] = {
    "s": (("h", 3600), ("min", 60), ("s", 1), ("ms", 1e-3), ("µs", 1e-6)),
    "bytes": (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1)),
}
NUMBERS = (("M", 1e6), ("K", 1e3), ("", 1))


def text_of(value: float, unit: str) -> str:
    """A number as Grafana writes it in a unit."""
    if math.isinf(value):
        return "+Inf"
    match unit:
        case "s" | "bytes":
            return _scaled(value, UNITS[unit])
        case "percentunit":
            return f"{100 * value:.3g} %" if value < 10 else f"{100 * value:.0f} %"
        case "bool_on_off":
            return {0: "off", 1: "on"}.get(value, "")
        case _:
            number = _scaled(value, NUMBERS) if abs(value) >= 1 else f"{value:.3g}"
            return number.strip() + {"ops": " /s", "reqps": " /s"}.get(unit, "")


def _scaled(value: float, units: Sequence[tuple[str, float]]) -> str:
    if value == 0:
        return "0"
    name, size = next(((name, size) for name, size in units if abs(value) >= 0.999 * size), units[-1])
    number = value / size
    return f"{number:.0f} {name}" if abs(number) >= 999.5 else f"{number:.3g} {name}"


def legend_of(template: str, labels: dict[str, str], job: str) -> str:
    """The legend of a series; the job, which is one, and what is common to long routes is cut."""
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template).strip()
    return text.replace("/v1/users/{user}/projects/{project}", "…").removeprefix(job + " ") or "all"
