"""Requests that one reader takes for one and another for two, and clients that hold a connection without using it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from daemon import Daemon, sandbox_path
from waiting import wait_until
from wire import Reply, connect, exchange, read_reply, request_bytes

Crowded = tuple[Daemon, Future[Reply]]

# What is hidden in the body of another request. If it is seen, no sandbox is made any more.
HIDDEN = b"POST /v1/admin/stop-creates HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
START = b"PUT " + sandbox_path("alice", "demo").encode() + b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def daemon(launch: Callable[..., Daemon]) -> Iterator[Daemon]:
    with launch({"API_MAX_CONNECTIONS": "600"}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def crowded(launch: Callable[..., Daemon]) -> Iterator[Crowded]:
    """A daemon with all its connections taken by clients that stopped, and a request that waits for one."""
    with launch({"API_MAX_CONNECTIONS": "8"}) as daemon, ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        for _ in range(8):
            stack.enter_context(connect(daemon.api)).sendall(b"GET /v1")
        wait_until(lambda: daemon.page().sum("http_connections") >= 8, "they are all connected")
        yield daemon, pool.submit(daemon.request, "GET", "/v1/stats")


def replies(daemon: Daemon, sent: bytes) -> list[int]:
    """The statuses of all replies until the connection ends."""
    with connect(daemon.api, timeout=20) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        found, rest = [], b""
        while reply := read_reply(connection, rest):
            found.append(reply[0].status)
            rest = reply[1]
        return found


def chunked(*chunks: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


LENGTH = str(len(HIDDEN)).encode()
FULL = b"Content-Length: " + LENGTH + b"\r\n"
# Each ends its header such that one reading has HIDDEN as a body and another as a second request.
AMBIGUOUS = {
    "length, then chunked": FULL + chunked(b"0\r\n\r\n", HIDDEN),
    "chunked, then length": b"Transfer-Encoding: chunked\r\n" + FULL + b"\r\n0\r\n\r\n" + HIDDEN,
    "two lengths, short first": b"Content-Length: 0\r\n" + FULL + b"\r\n" + HIDDEN,
    "two lengths, long first": FULL + b"Content-Length: 0\r\n\r\n" + HIDDEN,
    "a list of lengths": b"Content-Length: 0, " + LENGTH + b"\r\n\r\n" + HIDDEN,
    "a length with a sign": b"Content-Length: +" + LENGTH + b"\r\n\r\n" + HIDDEN,
    "a length in hexadecimal": b"Content-Length: 0x10\r\n\r\n" + HIDDEN,
    "a length with a blank in it": b"Content-Length: 0 1\r\n\r\n" + HIDDEN,
    "an empty length": b"Content-Length: \r\n\r\n" + HIDDEN,
    "a length with a tab behind its name": b"Content-Length\t: 0\r\n" + FULL + b"\r\n" + HIDDEN,
    "length behind a bare line feed": b"X-A: b\nContent-Length: 0\r\n" + FULL + b"\r\n" + HIDDEN,
    "length on a folded line": b"X-A: b\r\n Content-Length: 0\r\n" + FULL + b"\r\n" + HIDDEN,
    "length behind a carriage return": b"X-A: b\rContent-Length: 0\r\n" + FULL + b"\r\n" + HIDDEN,
    "length behind a NUL": b"X-A: b\x00Content-Length: 0\r\n" + FULL + b"\r\n" + HIDDEN,
    "an end of header by bare line feeds": b"X-A: b\n\n" + HIDDEN,
} | {
    f"coding {coding!r}": FULL + b"Transfer-Encoding" + coding + b"\r\n\r\n0\r\n\r\n" + HIDDEN
    for coding in (
        b": xchunked", b" : chunked", b": chunked, identity", b": identity, chunked", b": chunked\r\nTransfer-Encoding: x",
        b": \x0bchunked", b': "chunked"', b": chunked;q=1", b":chunked\x00", b": chunk", b": CHUNKED ,", b": ", b":\n chunked",
    )
} | {
    f"a lone coding {coding!r}": b"Transfer-Encoding" + coding + b"\r\n\r\n0\r\n\r\n" + HIDDEN
    for coding in (
        b": xchunked", b": chunked, identity", b": gzip, chunked", b": identity", b": \x0bchunked", b': "chunked"',
        b": chunked\r\nTransfer-Encoding: identity",
    )
}  # fmt: skip
# Chunks that are malformed: what comes behind them must not be taken for a request.
BAD_CHUNKS = {
    "a size with a prefix": [b"0x0\r\n\r\n"],
    "a size with a sign": [b"+0\r\n\r\n"],
    "a negative size": [b"-1\r\n\r\n"],
    "a size that overflows": [b"ffffffffffffffff1\r\n\r\n"],
    "a size that wraps to nothing": [b"10000000000000000\r\n\r\n"],
    "no size": [b"\r\n\r\n"],
    "a chunk without an end": [b"2\r\n{}", b"0\r\n\r\n"],
    "a chunk longer than its size": [b"1\r\n{}\r\n", b"0\r\n\r\n"],
}


@pytest.mark.parametrize("rest", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_can_be_read_in_two_ways_is_refused_and_ends_the_connection(daemon: Daemon, rest: bytes) -> None:
    found = replies(daemon, START + rest)
    assert len(found) <= 1 and all(400 <= status < 600 for status in found), found
    assert not daemon.stats()["creations_stopped"], "the hidden request was done"


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_behind_malformed_chunks_nothing_is_read(daemon: Daemon, chunks: list[bytes]) -> None:
    found = replies(daemon, START + chunked(*chunks, HIDDEN))
    assert len(found) <= 1 and all(400 <= status < 600 for status in found), found
    assert not daemon.stats()["creations_stopped"], "the hidden request was done"


def test_the_control_a_second_request_behind_a_good_one_is_done(daemon: Daemon) -> None:
    """So that the tests above would see it."""
    sent = START + chunked(b"2\r\n{}\r\n", b"0\r\n\r\n") + HIDDEN
    assert replies(daemon, sent) == [201, 200]
    assert daemon.stats()["creations_stopped"]
    assert daemon.request("POST", "/v1/admin/resume-creates").status == 200


@pytest.mark.parametrize("where", ["/v1/sandboxes?cursor={}", "/v1/{}", sandbox_path("{}", "demo"), "/v1/explain/a/{}"])
@pytest.mark.parametrize("bad", ["%0d%0aX-Made: 1", "%0aX-Made:1", "%0d%0a%0d%0aHTTP/1.1 200 OK", "%e5%98%8a%e5%98%8dX-Made:1"])
def test_line_ends_in_a_target_make_no_line_of_a_reply(daemon: Daemon, where: str, bad: str) -> None:
    reply = exchange(daemon.api, request_bytes("GET", where.format(bad.replace(" ", "%20"))))
    assert reply is not None and reply.status in (200, 400, 404)
    assert "x-made" not in reply.headers


def test_line_ends_in_a_request_id_make_no_line_of_a_reply(daemon: Daemon) -> None:
    for bad in ("a\rX-Made: 1", "a\x0bb", "a%0d%0aX-Made: 1", "ä", "a" * 5000):
        reply = exchange(daemon.api, request_bytes("GET", "/v1/stats", headers=[f"X-Request-Id: {bad}"]))
        assert reply is None or "x-made" not in reply.headers


def test_clients_that_hold_connections_are_cut_off_and_others_are_served_meanwhile(daemon: Daemon, crowded: Crowded) -> None:
    """Idle ones, dripping headers, dripping bodies and clients that do not read their replies: as many as fit, for as
    long as they may. Somebody asks all the time, on connections of their own."""
    assert crowded[0].observe("/healthz").status == 200
    began = time.monotonic()
    kinds = {
        "idle": b"",
        "header": b"GET /v1/stats HTTP/1.1\r\nHost: localhost\r\nX-A: ",
        "body": START + b"Content-Length: 60000\r\n\r\n{",
        "deaf": request_bytes("GET", "/v1/stats") * 20,
    }
    ended: dict[str, list[float]] = {name: [] for name in kinds}
    with ExitStack() as stack:
        held = {name: [stack.enter_context(connect(daemon.api)) for _ in range(140)] for name in kinds}
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.5):
                for name in ("header", "body"):
                    for connection in held[name]:
                        try:
                            connection.send(b"x" if name == "header" else b" ")
                        except OSError:
                            pass

        for name, connections in held.items():
            for connection in connections:
                connection.sendall(kinds[name])
        dripper = threading.Thread(target=drip)
        dripper.start()
        try:
            slowest = 0.0
            waiting = {name: list(connections) for name, connections in held.items() if name != "deaf"}
            while any(waiting.values()):
                assert time.monotonic() - began < 30, {name: len(left) for name, left in waiting.items()}
                asked = time.monotonic()
                assert daemon.request("GET", "/v1/sandboxes").status == 200
                assert daemon.observe("/healthz").status == 200
                slowest = max(slowest, time.monotonic() - asked)
                for name, left in waiting.items():
                    waiting[name] = [one for one in left if not is_closed(one)]
                    ended[name] += [time.monotonic() - began] * (len(left) - len(waiting[name]))
                time.sleep(0.1)
        finally:
            stop.set()
            dripper.join()
    assert slowest < 5, slowest
    # Ten seconds for a request to arrive, whoever drips; and a connection that never said anything as well.
    assert all(seconds < 20 for times in ended.values() for seconds in times), ended
    wait_until(lambda: daemon.page().sum("http_connections") <= 3, "the connections are gone")


def is_closed(connection: socket.socket) -> bool:
    """Whether the other end has closed; reads what is there."""
    connection.setblocking(False)
    try:
        while piece := connection.recv(65536):
            del piece
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        connection.setblocking(True)


def test_at_the_limit_of_connections_the_others_wait_and_the_health_page_answers(crowded: Crowded) -> None:
    daemon, next_one = crowded
    assert daemon.observe("/healthz").status == 200 and daemon.observe("/metrics").status == 200
    assert daemon.page().sum("http_connections") <= 8 + 2
    # Those who never finish their request lose their place to it, though they hold on.
    assert next_one.result(30).status == 200
