"""A storm: clients that do everything at once, a provider that fails in every way, and replicas that die."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter

from daemon import sandbox_path
from e2b_support import FakeE2B
from fleet import Answer, Client, Clients, Fleet, Key, owner
from history import Ending, Grant, Life
from wire import connect, request_bytes

# As the provider calls what a manager calls create, connect, info, list, extend, pause, kill and health.
OPERATIONS = ("create", "connect", "get", "list", "timeout", "pause", "kill", "health")
# How often a client does what.
ACTIONS = {
    "acquire": 50, "release": 14, "keepalive": 8, "describe": 9, "exec": 7, "pause": 3, "give up": 6, "list": 3,
}


def stormy() -> list[dict[str, object]]:
    """The faults, for each operation: of 100 calls 5 lose the reply after their effect, 5 fail before and 5 after it,
    2 hang, 2 are answered with nonsense."""
    found: list[dict[str, object]] = []
    for operation in OPERATIONS:
        every = {"operation": operation, "times": 0}
        found += [
            {**every, "kind": "drop", "afterEffect": True, "share": 0.05},
            {**every, "kind": "hang", "share": 0.01},
            {**every, "kind": "hang", "afterEffect": True, "share": 0.01},
            {**every, "kind": "malformed", "share": 0.02},
        ]
        for status in (500, 502, 503, 504):
            failing = {**every, "kind": "status", "status": status, "share": 0.05 / 4}
            found += [failing, {**failing, "afterEffect": True}]
    return found


def let_loose(cloud: FakeE2B, seed: int) -> None:
    """Makes the provider fail from now on."""
    cloud.admin("POST", "seed", {"number": seed})
    cloud.admin("POST", "faults", stormy())


class Storm(Clients):
    """Clients that do all kinds of things; what they saw is kept for a judge."""

    def __init__(self, fleet: Fleet, keys: list[Key], seed: int, clients: int = 12, pause: float = 0.02) -> None:
        """keys: each client draws from all of them. pause: between two requests of a client, on average."""
        super().__init__(fleet, clients)
        self.answers: list[tuple[str, Answer]] = []
        self.cancelled = 0
        self._keys = keys
        self._seed = seed
        self._pause = pause

    def kill_replicas(self, seconds: float, every: float) -> int:
        """Kills a replica at intervals for a while, in turn, and puts another one in its place; how many."""
        began, kills = time.monotonic(), 0
        while (moment := began + (kills + 1) * every) < began + seconds:
            time.sleep(max(0, moment - time.monotonic()))
            index = kills % len(self._fleet)
            self._fleet.restart(index, signal.SIGKILL, API_LISTEN=str(self._fleet[index].api))
            kills += 1
        time.sleep(max(0, began + seconds - time.monotonic()))
        return kills

    # A client

    def work(self, client: Client, number: int) -> None:
        """One action after the other, drawn at random."""
        draw = random.Random(self._seed * 1000 + number)
        while not self._done.wait(draw.expovariate(1 / self._pause)):
            [action] = draw.choices(list(ACTIONS), list(ACTIONS.values()))
            self._act(client, action, draw.choice(self._keys), draw.randrange(len(self._fleet)), draw)

    def _act(self, client: Client, action: str, key: Key, daemon: int, draw: random.Random) -> None:
        match action:
            case "acquire":
                answer = client.ask("PUT", key, daemon)
            case "release":
                answer = client.ask("DELETE", key, daemon)
            case "describe":
                answer = client.ask("GET", key, daemon)
            case "keepalive" | "pause":
                answer = client.ask("POST", key, daemon, f"/{action}")
            case "exec":
                answer = client.ask("POST", key, daemon, "/exec", b'{"command":["echo","hello"]}')
            case "list":
                answer = client.ask("GET", key, daemon, path="/v1/sandboxes?limit=100")
            case _:
                self._give_up(key, daemon, draw)
                return
        self.answers.append((action, answer))

    def _give_up(self, key: Key, daemon: int, draw: random.Random) -> None:
        """Asks, and does not wait for the answer."""
        try:
            with connect(self._fleet[daemon].api, 5) as connection:
                connection.sendall(request_bytes("PUT", sandbox_path(*key)))
                self._done.wait(draw.uniform(0, 0.05))
            self.cancelled += 1
        except OSError:
            # Nobody is there right now.
            pass

    # What they saw

    def grants(self) -> list[Grant]:
        """Every sandbox that somebody was told to use."""
        return [
            Grant(one.key, str(one.sandbox), one.reply.json["epoch"], one.sent, one.sent + one.took, one.daemon)
            for action, one in self.answers
            if action == "acquire" and one.is_granted
        ]

    def endings(self) -> list[Ending]:
        """Every release that was acknowledged."""
        return [
            Ending(one.key, one.sent, one.sent + one.took)
            for action, one in self.answers
            if action == "release" and one.status in (202, 204)
        ]

    def counted(self) -> Counter[str]:
        """How often each action ended how."""
        return Counter(
            f"{action} {one.status}" + (f" {one.code}" if one.status >= 400 else "") for action, one in self.answers
        )

    def unexpected(self) -> list[str]:
        """Answers that no fault of the provider explains."""
        return [f"{action} {one}" for action, one in self.answers if one.code == "internal" or one.status == 400]


def lives_of(cloud: FakeE2B, offset: float) -> list[Life]:
    """The provider's account of all sandboxes there have been; `offset` is what its clock is ahead of ours."""
    return [
        Life(
            one["id"],
            owner(one),
            one["from"] - offset,
            None if one["until"] is None else one["until"] - offset,
        )
        for one in cloud.admin("GET", "lives")
    ]
