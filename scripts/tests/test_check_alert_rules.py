"""Tests of check_alert_rules: each finding is caused once, on a copy of the shipped files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from check_alert_rules import case_kinds, check, main, metric_names, read_catalogue

SHIPPED = Path(__file__).resolve().parents[2] / "alerts"


@pytest.fixture
def alerts(tmp_path):
    return Path(shutil.copytree(SHIPPED, tmp_path / "alerts"))


def edit(path: Path, old: str, new: str, count: int = 1) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


def test_the_shipped_files_have_no_findings():
    assert check(SHIPPED) == []


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("        for: 5m\n", "", "SandboxManagerUserLocksUnbounded: no `for`"),
        ("          severity: critical", "          severity: page", "severity has to be one of"),
        ("          summary: ", "          subject: ", "no summary"),
        ("          description: ", "          text: ", "no description"),
        ("{{ $value | humanize }}", "some", "does not show the value"),
        ("First step:", "Then:", "names no first step"),
        ("runbooks/SandboxManagerUserLocksUnbounded.md", "runbooks/Other.md", "runbook_url has to be"),
        ("dashboard_url: '/d/sandbox-manager-leaks", "dashboard_url: 'https://g/d/x", "dashboard_url has to"),
        ("alert: SandboxManagerUserLocksCreeping", "alert: SandboxManagerUserLocksUnbounded", "defined twice"),
        ("alert: SandboxManagerUserLocksUnbounded", "alert: UserLocksUnbounded", "has to begin with SandboxManager"),
        ("record: instance:sandbox_manager_user_locks:excess", "record: user_locks_excess", "level:metric:operations"),
        ("sandbox_manager_user_lock_idle_oldest_age_seconds", "redis_up", "redis_up is no metric of this program"),
        ("min_over_time(instance:sandbox_manager_user", "min_over_time(job:sandbox_manager_user", "recorded nowhere"),
        ("> 60 # seconds", "> 60", "without the tag `# seconds`"),
        ("labels:\n          severity: critical", "labels: &page\n          severity: critical", "YAML anchors"),
    ],
)
def test_a_fault_in_the_rules_is_found(alerts, old, new, finding):
    edit(alerts / "sandbox-manager.rules.yml", old, new)
    findings = check(alerts)
    assert any(finding in found for found in findings), findings


def test_a_missing_runbook_and_one_without_an_alert_are_found(alerts):
    (alerts / "runbooks" / "SandboxManagerDown.md").rename(alerts / "runbooks" / "SandboxManagerGone.md")
    assert check(alerts) == [
        "SandboxManagerDown.md: missing runbook",
        "SandboxManagerGone.md: a runbook without an alert",
    ]


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("# SandboxManagerDown", "# Down", "the title is not"),
        ("## Impact", "## Why", "the headings have to be"),
        ("```promql", "```", "no PromQL"),
        ("curl", "wget", "no curl line"),
    ],
)
def test_a_fault_in_a_runbook_is_found(alerts, old, new, finding):
    edit(alerts / "runbooks" / "SandboxManagerDown.md", old, new, count=-1)
    assert any(finding in found for found in check(alerts))


@pytest.mark.parametrize("kind", ["firing", "quiet", "boundary"])
def test_an_alert_without_a_kind_of_case_is_found(alerts, kind):
    for path in (alerts / "tests").glob("*.yml"):
        path.write_text(path.read_text().replace(f"SandboxManagerDown: {kind}", f"SandboxManagerDown: x{kind}"))
    assert [f for f in check(alerts) if f"SandboxManagerDown: no unit test that is {kind}" in f]


def test_a_test_without_an_alert_is_found(alerts):
    edit(alerts / "tests" / "fleet-every-15s.yml", "SandboxManagerKillBacklogOld", "SandboxManagerOther", count=-1)
    assert "tests: SandboxManagerOther: a test without an alert" in check(alerts)


def test_an_empty_folder_is_no_success(tmp_path):
    assert check(tmp_path) == [f"{tmp_path}: no *.rules.yml"]


def test_a_case_called_firing_that_expects_nothing_does_not_count():
    silent = {"name": "A: firing", "alert_rule_test": [{"alertname": "A", "eval_time": "1m", "exp_alerts": []}]}
    assert case_kinds({"tests": [silent]}) == {}
    loud = {"name": "A: quiet", "alert_rule_test": [{"alertname": "A", "exp_alerts": [{}]}]}
    assert case_kinds({"tests": [loud]}) == {}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("sum without (state) (a_b) - sum by (x, y) (c)", {"a_b", "c"}),
        ('rate(a_total{b="c_total", d=~"e|f"}[5m] offset 1h) > 0 # g', {"a_total"}),
        ("a:b:c > on (job) group_left (x) 2 * d and e unless f", {"a:b:c", "d", "e", "f"}),
        ("histogram_quantile(0.9, sum(rate(x_bucket[1h:5m])) by (le)) > 1e3", {"x_bucket"}),
        ("time() - a > bool 3", {"a"}),
        ("absent(up) or vector(1)", {"up"}),
    ],
)
def test_the_metrics_of_an_expression_are_found(expression, names):
    assert metric_names(expression) == names


def test_a_catalogue_is_a_list_or_a_page():
    assert read_catalogue("a_total\n\n# a comment\nb") == {"a_total", "b"}
    page = '# HELP a_total Text.\n# TYPE a_total counter\na_total{x="y z"} 1\nb_bucket{le="1.0"} 3\n# EOF\n'
    assert read_catalogue(page) == {"a_total", "b_bucket"}


def test_a_metric_outside_of_the_catalogue_is_found(tmp_path, capsys):
    catalogue = tmp_path / "catalogue"
    catalogue.write_text("sandbox_manager_user_locks\n")
    assert main(["--alerts", str(SHIPPED), "--catalogue", str(catalogue)]) == 1
    output = capsys.readouterr().out
    assert "sandbox_manager_operations_in_flight is not in the catalogue" in output
    assert "sandbox_manager_user_locks is not" not in output


def test_an_empty_catalogue_is_an_error(tmp_path):
    empty = tmp_path / "catalogue"
    empty.write_text("")
    assert main(["--alerts", str(SHIPPED), "--catalogue", str(empty)]) == 1
