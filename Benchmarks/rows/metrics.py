"""The metrics library: counters, histograms and pages, beside what a processor needs for the least of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from frame import Bench, Result, Row, at_most, ratio_at_most

ADD, MUTEX, COPY = "an atomic addition", "a mutex, locked and unlocked", "copying the bytes"
TIMED = [
    Row("counter-1", "counter increment", ADD, "ns", ratio_at_most(1.3)),
    # No worse, that is: the two are the same instruction, and a tenth is noise.
    Row("counter-2", "counter increment, two threads at once", ADD, "ns", ratio_at_most(1.1)),
    Row("labelled-1", "labelled increment", ADD, "ns", ratio_at_most(1.5)),
    Row("observe-1", "histogram observation", MUTEX, "ns", at_most(20)),
    Row("observe-2", "histogram observation, two threads at once", MUTEX, "ns", at_most(40)),
    Row("render-10000", "a page of 10,000 series", COPY, "ms", at_most(0.8)),
]
COUNTED = [
    Row("counter-allocations", "allocations of a counter increment", "", "allocations", at_most(0), is_count=True),
    Row("labelled-allocations", "allocations of a labelled increment", "", "allocations", at_most(0), is_count=True),
    Row("observe-allocations", "allocations of an observation", "", "allocations", at_most(0), is_count=True),
    Row("render-allocations", "allocations of a page after the first", "", "allocations", at_most(0), is_count=True),
]
ROWS = TIMED + COUNTED


def measure(bench: Bench) -> Iterator[Result]:
    rounds = len(bench.rounds(9))
    printed = bench.output("metrics-benchmark", rounds, round(bench.pick(10_000_000, 1_000_000)))
    ours: dict[str, list[float]] = defaultdict(list)
    yardstick: dict[str, list[float]] = defaultdict(list)
    for line in printed.splitlines():
        name, figure, other = line.split()
        ours[name].append(float(figure))
        yardstick[name].append(float(other))
    for row in TIMED:
        yield Result(row, ours[row.name], yardstick[row.name])
    for row in COUNTED:
        yield Result(row, ours[row.name])
