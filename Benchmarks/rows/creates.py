"""Cold creates and reconnects: what the daemon adds to the provider's own calls, in processor time and in latency."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from daemon import Daemon
from redis_support import RedisServer
from waiting import wait_until

from frame import Bench, BenchmarkError, Load, Result, Row, at_most, cpu_seconds, discard

CALLS = "the same calls by a bare libcurl loop"
OWN = "the calls' own latency, by libcurl"
CPU = Row("create-cpu", "processor time of a cold create, 64 at once", CALLS, "ms", at_most(0.3))
CPU_REDIS = Row("create-cpu-redis", "processor time of a cold create with Redis, 64 at once", CALLS, "ms", at_most(0.3))
ALONE = Row("create-overhead", "a cold create alone, overhead at p50", OWN, "ms", at_most(0.5))
ALONE_REDIS = Row("create-overhead-redis", "a cold create alone with Redis, overhead at p50", OWN, "ms", at_most(1.0))
RECONNECT = Row("reconnect-overhead", "reconnect through Redis, overhead at p50", OWN, "ms", at_most(1.5))
ROWS = [CPU, CPU_REDIS, ALONE, ALONE_REDIS, RECONNECT]

LATENCY = 20
"""Milliseconds of a call while reconnects are measured."""

Measured = tuple[float, float]
"""A figure of ours and its yardstick."""


class Cloud:
    """The stand-in for E2B's cloud, the settings of a daemon that uses it, and the bare calls to it."""

    def __init__(self, bench: Bench, milliseconds: int) -> None:
        self._bench = bench
        self._url = bench.serve("cloud", milliseconds).url

    def settings(self, redis: RedisServer | None = None) -> dict[str, str]:
        found = {
            "PROVIDER": "e2b",
            "E2B_API_KEY": "e2b_" + "0123456789abcdef" * 2 + "01234567",
            "E2B_API_URL": self._url,
            "E2B_SANDBOX_URL": self._url,
            "LIMITS_TOTAL": "1000000",
            "LEASE_MAX_AGE_SECONDS": "86400",
            # Comparing the books with the provider is no part of a create.
            "RECONCILER_INTERVAL_SECONDS": "3600",
        }
        return found | ({"REDIS_URL": redis.url} if redis else {})

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self._url + path, timeout=30) as reply:
            return json.load(reply)

    def bare(self, what: str, concurrency: int, count: int, argument: str) -> Measured:
        """Median latency and processor time of a call, both in milliseconds."""
        told = self._bench.output("calls", what, self._url, concurrency, count, argument)
        p50, spent = map(float, told.split())
        return p50 / 1000, spent / 1000

    def last_create(self) -> str:
        return json.dumps(self.get("/last-create"), separators=(",", ":"))


class Creator:
    """A daemon that is asked for new leases."""

    def __init__(self, bench: Bench, cloud: Cloud, redis: RedisServer | None) -> None:
        self._bench = bench
        self._cloud = cloud
        self.daemon = bench.daemon(cloud.settings(redis))
        # The first one waits until the daemon knows what was running before it.
        self.daemon.acquire("user0", "demo")
        self._next = 1
        # Connections are opened, and scripts get into Redis.
        self.load(64)

    def settle(self) -> None:
        """Waits for what wrk left behind when its time was up: a request for each connection."""
        wait_until(lambda: not self.daemon.page().sum("operations_in_flight"), "nothing is under way", 30)

    def load(self, connections: int) -> tuple[Load, float]:
        """The load, and the milliseconds of processor time for each create."""
        creates, spent = self._cloud.get("/counts")["create"], cpu_seconds(self.daemon.pid)
        url = f"http://{self.daemon.api.host}:{self.daemon.api.port}"
        load = self._bench.load(url, connections, self._bench.pick(2, 1), "PUT", self._next, 10_000_000)
        self._next += load.requests + connections
        self.settle()
        spent = cpu_seconds(self.daemon.pid) - spent
        made = self._cloud.get("/counts")["create"] - creates
        if not load.requests <= made <= load.requests + connections:
            raise BenchmarkError(f"{load.requests} acquires led to {made} creates")
        return load, 1000 * spent / made


def measure(bench: Bench) -> Iterator[Result]:
    cloud = Cloud(bench, 0)
    with RedisServer() as redis:
        creators = Creator(bench, cloud, None), Creator(bench, cloud, redis)
        spent: tuple[list[Measured], list[Measured]] = ([], [])
        overheads: tuple[list[Measured], list[Measured]] = ([], [])
        for _ in bench.rounds():
            body = cloud.last_create()
            bare = cloud.bare("create", 64, int(bench.pick(20_000, 2000)), body)[1]
            alone = cloud.bare("create", 1, int(bench.pick(5000, 500)), body)[0]
            for position, creator in enumerate(creators):
                spent[position].append((creator.load(64)[1], bare))
                overheads[position].append((creator.load(1)[0].p50 / 1000 - alone, alone))
        for row, figures in zip((CPU, CPU_REDIS, ALONE, ALONE_REDIS), spent + overheads, strict=True):
            yield Result(row, *zip(*figures, strict=True))
        for creator in creators:
            discard(creator.daemon)
    yield reconnects(bench)


def reconnects(bench: Bench) -> Result:
    """Leases that one daemon has made are asked for at another, which knows of them by Redis alone."""
    cloud = Cloud(bench, LATENCY)
    figures: list[Measured] = []
    seconds = bench.pick(3, 1)
    # More than are asked for in that time.
    count = int(1000 * seconds / (2 * LATENCY))
    with RedisServer() as redis:
        maker = bench.daemon(cloud.settings(redis))
        ids = [maker.acquire(f"user{number}", "demo").json["sandbox_id"] for number in range(count)]
        for _ in bench.rounds(3):
            own = cloud.bare("reconnect", 1, int(bench.pick(50, 10)), ids[0])[0]
            daemon: Daemon = bench.daemon(cloud.settings(redis))
            before = cloud.get("/counts")
            url = f"http://{daemon.api.host}:{daemon.api.port}"
            load = bench.load(url, 1, seconds, "PUT", 0, count)
            after = cloud.get("/counts")
            reconnected = daemon.page().sum("acquires_total", source="reconnected")
            asked = [after[call] - before[call] for call in ("create", "get", "health")]
            if reconnected < load.requests or asked[0] or not asked[1] == asked[2] <= reconnected + 1:
                raise BenchmarkError(
                    f"of {load.requests} acquires {reconnected:.0f} were reconnects; create, get, health: {asked}"
                )
            figures.append((load.p50 / 1000 - own, own))
            discard(daemon)
    return Result(RECONNECT, *zip(*figures, strict=True))
