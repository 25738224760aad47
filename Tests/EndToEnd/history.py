"""What clients were told about their sandboxes, judged afterwards against itself and against the provider's own account.

Nothing here talks to anybody. Each check takes what happened and returns what must not have: a sentence each, none if
all is well. Times are seconds of one clock. A request took its effect at some moment between `sent` and `received`; a
check complains only if no choice of that moment would make it right.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Key = tuple[str, str]


@dataclass(frozen=True)
class Grant:
    """An answer that named a sandbox to use."""

    key: Key
    sandbox: str
    epoch: int
    sent: float
    received: float
    daemon: int = 0

    def __str__(self) -> str:
        name = "/".join(self.key)
        return f"{name}: {self.sandbox} epoch {self.epoch} by {self.daemon} in {self.sent:.3f}-{self.received:.3f}"


@dataclass(frozen=True)
class Ending:
    """A release that was acknowledged."""

    key: Key
    sent: float
    received: float


@dataclass(frozen=True)
class Life:
    """A sandbox at the provider; without an `end` it lives."""

    sandbox: str
    key: Key | None
    start: float
    end: float | None = None


def by_key(grants: Iterable[Grant]) -> dict[Key, list[Grant]]:
    """The grants of each key, in the order in which they were sent."""
    found: dict[Key, list[Grant]] = defaultdict(list)
    for grant in sorted(grants, key=lambda one: one.sent):
        found[grant.key].append(grant)
    return found


# What clients saw


def ambiguous_epochs(grants: Iterable[Grant]) -> list[str]:
    """An epoch of a key names one sandbox, and a sandbox belongs to one key."""
    found = []
    sandboxes: dict[tuple[Key, int], Grant] = {}
    owners: dict[str, Grant] = {}
    for grant in grants:
        first = sandboxes.setdefault((grant.key, grant.epoch), grant)
        if first.sandbox != grant.sandbox:
            found.append(f"one epoch names two sandboxes: {first}; {grant}")
        first = owners.setdefault(grant.sandbox, grant)
        if first.key != grant.key:
            found.append(f"one sandbox for two keys: {first}; {grant}")
    return found


def older_after_newer(grants: Iterable[Grant]) -> list[str]:
    """Once an epoch was told, no request that begins later is given an older one."""
    found = []
    for granted in by_key(grants).values():
        told = sorted(granted, key=lambda one: one.received)
        newest: Grant | None = None
        place = 0
        for grant in granted:
            while place < len(told) and told[place].received < grant.sent:
                if newest is None or told[place].epoch > newest.epoch:
                    newest = told[place]
                place += 1
            if newest is not None and grant.epoch < newest.epoch:
                found.append(f"an older lease after a newer one: {grant}; before: {newest}")
    return found


def two_at_once(grants: Iterable[Grant]) -> list[str]:
    """Between the first and the last time that a sandbox is told, no other one is told for its key."""
    found = []
    for granted in by_key(grants).values():
        first: dict[str, Grant] = {}
        last: dict[str, Grant] = {}
        for grant in granted:
            if grant.sandbox not in first or grant.received < first[grant.sandbox].received:
                first[grant.sandbox] = grant
            if grant.sandbox not in last or grant.sent > last[grant.sandbox].sent:
                last[grant.sandbox] = grant
        for grant in granted if len(first) > 1 else []:
            for sandbox, begun in first.items():
                if sandbox != grant.sandbox and begun.received < grant.sent and grant.received < last[sandbox].sent:
                    found.append(f"two sandboxes at once: {grant}; between {begun} and {last[sandbox]}")
    return found


def told_after_release(grants: Iterable[Grant], endings: Iterable[Ending]) -> list[str]:
    """What was released is not told to a request that begins after the release was acknowledged."""
    found = []
    granted = by_key(grants)
    for ending in endings:
        before = [one.epoch for one in granted.get(ending.key, []) if one.received < ending.sent]
        for grant in granted.get(ending.key, []) if before else []:
            if grant.sent > ending.received and grant.epoch <= max(before):
                found.append(f"released in {ending.sent:.3f}-{ending.received:.3f}, and told after that: {grant}")
    return found


# What the provider knows


def told_without_life(grants: Iterable[Grant], lives: Iterable[Life], slack: float = 0) -> list[str]:
    """What was told was made for its key, before the answer came, and was not dead when the request was sent.

    slack: how far the provider's clock and ours may be apart.
    """
    found = []
    known = {life.sandbox: life for life in lives}
    for grant in grants:
        life = known.get(grant.sandbox)
        if life is None:
            found.append(f"never made: {grant}")
        elif life.key != grant.key:
            found.append(f"made for {life.key}: {grant}")
        elif grant.received < life.start - slack:
            found.append(f"told {life.start - grant.received:.3f} s before it was made: {grant}")
        elif life.end is not None and life.end + slack < grant.sent:
            found.append(f"dead for {grant.sent - life.end:.3f} s when it was asked for: {grant}")
    return found


def over_limits(lives: Sequence[Life], per_user: int, total: int) -> list[str]:
    """At no moment more sandboxes lived than the limits allow, paused and dying ones included."""
    steps = [(life.start, 1, life) for life in lives]
    steps += [(life.end, -1, life) for life in lives if life.end is not None]
    found = []
    everybody = 0
    users: dict[str, int] = defaultdict(int)
    # At the same moment an end comes first.
    for moment, change, life in sorted(steps, key=lambda step: (step[0], step[1])):
        everybody += change
        user = life.key[0] if life.key else ""
        users[user] += change
        if change > 0 and everybody > total:
            found.append(f"{everybody} of {total} in total at {moment:.3f} with {life.sandbox}")
        if change > 0 and life.key and users[user] > per_user:
            found.append(f"{users[user]} of {per_user} for {user} at {moment:.3f} with {life.sandbox}")
    return found


def most_at_once(lives: Sequence[Life]) -> int:
    """How many lived at once at most."""
    steps = sorted([(life.start, 1) for life in lives] + [(life.end or math.inf, -1) for life in lives])
    most = count = 0
    for _, change in steps:
        count += change
        most = max(most, count)
    return most


def everything_wrong(
    grants: Sequence[Grant],
    endings: Sequence[Ending],
    lives: Sequence[Life],
    per_user: int,
    total: int,
    slack: float = 0,
) -> list[str]:
    """All of the above."""
    return [
        *ambiguous_epochs(grants),
        *older_after_newer(grants),
        *two_at_once(grants),
        *told_after_release(grants, endings),
        *told_without_life(grants, lives, slack),
        *over_limits(lives, per_user, total),
    ]
