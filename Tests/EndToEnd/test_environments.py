"""Several programs in one E2B account, without a Redis between them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from daemon import Daemon
from e2b_support import FakeE2B
from fleet import Fleet, Key
from waiting import wait_until

# Rounds quick enough to see several, and a grace that ends within the test.
EAGER = {
    "REAPER_INTERVAL_SECONDS": "0.5",
    "RECONCILER_INTERVAL_SECONDS": "0.5",
    "RECONCILER_GRACE_SECONDS": "0.5",
    "RECONCILER_MODE": "repair",
}
# The same keys in both, as two stages of one product have them.
KEYS: list[Key] = [(f"user-{number}", "demo") for number in range(10)]


@pytest.fixture
def pair(launch: Callable[..., Daemon], cloud: FakeE2B) -> Iterator[Fleet]:
    """Two daemons with one account, who do not know of each other."""
    with Fleet(launch, cloud, None, EAGER) as found:
        found.add(ENVIRONMENT="blue")
        found.add(ENVIRONMENT="green")
        yield found


def foreigners(cloud: FakeE2B) -> set[str]:
    """Sandboxes that other programs made, one of them with words that the Python manager used too."""
    bodies = [
        {"templateID": "base", "timeout": 1800},
        {"templateID": "base", "timeout": 1800, "metadata": {"user_id": "user-0", "project_id": "demo"}},
        {"templateID": "base", "timeout": 1800, "metadata": {"sandbox_manager_environment": "red"}},
    ]
    made = [cloud.call("POST", "/sandboxes", body) for body in bodies]
    assert {status for status, _, _ in made} == {201}
    return {reply["sandboxID"] for _, _, reply in made}


def leased(pair: Fleet, index: int) -> dict[Key, str]:
    """Every key at one of the daemons, with its sandbox."""
    answers = pair.acquire_all(KEYS, via=[index])
    assert all(answer.is_granted for answer in answers), [str(answer) for answer in answers]
    return {answer.key: str(answer.sandbox) for answer in answers}


def wait_for_rounds(pair: Fleet, count: int = 4) -> None:
    """Waits until the reconciler of each has had so many rounds more."""
    for daemon in pair.daemons:
        before = daemon.page().sum("loop_runs_total", loop="reconciler")
        wait_until(
            lambda: daemon.page().sum("loop_runs_total", loop="reconciler") >= before + count,
            "the reconciler has had its rounds",
            20,
        )


def test_I3_two_environments_in_one_account_leave_each_other_and_strangers_alone(pair: Fleet) -> None:
    others = foreigners(pair.cloud)
    blue, green = leased(pair, 0), leased(pair, 1)
    assert not set(blue.values()) & set(green.values())
    everything = others | set(blue.values()) | set(green.values())
    wait_for_rounds(pair)
    assert set(pair.living()) == everything
    assert (pair.leases(0), pair.leases(1)) == (blue, green)

    # Neither takes over more than its own after a crash.
    ports = [str(daemon.api) for daemon in pair.daemons]
    for index, name in enumerate(("blue", "green")):
        pair.restart(index, signal.SIGKILL, ENVIRONMENT=name, API_LISTEN=ports[index])
    assert (leased(pair, 0), leased(pair, 1)) == (blue, green)
    wait_for_rounds(pair)
    assert set(pair.living()) == everything
    assert (pair.leases(0), pair.leases(1)) == (blue, green)
    assert [daemon.page().sum("slots_in_use", scope="total") for daemon in pair.daemons] == [len(KEYS)] * 2

    # What one ends, it ends for itself alone.
    assert pair[0].release(*KEYS[0]).status == 204
    wait_for_rounds(pair)
    assert set(pair.living()) == everything - {blue[KEYS[0]]}
    assert pair[1].acquire(*KEYS[0]).json["sandbox_id"] == green[KEYS[0]]
    assert pair.metric("orphans_total", action="killed") == 0, "somebody was taken for an orphan"
    assert [daemon.page().sum("orphans_total", action="adopted") for daemon in pair.daemons] == [len(KEYS)] * 2


def test_I3_an_orphan_is_the_business_of_its_own_environment_only(pair: Fleet) -> None:
    blue, green = leased(pair, 0), leased(pair, 1)
    [labels] = [one["metadata"] for one in pair.cloud.sandboxes() if one["id"] == green[KEYS[0]]]
    # As if an earlier create of the green one had come to be unnoticed.
    token = labels["sandbox_manager_token"]
    older = {**labels, "sandbox_manager_token": token[:-4] + ("0000" if token[-4:] != "0000" else "1111")}
    older["sandbox_manager_epoch"] = str(int(labels["sandbox_manager_epoch"]) - 1)
    body = {"templateID": "base", "timeout": 1800, "metadata": older}
    status, _, made = pair.cloud.call("POST", "/sandboxes", body)
    assert status == 201
    wait_until(lambda: made["sandboxID"] not in pair.living(), "the orphan is dead", 20)
    assert set(pair.living()) == set(blue.values()) | set(green.values())
    wait_until(lambda: pair[1].page().sum("orphans_total", action="killed") == 1, "it is counted")
    assert pair[0].page().sum("orphans_total") == 0
    assert (pair.leases(0), pair.leases(1)) == (blue, green)
