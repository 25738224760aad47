"""Acquires over HTTP: of a fresh lease, which the server's thread answers, and of one that has to be probed first."""

from __future__ import annotations

from collections.abc import Iterator

from daemon import Daemon, sandbox_path

from frame import Bench, BenchmarkError, Load, Result, Row, ratio_at_least, ratio_at_most

KEYS = 200
HELLO = "libmicrohttpd, a constant body of the same size"
HOT = Row("hot-acquire-64", "hot acquire, 64 connections", HELLO, "requests/s", ratio_at_least(0.70))
HOT_P99 = Row("hot-acquire-64-p99", "hot acquire, 64 connections, p99", HELLO, "µs", ratio_at_most(2))
CROWD = Row("hot-acquire-1000", "hot acquire, 1,000 connections", HELLO, "requests/s", ratio_at_least(0.60))
ASYNC = Row(
    "async-acquire-64", "acquire with a probe, 64 connections", HELLO, "requests/s", ratio_at_least(0.35)
)
ROWS = [HOT, HOT_P99, CROWD, ASYNC]

LIMITS = {"LIMITS_TOTAL": "10000", "LEASE_MAX_AGE_SECONDS": "86400", "LEASE_IDLE_TIMEOUT_SECONDS": "3600"}
# A lease stays fresh on a machine that is busy for a minute between two loads.
LIMITS["HEALTH_FRESH_WINDOW_SECONDS"] = "600"


def lease_keys(daemon: Daemon, count: int) -> int:
    """Makes leases number 0 to `count` - 1; the size of the answer to the acquire of one of them."""
    size = 0
    for number in range(count):
        reply = daemon.acquire(f"user{number}", "demo")
        if reply.status != 201:
            raise BenchmarkError(f"a lease could not be made: {reply}")
    for number in range(count):
        size = max(size, len(daemon.acquire(f"user{number}", "demo").body))
    return size


def acquires(daemon: Daemon, source: str) -> float:
    """How many acquires were served from `source` so far."""
    return daemon.page().sum("acquires_total", source=source)


def measure(bench: Bench) -> Iterator[Result]:
    hot = bench.daemon(LIMITS)
    # No lease is ever fresh: every acquire takes the key's lock and asks the provider, which answers at once.
    probed = bench.daemon(LIMITS | {"HEALTH_FRESH_WINDOW_SECONDS": "0"})
    size = lease_keys(hot, KEYS)
    lease_keys(probed, KEYS)
    hello = bench.serve("hello", size, "application/json").url
    seconds = bench.pick(2, 1)

    def load(url: str, connections: int) -> Load:
        return bench.load(url, connections, seconds, "PUT", 0, KEYS)

    def acquire(daemon: Daemon, source: str, connections: int) -> Load:
        """The load of acquires, each of which was served in the way that is measured."""
        before = acquires(daemon, source)
        done = load(f"http://{daemon.api.host}:{daemon.api.port}", connections)
        served = acquires(daemon, source) - before
        # A fresh window of 0 ms still holds for the request that comes in the same nanosecond.
        if served < 0.99 * done.requests:
            raise BenchmarkError(f"of {done.requests} acquires {served:.0f} were served from {source}")
        return done

    narrow = [
        (load(hello, 64), acquire(hot, "memory", 64), acquire(probed, "verified", 64)) for _ in bench.rounds()
    ]
    yardstick = [yard.rate for yard, _, _ in narrow]
    yield Result(HOT, [ours.rate for _, ours, _ in narrow], yardstick)
    yield Result(HOT_P99, [ours.p99 for _, ours, _ in narrow], [yard.p99 for yard, _, _ in narrow])
    yield Result(ASYNC, [ours.rate for _, _, ours in narrow], yardstick)
    crowd = [(load(hello, 1000), acquire(hot, "memory", 1000)) for _ in bench.rounds()]
    yield Result(CROWD, [ours.rate for _, ours in crowd], [yard.rate for yard, _ in crowd])
