"""Looks for secrets in everything that daemons emit, over a whole run of the tests (I13).

Whatever starts a program of ours tells the watch its secrets and shows it the output; `wire` shows it every reply. A
secret is looked for in the output of all daemons, not only of the one that had it.

- Keys, tokens and passwords of a daemon may be nowhere.
- Access tokens of sandboxes may be in the replies that describe a lease to its owner, and nowhere else.
- What callers hand over (variables, the input of a command) may be in the output of a command, and nowhere else.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# A key of E2B, or an access token as the fake cloud makes them.
_LOOKS_LIKE_ONE = re.compile(rb"e2b_[0-9a-f]{20,}|tok_[a-z0-9]{8,}")
# Settings whose values are secrets as a whole.
_SECRET_SETTINGS = ("E2B_API_KEY", "SANDBOX_MANAGER_API_TOKEN", "SANDBOX_MANAGER_API_TOKEN_SECONDARY")
_URLS = ("REDIS_URL", "E2B_API_URL", "E2B_SANDBOX_URL")
# A lease is described by these; everything else in such a reply is looked at like any other page.
_OWNERS_OWN = ("envd_access_token", "traffic_access_token")
_SHORTEST = 6


class SecrecyWatch:
    """Remembers secrets and outputs; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._daemons: set[bytes] = set()
        self._callers: set[bytes] = set()
        self._logs: set[Path] = set()
        # In words, without the secret itself.
        self.found: list[str] = []
        self.replies_seen = 0

    # What there is to hide

    def daemon_has(self, environment: Mapping[str, str], more: Iterable[str] = ()) -> None:
        """The secrets among a daemon's settings."""
        given = [part.strip() for name in _SECRET_SETTINGS for part in environment.get(name, "").split(",")]
        for name in _URLS:
            password = _password(environment.get(name, ""))
            given += [password, urllib.parse.unquote(password)]
        self._remember(self._daemons, [*given, *more])

    def caller_hands_over(self, body: Any) -> None:
        """The secrets among the fields of a request: variables of a sandbox, the input of a command."""
        if isinstance(body, Mapping):
            variables = body.get("envs")
            values = list(variables.values()) if isinstance(variables, Mapping) else []
            # Only what its author calls a secret: "1" or "red" may be a word of any page.
            self._remember(self._callers, [one for one in [*values, body.get("stdin")] if _is_called_secret(one)])

    def _remember(self, where: set[bytes], secrets: Iterable[str]) -> None:
        with self._lock:
            where |= {secret.encode() for secret in secrets if len(secret) >= _SHORTEST}

    # What is looked at

    def keeps(self, log: Path) -> None:
        """A file that a daemon writes to; looked at when the run ends, with all secrets that are known by then."""
        with self._lock:
            self._logs.add(log)

    def reply(self, headers: Iterable[str], body: bytes) -> None:
        """Looks at a reply, whoever asked for it."""
        self.replies_seen += 1
        where = "a reply"
        head = "\n".join(headers).encode()
        self.output("the header of a reply", head)
        if b'"exit_code"' in body:
            # What a command printed is its caller's own affair.
            self._look(where, body, self._daemons, pattern=False)
            return
        if b"_access_token" in body:
            body = _without_owners_own(body)
        self.output(where, body)

    def output(self, where: str, text: bytes) -> None:
        """Looks at anything else: a log, a page, what a command prints."""
        self._look(where, text, self._daemons | self._callers, pattern=True)

    def _look(self, where: str, text: bytes, secrets: set[bytes], pattern: bool) -> None:
        with self._lock:
            shown = [secret for secret in secrets if secret in text]
        self.found += [f"{where} shows the secret that begins with {secret[:4].decode()!r}" for secret in shown]
        if pattern and not shown and (likely := _LOOKS_LIKE_ONE.search(text)):
            self.found.append(f"{where} shows what looks like a secret: {likely[0][:8].decode()}...")

    def look_at_logs(self) -> int:
        """Looks at all logs once more; how many there were."""
        with self._lock:
            logs = {log for log in self._logs if log.exists()}
        for log in sorted(logs):
            self.output(f"the log {log.name}", log.read_bytes())
        return len(logs)


def _is_called_secret(value: Any) -> bool:
    return isinstance(value, str) and "secret" in value and len(value) < 1000


def _password(url: str) -> str:
    """As it stands in the URL; a raw @ may be in it."""
    user_info, at, _ = url.partition("://")[2].rpartition("@")
    return user_info.partition(":")[2] if at else ""


def _without_owners_own(body: bytes) -> bytes:
    try:
        value = json.loads(body)
    except ValueError:
        return body
    if not isinstance(value, dict) or "sandbox_id" not in value:
        return body
    return json.dumps({name: one for name, one in value.items() if name not in _OWNERS_OWN}).encode()


# One for the whole run.
watch = SecrecyWatch()
