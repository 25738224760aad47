"""Everything a client can do wrong: refused in words, nothing allocated, and the daemon none the worse."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from daemon import Daemon, sandbox_path
from page import differences
from waiting import wait_until
from wire import Address, connect, exchange, read_reply, request_bytes

VALID = sandbox_path("alice", "demo")
# Beyond these the daemon could have been made to keep something.
UNMOVED = (
    "active", "creating", "releasing", "created", "slots_in_use", "open_intents", "user_locks", "user_lock_waiters",
)  # fmt: skip


@pytest.fixture(scope="module")
def shared(launch: Callable[..., Daemon]) -> Iterator[Daemon]:
    with launch({"LOG_LEVEL": "debug"}) as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: Daemon) -> Iterator[Daemon]:
    """One daemon for all; after each test it is as it was before."""
    before = books(shared)
    made = shared.page().sum("user_locks_created_total")
    yield shared
    wait_until(lambda: books(shared) == before, f"the daemon is as before: {differences(before, books(shared))}")
    assert shared.page().sum("user_locks_created_total") == made, "a user lock was made for bad input"
    assert shared.observe("/healthz").status == 200
    assert shared.process is not None and shared.process.poll() is None


def books(daemon: Daemon) -> dict[str, float]:
    """What bad input must not move."""
    stats = daemon.stats()
    return {name: stats[name] for name in UNMOVED} | daemon.page().values("collection_entries", "collection")


def refused(reply: Any, status: int, code: str) -> None:
    """A problem document with words in it."""
    assert reply is not None, "closed without an answer"
    assert reply.status == status, reply
    assert reply.code == code, reply
    problem = reply.json
    assert problem["status"] == status and problem["title"] and len(problem["detail"]) > 8, problem
    assert problem["type"] == "about:blank"


# Paths

BAD_IDS = {
    "colon (S1)": "a:b",
    "escaped colon": "a%3Ab",
    "escaped slash": "a%2Fb",
    "escaped NUL": "a%00b",
    "percent without digits": "a%zzb",
    "percent with one digit": "a%1",
    "percent at the end": "a%",
    "escaped newline (S5)": "a%0Ab",
    "escaped carriage return": "a%0D%0Ab",
    "blank": "a%20b",
    "only a blank": "%20",
    "star": "a*b",
    "invalid UTF-8": "a%ff%feb",
    "letters beyond ASCII": "%C3%A4lice",
    "escaped percent": "a%25b",
    "nothing": "",
    "129 bytes": "x" * 129,
    "129 escaped bytes": "%78" * 129,
    "quotes": "a%22b",
    "semicolon": "a;b",
}


@pytest.mark.parametrize("where", ["user", "project"])
@pytest.mark.parametrize("bad", BAD_IDS.values(), ids=BAD_IDS.keys())
def test_S5_a_bad_id_is_refused_before_anything_is_allocated(daemon: Daemon, bad: str, where: str) -> None:
    path = sandbox_path(bad, "demo") if where == "user" else sandbox_path("alice", bad)
    for method in ("PUT", "GET", "DELETE"):
        refused(exchange(daemon.api, request_bytes(method, path)), 400, "invalid_argument")


def test_a_literal_slash_in_an_id_is_another_path(daemon: Daemon) -> None:
    refused(exchange(daemon.api, request_bytes("PUT", sandbox_path("a/b", "demo"))), 404, "route_not_found")


@pytest.mark.parametrize(
    "target",
    [b"/v1/users/a\nb/projects/p/sandbox", b"/v1/users/a\x00b/projects/p/sandbox", b"/v1/users/a b/projects/p/sandbox"],
    ids=["newline", "NUL", "blank"],
)
def test_a_raw_control_byte_in_the_path_is_refused(daemon: Daemon, target: bytes) -> None:
    reply = exchange(daemon.api, b"PUT " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert reply is None or 400 <= reply.status < 500, reply


@pytest.mark.parametrize(
    "path",
    [
        "/", "//", "/v1", "/v1/", "/v2/stats", "/v1/stats/", "/v1//stats", "/v1/users/a/projects/p/sandbox/",
        "/v1/users/a/projects/p", "/v1/users/a/projects/p/sandbox/unknown", "/v1/users/a/../projects/p/sandbox",
        "/v1/users/a/projects/p/sandbox/exec/more", "/metrics", "/healthz", "/V1/stats", "/v1/%73tats",
    ],
)  # fmt: skip
def test_a_path_that_does_not_exist_is_not_guessed(daemon: Daemon, path: str) -> None:
    refused(exchange(daemon.api, request_bytes("GET", path)), 404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", VALID, {"PUT", "GET", "HEAD", "DELETE"}),
        ("PATCH", VALID, {"PUT", "GET", "HEAD", "DELETE"}),
        ("GET", VALID + "/exec", {"POST"}),
        ("PUT", VALID + "/keepalive", {"POST"}),
        ("DELETE", "/v1/sandboxes", {"GET", "HEAD"}),
        ("BREW", "/v1/stats", {"GET", "HEAD"}),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(daemon: Daemon, method: str, path: str, allowed: set[str]) -> None:
    reply = exchange(daemon.api, request_bytes(method, path))
    refused(reply, 405, "method_not_allowed")
    assert reply is not None and set(reply.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "query", ["limit=x", "limit=", "limit=-1", "limit=0", "user_id=a:b", "user_id=%00", "unknown=1", "limit=1e3"]
)
def test_a_bad_query_is_refused(daemon: Daemon, query: str) -> None:
    refused(exchange(daemon.api, request_bytes("GET", f"/v1/sandboxes?{query}")), 400, "invalid_argument")


# Bodies

BAD_BODIES: dict[str, bytes] = {
    "not JSON": b"template=base",
    "cut off": b'{"template": "ba',
    "a list": b"[]",
    "a string": b'"base"',
    "a number": b"1",
    "null": b"null",
    "two values": b"{} {}",
    "invalid UTF-8": b'{"template": "\xff\xfe"}',
    "NUL bytes": b"\x00\x00\x00",
    "an unknown field": b'{"templates": "base"}',
    "template is a number": b'{"template": 1}',
    "template is empty": b'{"template": ""}',
    "metadata is a list": b'{"metadata": []}',
    "metadata holds a number": b'{"metadata": {"a": 1}}',
    "metadata holds an object": b'{"metadata": {"a": {}}}',
    "envs is a string": b'{"envs": "A=1"}',
    "envs holds null": b'{"envs": {"A": null}}',
    "timeout is a string": b'{"timeout_seconds": "60"}',
    "timeout is a truth value": b'{"timeout_seconds": true}',
    "timeout is too short": b'{"timeout_seconds": 14}',
    "timeout is negative": b'{"timeout_seconds": -60}',
    "timeout is above the greatest age": b'{"timeout_seconds": 3601}',
    "timeout is huge": b'{"timeout_seconds": 1e300}',
    "timeout overflows": b'{"timeout_seconds": 1e999}',
    "timeout is not a number": b'{"timeout_seconds": NaN}',
    "deeply nested": b"[" * 30_000 + b"]" * 30_000,
    "deeply nested objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
} | {
    f"reserved metadata {name} (S3)": json.dumps({"metadata": {name: "mallory"}}).encode()
    for name in (
        "user_id", "project_id", "sandbox_manager_key", "sandbox_manager_token", "sandbox_manager_environment",
        "sandbox_manager_epoch",
    )
}  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_body_is_refused(daemon: Daemon, body: bytes) -> None:
    refused(exchange(daemon.api, request_bytes("PUT", VALID, body)), 400, "invalid_argument")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"[]", b'{"command": []}', b'{"command": "ls"}', b'{"command": [1]}', b'{"command": [""]}',
        b'{"command": ["a\\u0000b"]}', b'{"command": ["ls"], "stdin": 1}', b'{"command": ["ls"], "timeout_seconds": 0}',
        b'{"command": ["ls"], "timeout_seconds": 3601}', b'{"command": ["ls"], "shell": true}',
    ],
)  # fmt: skip
def test_a_bad_command_is_refused(daemon: Daemon, body: bytes) -> None:
    refused(exchange(daemon.api, request_bytes("POST", VALID + "/exec", body)), 400, "invalid_argument")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""])
def test_a_body_of_another_kind_is_refused(daemon: Daemon, kind: str | None) -> None:
    lines = [] if kind is None else [f"Content-Type: {kind}"]
    head = "\r\n".join([f"PUT {VALID} HTTP/1.1", "Host: localhost", *lines, "Content-Length: 2", "", ""])
    refused(exchange(daemon.api, head.encode() + b"{}"), 415, "unsupported_media_type")


def test_a_body_of_a_megabyte_is_refused_unread(daemon: Daemon) -> None:
    body = b'{"metadata": {"a": "' + b"x" * (1 << 20) + b'"}}'
    refused(exchange(daemon.api, request_bytes("PUT", VALID, body)), 413, "payload_too_large")


def test_a_chunked_body_of_a_megabyte_is_refused(daemon: Daemon) -> None:
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    head = f"PUT {VALID} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    refused(exchange(daemon.api, head.encode() + chunk * 64 + b"0\r\n\r\n"), 413, "payload_too_large")


def test_a_body_that_breaks_off_is_no_request(daemon: Daemon) -> None:
    whole = request_bytes("PUT", VALID, b'{"template": "base"}')
    # Those who only stop sending are cut off when their time is up: all at once, so that it is waited for once.
    lengths = (1, 10, len(whole) // 2, len(whole) - 1)
    with ThreadPoolExecutor(len(lengths)) as pool:
        replies = list(pool.map(lambda length: exchange(daemon.api, whole[:length], half_close=True), lengths))
    assert all(reply is None or 400 <= reply.status < 500 for reply in replies), replies
    for length in lengths:
        with connect(daemon.api) as connection:
            connection.sendall(whole[:length])


# Framing

FRAMING = {
    "Content-Length with Transfer-Encoding": ["Content-Length: 2", "Transfer-Encoding: chunked"],
    "two Content-Lengths": ["Content-Length: 2", "Content-Length: 3"],
    "a negative Content-Length": ["Content-Length: -2"],
    "a Content-Length that is no number": ["Content-Length: two"],
    "a Content-Length that overflows": ["Content-Length: 99999999999999999999999"],
    "an unknown Transfer-Encoding": ["Transfer-Encoding: gzip"],
    "two Hosts": ["Host: localhost"],
    "a folded header": ["X-One: a", " folded"],
    "a blank before the colon": ["X-One : a"],
    "a header without a colon": ["X-One"],
    "a header without a name": [": a"],
    "a NUL in a header": ["X-One: a\0b"],
    "another expectation": ["Expect: 200-ok"],
}


@pytest.mark.parametrize("lines", FRAMING.values(), ids=FRAMING.keys())
def test_a_request_that_can_be_read_in_two_ways_is_refused(daemon: Daemon, lines: list[str]) -> None:
    head = [f"PUT {VALID} HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines, "", ""]
    reply = exchange(daemon.api, "\r\n".join(head).encode() + b"{}")
    assert reply is None or 400 <= reply.status < 500, reply


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xab" * 200,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"rubbish\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"GET http://evil.example/v1/stats HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"GET /v1/stats HTTP/1.1\r\n\r\n",
        b"GET /v1/stats HTTP/1.1\nHost: localhost\n\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x00" * 1000,
    ],
    ids=[
        "TLS", "HTTP/2", "rubbish", "only a method", "HTTP/9.9", "an absolute target", "CONNECT", "no Host",
        "bare line feeds", "an endless path", "NULs",
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_or_cut_off(daemon: Daemon, sent: bytes) -> None:
    reply = exchange(daemon.api, sent, half_close=True)
    assert reply is None or reply.status in (400, 401, 404, 405, 413, 414, 431, 501, 505), reply


def test_a_flood_of_headers_is_refused(daemon: Daemon) -> None:
    lines = [f"X-Flood-{number}: {'x' * 100}" for number in range(1000)]
    reply = exchange(daemon.api, request_bytes("GET", "/v1/stats", headers=lines))
    assert reply is None or reply.status == 431, reply
    reply = exchange(daemon.api, request_bytes("GET", "/v1/stats", headers=[f"X-Long: {'x' * 9000}"]))
    refused(reply, 431, "header_too_large")


def test_rubbish_that_follows_a_request_does_not_harm_it(daemon: Daemon) -> None:
    with connect(daemon.api, timeout=15) as connection:
        connection.sendall(request_bytes("GET", "/v1/stats") + b"rub\xffbish\r\n\r\n" * 10)
        first = read_reply(connection)
        assert first is not None and first[0].status == 200
        rest = first[1]
        while True:
            try:
                piece = connection.recv(65536)
            except ConnectionError:
                break
            if not piece:
                break
            rest += piece
    # The rubbish gets a refusal or nothing, and the connection ends.
    assert rest == b"" or rest.startswith(b"HTTP/1.1 4"), rest


def test_requests_sent_ahead_are_answered_in_order(daemon: Daemon) -> None:
    with connect(daemon.api, timeout=10) as connection:
        connection.sendall(b"".join(request_bytes("GET", path) for path in ("/v1/stats", "/nowhere", "/v1/sandboxes")))
        rest, statuses = b"", []
        for _ in range(3):
            found = read_reply(connection, rest)
            assert found is not None
            statuses.append(found[0].status)
            rest = found[1]
    assert statuses == [200, 404, 200]


def test_slow_clients_are_cut_off_however_they_dawdle(daemon: Daemon) -> None:
    """A header that drips, a header that stops, a body that drips and a body that stops, all at once."""

    def drip(address: Address, begin: bytes, more: bytes, found: dict[str, Any], name: str) -> None:
        began = time.monotonic()
        with connect(address, timeout=1) as connection:
            connection.sendall(begin)
            sent = 0
            while time.monotonic() - began < 20:
                try:
                    if sent < len(more):
                        connection.send(more[sent : sent + 1])
                        sent += 1
                    connection.settimeout(0.3)
                    if connection.recv(65536) == b"":
                        break
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
            found[name] = time.monotonic() - began

    body = f"PUT {VALID} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n"
    kinds = {
        "dripping header": (b"GET /v1/stats HTTP/1.1\r\nHost: localhost\r\nX-Drip: ", b"x" * 1000),
        "stopped header": (b"GET /v1/stats HTT", b""),
        "dripping body": (body.encode(), b" " * 998),
        "stopped body": (body.encode() + b"{", b""),
    }
    found: dict[str, Any] = {}
    threads = [threading.Thread(target=drip, args=(daemon.api, *kind, found, name)) for name, kind in kinds.items()]
    for thread in threads:
        thread.start()
    # Others are served meanwhile.
    assert daemon.stats()["user_locks"] == 0
    for thread in threads:
        thread.join()
    assert found.keys() == kinds.keys()
    assert all(seconds < 15 for seconds in found.values()), found


def test_clients_that_hang_up_early_leave_nothing_behind(daemon: Daemon) -> None:
    for _ in range(200):
        with connect(daemon.api) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            connection.sendall(request_bytes("GET", "/v1/stats"))
    wait_until(lambda: daemon.page().sum("http_connections") <= 2, "the connections are gone")
    assert daemon.page().sum("http_requests_in_flight") <= 1


def test_nothing_of_a_bad_request_is_repeated_in_the_log(daemon: Daemon) -> None:
    word = "CANARY-7f3a"
    exchange(daemon.api, request_bytes("PUT", sandbox_path(f"{word}%0Aforged", "demo")))
    exchange(daemon.api, request_bytes("PUT", VALID, json.dumps({"envs": {"A": word}, "unknown": 1}).encode()))
    exchange(daemon.api, request_bytes("GET", f"/v1/{word}", headers=[f"Authorization: Bearer {word}"]))
    exchange(daemon.api, request_bytes("GET", "/v1/stats", headers=[f'X-Request-Id: {word}"\tforged=1']))
    assert word not in daemon.log()
