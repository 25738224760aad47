"""Each fault is put into the real daemon, and a real Prometheus with the shipped rules has to see it.

All spans of time in the rules are divided by one factor (scripts/scale_rules.py); the daemon's own are set short.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from drill_lib import Prometheus

from daemon import Daemon, sandbox_path
from redis_support import RedisServer
from wire import Pump, request_bytes

# Four faults and a healthy daemon, scraped by one Prometheus: the start alone takes it some seconds.
FAULTS = {
    "leak": ({}, "user-lock-leak"),
    "stalled": ({"REAPER_INTERVAL_SECONDS": "0.2"}, "reaper-failure"),
    "silent": ({"HEALTH_TIMEOUT_SECONDS": "0.1", "HEALTH_FRESH_WINDOW_SECONDS": "0"}, "health-check-hang"),
    "healthy": ({"REAPER_INTERVAL_SECONDS": "0.2", "HEALTH_FRESH_WINDOW_SECONDS": "0"}, None),
}
LEAK_ALERTS = ("SandboxManagerUserLocksUnbounded", "SandboxManagerUserLockForgotten")


class Drill:
    """The daemons, by name, and the Prometheus that scrapes them."""

    def __init__(self, daemons: dict[str, Daemon], prometheus: Prometheus) -> None:
        self.daemons = daemons
        self.prometheus = prometheus

    def instance(self, name: str) -> str:
        return str(self.daemons[name].metrics)

    def expect(self, alert: str, name: str, deadline: float = 60) -> None:
        """Waits until the alert fires for one daemon, and checks that it does not for the healthy one."""
        self.prometheus.wait_for_alert(alert, "firing", deadline, instance=self.instance(name))
        assert self.prometheus.alert_state(alert, instance=self.instance("healthy")) == "inactive"


@contextmanager
def traffic(daemons: dict[str, Daemon]) -> Iterator[None]:
    """The same requests to each of them, over and over: ever new keys, and a few that are asked for again and again."""
    done = threading.Event()
    trouble: list[BaseException] = []

    def load(daemon: Daemon) -> None:
        try:
            with Pump(daemon.api, connections=8) as pump:
                turn = 0
                while not done.wait(0.05):
                    turn += 1
                    once = [sandbox_path(f"visitor-{turn}-{index}", "demo") for index in range(8)]
                    pump.run(request_bytes("PUT", path) for path in once)
                    pump.run(request_bytes("DELETE", path) for path in once)
                    pump.run(request_bytes("PUT", sandbox_path(f"regular-{index}", "demo")) for index in range(4))
        except BaseException as error:  # noqa: BLE001 (told to the test)
            trouble.append(error)

    workers = [threading.Thread(target=load, args=(daemon,)) for daemon in daemons.values()]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        done.set()
        for worker in workers:
            worker.join()
    assert not trouble, trouble


@pytest.fixture(scope="module")
def drill(launch: Callable[..., Daemon]) -> Iterator[Drill]:
    daemons: dict[str, Daemon] = {}
    try:
        for name, (settings, fault) in FAULTS.items():
            arguments = ("--faults", fault, "--allow-faults") if fault else ()
            daemons[name] = launch({"LIMITS_TOTAL": "1000"} | settings, *arguments)
            daemons[name].start()
        targets = {"sandbox-manager": [str(daemon.metrics) for daemon in daemons.values()]}
        with Prometheus(targets, speedup=240) as prometheus, traffic(daemons):
            prometheus.wait_for_up()
            yield Drill(daemons, prometheus)
    finally:
        for daemon in daemons.values():
            daemon.stop()


@pytest.mark.parametrize("alert", LEAK_ALERTS)
def test_the_leak_of_user_locks_is_seen(drill: Drill, alert: str) -> None:
    drill.expect(alert, "leak")
    assert drill.daemons["leak"].page().sum("user_locks", state="idle") > 10


def test_a_reaper_that_fails_is_seen(drill: Drill) -> None:
    drill.expect("SandboxManagerLoopStalled", "stalled")
    state = drill.prometheus.alert_state("SandboxManagerLoopStalled", instance=drill.instance("stalled"), loop="reaper")
    assert state == "firing"


def test_health_checks_that_time_out_are_seen(drill: Drill) -> None:
    drill.expect("SandboxManagerHealthCheckTimeouts", "silent")


@pytest.mark.parametrize("name", ["leak", "stalled", "silent"])
def test_a_fault_that_is_switched_on_is_seen(drill: Drill, name: str) -> None:
    drill.expect("SandboxManagerFaultInjectionActive", name)


def test_nothing_fires_for_the_daemon_without_a_fault(drill: Drill) -> None:
    # After the others, so that there was time and traffic enough for every alert to fire where it should.
    for alert, name in [(alert, "leak") for alert in LEAK_ALERTS] + [
        ("SandboxManagerLoopStalled", "stalled"),
        ("SandboxManagerHealthCheckTimeouts", "silent"),
    ]:
        drill.expect(alert, name)
    assert drill.prometheus.raised(alertstate="firing", instance=drill.instance("healthy")) == set()
    page = drill.daemons["healthy"].page()
    assert page.sum("acquires_total") > 100
    assert page.sum("user_locks", state="idle") == 0
    assert drill.prometheus.rule_errors() == []


def test_SandboxManagerDown_fires_for_a_daemon_that_is_gone_and_resolves_when_it_is_back(
    start: Callable[..., Daemon], launch: Callable[..., Daemon]
) -> None:
    first = start()
    with Prometheus({"sandbox-manager": [str(first.metrics)]}) as prometheus:
        prometheus.wait_for_up()
        address = str(first.metrics)
        first.stop()
        prometheus.wait_for_alert("SandboxManagerDown", "firing", 30)
        # The port was free a moment ago, and nobody else was told of it.
        second = start({"METRICS_LISTEN": address})
        prometheus.wait_for_alert("SandboxManagerDown", "inactive", 30)
        assert "firing" in prometheus.states_seen("SandboxManagerDown")
        assert str(second.metrics) == address


@pytest.mark.parametrize(("lose", "bring_back"), [("freeze", "thaw"), ("kill", "start")])
def test_SandboxManagerStoreDegraded_fires_while_Redis_is_away_and_resolves_when_it_is_back(
    start: Callable[..., Daemon], lose: str, bring_back: str
) -> None:
    alert = "SandboxManagerStoreDegraded"
    with RedisServer() as redis:
        # Traffic, because nobody notices a frozen Redis who does not ask it; and a daemon that needs none, to compare.
        daemons = {
            "shared": start({"LIMITS_TOTAL": "1000", "REDIS_URL": redis.url}),
            "alone": start({"LIMITS_TOTAL": "1000"}),
        }
        shared, alone = (str(daemon.metrics) for daemon in daemons.values())
        with Prometheus({"sandbox-manager": [shared, alone]}) as prometheus, traffic(daemons):
            prometheus.wait_for_up()
            in_use = f'sandbox_manager_store_mode{{mode="redis", instance="{shared}"}} == 1'
            prometheus.wait_for_query(in_use, 30)
            prometheus.wait_for_alert(alert, "inactive", 30)
            prometheus.mark()
            getattr(redis, lose)()
            prometheus.wait_for_alert(alert, "firing", 60, instance=shared)
            assert prometheus.states_seen(alert, instance=shared) == ["pending", "firing"]
            getattr(redis, bring_back)()
            prometheus.wait_for_query(in_use, 60)
            prometheus.wait_for_alert(alert, "inactive", 30, instance=shared)
            assert alert not in prometheus.raised(instance=alone)
            assert prometheus.rule_errors() == []
