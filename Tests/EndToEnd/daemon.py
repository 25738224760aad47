"""The real daemon as a process: started on ports that the kernel picks, ended by its id, with its log kept.

    with Daemon(executable, folder, {"LIMITS_PER_USER": "5"}) as daemon:
        reply = daemon.acquire("alice", "demo")
        assert reply.status == 201

Settings are named without their prefix. The environment of the tests does not reach the daemon.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from page import Page
from secrecy import watch
from waiting import wait_until
from wire import Address, Reply, fetch

PREFIX = "SANDBOX_MANAGER_"
# Names that users know without the prefix, and those that are not the daemon's own.
UNPREFIXED = {"PATH", "REDIS_URL", "E2B_API_KEY", "E2B_API_URL", "E2B_SANDBOX_URL", "BUILD_REVISION"}
UNPREFIXED |= {"LD_PRELOAD", "ALLOCATIONS_FILE", "GLIBC_TUNABLES"}
DEFAULTS = {
    "API_LISTEN": "127.0.0.1:0",
    "METRICS_LISTEN": "127.0.0.1:0",
    "PROVIDER": "simulated",
    # Limits of the rate of creations would be in the way of every burst; the tests of the limits are about slots.
    "RATE_CREATES_PER_USER_PER_MINUTE": "0",
    "RATE_BURST": "0",
}
# Both shapes of the line, text and JSON; a level above notice hides it.
_LISTENING = re.compile(r"^.*\blistening\b.*\bapi\W.*$", re.MULTILINE)


def environment(folder: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """What the daemon gets to see: the settings, and nothing of the environment of the tests but the PATH."""
    named = {name if name in UNPREFIXED else PREFIX + name: value for name, value in settings.items()}
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)} | named


class Daemon:
    """One process of the daemon; a context manager."""

    def __init__(
        self,
        executable: Path,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        token: str | None = None,
    ) -> None:
        """Nothing runs yet.

        folder: where the daemon works and where its log goes; empty.
        token: sent with every request of the helpers below.
        """
        self.folder = folder
        self._log_path = folder.with_name(folder.name + ".log")
        self._command = [str(executable), *arguments]
        self._environment = environment(folder, DEFAULTS | dict(settings or {}))
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        watch.daemon_has(self._environment, [token or ""])
        watch.keeps(self._log_path)
        self.process: subprocess.Popen[bytes] | None = None
        self.api = Address("", 0)
        self.metrics = Address("", 0)

    # Life

    def __enter__(self) -> Daemon:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self.process is not None, "the daemon does not run"
        return self.process.pid

    def start(self, deadline: float = 30) -> None:
        """Starts it and waits until it says where it listens."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            line = wait_until(self._listening, "the daemon says where it listens", deadline)
        except BaseException:
            self.stop()
            raise
        self.api = _address(line, "api")
        self.metrics = _address(line, "metrics")

    def signal(self, number: int) -> None:
        """Sends a signal to the daemon's process alone."""
        assert self.process is not None, "the daemon does not run"
        self.process.send_signal(number)

    def wait(self, deadline: float) -> int:
        """The exit status, once it has ended."""
        assert self.process is not None, "the daemon does not run"
        return self.process.wait(timeout=deadline)

    def stop(self, deadline: float = 30) -> int | None:
        """Asks it to end, insists after the deadline; the exit status. May be called again."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=deadline)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        # No daemon of the whole run has printed a secret (I13): looked at whenever one ends, and at the end of all.
        watch.output(f"the log {self._log_path.name}", self._log_path.read_bytes())
        return self.process.returncode

    def log(self) -> str:
        """What it has printed so far."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def _listening(self) -> str | None:
        assert self.process is not None
        found = _LISTENING.search(self.log())
        if found is None and self.process.poll() is not None:
            raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        return found[0] if found else None

    # Requests

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> Reply:
        """A request to the API on a connection of its own; `body` is sent as JSON unless it is bytes."""
        watch.caller_hands_over(body)
        return fetch(self.api, method, path, body, self._headers | dict(headers or {}), timeout)

    def acquire(self, user: str, project: str, body: Any = None) -> Reply:
        return self.request("PUT", sandbox_path(user, project), body)

    def release(self, user: str, project: str) -> Reply:
        return self.request("DELETE", sandbox_path(user, project))

    def execute(self, user: str, project: str, *command: str, **fields: Any) -> Reply:
        return self.request("POST", sandbox_path(user, project) + "/exec", {"command": command} | fields)

    def output(self, user: str, project: str, *command: str, **fields: Any) -> str:
        """What a command that succeeds prints."""
        reply = self.execute(user, project, *command, **fields)
        assert reply.status == 200, reply
        assert reply.json["exit_code"] == 0, reply.json
        return reply.json["stdout"]

    def stats(self) -> dict[str, Any]:
        reply = self.request("GET", "/v1/stats")
        assert reply.status == 200, reply
        return reply.json

    def sandboxes(self, query: str = "limit=1000") -> list[dict[str, Any]]:
        reply = self.request("GET", f"/v1/sandboxes?{query}")
        assert reply.status == 200, reply
        return reply.json["sandboxes"]

    def page(self, accept: str | None = None) -> Page:
        """A scrape."""
        reply = self.observe("/metrics", {"Accept": accept} if accept else None)
        assert reply.status == 200, reply
        return Page(reply.text)

    def observe(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Reply:
        """A request to the listener for metrics and health."""
        return fetch(self.metrics, method, path, headers=headers)


def sandbox_path(user: str, project: str) -> str:
    """The path of a lease; the ids stand in it as they are."""
    return f"/v1/users/{user}/projects/{project}/sandbox"


def run_to_end(
    executable: Path, folder: Path, settings: Mapping[str, str], arguments: Sequence[str] = (), deadline: float = 30
) -> subprocess.CompletedProcess[str]:
    """Runs the program where it is expected to end by itself."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = environment(folder, settings)
    watch.daemon_has(seen)
    ended = subprocess.run(
        [str(executable), *arguments],
        cwd=folder,
        env=seen,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=deadline,
        check=False,
    )
    watch.output(f"what {' '.join(arguments[:1])} prints", (ended.stdout + ended.stderr).encode())
    return ended


def _address(line: str, name: str) -> Address:
    found = re.search(rf"\b{name}\W+([\d.]+):(\d+)", line)
    assert found is not None, line
    return Address(found[1], int(found[2]))
