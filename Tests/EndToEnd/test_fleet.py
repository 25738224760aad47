"""Redis as the one truth for a fleet of managers: whatever one daemon does, every other acts on."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime

import pytest

from daemon import sandbox_path
from fleet import Answer, Churn, Client, Fleet, Key, Watch, assert_books_agree, in_threads
from redis_support import RedisServer, plain_key
from waiting import wait_until

StartFleet = Callable[..., Fleet]

# Quick enough that a round is never what a test waits for.
QUICK = {"REAPER_INTERVAL_SECONDS": "0.5", "RECONCILER_INTERVAL_SECONDS": "2"}


def counted(answers: list[Answer]) -> Counter[tuple[int, str | None]]:
    """How often each status came with each code."""
    return Counter((answer.status, answer.code) for answer in answers)


def slots_in_use(fleet: Fleet) -> list[float]:
    """As each daemon counts them."""
    return [daemon.page().sum("slots_in_use", scope="total") for daemon in fleet.daemons]


# One key, one sandbox


def test_L4_one_key_asked_for_at_two_daemons_at_once_gets_one_sandbox(fleet: StartFleet) -> None:
    two = fleet(2)
    # Slow enough that all of them are under way before there is an answer.
    two.cloud.fault("create", "latency", milliseconds=500, times=0)
    answers = two.burst([("alice", "demo")] * 100)
    assert counted(answers) == {(201, None): 1, (200, None): 99}, counted(answers)
    assert len({answer.sandbox for answer in answers}) == 1
    assert two.created() == 1
    assert {answer.daemon for answer in answers} == {0, 1}
    assert_books_agree(two)


def test_L4_many_keys_asked_for_at_two_daemons_at_once_get_one_sandbox_each(fleet: StartFleet) -> None:
    two = fleet(2)
    two.cloud.fault("create", "latency", milliseconds=100, times=0)
    # Each key four times, alternately at either daemon.
    keys = [(f"user-{number // 4}", "demo") for number in range(200)]
    with Watch(two) as watch:
        answers = two.burst(keys)
    assert counted(answers) == {(201, None): 50, (200, None): 150}, counted(answers)
    assert len({(answer.key, answer.sandbox) for answer in answers}) == 50
    assert two.created() == 50 and not watch.doubled
    assert_books_agree(two)


# Limits


def test_L3_the_total_limit_holds_over_two_daemons_at_every_moment(fleet: StartFleet) -> None:
    two = fleet(2, LIMITS_TOTAL="100", LIMITS_PER_USER="2")
    two.cloud.fault("create", "latency", milliseconds=50, times=0)
    with Watch(two) as watch:
        answers = two.burst([(f"user-{number}", "demo") for number in range(500)])
    assert counted(answers) == {(201, None): 100, (503, "total_limit"): 400}, counted(answers)
    # The provider's own count misses no moment; the looks show that the watch would have seen it too.
    assert two.peak() == 100 and watch.most == 100 and watch.looks > 1
    assert two.created() == 100
    for answer in answers:
        if not answer.is_granted:
            assert answer.reply.json["limit"] == 100 and answer.reply.json["in_use"] == 100
            assert int(answer.reply.headers["retry-after"]) >= 1
    assert_books_agree(two)

    # A slot that is given back through one daemon can be had through the other.
    granted = next(answer for answer in answers if answer.is_granted)
    other = 1 - granted.daemon
    assert two[other].release(*granted.key).status == 204
    assert two[granted.daemon].acquire("late", "demo").status == 201
    assert two[other].acquire("too-late", "demo").code == "total_limit"
    assert two.peak() == 100


def test_L3_a_users_limit_holds_over_two_daemons_at_every_moment(fleet: StartFleet) -> None:
    two = fleet(2, LIMITS_TOTAL="100", LIMITS_PER_USER="2")
    two.cloud.fault("create", "latency", milliseconds=50, times=0)
    with Watch(two) as watch:
        answers = two.burst([("alice", f"project-{number}") for number in range(100)])
    assert counted(answers) == {(201, None): 2, (429, "user_limit"): 98}, counted(answers)
    assert two.peak() == 2 and watch.most_of_one_user == 2
    assert two.created() == 2
    assert_books_agree(two)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_L2_reconnects_after_a_restart_stay_within_the_limits(fleet: StartFleet, number: int) -> None:
    two = fleet(2, LIMITS_TOTAL="4", LIMITS_PER_USER="1")
    known = {answer.key: answer.sandbox for answer in two.acquire_all([(f"user-{n}", "demo") for n in range(4)])}
    for index in range(2):
        two.restart(index, number)
    strangers = [(f"stranger-{n}", "demo") for n in range(4)]
    # The strangers first: whoever forgot the leases would let them in.
    assert counted(two.burst(strangers)) == {(503, "total_limit"): 4}
    again = two.burst([*known, *known])
    assert counted(again) == {(200, None): 8}, counted(again)
    assert all(answer.sandbox == known[answer.key] for answer in again)
    second = two.burst([(f"user-{n}", "second") for n in range(4)])
    assert {answer.code for answer in second} <= {"user_limit", "total_limit"}, counted(second)
    assert two.peak() == 4 and two.created() == 4
    assert_books_agree(two)


def test_L2_sandboxes_of_the_earlier_manager_are_not_attached_beyond_the_limits(
    fleet: StartFleet, redis: RedisServer
) -> None:
    two = fleet(2, LIMITS_TOTAL="1", LIMITS_PER_USER="1")
    keys = [("alice", f"project-{number}") for number in range(4)]
    made = {key: python_managers_sandbox(two, redis, key) for key in keys}
    answers = two.burst(keys)
    statuses = Counter(answer.status for answer in answers)
    assert statuses[200] == 1 and statuses.total() == 4, counted(answers)
    assert {answer.code for answer in answers if not answer.is_granted} <= {"user_limit", "total_limit"}
    [granted] = [answer for answer in answers if answer.is_granted]
    assert granted.sandbox == made[granted.key]
    assert two.created() == 4
    wait_until(lambda: slots_in_use(two) == [1, 1], "both daemons count one slot")


# What one daemon ends, no other hands out


@pytest.mark.timeout(180)
def test_a_lease_released_at_one_daemon_is_not_handed_out_by_the_other(fleet: StartFleet) -> None:
    two = fleet(2)
    with Client(two) as client:
        for turn in range(50):
            # Either is the one that remembers in turn.
            releasing, remembering = turn % 2, 1 - turn % 2
            key = ("alice", f"demo-{turn % 5}")
            first = client.ask("PUT", key, remembering)
            hot = client.ask("PUT", key, remembering)
            assert (hot.status, hot.source, hot.sandbox) == (200, "memory", first.sandbox), str(hot)
            released = client.ask("DELETE", key, releasing)
            assert released.status == 204, released
            after = client.ask("PUT", key, remembering)
            assert after.status == 201, f"turn {turn}: {after}"
            assert after.sandbox != first.sandbox
            assert after.reply.json["epoch"] > first.reply.json["epoch"]
            assert first.sandbox not in two.living()
    assert_books_agree(two)


def test_O4_a_lease_is_released_at_a_daemon_that_did_not_make_it(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2)
    sandbox = two[0].acquire("alice", "demo").json["sandbox_id"]
    assert redis("GET", plain_key("alice", "demo")) == sandbox
    assert redis.mentions(sandbox)
    assert two[1].release("alice", "demo").status == 204
    assert_is_gone(two, redis, sandbox)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_O4_a_lease_is_released_when_every_daemon_has_been_restarted(
    fleet: StartFleet, redis: RedisServer, number: int
) -> None:
    two = fleet(2)
    sandbox = two[0].acquire("alice", "demo").json["sandbox_id"]
    for index in range(2):
        two.restart(index, number)
    assert list(two.living()) == [sandbox]
    assert two[1].release("alice", "demo").status == 204
    assert_is_gone(two, redis, sandbox)


def assert_is_gone(fleet: Fleet, redis: RedisServer, sandbox: str) -> None:
    """The sandbox is dead, and neither Redis nor a daemon holds anything of it."""
    assert sandbox not in fleet.living()
    assert redis("EXISTS", plain_key("alice", "demo")) == 0
    wait_until(lambda: redis.mentions(sandbox) == [], f"nothing is left of it, not even {redis.mentions(sandbox)}")
    for daemon in fleet.daemons:
        assert daemon.request("GET", sandbox_path("alice", "demo")).code == "not_found"
    assert_books_agree(fleet)


def test_O6_a_daemon_that_slept_does_not_sweep_the_newer_mapping_away(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2, **QUICK, LEASE_IDLE_TIMEOUT_SECONDS="15")
    old = two[1].acquire("alice", "demo").json["sandbox_id"]
    # The second daemon sleeps, and what it would have heard meanwhile is lost with its connection.
    two[1].signal(signal.SIGSTOP)
    redis("CLIENT", "KILL", "TYPE", "pubsub")
    assert two[0].release("alice", "demo").status == 204
    new = two[0].acquire("alice", "demo").json["sandbox_id"]
    assert new != old
    # In its memory the lease has been idle for too long when it wakes up.
    use_for(two, 0, ("alice", "demo"), new, 17)
    two[1].signal(signal.SIGCONT)
    rounds = two[1].page().sum("loop_runs_total", loop="reaper")
    end = time.monotonic() + 15
    while two[1].page().sum("loop_runs_total", loop="reaper") < rounds + 4:
        assert time.monotonic() < end, "the second daemon's reaper does not run"
        assert redis("GET", plain_key("alice", "demo")) == new
        assert two[0].acquire("alice", "demo").json["sandbox_id"] == new
        time.sleep(0.1)
    assert two[1].acquire("alice", "demo").json["sandbox_id"] == new
    assert list(two.living()) == [new]
    assert_books_agree(two)


def test_a_lease_used_at_one_daemon_only_is_not_reaped_by_another(fleet: StartFleet) -> None:
    two = fleet(0, **QUICK, LEASE_IDLE_TIMEOUT_SECONDS="15")
    # Only the second one reaps, and it knows nothing of the uses at the first but what the store says.
    two.add(REAPER_INTERVAL_SECONDS="3600")
    two.add()
    used = two[0].acquire("alice", "used").json["sandbox_id"]
    idle = two[0].acquire("alice", "idle").json["sandbox_id"]
    assert two[1].acquire("alice", "used").json["sandbox_id"] == used
    use_for(two, 0, ("alice", "used"), used, 26)
    living = two.living()
    assert used in living
    assert idle not in living, "no reaper has ended the idle lease: then this test shows nothing"
    assert two.metric("leases_ended_total", reason="idle") == 1
    assert_books_agree(two)


def use_for(fleet: Fleet, index: int, key: Key, sandbox: str, seconds: float) -> None:
    """Acquires a key once a second at one daemon only, which answers from memory."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        reply = fleet[index].acquire(*key)
        assert (reply.status, reply.json["sandbox_id"]) == (200, sandbox), reply
        time.sleep(1)


def is_in_memory(fleet: Fleet, index: int, user: str, project: str) -> bool:
    """Whether a daemon has a copy of the key's lease."""
    return bool(fleet[index].request("GET", f"/v1/explain/{user}/{project}").json["in_memory"])


def acquired_from_memory(fleet: Fleet, index: int, sandbox: str) -> bool:
    """Whether a daemon hands the sandbox out from memory, which is no other in any case."""
    answer = fleet[index].acquire("alice", "demo")
    assert (answer.status, answer.json.get("sandbox_id")) == (200, sandbox), answer
    return bool(answer.json["source"] == "memory")


def test_K5_a_lease_paused_at_one_daemon_is_not_handed_out_as_fresh_by_another(fleet: StartFleet) -> None:
    two = fleet(2)
    path = sandbox_path("alice", "demo")
    sandbox = two[0].acquire("alice", "demo").json["sandbox_id"]
    for turn in range(10):
        pausing, remembering = turn % 2, 1 - turn % 2
        # The word that it runs again, from the turn before, may still be on its way and drop a copy once more.
        wait_until(lambda: acquired_from_memory(two, remembering, sandbox), "it is handed out from memory")
        assert two[pausing].request("POST", path + "/pause").status == 200
        assert two.cloud.sandboxes()[0]["state"] == "paused"
        # A pause is told to the others, which drop their copies, and is not waited for.
        wait_until(lambda: not is_in_memory(two, remembering, "alice", "demo"), "the other one has heard of it")
        answer = two[remembering].acquire("alice", "demo")
        assert (answer.status, answer.json["sandbox_id"]) == (200, sandbox), answer
        assert answer.json["source"] != "memory", f"turn {turn}: handed out from memory, though it was paused"
        assert two.cloud.sandboxes()[0]["state"] == "running"
        # The one that paused it finds out as well that it runs again.
        assert two[pausing].acquire("alice", "demo").json["sandbox_id"] == sandbox
    assert two.created() == 1
    assert_books_agree(two)


# Restarts


def test_a_lease_released_while_a_daemon_that_starts_takes_over_is_not_brought_back(fleet: StartFleet) -> None:
    two = fleet(2)
    # What a daemon lists at the provider right after its start may be dead before it is adopted.
    with Churn(two, "churn", clients=8, pause=0.005) as churn:
        time.sleep(3)
        two.restart(0)
        time.sleep(3)
    assert {one.status for one in churn.released} <= {0, 202, 204, 503}
    refused = [one.key for one in churn.released if one.status in (0, 503)]
    two.ask_all("DELETE", [*refused, *(one.key for one in churn.failures())], via=[1])
    assert_books_agree(two)
    assert two.living() == {} and two.leases() == {}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_K6_a_restart_with_a_thousand_leases_changes_none_of_them(
    fleet: StartFleet, redis: RedisServer, number: int
) -> None:
    one = fleet(1)
    keys = [(f"user-{n}", "demo") for n in range(1000)]
    before = {answer.key: answer.reply.json for answer in one.acquire_all(keys)}
    assert len({lease["sandbox_id"] for lease in before.values()}) == 1000
    expiries = expiries_in_redis(redis, keys)

    one.restart(0, number)
    began = time.monotonic()
    after = one.acquire_all(keys)
    took = time.monotonic() - began
    assert counted(after) == {(200, None): 1000}, counted(after)
    assert Counter(answer.source for answer in after) == {"reconnected": 1000}
    for answer in after:
        old, new = before[answer.key], answer.reply.json
        assert new["sandbox_id"] == old["sandbox_id"]
        # Connecting would have moved the expiry, and forgetting the age.
        assert abs(seconds(new["created_at"]) - seconds(old["created_at"])) < 1, (old, new)
        assert abs(seconds(new["expires_at"]) - seconds(old["expires_at"])) < 1, (old, new)
    for key, expiry in expiries_in_redis(redis, keys).items():
        assert abs(expiry - expiries[key]) < 1, f"{key}: the time to live has moved by {expiry - expiries[key]:.3f} s"
    assert one.created() == 1000 and len(one.living()) == 1000
    assert Counter(answer.source for answer in one.acquire_all(keys)) == {"memory": 1000}
    print(f"1,000 reconnects took {took:.1f} s")
    assert_books_agree(one)


def expiries_in_redis(redis: RedisServer, keys: list[Key]) -> dict[Key, float]:
    """When the plain key of each lease ends, in seconds since 1970."""
    found = {key: redis("PEXPIRETIME", plain_key(*key)) / 1000 for key in keys}
    assert min(found.values()) > time.time(), "a plain key is missing or has no time to live"
    return found


def seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


@pytest.mark.timeout(240)
def test_I10_keys_of_a_daemon_killed_in_the_middle_of_creates_are_served_by_the_other(fleet: StartFleet) -> None:
    # An intent is due after the request's deadline, a create's time limit and half a minute: 50 s.
    two = fleet(2, **QUICK, REQUEST_DEADLINE_SECONDS="10", CREATE_TIMEOUT_SECONDS="10")
    bound = 10 + 10 + 30 + 15
    keys = [(f"user-{n}", "demo") for n in range(50)]
    early = keys[:5]
    assert counted(two.acquire_all(early, via=[0])) == {(201, None): 5}
    two.cloud.fault("create", "latency", milliseconds=2000, times=0)
    asked = threading.Thread(target=lambda: ignoring_errors(lambda: two.burst(keys[5:], via=[0])), daemon=True)
    asked.start()
    wait_until(lambda: two[0].page().sum("create_intents") >= 45, "all creates are under way", 10)
    # Some are made while it still lives, some after its end, and their answers reach nobody.
    two.cloud.admin("DELETE", "faults")
    two.cloud.fault("create", "latency", milliseconds=1000, times=0)
    two[0].signal(signal.SIGKILL)
    two[0].wait(10)
    asked.join(30)

    began = time.monotonic()
    served: dict[Key, Answer] = {}

    def serve(key: Key) -> None:
        with Client(two) as client:
            while key not in served:
                answer = client.ask("PUT", key, 1)
                if answer.is_granted:
                    served[key] = answer
                else:
                    assert answer.code in ("creation_in_progress", "deadline_exceeded"), answer
                    assert time.monotonic() - began < bound, f"not within {bound} s: {answer}"
                    time.sleep(0.2)

    in_threads([lambda key=key: serve(key) for key in keys])
    took = time.monotonic() - began
    assert took < bound
    print(f"the last key was served {took:.1f} s after the kill")
    assert len({answer.sandbox for answer in served.values()}) == 50

    dead = two.daemons.pop(0)
    wait_until(lambda: two.metric("create_intents") == 0, "the intents are resolved", bound, poll=0.2)
    assert_books_agree(two)
    assert two.leases(0) == {key: answer.sandbox for key, answer in served.items()}
    assert {key: len(found) for key, found in two.by_key().items()} == {key: 1 for key in keys}
    assert dead.process is not None and dead.process.returncode == -signal.SIGKILL


def ignoring_errors(work: Callable[[], object]) -> None:
    try:
        work()
    except OSError:
        # Their daemon is killed under them.
        pass


# Who owns what, and what the Python manager left


def python_managers_sandbox(fleet: Fleet, redis: RedisServer, key: Key) -> str:
    """A sandbox as the Python manager made and recorded it: no label of ours, and nothing but the id in Redis."""
    metadata = {"user_id": key[0], "project_id": key[1]}
    body = {"templateID": "base", "timeout": 1800, "metadata": metadata, "secure": True}
    status, _, made = fleet.cloud.call("POST", "/sandboxes", body)
    assert status == 201, made
    redis("SET", plain_key(*key), made["sandboxID"], "PX", 900_000)
    return made["sandboxID"]


def test_a_sandbox_that_the_earlier_manager_left_is_taken_over(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2)
    sandbox = python_managers_sandbox(two, redis, ("ann@x.org", "web+1"))
    taken = two[0].acquire("ann@x.org", "web+1")
    assert (taken.status, taken.json["sandbox_id"], taken.json["source"]) == (200, sandbox, "reconnected"), taken
    assert taken.json["envd_access_token"]
    assert two[0].acquire("ann@x.org", "web+1").json["source"] == "memory"
    assert two[1].acquire("ann@x.org", "web+1").json["sandbox_id"] == sandbox
    assert two[1].output("ann@x.org", "web+1", "echo", "hello") == "hello\n"
    assert redis("GET", plain_key("ann@x.org", "web+1")) == sandbox
    assert two.created() == 1
    assert_books_agree(two)
    assert two[1].release("ann@x.org", "web+1").status == 204
    assert two.living() == {}
    # The answer to a call that may be repeated is kept for some seconds.
    wait_until(lambda: redis.mentions(sandbox) == [], "nothing is left of it in Redis")


def test_O4_what_the_earlier_manager_left_can_be_released_before_anybody_has_acquired_it(
    fleet: StartFleet, redis: RedisServer
) -> None:
    two = fleet(2)
    sandbox = python_managers_sandbox(two, redis, ("alice", "demo"))
    assert two[1].release("alice", "demo").status == 204
    assert_is_gone(two, redis, sandbox)


def test_two_daemons_at_once_take_over_what_the_earlier_manager_left_once(
    fleet: StartFleet, redis: RedisServer
) -> None:
    two = fleet(2)
    sandbox = python_managers_sandbox(two, redis, ("alice", "demo"))
    answers = two.burst([("alice", "demo")] * 20)
    assert counted(answers) == {(200, None): 20}, counted(answers)
    assert {answer.sandbox for answer in answers} == {sandbox}
    assert two.created() == 1
    assert_books_agree(two)


def test_a_dead_sandbox_that_the_earlier_manager_recorded_is_replaced(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2)
    sandbox = python_managers_sandbox(two, redis, ("alice", "demo"))
    two.cloud.admin("POST", "vanish", {"id": sandbox})
    made = two[0].acquire("alice", "demo")
    assert made.status == 201 and made.json["sandbox_id"] != sandbox
    assert redis("GET", plain_key("alice", "demo")) == made.json["sandbox_id"]
    assert_books_agree(two)


@pytest.mark.parametrize("of_the_earlier_manager", [False, True])
def test_S2_a_sandbox_of_another_user_is_never_handed_out(
    fleet: StartFleet, redis: RedisServer, of_the_earlier_manager: bool
) -> None:
    two = fleet(2)
    if of_the_earlier_manager:
        alices = python_managers_sandbox(two, redis, ("alice", "demo"))
    else:
        alices = two[0].acquire("alice", "demo").json["sandbox_id"]
    redis("SET", plain_key("bob", "demo"), alices, "PX", 900_000)
    for index in range(2):
        answer = two[index].acquire("bob", "demo")
        assert answer.status in (200, 201), answer
        assert answer.json["sandbox_id"] != alices
    assert two.metric("ownership_mismatches_total") >= 1
    assert redis("GET", plain_key("bob", "demo")) == answer.json["sandbox_id"]
    # Alice notices nothing.
    assert two[1].acquire("alice", "demo").json["sandbox_id"] == alices
    assert two.by_key() == {("alice", "demo"): [alices], ("bob", "demo"): [answer.json["sandbox_id"]]}
    assert_books_agree(two)


def test_a_mapping_to_a_sandbox_that_names_no_owner_is_not_followed(fleet: StartFleet, redis: RedisServer) -> None:
    two = fleet(2)
    nobodys = two.cloud.call("POST", "/sandboxes", {"templateID": "base", "timeout": 1800})[2]["sandboxID"]
    redis("SET", plain_key("bob", "demo"), nobodys, "PX", 900_000)
    made = two[0].acquire("bob", "demo")
    assert made.status == 201 and made.json["sandbox_id"] != nobodys
    assert two.metric("ownership_mismatches_total") >= 1
    # It may belong to somebody else's program in the same account: it lives on.
    assert nobodys in two.living()
    assert_books_agree(two, foreign=[nobodys])


# A restart under load


@pytest.mark.timeout(180)
def test_T14_a_rolling_restart_under_load_fails_no_request_and_loses_no_sandbox(fleet: StartFleet) -> None:
    two = fleet(2)
    keys = [(f"user-{n}", "demo") for n in range(40)]
    known = {answer.key: answer.sandbox for answer in two.acquire_all(keys)}
    done = threading.Event()
    answers: list[Answer] = []

    def work(number: int) -> None:
        with Client(two) as client:
            turn = 0
            while not done.wait(0.005):
                key = keys[(turn + 10 * number) % len(keys)]
                # As a client does: refused or reset before a reply, it asks the next one.
                for attempt in range(20):
                    answer = client.ask("PUT", key, (number + turn + attempt) % 2)
                    if answer.status != 0 and answer.code != "draining":
                        break
                    time.sleep(0.02)
                answers.append(answer)
                turn += 1

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for index in (0, 1, 0):
        two.restart(index)
        time.sleep(0.5)
    done.set()
    for thread in threads:
        thread.join()
    assert len(answers) > 100
    assert counted(answers) == {(200, None): len(answers)}, counted(answers)
    assert [str(one) for one in answers if one.sandbox != known[one.key]] == []
    assert two.created() == 40
    assert_books_agree(two)
