"""Redis slow, away, empty, older than it was, or another server: no lease is lost, none is doubled, nobody hangs."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from fleet import Answer, Churn, Client, Fleet, Growth, Key, Load, Watch, assert_books_agree, percentile
from page import broken_gauge_laws
from redis_support import RedisServer, SentinelSet, plain_key
from waiting import wait_until

StartFleet = Callable[..., Fleet]

# How long Redis hangs; SANDBOX_MANAGER_TEST_OUTAGE_SECONDS=30 is the long form.
OUTAGE = float(os.environ.get("SANDBOX_MANAGER_TEST_OUTAGE_SECONDS", "10"))
# An acquire spends at most 3 s on the store; the rest is for a lookup, a create and a busy machine.
COLD = 6
# How long after Redis is back everybody works with it again.
RECOVERY = 5
# How much slower than before a hot acquire may be at the 99th percentile: twice, and what two processors jitter.
JITTER = 0.02
# A loss is followed by a reconciliation, which needs a round or two.
QUICK = {"REAPER_INTERVAL_SECONDS": "0.5", "RECONCILER_INTERVAL_SECONDS": "2", "RECONCILER_GRACE_SECONDS": "2"}

pytestmark = pytest.mark.timeout(180)


def leased(fleet: Fleet, keys: list[Key], via: list[int] | None = None) -> dict[Key, str]:
    """Leases the keys, and remembers the sandbox of each."""
    answers = fleet.acquire_all(keys, via)
    assert all(answer.status == 201 for answer in answers), Counter((a.status, a.code) for a in answers)
    return {answer.key: str(answer.sandbox) for answer in answers}


def users(name: str, count: int) -> list[Key]:
    return [(f"{name}-{number}", "demo") for number in range(count)]


def assert_kept(fleet: Fleet, expected: dict[Key, str]) -> None:
    """Every key still has its sandbox, at whatever daemon it is asked for, and no sandbox more."""
    for index in range(len(fleet)):
        answers = fleet.acquire_all(list(expected), via=[index])
        assert [str(one) for one in answers if one.status != 200] == []
        wrong = [(str(one), expected[one.key]) for one in answers if one.sandbox != expected[one.key]]
        assert wrong == []
    doubled = {key: found for key, found in fleet.by_key().items() if key in expected and found != [expected[key]]}
    assert doubled == {}, "the provider runs other sandboxes for these keys than the leased ones"


def mode_changes(log: str) -> list[str]:
    """The modes that a JSON log tells of, in order: the store is away, the store is back."""
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return [line["store_mode"] for line in lines if line["message"].startswith("the store is")]


# T2: Redis hangs


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads for requests that may take their time."""
    with ThreadPoolExecutor(max_workers=64) as found:
        yield found


def ask_later(pool: ThreadPoolExecutor, fleet: Fleet, key: Key, daemon: int, method: str = "PUT") -> Future[Answer]:
    """A request in a thread and on a connection of its own, begun now."""

    def ask() -> Answer:
        with Client(fleet) as client:
            return client.ask(method, key, daemon)

    return pool.submit(ask)


@pytest.mark.alone
@pytest.mark.parametrize("on_outage", ["degrade", "refuse"])
def test_T2_while_redis_hangs_hot_acquires_stay_fast_and_cold_ones_are_answered(
    fleet: StartFleet, redis: RedisServer, pool: ThreadPoolExecutor, on_outage: str
) -> None:
    two = fleet(2, REDIS_ON_OUTAGE=on_outage, LOG_FORMAT="json")
    hot = leased(two, users("hot", 40))
    # Known to the first daemon only.
    elsewhere = leased(two, users("elsewhere", 4), via=[0])
    two.acquire_all(list(hot), via=[0])
    two.acquire_all(list(hot), via=[1])
    with Load(two, list(hot), clients=4) as load:
        time.sleep(4)
        redis.freeze()
        frozen = time.monotonic()
        try:
            # All at once, over both: nobody's wait may add to another's.
            cold = [ask_later(pool, two, key, number % 2) for number, key in enumerate(users("cold", 20))]
            moved = [ask_later(pool, two, key, 1) for key in elsewhere]
            cold_answers = [one.result() for one in cold]
            moved_answers = [one.result() for one in moved]
            # By now everybody knows that Redis is away, and nobody waits for it any more.
            later = [ask_later(pool, two, key, number % 2) for number, key in enumerate(users("later", 10))]
            later_answers = [one.result() for one in later]
            modes = two.modes()
            ready = [daemon.observe("/readyz").status for daemon in two.daemons]
            time.sleep(max(0, frozen + OUTAGE - time.monotonic()))
        finally:
            thawed = time.monotonic()
            redis.thaw()
        two.wait_for_mode("redis", RECOVERY)
        recovered = time.monotonic() - thawed

    before = load.latencies(until=frozen)
    during = load.latencies(since=frozen, until=thawed)
    p99_before, p99_during = percentile(before, 0.99), percentile(during, 0.99)
    print(
        f"hot p99 {p99_before * 1000:.2f} ms before ({len(before)}), {p99_during * 1000:.2f} ms during "
        f"({len(during)}, slowest {max(during) * 1000:.0f} ms); recovered in {recovered:.2f} s; slowest cold "
        f"{max(one.took for one in cold_answers):.2f} s, later {max(one.took for one in later_answers):.2f} s"
    )
    assert [str(one) for one in load.failures()] == []
    assert [str(one) for one in load.strangers(hot)] == []
    assert len(during) > 100 and p99_during <= 2 * p99_before + JITTER
    assert modes == ["degraded", "degraded"] and ready == [200, 200]
    assert [mode_changes(daemon.log()) for daemon in two.daemons] == [["degraded", "redis"]] * 2

    everything = cold_answers + moved_answers + later_answers
    assert [str(one) for one in everything if one.took > COLD] == []
    assert max(one.took for one in later_answers) < 2, "the store is asked again and again, though it is known to hang"
    if on_outage == "refuse":
        assert {(one.status, one.code) for one in everything} == {(503, "store_unavailable")}
        assert all(int(one.reply.headers["retry-after"]) >= 1 for one in everything)
        assert two.created() == len(hot) + len(elsewhere)
        expected = hot | elsewhere
    else:
        assert {one.status for one in cold_answers + later_answers} == {201}
        # Nobody could tell the second daemon of these leases but the provider.
        assert [str(one) for one in moved_answers if (one.status, one.sandbox) != (200, elsewhere[one.key])] == []
        made = {one.key: str(one.sandbox) for one in cold_answers + later_answers}
        assert two.created() == len(hot) + len(elsewhere) + len(made)
        expected = hot | elsewhere | made
    assert_kept(two, expected)
    assert_books_agree(two)
    for key, sandbox in expected.items():
        assert redis("GET", plain_key(*key)) == sandbox


@pytest.mark.alone
def test_T2_a_stall_shorter_than_the_time_limit_is_waited_for_and_holds_nobody_up_who_needs_no_store(
    fleet: StartFleet, redis: RedisServer, pool: ThreadPoolExecutor
) -> None:
    two = fleet(2, LOG_FORMAT="json")
    hot = leased(two, users("hot", 20))
    two.acquire_all(list(hot), via=[0])
    two.acquire_all(list(hot), via=[1])
    with Load(two, list(hot)) as load:
        time.sleep(2)
        began = time.monotonic()
        cold: list[Future[Answer]] = []
        for turn in range(5):
            stall = pool.submit(redis, "DEBUG", "SLEEP", "0.5")
            time.sleep(0.1)
            cold += [ask_later(pool, two, key, number % 2) for number, key in enumerate(users(f"cold-{turn}", 4))]
            stall.result()
            time.sleep(0.2)
        answers = [one.result() for one in cold]
        ended = time.monotonic()
    p99_before = percentile(load.latencies(until=began), 0.99)
    p99_during = percentile(load.latencies(since=began, until=ended), 0.99)
    print(f"hot p99 {p99_before * 1000:.2f} ms before, {p99_during * 1000:.2f} ms during")
    assert [str(one) for one in load.failures()] == [] and p99_during <= 2 * p99_before + JITTER
    assert {one.status for one in answers} == {201} and max(one.took for one in answers) < COLD
    assert two.modes() == ["redis", "redis"]
    assert [mode_changes(daemon.log()) for daemon in two.daemons] == [[], []]
    assert_books_agree(two)


def test_T2_a_key_is_not_created_twice_when_both_daemons_are_asked_one_after_the_other_during_an_outage(
    fleet: StartFleet, redis: RedisServer
) -> None:
    two = fleet(2)
    redis.freeze()
    keys = users("cold", 10)
    first = {answer.key: answer for answer in two.acquire_all(keys, via=[0])}
    assert {answer.status for answer in first.values()} == {201}
    # The other looks at the provider before it creates.
    second = two.acquire_all(keys, via=[1])
    assert [(one.status, one.sandbox) for one in second] == [(200, first[one.key].sandbox) for one in second]
    redis.thaw()
    two.wait_for_mode("redis", RECOVERY)
    assert two.created() == 10
    assert_kept(two, {key: str(answer.sandbox) for key, answer in first.items()})
    assert_books_agree(two)


def test_a_release_during_an_outage_is_not_undone_by_the_recovery(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2, **QUICK)
    known = leased(two, users("user", 6))
    two.acquire_all(list(known), via=[1])
    redis.freeze()
    released = list(known)[:3]
    answers = two.ask_all("DELETE", released, via=[0])
    assert {answer.status for answer in answers} <= {202, 204}, [str(one) for one in answers]
    wait_until(lambda: not {known[key] for key in released} & two.living().keys(), "the released ones are dead", 20)
    redis.thaw()
    two.wait_for_mode("redis", RECOVERY)
    wait_until(lambda: set(two.leases(1)) == set(known) - set(released), "the store has learned of it", 20)
    for key in released:
        assert redis("EXISTS", plain_key(*key)) == 0
        # The second daemon had it in memory all the time.
        assert two[1].acquire(*key).json["sandbox_id"] != known[key]
    assert_kept(two, {key: sandbox for key, sandbox in known.items() if key not in released})
    assert_books_agree(two)


def test_replicas_share_the_limits_while_redis_is_away(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2, LIMITS_TOTAL="10", LIMITS_PER_USER="2", REDIS_EXPECTED_REPLICAS="2")
    redis.freeze()
    granted: list[Answer] = []
    for index in range(2):
        answers = two.burst(users(f"at-{index}", 20), via=[index])
        refused = [one for one in answers if not one.is_granted]
        assert {(one.status, one.code) for one in refused} == {(503, "total_limit")}
        # The second may have found the first one's at the provider by then, and count them as well.
        assert len(answers) - len(refused) == 5 if index == 0 else len(answers) - len(refused) <= 5
        granted += [one for one in answers if one.is_granted]
    # Two of two, shared by two, is one.
    assert two[0].acquire(granted[0].key[0], "second").code in ("user_limit", "total_limit")
    redis.thaw()
    two.wait_for_mode("redis", RECOVERY)
    late = two.burst(users("late", 20))
    assert {(one.status, one.code) for one in late if not one.is_granted} == {(503, "total_limit")}
    assert len(granted) + sum(one.is_granted for one in late) == 10 == two.peak()
    assert_books_agree(two)


def test_a_users_limit_is_shared_while_redis_is_away(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2, LIMITS_TOTAL="100", LIMITS_PER_USER="4", REDIS_EXPECTED_REPLICAS="2")
    redis.freeze()
    granted = 0
    for index in range(2):
        answers = two.burst([("alice", f"at-{index}-{number}") for number in range(8)], via=[index])
        refused = [one for one in answers if not one.is_granted]
        assert {(one.status, one.code) for one in refused} == {(429, "user_limit")}
        assert len(answers) - len(refused) == 2 if index == 0 else len(answers) - len(refused) <= 2
        granted += len(answers) - len(refused)
    redis.thaw()
    two.wait_for_mode("redis", RECOVERY)
    late = two.burst([("alice", f"late-{number}") for number in range(8)])
    assert granted + sum(one.is_granted for one in late) == 4 == two.peak()
    assert_books_agree(two)


# Who says what


def test_readiness_stats_and_metrics_say_where_the_store_is(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2)
    two.wait_for_mode("redis", RECOVERY)
    assert_mode_everywhere(two, "redis")
    assert two.metric("redis_connections", state="connected") >= 2
    redis.freeze()
    two.acquire_all(users("user", 4), via=[0, 1])
    two.wait_for_mode("degraded", RECOVERY)
    assert_mode_everywhere(two, "degraded")
    redis.thaw()
    two.wait_for_mode("redis", RECOVERY)
    assert_mode_everywhere(two, "redis")
    assert two.metric("redis_commands_total", result="timed_out") > 0
    assert_books_agree(two)


def assert_mode_everywhere(fleet: Fleet, mode: str) -> None:
    for daemon in fleet.daemons:
        ready = daemon.observe("/readyz")
        assert (ready.status, ready.json["store_mode"]) == (200, mode)
        page = daemon.page()
        assert page.values("store_mode", "mode") == {
            one: float(one == mode) for one in ("memory", "redis", "degraded")
        }
        assert broken_gauge_laws(page) == []
        assert daemon.stats()["store_mode"] == mode


def test_T2_an_outage_is_noticed_without_any_request(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2)
    redis.kill()
    two.wait_for_mode("degraded", 10)
    redis.start()
    two.wait_for_mode("redis", RECOVERY)


# T10: Redis is away when the daemon starts


@pytest.mark.parametrize("outage", ["refused", "hanging"])
def test_T10_a_daemon_that_starts_without_redis_attaches_when_it_comes(
    fleet: StartFleet, redis: RedisServer, outage: str
) -> None:
    if outage == "refused":
        redis.kill()
    else:
        redis.freeze()
    began = time.monotonic()
    two = fleet(2, LOG_FORMAT="json")
    assert time.monotonic() - began < 20, "starting waits for Redis"
    # It is ready from the first moment, whether it knows of the outage by then or not.
    assert {daemon.observe("/readyz").status for daemon in two.daemons} == {200}
    two.wait_for_mode("degraded", 10)
    known = leased(two, users("user", 10), via=[0])
    assert all(one.source == "memory" for one in two.acquire_all(list(known), via=[0]))

    if outage == "refused":
        redis.start()
    else:
        redis.thaw()
    two.wait_for_mode("redis", RECOVERY)
    for key, sandbox in known.items():
        wait_until(lambda: redis("GET", plain_key(*key)) == sandbox, f"{key} is in Redis", RECOVERY)
        assert redis("PTTL", plain_key(*key)) > 0
    assert_kept(two, known)
    assert two.created() == 10
    assert_books_agree(two)
    # Somebody reads this log at night: a line for each change, and not for each command that failed.
    assert [mode_changes(daemon.log()) for daemon in two.daemons] == [["degraded", "redis"]] * 2


def test_T10_with_refuse_a_daemon_that_starts_without_redis_grants_nothing_until_it_comes(
    fleet: StartFleet, redis: RedisServer
) -> None:
    redis.kill()
    one = fleet(1, REDIS_ON_OUTAGE="refuse")
    refused = one[0].acquire("alice", "demo")
    assert (refused.status, refused.code) == (503, "store_unavailable")
    assert int(refused.headers["retry-after"]) >= 1
    assert one.created() == 0
    redis.start()
    one.wait_for_mode("redis", RECOVERY)
    assert one[0].acquire("alice", "demo").status == 201
    assert_books_agree(one)


# T3: connections break


def test_T3_connections_that_break_under_load_fail_no_request(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2, LOG_FORMAT="json")
    known = leased(two, users("hot", 10))
    with Load(two, list(known), clients=2) as hot, Churn(two, "churn", clients=6, pause=0.01) as churn:
        for _ in range(12):
            time.sleep(0.4)
            redis("CLIENT", "KILL", "TYPE", "normal")
        for _ in range(5):
            time.sleep(0.4)
            redis("CLIENT", "KILL", "TYPE", "pubsub")
    assert len(churn.answers) > 50, "there was hardly any load"
    assert [str(one) for one in hot.failures() + churn.failures()] == []
    assert [str(one) for one in hot.strangers(known)] == []
    assert {one.status for one in churn.released} <= {202, 204}, Counter(one.status for one in churn.released)
    assert two.metric("redis_reconnects_total", result="ok") >= 2
    # A connection that breaks is no outage.
    assert [mode_changes(daemon.log()) for daemon in two.daemons] == [[], []]
    assert_kept(two, known)
    assert_books_agree(two)
    assert set(two.living().values()) == set(known)


# Redis loses what it knew


def empty_restart(redis: RedisServer) -> None:
    redis.restart()


def slow_empty_restart(redis: RedisServer) -> None:
    redis.kill()
    time.sleep(3)
    redis.start()


def flush(redis: RedisServer) -> None:
    redis("FLUSHALL")


@pytest.mark.parametrize("lose", [empty_restart, slow_empty_restart, flush])
def test_I10_a_redis_that_is_empty_again_costs_no_lease_and_doubles_none(
    fleet: StartFleet, redis: RedisServer, lose: Callable[[RedisServer], None]
) -> None:
    two = fleet(2, **QUICK)
    by_first = leased(two, users("first", 15), via=[0])
    by_second = leased(two, users("second", 15), via=[1])
    with UnderLoad(two, by_first, by_second) as loads:
        time.sleep(1)
        lose(redis)
        time.sleep(3)
    assert_nothing_was_lost(two, loads, by_first | by_second)
    for key, sandbox in (by_first | by_second).items():
        assert redis("GET", plain_key(*key)) == sandbox


def test_I10_a_redis_that_is_emptied_again_and_again_costs_no_lease(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2, **QUICK)
    by_first = leased(two, users("first", 10), via=[0])
    by_second = leased(two, users("second", 10), via=[1])
    with UnderLoad(two, by_first, by_second) as loads:
        for _ in range(12):
            time.sleep(0.4)
            redis("FLUSHALL")
        time.sleep(2)
    assert_nothing_was_lost(two, loads, by_first | by_second)


@pytest.mark.parametrize(
    "asked_for",
    [True, False],
)
def test_I10_a_redis_put_back_to_an_old_snapshot_brings_nothing_dead_back(
    fleet: StartFleet, redis: RedisServer, asked_for: bool
) -> None:
    two = fleet(2, **QUICK)
    kept = leased(two, users("kept", 10))
    released = leased(two, users("released", 5))
    replaced = leased(two, users("replaced", 5))
    snapshot = redis.save()
    for key in [*released, *replaced]:
        assert two[0].release(*key).status == 204
    newer = leased(two, list(replaced))
    by_first = leased(two, users("first", 10), via=[0])
    by_second = leased(two, users("second", 10), via=[1])
    assert not set(newer.values()) & set(replaced.values())
    with UnderLoad(two, by_first, by_second) as loads:
        time.sleep(1)
        redis.restart(snapshot)
        time.sleep(3)
    if asked_for:
        # The snapshot calls these leased; their sandboxes are dead.
        again = two.acquire_all(list(released))
        assert {one.status for one in again} == {201}
        assert not {one.sandbox for one in again} & set(released.values())
        loads.growth.answers += again
    assert_nothing_was_lost(two, loads, kept | newer | by_first | by_second)


class UnderLoad:
    """Hot clients at the daemon that made each lease, and clients that ask for keys that nobody has had before."""

    def __init__(self, fleet: Fleet, by_first: dict[Key, str], by_second: dict[Key, str]) -> None:
        self.hot = [
            Load(fleet, list(known), via=[index], clients=2, pause=0.01)
            for index, known in enumerate((by_first, by_second))
        ]
        self.growth = Growth(fleet, "new", clients=4, pause=0.1)
        self.watch = Watch(fleet, pause=0.05)
        self.began = fleet.created()
        self._stack = ExitStack()

    def __enter__(self) -> UnderLoad:
        for hot in self.hot:
            self._stack.enter_context(hot)
        self._stack.enter_context(self.growth)
        self._stack.enter_context(self.watch)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def assert_nothing_was_lost(
    fleet: Fleet, loads: UnderLoad, known: dict[Key, str], had_two_masters: bool = False
) -> None:
    """Once Redis is back: every lease of before and of meanwhile has the sandbox that it had, and only that one.

    had_two_masters: for a moment either daemon had a Redis of its own that called itself the master. A key that was
    asked for at both then has two sandboxes until the books are merged: the later one stays.
    """
    fleet.wait_for_mode("redis", RECOVERY)
    for hot in loads.hot:
        assert len(hot.answers) > 50
        assert [str(one) for one in hot.failures()] == []
        assert [str(one) for one in hot.strangers(known)] == []
    made = loads.growth.granted()
    print(f"{len(made)} keys were new; slowest {max(one.took for one in loads.growth.answers):.2f} s")
    assert len(made) >= 10
    assert [str(one) for one in loads.growth.failures()] == []
    assert [str(one) for one in loads.growth.answers if one.took > COLD] == []
    doubled = {one.key for one in loads.growth.answers if one.sandbox not in (None, made.get(one.key))}
    assert had_two_masters or not doubled, f"two sandboxes were leased for {doubled}"
    assert loads.watch.doubled.keys() <= doubled
    assert fleet.created() == loads.began + len(made) + len(doubled), "more sandboxes were made than keys were new"
    if doubled:
        wait_until(lambda: all(len(fleet.by_key()[key]) == 1 for key in doubled), "one of two is killed", 10)
    assert_kept(fleet, known | made)
    assert_books_agree(fleet)


# Failover


@pytest.fixture
def sentinels(request: pytest.FixtureRequest) -> Iterator[SentinelSet]:
    with SentinelSet(request.param) as found:
        yield found


@pytest.mark.parametrize(
    "sentinels, how", [(1, "kill"), (3, "kill"), (3, "freeze"), (1, "planned")], indirect=["sentinels"]
)
def test_I10_a_failover_costs_no_lease_and_writes_go_to_the_new_master(
    sentinels: SentinelSet, fleet: StartFleet, how: str
) -> None:
    two = fleet(2, url=sentinels.url, **QUICK)
    by_first = leased(two, users("first", 15), via=[0])
    by_second = leased(two, users("second", 15), via=[1])
    old = sentinels.current()
    with UnderLoad(two, by_first, by_second) as loads:
        time.sleep(1)
        ended = time.monotonic()
        new = sentinels.fail_over(how)
        assert new is not old
        took = time.monotonic() - ended
        probes = iter(users("probe", 1000))

        def is_written() -> bool:
            key = next(probes)
            answer = two[0].acquire(*key)
            loads.growth.answers.extend(two.acquire_all([key], via=[1]))
            return answer.status == 201 and new("GET", plain_key(*key)) == answer.json["sandbox_id"]

        wait_until(is_written, "a lease is written to the new master", max(0.1, 10 - took), poll=0.2)
        print(f"failover {took:.1f} s, first write {time.monotonic() - ended:.1f} s after the end of the old master")
        time.sleep(1)
    # A sentinel hands over without stopping the old master first; a dead or frozen one takes no writes.
    assert_nothing_was_lost(two, loads, by_first | by_second, had_two_masters=how == "planned")
    for key, sandbox in (by_first | by_second).items():
        wait_until(lambda: new("GET", plain_key(*key)) == sandbox, f"{key} is at the new master")


@pytest.mark.parametrize("sentinels", [1], indirect=True)
def test_I10_an_old_master_that_comes_back_is_not_written_to(sentinels: SentinelSet, fleet: StartFleet) -> None:
    two = fleet(2, url=sentinels.url, **QUICK)
    known = leased(two, users("user", 10))
    old = sentinels.current()
    new = sentinels.fail_over("freeze")
    two.wait_for_mode("redis", 10)
    meanwhile = leased(two, users("meanwhile", 10))
    # It still believes that it is the master, until a sentinel tells it otherwise.
    old.thaw()
    more = leased(two, users("more", 10))
    wait_until(lambda: old.role() == "slave", "the sentinel has made it a replica", 20)
    wait_until(lambda: old("ROLE")[3] == "connected", "it has caught up", 20)
    expected = known | meanwhile | more
    assert_kept(two, expected)
    assert_books_agree(two)
    for key, sandbox in expected.items():
        assert new("GET", plain_key(*key)) == sandbox
