"""What operations and background rounds cost as there are more leases, and what a round of the background makes others
wait for."""

from __future__ import annotations

from collections.abc import Iterator

from frame import Bench, Result, Row, Target, ratio_at_most

FEW = "the same at 1,000 leases"
ALONE = "the same while nothing else is done"
SIZES = [1000, 10_000, 100_000, 1_000_000]
# What must cost the same however many leases there are, and what may grow with them; in microseconds.
FLAT = {
    "acquire": "an acquire that makes a lease",
    "hot-acquire": "an acquire of a fresh lease",
    "release": "a release",
    "reaper": "a round of the reaper with nothing due",
    "gauges": "all sizes, for a page of metrics",
    "list-page": "a page of a hundred leases",
}
GROWING = {"extender": "a round of the extender with nothing due", "reconcile": "a comparison of books and provider"}
# The slowest of many, while a background round goes on.
WAITS = {
    "slowest-hot-reconcile": ("slowest-hot-quiet", "the slowest acquire of a fresh lease during a comparison"),
    "slowest-made-reconcile": ("slowest-made-quiet", "the slowest acquire that makes a lease during a comparison"),
    "slowest-hot-loops": ("slowest-hot-quiet", "the slowest acquire of a fresh lease while loops, metrics and lists go on"),
    "slowest-made-loops": ("slowest-made-quiet", "the slowest acquire that makes a lease, the same"),
}


def flat_row(name: str, what: str, size: int) -> Row:
    target: Target | None = ratio_at_most(1.5) if name != "list-page" else None
    return Row(f"{name}-at-{size}", f"{what}, at {size:,}", FEW, "µs", target)


ROWS = [flat_row(name, what, size) for name, what in FLAT.items() for size in SIZES[1:]]
ROWS += [Row(f"{name}-at-{size}", f"{what}, at {size:,}", FEW, "µs") for name, what in GROWING.items() for size in SIZES[1:]]
WAIT_SIZE = 100_000
ROWS += [Row(name, f"{what}, at {WAIT_SIZE:,}", ALONE, "µs") for name, (_, what) in WAITS.items()]


def measure(bench: Bench) -> Iterator[Result]:
    # The quick form has the same rows, of smaller sizes.
    sizes = [round(size * bench.pick(1, 0.02)) if size > 1000 else 1000 for size in SIZES]
    sizes = [max(size, 1000 + index) for index, size in enumerate(sizes)]
    told = bench.output("growth-benchmark", "times", *sizes, timeout=900)
    figures = {(name, int(size)): float(figure) for name, size, figure in map(str.split, told.splitlines())}
    rows = {row.name: row for row in ROWS}
    for name in [*FLAT, *GROWING]:
        for size, measured in zip(SIZES[1:], sizes[1:]):
            yield Result(rows[f"{name}-at-{size}"], [figures[name, measured]], [figures[name, sizes[0]]])
    measured = sizes[SIZES.index(WAIT_SIZE)]
    for name, (quiet, _) in WAITS.items():
        yield Result(rows[name], [figures[name, measured]], [figures[quiet, measured]])
