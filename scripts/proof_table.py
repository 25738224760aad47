#!/usr/bin/env python3
"""Prints the table of scripts/proof.sh: what ran, what was counted, and how it ended.

    proof_table.py FOLDER

FOLDER holds for each proof NAME.xml, as pytest writes it with --junit-xml, and NAME.jsonl, lines that proofs have
reported; or NAME.runs, what `simulate` has printed. Ends with 1 if a proof failed, was skipped or left no result.
"""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Proof:
    """The tests of one file, and what they have counted."""

    name: str
    tests: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    seconds: float = 0
    facts: list[str] = field(default_factory=list)

    @property
    def result(self) -> str:
        if not self.tests:
            return "**no result**"
        if self.failed:
            return "**FAILED**: " + ", ".join(self.failed)
        return f"**{self.skipped} skipped**" if self.skipped else "passed"

    @property
    def is_good(self) -> bool:
        return self.result == "passed"


def read(folder: Path, name: str) -> Proof:
    """What a proof has left behind."""
    proof = Proof(name)
    file = folder / f"{name}.xml"
    if file.exists():
        for case in ElementTree.parse(file).iter("testcase"):
            proof.tests += 1
            proof.seconds += float(case.get("time", "0"))
            if case.find("failure") is not None or case.find("error") is not None:
                proof.failed.append(case.get("name", "?"))
            proof.skipped += case.find("skipped") is not None
    runs = folder / f"{name}.runs"
    if runs.exists():
        read_runs(proof, runs.read_text().splitlines())
    lines = folder / f"{name}.jsonl"
    if lines.exists():
        for line in lines.read_text().splitlines():
            facts = json.loads(line)["facts"]
            proof.facts.append(", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items()))
    return proof


def read_runs(proof: Proof, lines: list[str]) -> None:
    """What a simulation has printed: a line for each violation, and the sums at the end."""
    proof.failed += [line.removeprefix("violation ") for line in lines if line.startswith("violation ")]
    sums = [line for line in lines if line.startswith("runs=")]
    if not sums:
        return
    words = dict(word.split("=", 1) for word in sums[-1].split())
    proof.tests = int(words["runs"])
    rate = int(words["steps_per_second"])
    proof.seconds = int(words["steps"]) / max(rate, 1)
    proof.facts.append(f"seeds {words['seeds']}, steps {words['steps']}, steps a second {rate}")
    if int(words["failed"]) != len(proof.failed):
        proof.failed.append("violations without a line")


def table(proofs: list[Proof]) -> str:
    """Markdown."""
    lines = ["| proof | tests | seconds | counted | result |", "|---|---|---|---|---|"]
    for one in proofs:
        counted = "; ".join(one.facts) or "-"
        lines.append(f"| {one.name} | {one.tests} | {one.seconds:.0f} | {counted} | {one.result} |".replace("\n", " "))
    return "\n".join(lines)


def main() -> int:
    folder = Path(sys.argv[1])
    proofs = [read(folder, name) for name in (folder / "order").read_text().split()]
    print(table(proofs))
    return 0 if proofs and all(one.is_good for one in proofs) else 1


if __name__ == "__main__":
    sys.exit(main())
