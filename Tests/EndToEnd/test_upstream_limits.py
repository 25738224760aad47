"""The real daemon before a provider that fails, or that asks for less: breaker, rate of creations, retries."""

from collections.abc import Callable, Iterator

import pytest
from daemon import Daemon
from e2b_support import FakeE2B
from page import Page
from waiting import wait_until


@pytest.fixture
def fake() -> Iterator[FakeE2B]:
    cloud = FakeE2B()
    yield cloud
    cloud.stop()


@pytest.fixture
def begin(start: Callable[..., Daemon], fake: FakeE2B) -> Callable[..., Daemon]:
    """Starts a daemon whose creates are tried once, and that tries a closed way again after two seconds."""

    def begin(**settings: str) -> Daemon:
        chosen = {"PROVIDER": "e2b", "CREATE_RETRIES": "0", "BREAKER_OPEN_SECONDS": "2"}
        return start({**fake.environment(), **chosen, **settings})

    return begin


def breaker(page: Page) -> str:
    """The state of the provider's breaker."""
    [state] = [dict(labels)["state"] for labels, value in page.by("breaker_state", upstream="provider").items() if value]
    return state


def nothing_left(daemon: Daemon) -> bool:
    """Neither a lock nor an open creation."""
    page = daemon.page()
    return page.sum("user_locks") == 0 and page.sum("create_intents") == 0


def test_a_provider_that_fails_is_left_alone_and_tried_again(begin, fake):
    daemon = begin()
    kept = daemon.acquire("ann", "kept").json["sandbox_id"]
    assert daemon.acquire("ann", "dropped").status == 201
    assert breaker(daemon.page()) == "closed"
    fake.fault("create", "status", status=503, times=0)
    refusal = wait_until(
        lambda: next((r for n in range(4) if (r := daemon.acquire(f"u{n}", "web")).code == "breaker_open"), None),
        "the breaker opens",
        20,
    )
    assert refusal.status == 503 and refusal.headers["retry-after"] in ("1", "2")
    sent = len(fake.journal("create"))
    page = daemon.page()
    assert breaker(page) == "open"
    assert page.sum("breaker_transitions_total", upstream="provider", to="open") == 1
    assert daemon.acquire("ben", "web").code == "breaker_open"
    assert len(fake.journal("create")) == sent
    # What is known is served, and what is to die dies.
    again = daemon.acquire("ann", "kept")
    assert (again.status, again.json["sandbox_id"], again.json["source"]) == (200, kept, "memory")
    assert daemon.release("ann", "dropped").status == 204
    assert [sandbox["id"] for sandbox in fake.sandboxes()] == [kept]
    assert daemon.page().sum("breaker_rejections_total", upstream="provider") >= 2
    assert nothing_left(daemon)

    fake.admin("DELETE", "faults")
    wait_until(lambda: daemon.acquire("ben", "web").status == 201, "it is tried again", 20, poll=0.2)
    page = daemon.page()
    assert breaker(page) == "closed"
    assert page.sum("breaker_transitions_total", upstream="provider", to="closed") == 1


def test_a_user_who_creates_too_fast_is_told_exactly_when_to_come_back(begin, fake):
    daemon = begin(RATE_CREATES_PER_USER_PER_MINUTE="20", RATE_BURST="2", LIMITS_PER_USER="10")
    assert [daemon.acquire("ann", name).status for name in ("one", "two")] == [201, 201]
    refusal = daemon.acquire("ann", "three")
    assert (refusal.status, refusal.code) == (429, "rate_limited")
    assert refusal.headers["retry-after"] == str(refusal.json["retry_after_seconds"])
    assert 1 <= refusal.json["retry_after_seconds"] <= 3
    page = daemon.page()
    assert page.sum("slots_in_use") == 2 and nothing_left(daemon)
    assert page.sum("rate_limited_total", scope="user") == 1
    assert page.sum("collection_entries", collection="rate_buckets") == 1
    assert len(fake.journal("create")) == 2
    assert daemon.acquire("ann", "one").status == 200 and daemon.acquire("ben", "one").status == 201
    wait_until(lambda: daemon.acquire("ann", "three").status == 201, "there is a token again", 5, poll=0.2)
    wait_until(
        lambda: daemon.page().sum("collection_entries", collection="rate_buckets") == 0,
        "full buckets are removed",
        15,
        poll=0.2,
    )


def test_t5_a_provider_that_asks_for_a_pause_gets_it(begin, fake):
    daemon = begin()
    fake.fault("create", "status", status=429, headers={"Retry-After": "2"})
    first = daemon.acquire("ann", "web")
    assert (first.status, first.code, first.headers["retry-after"]) == (503, "provider_rate_limited", "2")
    other = daemon.acquire("ben", "web")
    assert (other.status, other.code) == (503, "provider_rate_limited")
    assert len(fake.journal("create")) == 1, "nothing is sent before the time is over"
    assert daemon.page().sum("rate_limited_total", scope="global") >= 1
    assert nothing_left(daemon)
    wait_until(lambda: daemon.acquire("ben", "web").status == 201, "the time is over", 10, poll=0.1)
    assert len(fake.journal("create")) == 2


def test_t5_a_full_account_is_not_hammered(begin, fake):
    daemon = begin(CREATE_RETRIES="2")
    fake.admin("POST", "limits", {"concurrency": 1})
    assert daemon.acquire("ann", "web").status == 201
    for user in ("ben", "cleo", "dan"):
        refusal = daemon.acquire(user, "web")
        assert (refusal.status, refusal.code) == (503, "provider_quota") and "retry-after" in refusal.headers
    assert len(fake.journal("create")) == 2
    # A sandbox that ends makes room at once.
    assert daemon.release("ann", "web").status == 204
    assert daemon.acquire("ben", "web").status == 201


def test_t5_retries_have_a_budget(begin, fake):
    daemon = begin(CREATE_RETRIES="6", CREATE_RETRY_DELAY_SECONDS="0.01", BREAKER_MINIMUM_CALLS="1000")
    fake.fault("create", "status", status=503, times=0)
    for user in ("ann", "ben", "cleo"):
        assert daemon.acquire(user, "web").code == "provider_unavailable"
    assert len(fake.journal("create")) == 3 + 10
    page = daemon.page()
    assert page.sum("retries_total", operation="create") == 10
    assert page.sum("retries_exhausted_total", operation="create") == 3
    assert page.sum("retry_budget") == 0
