"""The warm pool: sandboxes made ahead of demand, given away in one step, never above a limit, never twice."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest

from daemon import Daemon
from e2b_support import FakeE2B
from fleet import Answer, Client, Fleet, Key, Watch, in_threads
from redis_support import RedisServer
from waiting import wait_until

StartFleet = Callable[..., Fleet]
StartDaemon = Callable[..., Daemon]

OWN = {"metadata": {"purpose": "own"}}


def ready(daemon: Daemon) -> int:
    """Members that a daemon knows of."""
    return int(daemon.page().sum("collection_entries", collection="warm_pool"))


def wait_for_members(daemon: Daemon, count: int, deadline: float = 20) -> None:
    wait_until(lambda: ready(daemon) == count, f"the pool has {count} members", deadline)


def sources(answers: list[Answer]) -> Counter[str | None]:
    return Counter(answer.source or answer.code or str(answer.status) for answer in answers)


def users(count: int, name: str = "user") -> list[Key]:
    return [(f"{name}-{number}", "demo") for number in range(count)]


@pytest.fixture
def begin(start: StartDaemon, cloud: FakeE2B) -> StartDaemon:
    """Starts a daemon without Redis that has a pool."""

    def begin(**settings: str) -> Daemon:
        return start({**cloud.environment(), "PROVIDER": "e2b", "POOL_PER_SECOND": "50", **settings})

    return begin


# One daemon


def test_an_acquire_gets_a_member_and_the_pool_is_filled_again(begin: StartDaemon, cloud: FakeE2B) -> None:
    daemon = begin(POOL_TARGET="3", POOL_PER_SECOND="1")
    wait_for_members(daemon, 3)
    members = {one["id"] for one in cloud.sandboxes()}
    assert len(members) == 3 and daemon.sandboxes() == []

    cloud.fault("create", "latency", milliseconds=3000, times=0)
    began = time.monotonic()
    given = daemon.acquire("alice", "demo")
    took = time.monotonic() - began
    assert (given.status, given.json["source"]) == (201, "warm_pool")
    assert given.json["sandbox_id"] in members and took < 1, took
    assert given.json["envd_access_token"]
    again = daemon.acquire("alice", "demo")
    assert (again.status, again.json["source"], again.json["sandbox_id"]) == (200, "memory", given.json["sandbox_id"])
    assert [one["user_id"] for one in daemon.sandboxes()] == ["alice"]

    wait_for_members(daemon, 3)
    page = daemon.page()
    assert page.values("sandboxes_created_total", "origin") == {"acquire": 0, "warm_pool": 4}
    assert page.sum("acquires_total", source="warm_pool") == 1
    assert page.sum("slots_in_use", scope="total") == 4
    assert page.sum("loop_runs_total", loop="pool_filler", result="failed") == 0
    # The member is alice's like any other sandbox: it ends with her release.
    assert daemon.release("alice", "demo").status == 204
    assert given.json["sandbox_id"] not in {one["id"] for one in cloud.sandboxes()}


def test_wishes_that_a_member_cannot_fulfil_are_created(begin: StartDaemon) -> None:
    daemon = begin(POOL_TARGET="2")
    wait_for_members(daemon, 2)
    assert daemon.acquire("a", "demo", OWN).json["source"] == "created"
    assert daemon.acquire("b", "demo", {"envs": {"A": "b"}}).json["source"] == "created"
    assert daemon.acquire("c", "demo", {"timeout_seconds": 60}).json["source"] == "warm_pool"


def test_a_dead_member_is_given_to_nobody(begin: StartDaemon, cloud: FakeE2B) -> None:
    daemon = begin(POOL_TARGET="2", POOL_PER_SECOND="0.01")
    wait_for_members(daemon, 1)
    [dead] = [one["id"] for one in cloud.sandboxes()]
    cloud.call("DELETE", f"/sandboxes/{dead}")
    given = daemon.acquire("alice", "demo")
    assert (given.status, given.json["source"]) == (201, "created")
    assert given.json["sandbox_id"] != dead and ready(daemon) == 0


def test_I2_users_and_pool_together_keep_the_total_limit(begin: StartDaemon, cloud: FakeE2B) -> None:
    daemon = begin(POOL_TARGET="4", LIMITS_TOTAL="4", LIMITS_PER_USER="1")
    wait_for_members(daemon, 4)
    replies = [daemon.acquire(f"user-{number}", "demo") for number in range(6)]
    assert [reply.status for reply in replies] == [201] * 4 + [503] * 2
    assert {reply.json["source"] for reply in replies[:4]} == {"warm_pool"}
    assert {reply.code for reply in replies[4:]} == {"total_limit"}
    assert daemon.acquire("user-0", "more").code == "user_limit"
    assert cloud.counters()["peak_running"] == 4


def test_I2_a_member_ends_for_a_request_that_it_does_not_suit(begin: StartDaemon, cloud: FakeE2B) -> None:
    daemon = begin(POOL_TARGET="3", LIMITS_TOTAL="3")
    wait_for_members(daemon, 3)
    replies = []
    in_threads([lambda n=n: replies.append(daemon.acquire(f"user-{n}", "demo", OWN)) for n in range(2)])
    assert [reply.status for reply in replies] == [201, 201], replies
    assert {reply.json["source"] for reply in replies} == {"created"}
    assert cloud.counters()["peak_running"] == 3
    assert daemon.page().sum("sandboxes_killed_total", reason="warm_expired") == 2


def test_a_pool_that_is_switched_off_is_emptied(fleet: StartFleet) -> None:
    one = fleet(1, POOL_TARGET="3", POOL_PER_SECOND="50")
    wait_for_members(one[0], 3)
    one.restart(0, signal.SIGTERM, POOL_TARGET="0")
    wait_until(lambda: one.living() == {}, "all members end", 20)
    wait_until(lambda: one.metric("slots_in_use", scope="total") == 0, "their slots are free", 10)


# Several daemons


def acquire_until_granted(fleet: Fleet, keys: list[Key], via: list[int] | None = None) -> list[Answer]:
    """Just after its restart Redis may cost a request a 503; whoever asks again is granted."""
    return wait_until(
        lambda: (answers := fleet.acquire_all(keys, via)) and all(one.is_granted for one in answers) and answers,
        "everybody gets a sandbox",
        20,
    )


def test_the_target_is_the_fleets_and_any_daemon_gives_any_member(fleet: StartFleet) -> None:
    two = fleet(2, POOL_TARGET="6", POOL_PER_SECOND="50")
    for daemon in two.daemons:
        wait_for_members(daemon, 6)
    assert two.created() == 6 and two.peak() == 6
    members = set(two.living())
    given = two[1].acquire("alice", "demo").json
    assert given["source"] == "warm_pool" and given["sandbox_id"] in members
    other = two[0].acquire("alice", "demo").json
    assert (other["source"], other["sandbox_id"]) == ("reconnected", given["sandbox_id"])
    assert two[0].release("alice", "demo").status == 204
    assert two[1].acquire("alice", "demo").json["sandbox_id"] != given["sandbox_id"]


def test_I5_of_many_users_at_two_daemons_at_once_nobody_gets_anothers_member(fleet: StartFleet) -> None:
    two = fleet(2, POOL_TARGET="20", POOL_PER_SECOND="50", LIMITS_TOTAL="60", LIMITS_PER_USER="2")
    wait_for_members(two[0], 20)
    # Each key four times, alternately at either daemon.
    keys = [key for key in users(40) for _ in range(4)]
    with Watch(two) as watch:
        answers = two.burst(keys)
    assert all(answer.is_granted for answer in answers), sources(answers)
    by_key = {answer.key: answer.sandbox for answer in answers}
    assert len(by_key) == 40 and len(set(by_key.values())) == 40
    assert all(by_key[answer.key] == answer.sandbox for answer in answers)
    assert sources(answers)["warm_pool"] >= 20, sources(answers)
    assert two.peak() <= 60 and watch.most <= 60
    assert two.leases() == by_key
    # Everything that lives is a lease or a member.
    wait_until(
        lambda: len(two.living()) == 40 + ready(two[0]) == two[0].page().sum("slots_in_use", scope="total"),
        "books and provider agree",
        20,
    )


def test_I1_I5_a_daemon_that_is_killed_among_claims_leaves_no_sandbox_to_two_keys(fleet: StartFleet) -> None:
    two = fleet(2, POOL_TARGET="30", POOL_PER_SECOND="50", LIMITS_TOTAL="100")
    wait_for_members(two[0], 30)
    keys = users(60)
    answers: list[Answer] = []

    def ask(first: int) -> None:
        with Client(two) as client:
            for key in keys[first::8]:
                answers.append(client.ask("PUT", key, 0))

    def kill() -> None:
        wait_until(lambda: len(answers) >= 12, "some claims", 10, 0.001)
        two[0].signal(signal.SIGKILL)

    in_threads([*(lambda n=n: ask(n) for n in range(8)), kill])
    two[0].wait(10)
    two.restart(0, signal.SIGKILL)
    told = {answer.key: answer.sandbox for answer in answers if answer.is_granted}
    assert 0 < len(told) < 60
    again = {answer.key: answer.sandbox for answer in two.acquire_all(keys)}
    assert None not in again.values() and len(set(again.values())) == 60
    assert {key: again[key] for key in told} == told, "whoever got a sandbox keeps it"
    # What the dead daemon was making is found, and nothing is left over.
    wait_until(
        lambda: set(two.leases().values()) <= set(two.living())
        and len(two.living()) == 60 + ready(two[1]) == two[1].page().sum("slots_in_use", scope="total")
        and two[1].page().sum("create_intents") == 0,
        "books and provider agree",
        60,
    )


def test_I5_I10_an_older_state_of_redis_gives_nobody_what_was_claimed_since(
    fleet: StartFleet, redis: RedisServer
) -> None:
    two = fleet(2, POOL_TARGET="2", POOL_PER_SECOND="50")
    wait_for_members(two[0], 2)
    wait_for_members(two[1], 2)
    snapshot = redis.save()
    given = two[0].acquire("alice", "demo").json
    assert given["source"] == "warm_pool"
    redis.restart(snapshot)
    two.wait_for_mode("redis", 20)
    answers = acquire_until_granted(two, users(6, "other"))
    assert given["sandbox_id"] not in {answer.sandbox for answer in answers}
    assert len({answer.sandbox for answer in answers}) == 6
    for daemon in two.daemons:
        assert daemon.acquire("alice", "demo").json["sandbox_id"] == given["sandbox_id"]


def test_I5_an_older_state_of_redis_gives_nobody_what_a_dead_daemon_had_claimed(
    fleet: StartFleet, redis: RedisServer
) -> None:
    two = fleet(2, POOL_TARGET="2", POOL_PER_SECOND="50")
    wait_for_members(two[1], 2)
    snapshot = redis.save()
    given = two[0].acquire("alice", "demo").json
    assert given["source"] == "warm_pool"
    # From here on nobody knows who has used that sandbox; the older state calls it a member.
    two[0].signal(signal.SIGKILL)
    two[0].wait(10)
    redis.restart(snapshot)
    wait_until(lambda: two[1].observe("/readyz").json["store_mode"] == "redis", "Redis is there again", 20)
    answers = acquire_until_granted(two, users(6, "other"), [1])
    assert given["sandbox_id"] not in {answer.sandbox for answer in answers}
