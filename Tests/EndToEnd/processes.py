"""Processes of this machine, read from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process; id and start together are unique."""

    pid: int
    start: int
    parent: int
    name: str
    state: str

    @property
    def is_zombie(self) -> bool:
        return self.state in "ZX"


def processes() -> dict[int, Process]:
    """Every process that can be seen, zombies included."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            text = Path(entry.path, "stat").read_text()
        except OSError:
            continue
        # The name may hold blanks and parentheses; what follows the last one is plain.
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        pid = int(entry.name)
        found[pid] = Process(pid, start=int(fields[19]), parent=int(fields[1]), name=name, state=fields[0])
    return found


def descendants(pid: int) -> set[Process]:
    """Everything that the process has started, directly or not; zombies left out."""
    everything = processes()
    children: dict[int, list[Process]] = {}
    for process in everything.values():
        children.setdefault(process.parent, []).append(process)
    found: set[Process] = set()
    pending = [pid]
    while pending:
        for child in children.get(pending.pop(), []):
            found.add(child)
            pending.append(child.pid)
    return {process for process in found if not process.is_zombie}


def still_running(gone: set[Process]) -> set[Process]:
    """Those of the processes that have not ended."""
    now = processes()
    return {
        process
        for process in gone
        if (found := now.get(process.pid)) and found.start == process.start and not found.is_zombie
    }


def running_with(word: str) -> list[int]:
    """The processes that have the word in their command line."""
    found = []
    for pid in processes():
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in line:
            found.append(pid)
    return found
