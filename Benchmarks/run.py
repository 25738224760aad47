#!/usr/bin/env python3
"""Runs benchmarks and writes their table; scripts/bench.sh builds what it needs and calls it.

    run.py --daemon FILE --programs FOLDER [--quick] [--json FILE] [--revision TEXT] [--write] [GROUP...]

GROUP: modules of rows/; all without one. Prints one line of JSON for each row as it is measured (and appends it to
FILE), then the table. --quick: a second or less a row; figures are worth little then. --write: puts the table into
Benchmarks/RESULTS.md and README.md.

Ends with 1 if a benchmark is broken: a row is missing, a reply was an error, or a count (such as allocations) is above
its target. A target missed by time is told in the table, and is no failure: machines differ.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from frame import Bench, Row  # noqa: E402 (the folder comes first)
from table import table, write  # noqa: E402

FOLDER = Path(__file__).resolve().parent
# In the order of the table.
GROUPS = ["http", "creates", "scrape", "metrics", "redis_client"]
GROUPS = [name for name in GROUPS if (FOLDER / "rows" / f"{name}.py").exists()]
GROUPS += sorted(file.stem for file in (FOLDER / "rows").glob("*.py") if file.stem not in GROUPS)


def run(bench: Bench, group: str) -> Iterator[dict[str, Any]]:
    """The results of a group, as they come."""
    for result in importlib.import_module(f"rows.{group}").measure(bench):
        yield result.json()


def faults_of(expected: Sequence[Row], results: Sequence[dict[str, Any]]) -> list[str]:
    """What is wrong with a group: rows without a figure, and counts above their target."""
    seen = {result["name"] for result in results}
    faults = [f"{row.name}: no figure" for row in expected if row.name not in seen]
    for result in results:
        if result["is_count"] and result["met"] is False:
            counted = f"{result['ours']['median']:g} {result['unit']}"
            faults.append(f"{result['name']}: {counted}, and {result['target']} was expected")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daemon", type=Path, required=True)
    parser.add_argument("--programs", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--revision", default="unknown")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("groups", metavar="GROUP", nargs="*")
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no group {', '.join(sorted(unknown))}; there are: {', '.join(GROUPS)}")

    faults: list[str] = []
    results: list[dict[str, Any]] = []
    if options.json:
        options.json.write_text("")
    for group in options.groups or GROUPS:
        started = time.monotonic()
        expected: list[Row] = importlib.import_module(f"rows.{group}").ROWS
        measured: list[dict[str, Any]] = []
        try:
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                with Bench(options.daemon.resolve(), options.programs.resolve(), Path(folder), options.quick) as bench:
                    for result in run(bench, group):
                        measured.append(result)
                        line = json.dumps(result)
                        print(line, flush=True)
                        if options.json:
                            with options.json.open("a") as file:
                                file.write(line + "\n")
        except Exception:
            # The other groups are measured all the same.
            traceback.print_exc()
            faults.append(f"{group}: ended with an error")
        results += measured
        faults += faults_of(expected, measured)
        print(f"# {group}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    print()
    print(table(results))
    print()
    for fault in faults:
        print(f"BROKEN  {fault}")
    if options.write and not faults:
        write(results, options.revision, os.cpu_count() or 0)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
