"""The page of metrics, held against everything that reads such pages; and the laws between its numbers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from drill_lib import Prometheus
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from daemon import Daemon, sandbox_path
from page import Page, broken_gauge_laws, broken_quiet_laws, crossed
from waiting import wait_until
from wire import Pump, exchange, fetch, request_bytes

ROOT = Path(__file__).resolve().parents[2]
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
# What Prometheus 2.42 sends.
PROMETHEUS_ACCEPT = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)


@pytest.fixture(scope="module")
def busy(launch: Callable[..., Daemon]) -> Iterator[Daemon]:
    """A daemon that has done a little of everything."""
    with launch({"LIMITS_PER_USER": "2"}) as daemon:
        for user in ("alice", "bob"):
            for project in ("one", "two", "three"):
                daemon.acquire(user, project)
            daemon.request("POST", sandbox_path(user, "one") + "/keepalive")
            daemon.request("POST", sandbox_path(user, "two") + "/pause")
            daemon.release(user, "one")
        daemon.acquire("bad:user", "one")
        daemon.stats()
        daemon.sandboxes()
        yield daemon


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, TEXT),
        ("*/*", TEXT),
        ("text/html", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;version=1.0.0", OPENMETRICS),
        (PROMETHEUS_ACCEPT, OPENMETRICS),
        ("text/plain;q=0.9,application/openmetrics-text;q=0.1", TEXT),
        ("rubbish;;;q=x,,", TEXT),
    ],
)
def test_the_format_is_negotiated_and_named(busy: Daemon, accept: str | None, expected: str) -> None:
    reply = busy.observe("/metrics", {"Accept": accept} if accept else None)
    assert reply.status == 200
    assert reply.headers["content-type"] == expected
    assert int(reply.headers["content-length"]) == len(reply.body)
    assert reply.text.endswith("# EOF\n") == (expected == OPENMETRICS)
    assert "\r" not in reply.text


def test_the_strict_parser_of_openmetrics_accepts_the_page(busy: Daemon) -> None:
    families = list(parse_openmetrics(busy.observe("/metrics", {"Accept": PROMETHEUS_ACCEPT}).text))
    assert len(families) > 60
    assert sum(len(family.samples) for family in families) < 3000


def test_the_text_parser_reads_the_same_numbers_of_series(busy: Daemon) -> None:
    text = {sample.name for family in parse_text(busy.observe("/metrics").text) for sample in family.samples}
    other = {
        sample.name
        for family in parse_openmetrics(busy.observe("/metrics", {"Accept": PROMETHEUS_ACCEPT}).text)
        for sample in family.samples
    }
    assert text == other


def test_promtool_finds_nothing_wrong_with_the_page(busy: Daemon) -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "promtool is not installed (Debian: prometheus)"
    page = busy.observe("/metrics").body
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, timeout=30, check=False)
    # Names of the process family are those of every client library, which promtool knows.
    assert checked.returncode == 0 and checked.stderr == b"", checked.stderr.decode()


@pytest.mark.timeout(300)
def test_every_metric_that_an_alert_names_is_on_the_page(busy: Daemon, tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_bytes(busy.observe("/metrics").body)
    checked = subprocess.run(
        [str(ROOT / "scripts" / "check-alerts.sh"), "--catalogue", str(page)],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout[-2000:] + checked.stderr[-2000:]


def test_every_histogram_is_cumulative_and_counts_what_its_last_bucket_counts(busy: Daemon) -> None:
    for family in parse_text(busy.observe("/metrics").text):
        if family.type != "histogram":
            continue
        buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        counts: dict[tuple[tuple[str, str], ...], float] = {}
        for sample in family.samples:
            labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
            if sample.name.endswith("_bucket"):
                buckets.setdefault(labels, []).append((float(sample.labels["le"]), sample.value))
            elif sample.name.endswith("_count"):
                counts[labels] = sample.value
        assert buckets.keys() == counts.keys() and buckets
        for labels, found in buckets.items():
            assert found == sorted(found) and [v for _, v in found] == sorted(v for _, v in found), (family.name, labels)
            assert found[-1] == (float("inf"), counts[labels]), (family.name, labels)


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
def test_HEAD_has_the_headers_of_GET_and_no_body(busy: Daemon, path: str) -> None:
    get = busy.observe(path)
    sent = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection(busy.metrics, timeout=10) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65536):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and body == b""
    assert f"content-type: {get.headers['content-type']}" in head.decode().lower()


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "BREW"])
def test_other_methods_are_refused_with_the_ones_there_are(busy: Daemon, path: str, method: str) -> None:
    reply = exchange(busy.metrics, request_bytes(method, path))
    assert reply is not None and reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD"


def test_a_page_that_does_not_exist_is_404_on_both_listeners(busy: Daemon) -> None:
    assert busy.observe("/").status == 404
    assert busy.observe("/v1/stats").status == 404
    assert busy.request("GET", "/metrics").code == "route_not_found"


def test_a_real_prometheus_takes_every_sample(busy: Daemon) -> None:
    with Prometheus({"sandbox-manager": [str(busy.metrics)]}) as prometheus:
        prometheus.wait_for_up()
        assert prometheus.value('up{job="sandbox-manager"}') == 1
        assert prometheus.value("scrape_samples_scraped") == len(busy.page().samples)
        own = urllib.request.urlopen(prometheus.url + "/metrics", timeout=10).read().decode()
        refused = [
            line
            for line in own.splitlines()
            if line.startswith("prometheus_target_scrapes_")
            and ("duplicate" in line or "out_of_" in line or "exceeded" in line)
        ]
        assert refused and all(line.endswith(" 0") for line in refused), refused
        # The rules as they are shipped, evaluated over real samples.
        assert prometheus.rule_errors() == []


def test_the_number_of_series_does_not_depend_on_the_number_of_users(start: Callable[..., Daemon]) -> None:
    daemon = start({"LIMITS_TOTAL": "10000"})
    before = set(daemon.page().samples)
    assert 2000 < len(before) < 3000
    with Pump(daemon.api) as pump:
        served = pump.run(request_bytes("PUT", sandbox_path(f"user-{n}", "demo")) for n in range(2000))
    assert served == {201: 2000}
    page = daemon.page()
    assert set(page.samples) == before
    assert "user-1" not in page.text


def test_the_laws_of_the_catalogue_hold_under_load(start: Callable[..., Daemon]) -> None:
    daemon = start({"LIMITS_PER_USER": "2", "LIMITS_TOTAL": "60"})
    done = threading.Event()
    trouble: list[BaseException] = []

    def load(number: int) -> None:
        try:
            with Pump(daemon.api, connections=16) as pump:
                turn = 0
                while not done.is_set():
                    turn += 1
                    users = [f"user-{number}-{turn % 7}-{index}" for index in range(16)]
                    paths = [sandbox_path(user, f"project-{turn % 3}") for user in users]
                    pump.run(request_bytes("PUT", path) for path in paths)
                    pump.run(request_bytes("POST", path + "/keepalive") for path in paths[:8])
                    pump.run(request_bytes("GET", path) for path in paths[4:12])
                    pump.run(request_bytes("PUT", path.replace("user", "us:er")) for path in paths[:2])
                    pump.run([request_bytes("GET", "/v1/stats"), request_bytes("GET", "/v1/sandboxes")])
                    pump.run(request_bytes("DELETE", path) for path in paths)
        except BaseException as error:  # noqa: BLE001 (told to the test)
            trouble.append(error)

    workers = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
    pages: list[Page] = []
    try:
        end = time.monotonic() + 6
        while time.monotonic() < end:
            pages.append(daemon.page())
            pages.append(Page(fetch(daemon.metrics, "GET", "/metrics").text))
    finally:
        done.set()
        for worker in workers:
            worker.join()
    assert not trouble, trouble
    assert len(pages) >= 20
    broken = [f"scrape {number}: {law}" for number, page in enumerate(pages) for law in broken_gauge_laws(page)]
    broken += [law for earlier, later in zip(pages, pages[1:]) for law in crossed(earlier, later)]
    assert broken == []
    # Something did happen, and all at once.
    assert pages[-1].sum("acquires_total") - pages[0].sum("acquires_total") > 100
    assert max(page.sum("user_locks") for page in pages) > 0
    wait_until(lambda: broken_quiet_laws(daemon.page()) == [], f"the books are settled: {broken_quiet_laws(daemon.page())}")
    last = daemon.page()
    assert last.sum("user_locks") == 0
    assert last.sum("operations_in_flight") == 0
    assert last.sum("sandboxes_created_total") == last.sum("sandboxes_killed_total")
