"""The watch over secrets sees what it is there for; and what it saw of this run so far was clean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from daemon import Daemon, run_to_end
from e2b_support import API_KEY, FakeE2B
from redis_support import free_port
from secrecy import SecrecyWatch, watch

PASSWORD = "p%40ss-word-of-redis"
SETTINGS = {
    "E2B_API_KEY": API_KEY,
    "SANDBOX_MANAGER_API_TOKEN": "first-token-0123, second-token-4567",
    "REDIS_URL": f"redis://someone:{PASSWORD}@127.0.0.1:1/0",
}


@pytest.fixture
def own() -> SecrecyWatch:
    """A watch that knows secrets of its own, and tells the run nothing."""
    watch = SecrecyWatch()
    watch.daemon_has(SETTINGS, ["a-token-of-a-client"])
    watch.caller_hands_over({"envs": {"A": "a-users-secret", "B": "1"}, "stdin": "another-secret"})
    return watch


@pytest.mark.parametrize(
    "text",
    [
        f"key={API_KEY}", "x first-token-0123 x", "second-token-4567", PASSWORD, "p@ss-word-of-redis", "a-token-of-a-client",
        "a-users-secret", "another-secret", "e2b_" + "a" * 30, "tok_abcdefgh12",
    ],
)  # fmt: skip
def test_every_kind_of_secret_is_found_in_a_log_in_a_page_and_in_a_header(own: SecrecyWatch, text: str, tmp_path: Path) -> None:
    log = tmp_path / "daemon.log"
    log.write_text(f"a line\n{text}\n")
    own.keeps(log)
    assert own.look_at_logs() == 1 and len(own.found) == 1, own.found
    own.reply([], f'{{"detail": "{text}"}}'.encode())
    own.reply([f"x-detail: {text}"], b"")
    assert len(own.found) == 3
    assert not [words for words in own.found if text in words], "the watch repeats it"


def test_owners_read_their_own_and_nothing_more(own: SecrecyWatch) -> None:
    own.reply([], b'{"sandbox_id": "x", "envd_access_token": "tok_abcdefgh12", "traffic_access_token": "tok_abcdefgh13"}')
    own.reply([], b'{"exit_code": 0, "stdout": "a-users-secret", "stderr": "tok_abcdefgh12"}')
    own.output("a page", b"nothing of interest, 1")
    assert own.found == []
    own.reply([], b'{"sandbox_id": "x", "envd_access_token": "", "template": "tok_abcdefgh12"}')
    own.reply([], b'{"exit_code": 0, "stdout": "first-token-0123"}')
    own.reply([], b'{"sandboxes": [{"sandbox_id": "x", "envd_access_token": "tok_abcdefgh12"}]}')
    assert len(own.found) == 3


@pytest.mark.parametrize("form", ["text", "json"])
def test_I13_a_talkative_daemon_with_every_kind_of_secret_shows_none(
    start: Callable[..., Daemon], cloud: FakeE2B, form: str
) -> None:
    """Every route is asked, with success and without, and Redis refuses to be reached. The watch does the rest."""
    token = f"secrecy-token-{form}-0123456789"
    settings = cloud.environment() | {
        "REDIS_URL": f"redis://someone:{PASSWORD}@127.0.0.1:{free_port()}/0", "API_TOKEN": f"{token},{token}-2",
        "LOG_LEVEL": "trace", "LOG_FORMAT": form, "PROVIDER": "e2b",
    }  # fmt: skip
    daemon = start(settings, token=token)
    before = watch.replies_seen
    lease = "/v1/users/ann/projects/web/sandbox"
    made = daemon.acquire("ann", "web", {"envs": {"KEY": "a-users-secret-0123"}})
    assert made.status == 201 and made.json["envd_access_token"]
    cloud.fault("list", "status", status=500)
    for path in (lease, "/v1/stats", "/v1/sandboxes", "/v1/explain/ann/web", "/nowhere"):
        daemon.request("GET", path)
        daemon.request("GET", path, headers={"Authorization": f"Bearer {token}x"})
    for action in ("exec", "keepalive", "pause", "report-unhealthy"):
        body = {"command": ["printenv", "KEY"], "stdin": "a-secret-input"} if action == "exec" else None
        daemon.request("POST", f"{lease}/{action}", body)
    for path in ("/metrics", "/healthz", "/readyz"):
        daemon.observe(path)
    daemon.release("ann", "web")
    daemon.stop()
    assert watch.replies_seen - before >= 15
    assert watch.found == []


def test_I13_what_the_program_prints_about_its_configuration_has_no_secret(executable: Path, tmp_path: Path) -> None:
    for number, more in enumerate(({}, {"LIMITS_TOTAL": "none"}, {"E2B_API_KEY": "e2b_" + "9" * 40 + " "})):
        settings = {name.removeprefix("SANDBOX_MANAGER_"): value for name, value in SETTINGS.items()} | more
        ended = run_to_end(executable, tmp_path / str(number), settings, ["config", "check"])
        assert "****" in ended.stdout + ended.stderr
    assert watch.found == []
