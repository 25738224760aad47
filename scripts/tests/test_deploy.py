"""Tests of deploy/: what is generated is fresh, what is written by hand is accepted by the programs that read it.

Routes and inhibitions are put to a real Alertmanager: every alert is sent to it with the labels that the unit tests of
the rules say it has.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from drill_lib import wait_until

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
RULES = ROOT / "alerts" / "sandbox-manager.rules.yml"
RECEIVERS = {"critical": "pager", "warning": "tickets", "info": "digest"}
RANKS = {"info": 0, "warning": 1, "critical": 2}

Labels = dict[str, str]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def alert_labels() -> dict[str, Labels]:
    """Each alert with the labels that it is expected to fire with, those of its first such test."""
    found: dict[str, Labels] = {}
    for path in sorted((ROOT / "alerts" / "tests").glob("*.yml")):
        for case in load(path)["tests"]:
            for asked in case.get("alert_rule_test") or []:
                for expected in asked.get("exp_alerts") or []:
                    name = asked["alertname"]
                    labels = {"alertname": name} | expected.get("exp_labels", {})
                    # The target that is gone altogether has fewer labels than one that does not answer.
                    if name not in found or len(labels) > len(found[name]):
                        found[name] = labels
    return found


LABELS = alert_labels()
ALERTS = {rule["alert"]: rule for group in load(RULES)["groups"] for rule in group["rules"] if "alert" in rule}
INHIBITIONS = load(DEPLOY / "alertmanager" / "alertmanager.yml")["inhibit_rules"]


def matches(matchers: list[str], labels: Labels) -> bool:
    """Whether labels satisfy all matchers, as Alertmanager reads them."""
    for matcher in matchers:
        parts = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher)
        assert parts is not None, matcher
        value, wanted = labels.get(parts[1], ""), parts[3]
        hit = re.fullmatch(wanted, value) is not None if "~" in parts[2] else value == wanted
        if hit == parts[2].startswith("!"):
            return False
    return True


def run(*command: object) -> subprocess.CompletedProcess[str]:
    if shutil.which(str(command[0])) is None:
        pytest.fail(f"{command[0]} is not installed; scripts/test.sh installs it")
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)


# Generated


def test_the_manifests_are_what_the_script_makes_of_the_rules():
    result = run(sys.executable, ROOT / "scripts" / "make-manifests.py", "--check")
    assert result.returncode == 0, result.stderr


def test_a_stale_manifest_is_found(tmp_path, capsys):
    make = module("make-manifests")
    assert make.main(["--check", "--folder", str(tmp_path)]) == 1
    assert make.main(["--folder", str(tmp_path)]) == 0
    assert make.main(["--check", "--folder", str(tmp_path)]) == 0
    path = tmp_path / "prometheus-rule.yml"
    path.write_text(path.read_text().replace("> 10\n", "> 11\n", 1))
    capsys.readouterr()
    assert make.main(["--check", "--folder", str(tmp_path)]) == 1
    assert str(path) in capsys.readouterr().err


def test_the_PrometheusRule_holds_the_rules_and_nothing_else(tmp_path):
    manifest = load(DEPLOY / "kubernetes" / "prometheus-rule.yml")
    assert (manifest["apiVersion"], manifest["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert manifest["spec"] == load(RULES)
    names = [group["name"] for group in manifest["spec"]["groups"]]
    assert len(set(names)) == len(names), "the operator's groups are a map by name"
    rules = tmp_path / "rules.yml"
    rules.write_text(yaml.safe_dump(manifest["spec"]))
    assert run("promtool", "check", "rules", rules).returncode == 0


def test_the_ServiceMonitor_finds_its_Service_and_names_the_job_as_the_rules_want_it():
    service, monitor = yaml.safe_load_all((DEPLOY / "kubernetes" / "service-monitor.yml").read_text())
    assert (service["kind"], monitor["kind"]) == ("Service", "ServiceMonitor")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert "sandbox-manager" in service["metadata"]["labels"][monitor["spec"]["jobLabel"]]
    assert [e["port"] for e in monitor["spec"]["endpoints"]] == [p["name"] for p in service["spec"]["ports"]]
    scrapes = load(DEPLOY / "prometheus" / "prometheus.yml")["global"]
    endpoint = monitor["spec"]["endpoints"][0]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == (scrapes["scrape_interval"], scrapes["scrape_timeout"])


# Prometheus and Grafana


def test_promtool_accepts_the_configuration_and_finds_the_rules():
    result = run("promtool", "check", "config", DEPLOY / "prometheus" / "prometheus.yml")
    assert result.returncode == 0, result.stderr
    assert "SUCCESS: 2 rule files found" in result.stdout
    checked = {Path(line.split()[1]).resolve() for line in result.stdout.splitlines() if line.startswith("Checking")}
    assert RULES.resolve() in checked


def test_one_job_is_called_as_the_rules_want_it_and_scrapes_the_metrics_listener():
    jobs = load(DEPLOY / "prometheus" / "prometheus.yml")["scrape_configs"]
    ours = [job for job in jobs if "sandbox-manager" in job["job_name"]]
    assert [job["static_configs"] for job in ours] == [[{"targets": ["127.0.0.1:9484"]}]]
    assert "metrics_path" not in ours[0]


def test_Grafana_gets_a_data_source_for_the_Prometheus_and_the_folder_of_the_boards():
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = load(provisioning / "datasources" / "sandbox-manager.yml")["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://127.0.0.1:9090")
    scrapes = load(DEPLOY / "prometheus" / "prometheus.yml")["global"]
    assert source["jsonData"]["timeInterval"] == scrapes["scrape_interval"]
    (provider,) = load(provisioning / "dashboards" / "sandbox-manager.yml")["providers"]
    assert provider["type"] == "file"
    # The path is one inside of a container; the page that says how to start it has to agree.
    assert f"/dashboards:{provider['options']['path']}:ro" in (DEPLOY / "README.md").read_text()


def test_every_file_is_explained():
    text = (DEPLOY / "README.md").read_text()
    for path in DEPLOY.rglob("*.yml"):
        assert str(path.relative_to(DEPLOY)) in text, path


# Alertmanager


def test_amtool_accepts_the_configuration():
    result = run("amtool", "check-config", DEPLOY / "alertmanager" / "alertmanager.yml")
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_inhibition_is_about_alerts_that_exist():
    for inhibition in INHIBITIONS:
        for matchers in (inhibition["source_matchers"], inhibition["target_matchers"]):
            (names,) = [m for m in matchers if m.startswith("alertname")]
            for name in names.split('"')[1].split("|"):
                assert any(re.fullmatch(name, alert) for alert in ALERTS), name
            assert any(matches(matchers, labels) for labels in LABELS.values()), matchers


def test_an_inhibition_keeps_back_no_page_and_nothing_that_weighs_more_than_its_source():
    for inhibition in INHIBITIONS:
        sources = [labels for labels in LABELS.values() if matches(inhibition["source_matchers"], labels)]
        targets = [labels for labels in LABELS.values() if matches(inhibition["target_matchers"], labels)]
        for target in targets:
            assert target["severity"] != "critical", target
            for source in sources:
                assert RANKS[source["severity"]] >= RANKS[target["severity"]], (source, target)
                assert source["alertname"] != target["alertname"]


def test_the_labels_that_have_to_be_equal_are_on_both_alerts():
    # Both missing counts as equal: then an alert would keep back others that it has nothing to do with.
    for inhibition in INHIBITIONS:
        for labels in LABELS.values():
            if matches(inhibition["source_matchers"], labels):
                assert set(inhibition["equal"]) <= labels.keys(), (inhibition, labels)
            if matches(inhibition["target_matchers"], labels) and "instance" in labels:
                assert set(inhibition["equal"]) <= labels.keys(), (inhibition, labels)


def test_tickets_about_leaks_and_latency_are_kept_back_while_the_daemon_is_down():
    down = LABELS["SandboxManagerDown"]
    about = re.compile(r"SandboxManager(UserLock|Collection|Heap|Memory|AcquireLatency|OldestWaiter)")
    tickets = {
        # Of the same daemon, as far as it says from which it is.
        name: labels | {label: down[label] for label in ("job", "instance") if label in labels}
        for name, labels in LABELS.items()
        if about.match(name) and labels["severity"] != "critical"
    }
    assert len(tickets) >= 8
    for name, labels in tickets.items():
        assert is_kept_back(labels, down), name


def is_kept_back(target: Labels, source: Labels) -> bool:
    """Whether one of the inhibitions says so."""
    return any(
        matches(inhibition["source_matchers"], source)
        and matches(inhibition["target_matchers"], target)
        and all(source.get(label) == target.get(label) for label in inhibition["equal"])
        for inhibition in INHIBITIONS
    )


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real one with the shipped configuration; its address."""
    if shutil.which("prometheus-alertmanager") is None:
        pytest.fail("prometheus-alertmanager is not installed; scripts/test.sh installs it")
    folder = tmp_path_factory.mktemp("alertmanager")
    # Nothing listens there.
    text = (DEPLOY / "alertmanager" / "alertmanager.yml").read_text().replace("127.0.0.1:9099", "127.0.0.1:1")
    (folder / "alertmanager.yml").write_text(text)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus-alertmanager",
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
                "--cluster.listen-address=",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:

        def address() -> str | None:
            found = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', (folder / "log").read_text())
            assert process.poll() is None, (folder / "log").read_text()
            return found and f"http://{found[1]}"

        yield wait_until(address, "Alertmanager announces its port", 30)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def send(address: str, alerts: list[Labels]) -> None:
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    body = json.dumps([{"labels": labels, "endsAt": end} for labels in alerts]).encode()
    request = urllib.request.Request(f"{address}/api/v2/alerts", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status == 200


def received(address: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{address}/api/v2/alerts", timeout=10) as reply:
        return json.load(reply)


def names_of(found: list[dict[str, Any]]) -> set[str]:
    return {alert["labels"]["alertname"] for alert in found}


def test_every_alert_goes_to_the_receiver_of_its_severity(alertmanager):
    send(alertmanager, [*LABELS.values(), {"alertname": "Watchdog", "severity": "none"}])
    found = wait_until(
        lambda: (a := received(alertmanager)) and len(a) == len(LABELS) + 1 and a, "all alerts arrive", 10
    )
    for alert in found:
        receivers = [receiver["name"] for receiver in alert["receivers"]]
        name = alert["labels"]["alertname"]
        wanted = "dead-mans-switch" if name == "Watchdog" else RECEIVERS[ALERTS[name]["labels"]["severity"]]
        assert receivers == [wanted], name
    assert names_of(found) == ALERTS.keys() | {"Watchdog"}


@pytest.mark.parametrize("number", range(len(INHIBITIONS)))
def test_an_inhibition_keeps_back_its_targets_of_the_same_origin_and_nothing_else(alertmanager, number):
    inhibition = INHIBITIONS[number]
    sources = [labels for labels in LABELS.values() if matches(inhibition["source_matchers"], labels)]
    targets = [labels for labels in LABELS.values() if matches(inhibition["target_matchers"], labels)]
    wanted: dict[str, bool] = {}
    for turn, (source, target) in enumerate(itertools.product(sources, targets)):
        # Each pair has a job that nothing else has, and another one that only the target comes from.
        job, elsewhere = f"sandbox-manager-{number}-{turn}", f"sandbox-manager-other-{number}-{turn}"
        source = source | {"job": job}
        same = is_kept_back(target | {"job": job}, source)
        wanted |= {key(source): False, key(target | {"job": job}): same, key(target | {"job": elsewhere}): False}
    assert True in wanted.values(), "nothing is kept back"
    send(alertmanager, [json.loads(labels) for labels in wanted])

    def kept_back() -> dict[str, bool]:
        states = {key(alert["labels"]): alert["status"]["state"] == "suppressed" for alert in received(alertmanager)}
        return {labels: states[labels] for labels in wanted if labels in states}

    wait_until(lambda: kept_back() == wanted, f"{inhibition} keeps back what it should", 10)


def key(labels: Labels) -> str:
    return json.dumps(labels, sort_keys=True)


@pytest.mark.parametrize(
    ("matchers", "labels", "matched"),
    [
        (['a="x"'], {"a": "x"}, True),
        (['a="x"'], {"a": "xy"}, False),
        (['a=~"x.+|z"'], {"a": "xy"}, True),
        (['a=~"x.+|z"'], {"a": "x"}, False),
        (['a="x"', 'b!="y"'], {"a": "x"}, True),
        (['a="x"', 'b!="y"'], {"a": "x", "b": "y"}, False),
        (['a!~"x|y"'], {"a": "y"}, False),
    ],
)
def test_matchers_are_read_as_Alertmanager_reads_them(matchers, labels, matched):
    assert matches(matchers, labels) is matched
