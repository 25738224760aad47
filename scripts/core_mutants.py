"""Mutants of the core: the list, the copy of the tree in which they live, and what kills them."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import trimmed_package
from trimmed_package import ROOT

CORE = Path("Sources/SandboxCore")
LIST = ROOT / "scripts" / "core-mutants.toml"
LEAST = 25
# Part of the name of the test that takes longer than all others together.
SLOWEST = "fifty thousand denied"

VARIABLE = "CORE_MUTANT"
SWITCH = f"""internal import Glibc

private let numberOn = unsafe getenv("{VARIABLE}").flatMap {{ Int(unsafe String(cString: $0)) }}

func isMutantOn(_ number: Int) -> Bool {{ number == numberOn }}
"""


class Fault(Exception):
    """Something is wrong with the list, the tree or a build: words for whoever runs the script."""


@dataclass(frozen=True)
class Mutant:
    """One line of the core that becomes another one, once its number is switched on."""

    number: int
    id: str
    file: str
    line: str
    breaks: str
    # The whole line is replaced, or an expression in it.
    becomes: str = ""
    expression: str = ""
    instead: str = ""


@dataclass
class Verdict:
    """What became of a mutant on one side: of the tests, or of the simulation."""

    # Names of failed tests, or of invariants.
    killers: list[str] = field(default_factory=list)
    # Instead of one: it hung, or crashed.
    how: str = ""
    # Where the simulation found it.
    where: str = ""

    @property
    def is_killed(self) -> bool:
        return bool(self.killers or self.how)


@dataclass
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    tests: Verdict | None = None
    simulation: Verdict | None = None

    @property
    def is_killed(self) -> bool:
        return any(side and side.is_killed for side in (self.tests, self.simulation))


# MARK: The list


def is_line(value: object) -> bool:
    return isinstance(value, str) and value == value.strip() != "" and "\n" not in value


def read_list(path: Path = LIST) -> list[Mutant]:
    """The mutants of the list; a `Fault` names everything that is wrong with its form."""
    always, either = {"id", "file", "line", "breaks"}, ({"becomes"}, {"from", "to"})
    mutants = []
    faults = []
    for number, entry in enumerate(tomllib.loads(path.read_text()).get("mutant", []), 1):
        name = entry.get("id", f"number {number}")
        if set(entry) - always not in either or not always <= set(entry):
            faults.append(f"{name}: must have {', '.join(sorted(always))}, and either becomes or from and to")
        elif not all(is_line(text) for text in entry.values()):
            faults.append(f"{name}: every value is one line of text, without indentation")
        elif not re.fullmatch(r"[a-z0-9-]+", entry["id"]):
            faults.append(f"{name}: an id is made of small letters, digits and hyphens")
        elif entry["line"] == entry.get("becomes") or "from" in entry and entry["from"] == entry["to"]:
            faults.append(f"{name}: changes nothing")
        elif "from" in entry and entry["line"].count(entry["from"]) != 1:
            faults.append(f"{name}: its line does not have the expression exactly once")
        else:
            fields = {{"from": "expression", "to": "instead"}.get(key, key): text for key, text in entry.items()}
            mutants.append(Mutant(number, **fields))
    ids = [mutant.id for mutant in mutants]
    faults += [f"{name}: occurs twice" for name in sorted({name for name in ids if ids.count(name) > 1})]
    if len(mutants) < LEAST:
        faults.append(f"{len(mutants)} mutants; at least {LEAST} are wanted")
    if faults:
        raise Fault("\n".join(faults))
    return mutants


def switched(line: str, mutants: list[Mutant]) -> str:
    """The line with a switch for each of its mutants."""
    statements = [mutant for mutant in mutants if mutant.becomes]
    if statements:
        if len(mutants) > 1:
            raise Fault(f"{mutants[1].id}: shares a line with {mutants[0].id}, of which one replaces it as a whole")
        mutant = statements[0]
        return f"if isMutantOn({mutant.number}) {{ {mutant.becomes} }} else {{ {line} }}"
    end = len(line)
    text = line
    # From the last to the first, so that places found before stay right.
    for mutant in sorted(mutants, key=lambda mutant: line.index(mutant.expression), reverse=True):
        start = line.index(mutant.expression)
        if start + len(mutant.expression) > end:
            raise Fault(f"{mutant.id}: overlaps with another mutant of its line")
        choice = f"(isMutantOn({mutant.number}) ? ({mutant.instead}) : ({mutant.expression}))"
        text = text[:start] + choice + text[start + len(mutant.expression) :]
        end = start
    return text


def mutated(text: str, mutants: list[Mutant]) -> str:
    """The text of a file with all of its mutants; a `Fault` names those whose line does not occur exactly once."""
    lines = text.splitlines(keepends=True)
    faults = []
    for wanted in dict.fromkeys(mutant.line for mutant in mutants):
        sharing = [mutant for mutant in mutants if mutant.line == wanted]
        places = [place for place, line in enumerate(lines) if line.strip() == wanted]
        if len(places) == 1:
            lines[places[0]] = lines[places[0]].replace(wanted, switched(wanted, sharing), 1)
        else:
            faults += [f"{one.id}: its line occurs {len(places)} times in {one.file}: {wanted}" for one in sharing]
    if faults:
        raise Fault("\n".join(faults))
    return "".join(lines)


def mutated_files(mutants: list[Mutant], root: Path = ROOT) -> dict[Path, str]:
    """What becomes of the core's files; a `Fault` names every mutant that the source does not have a place for."""
    files: dict[Path, str] = {}
    faults = []
    for name in dict.fromkeys(mutant.file for mutant in mutants):
        own = [mutant for mutant in mutants if mutant.file == name]
        try:
            files[CORE / name] = mutated((root / CORE / name).read_text(), own)
        except OSError:
            faults += [f"{mutant.id}: there is no {CORE / name}" for mutant in own]
        except Fault as fault:
            faults.append(str(fault))
    if faults:
        raise Fault("\n".join(faults))
    return files


# MARK: The copy


class Workshop:
    """A copy of the tree in which all mutants are built at once, each behind its switch."""

    def __init__(self, tree: Path, *, sides: tuple[str, ...], lock: Path | None = None) -> None:
        self.tree = tree
        self.sides = sides
        self.lock = lock

    def program(self, side: str) -> Path:
        """What is run for a side."""
        built = self.tree / ".build"
        if side == "tests":
            return built / "debug" / "sandbox-managerPackageTests.xctest"
        return built / "release" / "simulate"

    def prepare(self, mutants: list[Mutant]) -> None:
        """Brings the copy up to date."""
        texts = mutated_files(mutants) | {CORE / "MutantSwitch.swift": SWITCH}
        roots = [{"tests": "SandboxCoreTests", "simulation": "simulate"}[side] for side in self.sides]
        trimmed_package.make(self.tree, roots, texts)

    def build(self) -> None:
        """Builds what the sides need; a `Fault` names the lines that do not compile."""
        with self._turn():
            for side in self.sides:
                what = ["--build-tests"] if side == "tests" else ["-c", "release", "--product", "simulate"]
                self._compile(["swift", "build", "--package-path", str(self.tree), *what])

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Holds the lock on building, if there is one."""
        if self.lock is None:
            yield
            return
        with self.lock.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _compile(self, command: list[str]) -> None:
        # The compiler now and then waits for ever; a second try goes on from where the first one was.
        for _ in range(2):
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
            except subprocess.TimeoutExpired:
                continue
            if done.returncode != 0:
                words = (done.stdout + done.stderr).splitlines()
                errors = dict.fromkeys(line for line in words if "error:" in line)
                raise Fault("\n".join(errors) or "\n".join(words[-20:]))
            return
        raise Fault("the compiler does not end")


# MARK: Running


_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class Program:
    """A program under way, whose lines of output are read as they come; it is ended when it takes too long."""

    under_way: ClassVar[set[Program]] = set()

    def __init__(self, command: list[str], number: int, limit: float) -> None:
        self.ran_out = False
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "SWIFT_BACKTRACE": "enable=no", VARIABLE: str(number)},
        )
        self.under_way.add(self)
        self._timer = threading.Timer(limit, self._time_is_up)
        self._timer.start()

    def _time_is_up(self) -> None:
        self.ran_out = True
        self.stop()

    def stop(self) -> None:
        """Ends it and what it has started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop_after(self, seconds: float) -> None:
        """Ends it a little later, without counting as taking too long."""
        self._timer.cancel()
        self._timer = threading.Timer(seconds, self.stop)
        self._timer.start()

    def lines(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield _COLOUR.sub("", line)

    def wait(self) -> int:
        status = self.process.wait()
        self._timer.cancel()
        self.under_way.discard(self)
        return status

    @classmethod
    def stop_all(cls) -> None:
        """Ends all that are under way."""
        for program in tuple(cls.under_way):
            program.stop()


_STARTED = re.compile(r"◇ Test (?!run|case)(?P<name>.+) started\.")
_PASSED = re.compile(r"✔ Test (?!run|case)(?P<name>.+?)(?: with \d+ test cases?)? passed after")
_FAILED = re.compile(
    r"✘ Test (?!run|case)(?P<name>.+?)(?: with \d+ test cases?)? "
    r"(?:recorded an issue|failed after)\b"
)


def _unquoted(name: str) -> str:
    return name.strip('"`')


def run_tests(program: Path, number: int, limit: float, patience: float = 2) -> Verdict:
    """With a mutant on (0: none), runs the tests one after another until one fails, and a little longer for others.

    The one that takes longest comes last, by itself: most mutants are killed before.
    """
    verdict = Verdict()
    for choice in ("--skip", "--filter"):
        _run_some_tests([str(program), choice, SLOWEST], number, limit, patience, verdict)
        if verdict.is_killed:
            break
    return verdict


def _run_some_tests(command: list[str], number: int, limit: float, patience: float, verdict: Verdict) -> None:
    run = Program([*command, "--testing-library", "swift-testing", "--no-parallel"], number, limit)
    under_way = ""
    ended = False
    for line in run.lines():
        if found := _STARTED.search(line):
            under_way = _unquoted(found["name"])
        elif found := _FAILED.search(line):
            name = _unquoted(found["name"])
            if name not in verdict.killers:
                verdict.killers.append(name)
            if len(verdict.killers) == 1:
                run.stop_after(patience)
        ended = ended or "Test run with" in line and (" passed after" in line or " failed after" in line)
    status = run.wait()
    if verdict.killers:
        return
    if run.ran_out:
        verdict.how = f"hangs in: {under_way}"
    elif status != 0 or not ended:
        verdict.how = f"crashes in: {under_way}"


_VIOLATION = re.compile(r"violation (?P<code>[A-Z]+[0-9]*)\b.*?seed=(?P<seed>\d+).*?step=(?P<step>\d+)")


def run_simulation(program: Path, number: int, seeds: str, steps: int, limit: float) -> Verdict:
    """With a mutant on (0: none), runs the simulation over some seeds until an invariant is violated."""
    run = Program([str(program), "--seeds", seeds, "--steps", str(steps), "--no-shrink"], number, limit)
    verdict = Verdict()
    for line in run.lines():
        if found := _VIOLATION.search(line):
            if not verdict.killers:
                verdict.where = f"seed {found['seed']}, step {found['step']}"
                run.stop_after(2)
            if found["code"] not in verdict.killers:
                verdict.killers.append(found["code"])
    status = run.wait()
    if verdict.killers:
        return verdict
    if run.ran_out:
        verdict.how = "hangs"
    elif status != 0:
        verdict.how = f"crashes (signal {-status})" if status < 0 else f"ends with status {status}"
    return verdict


# MARK: The table


_CODE = re.compile(r"\b[A-Z]\d+\b")


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def told(mutant: Mutant, verdict: Verdict | None) -> str:
    """The failed test whose name has most of the codes that the mutant breaks, else the first, and how many more."""
    if verdict is None:
        return "not run"
    if not verdict.killers:
        return cell(verdict.how or "–")
    codes = set(_CODE.findall(mutant.breaks))
    best = max(verdict.killers, key=lambda name: len(codes & set(_CODE.findall(name))))
    rest = len(verdict.killers) - 1
    return cell(best + (f" (and {rest} more)" if rest else ""))


def named(verdict: Verdict | None) -> str:
    """The invariant that the simulation named."""
    if verdict is None:
        return "not run"
    if not verdict.killers:
        return cell(verdict.how or "–")
    return cell(f"{', '.join(verdict.killers)} ({verdict.where})")


def table(outcomes: list[Outcome]) -> str:
    """The outcomes in Markdown; survivors stand out."""
    lines = ["| mutant | breaks | killed by the test | named by the simulation |", "|---|---|---|---|"]
    for outcome in outcomes:
        mutant = outcome.mutant
        if not outcome.is_killed:
            sides = "**survived** | **survived**"
        else:
            sides = f"{told(mutant, outcome.tests)} | {named(outcome.simulation)}"
        lines.append(f"| `{mutant.id}` | {cell(mutant.breaks)} | {sides} |")
    return "\n".join(lines)


def summary(outcomes: list[Outcome]) -> str:
    """How many were killed, and by what."""
    killed = [outcome for outcome in outcomes if outcome.is_killed]
    tests = [outcome for outcome in killed if outcome.tests and outcome.tests.is_killed]
    simulation = [outcome for outcome in killed if outcome.simulation and outcome.simulation.is_killed]
    return (
        f"{len(killed)} of {len(outcomes)} mutants killed; {len(tests)} by the tests, "
        f"{len(simulation)} by the simulation."
    )


def write_report(path: Path, page: str) -> None:
    """Puts the page below the file's introduction, in place of the one before."""
    text = path.read_text() if path.is_file() else "# Mutants of the core\n"
    introduction = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    path.write_text(introduction.rstrip() + "\n\n" + page)
