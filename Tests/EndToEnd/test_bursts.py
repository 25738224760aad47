"""Many requests at one moment: one sandbox for a key, and limits that hold at every instant."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from daemon import Daemon, sandbox_path
from page import broken_quiet_laws
from waiting import wait_until
from wire import burst, request_bytes


class Peak:
    """The most sandboxes and slots that were ever seen, while watched."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.sandboxes = 0
        self.slots = 0.0
        self.looks = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        done = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(done,))
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()

    def _watch(self, done: threading.Event) -> None:
        while True:
            last = done.is_set()
            self.sandboxes = max(self.sandboxes, len(self._daemon.sandboxes()))
            self.slots = max(self.slots, self._daemon.page().sum("slots_in_use", scope="total"))
            self.looks += 1
            if last:
                return


@pytest.mark.parametrize("provider", ["simulated", "local"])
def test_a_thousand_acquires_of_one_key_at_once_make_one_sandbox(start: Callable[..., Daemon], provider: str) -> None:
    daemon = start({"PROVIDER": provider})
    replies = burst(daemon.api, [request_bytes("PUT", sandbox_path("alice", "demo"))] * 1000)
    assert Counter(reply.status for reply in replies) == {201: 1, 200: 999}
    assert len({reply.json["sandbox_id"] for reply in replies}) == 1
    assert [reply.json["source"] for reply in replies if reply.status == 201] == ["created"]
    assert len(daemon.sandboxes()) == 1
    page = daemon.page()
    assert page.sum("sandboxes_created_total") == 1
    assert page.sum("user_locks") == 0
    wait_until(lambda: broken_quiet_laws(daemon.page()) == [], "the books are settled")


def test_L1_a_burst_over_many_projects_of_one_user_is_granted_up_to_the_limit(start: Callable[..., Daemon]) -> None:
    daemon = start({"LIMITS_PER_USER": "2", "LIMITS_TOTAL": "100"})
    peak = Peak(daemon)
    with peak.watched():
        requests = [request_bytes("PUT", sandbox_path("alice", f"project-{number}")) for number in range(200)]
        replies = burst(daemon.api, requests)
    assert Counter(reply.status for reply in replies) == {201: 2, 429: 198}
    assert peak.looks >= 2 and peak.sandboxes == 2 and peak.slots == 2
    for reply in replies:
        if reply.status == 429:
            assert reply.code == "user_limit"
            assert reply.json["limit"] == 2 and reply.json["in_use"] == 2
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.json["retry_after_seconds"] == int(reply.headers["retry-after"])
    page = daemon.page()
    assert page.sum("sandboxes_created_total") == 2
    assert page.sum("limit_rejections_total", scope="user") == 198
    assert page.sum("user_slots_max") == 2
    # L6: what was refused has left nothing behind.
    assert page.sum("user_locks") == 0


def test_the_total_limit_holds_for_many_users_at_once(start: Callable[..., Daemon]) -> None:
    daemon = start({"LIMITS_PER_USER": "2", "LIMITS_TOTAL": "3"})
    peak = Peak(daemon)
    with peak.watched():
        replies = burst(daemon.api, [request_bytes("PUT", sandbox_path(f"user-{n}", "demo")) for n in range(100)])
    assert Counter(reply.status for reply in replies) == {201: 3, 503: 97}
    assert peak.sandboxes == 3 and peak.slots == 3
    for reply in replies:
        if reply.status == 503:
            assert reply.code == "total_limit"
            assert reply.json["limit"] == 3 and reply.json["in_use"] == 3
            assert int(reply.headers["retry-after"]) >= 1
    assert daemon.page().sum("limit_rejections_total", scope="total") == 97


def test_a_slot_that_was_given_back_can_be_had_again(start: Callable[..., Daemon]) -> None:
    daemon = start({"LIMITS_PER_USER": "1"})
    assert daemon.acquire("alice", "one").status == 201
    assert daemon.acquire("alice", "two").code == "user_limit"
    assert daemon.release("alice", "one").status == 204
    assert daemon.acquire("alice", "two").status == 201


def test_O7_acquires_and_releases_of_one_key_at_once_leave_at_most_one_sandbox(start: Callable[..., Daemon]) -> None:
    daemon = start()
    path = sandbox_path("alice", "demo")
    replies = burst(daemon.api, [request_bytes(("PUT", "DELETE")[number % 2], path) for number in range(400)])
    assert {reply.status for reply in replies} <= {200, 201, 202, 204, 409, 503}, Counter(r.status for r in replies)
    assert daemon.release("alice", "demo").status == 204
    wait_until(lambda: daemon.stats()["slots_in_use"] == 0, "every sandbox is gone")
    page = daemon.page()
    assert page.sum("sandboxes_created_total") == page.sum("sandboxes_killed_total")
    wait_until(lambda: broken_quiet_laws(daemon.page()) == [], "the books are settled")
