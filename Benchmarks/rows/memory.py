"""Live heap: for each lease, for each key that had one, and for each entry of every collection, which the alert on heap
beyond its budget counts with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from daemon import Daemon, sandbox_path
from waiting import wait_until
from wire import Pump, connect, request_bytes

from frame import Bench, BenchmarkError, Result, Row, at_most

LEASE = Row("heap-per-lease", "live heap per lease at 100,000, without the provider's own table", "", "bytes", at_most(700))
RELEASED = Row("heap-per-released-key", "live heap per key, all of 100,000 released", "", "bytes", at_most(1))
IDLE = Row("idle-anonymous", "anonymous resident memory of an idle daemon", "", "MB", at_most(25))
CONDEMNED = Row("heap-per-condemned", "live heap per sandbox that should be dead and is not", "", "bytes")
# On the daemon, with the provider's table: what an operator's /metrics shows.
SIZES = [10_000, 50_000, 100_000]
DAEMON = [Row(f"daemon-heap-per-lease-{size}", f"the daemon's live heap per lease at {size:,}", "", "bytes") for size in SIZES]
RECORDED = Row("daemon-heap-per-recorded-key", "the daemon's live heap per key in the flight recorder", "", "bytes")
BUCKET = Row("daemon-heap-per-rate-bucket", "the daemon's live heap per rate bucket", "", "bytes")
CREATION = Row("daemon-heap-per-creation", "the daemon's live heap per creation under way: intent, lock and task", "", "bytes")
CONNECTION = Row("daemon-heap-per-connection", "the daemon's live heap per idle connection", "", "bytes")
ROWS = [LEASE, RELEASED, CONDEMNED, IDLE, *DAEMON, RECORDED, BUCKET, CREATION, CONNECTION]

ROOMY = {"LIMITS_TOTAL": "1000000", "LEASE_MAX_AGE_SECONDS": "86400", "LEASE_IDLE_TIMEOUT_SECONDS": "80000"}


def live(daemon: Daemon) -> float:
    return daemon.page().sum("malloc_in_use_bytes")


def entries(daemon: Daemon, collection: str) -> float:
    return daemon.page().sum("collection_entries", collection=collection)


def send(pump: Pump, method: str, numbers: range, status: int, name: str = "user") -> None:
    """A request for each of the keys, all of which end as they should."""
    counts = pump.run(request_bytes(method, sandbox_path(f"{name}-{number}", "demo")) for number in numbers)
    if counts != {status: len(numbers)}:
        raise BenchmarkError(f"{method}: {counts}, not {len(numbers)} times {status}")


def settled(daemon: Daemon) -> None:
    """Nothing is under way any more."""
    wait_until(lambda: daemon.page().sum("operations_in_flight") + entries(daemon, "kill_outbox") == 0, "idle", 60)


def anonymous_megabytes(daemon: Daemon) -> float:
    for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise BenchmarkError("the kernel does not tell RssAnon")


def per_lease(bench: Bench) -> Iterator[Result]:
    daemon = bench.daemon(ROOMY)
    with Pump(daemon.api, connections=64) as pump:
        # What does not depend on the number of leases is there from then on: the flight recorder, buffers.
        send(pump, "PUT", range(2000), 201, "first")
        send(pump, "DELETE", range(2000), 204, "first")
        settled(daemon)
        empty = live(daemon)
        done = 0
        for row, full in zip(DAEMON, SIZES):
            size = round(full * bench.pick(1, 0.02))
            send(pump, "PUT", range(done, size), 201)
            done = size
            yield Result(row, [(live(daemon) - empty) / size])


def per_recorded_key(bench: Bench) -> Result:
    daemon = bench.daemon(ROOMY)
    with Pump(daemon.api, connections=64) as pump:
        live(daemon)
        empty = live(daemon)
        for _ in range(8):
            send(pump, "PUT", range(500), 201)
            send(pump, "DELETE", range(500), 204)
        settled(daemon)
        return Result(RECORDED, [(live(daemon) - empty) / entries(daemon, "flight_recorder")])


def per_rate_bucket(bench: Bench) -> Result:
    count = round(bench.pick(9000, 1000))
    daemon = bench.daemon(ROOMY | {"RATE_CREATES_PER_USER_PER_MINUTE": "1", "RATE_BURST": "10"})
    unlimited = bench.daemon(ROOMY)
    sizes = []
    for one in (daemon, unlimited):
        with Pump(one.api, connections=64) as pump:
            send(pump, "PUT", range(count), 201)
            send(pump, "DELETE", range(count), 204)
            settled(one)
            sizes.append(live(one))
    return Result(BUCKET, [(sizes[0] - sizes[1]) / entries(daemon, "rate_buckets")])


def per_creation(bench: Bench, connection_bytes: float) -> Result:
    count = round(bench.pick(3000, 300))
    daemon = Daemon(bench.daemon_path, bench.folder / "hanging", ROOMY | {"FAULTS": "provider-create-hang", "ALLOW_FAULTS": "true"})
    with daemon:
        live(daemon)
        empty = live(daemon)
        for number in range(count):
            # Nobody waits for it; the creation goes on.
            with connect(daemon.api) as connection:
                connection.sendall(request_bytes("PUT", sandbox_path(f"user-{number}", "demo")))
        wait_until(lambda: entries(daemon, "intents") == count, "all creations are under way", 60)
        # The server keeps the connection until it has an answer for it.
        kept = daemon.page().sum("http_connections") - 1
        size = (live(daemon) - empty - kept * connection_bytes) / count
        assert daemon.process is not None
        daemon.process.kill()
    return Result(CREATION, [size])


def per_connection(bench: Bench) -> Result:
    count = round(bench.pick(1000, 200))
    daemon = bench.daemon(ROOMY)
    live(daemon)
    empty = live(daemon)
    with Pump(daemon.api, connections=count) as pump:
        send(pump, "GET", range(count), 404)
        size = (live(daemon) - empty) / count
    return Result(CONNECTION, [size])


def measure(bench: Bench) -> Iterator[Result]:
    leases = round(bench.pick(100_000, 5000))
    told = bench.output("growth-benchmark", "heap", leases, timeout=300) + bench.output("growth-benchmark", "outbox", leases // 5)
    figures = {name: float(figure) for name, _, figure in map(str.split, told.splitlines())}
    yield Result(LEASE, [figures["per-lease"]])
    yield Result(RELEASED, [figures["per-released-key"]])
    yield Result(CONDEMNED, [figures["per-condemned"]])
    yield Result(IDLE, [anonymous_megabytes(bench.daemon(ROOMY)) for _ in bench.rounds(3)])
    yield from per_lease(bench)
    yield per_recorded_key(bench)
    yield per_rate_bucket(bench)
    connection = per_connection(bench)
    yield connection
    yield per_creation(bench, connection.ours[0])
