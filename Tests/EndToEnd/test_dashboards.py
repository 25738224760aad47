"""The boards in dashboards/ show data: each of their queries is put to a real Prometheus that has watched real daemons.

`board_load` has the daemons and their load.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from board_load import BOARDS, JOB, ROOT, Run, loaded, panels, queries
from daemon import Daemon
from previews import drawn_panels

QUERIES = list(queries())


@pytest.fixture(scope="module")
def run(launch: Callable[..., Daemon]) -> Iterator[Run]:
    """Daemons that were under load until every milestone was reached."""
    with loaded(launch) as found:
        yield found


@pytest.mark.parametrize(("board", "title", "expression"), QUERIES, ids=[f"{b}-{t}" for b, t, _ in QUERIES])
def test_every_query_returns_data(run: Run, board: str, title: str, expression: str) -> None:
    assert run.values(expression), f"{title} of {board}: no data from {run.resolve(expression)}"


@pytest.mark.parametrize("board", BOARDS)
def test_every_panel_shows_something_that_happened(run: Run, board: str) -> None:
    flat = set()
    for name in {title for where, title, _ in QUERIES if where == board}:
        expressions = [expression for where, title, expression in QUERIES if (where, title) == (board, name)]
        if not any(value != 0 for expression in expressions for value in run.values(expression)):
            flat.add(name)
    assert flat == set(), "panels that the load does not exercise"


@pytest.mark.parametrize("choice", [{"job": "another"}, {"instance": "another"}], ids=["job", "instance"])
def test_no_query_shows_what_was_not_chosen(run: Run, choice: dict[str, str]) -> None:
    for board, title, expression in QUERIES:
        shown = run.values(expression, **choice)
        assert not any(shown), f"{title} of {board}: {expression}"


@pytest.mark.parametrize("board", BOARDS)
def test_the_variables_offer_what_is_there(run: Run, board: str) -> None:
    offered: dict[str, set[str]] = {}
    for variable in BOARDS[board]["templating"]["list"]:
        if variable["type"] != "query":
            continue
        metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()
        series = run.prometheus.query(run.resolve(f"group by ({label}) (last_over_time({metric}[10s]))"))
        offered[variable["name"]] = {found["metric"][label] for found in series}
    assert offered == {"job": {JOB}, "instance": {str(daemon.metrics) for daemon in run.daemons}}


@pytest.mark.parametrize("board", BOARDS)
def test_the_preview_draws_data_in_every_panel_that_there_is(board: str) -> None:
    preview = ROOT / "docs" / f"{board}.png"
    assert drawn_panels(preview) == [panel["title"] for panel in panels(BOARDS[board])]
    # The README shows them all.
    assert preview.stat().st_size < 150_000


def test_boards_alerts_runbooks_and_the_daemons_own_metrics_agree(run: Run, tmp_path: Path) -> None:
    pages = tmp_path / "metrics"
    pages.write_text(run.daemons[0].observe("/metrics").text)
    checker = load_script("check-dashboards")
    catalogue = checker.read_catalogue(pages.read_text())
    assert checker.check(ROOT / "dashboards", ROOT / "alerts", catalogue) == []


def test_no_shipped_rule_fails_on_the_daemons_own_metrics(run: Run) -> None:
    assert run.prometheus.rule_errors() == []


def load_script(name: str) -> ModuleType:
    """A script whose name is no name of a module."""
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
