"""What has to go on while nothing else does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from drill_lib import Prometheus

from daemon import Daemon, sandbox_path
from page import broken_gauge_laws
from waiting import wait_until
from wire import read_reply, request_bytes, sent_at_once

KEYS = 250
CALLERS = 500
HANGING = {
    "LIMITS_TOTAL": "1000",
    "FAULTS": "provider-create-hang",
    "ALLOW_FAULTS": "true",
    "SHUTDOWN_TIMEOUT_SECONDS": "1",
}

pytestmark = pytest.mark.alone


@pytest.fixture
def stuck(start: Callable[..., Daemon]) -> Iterator[Daemon]:
    """A daemon in which 500 acquires of 250 keys wait for creates that never answer."""
    daemon = start(HANGING)
    requests = [request_bytes("PUT", sandbox_path(f"user-{number % KEYS}", "demo")) for number in range(CALLERS)]
    with sent_at_once(daemon.api, requests) as connections:
        wait_until(lambda: daemon.page().sum("operations_in_flight", operation="acquire") == CALLERS, "all wait")
        yield daemon
        # They are told, one way or the other, when the daemon ends.
        assert daemon.stop() == 0
        for connection in connections:
            connection.settimeout(5)
            found = read_reply(connection)
            assert found is None or found[0].status in (503, 504), found


def test_I11_metrics_and_health_answer_while_500_acquires_wait_for_a_stuck_provider(stuck: Daemon) -> None:
    slowest = 0.0
    for _ in range(20):
        for path in ("/metrics", "/healthz", "/readyz"):
            began = time.monotonic()
            assert stuck.observe(path).status == 200
            slowest = max(slowest, time.monotonic() - began)
    assert slowest < 1, f"the slowest answer took {slowest:.3f} s"
    page = stuck.page()
    assert page.sum("user_locks", state="held") == KEYS
    assert page.sum("user_locks_created_total") - page.sum("user_locks_removed_total") == KEYS
    assert page.sum("slots_in_use", scope="total") == KEYS
    assert page.sum("create_intents") == KEYS
    assert broken_gauge_laws(page) == []


def test_T1_other_work_goes_on_while_500_acquires_wait_for_a_stuck_provider(stuck: Daemon) -> None:
    began = time.monotonic()
    assert stuck.stats()["creating"] == KEYS
    assert stuck.request("GET", "/v1/explain/user-1/demo").json["locked"] is True
    assert stuck.request("GET", sandbox_path("somebody", "else")).code == "not_found"
    assert stuck.acquire("bad:user", "demo").code == "invalid_argument"
    assert time.monotonic() - began < 1


def test_a_real_prometheus_scrapes_a_stuck_daemon_without_a_miss(stuck: Daemon) -> None:
    with Prometheus({"sandbox-manager": [str(stuck.metrics)]}) as prometheus:
        prometheus.wait_for_up()
        before = stuck.page().sum("metrics_scrapes_total", code="200")
        wait_until(lambda: stuck.page().sum("metrics_scrapes_total", code="200") > before + 20, "twenty scrapes")
        assert prometheus.value("min_over_time(up[4s])") == 1
        assert prometheus.value("sum(sandbox_manager_user_locks)") == KEYS
        assert "sample with repeated timestamp" not in prometheus.log()
        assert "duplicate" not in prometheus.log().lower()
