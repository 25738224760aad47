"""Drills of the alerts on creates, locks, slots and the provider's key: the real daemon, a real Prometheus, the
shipped rules sped up.

Each alert is seen firing while its fault lasts and gone when it is over, and it does not concern a daemon in health.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from threading import Event

import pytest
from daemon import Daemon
from drill_lib import Prometheus
from e2b_support import FakeE2B

# As in test_drills.py.
pytestmark = pytest.mark.alone


@contextmanager
def repeated(*loads: Callable[[], object]) -> Iterator[None]:
    """Does all of these over and over, at a pace that leaves the machine to others."""
    done = Event()

    def repeat(load: Callable[[], object]) -> None:
        while not done.wait(0.05):
            load()

    with ThreadPoolExecutor(max_workers=len(loads)) as pool:
        running = [pool.submit(repeat, load) for load in loads]
        try:
            yield
        finally:
            done.set()
        for finished in running:
            finished.result()


def use(daemon: Daemon, numbers: Iterator[int]) -> None:
    """A lease of a new user, had and given back."""
    user = f"user{next(numbers)}"
    assert daemon.acquire(user, "web").status == 201
    assert daemon.release(user, "web").status == 204


def test_creates_that_hang_are_seen_by_what_they_hold_and_whom_they_keep_waiting(start: Callable[..., Daemon]) -> None:
    # Sped up, a lock may be held for 1.25 s and waited for for 0.5 s; a create hangs for three, and each one does.
    slow = {"CREATE_TIMEOUT_SECONDS": "3", "CREATE_RETRIES": "0", "REQUEST_DEADLINE_SECONDS": "6"}
    slow |= {"BREAKER_MINIMUM_CALLS": "100000"}
    broken = start(slow | {"LIMITS_TOTAL": "1000"}, "--faults", "provider-create-hang", "--allow-faults")
    sound = start({"LIMITS_TOTAL": "1000"})
    hanging = [lambda name=f"user{n % 8}": broken.acquire(name, "web") for n in range(16)]
    healthy, numbers = str(sound.metrics), count()
    with Prometheus({"sandbox-manager": [str(broken.metrics), healthy]}) as prometheus:
        prometheus.wait_for_up()
        alerts = ["UserLockHeldTooLong", "OldestWaiterTooOld", "CreateFailures"]
        with repeated(*hanging, lambda: use(sound, numbers)):
            for alert in alerts:
                prometheus.wait_for_alert(f"SandboxManager{alert}", "firing", 60, instance=str(broken.metrics))
        for alert in alerts:
            prometheus.wait_for_alert(f"SandboxManager{alert}", "inactive", 30)
        assert prometheus.raised(instance=healthy) == set()
        assert prometheus.rule_errors() == []


def test_SandboxManagerTotalSlotsNearlyExhausted_fires_until_there_is_room(start: Callable[..., Daemon]) -> None:
    alert = "SandboxManagerTotalSlotsNearlyExhausted"
    daemon = start({"LIMITS_TOTAL": "10", "LIMITS_PER_USER": "10"})
    with Prometheus({"sandbox-manager": [str(daemon.metrics)]}) as prometheus:
        prometheus.wait_for_up()
        for number in range(9):
            assert daemon.acquire("ann", f"web{number}").status == 201
        prometheus.wait_for_query("instance:sandbox_manager_slots:ratio == 0.9", 30)
        assert daemon.acquire("ann", "one-more").status == 201
        prometheus.wait_for_alert(alert, "firing", 30)
        assert prometheus.states_seen(alert) == ["pending", "firing"]
        assert daemon.release("ann", "one-more").status == 204
        prometheus.wait_for_alert(alert, "inactive", 30)


def test_SandboxManagerProviderUnauthorized_fires_while_the_key_is_refused(
    start: Callable[..., Daemon], cloud: FakeE2B
) -> None:
    alert = "SandboxManagerProviderUnauthorized"
    daemon = start({**cloud.environment(), "PROVIDER": "e2b", "LIMITS_TOTAL": "1000"})
    numbers = count()
    with Prometheus({"sandbox-manager": [str(daemon.metrics)]}) as prometheus:
        prometheus.wait_for_up()
        cloud.fault("*", "status", status=401, times=0)
        with repeated(lambda: daemon.acquire(f"user{next(numbers)}", "web")):
            prometheus.wait_for_alert(alert, "firing", 60, instance=str(daemon.metrics))
        cloud.admin("DELETE", "faults")
        with repeated(lambda: daemon.acquire("ann", "web"), lambda: daemon.release("ann", "web")):
            prometheus.wait_for_alert(alert, "inactive", 30)
        assert prometheus.states_seen(alert) == ["pending", "firing"]
