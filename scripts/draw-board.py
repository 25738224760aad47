#!/usr/bin/env python3
"""Draws panels of dashboards/overview.json without Grafana, from a real Prometheus that watched a real daemon.

    scripts/draw-board.py --daemon .build/release/sandbox-manager [--output docs/overview.png] [--seconds 75]

Runs a daemon with simulated sandboxes, puts a load on it that swells and ebbs, asks Prometheus the board's own queries,
and draws the answers. Nothing is made up but the load. Needs Prometheus, and the packages matplotlib and pillow.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 (the backend comes first)
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402
from PIL import Image  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))

from daemon import Daemon, sandbox_path  # noqa: E402
from drill_lib import Prometheus  # noqa: E402

PANELS = [
    "HTTP: requests by route",
    "Operations: failures by reason",
    "Operations: duration: quantiles",
    "Acquire: source",
    "Phases: p95 by phase",
    "Phases: distribution",
    "Slots in use against the limit",
    "Leases by state",
    "Sandboxes: created and killed",
    "Acquires refused by a limit",
    "Provider: latency: quantiles",
    "Loops: time since last success",
]
SETTINGS = {
    "LIMITS_PER_USER": "3",
    "LIMITS_TOTAL": "60",
    "HEALTH_FRESH_WINDOW_SECONDS": "0.5",
    "REAPER_INTERVAL_SECONDS": "2",
    # So that leases which nobody releases end while somebody looks.
    "LEASE_IDLE_TIMEOUT_SECONDS": "15",
}
STEP = 0.5
BACKGROUND, FRAME, TEXT, GRID = "#111217", "#181b1f", "#ccccdc", "#2c3036"
COLORS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#8ab8ff", "#ffa6b0", "#96d98d"]


def visit(daemon: Daemon, stopping: Event, visitor: int, began: float, seconds: float) -> None:
    """One visitor after another; how many come follows two waves, and some forget to release."""
    chance = random.Random(visitor)
    while not stopping.is_set():
        wave = 0.5 - 0.5 * math.cos(4 * math.pi * (time.time() - began) / seconds)
        if visitor > 2 + 22 * wave:
            stopping.wait(0.2)
            continue
        user, project = f"user{chance.randrange(30)}", f"project{chance.randrange(4)}"
        if daemon.acquire(user, project).status < 300:
            for _ in range(chance.randrange(1, 6)):
                stopping.wait(chance.expovariate(5))
                daemon.acquire(user, project)
            if chance.random() < 0.1:
                daemon.request("POST", sandbox_path(user, project) + "/keepalive")
            if chance.random() < 0.75:
                daemon.release(user, project)
        else:
            stopping.wait(0.3)
        if chance.random() < 0.05:
            daemon.execute("nobody", "nothing", "true")


def resolve(expression: str, seconds: float) -> str:
    """The expression with the variables that Grafana would put in."""
    values = {"$__rate_interval": "4s", "$__range": f"{seconds:.0f}s", "$job": ".+", "$instance": ".+"}
    for name, value in values.items():
        expression = expression.replace(name, value)
    return expression


def legend(template: str, labels: dict[str, str]) -> str:
    """The legend of a series; what is common to long routes is cut."""
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template).strip()
    return text.replace("/v1/users/{user}/projects/{project}", "…")


def seconds_text(value: float, _: Any = None) -> str:
    """A span of time as Grafana's unit `s` writes it."""
    for unit, size in (("min", 60), ("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if abs(value) >= size:
            return f"{value / size:.3g} {unit}"
    return "0"


def draw(axes: Axes, panel: dict[str, Any], ask: Callable[[str], list[dict[str, Any]]]) -> None:
    """One panel."""
    axes.set_title(panel["title"], loc="left", color=TEXT, fontsize=9, pad=6)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "heatmap":
        draw_heatmap(axes, ask(panel["targets"][0]["expr"]))
    else:
        draw_lines(axes, panel, ask)
        axes.set_ylim(bottom=0)
        if unit == "s":
            axes.yaxis.set_major_formatter(FuncFormatter(seconds_text))
        elif unit in ("ops", "reqps"):
            word = "req/s" if unit == "reqps" else "/s"
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} {word}"))
        axes.grid(color=GRID, linewidth=0.6)
    axes.tick_params(colors=TEXT, labelsize=7, length=0)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} s"))
    for side in axes.spines.values():
        side.set_color(GRID)


def draw_lines(axes: Axes, panel: dict[str, Any], ask: Callable[[str], list[dict[str, Any]]]) -> None:
    """Lines, stacked if the panel says so; series that are zero throughout are left out."""
    lines = []
    for target in panel["targets"]:
        for series in ask(target["expr"]):
            points = {round(float(at) / STEP): float(value) for at, value in series["values"]}
            if any(value > 0 for value in points.values()):
                lines.append((legend(target["legendFormat"], series["metric"]), points))
    lines.sort(key=lambda line: -max(value for value in line[1].values() if not math.isnan(value)))
    moments = sorted({moment for _, points in lines for moment in points})
    offset = moments[0] if moments else 0
    stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    base = [0.0] * len(moments)
    for index, (name, points) in enumerate(lines):
        color = COLORS[index % len(COLORS)]
        times = [(moment - offset) * STEP for moment in moments]
        values = [points.get(moment, math.nan) for moment in moments]
        label = name if index < 8 else None
        if stacked:
            top = [low + (0 if math.isnan(value) else value) for low, value in zip(base, values)]
            axes.fill_between(times, base, top, color=color, alpha=0.25, linewidth=0)
            axes.plot(times, top, color=color, linewidth=1, label=label)
            base = top
        else:
            axes.plot(times, values, color=color, linewidth=1.1, label=label)
    if lines:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.09)}
        axes.legend(fontsize=6.5, labelcolor=TEXT, frameon=False, ncols=2, handlelength=1.2, **place)


def draw_heatmap(axes: Axes, found: list[dict[str, Any]]) -> None:
    """Buckets over time; the cumulative counts of Prometheus are taken apart."""
    buckets = sorted((float(series["metric"]["le"]), series["values"]) for series in found)
    moments = sorted({round(float(at) / STEP) for _, values in buckets for at, _ in values})
    rows, below = [], [0.0] * len(moments)
    for _, values in buckets:
        points = {round(float(at) / STEP): float(value) for at, value in values}
        row = [points.get(moment, 0.0) for moment in moments]
        rows.append([max(value - low, 0.0) for value, low in zip(row, below)])
        below = row
    used = [index for index, row in enumerate(rows) if any(row)]
    first, last = max(0, used[0] - 1), min(len(rows) - 1, used[-1] + 1)
    cells = [[math.sqrt(value) if value else math.nan for value in row] for row in rows[first : last + 1]]
    extent = (0, (moments[-1] - moments[0]) * STEP, 0, len(cells))
    axes.imshow(cells, aspect="auto", origin="lower", extent=extent, cmap="Spectral_r", interpolation="nearest")
    axes.set_yticks(range(1, len(cells) + 1), [seconds_text(bound) for bound, _ in buckets[first : last + 1]])


def main() -> int:
    """Runs, asks, draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daemon", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "overview.png")
    parser.add_argument("--seconds", type=float, default=75)
    options = parser.parse_args()
    board = json.loads((ROOT / "dashboards" / "overview.json").read_text(encoding="utf-8"))
    panels = {panel["title"]: panel for panel in board["panels"]}
    figure, grid = plt.subplots(4, 3, figsize=(15, 13.5), dpi=90, facecolor=BACKGROUND, layout="constrained")
    stopping = Event()
    with (
        tempfile.TemporaryDirectory() as folder,
        Daemon(options.daemon.resolve(), Path(folder) / "work", SETTINGS) as daemon,
        Prometheus({"sandbox-manager": [str(daemon.metrics)]}) as prometheus,
        ThreadPoolExecutor(max_workers=24) as pool,
    ):
        prometheus.wait_for_up()
        began = time.time()
        visits = [pool.submit(visit, daemon, stopping, number, began, options.seconds) for number in range(24)]
        stopping.wait(options.seconds)
        stopping.set()
        for visited in visits:
            visited.result()
        ended = began + options.seconds

        def ask(expression: str) -> list[dict[str, Any]]:
            window = f"[{options.seconds:.0f}s:{STEP * 1000:.0f}ms]"
            return prometheus.query(f"({resolve(expression, options.seconds)}){window}", at=ended)

        for axes, title in zip(grid.flat, PANELS):
            axes.set_facecolor(FRAME)
            draw(axes, panels[title], ask)
    figure.suptitle(
        f"{board['title']}: {len(PANELS)} of its panels over {options.seconds:.0f} s of synthetic load, simulated "
        "sandboxes. Drawn by scripts/draw-board.py from the board's own queries, not by Grafana.",
        color=TEXT,
        fontsize=9,
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.output, facecolor=BACKGROUND)
    # A palette is enough for lines, and a third of the size.
    with Image.open(options.output) as image:
        image.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(options.output, optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
