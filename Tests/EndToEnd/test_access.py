"""Who may use the API, and that the token is nowhere to be read."""

from __future__ import annotations

import base64
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon import Daemon, run_to_end, sandbox_path
from redis_support import free_port
from waiting import wait_until
from wire import Reply, exchange, request_bytes

OLD = "old-token-0123456789abcdef"
NEW = "new-token-fedcba9876543210"


@pytest.fixture(scope="module")
def guarded(launch: Callable[..., Daemon]) -> Iterator[Daemon]:
    """With two tokens, as during a rotation, and a talkative log."""
    with launch({"API_TOKEN": f"{OLD},{NEW}", "LOG_LEVEL": "trace"}, token=NEW) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def local(launch: Callable[..., Daemon]) -> Iterator[Daemon]:
    with launch() as daemon:
        yield daemon


def ask(daemon: Daemon, *headers: str, host: str = "localhost", method: str = "GET") -> Reply:
    path = "/v1/stats" if method == "GET" else sandbox_path("alice", "demo")
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]
    reply = exchange(daemon.api, "\r\n".join(head).encode())
    assert reply is not None
    return reply


@pytest.mark.parametrize(
    "header",
    [
        None,
        "Authorization: ",
        "Authorization: Bearer",
        "Authorization: Bearer ",
        "Authorization: Bearer wrong",
        f"Authorization: Bearer {OLD}x",
        f"Authorization: Bearer {OLD[:-1]}",
        f"Authorization: Bearer {OLD.upper()}",
        f"Authorization: Bearer {OLD},{NEW}",
        f"Authorization: {OLD}",
        f"Authorization: Token {OLD}",
        "Authorization: Basic " + base64.b64encode(f"user:{OLD}".encode()).decode(),
        f"X-Token: {OLD}",
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_without_the_right_token_nothing_is_done(guarded: Daemon, header: str | None, method: str) -> None:
    reply = ask(guarded, *([header] if header else []), method=method)
    assert reply.status == 401 and reply.code == "unauthenticated"
    assert reply.headers["www-authenticate"].startswith("Bearer")
    page = guarded.page()
    assert page.sum("user_locks_created_total") == 0 and page.sum("sandboxes_created_total") == 0


@pytest.mark.parametrize("token", [OLD, NEW])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_either_token_of_a_rotation_is_accepted(guarded: Daemon, token: str, scheme: str) -> None:
    assert ask(guarded, f"Authorization: {scheme} {token}").status == 200


def test_with_a_token_any_host_name_is_served(guarded: Daemon) -> None:
    assert ask(guarded, f"Authorization: Bearer {NEW}", host="manager.example.com").status == 200


def test_a_path_that_does_not_exist_is_not_told_to_strangers(guarded: Daemon) -> None:
    reply = exchange(guarded.api, request_bytes("GET", "/nowhere"))
    assert reply is not None and reply.status == 401


def test_health_and_metrics_need_no_token(guarded: Daemon) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert guarded.observe(path).status == 200


def test_I13_the_token_is_never_printed(guarded: Daemon, start: Callable[..., Daemon]) -> None:
    ask(guarded, f"Authorization: Bearer {OLD}")
    ask(guarded, f"Authorization: Bearer {OLD}x")
    pages = guarded.page().text + str(guarded.stats())
    other = start({"API_TOKEN": OLD, "LOG_LEVEL": "trace", "LOG_FORMAT": "json"}, token=OLD)
    other.stats()
    other.stop()
    for text in (guarded.log(), other.log(), pages):
        assert OLD not in text and NEW not in text
        assert OLD[:12] not in text and NEW[:12] not in text


def test_I13_what_callers_hand_over_is_never_printed(start: Callable[..., Daemon]) -> None:
    daemon = start({"PROVIDER": "local", "LOG_LEVEL": "trace"})
    secrets = [f"secret-{place}-0123456789" for place in ("env", "stdin", "argument", "output")]
    assert daemon.acquire("alice", "demo", {"envs": {"KEY": secrets[0]}}).status == 201
    assert daemon.output("alice", "demo", "printenv", "KEY") == secrets[0] + "\n"
    assert daemon.output("alice", "demo", "cat", stdin=secrets[1]) == secrets[1]
    daemon.output("alice", "demo", "echo", secrets[2])
    explained = daemon.request("GET", "/v1/explain/alice/demo").text
    daemon.stop()
    for secret in secrets:
        assert secret not in daemon.log() and secret not in explained


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8484", "127.0.0.1.evil.example", "localhost.evil.example", "[::2]", "10.0.0.1", ""]
)
def test_without_a_token_a_foreign_host_name_is_refused(local: Daemon, host: str) -> None:
    for method in ("GET", "PUT"):
        reply = ask(local, host=host, method=method)
        assert reply.status in (400, 401)
        assert reply.code in ("unauthenticated", "invalid_argument")
    assert local.page().sum("user_locks_created_total") == 0


@pytest.mark.parametrize("host", ["localhost", "localhost:8484", "127.0.0.1", "127.9.9.9:80", "[::1]:8484", "LOCALHOST"])
def test_without_a_token_loopback_names_are_served(local: Daemon, host: str) -> None:
    assert ask(local, host=host).status == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "https://localhost.evil.example", "null", "http://127.0.0.1.evil.example:80", "file://", "localhost"],
)
def test_without_a_token_a_page_of_another_origin_is_refused(local: Daemon, origin: str) -> None:
    for method in ("GET", "PUT"):
        reply = ask(local, f"Origin: {origin}", method=method)
        assert reply.status == 401 and reply.code == "unauthenticated"
    assert local.page().sum("user_locks_created_total") == 0


def test_without_a_token_a_page_of_this_machine_is_served(local: Daemon) -> None:
    assert ask(local, "Origin: http://localhost:3000").status == 200


BEYOND = [
    "0.0.0.0:0", "[::]:0", "[::ffff:127.0.0.1]:0", "[::ffff:0.0.0.0]:0", "[fe80::1]:0", "192.0.2.1:0", "128.0.0.1:0",
    "126.255.255.255:0", "[::2]:0",
]  # fmt: skip
NO_ADDRESS = [
    ":0", "*:0", "0:0", "example.com:0", "localhost.evil.example:0", "127.0.0.1.nip.io:0", "localhost@0.0.0.0:0", "2130706433:0",
    "0x7f.0.0.1:0", "0177.0.0.1:0", "127.1:0", "[::1%lo]:0", "::1:0", "[::]", "127.0.0.1,0.0.0.0:0", "127.0.0.1:0,0.0.0.0:0",
    "127.0.0.1 0.0.0.0:0", "[127.0.0.1]:0", "127.0.0.1:-1", "127.0.0.1:65536",
]  # fmt: skip


def refused_to_start(executable: Path, folder: Path, **settings: str) -> str:
    """What a daemon says that ends for its configuration, without ever having listened."""
    ended = run_to_end(executable, folder, {"METRICS_LISTEN": "127.0.0.1:0", "PROVIDER": "simulated"} | settings)
    assert ended.returncode == 64, ended
    assert "listening" not in ended.stderr + ended.stdout
    return ended.stderr


@pytest.mark.parametrize("listen", BEYOND)
def test_beyond_loopback_a_token_is_required(executable: Path, tmp_path: Path, listen: str) -> None:
    assert "token" in refused_to_start(executable, tmp_path / "work", API_LISTEN=listen)


@pytest.mark.parametrize("token", ["", " ", ",", "a,", ",a", "\t", "a b"])
def test_beyond_loopback_an_empty_token_is_none(executable: Path, tmp_path: Path, token: str) -> None:
    assert "token" in refused_to_start(executable, tmp_path / "work", API_LISTEN="0.0.0.0:0", API_TOKEN=token)


@pytest.mark.parametrize("listen", NO_ADDRESS)
def test_what_is_not_plainly_an_address_is_not_listened_on(executable: Path, tmp_path: Path, listen: str) -> None:
    assert "api.listen" in refused_to_start(executable, tmp_path / "work", API_LISTEN=listen)


def test_without_a_token_nothing_but_loopback_reaches_the_api(local: Daemon) -> None:
    """By the other addresses of this machine there is nobody."""
    addresses = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for host in addresses:
        if not host.startswith("127."):
            for port in (local.api.port, local.metrics.port):
                with pytest.raises(OSError):
                    socket.create_connection((host, port), timeout=5).close()


def test_S6_the_password_of_redis_is_nowhere_to_be_read(launch: Callable[..., Daemon]) -> None:
    """In a talkative log of a daemon whose every attempt to log in fails."""
    password = "hunter2-and-more"
    url = f"redis://someone:{password}@127.0.0.1:{free_port()}/0"
    with launch({"REDIS_URL": url, "PROVIDER": "simulated", "LOG_LEVEL": "trace"}) as daemon:
        wait_until(lambda: daemon.observe("/readyz").json["store_mode"] == "degraded", "the outage is noticed", 10)
        seen = [daemon.acquire("alice", "demo").text, daemon.observe("/readyz").text, daemon.observe("/metrics").text]
        seen += [daemon.request("GET", "/v1/stats").text, daemon.request("GET", "/v1/explain/alice/demo").text]
        assert "redis" in daemon.log()
        assert not [text for text in [*seen, daemon.log()] if password in text]
