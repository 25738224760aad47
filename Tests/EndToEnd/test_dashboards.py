"""The boards in dashboards/ show data: each of their queries is put to a real Prometheus that has watched real daemons.

Four daemons are loaded so that every panel has something to show: one in health, one whose creates hang and whose user
locks and reaper are broken, one whose sandboxes do not answer, and one whose Redis comes and goes. The faults of the
daemons are their own drill faults.
"""

from __future__ import annotations

import importlib.util
import json
import math
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event
from types import ModuleType
from typing import Any

import pytest
from daemon import Daemon, sandbox_path
from drill_lib import Prometheus
from redis_support import RedisServer
from waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "dashboards").glob("*.json"))}
JOB = "sandbox-manager"
FAULTS = {"ALLOW_FAULTS": "true", "REAPER_INTERVAL_SECONDS": "0.3"}
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
    'ALERTS{alertname="SandboxManagerFaultInjectionActive", alertstate="firing"}',
    "instance:sandbox_manager_user_locks:excess offset 4s",
]

# Spans that boards look back over, and what becomes of them in a run of seconds.
SPANS = {"1d": "2s", "1h": "6s", "5m": "1s"}

# Panels that may show nothing but zeros under this load, and why.
FLAT = {
    "Ownership mismatches": "takes a second manager on the same account of a provider",
    "Provider: refusals by a limit": "a simulated provider has none",
    "Kill outbox: entries": "a simulated sandbox dies at once, and no scrape need see it dying",
    "Kill outbox: oldest entry": "as the entries",
    "Drift by kind": "in health there is none",
    "Orphans by action": "as the drift",
}


def board_queries() -> Iterator[tuple[str, str, str]]:
    """(board, panel or annotation, expression) for every query there is."""
    for name, board in BOARDS.items():
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                yield name, panel["title"], target["expr"]
        for annotation in board["annotations"]["list"]:
            yield name, annotation["name"], annotation["expr"]


QUERIES = list(board_queries())


@dataclass
class Run:
    """What was seen of the daemons, and how to ask about it."""

    prometheus: Prometheus
    daemons: list[Daemon]
    began: float
    ended: float

    def resolve(self, expression: str, job: str = ".+", instance: str | None = None) -> str:
        """The expression as Grafana sends it: the variables replaced, several values as one regular expression."""
        chosen = instance or "(" + "|".join(re.escape(str(d.metrics)).replace("\\", "\\\\") for d in self.daemons) + ")"
        values = {
            "$__rate_interval": "2s",
            "$__range": f"{math.ceil(self.ended - self.began)}s",
            "$job": job,
            "$instance": chosen,
        }
        for name, value in values.items():
            expression = expression.replace(name, value)
        assert "$" not in expression, expression
        return re.sub(r"(\[|offset )(\d+[mhd])\b", lambda found: found[1] + SPANS[found[2]], expression)

    def values(self, expression: str) -> list[float]:
        """Every number that a resolved expression had in the course of the run; NaN, which no panel draws, left out."""
        span = math.ceil(self.ended - self.began)
        result = self.prometheus.query(f"({expression})[{span}s:250ms]", at=self.ended)
        numbers = [float(text) for series in result for _, text in series["values"]]
        return [number for number in numbers if not math.isnan(number)]


@pytest.fixture(scope="module")
def run(launch: Callable[..., Daemon]) -> Iterator[Run]:
    """Four daemons under load until every milestone is reached."""
    stopping = Event()
    with RedisServer() as redis, ThreadPoolExecutor(max_workers=32) as pool:
        settings = (HEALTHY, CREATES_HANG, PROBES_HANG, SHARED | {"REDIS_URL": redis.url})
        daemons = [launch(chosen) for chosen in settings]
        try:
            for daemon in daemons:
                daemon.start()
            began = time.time()
            with Prometheus({JOB: [str(daemon.metrics) for daemon in daemons]}) as prometheus:
                prometheus.wait_for_up()
                loads = [pool.submit(repeat, stopping, load, daemons[0]) for load in (use, err)]
                loads.append(pool.submit(repeat, stopping, crowd, daemons[0], count()))
                loads += [pool.submit(repeat, stopping, create, daemons[1], f"user{n % 3}") for n in range(9)]
                loads.append(pool.submit(repeat, stopping, probe, daemons[2]))
                loads += [pool.submit(repeat, stopping, share, daemons[3], f"user{n}") for n in range(4)]
                loads.append(pool.submit(repeat, stopping, interrupt, redis, stopping))
                try:
                    for milestone in MILESTONES:
                        wait_until(lambda: reached(prometheus, milestone, loads), milestone, deadline=60, poll=0.2)
                finally:
                    stopping.set()
                for finished in loads:
                    finished.result()
                yield Run(prometheus, daemons, began, time.time())
        finally:
            stopping.set()
            for daemon in daemons:
                daemon.stop()


def reached(prometheus: Prometheus, milestone: str, loads: list[Future[None]]) -> bool:
    """Whether it has happened; a load that failed says so at once."""
    for load in loads:
        if load.done():
            load.result()
    return bool(prometheus.query(milestone))


# The load


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


def interrupt(redis: RedisServer, stopping: Event) -> None:
    """An outage of the store, and some seconds in which it is there."""
    stopping.wait(3)
    redis.kill()
    stopping.wait(2)
    redis.start()


# The tests


@pytest.mark.parametrize(("board", "title", "expression"), QUERIES, ids=[f"{b}-{t}" for b, t, _ in QUERIES])
def test_every_query_returns_data(run: Run, board: str, title: str, expression: str) -> None:
    values = run.values(run.resolve(expression))
    assert values, f"{title} of {board}: no data from {run.resolve(expression)}"


@pytest.mark.parametrize("board", BOARDS)
def test_every_panel_shows_something_that_happened(run: Run, board: str) -> None:
    flat = set()
    for name in {title for where, title, _ in QUERIES if where == board}:
        expressions = [expression for where, title, expression in QUERIES if (where, title) == (board, name)]
        if not any(value != 0 for expression in expressions for value in run.values(run.resolve(expression))):
            flat.add(name)
    assert flat - FLAT.keys() == set(), "panels that the load does not exercise"


@pytest.mark.parametrize("choice", [{"job": "another"}, {"instance": "another"}], ids=["job", "instance"])
def test_no_query_shows_what_was_not_chosen(run: Run, choice: dict[str, str]) -> None:
    for board, title, expression in QUERIES:
        shown = run.values(run.resolve(expression, **choice))
        assert not any(shown), f"{title} of {board}: {expression}"


@pytest.mark.parametrize("board", BOARDS)
def test_the_variables_offer_what_is_there(run: Run, board: str) -> None:
    offered: dict[str, set[str]] = {}
    for variable in BOARDS[board]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()
        series = run.prometheus.query(run.resolve(f"group by ({label}) ({metric})"))
        offered[variable["name"]] = {found["metric"][label] for found in series}
    assert offered == {"job": {JOB}, "instance": {str(daemon.metrics) for daemon in run.daemons}}


def test_boards_alerts_runbooks_and_the_daemons_own_metrics_agree(run: Run, tmp_path: Path) -> None:
    pages = tmp_path / "metrics"
    pages.write_text(run.daemons[0].observe("/metrics").text)
    checker = load_script("check-dashboards")
    catalogue = checker.read_catalogue(pages.read_text())
    assert checker.check(ROOT / "dashboards", ROOT / "alerts", catalogue) == []


def test_no_shipped_rule_fails_on_the_daemons_own_metrics(run: Run) -> None:
    assert run.prometheus.rule_errors() == []


def load_script(name: str) -> ModuleType:
    """A script whose name is no name of a module."""
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
