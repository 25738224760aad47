#!/usr/bin/env python3
"""Breaks the core in one line at a time and demands that the pure tests or the simulation notice.

The mutants are those of scripts/core-mutants.toml. All of them are built into one copy of the tree, each behind a
switch, and with one on at a time the tests of the core and the simulation are run; the first failure on a side ends that
side. A mutant that hangs is killed by the time limit, and the table says so. First both have to pass with none on.

    scripts/check-core-mutants.py [--only REGEX] [--side tests|simulation|both] [--seeds A-B] [--steps N]
                                  [--jobs N] [--report FILE] [--summary FILE] [--into FOLDER] [--lock FILE] [--list]

Prints a table in Markdown, to FILE too if there is a --report. Ends with 1 if a mutant survived, does not compile, or
has no place in the source any more. At low priority, as it takes all processors for a while.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import core_mutants as core
from core_mutants import Fault, Mutant, Outcome, Verdict, Workshop


class Bench:
    """Runs mutants against the tests, the simulation, or both."""

    def __init__(self, workshop: Workshop, arguments: argparse.Namespace) -> None:
        self.workshop = workshop
        self.arguments = arguments
        self.limits = {"tests": 900.0, "simulation": 1800.0}

    def run(self, side: str, number: int) -> Verdict:
        program, limit = self.workshop.program(side), self.limits[side]
        if side == "tests":
            return core.run_tests(program, number, limit)
        return core.run_simulation(program, number, self.arguments.seeds, self.arguments.steps, limit)

    def baseline(self) -> None:
        """With no mutant on everything passes; how long that takes sets the time limits of the mutants."""
        for side in self.workshop.sides:
            start = time.monotonic()
            verdict = self.run(side, 0)
            if verdict.is_killed:
                raise Fault(f"without a mutant: the {side}: {', '.join(verdict.killers) or verdict.how}")
            took = time.monotonic() - start
            self.limits[side] = max(60, 4 * took)
            log(f"without a mutant: the {side} pass in {took:.0f} s")

    def outcome(self, mutant: Mutant) -> Outcome:
        outcome = Outcome(mutant, **{side: self.run(side, mutant.number) for side in self.workshop.sides})
        log(core.table([outcome]).splitlines()[-1])
        return outcome


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(outcomes: list[Outcome], arguments: argparse.Namespace) -> str:
    """The page that is committed."""
    revision = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=core.ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    runs = {
        "tests": "the tests of the core",
        "simulation": f"the simulation (seeds {arguments.seeds}, {arguments.steps} steps each)",
    }
    against = " and ".join(text for side, text in runs.items() if arguments.side in (side, "both"))
    return (
        f"## {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, revision {revision or 'unknown'}\n\n"
        f"Against {against}. {core.summary(outcomes)}\n\n{core.table(outcomes)}\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run only mutants whose id has this pattern in it")
    sides = ("tests", "simulation", "both")
    parser.add_argument("--side", choices=sides, default="both", help="what they are run against")
    parser.add_argument("--seeds", default="1-20", help="seeds of the simulation")
    parser.add_argument("--steps", type=int, default=5000, help="steps of each seed")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants are run at once")
    parser.add_argument("--report", type=Path, help="also write the table to this file, below its first heading")
    parser.add_argument("--summary", type=Path, help="write the table to this file alone")
    parser.add_argument("--into", type=Path, default=core.ROOT / ".build" / "core-mutants", help="where the copy is")
    parser.add_argument("--lock", type=Path, help="a file that is locked while something is compiled")
    parser.add_argument("--list", action="store_true", help="print the mutants and run nothing")
    arguments = parser.parse_args()
    try:
        mutants = core.read_list()
        core.mutated_files(mutants)
        wanted = [mutant for mutant in mutants if re.search(arguments.only, mutant.id)]
        if arguments.list:
            for mutant in wanted:
                print(f"{mutant.id}: {mutant.breaks}")
            return 0
        sides = ("tests", "simulation") if arguments.side == "both" else (arguments.side,)
        workshop = Workshop(arguments.into, sides=sides, lock=arguments.lock)
        workshop.prepare(mutants)
        workshop.build()
        bench = Bench(workshop, arguments)
        bench.baseline()
    except Fault as fault:
        log(str(fault))
        return 1
    with ThreadPoolExecutor(arguments.jobs) as pool:
        outcomes = list(pool.map(bench.outcome, wanted))
    page = report(outcomes, arguments)
    print(page)
    if arguments.summary:
        arguments.summary.write_text(page)
    if arguments.report:
        core.write_report(arguments.report, page)
    return 0 if outcomes and all(outcome.is_killed for outcome in outcomes) else 1


def end(number: int, _: object) -> None:
    """Each program is a session of its own, and would go on."""
    core.Program.stop_all()
    os._exit(128 + number)


if __name__ == "__main__":
    os.nice(10)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    sys.exit(main())
