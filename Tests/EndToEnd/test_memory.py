"""The defect this project exists for: whatever is asked, and however often, nothing is kept for a key without work."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from daemon import Daemon
from page import broken_quiet_laws
from proof_report import report
from soak import BATCH, HUNG_UP, SERVED, Soak, expected

# A proof makes a million of it.
CYCLES = int(os.environ.get("SANDBOX_MANAGER_TEST_SOAK_CYCLES", "100000"))
SAMPLES = 10 if CYCLES >= 1_000_000 else 5
GROWTH = 1.02
# The end of the heap goes back to the kernel and comes again: a mebibyte or two, which are less of a long run's noise.
RESIDENT_GROWTH = 1.02 if CYCLES >= 1_000_000 else 1.05
# What malloc keeps for each thread it counts as in use; how much that is depends on what ran on which thread.
EXACT = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0"}


@pytest.mark.alone
@pytest.mark.timeout(240 + CYCLES // 500)
def test_L6_keys_that_come_and_go_a_tenth_with_a_failure_leave_nothing(start: Callable[..., Daemon]) -> None:
    # The two leases that fill a user's limit must outlast a slow soak, though nobody uses them.
    lasting = {"LEASE_IDLE_TIMEOUT_SECONDS": "80000", "LEASE_MAX_AGE_SECONDS": "86400"}
    daemon = start({"LIMITS_PER_USER": "2", "LIMITS_TOTAL": "100000", "LOG_LEVEL": "notice"} | lasting | EXACT)
    series = daemon.page().samples.keys()
    soak = Soak(daemon)
    readings = soak.run(CYCLES, SAMPLES, show)
    assert dict(soak.statuses) == expected(CYCLES)
    page = daemon.page()
    # Whether a sandbox was made for a client who hung up depends on who was faster.
    made = page.sum("sandboxes_created_total")
    served = SERVED * CYCLES // BATCH + 2
    assert served <= made <= served + HUNG_UP * CYCLES // BATCH
    assert page.sum("sandboxes_killed_total") == made - 2
    assert page.sum("user_locks_created_total") == page.sum("user_locks_removed_total") >= CYCLES
    assert page.sum("user_locks") == 0
    assert broken_quiet_laws(page) == []
    # Not one of all these users is a label.
    assert page.samples.keys() == series and len(series) < 3000
    for one in readings:
        assert one.entries["leases"] == 2, one
        # What is still there is a ring that is meant to be full, and the two leases; and what a comparison of books and
        # provider saw at the moment of its death is watched until the next one.
        passing = one.entries["flight_recorder"] + one.entries["orphans"]
        assert sum(one.entries.values()) - passing <= 6, one
    second, last = readings[1], readings[-1]
    report(
        "soak",
        cycles=CYCLES,
        failures=CYCLES // 10,
        live_heap=change(second.live, last.live),
        resident=change(second.resident, last.resident),
    )
    assert last.live <= second.live * GROWTH, readings
    assert last.resident <= second.resident * RESIDENT_GROWTH, readings


def show(line: str) -> None:
    """Prints a line of the table, and adds it to the file that SANDBOX_MANAGER_TEST_SOAK_TABLE names."""
    print(line)
    if path := os.environ.get("SANDBOX_MANAGER_TEST_SOAK_TABLE"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(line + "\n")


def change(before: float, after: float) -> str:
    """Both sizes, and what lies between them."""
    return f"{before / 2**20:.2f} to {after / 2**20:.2f} MiB ({(after / before - 1) * 100:+.1f}%)"
