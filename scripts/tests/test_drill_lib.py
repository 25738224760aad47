"""Drills of the shipped rules on a real Prometheus, against a page that a test writes: pytest scripts/tests.

What these show: the rules, shrunk by one factor, fire for their cause, resolve, and stay quiet next to a healthy
replica. What the daemon itself exposes is the matter of the drills with the daemon.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from drill_lib import DrillError, Prometheus, wait_until

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")

ALERT_A = "SandboxManagerUserLocksUnbounded"
ALERT_C = "SandboxManagerUserLockForgotten"


class Replica:
    """What a daemon would expose, made of a few numbers that a test changes."""

    def __init__(self) -> None:
        self.address = ""
        self.held = 0
        self.idle = 0
        self.in_flight = 3
        self.leaked_at: float | None = None
        self.leak_per_second = 0.0
        self.fault = 0
        self.status = 200
        self.stalled_at: float | None = None

    def page(self) -> str:
        """The exposition of this moment."""
        now = time.time()
        leaked = int((now - self.leaked_at) * self.leak_per_second) if self.leaked_at else 0
        idle_age = now - self.leaked_at if self.leaked_at and self.idle else 0
        success = self.stalled_at or now
        return f"""# TYPE sandbox_manager_build_info gauge
sandbox_manager_build_info{{version="0",revision="0",swift_version="6.3"}} 1
# TYPE sandbox_manager_user_locks gauge
sandbox_manager_user_locks{{state="held"}} {self.held + leaked}
sandbox_manager_user_locks{{state="idle"}} {self.idle}
# TYPE sandbox_manager_user_lock_idle_oldest_age_seconds gauge
sandbox_manager_user_lock_idle_oldest_age_seconds {idle_age}
# TYPE sandbox_manager_operations_in_flight gauge
sandbox_manager_operations_in_flight{{operation="acquire"}} {self.in_flight}
sandbox_manager_operations_in_flight{{operation="reap"}} 0
# TYPE sandbox_manager_fault_injection_active gauge
sandbox_manager_fault_injection_active{{fault="user-lock-leak"}} {self.fault}
# TYPE sandbox_manager_loop_interval_seconds gauge
sandbox_manager_loop_interval_seconds{{loop="reaper"}} 0.25
# TYPE sandbox_manager_loop_last_success_timestamp_seconds gauge
sandbox_manager_loop_last_success_timestamp_seconds{{loop="reaper"}} {success}
"""


@contextmanager
def serving(replica: Replica) -> Iterator[Replica]:
    """Serves the page of a replica on a port that the kernel picks."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = replica.page().encode()
            self.send_response(replica.status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    replica.address = f"127.0.0.1:{server.server_address[1]}"
    try:
        yield replica
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def drill() -> Iterator[tuple[Prometheus, Replica, Replica]]:
    """A Prometheus at speedup 240 with a replica to break and one that stays healthy under changing load."""
    with serving(Replica()) as broken, serving(Replica()) as healthy:
        with Prometheus({"sandbox-manager": [broken.address, healthy.address]}) as prometheus:
            prometheus.wait_for_up()
            healthy.held = healthy.in_flight = 400
            yield prometheus, broken, healthy
            healthy.held = healthy.in_flight = 3
            assert prometheus.rule_errors() == []
            assert prometheus.raised(instance=healthy.address) == set(), "the healthy replica raised an alert"


def test_locks_that_count_as_held_raise_unbounded_and_resolve_when_gone():
    with drill() as (prometheus, broken, _):
        # 200 locks a minute at the real pace.
        broken.leaked_at, broken.leak_per_second = time.time(), 800
        prometheus.wait_for_alert(ALERT_A, "firing", deadline=30, instance=broken.address)
        assert prometheus.alert_state(ALERT_C) == "inactive"
        resolving = time.monotonic()
        broken.leaked_at = None
        prometheus.wait_for_alert(ALERT_A, "inactive", deadline=30)
        assert time.monotonic() - resolving >= prometheus.scaled(600) - 0.5, "keep_firing_for was not honoured"
        assert prometheus.states_seen(ALERT_A) == ["pending", "firing"]
        assert prometheus.fired() == {ALERT_A}


def test_one_forgotten_lock_raises_forgotten_and_resolves_when_removed():
    with drill() as (prometheus, broken, _):
        broken.idle, broken.leaked_at = 1, time.time()
        prometheus.wait_for_alert(ALERT_C, "firing", deadline=30, instance=broken.address)
        broken.idle, broken.leaked_at = 0, None
        prometheus.wait_for_alert(ALERT_C, "inactive", deadline=30)
        assert prometheus.states_seen(ALERT_C) == ["pending", "firing"]
        assert prometheus.fired() == {ALERT_C}


def test_a_stalled_loop_a_fault_and_a_dead_target_are_told_apart():
    with drill() as (prometheus, broken, _):
        broken.fault = 1
        prometheus.wait_for_alert("SandboxManagerFaultInjectionActive", "firing", deadline=30, fault="user-lock-leak")
        broken.stalled_at = time.time()
        prometheus.wait_for_alert("SandboxManagerLoopStalled", "firing", deadline=30, loop="reaper")
        broken.fault, broken.stalled_at = 0, None
        prometheus.wait_for_alert("SandboxManagerLoopStalled", "inactive", deadline=30)
        broken.status = 500
        prometheus.wait_for_alert("SandboxManagerDown", "firing", deadline=30, instance=broken.address)
        broken.status = 200
        prometheus.wait_for_alert("SandboxManagerDown", "inactive", deadline=30)
        assert prometheus.fired() == {
            "SandboxManagerFaultInjectionActive",
            "SandboxManagerLoopStalled",
            "SandboxManagerDown",
        }


def test_down_fires_when_there_is_no_target_at_all():
    with Prometheus({}) as prometheus:
        prometheus.wait_for_alert("SandboxManagerDown", "firing", deadline=30)
        assert prometheus.query('ALERTS{alertname="SandboxManagerDown"}')[0]["metric"].get("instance") is None


def test_busy_health_stays_quiet():
    with drill() as (prometheus, replica, _):
        end = time.monotonic() + 8
        size = 0
        while time.monotonic() < end:
            size = (size * 7 + 13) % 4096
            replica.in_flight, replica.held = size + 2, size
            time.sleep(0.03)
        assert prometheus.raised() == set()


def test_a_speedup_that_leaves_a_range_without_two_scrapes_is_refused():
    with pytest.raises(DrillError, match="does not span two scrapes"):
        Prometheus({}, speedup=1000).start()


def test_an_alert_that_does_not_exist_is_an_error_not_a_quiet_one():
    with Prometheus({}) as prometheus, pytest.raises(DrillError, match="no such alert"):
        prometheus.wait_for_alert("SandboxManagerNoSuchThing", "inactive", deadline=5)


def test_the_process_and_its_folder_are_gone_after_the_block():
    with Prometheus({}) as prometheus:
        process, folder = prometheus._process, prometheus._folder
        assert process.poll() is None and folder.is_dir()
    assert process.poll() is not None and not folder.exists()


def test_a_condition_that_never_holds_ends_at_the_deadline():
    with pytest.raises(DrillError, match="the moon"):
        wait_until(lambda: False, "the moon", deadline=0.1, poll=0.01)
