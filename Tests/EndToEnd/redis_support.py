"""Real redis-servers and sentinels as processes: started, frozen, killed, emptied and put back to an older state."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from waiting import wait_until


class RedisError(Exception):
    """An error that Redis answered."""


class RedisConnection:
    """A connection that speaks just enough of RESP2."""

    def __init__(self, address: str | tuple[str, int], timeout: float = 10) -> None:
        """address: the path of a socket, or host and port."""
        if isinstance(address, str):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(timeout)
            self._socket.connect(address)
        else:
            self._socket = socket.create_connection(address, timeout=timeout)
        self._input = self._socket.makefile("rb")

    def __enter__(self) -> RedisConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._input.close()
        self._socket.close()

    def __call__(self, *words: str | int) -> Any:
        """The answer to one command: text, a whole number, None, or a list of them."""
        parts = [str(word).encode() for word in words]
        sent = b"".join([b"*%d\r\n" % len(parts), *(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)])
        self._socket.sendall(sent)
        return self._answer()

    def _answer(self) -> Any:
        line = self._input.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2].decode()
        if kind == b"-":
            raise RedisError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        length = int(rest)
        if length < 0:
            return None
        if kind == b"$":
            return self._input.read(length + 2)[:-2].decode(errors="replace")
        # All of it is read before an error among the items is told; otherwise the next answer would be the rest.
        items = []
        for _ in range(length):
            try:
                items.append(self._answer())
            except RedisError as error:
                items.append(error)
        return items


class RedisServer:
    """A redis-server on a free loopback port and on a socket, without persistence of its own; a context manager.

    It stays at its port and in its folder over restarts.
    """

    def __init__(self, *settings: str, arguments: Sequence[str] = ()) -> None:
        """Starts it. settings: more words of the command line; arguments: what stands before them, for a sentinel."""
        # Paths of sockets are short: pytest's own folders may lie too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="redis-"))
        self.socket = str(self.folder / "redis.sock")
        self.port = free_port()
        self._arguments = list(arguments)
        self._settings = list(settings)
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What REDIS_URL is set to."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        """The same, by its socket."""
        return f"unix://{self.socket}?db=0"

    # Life

    def start(self) -> None:
        """Starts it, with what its folder has as the snapshot, and waits until it answers."""
        assert self.process is None, "Redis runs already"
        command = ["redis-server", *self._arguments, "--port", str(self.port), "--bind", "127.0.0.1"]
        command += ["--unixsocket", self.socket, "--dir", str(self.folder)]
        if not self._arguments:
            command += ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self._settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_until(self._answers, "Redis answers", 10)

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"redis-server ended with {self.process.returncode}:\n{self.log()[-2000:]}")
        try:
            return self("PING") == "PONG"
        except (OSError, RedisError):
            # Not there yet, or still loading a snapshot.
            return False

    def kill(self) -> None:
        """Ends it as a crash would, frozen or not; nothing is written."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        """Ends it and removes its folder. May be called again."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def freeze(self) -> None:
        """Makes it hang: connections are taken by the kernel, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Ends the hang."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self.process is not None, "Redis does not run"
        self.process.send_signal(number)

    # State

    def save(self) -> Path:
        """Writes a snapshot; what `restart` takes."""
        self("SAVE")
        kept = self.folder / f"kept-{time.monotonic_ns()}.rdb"
        shutil.copy(self.folder / "dump.rdb", kept)
        return kept

    def restart(self, snapshot: Path | None = None) -> None:
        """Kills it and starts it with an older snapshot, or empty."""
        self.kill()
        current = self.folder / "dump.rdb"
        current.unlink(missing_ok=True)
        if snapshot is not None:
            shutil.copy(snapshot, current)
        self.start()

    def __call__(self, *words: str | int) -> Any:
        """The answer to one command, on a connection of its own."""
        with RedisConnection(self.socket) as connection:
            return connection(*words)

    def role(self) -> str | None:
        """`master`, `slave` or `sentinel`; None at the moment of a change, in which all connections are ended."""
        try:
            return self("ROLE")[0]
        except ConnectionError:
            return None

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def keys(self, pattern: str = "*") -> list[str]:
        """The names of keys, in order."""
        return sorted(self("KEYS", pattern))

    def contents(self) -> dict[str, Any]:
        """Everything it holds, by key, whatever the type."""
        found = {}
        with RedisConnection(self.socket) as connection:
            for key in connection("KEYS", "*"):
                match connection("TYPE", key):
                    case "string":
                        found[key] = connection("GET", key)
                    case "hash":
                        found[key] = connection("HGETALL", key)
                    case "list":
                        found[key] = connection("LRANGE", key, 0, -1)
                    case "set":
                        found[key] = connection("SMEMBERS", key)
                    case "zset":
                        found[key] = connection("ZRANGE", key, 0, -1, "WITHSCORES")
                    case "stream":
                        found[key] = connection("XRANGE", key, "-", "+")
        return found

    def mentions(self, word: str) -> list[str]:
        """The keys that have the word in their name or content: what is left of something, in any layout."""
        return sorted(key for key, value in self.contents().items() if word in key or word in str(value))


def plain_key(user: str, project: str) -> str:
    """The key that holds nothing but the sandbox id, as the Python manager wrote it."""
    return f"sandbox:{user}:{project}"


def free_port() -> int:
    """A port that nobody listens on, from below those that the kernel gives to connections, here and in other tests."""
    lowest, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    for _ in range(100):
        port = random.randrange(min(20_000, int(lowest) // 2), int(lowest))
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                # Somebody has it.
                continue
            return port
    raise AssertionError("no free port")


class SentinelSet:
    """A master, a replica that has caught up, and sentinels that know both; a context manager."""

    NAME = "main"

    def __init__(self, sentinels: int = 3, down_after: float = 1) -> None:
        """sentinels: 1 or 3; most of them must agree that the master is gone.

        down_after: seconds without an answer after which a sentinel holds a server for gone.
        """
        self._running: list[RedisServer] = []
        try:
            fast = ("--repl-diskless-sync-delay", "0", "--repl-timeout", "5")
            self.master = self._run(RedisServer(*fast))
            self.replica = self._run(RedisServer(*fast, "--replicaof", f"127.0.0.1 {self.master.port}"))
            self.sentinels = [
                self._run(sentinel(self.NAME, self.master.port, sentinels // 2 + 1, down_after))
                for _ in range(sentinels)
            ]
            wait_until(self.is_settled, "the sentinels know master and replica", 40, poll=0.1)
        except BaseException:
            self.stop()
            raise

    def _run(self, server: RedisServer) -> RedisServer:
        self._running.append(server)
        return server

    def __enter__(self) -> SentinelSet:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for server in reversed(self._running):
            server.stop()

    @property
    def url(self) -> str:
        """What REDIS_URL is set to."""
        nodes = ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels)
        return f"redis+sentinel://{nodes}/{self.NAME}/0"

    def is_settled(self) -> bool:
        """Whether every sentinel sees a master that is well, a replica that has its data, and the other sentinels."""
        others = len(self.sentinels) - 1
        for one in self.sentinels:
            facts = pairs(one("SENTINEL", "MASTER", self.NAME))
            if facts["flags"] != "master" or int(facts["num-other-sentinels"]) != others:
                return False
            replicas = [pairs(item) for item in one("SENTINEL", "REPLICAS", self.NAME)]
            if [(item["flags"], item["master-link-status"]) for item in replicas] != [("slave", "ok")]:
                return False
        # A sentinel's word on the replica may be some seconds old: a sync that began since would empty it.
        link = self.replica("INFO", "replication")
        return "master_link_status:up" in link and "master_sync_in_progress:0" in link

    def master_port(self) -> int:
        """Whom the sentinels call the master; they may be in the middle of changing their minds."""
        ports = set()
        for one in self.sentinels:
            ports.add(int(one("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.NAME)[1]))
        return ports.pop() if len(ports) == 1 else 0

    def current(self) -> RedisServer:
        """The server that the sentinels agree on as the master."""
        port = wait_until(self.master_port, "the sentinels agree", 10)
        return next(one for one in (self.master, self.replica) if one.port == port)

    def fail_over(self, how: str = "kill") -> RedisServer:
        """Ends (`kill`) or freezes (`freeze`) the master, or hands over in order (`planned`); the new master, once it
        takes writes."""
        old = self.current()
        new = self.replica if old is self.master else self.master
        match how:
            case "kill":
                old.kill()
            case "freeze":
                old.freeze()
            case _:
                self.sentinels[0]("SENTINEL", "FAILOVER", self.NAME)
        wait_until(
            lambda: self.master_port() == new.port and new.role() == "master", "the failover", 20, poll=0.05
        )
        return new


def sentinel(name: str, port: int, quorum: int, down_after: float) -> RedisServer:
    """A sentinel for the master at the port; it rewrites its configuration, so it has a file of its own."""
    folder = Path(tempfile.mkdtemp(prefix="sentinel-"))
    file = folder / "sentinel.conf"
    file.write_text(
        f"sentinel monitor {name} 127.0.0.1 {port} {quorum}\n"
        f"sentinel down-after-milliseconds {name} {int(down_after * 1000)}\n"
        f"sentinel failover-timeout {name} 5000\n"
        # Nobody's host name is asked for, and none is announced.
        "sentinel resolve-hostnames no\n"
    )
    os.chmod(file, 0o600)
    return Sentinel(folder, arguments=[str(file), "--sentinel"])


class Sentinel(RedisServer):
    """A redis-server in its role as a sentinel."""

    def __init__(self, configuration: Path, arguments: Sequence[str]) -> None:
        self._configuration = configuration
        super().__init__(arguments=arguments)

    def stop(self) -> None:
        super().stop()
        shutil.rmtree(self._configuration, ignore_errors=True)


def pairs(words: Sequence[str]) -> dict[str, str]:
    """The flat list of names and values that Redis answers, as a dictionary."""
    return dict(zip(words[::2], words[1::2]))
