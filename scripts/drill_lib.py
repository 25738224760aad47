"""A real Prometheus for drills: started with the shipped rules, sped up, and asked about its alerts.

    with Prometheus({"sandbox-manager": ["127.0.0.1:9484"]}, rules=[RULES], speedup=240) as prometheus:
        prometheus.wait_for_up()
        prometheus.wait_for_alert("SandboxManagerUserLockForgotten", "firing", deadline=30)
        prometheus.wait_for_alert("SandboxManagerUserLockForgotten", "inactive", deadline=30)
        assert prometheus.states_seen("SandboxManagerUserLockForgotten") == ["pending", "firing"]

Everything lives in a temporary folder and on loopback, on a port that the kernel picks; leaving the block ends the
process by its id and removes the folder. Standard library only; Prometheus 2.42 or later.

Choosing the speedup: a range selector must still span two scrapes, so with scrapes every 250 ms and a shortest range of
2m the limit is 240 (checked). At 240, an alert that takes 15 minutes fires in 4 seconds; rules that look back over days
want a larger speedup, and then `allow_short_ranges=True`, which gives up on every rule with a shorter range. The
daemon's own spans of time (loop intervals, idle limits, timeouts) are not scaled: give the daemon small ones.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scale_rules import scale_rules, shortest_range

RULES = Path(__file__).resolve().parents[1] / "alerts" / "sandbox-manager.rules.yml"
LEVELS = {"inactive": 0, "pending": 1, "firing": 2}


class DrillError(Exception):
    """What was waited for did not come, or Prometheus did not run; the message carries what was seen instead."""


def wait_until(condition: Callable[[], Any], what: str, deadline: float, poll: float = 0.05) -> Any:
    """Asks until the condition holds and returns what it returned; DrillError after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= end:
            raise DrillError(f"{what}: not within {deadline:g} s")
        time.sleep(poll)


class Prometheus:
    """One Prometheus server with its targets and sped-up rules; a context manager."""

    def __init__(
        self,
        targets: Mapping[str, Sequence[str]],
        rules: Sequence[Path] = (RULES,),
        speedup: float = 240,
        interval_ms: int = 250,
        allow_short_ranges: bool = False,
        executable: str = "prometheus",
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing runs yet.

        targets: job name to addresses ("host:port"); /metrics is scraped over plain HTTP.
        names: the label `instance` of addresses whose own says nothing to people.
        speedup: what every span of time in the rules is divided by.
        interval_ms: scrapes and evaluations, in milliseconds; the scrape timeout is the same.
        """
        self._targets = targets
        self._rules = list(rules)
        self._speedup = speedup
        self._interval_ms = interval_ms
        self._allow_short_ranges = allow_short_ranges
        self._executable = executable
        self._names = dict(names or {})
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._marked = 0.0
        self.url = ""

    # Life

    def __enter__(self) -> Prometheus:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        if self._process is None:
            raise DrillError("Prometheus does not run")
        return self._process.pid

    def start(self, deadline: float = 30) -> None:
        """Writes the configuration, starts the server and waits until it answers; about a second."""
        self._folder = Path(tempfile.mkdtemp(prefix="drill-prometheus-"))
        try:
            self._write_configuration(self._folder)
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [
                        self._executable,
                        f"--config.file={self._folder / 'prometheus.yml'}",
                        f"--storage.tsdb.path={self._folder / 'data'}",
                        "--web.listen-address=127.0.0.1:0",
                        # A series that stops is forgotten after a second, not after five minutes.
                        "--query.lookback-delta=1s",
                        "--log.level=info",
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self.mark()
            self.url = wait_until(self._read_address, "Prometheus announces its port", deadline)
            wait_until(self._is_ready, "Prometheus is ready", deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the server by its id and removes its folder; may be called twice."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    def log(self) -> str:
        """What the server has printed so far."""
        return (self._folder / "log").read_text(errors="replace") if self._folder else ""

    # Questions

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """An instant query: a list of {"metric": labels, "value": [time, text]} (or "values" for a range)."""
        parameters = {"query": expression} | ({"time": f"{at:.3f}"} if at is not None else {})
        data = self._get("/api/v1/query", parameters)
        if data["resultType"] in ("scalar", "string"):
            return [{"metric": {}, "value": data["result"]}]
        return data["result"]

    def value(self, expression: str) -> float | None:
        """The value of an expression that has one result; None if it has none."""
        result = self.query(expression)
        if len(result) > 1:
            raise DrillError(f"{expression}: {len(result)} results, not one: {result}")
        return float(result[0]["value"][1]) if result else None

    def alert_state(self, alert: str, **labels: str) -> str:
        """`inactive`, `pending` or `firing`: the highest state of the alert's instances with these labels."""
        states = [
            found["state"]
            for found in self._get("/api/v1/alerts", {})["alerts"]
            if found["labels"].get("alertname") == alert
            and all(found["labels"].get(name) == value for name, value in labels.items())
        ]
        return max(states, key=LEVELS.__getitem__, default="inactive")

    def states_seen(self, alert: str, **labels: str) -> list[str]:
        """The states the alert has had since the mark, in the order of their first appearance."""
        matchers = "".join(f",{name}={json.dumps(value)}" for name, value in labels.items())
        first: dict[str, float] = {}
        for series in self._alerts_since_mark(f"alertname={json.dumps(alert)}{matchers}"):
            state, moment = series["metric"]["alertstate"], float(series["values"][0][0])
            first[state] = min(moment, first.get(state, moment))
        return sorted(first, key=first.__getitem__)

    def raised(self, **labels: str) -> set[str]:
        """The names of all alerts that have been pending or firing since the mark, with these labels."""
        matchers = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
        return {series["metric"]["alertname"] for series in self._alerts_since_mark(matchers)}

    def fired(self) -> set[str]:
        """The names of all alerts that have been firing since the mark."""
        return {series["metric"]["alertname"] for series in self._alerts_since_mark('alertstate="firing"')}

    def mark(self) -> None:
        """Forgets what was seen so far: `states_seen`, `raised` and `fired` look back to the last mark."""
        self._marked = time.time()

    # Waiting

    def wait_for_up(self, deadline: float = 30) -> None:
        """Waits until every target was scraped, and sets the mark.

        The first data come some five seconds after the start. Sped up, that is an outage, and SandboxManagerDown
        says so; the mark is set when it is over.
        """
        pairs = ((job, address) for job, addresses in self._targets.items() for address in addresses)
        wanted = {(job, self._names.get(address, address)) for job, address in pairs}

        def all_up() -> bool:
            up = {(r["metric"]["job"], r["metric"]["instance"]) for r in self.query("up == 1")}
            return wanted <= up

        wait_until(all_up, f"all targets up ({sorted(wanted)})", deadline)
        wait_until(lambda: self.alert_state("SandboxManagerDown") == "inactive", "the start is over", deadline)
        self.mark()

    def wait_for_query(self, expression: str, deadline: float) -> list[dict[str, Any]]:
        """Waits until the expression has a result."""
        return wait_until(lambda: self.query(expression), expression, deadline)

    def wait_for_alert(self, alert: str, state: str, deadline: float, **labels: str) -> None:
        """Waits for a state of the alert; `inactive` after firing is what Alertmanager calls resolved.

        The state has to hold at a moment of asking: a short `pending` is better looked for with `states_seen`.
        """
        if state not in LEVELS:
            raise ValueError(f"no such state: {state}")
        if alert not in self.alert_names():
            raise DrillError(f"{alert}: no such alert in the rules")
        try:
            wait_until(lambda: self.alert_state(alert, **labels) == state, f"{alert} {state}", deadline)
        except DrillError as error:
            raise DrillError(f"{error}; it is {self.alert_state(alert, **labels)}") from None

    def alert_names(self) -> set[str]:
        """The alerts in the rules that the server has loaded."""
        groups = self._get("/api/v1/rules", {"type": "alert"})["groups"]
        return {rule["name"] for group in groups for rule in group["rules"]}

    def rule_errors(self) -> list[str]:
        """Rules whose last evaluation failed, with the reason."""
        groups = self._get("/api/v1/rules", {})["groups"]
        return [f"{r['name']}: {r['lastError']}" for g in groups for r in g["rules"] if r.get("lastError")]

    def scaled(self, seconds: float) -> float:
        """What a span of real time in the rules is in the drill, in seconds."""
        return seconds / self._speedup

    # Inside

    def _write_configuration(self, folder: Path) -> None:
        names = []
        for number, path in enumerate(self._rules):
            text = scale_rules(path.read_text(encoding="utf-8"), self._speedup)
            shortest = shortest_range(text)
            if not self._allow_short_ranges and shortest is not None and shortest < 2 * self._interval_ms:
                raise DrillError(
                    f"{path.name} at speedup {self._speedup:g} has a range of {shortest} ms, "
                    f"which does not span two scrapes of {self._interval_ms} ms"
                )
            name = f"{number}-{path.name}"
            (folder / name).write_text(text, encoding="utf-8")
            names.append(name)
        interval = f"{self._interval_ms}ms"
        configuration = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
            "rule_files": names,
            "scrape_configs": [
                {"job_name": job, "static_configs": [self._static(address) for address in addresses]}
                for job, addresses in self._targets.items()
            ],
        }
        # JSON is YAML.
        (folder / "prometheus.yml").write_text(json.dumps(configuration, indent=2), encoding="utf-8")

    def _static(self, address: str) -> dict[str, Any]:
        labels = {"labels": {"instance": self._names[address]}} if address in self._names else {}
        return {"targets": [address]} | labels

    def _read_address(self) -> str | None:
        self._check_running()
        found = re.search(r'msg="Listening on" address=(127\.0\.0\.1:\d+)', self.log())
        return f"http://{found[1]}" if found else None

    def _is_ready(self) -> bool:
        self._check_running()
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as reply:
                return reply.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def _check_running(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            raise DrillError(f"Prometheus ended with {self._process.returncode}:\n{self.log()[-2000:]}")

    def _alerts_since_mark(self, matchers: str) -> list[dict[str, Any]]:
        now = time.time()
        window = max(1, int((now - self._marked) * 1000))
        return self.query(f"ALERTS{{{matchers}}}[{window}ms]", at=now)

    def _get(self, path: str, parameters: Mapping[str, str]) -> Any:
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            with contextlib.suppress(ValueError, KeyError):
                raise DrillError(f"{url}: {json.load(error)['error']}") from None
            raise DrillError(f"{url}: {error}") from None
        except (urllib.error.URLError, OSError) as error:
            self._check_running()
            raise DrillError(f"{url}: {error}") from None
