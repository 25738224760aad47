"""The tools of the fleet tests work: a check that cannot fail, or an outage that is none, proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from daemon import Daemon
from e2b_support import FakeE2B
from fleet import Fleet, Load, Watch, assert_books_agree, disagreements, percentile
from redis_support import RedisConnection, RedisError, RedisServer, SentinelSet
from waiting import wait_until


@pytest.fixture
def single(launch: Callable[..., Daemon], cloud: FakeE2B) -> Iterator[Fleet]:
    """A fleet of one, which needs no Redis."""
    with Fleet(launch, cloud, None, {"LIMITS_TOTAL": "100"}) as found:
        found.add()
        yield found


def test_redis_keeps_its_place_over_restarts_and_comes_back_as_it_is_told_to(redis: RedisServer) -> None:
    port = redis.port
    redis("SET", "early", "1")
    snapshot = redis.save()
    redis("SET", "late", "héllo")
    assert redis.contents() == {"early": "1", "late": "héllo"} and redis.mentions("héllo") == ["late"]
    redis.restart(snapshot)
    assert redis.keys() == ["early"]
    redis.restart()
    assert redis.keys() == [] and redis.port == port
    with pytest.raises(RedisError, match="unknown command"):
        redis("NONSENSE")


def test_a_frozen_redis_takes_connections_and_answers_nothing_until_it_is_thawed(redis: RedisServer) -> None:
    redis.freeze()
    with RedisConnection(("127.0.0.1", redis.port), timeout=0.2) as connection, pytest.raises(TimeoutError):
        connection("PING")
    redis.thaw()
    assert redis("PING") == "PONG"


@pytest.mark.parametrize("count, how", [(1, "kill"), (3, "freeze"), (3, "planned")])
def test_sentinels_make_the_replica_the_master(count: int, how: str) -> None:
    with SentinelSet(count) as sentinels:
        sentinels.current()("SET", "key", "value")
        assert sentinels.current()("WAIT", "1", "5000") == 1
        wait_until(lambda: sentinels.replica("GET", "key") == "value", "the replica has the key", 10)
        new = sentinels.fail_over(how)
        assert new is sentinels.replica is sentinels.current()
        assert new("GET", "key") == "value" and new("SET", "key", "other") == "OK"


def test_the_books_of_a_fleet_that_does_as_it_should_agree(single: Fleet) -> None:
    answers = single.acquire_all([(f"user-{number}", "demo") for number in range(20)])
    assert [answer.key for answer in answers] == [(f"user-{number}", "demo") for number in range(20)]
    assert_books_agree(single)
    assert single.created() == single.peak() == 20


def test_the_books_show_what_is_nobodys_what_is_dead_and_what_is_there_twice(single: Fleet) -> None:
    kept = single[0].acquire("alice", "demo").json["sandbox_id"]
    [alices] = single.cloud.sandboxes()
    body = {"templateID": "base", "timeout": 600, "metadata": alices["metadata"]}
    twin = single.cloud.call("POST", "/sandboxes", body)[2]["sandboxID"]
    found = "\n".join(disagreements(single))
    assert f"1 sandboxes are nobody's: ['{twin}']" in found and "more than one sandbox" in found
    assert disagreements(single, foreign=[twin]) == []
    with Watch(single) as watch:
        time.sleep(0.1)
    assert watch.doubled == {("alice", "demo"): {kept, twin}} and watch.most == watch.most_of_one_user == 2

    single.cloud.admin("POST", "vanish", {"id": kept})
    assert f"1 leased sandboxes do not live: ['{kept}']" in "\n".join(disagreements(single))
    with pytest.raises(AssertionError, match="the books disagree"):
        assert_books_agree(single, deadline=0.2)


def test_a_load_tells_of_refusals_of_strangers_and_of_connections_that_broke(single: Fleet) -> None:
    known = {("alice", "demo"): single[0].acquire("alice", "demo").json["sandbox_id"]}
    single.cloud.fault("create", "status", status=401, times=0)
    with Load(single, [*known, ("bob", "demo")], clients=2) as load:
        time.sleep(0.3)
    assert {answer.code for answer in load.failures()} == {"provider_unauthorized"}
    assert load.strangers(known) == [] and load.strangers({}) != []
    assert len(load.latencies()) == len(load.answers) > 10
    with Load(single, list(known)) as load:
        single[0].stop()
        time.sleep(0.2)
    assert {answer.status for answer in load.failures()} <= {0, 503} and load.failures()


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile(range(1, 101), 0.99) == 99
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile([7], 0.99) == 7
