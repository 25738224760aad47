#!/usr/bin/env python3
"""Makes up days in the life of a daemon, healthy ones and leaking ones, and puts the alert rules to them.

    scripts/alert_histories.py [--seed N] [--only REGEX] [--keep DIR]

Every history is a promtool test with each sample of each series: load that swings tenfold within a day, with noise;
bursts, restarts, deploys, scrapes that fail, an idle system. In health no alert may fire at any moment; with a leak
those named have to, by the time stated, and no others. The numbers are drawn from the seed, so a finding can be
repeated; other seeds are other days. `--keep` leaves the files for `promtool test rules`. Needs PyYAML and promtool.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from alert_tests import ROOT, dump, read_rules

MINUTES_A_DAY = 1440
JOB = "sandbox-manager"
PREFIX = "sandbox_manager_"
LOOPS = {"reaper": 15, "outbox": 5, "reconciler": 300, "pool_filler": 5, "extender": 30}
# Name, limit of entries, limit of idle seconds.
COLLECTIONS = {
    "user_locks": (100_000, 60),
    "leases": (2000, 600),
    "lease_copies": (2000, 600),
    "health_state": (2000, 600),
    "rate_buckets": (10_000, 600),
    "http_exchanges": (1024, 90),
    "flight_recorder": (1000, 3600),
}
STALE = None


@dataclass
class Leak:
    """What is kept although nobody is entitled to it, each as a number a minute."""

    held_locks: float = 0
    idle_locks: float = 0
    buckets: float = 0
    heap_bytes: float = 0
    orphans: float = 0


@dataclass
class History:
    """One made-up time in the life of one or more replicas."""

    name: str
    minutes: int = MINUTES_A_DAY
    replicas: int = 1
    # Acquires a minute at the busiest moment; the quietest has a tenth of it.
    load: float = 600
    bursts: bool = False
    # Minutes at which replicas restart, one after the other; with the release that runs from then on.
    restarts: dict[int, str] = field(default_factory=dict)
    # Minutes at which a scrape fails, for all replicas.
    gaps: frozenset[int] = frozenset()
    leak: Leak = field(default_factory=Leak)
    leak_begins: int = 240
    # Alert and how many minutes after the leak began it fires at the latest.
    fires: dict[str, int] = field(default_factory=dict)


def healthy(rng: random.Random) -> list[History]:
    """Days on which nothing may fire."""
    scattered = frozenset(minute for minute in range(MINUTES_A_DAY) if rng.random() < 0.03)
    holes = frozenset(minute for start in (100, 500, 1100) for minute in range(start, start + 1 + rng.randrange(2)))
    return [
        History("swing"),
        History("bursts", bursts=True),
        History("restarts", restarts={300: "1.0", 330: "1.0", 345: "1.0", 900: "1.0"}),
        History("deploys", 4 * MINUTES_A_DAY, 2, restarts={1000: "1.0", 3300: "1.1", 4700: "1.2"}, bursts=True),
        History("idle", load=0),
        History("scrape gaps", gaps=scattered | holes, bursts=True),
        History("everything", replicas=2, bursts=True, restarts={400: "1.1", 1000: "1.2"}, gaps=scattered),
        History("a busy day", load=4000, bursts=True),
    ]


def leaking() -> list[History]:
    """Days on which something leaks."""
    return [
        History(
            "a held lock a minute",
            bursts=True,
            leak=Leak(held_locks=1),
            fires={"SandboxManagerUserLocksUnbounded": 45},
        ),
        History(
            "a thousand held locks a minute",
            leak=Leak(held_locks=1000),
            fires={"SandboxManagerUserLocksUnbounded": 21, "SandboxManagerCollectionNearLimit": 180},
        ),
        History(
            "an idle lock an hour",
            load=100,
            bursts=True,
            leak=Leak(idle_locks=1 / 60),
            fires={"SandboxManagerUserLockForgotten": 60 + 16, "SandboxManagerUserLocksUnbounded": 18 * 60},
        ),
        History(
            "heap, a quarter of a MiB a minute",
            leak=Leak(heap_bytes=2**18),
            fires={"SandboxManagerHeapBeyondBudget": 8 * 60},
        ),
        History(
            "a collection that nobody sweeps",
            leak=Leak(buckets=1),
            fires={"SandboxManagerCollectionStale": 40},
        ),
        History(
            "a sandbox in nobody's books every five minutes",
            restarts={200: "1.0"},
            leak=Leak(orphans=0.2),
            fires={"SandboxManagerProviderDrift": 60},
        ),
    ]


class Replica:
    """One replica, minute by minute; `series` holds a value for each, or STALE."""

    def __init__(self, history: History, number: int, rng: random.Random) -> None:
        self._history = history
        self._rng = rng
        self._labels = f'job="{JOB}", instance="10.0.0.{number}:9484"'
        self._offset = number - 1
        self._release = "1.0"
        self._started = 0
        self._counters: dict[str, float] = {}
        self._peak = 0.0
        self._leaked = Leak()
        self._provider = 0.0
        self.series: dict[str, list[float | None]] = {}
        for minute in range(history.minutes):
            self._step(minute)

    def _step(self, minute: int) -> None:
        history = self._history
        # One replica after the other, two minutes apart, away for one scrape.
        release = history.restarts.get(minute - 2 * self._offset)
        if release is not None:
            self._release, self._started = release, 60 * minute
            self._counters.clear()
            self._peak, self._leaked = 0, Leak(orphans=self._leaked.orphans)
        away = release is not None or minute in history.gaps
        values = self._values(minute)
        if away:
            values = {f"up{{{self._labels}}}": 0.0 if release is not None or minute in history.gaps else 1.0}
        for name in self.series.keys() | values.keys():
            self.series.setdefault(name, [STALE] * minute).append(values.get(name, STALE))

    def _load(self, minute: int) -> float:
        """Acquires in this minute."""
        day = 0.5 - 0.5 * math.cos(2 * math.pi * minute / MINUTES_A_DAY)
        load = self._history.load * (0.1 + 0.9 * day) * self._rng.uniform(0.8, 1.2)
        if self._history.bursts and minute % 180 in range(60, 64):
            load *= 8
        return load / self._history.replicas

    def _values(self, minute: int) -> dict[str, float]:
        rng, leaked = self._rng, self._leaked
        load = self._load(minute)
        if minute >= self._history.leak_begins:
            for name in vars(leaked):
                setattr(leaked, name, getattr(leaked, name) + getattr(self._history.leak, name))
        values: dict[str, float] = {}

        def put(name: str, value: float, own: bool = True, **labels: object) -> None:
            inner = "".join(f'{key}="{text}", ' for key, text in labels.items())
            values[f"{PREFIX if own else ''}{name}{{{inner}{self._labels}}}"] = value

        def count(name: str, value: float, **labels: object) -> None:
            key = name + str(labels)
            self._counters[key] = self._counters.get(key, 0) + max(value, 0)
            put(name, math.floor(self._counters[key]), **labels)

        in_flight = int(load * rng.uniform(0, 0.02))
        held = min(in_flight, int(in_flight * rng.uniform(0.5, 1)) + (rng.random() < 0.01) * 3)
        entries = {
            "user_locks": held + int(leaked.held_locks) + int(leaked.idle_locks),
            "leases": min(load * 1.5, 1900),
            "lease_copies": min(load * 1.5, 1900),
            "health_state": load * 0.1,
            "rate_buckets": min(load, 3000) + leaked.buckets,
            "http_exchanges": in_flight + 1,
            "flight_recorder": min(minute * load / 10, 1000),
        }
        leases = int(entries["leases"])
        self._memory(put, sum(entries.values()), load)
        put("up", 1, own=False)
        put("build_info", 1, version=self._release, revision="r" + self._release, swift_version="6.3")
        self._locks(put, held, in_flight, minute)
        for name, (limit, idle) in COLLECTIONS.items():
            put("collection_entries", int(entries[name]), collection=name)
            put("collection_limit_entries", limit, collection=name)
            put("collection_idle_limit_seconds", idle, collection=name)
            age = rng.uniform(0, idle * 1.2) if entries[name] >= 1 else 0
            if name == "rate_buckets" and leaked.buckets >= 1:
                age = max(age, 60 * (minute - self._history.leak_begins))
            put("collection_oldest_idle_seconds", int(age), collection=name)
        for loop, interval in LOOPS.items():
            put("loop_interval_seconds", interval, loop=loop)
            put("loop_last_success_timestamp_seconds", int(60 * minute - rng.uniform(0, 1.5 * interval)), loop=loop)
        self._traffic(count, load)
        self._books(put, count, minute, leases)
        return values

    def _memory(self, put: Callable[..., None], entries: float, load: float) -> None:
        connections = int(4 + load * 0.1)
        # Collections keep their room when they empty.
        self._peak = max(self._peak, entries)
        heap = 1_200_000 + 1400 * self._peak + 20_700 * connections + self._rng.uniform(0, 2e6)
        heap += self._leaked.heap_bytes
        put("malloc_in_use_bytes", int(heap))
        put("http_connections", connections)
        put("process_open_fds", 30 + connections, own=False)
        put("process_max_fds", 1_048_576, own=False)
        put("process_start_time_seconds", self._started, own=False)

    def _locks(self, put: Callable[..., None], held: int, in_flight: int, minute: int) -> None:
        leaked, rng = self._leaked, self._rng
        put("user_locks", held + int(leaked.held_locks), state="held")
        put("user_locks", int(leaked.idle_locks), state="idle")
        put("operations_in_flight", in_flight, operation="acquire")
        put("operations_in_flight", rng.randrange(3), operation="reap")
        since = minute - self._history.leak_begins
        first = 1 / self._history.leak.idle_locks if self._history.leak.idle_locks else 0
        put("user_lock_idle_oldest_age_seconds", 60 * (since - first) if leaked.idle_locks >= 1 else 0)
        # Callers give up after 90 s, and a hold is a create at the longest; both are rare.
        slow = rng.random() < 0.02
        put("user_lock_oldest_wait_seconds", 89 if slow else rng.randrange(3))
        put("user_lock_oldest_hold_seconds", 160 if slow else rng.randrange(5))

    def _traffic(self, count: Callable[..., None], load: float) -> None:
        rng = self._rng
        shares = {"ok": 0.9795, "user_limit": 0.01, "invalid_argument": 0.005, "cancelled": 0.005}
        for result, share in shares.items():
            count("operations_total", load * share, operation="acquire", result=result)
        count("operations_total", load * rng.choice((0, 0.001)), operation="acquire", result="provider_unavailable")
        count("operation_duration_seconds_count", load, operation="acquire")
        count("operation_duration_seconds_bucket", load * rng.uniform(0.994, 1), operation="acquire", le="2.5")
        creates = load * 0.05
        count("operations_total", creates, operation="create", result="ok")
        count("operations_total", creates * rng.choice((0, 0.03)), operation="create", result="provider_unavailable")
        for result, share in (("ok", 0.99), ("timed_out", 0.01)):
            count("health_checks_total", load * share * 0.2, result=result)
        count("provider_requests_total", 0.2, operation="list", result="ok")
        count("provider_requests_total", creates, operation="create", result="ok")
        count("provider_requests_total", 0, operation="create", result="http_401")

    def _books(self, put: Callable[..., None], count: Callable[..., None], minute: int, leases: int) -> None:
        rng, orphans = self._rng, int(self._leaked.orphans)
        killing, creating = rng.randrange(5), rng.randrange(4)
        if minute % 5 == 0 or minute * 60 == self._started:
            # What the last listing said stays until the next.
            self._provider = leases + rng.randrange(creating + killing + 1) + orphans
            self._drift = 0 if rng.random() < 0.9 else rng.randrange(3)
        for account, number in {"leased": leases, "creating": creating, "killing": killing, "warm": 0}.items():
            put("ledger_sandboxes", number, account=account)
        put("provider_sandboxes", self._provider, state="running")
        put("provider_sandboxes", 0, state="paused")
        put("ledger_drift", self._drift + orphans, kind="untracked_at_provider")
        put("ledger_drift", 0, kind="missing_at_provider")
        put("slots_in_use", leases + creating + killing, scope="total")
        put("slots_limit", 3000, scope="total")
        # In bursts kills queue up for minutes.
        put("kill_outbox_oldest_age_seconds", rng.randrange(240))
        put("create_intent_oldest_age_seconds", rng.randrange(80))
        count("orphans_total", 0, action="killed")
        for use, share in (("leased_busy", 0.3), ("leased_idle", 0.65), ("killing", 0.05)):
            count("sandbox_seconds_total", leases * share * 60, use=use)


def notation(values: Iterable[float | None]) -> str:
    """Samples as promtool reads them: runs are shortened, and a series that ends is marked once."""
    texts = ["stale" if value is STALE else f"{value:.12g}" for value in values]
    result: list[str] = []
    index = 0
    while index < len(texts):
        end = index
        while end + 1 < len(texts) and texts[end + 1] == texts[index]:
            end += 1
        run = end - index
        if texts[index] == "stale":
            result.append("stale" + (f" _x{run}" if run else ""))
        else:
            result.append(texts[index] + (f"x{run}" if run else ""))
        index = end + 1
    return " ".join(result)


def promtool_test(history: History, seed: int, rules: str) -> str:
    """The history as a test file of promtool; `rules` is the rule file, relative to it."""
    series: dict[str, list[float | None]] = {}
    for number in range(1, history.replicas + 1):
        series |= Replica(history, number, random.Random(f"{seed} {history.name} {number}")).series
    # Coarser than in life, for speed: no alert that matters comes and goes between two evaluations.
    interval = "4m" if history.minutes == MINUTES_A_DAY else "10m"
    lines = [f"rule_files: ['{rules}']", f"evaluation_interval: {interval}", "tests:"]
    lines += ["  - interval: 1m", "    input_series:"]
    for name, values in sorted(series.items()):
        # A series that begins later, with a release, has nothing before that.
        text = re.sub(r"^stale( _x(\d+))?", lambda m: f"_x{int(m[2] or 0) + 1}", notation(values))
        lines += [f"      - series: '{name}'", f"        values: '{text}'"]
    lines.append("    promql_expr_test:")
    for alert, within in history.fires.items():
        lines += asked(f'group by (alertname) (ALERTS{{alertname="{alert}", alertstate="firing"}})',
                       history.leak_begins + within, [alert])  # fmt: skip
    ever = f'group by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{history.minutes}m]))'
    lines += asked(ever, history.minutes - 1, sorted(history.fires))
    return "\n".join(lines) + "\n"


def asked(expression: str, minute: int, alerts: list[str]) -> list[str]:
    """One question of a test, with the alerts that have to come out."""
    lines = [f"      - expr: '{expression}'", f"        eval_time: {minute}m", "        exp_samples:"]
    if not alerts:
        lines[-1] += " []"
    for alert in alerts:
        lines += [f"          - labels: '{{alertname=\"{alert}\"}}'", "            value: 1"]
    return lines


def check(history: History, seed: int, folder: Path) -> str | None:
    """What promtool says about the rules in this history; None if it is content."""
    name = re.sub(r"\W+", "-", history.name)
    rules, path = folder / f"{name}.rules.yml", folder / f"{name}.yml"
    rules.write_text(dump(read_rules(ROOT / "alerts")), encoding="utf-8")
    path.write_text(promtool_test(history, seed, rules.name), encoding="utf-8")
    result = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=300, check=False
    )
    return None if result.returncode == 0 else f"{history.name}, seed {seed}:\n{result.stdout}{result.stderr}"


def check_all(histories: list[History], seed: int, folder: Path, jobs: int) -> dict[str, str | None]:
    """The verdict on each history, several looked at at a time; those that take longest first."""
    ordered = sorted(histories, key=lambda history: -history.minutes * history.replicas)
    with ThreadPoolExecutor(jobs) as pool:
        verdicts = pool.map(lambda history: check(history, seed, folder), ordered)
        return {history.name: verdict for history, verdict in zip(ordered, verdicts, strict=True)}


def main() -> int:
    """Runs the histories; 1 if an alert fires where it must not, or does not where it must."""
    parser = argparse.ArgumentParser(description="Puts the alert rules to made-up days, healthy and leaking.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="a regular expression that the name of the history has to match")
    parser.add_argument("--keep", type=Path, help="where to leave the test files")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    chosen = [h for h in [*healthy(random.Random(options.seed)), *leaking()] if re.search(options.only, h.name)]
    with tempfile.TemporaryDirectory(prefix="alert-histories-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        verdicts = check_all(chosen, options.seed, folder, options.jobs)
    found = [verdict for verdict in verdicts.values() if verdict is not None]
    print("\n".join([*found, f"{len(chosen)} histories, {len(found)} not as they should be"]))
    return 1 if found or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
