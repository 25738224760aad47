"""What every benchmark shares: rows with their targets, the tools they are measured with, and the spread of figures.

A row is a figure of ours beside a yardstick that is measured in the same run, in turns. A module in `rows/` declares
`ROWS` and a function `measure(bench)` that yields a `Result` for each of them.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "Tests" / "EndToEnd"))

from daemon import Daemon  # noqa: E402 (the folder comes first)


@dataclass(frozen=True)
class Target:
    """What is to be reached.

    of: `ratio`, ours by the yardstick's, or `figure`, ours alone.
    at_least: whether more is better.
    """

    of: str
    bound: float
    at_least: bool = False

    def is_met(self, ratio: float | None, figure: float) -> bool:
        value = ratio if self.of == "ratio" else figure
        if value is None:
            return False
        return value >= self.bound if self.at_least else value <= self.bound

    def words(self, unit: str) -> str:
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.bound:g}x" if self.of == "ratio" else f"{sign} {self.bound:g} {unit}"


def ratio_at_least(bound: float) -> Target:
    return Target("ratio", bound, at_least=True)


def ratio_at_most(bound: float) -> Target:
    return Target("ratio", bound)


def at_least(bound: float) -> Target:
    return Target("figure", bound, at_least=True)


def at_most(bound: float) -> Target:
    return Target("figure", bound)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    name: what the row is called on the command line and in JSON.
    what: what is measured, for the table.
    yardstick: what it is held against; empty for a figure that stands alone.
    is_count: the figure is a count that no slow machine changes: missing the target fails the run.
    """

    name: str
    what: str
    yardstick: str
    unit: str
    target: Target | None = None
    is_count: bool = False


@dataclass(frozen=True)
class Spread:
    """Least, median and greatest of the rounds."""

    least: float
    median: float
    greatest: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        return cls(min(samples), statistics.median(samples), max(samples))

    def json(self) -> dict[str, float]:
        return {"min": self.least, "median": self.median, "max": self.greatest}


@dataclass
class Result:
    """The figures of a row, one for each round; `yardstick` has as many, or none."""

    row: Row
    ours: Sequence[float]
    yardstick: Sequence[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios: what slows a whole round down slows both."""
        if not self.yardstick:
            return None
        return statistics.median(mine / theirs for mine, theirs in zip(self.ours, self.yardstick, strict=True))

    @property
    def is_met(self) -> bool | None:
        if self.row.target is None:
            return None
        return self.row.target.is_met(self.ratio, statistics.median(self.ours))

    def json(self) -> dict[str, Any]:
        row = self.row
        return {
            "name": row.name,
            "what": row.what,
            "yardstick_is": row.yardstick,
            "unit": row.unit,
            "rounds": len(self.ours),
            "ours": Spread.of(self.ours).json(),
            "yardstick": Spread.of(self.yardstick).json() if self.yardstick else None,
            "ratio": self.ratio,
            "target": row.target.words(row.unit) if row.target else None,
            "met": self.is_met,
            "is_count": row.is_count,
        }


@dataclass(frozen=True)
class Load:
    """What one run of wrk has measured; latencies in microseconds."""

    rate: float
    p50: float
    p99: float
    requests: int
    seconds: float


class Bench:
    """The tools: the daemon, the programs beside it, and how long to measure. Whatever is started is ended with it."""

    def __init__(self, daemon: Path, programs: Path, folder: Path, is_quick: bool) -> None:
        """daemon: the release build. programs: where yardsticks and the Benchmarks package's programs are.

        folder: for logs and what daemons write; empty.
        """
        self.daemon_path = daemon
        self.programs = programs
        self.folder = folder
        self.is_quick = is_quick
        self._open = ExitStack()
        self._started = 0

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def pick(self, full: float, quick: float) -> float:
        """One of two sizes: that of the whole run, or that of the short one."""
        return quick if self.is_quick else full

    def rounds(self, full: int = 5) -> range:
        """How often to take turns."""
        return range(1 if self.is_quick else full)

    # Processes

    def daemon(self, settings: Mapping[str, str]) -> Daemon:
        """A daemon of its own that listens when this returns; ended by `discard` or with the bench."""
        self._started += 1
        daemon = Daemon(self.daemon_path, self.folder / f"daemon-{self._started}", settings)
        self._open.callback(discard, daemon)
        daemon.start()
        return daemon

    def serve(self, program: str, *arguments: str | int) -> Served:
        """A server of `c/`, which prints its port."""
        process = subprocess.Popen(
            [str(self.programs / program), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        served = Served(process)
        self._open.callback(served.stop)
        served.read_port()
        return served

    def output(self, program: str, *arguments: str | int, timeout: float = 120) -> str:
        """What a program that measures prints."""
        done = subprocess.run(
            [str(self.programs / program), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=timeout,
            check=True,
        )
        return done.stdout

    def load(
        self, url: str, connections: int, seconds: float, method: str = "GET", first: int = 0, keys: int = 0
    ) -> Load:
        """Puts wrk's load on a URL, and fails if a single reply is not 2xx or a socket had an error.

        A machine so busy that not one reply came in time is given ten times as long, once.

        keys: how many leases to go round, numbered from `first`, under the URL; 0 for the URL itself.
        """
        told = self._wrk(url, connections, seconds, method, first, keys)
        if not told["requests"] and not told["errors"]:
            told = self._wrk(url, connections, 10 * seconds, method, first, keys)
        if told["errors"] or not told["requests"]:
            raise BenchmarkError(f"{told['errors']} of {told['requests']} requests to {url} failed: {told}")
        return Load(told["requests"] / told["seconds"], told["p50"], told["p99"], told["requests"], told["seconds"])

    def _wrk(
        self, url: str, connections: int, seconds: float, method: str, first: int, keys: int
    ) -> dict[str, float]:
        """What wrk has counted."""
        command = ["wrk", "--timeout", "20s", "-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s"]
        command += ["-s", str(ROOT / "Benchmarks" / "load.lua"), url, "--", method, str(first), str(keys)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds + 60)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if done.returncode != 0 or not lines:
            raise BenchmarkError(f"wrk on {url} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return json.loads(lines[-1])


class BenchmarkError(Exception):
    """A benchmark is broken: what it measured would be worth nothing."""


class Served:
    """A server program that was started."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.port = 0

    def read_port(self) -> None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.strip():
            raise BenchmarkError(f"a server ended with {self.process.wait()} before it had a port")
        self.port = int(line)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


def discard(daemon: Daemon) -> None:
    """Ends a daemon as a crash would: there is nothing to tidy up, and tidying up thousands of leases takes time."""
    if daemon.process is not None:
        daemon.process.kill()
        daemon.process.wait()


def cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, in user space and in the kernel, all its threads together.

    Read from the process's own clock (clock_getcpuclockid), which counts nanoseconds; /proc has hundredths of a second.
    """
    return time.clock_gettime((~pid << 3) | 2)
