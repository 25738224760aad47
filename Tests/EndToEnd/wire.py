"""HTTP as a client sees it, down to single bytes where a test needs them."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from secrecy import watch


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass
class Reply:
    """A finished response; header names are lower-case."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem document (RFC 9457)."""
        assert self.headers["content-type"] == "application/problem+json", self
        return self.json["code"]


def fetch(
    address: Address,
    method: str,
    path: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Reply:
    """One request on a connection of its own; a body that is not bytes is sent as JSON."""
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    if body is not None:
        sent.setdefault("Content-Type", "application/json")
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=sent)
        response = connection.getresponse()
        read = response.read()
        watch.reply([f"{name}: {value}" for name, value in response.getheaders()], read)
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, read)
    finally:
        connection.close()


def request_bytes(method: str, path: str, body: bytes = b"", headers: Sequence[str] = ()) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def connect(address: Address, timeout: float = 60) -> socket.socket:
    connection = socket.create_connection(address, timeout=timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_reply(connection: socket.socket, started: bytes = b"") -> tuple[Reply, bytes] | None:
    """The next reply and what came after it; None if the connection was closed before its header ended."""
    data = started
    try:
        while (end := data.find(b"\r\n\r\n")) < 0:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        stop = end + 4 + int(headers.get("content-length", "0"))
        while len(data) < stop:
            more = connection.recv(65536)
            if not more:
                return None
            data += more
    except ConnectionError:
        return None
    watch.reply(lines, data[end + 4 : stop])
    return Reply(int(first.split(" ")[1]), headers, data[end + 4 : stop]), data[stop:]


def exchange(address: Address, sent: bytes, timeout: float = 30, half_close: bool = False) -> Reply | None:
    """Sends bytes as they are; the first reply, or None if the connection was closed without one."""
    with connect(address, timeout) as connection:
        try:
            connection.sendall(sent)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except ConnectionError:
            # Refused before all was sent; the answer may be there all the same.
            pass
        found = read_reply(connection)
        return found[0] if found else None


@contextmanager
def sent_at_once(address: Address, requests: Sequence[bytes], timeout: float = 60) -> Iterator[list[socket.socket]]:
    """A connection for each request, all opened before the first request is sent."""
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(address, timeout)) for _ in requests]
        for connection, sent in zip(connections, requests):
            connection.sendall(sent)
        yield connections


def burst(address: Address, requests: Sequence[bytes], timeout: float = 60) -> list[Reply]:
    """The replies to requests that were all under way at once."""
    with sent_at_once(address, requests, timeout) as connections:
        found = [read_reply(connection) for connection in connections]
    assert all(found), f"{sum(1 for one in found if one is None)} connections were closed without a reply"
    return [one[0] for one in found if one]


class Pump:
    """Many requests over a few kept-alive connections, as fast as one thread can."""

    def __init__(self, address: Address, connections: int = 64) -> None:
        self._connections = [connect(address) for _ in range(connections)]

    def __enter__(self) -> Pump:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections:
            connection.close()

    def run(self, requests: Iterable[bytes]) -> dict[int, int]:
        """Sends them all, one at a time on each connection; how often each status came."""
        counts: dict[int, int] = {}
        waiting: list[socket.socket] = []
        queue = iter(requests)
        while True:
            waiting.clear()
            # zip in this order: the shorter end must not swallow a request.
            for connection, sent in zip(self._connections, queue):
                connection.send(sent)
                waiting.append(connection)
            if not waiting:
                return counts
            for connection in waiting:
                status = self._status(connection)
                counts[status] = counts.get(status, 0) + 1

    @staticmethod
    def _status(connection: socket.socket) -> int:
        data = connection.recv(65536)
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            # The quick way: the whole reply in one piece.
            place = data.find(b"Content-Length: ", 0, end)
            length = int(data[place + 16 : data.index(b"\r", place)]) if place >= 0 else 0
            if len(data) == end + 4 + length:
                return int(data[9:12])
        found = read_reply(connection, data)
        assert found is not None, "the server closed a kept-alive connection"
        return found[0].status
