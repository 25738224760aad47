"""Everything at once: see storm.py for what happens, and history.py for what must not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from fleet import Fleet, Key, assert_books_agree
from history import everything_wrong, most_at_once
from proof_report import report
from storm import Storm, let_loose, lives_of
from waiting import wait_until

StartFleet = Callable[..., Fleet]

SECONDS = float(os.environ.get("SANDBOX_MANAGER_TEST_STORM_SECONDS", "60"))
SEED = int(os.environ.get("SANDBOX_MANAGER_TEST_STORM_SEED", "1"))
# A replica dies each minute; in the short form twice.
KILL_EVERY = min(60.0, SECONDS / 3)

PER_USER, TOTAL = 3, 40
INTERVAL, GRACE = 2.0, 2.0
CREATE_TIMEOUT = 3.0
# A create whose fate is unknown keeps its slot until nothing can appear any more.
OPEN_CREATE = CREATE_TIMEOUT + 30
SETTINGS = {
    "LIMITS_PER_USER": str(PER_USER),
    "LIMITS_TOTAL": str(TOTAL),
    "LEASE_IDLE_TIMEOUT_SECONDS": "15",
    "LEASE_GRACE_SECONDS": "60",
    "REQUEST_DEADLINE_SECONDS": "10",
    "CREATE_TIMEOUT_SECONDS": str(CREATE_TIMEOUT),
    "CREATE_RETRY_DELAY_SECONDS": "0.1",
    "CONNECT_TIMEOUT_SECONDS": "1",
    "KILL_TIMEOUT_SECONDS": "1",
    "HEALTH_TIMEOUT_SECONDS": "1",
    "HEALTH_FRESH_WINDOW_SECONDS": "2",
    "REAPER_INTERVAL_SECONDS": "0.5",
    "RECONCILER_INTERVAL_SECONDS": str(INTERVAL),
    "RECONCILER_GRACE_SECONDS": str(GRACE),
    "BREAKER_OPEN_SECONDS": "2",
}


def nothing_open(fleet: Fleet) -> bool:
    """Whether no create's fate is unknown."""
    return all(daemon.page().sum("create_intents") == 0 for daemon in fleet.daemons)


@pytest.mark.timeout(int(SECONDS) + 180)
def test_I1_I2_I3_I6_a_storm_of_faults_and_crashes_doubles_no_lease_exceeds_no_limit_and_leaves_nothing_behind(
    fleet: StartFleet,
) -> None:
    two = fleet(2, **SETTINGS)
    keys: list[Key] = [(f"user-{user}", f"project-{number}") for user in range(20) for number in range(5)]
    offset = time.time() - time.monotonic()
    let_loose(two.cloud, SEED)
    with Storm(two, keys, SEED) as storm:
        kills = storm.kill_replicas(SECONDS, KILL_EVERY)
    two.cloud.admin("DELETE", "faults")
    quiet = time.monotonic()
    slack = abs(time.time() - time.monotonic() - offset) + 0.001

    grants, lives = storm.grants(), lives_of(two.cloud, offset)
    counts = storm.counted()
    print("\n".join(f"{count:6d} {name}" for name, count in sorted(counts.items())))
    wrong = everything_wrong(grants, storm.endings(), lives, PER_USER, TOTAL, slack)
    assert wrong == [], f"{len(wrong)} violations, seed {SEED}:\n" + "\n".join(wrong[:20])
    assert storm.unexpected() == []
    # Otherwise it was no storm.
    assert len(grants) > 10 * SECONDS and len(lives) > SECONDS and kills >= 2

    # Whatever was open is closed; then three rounds of the reconciler, the grace between the first and the last.
    wait_until(lambda: nothing_open(two), "the fate of every create is known", OPEN_CREATE + 20, poll=0.2)
    known = time.monotonic()
    assert_books_agree(two, deadline=3 * INTERVAL + GRACE + 2)
    lives = lives_of(two.cloud, offset)
    assert everything_wrong(grants, storm.endings(), lives, PER_USER, TOTAL, slack) == []
    report(
        "storm",
        seed=SEED,
        seconds=f"{SECONDS:g}",
        requests=sum(counts.values()) + storm.cancelled,
        grants=len(grants),
        sandboxes=len(lives),
        most_at_once=f"{most_at_once(lives)} of {TOTAL}",
        kills_of_replicas=kills,
        creates_known_after=f"{known - quiet:.1f} s",
        books_agree_after=f"{time.monotonic() - quiet:.1f} s",
        violations=0,
    )
