"""What a request asks malloc for, counted in the real daemon: a number that no slow machine changes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from daemon import Daemon

from frame import Bench, Result, Row, at_most
from rows.http import KEYS, LIMITS, lease_keys

# What was counted when these were written (25, 105 and 50), and a little for the loops behind on a slow machine.
HOT = Row("hot-acquire-allocations", "allocations of a hot acquire", "", "allocations", at_most(27), is_count=True)
ASYNC = Row(
    "async-acquire-allocations", "allocations of an acquire with a probe", "", "allocations", at_most(112),
    is_count=True,
)
SCRAPE = Row("scrape-allocations", "allocations of a scrape", "", "allocations", at_most(56), is_count=True)
ROWS = [HOT, ASYNC, SCRAPE]


def measure(bench: Bench) -> Iterator[Result]:
    for row, window in ((HOT, "600"), (ASYNC, "0")):
        counts = bench.folder / row.name
        daemon = start(bench, counts, window)
        lease_keys(daemon, KEYS)
        url = f"http://{daemon.api.host}:{daemon.api.port}"
        # Connections are opened and tables have grown.
        bench.load(url, 16, 1, "PUT", 0, KEYS)
        yield Result(row, [of_each(bench, counts, url, "PUT", KEYS)])
    metrics = f"http://{daemon.metrics.host}:{daemon.metrics.port}/metrics"
    bench.load(metrics, 1, 1)
    yield Result(SCRAPE, [of_each(bench, counts, metrics, "GET", 0)])


def start(bench: Bench, counts: Path, window: str) -> Daemon:
    counting = {"LD_PRELOAD": str(bench.programs / "allocations.so"), "ALLOCATIONS_FILE": str(counts)}
    return bench.daemon(LIMITS | counting | {"HEALTH_FRESH_WINDOW_SECONDS": window})


def of_each(bench: Bench, counts: Path, url: str, method: str, keys: int) -> float:
    """Allocations by requests, in tenths: what loops behind and opening a few connections ask for vanishes among them."""
    before = count(counts)
    load = bench.load(url, 16 if keys else 1, 1, method, 0, keys)
    return round((count(counts) - before) / load.requests, 1)


def count(counts: Path) -> int:
    return int.from_bytes(counts.read_bytes()[:8], "little")
