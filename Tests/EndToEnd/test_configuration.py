"""What the program does with settings that are wrong, and with a machine that is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon import PREFIX, Daemon, run_to_end

LOOPBACK = {"API_LISTEN": "127.0.0.1:0", "METRICS_LISTEN": "127.0.0.1:0", "PROVIDER": "simulated"}
BAD = {
    "LIMITS_PER_USER": "many",
    "LIMITS_TOTAL": "0",
    "LEASE_IDLE_TIMEOUT_SECONDS": "-5",
    "HEALTH_TIMEOUT_SECONDS": "5s",
    "RECONCILER_MODE": "sometimes",
    "LOG_LEVEL": "loud",
    "METRICS_LISTEN": "127.0.0.1:99999",
    "BREAKER_FAILURE_RATIO": "1.5",
}


@pytest.mark.parametrize("arguments", [(), ("config", "check")], ids=["start", "check"])
def test_every_bad_value_is_named_at_once_and_nothing_starts(
    executable: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    ended = run_to_end(executable, tmp_path / "work", LOOPBACK | BAD, arguments)
    assert ended.returncode == 64
    for name in BAD:
        assert PREFIX + name in ended.stderr, (name, ended.stderr)
    assert "listening" not in ended.stderr


def test_an_unknown_variable_is_refused_with_what_may_have_been_meant(executable: Path, tmp_path: Path) -> None:
    ended = run_to_end(executable, tmp_path / "work", LOOPBACK | {"LIMIT_PER_USER": "3"})
    assert ended.returncode == 64
    assert re.search(r"SANDBOX_MANAGER_LIMIT_PER_USER.*did you mean SANDBOX_MANAGER_LIMITS_PER_USER\?", ended.stderr)


def test_an_unknown_flag_is_refused(executable: Path, tmp_path: Path) -> None:
    ended = run_to_end(executable, tmp_path / "work", LOOPBACK, ("--limits-peruser", "3"))
    assert ended.returncode == 64
    assert "--limits-peruser" in ended.stderr and "--limits-per-user" in ended.stderr


def test_a_file_with_an_unknown_key_is_refused(executable: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("limits:\n  perUsr: 3\n  total: nine\n")
    ended = run_to_end(executable, tmp_path / "work", LOOPBACK, ("--config", str(tmp_path / "bad.yaml")))
    assert ended.returncode == 64
    assert "limits.perUsr" in ended.stderr and "limits.total" in ended.stderr


def test_flags_win_over_the_environment_and_that_over_the_file(start: Callable[..., Daemon], tmp_path: Path) -> None:
    (tmp_path / "some.yaml").write_text("limits:\n  perUser: 3\n  total: 33\nlog:\n  format: json\n")
    daemon = start({"LIMITS_PER_USER": "4", "LIMITS_TOTAL": "44", "LOG_FORMAT": "text"},
                   "--config", str(tmp_path / "some.yaml"), "--limits-per-user", "5")  # fmt: skip
    stats = daemon.stats()
    assert (stats["limit_per_user"], stats["limit_total"]) == (5, 44)


def test_config_check_prints_what_is_in_force_and_no_secret(executable: Path, tmp_path: Path) -> None:
    settings = LOOPBACK | {"API_TOKEN": "token-0123456789", "LIMITS_PER_USER": "7"}
    ended = run_to_end(executable, tmp_path / "work", settings, ("config", "check"))
    assert ended.returncode == 0, ended.stderr
    assert re.search(r"perUser\W+7", ended.stdout)
    assert "idleTimeoutSeconds" in ended.stdout
    assert "token-0123456789" not in ended.stdout + ended.stderr


def test_the_reference_of_metrics_is_what_the_program_prints(executable: Path, tmp_path: Path) -> None:
    ended = run_to_end(executable, tmp_path / "work", {}, ("metrics", "--markdown"))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == (Path(__file__).resolve().parents[2] / "docs" / "METRICS.md").read_text()


def test_faults_are_refused_without_the_word_that_allows_them(executable: Path, tmp_path: Path) -> None:
    ended = run_to_end(executable, tmp_path / "work", LOOPBACK | {"FAULTS": "user-lock-leak"})
    assert ended.returncode == 64
    assert "allow" in ended.stderr.lower()


def test_a_machine_without_bubblewrap_is_told_how_to_get_it(executable: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ended = run_to_end(
        executable, tmp_path / "work", LOOPBACK | {"PROVIDER": "local", "PATH": str(tmp_path / "empty")}
    )
    assert ended.returncode == 69
    assert "bubblewrap is missing" in ended.stderr and "apt-get install bubblewrap" in ended.stderr
    assert "listening" not in ended.stderr


def test_an_address_in_use_is_named(start: Callable[..., Daemon], executable: Path, tmp_path: Path) -> None:
    first = start()
    ended = run_to_end(executable, tmp_path / "work", LOOPBACK | {"API_LISTEN": str(first.api)})
    assert ended.returncode == 69
    assert str(first.api) in ended.stderr and "in use" in ended.stderr.lower()
    assert first.observe("/healthz").status == 200


def test_help_lists_every_setting(executable: Path, tmp_path: Path) -> None:
    ended = run_to_end(executable, tmp_path / "work", {}, ("--help",))
    assert ended.returncode == 0
    for flag in ("--api-listen", "--metrics-listen", "--provider", "--limits-per-user", "--limits-total", "--faults",
                 "--health-fresh-window-seconds", "--shutdown-timeout-seconds", "--log-format"):  # fmt: skip
        assert flag in ended.stdout, flag


def test_the_revision_of_the_build_is_told(start: Callable[..., Daemon]) -> None:
    daemon = start({"BUILD_REVISION": "0123456789ab"})
    (labels,) = daemon.page().by("build_info")
    assert dict(labels)["revision"] == "0123456789ab"
