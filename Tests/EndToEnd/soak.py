"""Leases that come and go without end, a tenth of them with a failure, and what the daemon keeps meanwhile.

One driver for two sizes: the test run's, and the million cycles of scripts/proof.sh.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from daemon import Daemon, sandbox_path
from page import Page
from waiting import wait_until
from wire import Pump, connect, request_bytes

# Of each thousand cycles; every cycle has a key of its own.
BATCH = 1000
# The provider refuses to make it: it has no such template.
REFUSED = 40
# The user has no slot left.
DENIED = 40
# The client hangs up before it has its answer.
HUNG_UP = 20
SERVED = BATCH - REFUSED - DENIED - HUNG_UP
_NO_TEMPLATE = b'{"template": "there-is-none"}'


@dataclass
class Reading:
    """What the daemon said of itself after so many cycles, with nothing under way."""

    cycles: int
    seconds: float
    live: float
    held: float
    resident: float
    entries: dict[str, float]

    def row(self) -> str:
        """A row of the table."""
        kept = ", ".join(f"{name} {value:.0f}" for name, value in sorted(self.entries.items()) if value) or "-"
        sizes = " | ".join(f"{size / 2**20:.2f}" for size in (self.live, self.held, self.resident))
        return f"| {self.cycles:,} | {self.seconds:.0f} | {sizes} | {kept} |"


HEADING = [
    "| cycles | seconds | live heap, MiB | heap held, MiB | resident, MiB | entries of collections |",
    "|---|---|---|---|---|---|",
]


class Soak:
    """Drives one daemon, whose users may hold two slots; two leases of one user stay all the time."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._began = time.monotonic()
        self._done = 0
        self.statuses: Counter[tuple[str, int]] = Counter()
        for project in ("one", "two"):
            assert daemon.acquire("greedy", project).status == 201

    def run(self, cycles: int, samples: int, show: Callable[[str], None]) -> list[Reading]:
        """So many cycles, and a reading after each of so many equal parts, shown as a row of a table."""
        readings: list[Reading] = []
        for line in HEADING:
            show(line)
        with Pump(self._daemon.api, connections=256) as pump:
            for _ in range(samples):
                for _ in range(cycles // samples // BATCH):
                    self._batch(pump)
                readings.append(self._reading())
                show(readings[-1].row())
        return readings

    def _batch(self, pump: Pump) -> None:
        begin, self._done = self._done, self._done + BATCH
        paths = [sandbox_path(f"user-{number}", "demo") for number in range(begin, begin + BATCH)]
        served, refused = paths[:SERVED], paths[SERVED : SERVED + REFUSED]
        hung_up = paths[SERVED + REFUSED : SERVED + REFUSED + HUNG_UP]
        self._pump(pump, "served", (request_bytes("PUT", path) for path in served))
        for path in hung_up:
            with connect(self._daemon.api) as connection:
                connection.sendall(request_bytes("PUT", path))
        self._pump(pump, "refused", (request_bytes("PUT", path, _NO_TEMPLATE) for path in refused))
        self._pump(pump, "denied", denials(begin))
        self._pump(pump, "released", (request_bytes("DELETE", path) for path in served))
        # What was asked for by somebody who did not wait is released once it is there.
        wait_until(lambda: self._is_idle(self._daemon.page()), "nothing is under way", deadline=30)
        self._pump(pump, "released", (request_bytes("DELETE", path) for path in hung_up))

    def _pump(self, pump: Pump, kind: str, requests: Iterator[bytes]) -> None:
        for status, count in pump.run(requests).items():
            self.statuses[kind, status] += count

    @staticmethod
    def _is_idle(page: Page) -> bool:
        # This scrape is a request too; the requests that were sent before it are read by the same thread before it.
        return page.sum("operations_in_flight") == 0 and page.sum("user_locks") == 0

    def _reading(self) -> Reading:
        def settled() -> Page | None:
            page = self._daemon.page()
            busy = page.sum("kill_outbox_entries") + page.sum("leases") - 2 or not self._is_idle(page)
            return None if busy else page

        # The least of a few: what the answers of a moment ago needed is not all given back when nothing is under way.
        pages = [wait_until(settled, "only the two leases are left", deadline=60) for _ in range(20)]
        page = min(pages, key=lambda one: one.sum("malloc_in_use_bytes"))
        return Reading(
            cycles=self._done,
            seconds=time.monotonic() - self._began,
            live=page.sum("malloc_in_use_bytes"),
            held=page.sum("malloc_held_bytes"),
            resident=page.sum("process_resident_memory_bytes"),
            entries=page.values("collection_entries", "collection"),
        )


def denials(begin: int) -> Iterator[bytes]:
    """Requests of a user whose slots are taken, each for another project."""
    return (request_bytes("PUT", sandbox_path("greedy", f"{begin}-{number}")) for number in range(DENIED))


def expected(cycles: int) -> dict[tuple[str, int], int]:
    """How often each kind of request ended how."""
    batches = cycles // BATCH
    return {
        ("served", 201): SERVED * batches,
        ("refused", 502): REFUSED * batches,
        ("denied", 429): DENIED * batches,
        ("released", 204): (SERVED + HUNG_UP) * batches,
    }
