"""What the boards show, and how to ask for it: five daemons under a load that gives every panel something to draw.

One is in health; one has creates that hang, and broken user locks and a broken reaper; the sandboxes of one do not
answer; the Redis of one comes and goes; one has a provider in trouble, and sandboxes that are in nobody's books. The
faults of the daemons are their own drill faults, those of the provider are the fake cloud's.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

from daemon import Daemon, sandbox_path
from drill_lib import Prometheus
from e2b_support import FakeE2B
from redis_support import RedisServer, plain_key
from waiting import wait_until

Board = dict[str, Any]
Panel = dict[str, Any]
Launch = Callable[[Mapping[str, str]], Daemon]

ROOT = Path(__file__).resolve().parents[2]
BOARDS: dict[str, Board] = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "dashboards").glob("*.json"))
}
JOB = "sandbox-manager"

FAULTS = {"ALLOW_FAULTS": "true", "REAPER_INTERVAL_SECONDS": "0.3", "LIMITS_TOTAL": "20"}
HEALTHY = {
    "LIMITS_PER_USER": "2",
    "LIMITS_TOTAL": "5",
    "HEALTH_FRESH_WINDOW_SECONDS": "0.3",
    "REAPER_INTERVAL_SECONDS": "0.3",
    "RECONCILER_INTERVAL_SECONDS": "1",
    "POOL_TARGET": "1",
}
CREATES_HANG = FAULTS | {
    "FAULTS": "provider-create-hang,user-lock-leak,reaper-failure",
    "CREATE_TIMEOUT_SECONDS": "0.2",
    "CREATE_RETRIES": "1",
    "CREATE_RETRY_DELAY_SECONDS": "0.05",
    # One create that hangs is followed by three listings that do not. The breaker opens only after some calls: until
    # then creations last longer than callers wait.
    "BREAKER_FAILURE_RATIO": "0.2",
    "BREAKER_MINIMUM_CALLS": "20",
    "BREAKER_OPEN_SECONDS": "0.5",
    # Shorter than two attempts and their aftermath: callers give up waiting.
    "REQUEST_DEADLINE_SECONDS": "2.5",
}
PROBES_HANG = FAULTS | {
    "FAULTS": "health-check-hang",
    "HEALTH_TIMEOUT_SECONDS": "0.2",
    "HEALTH_FRESH_WINDOW_SECONDS": "0",
}
SHARED = HEALTHY | {"RATE_CREATES_PER_USER_PER_MINUTE": "60", "RATE_BURST": "3"}
TROUBLED = {
    "PROVIDER": "e2b",
    "LIMITS_PER_USER": "10",
    "LIMITS_TOTAL": "40",
    "RECONCILER_INTERVAL_SECONDS": "1",
    "RECONCILER_GRACE_SECONDS": "1",
    "KILL_TIMEOUT_SECONDS": "1",
    "CREATE_RETRY_DELAY_SECONDS": "0.05",
    "BREAKER_MINIMUM_CALLS": "100000",
}
# How the daemons are called where `instance` is not their address.
NAMES = ("healthy", "creates-hang", "probes-hang", "redis-away", "cloud-troubled")

# What has happened once all panels have something to show.
MILESTONES = [
    'sandbox_manager_limit_rejections_total{scope="user"} > 0',
    'sandbox_manager_limit_rejections_total{scope="total"} > 0',
    'sandbox_manager_acquire_phase_duration_seconds_count{phase="connect"} > 0',
    'sandbox_manager_acquires_total{source="verified"} > 0',
    "sandbox_manager_retries_exhausted_total > 0",
    "instance:sandbox_manager_creates_failed:increase10m > 0",
    "instance:sandbox_manager_slots:ratio > 0",
    "sum(sandbox_manager_provider_sandboxes) > 0",
    "sum(sandbox_manager_sandbox_seconds_total) > 0",
    'sum(rate(sandbox_manager_sandbox_seconds_total{use="killing"}[2s])) > 0',
    "sum(sandbox_manager_creates_ambiguous_total) > 0",
    "sandbox_manager_user_lock_idle_oldest_age_seconds > 0",
    "sandbox_manager_user_lock_timeouts_total > 0",
    "sum(sandbox_manager_collection_evictions_total) > 0",
    "instance:sandbox_manager_health_checks_timed_out:ratio_rate10m > 0",
    'sandbox_manager_breaker_rejections_total{upstream="provider"} > 0',
    'sandbox_manager_rate_limited_total{scope="user"} > 0',
    'sandbox_manager_store_mode{mode="redis"} > 0',
    'sandbox_manager_store_mode{mode="degraded"} > 0',
    'sandbox_manager_redis_connections{state="connected"} > 0',
    'sandbox_manager_redis_reconnects_total{result="ok"} > 0',
    'sum(sandbox_manager_retries_total{operation="store"}) > 0',
    "instance:sandbox_manager_redis_commands_failed:ratio_rate5m > 0",
    "sandbox_manager_kill_outbox_entries > 0",
    "sandbox_manager_kill_outbox_oldest_age_seconds > 0",
    'rate(sandbox_manager_provider_requests_total{result="http_429_rate"}[2s]) > 0',
    "sum(sandbox_manager_ledger_drift) > 0",
    "sum(rate(sandbox_manager_orphans_total[2s])) > 0",
    "rate(sandbox_manager_ownership_mismatches_total[2s]) > 0",
    'ALERTS{alertname="SandboxManagerFaultInjectionActive", alertstate="firing"}',
    "instance:sandbox_manager_user_locks:excess offset 4s",
]

# Spans that boards look back over, and what becomes of them in a run of seconds.
SPANS = {"1d": "2s", "1h": "6s", "5m": "1s"}


# What is asked


def panels(board: Board) -> list[Panel]:
    """The panels of a board that show something, in their order."""
    return [panel for panel in board["panels"] if panel.get("targets")]


def queries() -> Iterator[tuple[str, str, str]]:
    """(board, panel or annotation, expression) for every query there is."""
    for name, board in BOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                yield name, panel["title"], target["expr"]
        for annotation in board["annotations"]["list"]:
            yield name, annotation["name"], annotation["expr"]


@dataclass
class Run:
    """What was seen of the daemons, and how to ask about it."""

    prometheus: Prometheus
    daemons: list[Daemon]
    instances: list[str]
    began: float
    ended: float

    def resolve(self, expression: str, job: str = ".+", instance: str | None = None, rate: str = "2s") -> str:
        """The expression as Grafana sends it: the variables replaced, several values as one regular expression."""
        chosen = instance or "(" + "|".join(re.escape(name).replace("\\", "\\\\") for name in self.instances) + ")"
        values = {
            "$__rate_interval": rate,
            "$__range": f"{math.ceil(self.ended - self.began)}s",
            "$job": job,
            "$instance": chosen,
        }
        for name, value in values.items():
            expression = expression.replace(name, value)
        assert "$" not in expression, expression
        return re.sub(r"(\[|offset )(\d+[mhd])\b", lambda found: found[1] + SPANS[found[2]], expression)

    def series(self, expression: str, step: str = "250ms", **choice: str) -> list[dict[str, Any]]:
        """What an expression of a board had in the course of the run; choice: values of variables."""
        span = math.ceil(self.ended - self.began)
        return self.prometheus.query(f"({self.resolve(expression, **choice)})[{span}s:{step}]", at=self.ended)

    def values(self, expression: str, **choice: str) -> list[float]:
        """Every number among that; NaN, which no panel draws, left out."""
        numbers = [float(text) for series in self.series(expression, **choice) for _, text in series["values"]]
        return [number for number in numbers if not math.isnan(number)]


# The load


@contextmanager
def loaded(launch: Launch, seconds: float = 0, named: bool = False, wave: float = 0) -> Iterator[Run]:
    """Runs daemons, stores, clouds and their visitors until every milestone is reached, and `seconds` at the least.

    launch: makes a daemon that does not run yet. named: `instance` is one of NAMES, for people. wave: seconds from one
    crest of the healthy daemon's load to the next; 0 for a load that does not swell and ebb.
    """
    stopping = Event()
    with ExitStack() as stack:
        redis, ledger = (stack.enter_context(RedisServer()) for _ in range(2))
        cloud = FakeE2B("--concurrency", "5000")
        stack.callback(cloud.stop)
        troubled = TROUBLED | cloud.environment() | {"REDIS_URL": ledger.url}
        settings = (HEALTHY, CREATES_HANG, PROBES_HANG, SHARED | {"REDIS_URL": redis.url}, troubled)
        daemons = [stack.enter_context(launch(chosen)) for chosen in settings]
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=48))
        # Before the pool is left, which waits for the visitors.
        stack.callback(stopping.set)
        began = time.time()
        addresses = [str(daemon.metrics) for daemon in daemons]
        names = dict(zip(addresses, NAMES)) if named else {}
        prometheus = stack.enter_context(Prometheus({JOB: addresses}, names=names))
        prometheus.wait_for_up()
        seen = time.time()
        loads = [pool.submit(repeat, stopping, load, daemons[0]) for load in (use, err)]
        loads.append(pool.submit(repeat, stopping, crowd, daemons[0], count()))
        loads += [pool.submit(repeat, stopping, create, daemons[1], f"user{n % 3}") for n in range(9)]
        loads.append(pool.submit(repeat, stopping, probe, daemons[2]))
        loads += [pool.submit(repeat, stopping, share, daemons[3], f"user{n}") for n in range(4)]
        # People want to see the outages apart.
        up, down = (8, 4) if wave else (3, 2)
        loads.append(pool.submit(repeat, stopping, interrupt, redis, stopping, up, down))
        loads += trouble(pool, stopping, daemons[4], cloud, ledger)
        if wave:
            loads += [pool.submit(surge, stopping, daemons[0], n, seen, wave) for n in range(SURGE)]
        try:
            for milestone in MILESTONES:
                wait_until(lambda: reached(prometheus, milestone, loads), milestone, deadline=60, poll=0.2)
            while time.time() < seen + seconds:
                time.sleep(0.2)
                reached(prometheus, "vector(1)", loads)
        finally:
            stopping.set()
        ended = time.time()
        for finished in loads:
            finished.result()
        yield Run(prometheus, daemons, list(names.values()) or addresses, seen if wave else began, ended)


def reached(prometheus: Prometheus, milestone: str, loads: list[Future[None]]) -> bool:
    """Whether it has happened; a load that failed says so at once."""
    for load in loads:
        if load.done():
            load.result()
    return bool(prometheus.query(milestone))


def repeat(stopping: Event, load: Callable[..., None], *arguments: Any) -> None:
    """Does something until it is told to stop, at a pace that leaves the machine to others."""
    while not stopping.is_set():
        load(*arguments)
        stopping.wait(0.02)


def use(daemon: Daemon) -> None:
    """A life of a lease: created, used, probed, paused, resumed, released."""
    path = sandbox_path("alice", "demo")
    if daemon.acquire("alice", "demo").status == 503:
        # The crowd has taken every slot; it will not keep them.
        return
    assert daemon.acquire("alice", "demo").status == 200
    for method, action in [("GET", ""), ("POST", "/keepalive"), ("POST", "/report-unhealthy"), ("POST", "/pause")]:
        assert daemon.request(method, path + action).status == 200
    assert daemon.acquire("alice", "demo").status == 200
    # Past the fresh window, so that it is probed before it is handed out again.
    wait_until(lambda: daemon.acquire("alice", "demo").json["source"] == "verified", "probed", poll=0.35)
    assert daemon.request("GET", "/v1/explain/alice/demo").status == 200
    assert daemon.sandboxes()
    assert daemon.stats()
    assert daemon.release("alice", "demo").status == 204


def crowd(daemon: Daemon, rounds: Iterator[int]) -> None:
    """Users that run into their own limit and into that of all; others in each round, so that memory fills up."""
    taken = []
    number = next(rounds)
    for user in (f"bob{number}", f"carol{number}", f"dave{number}"):
        for project in ("one", "two", "three"):
            if daemon.acquire(user, project).status < 300:
                taken.append((user, project))
    for user, project in taken:
        daemon.release(user, project)


def err(daemon: Daemon) -> None:
    """Callers' mistakes, commands among them: nothing runs in a simulation."""
    assert daemon.request("GET", "/v1/nothing").status == 404
    assert daemon.request("GET", sandbox_path("nobody", "nothing")).status == 404
    assert daemon.acquire("erin", "demo", {"template": 7}).status == 400
    assert daemon.execute("nobody", "nothing", "true").status == 404
    assert daemon.observe("/healthz").status == 200
    assert daemon.observe("/readyz").status == 200


def create(daemon: Daemon, user: str) -> None:
    """A create that hangs; several callers want the same."""
    assert daemon.acquire(user, "demo").status >= 429


def probe(daemon: Daemon) -> None:
    """An acquire whose probe hangs: the lease is kept, the caller gets an error."""
    assert daemon.acquire("frank", "demo").status in (201, 504)


def share(daemon: Daemon, user: str) -> None:
    """A lease in a store that may be away, whatever comes of it."""
    daemon.acquire(user, "demo")
    daemon.release(user, "demo")


def interrupt(redis: RedisServer, stopping: Event, up: float, down: float) -> None:
    """An outage of the store, and some seconds in which it is there."""
    stopping.wait(up)
    redis.kill()
    stopping.wait(down)
    redis.start()


# A provider in trouble


def trouble(
    pool: ThreadPoolExecutor, stopping: Event, daemon: Daemon, cloud: FakeE2B, ledger: RedisServer
) -> list[Future[None]]:
    """A provider that refuses some creates and fails most kills; sandboxes that nobody knows, and one of two owners."""
    assert daemon.acquire("grace", "kept").status == 201
    [kept] = cloud.sandboxes()
    cloud.fault("create", "status", status=429, share=0.2, times=0)
    cloud.fault("kill", "status", status=500, share=0.6, times=0)
    return [
        pool.submit(repeat, stopping, share, daemon, "henry"),
        pool.submit(repeat, stopping, share, daemon, "irene"),
        pool.submit(repeat, stopping, lose, cloud, kept["metadata"], count(), stopping),
        pool.submit(repeat, stopping, mix_up, daemon, ledger, kept["id"], stopping),
    ]


def lose(cloud: FakeE2B, labels: dict[str, str], numbers: Iterator[int], stopping: Event) -> None:
    """A sandbox with our labels that no book knows of."""
    metadata = labels | {"sandbox_manager_token": f"stray{next(numbers)}"}
    # Refused by the fault of creates now and then, like everybody's.
    cloud.call("POST", "/sandboxes", {"templateID": "base", "timeout": 600, "metadata": metadata})
    stopping.wait(1)


def mix_up(daemon: Daemon, ledger: RedisServer, sandbox: str, stopping: Event) -> None:
    """The store says that a sandbox is somebody's whose it is not, as an earlier manager would have noted it."""
    ledger("SET", plain_key("mallory", "demo"), sandbox)
    share(daemon, "mallory")
    stopping.wait(1)


# Waves, for people to look at

SURGE = 12


def surge(stopping: Event, daemon: Daemon, number: int, began: float, wave: float) -> None:
    """A visitor who comes when the wave is high enough for their number, and uses one lease for a while."""
    while not stopping.wait(0.05):
        height = 0.5 - 0.5 * math.cos(2 * math.pi * (time.time() - began) / wave)
        if number < SURGE * height and daemon.acquire(f"surge{number}", "demo").status < 300:
            for _ in range(6):
                stopping.wait(0.05)
                daemon.acquire(f"surge{number}", "demo")
            daemon.release(f"surge{number}", "demo")
