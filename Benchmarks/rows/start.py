"""From the start of the daemon until it is ready, with an empty store and with many leases in Redis."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping

from daemon import DEFAULTS, environment
from redis_support import RedisServer

from frame import Bench, BenchmarkError, Result, Row, at_most

READY = Row("start-to-ready", "start to ready", "running `true`", "ms", at_most(150))
REDIS = Row("start-to-ready-redis", "start to ready, 100,000 leases in Redis", "the same, Redis empty", "ms", at_most(150))
ROWS = [READY, REDIS]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on right now; the daemon must be asked before it can say which it got."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until_ready(bench: Bench, settings: Mapping[str, str]) -> float:
    """Milliseconds from the fork until /readyz says yes."""
    api, metrics = free_ports(2)
    listen = {"API_LISTEN": f"127.0.0.1:{api}", "METRICS_LISTEN": f"127.0.0.1:{metrics}"}
    named = environment(bench.folder, DEFAULTS | dict(settings) | listen)
    began = time.perf_counter()
    with subprocess.Popen(
        [str(bench.daemon_path)], env=named, cwd=bench.folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            while not is_ready(metrics):
                if process.poll() is not None or time.perf_counter() - began > 60:
                    raise BenchmarkError(f"a daemon did not become ready; status {process.poll()}")
                time.sleep(0.001)
            return 1000 * (time.perf_counter() - began)
        finally:
            process.kill()


def is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except ConnectionError:
        return False
    finally:
        connection.close()


def nothing() -> float:
    """Milliseconds that a process takes which does nothing."""
    began = time.perf_counter()
    subprocess.run(["true"], check=True)
    return 1000 * (time.perf_counter() - began)


def fill(bench: Bench, url: str, leases: int) -> None:
    """Leases of a daemon that ends without ending them."""
    from rows.memory import ROOMY, send
    from wire import Pump

    daemon = bench.daemon(ROOMY | {"REDIS_URL": url, "ENVIRONMENT": "bench"})
    with Pump(daemon.api, connections=64) as pump:
        send(pump, "PUT", range(leases), 201)
    assert daemon.process is not None
    daemon.process.kill()
    daemon.process.wait()


def measure(bench: Bench) -> Iterator[Result]:
    rounds = bench.rounds(7)
    until_ready(bench, {})
    pairs = [(until_ready(bench, {}), nothing()) for _ in rounds]
    yield Result(READY, [ours for ours, _ in pairs], [theirs for _, theirs in pairs])
    with RedisServer() as empty, RedisServer() as full:
        fill(bench, full.url, round(bench.pick(100_000, 1000)))
        settings = {"ENVIRONMENT": "bench"}
        # The one of them that was filled is not listed by a provider any more: as after a crash of every daemon.
        pairs = [
            (until_ready(bench, settings | {"REDIS_URL": full.url}), until_ready(bench, settings | {"REDIS_URL": empty.url}))
            for _ in rounds
        ]
    yield Result(REDIS, [ours for ours, _ in pairs], [theirs for _, theirs in pairs])
