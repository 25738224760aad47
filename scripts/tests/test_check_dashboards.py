"""Tests of check-dashboards and make-dashboards: each finding is caused once, on a copy of the shipped boards."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load_script(name: str) -> ModuleType:
    """A script whose name is no name of a module."""
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checker = load_script("check-dashboards")
maker = load_script("make-dashboards")


@pytest.fixture
def folders(tmp_path):
    for name in ("dashboards", "alerts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    return tmp_path


def findings(folders: Path, **more: Any) -> list[str]:
    return checker.check(folders / "dashboards", folders / "alerts", **more)


def edit(folders: Path, stem: str, change: Callable[[dict[str, Any]], None]) -> None:
    path = folders / "dashboards" / f"{stem}.json"
    board = json.loads(path.read_text())
    change(board)
    path.write_text(json.dumps(board))


def panel(board: dict[str, Any], title: str) -> dict[str, Any]:
    return next(found for found in board["panels"] if found["title"] == title)


def replace_in_queries(board: dict[str, Any], title: str, old: str, new: str) -> None:
    for target in panel(board, title)["targets"]:
        assert old in target["expr"]
        target["expr"] = target["expr"].replace(old, new)


def test_the_shipped_boards_have_no_findings():
    assert checker.check(ROOT / "dashboards", ROOT / "alerts") == []


def test_the_shipped_boards_are_what_the_generator_makes():
    wanted = maker.files(ROOT / "dashboards")
    assert {path: path.read_text() for path in (ROOT / "dashboards").glob("*.json")} == wanted


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda b: b.update(uid="other"), "uid has to be sandbox-manager-overview"),
        (lambda b: b.update(editable=True), "editable has to be false"),
        (lambda b: b.update(schemaVersion=38), "schemaVersion has to be 39"),
        (lambda b: b.update(id=7), "an id is that of one installation"),
        (lambda b: b["templating"]["list"].reverse(), "the variables have to be datasource, job, instance"),
        (lambda b: b["templating"]["list"][0].update(label="Source"), "variable datasource: label"),
        (lambda b: b["templating"]["list"][1].update(refresh=1), "variable job: refresh has to be 2"),
        (lambda b: b["templating"]["list"][2].update(allValue=".*"), "variable instance: allValue"),
        (lambda b: b["templating"]["list"][2].update(query="label_values(up, instance)"), "variable instance: query"),
        (lambda b: b["annotations"]["list"].pop(0), "no annotation 'Deploys'"),
        (lambda b: b["annotations"]["list"][1].update(enable=False), "no annotation 'Firing alerts'"),
        (lambda b: b["annotations"]["list"][0].update(expr="up"), "does not read sandbox_manager_build_info"),
        (lambda b: b["links"].pop(0), "no link to sandbox-manager-fleet"),
        (lambda b: b["links"].pop(-1), "no link to the runbooks"),
        (lambda b: panel(b, "Scrapes")["gridPos"].update(y=0), "overlap"),
        (lambda b: panel(b, "Scrapes")["gridPos"].update(w=25), "outside the grid"),
        (lambda b: panel(b, "Scrapes")["gridPos"].pop("h"), "no complete gridPos"),
        (lambda b: panel(b, "Scrapes").update(id=panel(b, "Uptime")["id"]), "ids of their own"),
        (lambda b: panel(b, "Scrapes")["fieldConfig"].pop("defaults"), "no fieldConfig.defaults"),
        (lambda b: panel(b, "Scrapes")["fieldConfig"]["defaults"].pop("unit"), "no unit"),
        (lambda b: panel(b, "Scrapes").update(description="Scrapes."), "has to ask a question"),
        (lambda b: panel(b, "Scrapes").update(title="Uptime"), "two panels are called 'Uptime'"),
        (lambda b: panel(b, "Scrapes").update(targets=[]), "no query"),
        (lambda b: panel(b, "Scrapes").update(datasource={"uid": "abc"}), "the data source has to be"),
        (lambda b: panel(b, "Scrapes").update(links=[]), "SandboxManagerScrapeFailing: no panel links"),
        (lambda b: replace_in_queries(b, "Scrapes", ', instance=~"$instance"', ""), 'no instance=~"$instance"'),
        (lambda b: replace_in_queries(b, "Scrapes", 'job=~"$job", ', ""), 'no job=~"$job"'),
        (lambda b: replace_in_queries(b, "Scrapes", "$__rate_interval", "5m"), "rate over [5m]"),
        (lambda b: replace_in_queries(b, "Scrapes", "rate(", "irate("), "irate over"),
        (lambda b: replace_in_queries(b, "Scrapes", "rate(", "max_over_time("), "a counter outside rate or increase"),
        (
            lambda b: panel(b, "Scrapes")["targets"][0].update(expr="sandbox_manager_retries_total"),
            "sandbox_manager_retries_total: no job",
        ),
        (lambda b: panel(b, "Leases: lifetime: distribution").update(type="timeseries"), "not shown as heatmap"),
        (lambda b: panel(b, "Leases: lifetime: quantiles")["targets"].pop(1), "not shown as p95"),
        (
            lambda b: panel(b, "Leases: lifetime: distribution")["targets"][0].update(format="table"),
            "format of its query has to be heatmap",
        ),
        (lambda b: panel(b, "Slots in use against the limit")["targets"].pop(1), "without sandbox_manager_slots_limit"),
        (
            lambda b: panel(b, "Kill outbox: oldest entry")["fieldConfig"]["defaults"]["thresholds"]["steps"][1].update(
                value=60
            ),
            "the threshold 60 is not that of its alert",
        ),
        (
            lambda b: panel(b, "Acquire: error budget burn")["fieldConfig"]["defaults"]["thresholds"]["steps"][1].update(
                value=0.002
            ),
            "neither alert nor explanation",
        ),
        (
            lambda b: panel(b, "Acquire: error budget burn")["fieldConfig"]["defaults"]["thresholds"].update(steps=[]),
            "draws thresholds and has none",
        ),
        (lambda b: panel(b, "Spend").update(title="Money"), "SandboxManagerKillBacklogOld.md: Overview has no row"),
        (lambda b: panel(b, "Scrapes").update(title="Pages"), "ScrapeFailing.md: Overview has no panel 'Scrapes'"),
        (
            lambda b: panel(b, "Scrapes")["links"].append(panel(b, "Scrapes")["links"][0] | {
                "url": "https://example.org/alerts/runbooks/SandboxManagerNever.md"
            }),
            "SandboxManagerNever, which is no alert",
        ),
    ],
)  # fmt: skip
def test_a_fault_in_a_board_is_found(folders, change, finding):
    edit(folders, "overview", change)
    found = findings(folders)
    assert any(finding in one for one in found), found


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("Overview, ", "", "there is no board ''"),
        ("Overview, ", "Leaks and memory, ", "dashboard_url leads elsewhere"),
        ('panel "Scrapes"', 'panel "Uptime"', "panel 'Uptime' does not link back"),
        ('panel "Scrapes"', 'panels "Uptime" and "Scrapes"', "does not open the panel that is named first"),
        ('row "Availability", panel "Scrapes".', "somewhere.", "names no panel"),
    ],
)
def test_a_runbook_that_disagrees_is_found(folders, old, new, finding):
    path = folders / "alerts" / "runbooks" / "SandboxManagerScrapeFailing.md"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    found = findings(folders)
    assert any(finding in one for one in found), found


def test_metrics_that_nobody_looks_at_and_names_that_do_not_exist_are_found(folders):
    names = {
        name
        for path in sorted((folders / "dashboards").glob("*.json"))
        for shown in checker.panels(json.loads(path.read_text()))
        for expression in checker.queries(shown)
        for name in checker.metric_names(expression)
        if ":" not in name
    }
    assert findings(folders, catalogue=names) == []
    changed = names - {"sandbox_manager_slots_limit"} | {"sandbox_manager_forgotten_total"}
    found = findings(folders, catalogue=changed)
    assert any("sandbox_manager_slots_limit does not exist" in one for one in found), found
    assert "sandbox_manager_forgotten_total: on no panel and in no alert" in found


def test_the_schema_is_applied_if_one_is_given(folders, tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": ["weekStart"]}))
    assert [one for one in findings(folders, schema=schema) if "weekStart" in one]


def test_a_file_that_is_no_json_and_an_empty_folder_are_found(folders, tmp_path):
    (folders / "dashboards" / "leaks.json").write_text("{")
    assert any("leaks.json: no JSON" in one for one in findings(folders))
    (tmp_path / "none").mkdir()
    assert checker.check(tmp_path / "none", folders / "alerts")[-1].endswith("no boards")


def test_what_differs_from_the_generator_makes_its_check_fail(folders, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["make-dashboards.py", "--check", "--folder", str(folders / "dashboards")])
    assert maker.main() == 0
    edit(folders, "leaks", lambda board: board.update(version=2))
    assert maker.main() == 1
    assert "leaks.json" in capsys.readouterr().err
