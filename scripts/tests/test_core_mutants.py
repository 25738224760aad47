"""The list of core mutants fits the source, and a mutant that nobody kills is not passed over."""

from __future__ import annotations

from pathlib import Path

import core_mutants as core
import pytest
from core_mutants import Fault, Mutant, Outcome, Verdict

MUTANT = Mutant(
    1, "a", "A.swift", "guard isOurs, isOld else { return }", "I5: anybody's", expression="isOurs", instead="true"
)
STATEMENT = Mutant(2, "b", "A.swift", "free(slot)", "I4: never free", becomes="_ = slot")


def program(folder: Path, *lines: str) -> Path:
    """A stand-in for the built tests or the simulation."""
    path = folder / "program"
    path.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    path.chmod(0o755)
    return path


def entry(**changes: str) -> str:
    fields = {"id": "a", "file": "A.swift", "line": "x", "becomes": "y", "breaks": "I1"} | changes
    return "[[mutant]]\n" + "".join(f"{name} = '{value}'\n" for name, value in fields.items() if value != "-")


def test_the_list_is_well_formed_and_every_line_stands_once_in_the_core() -> None:
    mutants = core.read_list()
    assert len(mutants) >= core.LEAST
    core.mutated_files(mutants)


def test_a_faulty_list_is_refused_with_words(tmp_path: Path) -> None:
    path = tmp_path / "list.toml"
    faulty = [
        entry(),
        entry(),
        entry(id="b", becomes="x"),
        entry(id="c", breaks=""),
        entry(id="D"),
        entry(id="e", becomes="-"),
        entry(id="f", becomes="-", **{"from": "z", "to": "y"}),
    ]
    path.write_text("".join(faulty))
    with pytest.raises(Fault) as fault:
        core.read_list(path)
    words = str(fault.value).splitlines()
    assert [line.split(":")[0] for line in words[:-1]] == ["b", "c", "D", "e", "f", "a"]
    assert words[-1] == "2 mutants; at least 25 are wanted"


def test_a_line_gets_a_switch_for_each_of_its_mutants() -> None:
    text = "    guard isOurs, isOld else { return }\n    free(slot)\nend\n"
    other = Mutant(3, "c", "A.swift", MUTANT.line, "K2: any", expression="isOld", instead="!isOld")
    assert core.mutated(text, [MUTANT, STATEMENT, other]).splitlines() == [
        "    guard (isMutantOn(1) ? (true) : (isOurs)), (isMutantOn(3) ? (!isOld) : (isOld)) else { return }",
        "    if isMutantOn(2) { _ = slot } else { free(slot) }",
        "end",
    ]
    overlapping = Mutant(4, "d", "A.swift", MUTANT.line, "K2: any", expression="isOurs, isOld", instead="true")
    with pytest.raises(Fault, match="overlaps"):
        core.mutated(text, [MUTANT, overlapping])


def test_a_line_that_the_source_lost_or_has_twice_is_named(tmp_path: Path) -> None:
    folder = tmp_path / core.CORE
    folder.mkdir(parents=True)
    source = folder / MUTANT.file
    source.write_text(f"    {MUTANT.line}\nend\n")
    assert list(core.mutated_files([MUTANT], tmp_path)) == [core.CORE / MUTANT.file]
    for text, count in (("end\n", 0), (f"{MUTANT.line}\n  {MUTANT.line}\n", 2)):
        source.write_text(text)
        with pytest.raises(Fault, match=f"a: its line occurs {count} times in A.swift"):
            core.mutated_files([MUTANT], tmp_path)
    source.unlink()
    with pytest.raises(Fault, match="a: there is no "):
        core.mutated_files([MUTANT], tmp_path)


def test_a_survivor_stands_out_and_counts_as_not_killed() -> None:
    survivor = Outcome(MUTANT, tests=Verdict(), simulation=Verdict())
    half = Outcome(MUTANT, tests=Verdict(), simulation=Verdict(["I5"], where="seed 3, step 40"))
    assert [outcome.is_killed for outcome in (survivor, half)] == [False, True]
    rows = core.table([survivor, half]).splitlines()[2:]
    assert rows[0] == "| `a` | I5: anybody's | **survived** | **survived** |"
    several = Outcome(MUTANT, tests=Verdict(["it looks", "I5 S2 nobody gets another's", "I6 none stays"]))
    assert "| I5 S2 nobody gets another's (and 2 more) | not run |" in core.table([several])
    assert rows[1] == "| `a` | I5: anybody's | – | I5 (seed 3, step 40) |"
    assert core.summary([survivor, half]) == "1 of 2 mutants killed; 0 by the tests, 1 by the simulation."


def test_the_failed_test_is_named_and_one_that_passes_is_none(tmp_path: Path) -> None:
    started = "echo '◇ Test \"I1 one sandbox\" started.'"
    passed = program(tmp_path, started, "echo '✔ Test run with 1 test in 1 suite passed after 0.1 seconds.'")
    assert not core.run_tests(passed, 0, 10).is_killed
    issue = "echo '✘ Test \"I1 one sandbox\" recorded an issue at A.swift:1:1: no'"
    failed = program(tmp_path, started, issue, "sleep 60")
    assert core.run_tests(failed, 1, 30, patience=0.1).killers == ["I1 one sandbox"]
    issue = "echo '✘ Test \"L1 a burst\" recorded an issue with 1 argument seed → 3 at A.swift:1:1: no'"
    cases = program(tmp_path, issue.replace("✘", "\x1b[91m✘\x1b[0m"))
    assert core.run_tests(cases, 1, 10, patience=0.1).killers == ["L1 a burst"]


def test_a_hang_and_a_crash_are_told_from_a_pass(tmp_path: Path) -> None:
    started = "echo '◇ Test \"I9 it ends\" started.'"
    assert core.run_tests(program(tmp_path, started, "exec sleep 60"), 1, 0.3).how == "hangs in: I9 it ends"
    assert core.run_tests(program(tmp_path, started, "kill -9 $$"), 1, 10).how == "crashes in: I9 it ends"
    # Ending without a word about the run is no pass.
    assert core.run_tests(program(tmp_path, started), 1, 10).is_killed


def test_a_violated_invariant_is_named_with_its_seed_and_step(tmp_path: Path) -> None:
    found = program(tmp_path, "echo 'violation I4 seed=7 step=1234 a slot is free'", "exit 1")
    verdict = core.run_simulation(found, 1, "1-9", 5000, 10)
    assert (verdict.killers, verdict.where) == (["I4"], "seed 7, step 1234")
    assert not core.run_simulation(program(tmp_path, "echo clean"), 0, "1-9", 5000, 10).is_killed
    assert core.run_simulation(program(tmp_path, "exit 3"), 1, "1-9", 5000, 10).how == "ends with status 3"


def test_a_report_replaces_the_one_before_and_keeps_the_introduction(tmp_path: Path) -> None:
    page = tmp_path / "MUTANTS.md"
    page.write_text("# Mutants\n\nWhat they are.\n\n## old\n\n| x |\n")
    core.write_report(page, "## new\n")
    assert page.read_text() == "# Mutants\n\nWhat they are.\n\n## new\n"
