"""The defect this project exists for: whatever is asked, and however often, nothing is kept for a key without work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from daemon import Daemon, sandbox_path
from page import broken_quiet_laws
from waiting import wait_until
from wire import Pump, request_bytes

KEYS = 100_000
BATCH = 1000


def acquire_and_release(pump: Pump, name: str) -> dict[int, int]:
    """Every key is leased once and given back, a thousand at a time."""
    counts: dict[int, int] = {}
    for begin in range(0, KEYS, BATCH):
        paths = [sandbox_path(f"{name}-{number}", "demo") for number in range(begin, begin + BATCH)]
        for method in ("PUT", "DELETE"):
            for status, count in pump.run(request_bytes(method, path) for path in paths).items():
                counts[status] = counts.get(status, 0) + count
    return counts


def denied(name: str) -> Iterator[bytes]:
    return (request_bytes("PUT", sandbox_path("greedy", f"{name}-{number}")) for number in range(KEYS))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_L6_a_hundred_thousand_keys_served_and_as_many_denied_leave_nothing(start: Callable[..., Daemon]) -> None:
    daemon = start({"LIMITS_PER_USER": "2", "LIMITS_TOTAL": "100000", "LOG_LEVEL": "notice"})
    for project in ("one", "two"):
        assert daemon.acquire("greedy", project).status == 201
    resident: list[float] = []
    live: list[float] = []
    began = time.monotonic()
    with Pump(daemon.api, connections=256) as pump:
        for turn in ("first", "second"):
            assert acquire_and_release(pump, turn) == {201: KEYS, 204: KEYS}
            assert pump.run(denied(turn)) == {429: KEYS}
            wait_until(lambda: daemon.page().sum("kill_outbox_entries") == 0, "every kill is confirmed")
            page = daemon.page()
            resident.append(page.sum("process_resident_memory_bytes"))
            live.append(page.sum("malloc_in_use_bytes"))
            assert page.sum("user_locks") == 0
            assert page.sum("user_locks_created_total") == page.sum("user_locks_removed_total") >= 2 * KEYS
            entries = page.values("collection_entries", "collection")
            limits = page.values("collection_limit_entries", "collection")
            assert all(entries[name] <= limits[name] for name in entries), (entries, limits)
            assert entries["leases"] == 2, entries
            # What is still there is a ring that is meant to be full, and the two leases.
            assert sum(entries.values()) - entries["flight_recorder"] <= 6, entries
    took = time.monotonic() - began
    print(f"{took:.0f} s, resident {[round(one / 2**20, 1) for one in resident]} MiB, live {live}")
    last = daemon.page()
    assert last.sum("sandboxes_created_total") == 2 * KEYS + 2
    assert last.sum("sandboxes_killed_total") == 2 * KEYS
    assert last.sum("limit_rejections_total", scope="user") == 2 * KEYS
    assert broken_quiet_laws(last) == []
    # A leak is in use for ever. What the allocator keeps of its free memory goes up and down by a tenth.
    assert live[1] <= live[0] * 1.02, f"live heap grew: {live}"
    assert resident[1] <= resident[0] * 1.25, f"resident memory grew: {resident}"
    assert took < 240, f"{6 * KEYS} requests took {took:.0f} s"
