"""What an operator types: the real subcommands as processes, against the real daemon."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from daemon import Daemon, run_to_end
from e2b_support import FakeE2B
from waiting import wait_until
from wire import Reply

TOKEN = "operators-token-0123456789"
Operate = Callable[..., subprocess.CompletedProcess[str]]
StartDaemon = Callable[..., Daemon]


@pytest.fixture
def operate(executable: Path, tmp_path: Path) -> Operate:
    """Runs a subcommand against a daemon: `operate(daemon, "status")`; `settings` are its environment."""

    def run(daemon: Daemon | str, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        url = daemon if isinstance(daemon, str) else f"http://{daemon.api}"
        arguments = [words[0], "--url", url, *words[1:]]
        return run_to_end(executable, tmp_path / "operator", settings, arguments, deadline=90)

    return run


@pytest.fixture
def said(operate: Operate) -> Callable[..., str]:
    """What a subcommand prints that succeeds."""

    def run(daemon: Daemon, *words: str, **settings: str) -> str:
        ended = operate(daemon, *words, **settings)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout

    return run


@pytest.fixture
def cloudy(start: StartDaemon, cloud: FakeE2B) -> Callable[..., Daemon]:
    """Starts a daemon that knows the fake cloud and nothing else."""

    def begin(**settings: str) -> Daemon:
        return start({**cloud.environment(), "PROVIDER": "e2b", "ENVIRONMENT": "tests", **settings})

    return begin


@pytest.fixture
def beside() -> Iterator[Callable[..., Future[Reply]]]:
    """Starts requests that take their time."""
    with ThreadPoolExecutor(8) as pool:
        yield pool.submit


# Status


def test_status_shows_how_a_local_daemon_stands(start: StartDaemon, said: Callable[..., str]) -> None:
    daemon = start({"PROVIDER": "local", "LIMITS_TOTAL": "7"})
    assert daemon.acquire("ann", "web").status == 201
    daemon.acquire("ann", "web")
    lines = dict(line.split("  ", 1) for line in said(daemon, "status").splitlines()[2:])
    found = {name: value.strip() for name, value in lines.items()}
    assert found["ready"] == "yes" and found["creations"] == "allowed"
    assert found["provider"].startswith("local, breaker closed")
    assert found["slots"].startswith("1 of 7 in use; the busiest user holds 1 of 2")
    assert found["leases"].startswith("1 running, 0 paused, 0 being created")
    assert found["outbox"] == "0 dying" and found["intents"] == "0 open"
    assert found["requests"] == "2 acquires, 50 % from memory, 0 refused"
    raw = json.loads(said(daemon, "status", "--json"))
    assert raw["slots_in_use"] == 1 and raw["ledger"]["leased"] == 1


def test_the_daemon_is_found_by_the_variable_that_it_reads_itself(
    start: StartDaemon, executable: Path, tmp_path: Path
) -> None:
    daemon = start()
    ended = run_to_end(executable, tmp_path / "operator", {"API_LISTEN": str(daemon.api)}, ["status"])
    assert ended.returncode == 0 and f"at http://{daemon.api}\n" in ended.stdout


def test_the_token_comes_from_a_file_or_the_environment(start: StartDaemon, operate: Operate, tmp_path: Path) -> None:
    daemon = start({"API_TOKEN": f"{TOKEN},another-token-0123456789"}, token=TOKEN)
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    assert operate(daemon, "status", "--token-file", str(file)).returncode == 0
    assert operate(daemon, "status", API_TOKEN=f"{TOKEN},another-token-0123456789").returncode == 0
    for words in (["status"], ["stop-creates"], ["drain"], ["list"]):
        refused = operate(daemon, *words)
        assert refused.returncode == 1 and refused.stdout == ""
        assert refused.stderr == "unauthenticated: a valid bearer token is required\n"
    assert operate(daemon, "status", API_TOKEN="wrong-token-0123456789").returncode == 1
    assert daemon.stats()["draining"] is False and daemon.stats()["creations_stopped"] is False


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status", "--url", "http://127.0.0.1:1"], 69),
        (["status", "--url", "127.0.0.1:1"], 64),
        (["status", "--token", "x"], 64),
        (["status", "--token-file", "/does/not/exist"], 64),
        (["explain", "ann"], 64),
        (["list", "--limit", "0"], 64),
        (["drain", "--timeout", "-1"], 64),
        (["no-such-command"], 64),
    ],
)
def test_what_cannot_be_asked_ends_with_its_code(
    executable: Path, tmp_path: Path, words: list[str], code: int
) -> None:
    ended = run_to_end(executable, tmp_path / "operator", {}, words)
    assert ended.returncode == code, ended
    assert ended.stderr and ended.stdout == ""


# Leases


def test_list_follows_the_cursor_through_many_leases(start: StartDaemon, said: Callable[..., str]) -> None:
    daemon = start({"LIMITS_TOTAL": "3000", "LIMITS_PER_USER": "50"})
    keys = [(f"user-{number % 40:02}", f"project-{number // 40:02}") for number in range(1240)]
    with ThreadPoolExecutor(16) as pool:
        assert {reply.status for reply in pool.map(lambda key: daemon.acquire(*key), keys)} == {201}
    rows = [line.split() for line in said(daemon, "list").splitlines()]
    assert rows[0][:4] == ["USER", "PROJECT", "SANDBOX", "STATE"]
    assert [(row[0], row[1]) for row in rows[1:]] == sorted(keys)
    assert len({row[2] for row in rows[1:]}) == len(keys)
    assert len(said(daemon, "list", "--user", "user-07").splitlines()) == 1 + 31
    limited = said(daemon, "list", "--limit", "5").splitlines()
    assert len(limited) == 7 and limited[-1] == "There are more; raise --limit."
    pages = [json.loads(line) for line in said(daemon, "list", "--json").splitlines()]
    assert [len(page["sandboxes"]) for page in pages] == [1000, 240]
    assert said(daemon, "list", "--user", "nobody") == "no leases\n"


def test_release_says_whether_the_sandbox_is_dead(
    cloudy: Callable[..., Daemon], cloud: FakeE2B, said: Callable[..., str], operate: Operate
) -> None:
    daemon = cloudy()
    assert daemon.acquire("ann", "web+1").status == 201
    assert said(daemon, "release", "ann", "web+1") == "released\n"
    assert cloud.sandboxes() == []
    assert said(daemon, "release", "ann", "web+1") == "released\n"
    assert daemon.acquire("ann", "web|2").status == 201
    cloud.fault("kill", "status", status=403, times=1)
    assert said(daemon, "release", "ann", "web|2") == "releasing\n"
    refused = operate(daemon, "release", "bad:user", "web")
    assert refused.returncode == 1 and refused.stderr.startswith("invalid_argument: ")


# Switches


def test_stopped_creations_refuse_the_new_and_serve_the_old(start: StartDaemon, said: Callable[..., str]) -> None:
    daemon = start({"LIMITS_PER_USER": "5"})
    old = daemon.acquire("ann", "old").json["sandbox_id"]
    for _ in range(2):
        assert said(daemon, "stop-creates") == "creations are stopped; leases that exist (1) are served as before\n"
    refused = daemon.acquire("ann", "new")
    assert (refused.status, refused.code) == (503, "draining")
    assert "operator stopped creations" in refused.json["detail"]
    assert refused.headers["retry-after"] == "30" and refused.json["retry_after_seconds"] == 30
    assert daemon.acquire("ann", "old").json["sandbox_id"] == old
    assert daemon.stats()["creations_stopped"] is True
    ready = daemon.observe("/readyz")
    assert ready.status == 200 and ready.json["creations_stopped"] is True
    assert "STOPPED by an operator" in said(daemon, "status")
    assert "An operator stopped creations" in said(daemon, "explain", "ann", "new")
    for _ in range(2):
        assert said(daemon, "resume-creates") == "creations are allowed\n"
    assert daemon.acquire("ann", "new").status == 201
    assert daemon.stats()["creations_stopped"] is False
    assert daemon.log().count("an operator stopped creations") == 1
    assert daemon.log().count("an operator resumed creations") == 1


def test_drain_waits_for_what_is_under_way_and_leaves_leases_alone(
    cloudy: Callable[..., Daemon], cloud: FakeE2B, said: Callable[..., str], beside: Callable[..., Future[Reply]]
) -> None:
    daemon = cloudy(LIMITS_PER_USER="5")
    assert daemon.acquire("ann", "old").status == 201
    cloud.fault("create", "latency", milliseconds=2500, times=1)
    slow = beside(daemon.acquire, "ann", "slow")
    wait_until(lambda: daemon.stats()["creating"] == 1, "the creation is under way")
    lines = said(daemon, "drain").splitlines()
    assert lines[0].startswith("draining: ") and lines[0].endswith(" in flight")
    assert lines[-1].startswith("drained: nothing is in flight; leases (2) live on")
    assert slow.result().status == 201, "what was under way ended well"
    assert daemon.observe("/readyz").status == 503
    assert daemon.acquire("ann", "old").code == "draining"
    assert daemon.observe("/healthz").status == 200
    assert len(cloud.sandboxes()) == 2 and len(daemon.sandboxes()) == 2
    assert "no: it is draining" in said(daemon, "status")
    assert said(daemon, "drain").startswith("drained: "), "said again it does no harm"
    assert daemon.log().count("an operator drains this manager") == 1
    assert daemon.stop() == 0


def test_drain_gives_up_at_its_limit_and_the_daemon_goes_on(
    cloudy: Callable[..., Daemon], cloud: FakeE2B, operate: Operate, beside: Callable[..., Future[Reply]]
) -> None:
    daemon = cloudy(SHUTDOWN_TIMEOUT_SECONDS="1")
    cloud.fault("create", "hang", times=0)
    hanging = beside(daemon.acquire, "ann", "web")
    wait_until(lambda: daemon.stats()["creating"] == 1, "the creation is under way")
    ended = operate(daemon, "drain", "--timeout", "0.5")
    assert ended.returncode == 1
    assert ended.stderr.startswith("still ") and "goes on draining" in ended.stderr
    assert daemon.observe("/healthz").status == 200
    assert daemon.stop() == 0
    assert hanging.result().status in (0, 503, 504)


# Explain


def test_explain_tells_six_situations_in_words(
    cloudy: Callable[..., Daemon], cloud: FakeE2B, said: Callable[..., str], beside: Callable[..., Future[Reply]]
) -> None:
    daemon = cloudy(HEALTH_FRESH_WINDOW_SECONDS="0", LIMITS_PER_USER="1", SHUTDOWN_TIMEOUT_SECONDS="1")

    nothing = said(daemon, "explain", "nobody", "web")
    assert nothing.startswith("Nobody holds a lease for this key.\n")
    assert "The user holds 0 of 1 slot; all users together hold 0 of 100: no limit is in the way" in nothing

    sandbox = daemon.acquire("ann", "web").json["sandbox_id"]
    leased = said(daemon, "explain", "ann", "web")
    assert leased.startswith(f"The key holds sandbox {sandbox}, which runs; it was last used ")
    assert f"created: {sandbox}" in leased.split("What happened:")[1]

    limited = said(daemon, "explain", "ann", "other")
    assert "The user holds 1 of 1 slot; all users together hold 1 of 100: the next acquire is refused with" in limited

    # The first seconds after a creation are edge lag.
    closed = json.dumps({"sandboxId": sandbox, "message": "The sandbox is running but port is not open", "code": 502})
    cloud.fault("health", "status", status=502, text=closed, times=0)
    wait_until(
        lambda: daemon.acquire("ann", "web") and "sick verdict" in said(daemon, "explain", "ann", "web"),
        "a probe counts as sick",
        deadline=30,
        poll=0.3,
    )
    sick = said(daemon, "explain", "ann", "web")
    assert "said unhealthy: " in sick and "3 over 10 s replace the sandbox" in sick

    cloud.fault("kill", "status", status=403, times=0)
    assert daemon.release("ann", "web").status == 202
    wait_until(lambda: "failed, the last with" in said(daemon, "explain", "ann", "web"), "a kill failed")
    dying = said(daemon, "explain", "ann", "web")
    assert dying.startswith("Nobody holds a lease for this key.\n")
    assert f"Sandbox {sandbox} has been dying for " in dying
    assert "the last with provider_unauthorized" in dying
    assert "1 of them of sandboxes that are dying" in dying and "the next acquire waits until a dying" in dying

    cloud.fault("create", "hang", times=0)
    waiting = [beside(daemon.acquire, "ben", "web") for _ in range(3)]
    wait_until(lambda: "2 others wait for it" in said(daemon, "explain", "ben", "web"), "they wait")
    creating = said(daemon, "explain", "ben", "web")
    assert creating.startswith("A sandbox is being created for this key by ")
    assert "by an operation of kind acquire; 2 others wait for it." in creating
    raw = json.loads(said(daemon, "explain", "ben", "web", "--json"))
    assert raw["lock"]["waiters"] == 2 and raw["reservation"]["seconds_left"] > 0
    assert [intent["holds_key"] for intent in raw["intents"]] == [True]
    daemon.stop()
    assert {reply.result().status for reply in waiting} <= {0, 503, 504}


# The audit line


def test_every_kill_is_one_line_that_says_who_decided(cloudy: Callable[..., Daemon], cloud: FakeE2B) -> None:
    daemon = cloudy(
        LOG_FORMAT="json",
        LIMITS_PER_USER="9",
        LEASE_IDLE_TIMEOUT_SECONDS="15",
        REAPER_INTERVAL_SECONDS="0.5",
        KILL_TIMEOUT_SECONDS="1",
    )

    def killed() -> dict[str, dict[str, str]]:
        lines = [json.loads(line) for line in daemon.log().splitlines() if '"killed a sandbox"' in line]
        found = {line["sandbox"]: line for line in lines}
        assert len(found) == len(lines), "a death was told twice"
        return found

    made = {name: daemon.acquire("ann", name).json for name in ("plain", "refused", "lost", "idle")}
    ids = {name: reply["sandbox_id"] for name, reply in made.items()}

    assert daemon.release("ann", "plain").status == 204
    # Twice refused: two warnings, one death.
    cloud.fault("kill", "status", status=403, times=2, sandboxID=ids["refused"])
    assert daemon.release("ann", "refused").status == 202
    # It took effect, and no answer comes: the control plane's 404 is the confirmation.
    cloud.fault("kill", "hang", times=1, afterEffect=True, sandboxID=ids["lost"])
    assert daemon.release("ann", "lost").status == 204
    wait_until(lambda: len(killed()) == 4, "all are dead", deadline=40, poll=0.2)

    lines = killed()
    assert set(lines) == set(ids.values())
    for name, reason, decided, attempts, outcome in (
        ("plain", "released", "user", "1", "killed"),
        ("refused", "released", "user", "3", "killed"),
        ("lost", "released", "user", "1", "already_gone"),
        ("idle", "idle", "reaper", "1", "killed"),
    ):
        line = lines[ids[name]]
        assert line["level"] == "notice" and line["key"] == f"ann:{name}"
        assert (line["reason"], line["decided_by"], line["outcome"]) == (reason, decided, outcome), line
        assert line["attempts"] == attempts and line["epoch"] == str(made[name]["epoch"]), line
        assert line["replica"]
    assert daemon.log().count("a kill failed and will be repeated") == 2
    assert daemon.page().sum("sandboxes_killed_total") == 4
    assert cloud.sandboxes() == []
