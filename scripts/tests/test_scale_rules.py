"""Tests of scale_rules: python3 -m pytest scripts/tests/test_scale_rules.py"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from scale_rules import ScaleError, main, milliseconds, scale_duration, scale_expression, scale_rules, shortest_range

SHIPPED = Path(__file__).resolve().parents[2] / "alerts" / "sandbox-manager.rules.yml"


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("10m", 600_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("500ms", 500), ("1s500ms", 1500)],
)
def test_a_duration_is_read_in_milliseconds(duration, expected):
    assert milliseconds(duration) == expected


@pytest.mark.parametrize(
    ("duration", "speedup", "expected"),
    [("10m", 240, "2500ms"), ("1d", 2400, "36000ms"), ("1m", 7, "8571ms"), ("0s", 240, "0s"), ("1m", 0.5, "120000ms")],
)
def test_a_duration_is_divided_and_written_in_whole_milliseconds(duration, speedup, expected):
    assert scale_duration(duration, speedup) == expected


def test_a_duration_below_a_millisecond_is_refused():
    with pytest.raises(ScaleError, match="less than a millisecond"):
        scale_duration("1s", 10_000)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("rate(x[10m])", "rate(x[2500ms])"),
        ("min_over_time(x[1d] offset 1d)", "min_over_time(x[360000ms] offset 360000ms)"),
        ("x offset -4m", "x offset -1000ms"),
        ("max_over_time(rate(x[4m])[1h:2m])", "max_over_time(rate(x[1000ms])[15000ms:500ms])"),
        ("x[1h:]", "x[15000ms:]"),
        ("x > 60 # seconds", "x > 0.25 # seconds"),
        ("x > 600# seconds, two rounds", "x > 2.5# seconds, two rounds"),
        ("x > 2 * y\n  + 60 # seconds", "x > 2 * y\n  + 0.25 # seconds"),
    ],
)
def test_spans_of_time_in_an_expression_are_divided(expression, expected):
    assert scale_expression(expression, 240) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "x > 60",
        "x > 60 # entries",
        "x > 60 # entries, not 60 # seconds",
        'x{a="[10m]", b="60 # seconds"} > 1',
        "x:ratio_rate10m > 0.1",
        "# offset 10m [10m]\nx > 1",
        "x10m{job=~'offset 5m'}",
    ],
)
def test_counts_names_strings_and_comments_stay(expression):
    assert scale_expression(expression, 240) == expression


def test_keys_are_divided_and_nothing_else_changes():
    text = """groups:
  # for: 10m
  - name: g
    interval: 4m
    rules:
      - alert: A
        expr: |
          # A comment with [10m].
          x[4m]

            > 60 # seconds
        for: 8m # why
        keep_firing_for: '12m'
        annotations:
          description: for 10m, rate(x[10m]) > 60 # seconds
      - expr: rate(x[4m])
        record: a:b
"""
    assert scale_rules(text, 240) == """groups:
  # for: 10m
  - name: g
    interval: 1000ms
    rules:
      - alert: A
        expr: |
          # A comment with [10m].
          x[1000ms]

            > 0.25 # seconds
        for: 2000ms # why
        keep_firing_for: 3000ms
        annotations:
          description: for 10m, rate(x[10m]) > 60 # seconds
      - expr: rate(x[1000ms])
        record: a:b
"""


def test_a_quoted_expression_is_refused():
    with pytest.raises(ScaleError, match="line 1: a quoted expression"):
        scale_rules("- expr: 'x[10m]'", 2)


def test_a_key_that_is_no_duration_is_refused():
    with pytest.raises(ScaleError, match="not a duration"):
        scale_rules("  for: ten minutes", 2)


@pytest.mark.parametrize("speedup", [0, -1])
def test_a_speedup_that_is_not_positive_is_refused(speedup):
    with pytest.raises(ScaleError, match="greater than 0"):
        scale_rules("groups: []", speedup)


def test_the_shortest_range_is_found_and_comments_are_ignored():
    text = "# [1s]\n- expr: rate(x[10m]) + rate(x[2m]) # [5s]\n  description: one user's\n- expr: x[3m]"
    assert shortest_range(text) == 120_000
    assert shortest_range(SHIPPED.read_text()) == 120_000
    assert shortest_range("expr: up == 0") is None


def test_the_shipped_rules_keep_everything_but_their_spans_of_time():
    shipped = yaml.safe_load(SHIPPED.read_text())
    scaled = yaml.safe_load(scale_rules(SHIPPED.read_text(), 240))
    spans = re.compile(r"\d+(?:\.\d+)?(?=\s*# seconds)|(?:\d+(?:ms|[smhd]))+(?=\]|$)|(?<=offset )\w+", re.M)
    changed = 0
    for before, after in zip(shipped["groups"], scaled["groups"], strict=True):
        assert before["name"] == after["name"]
        for old, new in zip(before["rules"], after["rules"], strict=True):
            assert {k: v for k, v in old.items() if k in ("alert", "record", "labels", "annotations")} == {
                k: v for k, v in new.items() if k in ("alert", "record", "labels", "annotations")
            }
            assert spans.sub("T", old["expr"]) == spans.sub("T", new["expr"])
            for key in ("for", "keep_firing_for"):
                assert (key in old) == (key in new)
                if key in old:
                    assert milliseconds(new[key]) * 240 == milliseconds(old[key])
                    changed += 1
    assert changed >= 13


def test_the_shipped_rules_at_speedup_one_mean_the_same():
    shipped = yaml.safe_load(SHIPPED.read_text())
    same = yaml.safe_load(scale_rules(SHIPPED.read_text(), 1))
    for before, after in zip(shipped["groups"], same["groups"], strict=True):
        for old, new in zip(before["rules"], after["rules"], strict=True):
            to_milliseconds = lambda text: re.sub(r"\b\d+[smhd]\b", lambda m: f"{milliseconds(m.group())}ms", text)
            assert to_milliseconds(old["expr"]) == new["expr"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
@pytest.mark.parametrize("speedup", ["1", "7", "240", "2400"])
def test_promtool_accepts_the_scaled_rules(tmp_path, speedup):
    out = tmp_path / "scaled.rules.yml"
    assert main([str(SHIPPED), "--speedup", speedup, "-o", str(out)]) == 0
    done = subprocess.run(["promtool", "check", "rules", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_file_is_reported(tmp_path, capsys):
    assert main([str(tmp_path / "none.yml"), "--speedup", "2"]) == 1
    assert "none.yml" in capsys.readouterr().err
