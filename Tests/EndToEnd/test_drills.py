"""Alerts on the real daemon, a real Prometheus, the shipped rules: `sandbox-manager drill`, and what it leaves out.

All spans of time in the rules are divided by one factor; the daemon's own are set short.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from drill_lib import Prometheus

from daemon import Daemon, sandbox_path
from redis_support import RedisServer
from waiting import wait_until
from wire import Pump, request_bytes

ROOT = Path(__file__).resolve().parents[2]
# One of each kind: a leak by its number and by its age, a loop, probes, the store, the books.
DRILLED = [
    "SandboxManagerUserLocksUnbounded",
    "SandboxManagerUserLockForgotten",
    "SandboxManagerLoopStalled",
    "SandboxManagerHealthCheckTimeouts",
    "SandboxManagerStoreDegraded",
    "SandboxManagerOrphansFound",
]


# Sped up 240 times, half a second in which the machine is busy with something else is an outage of two minutes.
pytestmark = pytest.mark.alone


class DrillProgram:
    """`sandbox-manager drill` as a process, with a folder of its own for everything temporary."""

    def __init__(self, executable: Path, folder: Path) -> None:
        self._executable = executable
        self.temporary = folder / "temporary"
        self.temporary.mkdir()

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self._executable, "drill", *arguments],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.temporary)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, status: int = 0, deadline: float = 100) -> str:
        """What it prints; all that it started has to be gone afterwards."""
        process = self.start(*arguments)
        return self.end(process, status, deadline)

    def end(self, process: subprocess.Popen[str], status: int, deadline: float) -> str:
        try:
            printed, told = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            process.terminate()
            printed, told = process.communicate(timeout=30)
            pytest.fail(f"drill {process.args}: not within {deadline} s\n{printed}\n{told}")
        assert process.returncode == status, f"{printed}\n{told}"
        assert list(self.temporary.iterdir()) == []
        assert self.left_behind() == []
        return printed

    def left_behind(self) -> list[str]:
        """The command lines of processes that work in the temporary folder."""
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    if str(self.temporary) in words + os.readlink(process / "cwd"):
                        found.append(words)
                except OSError:
                    # It has ended, or is not ours to look into.
                    continue
        return found


@pytest.fixture
def drills(executable: Path, tmp_path: Path) -> DrillProgram:
    return DrillProgram(executable, tmp_path)


def test_drilled_alerts_fire_resolve_and_come_with_their_companions_only(drills: DrillProgram, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    reports = json.loads(drills.run(*DRILLED, "--json", "--summary", str(summary)))
    assert [report["alert"] for report in reports] == DRILLED
    for report in reports:
        assert report["firingAfter"] > 0, report
        assert report["resolvedAfter"] > 0, report
    assert f"{len(DRILLED)} of {len(DRILLED)} drills passed." in summary.read_text()


def test_an_alert_that_the_runbook_does_not_name_as_a_companion_fails_the_drill(
    drills: DrillProgram, tmp_path: Path
) -> None:
    alerts = Path(shutil.copytree(ROOT / "alerts", tmp_path / "alerts"))
    runbook = alerts / "runbooks" / "SandboxManagerRetriesExhausted.md"
    title, companions, rest = runbook.read_text().split("\n\n", 2)
    assert companions.startswith("Companions: ") and "SandboxManagerCreateFailures" in companions
    runbook.write_text(f"{title}\n\n{rest}")
    [report] = json.loads(drills.run("RetriesExhausted", "--alerts", str(alerts), "--json", status=1))
    assert report["firingAfter"] > 0 and report["resolvedAfter"] > 0
    assert "SandboxManagerCreateFailures" in report["unexpected"]


@pytest.mark.timeout(180)
def test_no_alert_fires_in_a_minute_of_healthy_load(drills: DrillProgram) -> None:
    report = json.loads(drills.run("--healthy", "--json", deadline=150))
    assert report["fired"] == []
    assert report["ruleErrors"] == []
    assert {"200", "201", "204"} <= set(report["answers"])
    assert sum(report["answers"].values()) > 1000


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_drill_that_is_interrupted_leaves_nothing_behind(drills: DrillProgram, number: int) -> None:
    process = drills.start("StoreDegraded")
    # The daemon, Redis and Prometheus.
    wait_until(lambda: len(drills.left_behind()) >= 3, "the drill is under way", 30)
    process.send_signal(number)
    drills.end(process, 130, 30)


def test_an_alert_that_is_not_drilled_is_told(drills: DrillProgram) -> None:
    listed = drills.run("--list")
    assert all(f"{alert}: " in listed for alert in DRILLED)
    process = drills.start("NoSuchAlert")
    _, told = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "there is no drill for NoSuchAlert" in told


@contextmanager
def traffic(daemons: dict[str, Daemon]) -> Iterator[None]:
    """The same requests to each of them, over and over: ever new keys, and a few that are asked for again and again."""
    done = threading.Event()
    trouble: list[BaseException] = []

    def load(daemon: Daemon) -> None:
        try:
            with Pump(daemon.api, connections=8) as pump:
                turn = 0
                while not done.wait(0.05):
                    turn += 1
                    once = [sandbox_path(f"visitor-{turn}-{index}", "demo") for index in range(8)]
                    pump.run(request_bytes("PUT", path) for path in once)
                    pump.run(request_bytes("DELETE", path) for path in once)
                    pump.run(request_bytes("PUT", sandbox_path(f"regular-{index}", "demo")) for index in range(4))
        except BaseException as error:  # noqa: BLE001 (told to the test)
            trouble.append(error)

    workers = [threading.Thread(target=load, args=(daemon,)) for daemon in daemons.values()]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        done.set()
        for worker in workers:
            worker.join()
    assert not trouble, trouble


def test_SandboxManagerDown_fires_for_a_daemon_that_is_gone_and_resolves_when_it_is_back(
    start: Callable[..., Daemon], launch: Callable[..., Daemon]
) -> None:
    first = start()
    with Prometheus({"sandbox-manager": [str(first.metrics)]}) as prometheus:
        prometheus.wait_for_up()
        address = str(first.metrics)
        first.stop()
        prometheus.wait_for_alert("SandboxManagerDown", "firing", 30)
        # The port was free a moment ago, and nobody else was told of it.
        second = start({"METRICS_LISTEN": address})
        prometheus.wait_for_alert("SandboxManagerDown", "inactive", 30)
        assert "firing" in prometheus.states_seen("SandboxManagerDown")
        assert str(second.metrics) == address


def test_SandboxManagerStoreDegraded_fires_while_Redis_hangs_and_resolves_when_it_answers(
    start: Callable[..., Daemon],
) -> None:
    alert = "SandboxManagerStoreDegraded"
    with RedisServer() as redis:
        # Traffic, because nobody notices a frozen Redis who does not ask it; and a daemon that needs none, to compare.
        daemons = {
            "shared": start({"LIMITS_TOTAL": "1000", "REDIS_URL": redis.url}),
            "alone": start({"LIMITS_TOTAL": "1000"}),
        }
        shared, alone = (str(daemon.metrics) for daemon in daemons.values())
        with Prometheus({"sandbox-manager": [shared, alone]}) as prometheus, traffic(daemons):
            prometheus.wait_for_up()
            in_use = f'sandbox_manager_store_mode{{mode="redis", instance="{shared}"}} == 1'
            prometheus.wait_for_query(in_use, 30)
            prometheus.wait_for_alert(alert, "inactive", 30)
            prometheus.mark()
            redis.freeze()
            prometheus.wait_for_alert(alert, "firing", 60, instance=shared)
            assert prometheus.states_seen(alert, instance=shared) == ["pending", "firing"]
            redis.thaw()
            prometheus.wait_for_query(in_use, 60)
            prometheus.wait_for_alert(alert, "inactive", 30, instance=shared)
            assert alert not in prometheus.raised(instance=alone)
            assert prometheus.rule_errors() == []
