"""Everything that managers and Redis knew is lost at once: the provider knows it still."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from daemon import Daemon
from e2b_support import FakeE2B
from fleet import Fleet, Key, assert_books_agree
from redis_support import RedisServer, plain_key
from waiting import wait_until

StartFleet = Callable[..., Fleet]

COUNT = 200


@pytest.fixture
def alone(launch: Callable[..., Daemon], cloud: FakeE2B) -> Iterator[Fleet]:
    """One daemon without Redis."""
    with Fleet(launch, cloud, None) as found:
        found.add()
        yield found


def leased(fleet: Fleet) -> dict[Key, str]:
    """Many keys, some of them of one user, with the sandbox of each."""
    keys = [(f"user-{number // 2}", f"project-{number % 2}") for number in range(COUNT)]
    answers = fleet.acquire_all(keys)
    assert Counter(answer.status for answer in answers) == {201: COUNT}
    return {answer.key: str(answer.sandbox) for answer in answers}


def kill_all(fleet: Fleet) -> None:
    """Ends every daemon as a crash of their machines would."""
    for daemon in fleet.daemons:
        daemon.signal(signal.SIGKILL)
    for daemon in fleet.daemons:
        daemon.wait(10)
    fleet.daemons.clear()


def assert_served_anew(fleet: Fleet, known: dict[Key, str]) -> None:
    """Each key has its sandbox, and nobody has asked the provider for another one."""
    answers = fleet.acquire_all(list(known))
    assert [str(one) for one in answers if one.status != 200 or one.sandbox != known[one.key]] == []
    assert fleet.cloud.counters()["create"] == COUNT, "a create was sent"
    assert fleet.living() == {sandbox: key for key, sandbox in known.items()}


@pytest.mark.parametrize("asked", ["at once", "when it has listed the provider"])
def test_I10_after_the_loss_of_redis_and_all_daemons_a_fresh_one_serves_the_same_200_sandboxes(
    fleet: StartFleet, redis: RedisServer, asked: str
) -> None:
    two = fleet(2)
    known = leased(two)
    kill_all(two)
    redis("FLUSHALL")
    two.add()
    if asked != "at once":
        wait_until(lambda: two.leases() == known, "they are leased without anybody's asking", 20)
    assert_served_anew(two, known)
    # A second one finds them in Redis.
    two.add()
    assert {(one.status, one.sandbox) for one in two.acquire_all(list(known), via=[1])} == {
        (200, sandbox) for sandbox in known.values()
    }
    assert {redis("GET", plain_key(*key)) for key in known} == set(known.values())
    assert_books_agree(two)
    # What was found can be released.
    key = next(iter(known))
    assert two[1].release(*key).status == 204
    assert known[key] not in two.living()


@pytest.mark.parametrize("asked", ["at once", "when it has listed the provider"])
def test_I10_without_redis_a_fresh_daemon_serves_the_same_200_sandboxes(alone: Fleet, asked: str) -> None:
    known = leased(alone)
    kill_all(alone)
    alone.add()
    if asked != "at once":
        wait_until(lambda: alone.leases() == known, "they are leased without anybody's asking", 20)
    assert_served_anew(alone, known)
    assert_books_agree(alone)


@pytest.mark.parametrize("asked", ["at once", "when it has listed the provider"])
def test_I2_what_is_found_after_a_total_loss_counts_for_the_limits(
    fleet: StartFleet, redis: RedisServer, asked: str
) -> None:
    two = fleet(2, LIMITS_TOTAL=str(COUNT), LIMITS_PER_USER="2")
    known = leased(two)
    kill_all(two)
    redis("FLUSHALL")
    two.add()
    if asked != "at once":
        wait_until(lambda: two.leases() == known, "what runs is in the books", 20)
    strangers = two.burst([(f"stranger-{number}", "demo") for number in range(20)])
    assert [str(one) for one in strangers if one.code != "total_limit"] == []
    assert two[0].acquire("user-0", "third").code in ("user_limit", "total_limit")
    assert two.peak() == COUNT
    assert_served_anew(two, known)
    assert_books_agree(two)
