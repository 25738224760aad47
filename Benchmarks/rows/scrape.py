"""Scrapes of the daemon's real page: how many a second, and what they cost those who acquire meanwhile."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator

from frame import Bench, BenchmarkError, Load, Result, Row, ratio_at_least
from rows.http import KEYS, LIMITS, lease_keys

SCRAPE = Row(
    "scrape", "scrape of the daemon's page", "libmicrohttpd, a constant body of the same size", "pages/s",
    ratio_at_least(0.5),
)
BESIDE = Row(
    "acquire-while-scraped", "hot acquire, 64 connections, while 10 pages a second are scraped", "without scrapes",
    "requests/s", ratio_at_least(0.97),
)
ROWS = [SCRAPE, BESIDE]


def measure(bench: Bench) -> Iterator[Result]:
    daemon = bench.daemon(LIMITS)
    lease_keys(daemon, KEYS)
    page = daemon.observe("/metrics")
    hello = bench.serve("hello", len(page.body), "text/plain; version=0.0.4; charset=utf-8").url
    metrics = f"http://{daemon.metrics.host}:{daemon.metrics.port}/metrics"
    seconds = bench.pick(2, 1)
    turns = [(bench.load(metrics, 4, seconds), bench.load(hello, 4, seconds)) for _ in bench.rounds()]
    yield Result(SCRAPE, [ours.rate for ours, _ in turns], [theirs.rate for _, theirs in turns])

    def acquire() -> Load:
        return bench.load(f"http://{daemon.api.host}:{daemon.api.port}", 64, 1, "PUT", 0, KEYS)

    def acquire_beside_scrapes() -> Load:
        scraper = subprocess.Popen(
            [str(bench.programs / "scraper"), str(daemon.metrics.port), "/metrics", "100"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )
        try:
            load = acquire()
        finally:
            scraper.send_signal(signal.SIGTERM)
            printed, _ = scraper.communicate(timeout=10)
        # On a machine with time to spare it is ten a second.
        if scraper.returncode != 0 or int(printed) == 0:
            raise BenchmarkError(f"the scraper ended with {scraper.returncode} after {printed.strip()} pages")
        return load

    # Short turns and many of them: a few hundredths are looked for.
    pairs = [(acquire_beside_scrapes(), acquire()) for _ in bench.rounds(15)]
    yield Result(BESIDE, [beside.rate for beside, _ in pairs], [alone.rate for _, alone in pairs])
