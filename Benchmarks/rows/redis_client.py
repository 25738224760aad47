"""The Redis client: GETs of many tasks on one client, and of one caller, beside redis-benchmark on the same server."""

from __future__ import annotations

import csv
import subprocess
from collections.abc import Iterator

from redis_support import RedisServer

from frame import Bench, Result, Row, ratio_at_least, ratio_at_most

MANY = Row("redis-64-tasks", "GETs of 64 tasks on one client", "redis-benchmark -c 50", "GET/s", ratio_at_least(2))
ONE = Row("redis-1-caller-p50", "a GET of one caller, p50", "redis-benchmark -c 1", "µs", ratio_at_most(2))
ONE_P99 = Row("redis-1-caller-p99", "a GET of one caller, p99", "redis-benchmark -c 1", "µs")
ROWS = [MANY, ONE, ONE_P99]


def yardstick(port: int, clients: int, requests: int) -> tuple[float, float, float]:
    """GETs a second, p50 and p99 in microseconds, of redis-benchmark."""
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", port, "-c", clients, "-n", requests, "-t", "get", "--csv"]
    done = subprocess.run(
        list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=True
    )
    (told,) = [line for line in csv.DictReader(done.stdout.splitlines()) if line["test"] == "GET"]
    return float(told["rps"]), 1000 * float(told["p50_latency_ms"]), 1000 * float(told["p99_latency_ms"])


def measure(bench: Bench) -> Iterator[Result]:
    with RedisServer() as server:

        def client(what: str) -> list[float]:
            share = bench.pick(1, 0.1)
            return [float(part) for part in bench.output("redis-client-benchmark", server.port, what, share).split()]

        rounds = [
            (
                yardstick(server.port, 50, int(bench.pick(200_000, 20_000)))[0],
                client("throughput")[0],
                yardstick(server.port, 1, int(bench.pick(30_000, 3000)))[1:],
                client("latency"),
            )
            for _ in bench.rounds()
        ]
    yield Result(MANY, [ours for _, ours, _, _ in rounds], [theirs for theirs, _, _, _ in rounds])
    for position, row in enumerate((ONE, ONE_P99)):
        yield Result(row, [ours[position] for *_, ours in rounds], [theirs[position] for _, _, theirs, _ in rounds])
