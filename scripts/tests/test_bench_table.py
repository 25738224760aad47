"""The table of benchmarks: what was missed, is missing or grew is told, and nothing else of the README changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import run
import table
from frame import Result, Row, at_least, at_most, ratio_at_least, ratio_at_most

SPEED = Row("speed", "speed", "a yardstick", "requests/s", ratio_at_least(0.7))
TIME = Row("time", "time", "a yardstick", "ns", at_most(20))
COUNT = Row("count", "count", "", "allocations", at_most(0), is_count=True)


@pytest.mark.parametrize(
    ("target", "ours", "met"),
    [
        (ratio_at_least(0.7), 70, True),
        (ratio_at_least(0.7), 69, False),
        (ratio_at_most(1.3), 130, True),
        (ratio_at_most(1.3), 131, False),
        (at_least(50), 50, True),
        (at_least(50), 49, False),
        (at_most(50), 50, True),
        (at_most(50), 51, False),
    ],
)
def test_a_target_is_met_from_its_bound_on(target, ours: float, met: bool) -> None:
    assert Result(Row("row", "row", "a yardstick", "ns", target), [ours], [100]).is_met is met


def test_the_ratio_is_the_median_of_rounds_that_were_slow_or_fast_as_a_whole() -> None:
    assert Result(SPEED, [10, 80, 900], [10, 100, 1000]).ratio == 0.9


def test_only_a_missing_row_or_a_count_that_grew_breaks_a_run() -> None:
    results = [Result(SPEED, [1], [100]).json(), Result(TIME, [1000], [1]).json(), Result(COUNT, [0]).json()]
    assert run.faults_of([SPEED, TIME, COUNT], results) == []
    assert run.faults_of([SPEED, TIME, COUNT], results[:2]) == ["count: no figure"]
    grown = Result(COUNT, [2]).json()
    assert run.faults_of([COUNT], [grown]) == ["count: 2 allocations, and ≤ 0 allocations was expected"]


def test_the_table_takes_its_place_in_the_readme_and_leaves_the_rest(tmp_path: Path) -> None:
    (tmp_path / "Benchmarks").mkdir()
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    results = [Result(SPEED, [60, 70, 90], [100, 100, 100]).json(), Result(TIME, [30], [10]).json()]
    for _ in range(2):
        table.write(results, "abc", 2, tmp_path)
    text = readme.read_text()
    assert text.startswith(f"before\n{table.BEGIN}\n")
    assert text.endswith(f"{table.END}\nafter\n")
    assert "old" not in text
    assert "revision abc, 2 processors, which the load shares; 1 of 2 targets met" in text
    speed, time = text.splitlines()[-4:-2]
    assert speed == "| speed | requests/s | 70.0 (60.0 to 90.0) | a yardstick | 100 | 0.70 | ≥ 0.7x | met |"
    assert time == "| time | ns | 30.0 | a yardstick | 10.0 | 3.00 | ≤ 20 ns | **missed** |"
    assert (tmp_path / "Benchmarks" / "RESULTS.md").read_text().splitlines()[-2:] == [speed, time]
