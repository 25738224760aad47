"""The README's table of scenarios names a test for each, and each of these tests exists."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LAST = {"S": 6, "L": 8, "O": 10, "K": 8, "T": 15, "M": 6}
CODES = [f"{letter}{number}" for letter, last in LAST.items() for number in range(1, last + 1)]
ROW = re.compile(r"^\| ([SLOKTM]\d+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
TEST = re.compile(r"`([^`:]+)`: `([^`]+)`")


def rows() -> list[tuple[str, str, list[tuple[str, str]]]]:
    text = (PROJECT / "README.md").read_text()
    return [(code, failure, TEST.findall(tests)) for code, failure, tests in ROW.findall(text)]


def names(file: str) -> set[str]:
    """The tests in files of that name."""
    folders = (PROJECT / "Tests", PROJECT / "scripts" / "tests")
    text = "\n".join(path.read_text() for folder in folders for path in folder.rglob(file))
    return set(re.findall(r"\bfunc `([^`]+)`", text)) | set(re.findall(r"^(?:async )?def (test_\w+)", text, re.MULTILINE))


def test_every_scenario_has_its_row_in_order():
    assert [code for code, _, _ in rows()] == CODES


@pytest.mark.parametrize("code, failure, tests", rows(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_row_names_tests_that_exist_and_carry_its_code(code, failure, tests):
    assert failure.strip() and tests
    for file, name in tests:
        assert name in names(file), f"{file} has no test {name}"
        assert code in re.split(r"[^A-Za-z0-9]+", name), f"{name} does not carry {code}"
