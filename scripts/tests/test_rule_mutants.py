"""Mutants of rules: that they are made, that a weak test lets one live, and that excuses are true."""

from __future__ import annotations

import importlib.util
import re
import sys
from fractions import Fraction
from pathlib import Path

import pytest
import yaml
from alert_tests import AlertTests, read_rules, rules_of
from rule_mutants import KINDS, mutants, name_of

ROOT = Path(__file__).resolve().parents[2]
RULES = read_rules(ROOT / "alerts")
ALL = list(mutants(RULES))
RULE = {
    "alert": "SandboxManagerX",
    "expr": 'max_over_time(x{job="a", kind=~"b|c"}[2m]) > 10 and on (job) y',
    "for": "5m",
    "labels": {"severity": "warning"},
}
SMALL = {"groups": [{"name": "g", "rules": [RULE]}]}


def load_checker():
    path = ROOT / "scripts" / "check-alerts-mutations.py"
    spec = importlib.util.spec_from_file_location("check_alerts_mutations", path)
    module = importlib.util.module_from_spec(spec)
    # Where data classes look for themselves.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


CHECKER = load_checker()


def written(text: str) -> list[AlertTests]:
    return [AlertTests("x.yml", "SandboxManagerX", yaml.safe_load(text))]


def test_every_alert_is_broken_by_number_window_term_and_for_and_loses_each_label_matcher():
    alerts = [rule for rule in rules_of(RULES) if "alert" in rule]
    for rule in alerts:
        made = [mutant for mutant in ALL if mutant.rule == rule["alert"]]
        assert {"number", "comparison", "term dropped", "for, keep_firing_for"} <= {mutant.kind for mutant in made}
        matchers = re.findall(r"\w+\s*(?:=~|!~|!=|=)\s*\"", rule["expr"])
        assert sum(mutant.kind == "label matcher dropped" for mutant in made) == len(matchers)
        windows = re.findall(r"\[\w+\]|offset \w+", rule["expr"])
        assert sum(mutant.kind == "range or offset" for mutant in made) == 2 * len(windows)
    assert {mutant.kind for mutant in ALL} == set(KINDS)


def test_every_mutant_differs_from_the_rule_in_one_key():
    rules = {name_of(rule): rule for rule in rules_of(RULES)}
    for mutant in ALL:
        [broken] = [rule for rule in rules_of(mutant.applied(RULES)) if name_of(rule) == mutant.rule]
        differing = {key for key in broken | rules[mutant.rule] if broken.get(key) != rules[mutant.rule].get(key)}
        assert differing == {mutant.key}, mutant


@pytest.mark.parametrize(
    "change",
    [
        "10 -> 11",
        "> -> >=",
        "and -> unless",
        "max_over_time -> min_over_time",
        "2m -> 60000ms",
        '"b|c" -> "c"',
        'without kind=~"b|c" (selector 1)',
        "without what stands after >",
        "for: 5m -> None",
        "severity -> none",
    ],
)
def test_what_is_changed_is_told(change):
    assert change in {re.sub(r" \((piece|at) \d+\)", "", mutant.change) for mutant in mutants(SMALL)}


def test_a_mutant_that_no_case_notices_is_missed_and_one_that_is_noticed_is_not():
    weak = """
        evaluation_interval: 1m
        tests:
          - name: 'SandboxManagerX: firing'
            interval: 1m
            input_series:
              - {series: 'x{job="a", kind="b"}', values: '20x20'}
              - {series: 'y{job="a"}', values: '1x20'}
            alert_rule_test:
              - eval_time: 10m
                alertname: SandboxManagerX
                exp_alerts: [{exp_labels: {job: a, kind: b, severity: warning}}]
    """
    verdict = CHECKER.judge(SMALL, written(weak), "SandboxManagerX", list(mutants(SMALL)))
    missed = {mutant.change for mutant in verdict.missed}
    assert "for: 5m -> None" in missed
    assert any(change.startswith("10 -> 11") for change in missed)
    assert "severity -> none" not in missed
    assert not any(change.startswith("> -> <") for change in missed)


def test_each_excuse_is_about_a_mutant_that_is_made():
    made = {(mutant.rule, mutant.change) for mutant in ALL}
    assert CHECKER.EQUIVALENT.keys() <= made


def test_no_burnt_share_can_equal_its_number():
    """1 - x is a multiple of 2^-53 for x of one half and more, and none of the numbers is."""
    for rule in rules_of(RULES):
        if "BudgetFastBurn" in name_of(rule) or "BudgetSlowBurn" in name_of(rule) or "LatencyBudget" in name_of(rule):
            numbers = [float(found) for found in re.findall(r"> (0\.\d+)", rule["expr"])]
            assert len(numbers) == 4
            assert all((Fraction(number) * 2**53).denominator > 1 for number in numbers), name_of(rule)
