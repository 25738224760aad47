"""The failure diary names, for each fault, a commit and a test, and both exist."""

import re
import subprocess

import pytest
from test_scenarios import PROJECT, names

ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| `([^`:]+)`: `([^`]+)` \|$", re.MULTILINE)


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=PROJECT, capture_output=True, text=True).stdout


def rows() -> list[tuple[str, ...]]:
    return ROW.findall((PROJECT / "docs" / "FAILURES.md").read_text())


def test_every_line_of_the_tables_is_a_whole_row():
    text = (PROJECT / "docs" / "FAILURES.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| found by")]
    assert len(lines) == len(rows()) > 30


@pytest.mark.parametrize("found_by, what, commit, file, name", rows(), ids=lambda value: value[:40])
def test_every_fault_names_a_test_and_a_commit_that_exist(found_by, what, commit, file, name):
    assert found_by.strip() and what.strip()
    assert name in names(file), f"{file} has no test {name}"
    if git("rev-parse", "--is-shallow-repository").strip() != "false":
        pytest.skip("the history is not here")
    assert commit.strip() in git("log", "--format=%s").splitlines(), f"no commit is titled {commit}"
