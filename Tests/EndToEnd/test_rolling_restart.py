"""A new version is rolled out while clients work: one replica after the other ends and starts anew at its address."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from fleet import Answer, Client, Fleet, Key, assert_books_agree, in_threads, percentile
from proof_report import report

StartFleet = Callable[..., Fleet]

SECONDS = float(os.environ.get("SANDBOX_MANAGER_TEST_ROLLING_SECONDS", "30"))
# How often everything is restarted in that time.
CYCLES = max(2, int(SECONDS / 15))
RATE = 50
CLIENTS = 10
# What a client asks for in turn: mostly what it has, now and then a project that is new.
TURNS = ("known", "known", "describe", "known", "known", "new", "known", "known", "describe", "release new")


class Customer:
    """A client as a backend is one: asks at a steady pace, and goes to the other replica if one is not there."""

    def __init__(self, fleet: Fleet, number: int, known: list[Key]) -> None:
        self.answers: list[tuple[str, Answer]] = []
        self.released: set[Key] = set()
        self.retried = 0
        self._fleet = fleet
        self._number = number
        self._known = known

    def work(self, done: threading.Event, start: float) -> None:
        """Until it is told to stop, at its share of the rate; a slow answer is caught up with."""
        with Client(self._fleet) as client:
            turn = 0
            while not done.wait(max(0, start + (turn + self._number / CLIENTS) * CLIENTS / RATE - time.monotonic())):
                self._ask(client, turn)
                turn += 1

    def _ask(self, client: Client, turn: int) -> None:
        what = TURNS[turn % len(TURNS)]
        # A project that is new is released five turns after it was asked for.
        key = (f"new-{self._number}", f"p-{turn // len(TURNS)}") if "new" in what else self._known[turn % len(self._known)]
        method = {"describe": "GET", "release new": "DELETE"}.get(what, "PUT")
        for attempt in range(50):
            answer = client.ask(method, key, (self._number + turn + attempt) % len(self._fleet))
            # Refused, or reset before a reply. Nothing else is tried again.
            if answer.status != 0:
                break
            self.retried += 1
            time.sleep(0.02)
        self.answers.append((what, answer))
        if what == "release new":
            self.released.add(key)


@pytest.mark.timeout(int(SECONDS) + 120)
def test_T14_rolling_restarts_at_50_requests_a_second_fail_no_request_and_lose_or_double_no_sandbox(
    fleet: StartFleet,
) -> None:
    two = fleet(2, LIMITS_PER_USER="1000", REAPER_INTERVAL_SECONDS="0.5")
    keys = [(f"user-{number}", "demo") for number in range(100)]
    known = {answer.key: str(answer.sandbox) for answer in two.acquire_all(keys)}
    # Long enough that a replica often ends in the middle of a create.
    two.cloud.fault("create", "latency", milliseconds=200, times=0)
    shares = [keys[number::CLIENTS] for number in range(CLIENTS)]
    customers = [Customer(two, number, share) for number, share in enumerate(shares)]
    done, start = threading.Event(), time.monotonic()

    def restart() -> None:
        try:
            pause = SECONDS / (2 * CYCLES)
            for turn in range(2 * CYCLES):
                time.sleep(max(0, start + (turn + 0.5) * pause - time.monotonic()))
                two.restart(turn % 2, API_LISTEN=str(two[turn % 2].api))
            time.sleep(max(0, start + SECONDS - time.monotonic()))
        finally:
            done.set()

    in_threads([restart, *(lambda one=one: one.work(done, start) for one in customers)])
    answers = [pair for one in customers for pair in one.answers]
    counts = Counter(f"{what} {one.status}" + (f" {one.code}" if one.status >= 400 else "") for what, one in answers)
    print("\n".join(f"{count:6d} {name}" for name, count in sorted(counts.items())))
    assert [f"{what} {one}" for what, one in answers if one.status not in (200, 201, 202, 204)] == []
    assert len(answers) > 0.9 * RATE * SECONDS
    strangers = [str(one) for what, one in answers if what == "known" and one.sandbox != known[one.key]]
    assert strangers == []

    made = {one.key for what, one in answers if what == "new"}
    assert two.created() == len(known) + len(made), "a sandbox was doubled"
    assert_books_agree(two)
    released = {key for one in customers for key in one.released}
    left = made - released
    assert two.leases().keys() == known.keys() | left
    assert {key: sandbox for key, sandbox in two.leases().items() if key in known} == known
    report(
        "rolling restart",
        seconds=f"{SECONDS:g}",
        restarts=2 * CYCLES,
        requests=len(answers),
        tried_again=sum(one.retried for one in customers),
        slowest=f"{max(one.took for _, one in answers):.2f} s",
        p99=f"{percentile([one.took for _, one in answers], 0.99) * 1000:.0f} ms",
        failed=0,
    )
