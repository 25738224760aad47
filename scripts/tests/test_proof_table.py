"""The table of the long proofs: nothing that did not pass looks as if it had."""

from __future__ import annotations

import json
from pathlib import Path

import proof_table

PASSED = '<testcase name="test_a" time="1.5"/>'
FAILED = '<testcase name="test_b" time="2"><failure message="no">why</failure></testcase>'
BROKEN = '<testcase name="test_c" time="0"><error message="no">why</error></testcase>'
SKIPPED = '<testcase name="test_d" time="0"><skipped/></testcase>'


def proof(folder: Path, *cases: str) -> proof_table.Proof:
    (folder / "storm.xml").write_text("<testsuites><testsuite>" + "".join(cases) + "</testsuite></testsuites>")
    return proof_table.read(folder, "storm")


def test_a_proof_that_passed_says_what_it_has_counted(tmp_path: Path) -> None:
    facts = {"proof": "storm", "facts": {"seed": 7, "most_at_once": "37 of 40"}}
    (tmp_path / "storm.jsonl").write_text(json.dumps(facts) + "\n")
    one = proof(tmp_path, PASSED, PASSED)
    assert one.is_good
    assert proof_table.table([one]).splitlines()[-1] == "| storm | 2 | 3 | seed 7, most at once 37 of 40 | passed |"


def test_what_failed_was_skipped_or_did_not_run_is_not_good(tmp_path: Path) -> None:
    assert "test_b" in proof(tmp_path, PASSED, FAILED).result
    assert "test_c" in proof(tmp_path, PASSED, BROKEN).result
    assert proof(tmp_path, PASSED, SKIPPED).result == "**1 skipped**"
    assert proof(tmp_path).result == "**no result**"
    assert proof_table.read(tmp_path, "another").result == "**no result**"
    assert not any(proof(tmp_path, *cases).is_good for cases in ([FAILED], [BROKEN], [SKIPPED], []))


def test_the_exit_status_tells_of_one_failure(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sys.argv", ["proof_table.py", str(tmp_path)])
    (tmp_path / "order").write_text("storm\n")
    proof(tmp_path, PASSED)
    assert proof_table.main() == 0
    (tmp_path / "order").write_text("storm\nmissing\n")
    assert proof_table.main() == 1
    (tmp_path / "order").write_text("")
    assert proof_table.main() == 1


def test_a_simulation_is_as_good_as_its_last_line(tmp_path: Path) -> None:
    def runs(text: str) -> proof_table.Proof:
        (tmp_path / "simulation.runs").write_text(text)
        return proof_table.read(tmp_path, "simulation")

    sums = "runs=2 seeds=7-8 failed={} steps=40000 steps_per_second=20000 hash=5\n"
    counted = "seeds 7-8, steps 40000, steps a second 20000"
    assert proof_table.table([runs(sums.format(0))]).splitlines()[-1] == f"| simulation | 2 | 2 | {counted} | passed |"
    broken = runs("violation I4 seed=7 step=12\n  sb1 lives\n" + sums.format(1))
    assert broken.result == "**FAILED**: I4 seed=7 step=12"
    assert not runs(sums.format(1)).is_good
    assert runs("").result == runs("Fatal error\n").result == "**no result**"
