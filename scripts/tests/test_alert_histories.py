"""Made-up days, healthy and leaking, put to the alert rules; and whether the days are what they claim to be."""

from __future__ import annotations

import os
import random
import shutil
import subprocess

import pytest
import yaml
from alert_histories import History, Leak, Replica, check, check_all, healthy, leaking, notation, promtool_test

SEED = 1
HEALTHY = healthy(random.Random(SEED))
LEAKING = leaking()
NAMES = [history.name for history in [*HEALTHY, *LEAKING]]


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """All histories are looked at once, as many at a time as there are processors."""
    if shutil.which("promtool") is None:
        pytest.fail("promtool is not installed; scripts/test.sh installs it")
    folder = tmp_path_factory.mktemp("histories")
    return check_all([*HEALTHY, *LEAKING], SEED, folder, os.cpu_count() or 1)


@pytest.mark.parametrize("name", NAMES)
def test_health_raises_no_alert_and_each_leak_its_own(verdicts, name):
    assert verdicts[name] is None, verdicts[name]


def test_the_names_are_different_and_only_leaks_fire():
    assert len(set(NAMES)) == len(NAMES)
    assert all(not history.fires and history.leak == Leak() for history in HEALTHY)
    assert all(history.fires and history.leak != Leak() for history in LEAKING)


def test_a_day_in_health_with_a_leak_in_it_is_found_out(tmp_path):
    verdict = check(History("swing", load=60, leak=Leak(held_locks=1)), SEED, tmp_path)
    assert verdict is not None and "SandboxManagerUserLocksUnbounded" in verdict


def test_a_leak_that_does_not_happen_is_found_out(tmp_path):
    verdict = check(History("dry", load=60, fires={"SandboxManagerUserLocksUnbounded": 60}), SEED, tmp_path)
    assert verdict is not None and "got: nil" in verdict


def test_the_same_seed_makes_the_same_day_and_another_one_another():
    texts = [promtool_test(HEALTHY[0], seed, "r.yml") for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    yaml.safe_load(texts[0])


def test_load_swings_tenfold_within_a_day():
    replica = Replica(History("swing"), 1, random.Random(SEED))
    counter = next(v for k, v in replica.series.items() if "operation_duration_seconds_count" in k)
    hours = [counter[60 * hour + 59] - counter[60 * hour] for hour in range(24)]
    assert 8 < max(hours) / min(hours) < 15


def test_a_restart_begins_counters_anew_and_a_gap_is_in_every_series():
    history = History("x", minutes=100, restarts={50: "1.1"}, gaps=frozenset({20}))
    series = Replica(history, 1, random.Random(SEED)).series
    counter = next(v for k, v in series.items() if "operation_duration_seconds_count" in k)
    assert counter[50] is None and counter[51] < counter[49]
    assert all(values[20] is None for name, values in series.items() if not name.startswith("up"))
    old, new = (v for k, v in sorted(series.items()) if "build_info" in k)
    assert (old[49], old[51], new[49], new[51]) == (1, None, None, 1)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([1, 1, 1, 2.5], "1x2 2.5"),
        ([None, None, 3, None], "stale _x1 3 stale"),
        ([], ""),
        ([12345678901], "12345678901"),
    ],
)
def test_samples_are_written_as_promtool_reads_them(values, text):
    assert notation(values) == text


def test_what_is_written_is_what_promtool_reads(tmp_path):
    values = [1.0, 1.0, 2.0, None, None, 5.0, 5.0]
    asked = [
        {"expr": "x", "eval_time": f"{minute}m", "exp_samples": [] if v is None else [{"labels": "x", "value": v}]}
        for minute, v in enumerate(values)
    ]
    case = {"interval": "1m", "input_series": [{"series": "x", "values": notation(values)}], "promql_expr_test": asked}
    path = tmp_path / "test.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [case]}))
    assert subprocess.run(["promtool", "test", "rules", str(path)], timeout=60, check=False).returncode == 0
