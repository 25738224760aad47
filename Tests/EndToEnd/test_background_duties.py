"""What a daemon does behind its requests is done by another one when it is dead."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from fleet import Fleet, Key, assert_books_agree
from waiting import wait_until

StartFleet = Callable[..., Fleet]

REAPER, OUTBOX, RECONCILER, IDLE = 1.0, 1.0, 2.0, 15.0
# A round takes its time too, and so does a busy machine.
ROUND = 1.0
SETTINGS = {
    "LEASE_IDLE_TIMEOUT_SECONDS": str(IDLE),
    "REAPER_INTERVAL_SECONDS": str(REAPER),
    "RECONCILER_INTERVAL_SECONDS": str(RECONCILER),
    "RECONCILER_GRACE_SECONDS": "1",
    "KILL_TIMEOUT_SECONDS": "1",
}


def stray(fleet: Fleet, key: Key) -> dict[str, str]:
    """The labels of a sandbox of the key that no book knows of."""
    sandbox = fleet[0].acquire(*key).json["sandbox_id"]
    [labels] = [one["metadata"] for one in fleet.cloud.sandboxes() if one["id"] == sandbox]
    assert fleet[0].release(*key).status == 204
    token = labels["sandbox_manager_token"]
    other = token[:-1] + ("0" if token[-1] != "0" else "1")
    return {**labels, "sandbox_manager_token": other}


def ignoring_errors(work: Callable[[], object]) -> None:
    try:
        work()
    except OSError:
        # Its daemon is killed under it.
        pass


@pytest.mark.timeout(120)
def test_I10_reaper_outbox_and_reconciler_of_a_killed_daemon_are_taken_over_within_two_intervals(
    fleet: StartFleet,
) -> None:
    two = fleet(0, **SETTINGS)
    # It is on duty before there is another.
    two.add()
    wait_until(lambda: two[0].page().sum("loop_runs_total", loop="reconciler", result="ok") >= 1, "it reconciles")
    two.add()
    labels = stray(two, ("carol", "lost"))
    idle = {answer.key: answer.sandbox for answer in two.acquire_all([(f"idle-{n}", "demo") for n in range(5)], [0])}
    leased = time.monotonic()
    condemned = two[0].acquire("ann", "condemned").json["sandbox_id"]
    two.cloud.fault("kill", "status", status=503, sandboxID=condemned, times=0)
    released = threading.Thread(
        target=lambda: ignoring_errors(lambda: two[0].release("ann", "condemned")), daemon=True
    )
    released.start()
    target = f"/sandboxes/{condemned}"
    wait_until(lambda: any(one["target"] == target for one in two.cloud.journal("kill")), "the kill has failed")
    # Time to note in Redis when it is tried again: half a second to a second after it failed.
    time.sleep(0.2)
    dead = two.daemons.pop(0)
    dead.signal(signal.SIGKILL)
    dead.wait(10)
    killed = time.monotonic()
    released.join()
    attempts = len(two.cloud.journal("kill"))
    body = {"templateID": "base", "timeout": 600, "metadata": labels}
    status, _, lost = two.cloud.call("POST", "/sandboxes", body)
    assert status == 201
    # It has failed once or twice: the next attempt is due within two seconds.
    two.cloud.admin("DELETE", "faults")
    bound = 2 + 2 * OUTBOX + ROUND
    wait_until(lambda: condemned not in two.living(), "the other one kills what was condemned", bound)
    print(f"killed {time.monotonic() - killed:.1f} s after the end of its daemon, {attempts} attempts before")
    bound = killed + 2 * RECONCILER + ROUND - time.monotonic()
    wait_until(
        lambda: two.leases().get(("carol", "lost")) == lost["sandboxID"], "the other one adopts what is nobody's", bound
    )
    print(f"adopted {time.monotonic() - killed:.1f} s after it")
    assert two.metric("orphans_total", action="adopted") == 1
    assert set(idle.values()) <= two.living().keys(), "reaped too early: then this test shows nothing"
    bound = leased + IDLE + 2 * REAPER + ROUND - time.monotonic()
    wait_until(lambda: not set(idle.values()) & two.living().keys(), "the other one reaps what is idle", bound)
    print(f"reaped {time.monotonic() - leased:.1f} s after the last use")
    wait_until(lambda: two.metric("leases_ended_total", reason="idle") == len(idle), "they are counted")
    assert_books_agree(two)
