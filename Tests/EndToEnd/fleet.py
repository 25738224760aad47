"""Several daemons that share one Redis and one fake cloud. The cloud is the ground truth of what lives."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Self

from daemon import Daemon, sandbox_path
from e2b_support import FakeE2B
from waiting import wait_until
from wire import Address, Reply, connect, read_reply, request_bytes

Key = tuple[str, str]


@dataclass(frozen=True)
class Answer:
    """What became of one request. Without a reply, as the connection broke or time was up, the status is 0."""

    key: Key
    daemon: int
    sent: float
    took: float
    reply: Reply

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def is_granted(self) -> bool:
        return self.status in (200, 201)

    @property
    def sandbox(self) -> str | None:
        return self.reply.json["sandbox_id"] if self.is_granted else None

    @property
    def source(self) -> str | None:
        return self.reply.json["source"] if self.is_granted else None

    @property
    def code(self) -> str | None:
        return self.reply.code if self.status >= 400 else None

    def __str__(self) -> str:
        return f"{'/'.join(self.key)} by {self.daemon}: {self.status} {self.code or self.source} in {self.took:.2f} s"


class Client:
    """One kept-alive connection to each daemon of a fleet, opened when it is first needed; for one thread."""

    def __init__(self, fleet: Fleet, timeout: float = 30) -> None:
        self._fleet = fleet
        self._timeout = timeout
        self._open: dict[Address, Any] = {}

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def ask(
        self,
        method: str,
        key: Key,
        daemon: int = 0,
        suffix: str = "",
        body: bytes = b"",
        path: str | None = None,
    ) -> Answer:
        """One request about a key; a kept connection that the daemon has closed meanwhile is opened anew.

        path: another one than that of the key's sandbox.
        """
        sent = request_bytes(method, path or sandbox_path(*key) + suffix, body)
        began = time.monotonic()
        reply = self._exchange(self._fleet[daemon].api, sent) or Reply(0)
        return Answer(key, daemon, began, time.monotonic() - began, reply)

    def _exchange(self, address: Address, sent: bytes) -> Reply | None:
        kept = address in self._open
        try:
            connection = self._open.get(address) or self._open.setdefault(address, connect(address, self._timeout))
            connection.sendall(sent)
            if found := read_reply(connection):
                if found[0].headers.get("connection", "").lower() == "close":
                    self._drop(address)
                return found[0]
        except TimeoutError:
            self._drop(address)
            return None
        except OSError:
            pass
        self._drop(address)
        return self._exchange(address, sent) if kept else None

    def _drop(self, address: Address) -> None:
        if connection := self._open.pop(address, None):
            connection.close()


class Fleet:
    """The daemons of a fleet, by number, with what they share; a context manager that ends the daemons."""

    def __init__(
        self,
        launch: Callable[..., Daemon],
        cloud: FakeE2B,
        redis_url: str | None,
        settings: dict[str, str] | None = None,
    ) -> None:
        """No daemon runs yet.

        launch: makes a daemon from settings, not started.
        settings: for every daemon, named without their prefix.
        """
        self.cloud = cloud
        self.settings = {
            **cloud.environment(),
            **({"REDIS_URL": redis_url} if redis_url else {}),
            "PROVIDER": "e2b",
            "ENVIRONMENT": "fleet",
            "LIMITS_PER_USER": "100",
            "LIMITS_TOTAL": "5000",
            **(settings or {}),
        }
        self._launch = launch
        self._ever: list[Daemon] = []
        self.daemons: list[Daemon] = []

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __getitem__(self, index: int) -> Daemon:
        return self.daemons[index]

    def __len__(self) -> int:
        return len(self.daemons)

    # Life

    def add(self, **settings: str) -> Daemon:
        """Starts one more."""
        daemon = self._started(settings)
        self.daemons.append(daemon)
        return daemon

    def _started(self, settings: dict[str, str]) -> Daemon:
        daemon = self._launch({**self.settings, **settings})
        self._ever.append(daemon)
        daemon.start()
        return daemon

    def restart(self, index: int, number: int = signal.SIGTERM, **settings: str) -> Daemon:
        """Ends one with a signal and puts another in its place, which knows nothing of the first."""
        old = self.daemons[index]
        old.signal(number)
        old.wait(30)
        self.daemons[index] = self._started(settings)
        return self.daemons[index]

    def stop(self) -> None:
        """Ends them all at once; every log is looked at."""
        with ExitStack() as stack:
            for daemon in self._ever:
                stack.callback(daemon.stop)
                if daemon.process is not None and daemon.process.poll() is None:
                    # One that a test has frozen would not hear it otherwise.
                    daemon.signal(signal.SIGCONT)
                    daemon.signal(signal.SIGTERM)

    # Requests

    def acquire_all(self, keys: Sequence[Key], via: Sequence[int] | None = None, clients: int = 32) -> list[Answer]:
        """Acquires the keys on a few kept-alive connections, in turn over the daemons `via`; the answers in order."""
        return self.ask_all("PUT", keys, via, clients)

    def ask_all(
        self, method: str, keys: Sequence[Key], via: Sequence[int] | None = None, clients: int = 32
    ) -> list[Answer]:
        """The same for any method."""
        daemons = list(via if via is not None else range(len(self)))
        answers: list[Answer | None] = [None] * len(keys)

        def work(first: int) -> None:
            with Client(self) as client:
                for place in range(first, len(keys), clients):
                    answers[place] = client.ask(method, keys[place], daemons[place % len(daemons)])

        in_threads([lambda first=first: work(first) for first in range(min(clients, len(keys)))])
        return [answer for answer in answers if answer is not None]

    def burst(self, keys: Sequence[Key], method: str = "PUT", via: Sequence[int] | None = None) -> list[Answer]:
        """Requests that are all under way at once, a connection each, split over the daemons; in order."""
        daemons = list(via if via is not None else range(len(self)))
        with ExitStack() as stack:
            places = [daemons[number % len(daemons)] for number in range(len(keys))]
            sockets = [stack.enter_context(connect(self[place].api)) for place in places]
            began = time.monotonic()
            for connection, key in zip(sockets, keys):
                connection.sendall(request_bytes(method, sandbox_path(*key)))
            answers = []
            for connection, key, place in zip(sockets, keys, places):
                found = read_reply(connection)
                # Read in order: a later one may have come long before it is looked at.
                answers.append(Answer(key, place, began, time.monotonic() - began, found[0] if found else Reply(0)))
            return answers

    # What is

    def living(self) -> dict[str, Key | None]:
        """Every sandbox at the provider, running or paused, with the owner that its metadata names."""
        return {one["id"]: owner(one) for one in self.cloud.sandboxes()}

    def by_key(self) -> dict[Key | None, list[str]]:
        """The provider's sandboxes by owner."""
        found: dict[Key | None, list[str]] = {}
        for sandbox, key in self.living().items():
            found.setdefault(key, []).append(sandbox)
        return found

    def created(self) -> int:
        """How many sandboxes the provider has ever made."""
        return self.cloud.counters().get("created", 0)

    def peak(self) -> int:
        """The most sandboxes that ever ran at once, as the provider itself has counted: no moment is missed."""
        return self.cloud.counters().get("peak_running", 0)

    def leases(self, index: int = 0) -> dict[Key, str]:
        """Every lease that a daemon lists, with its sandbox."""
        found: dict[Key, str] = {}
        cursor: str | None = None
        while True:
            query = "/v1/sandboxes?limit=500" + (f"&cursor={cursor}" if cursor else "")
            reply = self[index].request("GET", query)
            assert reply.status == 200, reply
            for one in reply.json["sandboxes"]:
                key = (one["user_id"], one["project_id"])
                assert key not in found, f"listed twice: {key}"
                found[key] = one["sandbox_id"]
            cursor = reply.json["next_cursor"]
            if cursor is None:
                return found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric over all daemons."""
        return sum(daemon.page().sum(name, **labels) for daemon in self.daemons)

    def modes(self) -> list[str]:
        """Where each daemon says that its store is."""
        return [daemon.observe("/readyz").json["store_mode"] for daemon in self.daemons]

    def wait_for_mode(self, mode: str, deadline: float) -> None:
        """Waits until every daemon is in the mode."""
        wait_until(lambda: set(self.modes()) == {mode}, f"every store mode is {mode}", deadline)


def owner(sandbox: dict[str, Any]) -> Key | None:
    """Whom the metadata of a sandbox names."""
    metadata = sandbox["metadata"]
    return (metadata["user_id"], metadata["project_id"]) if {"user_id", "project_id"} <= metadata.keys() else None


def in_threads(work: Iterable[Callable[[], None]]) -> None:
    """Runs each in a thread of its own; the first failure is raised here."""
    failures: list[BaseException] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 (it is raised again below)
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(one,), daemon=True) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# The books


def disagreements(fleet: Fleet, foreign: Collection[str] = ()) -> list[str]:
    """Where the daemons, asked one after the other, and the provider do not say the same.

    foreign: sandboxes at the provider that are nobody's business of the fleet.
    """
    found = []
    living = {sandbox: key for sandbox, key in fleet.living().items() if sandbox not in foreign}
    for index, daemon in enumerate(fleet.daemons):
        page = daemon.page()
        leases = fleet.leases(index)
        for name in ("create_intents", "kill_outbox_entries", "user_locks", "user_lock_waiters"):
            if value := page.sum(name):
                found.append(f"daemon {index}: {name} is {value:g}")
        slots = page.sum("slots_in_use", scope="total")
        if slots != len(leases):
            found.append(f"daemon {index}: {slots:g} slots are in use for {len(leases)} leases")
        if lost := leases.keys() - set(living.values()):
            found.append(f"daemon {index}: leases of keys without a sandbox: {sorted(lost)[:5]}")
        held = set(leases.values())
        if dead := held - living.keys():
            found.append(f"daemon {index}: {len(dead)} leased sandboxes do not live: {sorted(dead)[:5]}")
        if orphans := living.keys() - held:
            found.append(f"daemon {index}: {len(orphans)} sandboxes are nobody's: {sorted(orphans)[:5]}")
        wrong = [key for key, sandbox in leases.items() if sandbox in living and living[sandbox] != key]
        if wrong:
            found.append(f"daemon {index}: leased to another than its owner: {wrong[:5]}")
    doubled = [key for key, count in Counter(living.values()).items() if count > 1]
    if doubled:
        found.append(f"more than one sandbox at the provider: {doubled[:5]}")
    return found


def assert_books_agree(fleet: Fleet, deadline: float = 20, foreign: Collection[str] = ()) -> None:
    """Once things are quiet, every daemon lists exactly what runs at the provider, and each of those takes one slot;
    nothing is under way, nothing waits to die, nothing is locked.
    """
    end = time.monotonic() + deadline
    while found := disagreements(fleet, foreign):
        assert time.monotonic() < end, f"the books disagree after {deadline:g} s:\n" + "\n".join(found)
        time.sleep(0.1)


# Load


def percentile(values: Collection[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    assert values, "there are no values"
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


class Clients:
    """Clients of a fleet, each in a thread of its own, until the block is left; a failure of one is raised there."""

    def __init__(self, fleet: Fleet, clients: int) -> None:
        self._fleet = fleet
        self._done = threading.Event()
        self._failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _run(self, number: int) -> None:
        try:
            with Client(self._fleet) as client:
                self.work(client, number)
        except BaseException as error:  # noqa: BLE001 (it is raised again at the end)
            self._failures.append(error)

    def work(self, client: Client, number: int) -> None:
        """What a client does until `_done` is set."""
        raise NotImplementedError


class Load(Clients):
    """Clients that do the same over and over.

    What they got is in `answers`, in the order in which it came.
    """

    def __init__(
        self,
        fleet: Fleet,
        keys: Sequence[Key],
        via: Sequence[int] | None = None,
        clients: int = 4,
        pause: float = 0.005,
    ) -> None:
        """keys: acquired in turn; each client begins elsewhere, and talks to one daemon of `via`."""
        super().__init__(fleet, clients)
        self.answers: list[Answer] = []
        self._keys = list(keys)
        self._via = list(via if via is not None else range(len(fleet)))
        self._pause = pause

    def work(self, client: Client, number: int) -> None:
        """One step after the other, with a pause before each."""
        turn = 0
        while not self._done.wait(self._pause):
            self.step(client, number, turn, self._via[number % len(self._via)])
            turn += 1

    def step(self, client: Client, number: int, turn: int, daemon: int) -> None:
        """One turn of a client."""
        key = self._keys[(turn + number * len(self._keys) // len(self._threads)) % len(self._keys)]
        self.answers.append(client.ask("PUT", key, daemon))

    # What it saw

    def latencies(self, since: float = 0, until: float = math.inf) -> list[float]:
        """How long the answers took whose requests were sent in a span of `time.monotonic`."""
        return [one.took for one in list(self.answers) if since <= one.sent < until]

    def failures(self) -> list[Answer]:
        """What was not granted."""
        return [one for one in list(self.answers) if not one.is_granted]

    def strangers(self, expected: dict[Key, str]) -> list[Answer]:
        """Answers that name another sandbox than the one expected."""
        return [one for one in list(self.answers) if one.is_granted and expected.get(one.key) != one.sandbox]


class Growth(Load):
    """Clients that acquire in each turn a key that nobody has had before."""

    def __init__(
        self, fleet: Fleet, name: str, via: Sequence[int] | None = None, clients: int = 2, pause: float = 0.1
    ) -> None:
        super().__init__(fleet, [], via, clients, pause)
        self._name = name

    def step(self, client: Client, number: int, turn: int, daemon: int) -> None:
        self.answers.append(client.ask("PUT", (f"{self._name}-{number}-{turn}", "demo"), daemon))

    def granted(self) -> dict[Key, str]:
        """What was leased; of several leases of a key the one with the highest epoch."""
        granted = [one for one in list(self.answers) if one.is_granted]
        return {one.key: str(one.sandbox) for one in sorted(granted, key=lambda one: one.reply.json["epoch"])}


class Churn(Growth):
    """The same, and each lease is released at once, through another daemon if there is one."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.released: list[Answer] = []

    def step(self, client: Client, number: int, turn: int, daemon: int) -> None:
        super().step(client, number, turn, daemon)
        other = self._via[(number + 1) % len(self._via)]
        self.released.append(client.ask("DELETE", (f"{self._name}-{number}-{turn}", "demo"), other))


class Watch:
    """Looks at the provider over and over; a context manager. What passes between two looks is missed."""

    def __init__(self, fleet: Fleet, pause: float = 0.02) -> None:
        self._fleet = fleet
        self._pause = pause
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.looks = 0
        self.most = 0
        self.most_of_one_user = 0
        self.doubled: dict[Key, set[str]] = {}

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _work(self) -> None:
        while True:
            last = self._done.wait(self._pause)
            found = self._fleet.by_key()
            self.most = max(self.most, sum(len(sandboxes) for sandboxes in found.values()))
            users = Counter(key[0] for key, sandboxes in found.items() if key for _ in sandboxes)
            self.most_of_one_user = max(self.most_of_one_user, *users.values(), 0)
            for key, sandboxes in found.items():
                if key and len(sandboxes) > 1:
                    self.doubled.setdefault(key, set()).update(sandboxes)
            self.looks += 1
            if last:
                return
