"""What somebody inside a local sandbox may try against the machine, the daemon and other sandboxes: all refused.

The daemon is the real one, in surroundings that invite a leak (a terminal, a session keyring, inherited descriptors, a
secret in its environment), once as root and once as an ordinary user, whose sandboxes then have the daemon's own user.
Everything goes through the HTTP interface; `hostile.py` holds the attempts.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hostile
import pytest
from daemon import Daemon
from processes import Process, descendants, still_running
from waiting import wait_until

HERE = Path(__file__).resolve().parent
SOURCE = (HERE / "hostile.py").read_text()
SECRET = "canary-4c1f9e27d0"
KEY = "sandbox-manager-test"
MALLORY, BOB = ("mallory", "demo"), ("bob", "demo")
# Owns nothing, and is not the one that a daemon run by root gives its sandboxes.
ORDINARY_USER = 1_899_999_998
PEOPLE = {"root": "-", "an ordinary user": str(ORDINARY_USER)} if os.geteuid() == 0 else {"an ordinary user": "-"}

# Bombs, and as much memory as there is.
pytestmark = pytest.mark.alone


@dataclass
class House:
    """The daemon, and what stands around it on the host."""

    daemon: Daemon
    # Everybody on the host may read and write it: only the sandbox's own walls can hide them.
    secret: Path
    bystander: subprocess.Popen[bytes]

    def attempt(self, name: str, *arguments: Any, whose: tuple[str, str] = MALLORY, timeout: float = 40) -> list[str]:
        """What a function of `hostile.py` achieves in a sandbox."""
        program = f"{SOURCE}\nimport json\nprint(json.dumps(run({name!r}, json.loads({json.dumps(json.dumps(arguments))}))))"
        # A request's body is 64 KiB at most.
        reply = self.daemon.execute(*whose, "/usr/bin/python3", "-I", "-", stdin=program, timeout_seconds=timeout)
        assert reply.status == 200, reply
        assert reply.json["exit_code"] == 0, reply.json
        return json.loads(reply.json["stdout"])

    def outsiders(self) -> list[int]:
        return [self.daemon.pid, self.bystander.pid, os.getpid(), os.getppid()]

    def is_well(self) -> None:
        """Daemon, bystander and the other sandbox go on."""
        assert self.daemon.observe("/healthz").status == 200
        assert self.bystander.poll() is None and self.daemon.process is not None and self.daemon.process.poll() is None
        assert self.daemon.output(*BOB, "echo", "well") == "well\n"


@pytest.fixture(scope="module", params=PEOPLE.values(), ids=PEOPLE.keys())
def house(request: pytest.FixtureRequest, executable: Path) -> Iterator[House]:
    # Not pytest's own folder, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory(prefix="sandbox-manager-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        programs = folder / "bin"
        programs.mkdir()
        for program in (executable, executable.with_name("sandbox-init")):
            shutil.copy2(program, programs)
        secret = folder / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o666)
        arguments = [str(HERE / "surroundings.py"), request.param, KEY, str(secret), str(programs / executable.name)]
        settings = {"PROVIDER": "local", "API_TOKEN": SECRET + "-token", "LIMITS_TOTAL": "4"}
        bystander = subprocess.Popen(["sleep", "600"])
        daemon = Daemon(Path(sys.executable), folder / "work", settings, arguments, SECRET + "-token")
        try:
            daemon.start()
            for key in (MALLORY, BOB):
                assert daemon.acquire(*key).status == 201
            yield House(daemon, secret, bystander)
        finally:
            daemon.stop()
            bystander.kill()
            bystander.wait()


def test_host_files_cannot_be_read(house: House) -> None:
    daemon = house.daemon
    paths = [str(house.secret), daemon.folder, Path(sys.executable).resolve(), HERE / "conftest.py"]
    paths += ["/etc/shadow", "/etc/hostname", "/root/.profile", "/var/log/dpkg.log", "/var/lib/dpkg/status", "/boot", "/opt"]
    paths += [f"/proc/{daemon.pid}/{name}" for name in ("environ", "mem", "maps", "exe", "cmdline", "root/etc/shadow", "fd/9")]
    paths = [str(path) for path in paths if not str(path).startswith("/usr/")]
    # Here the program finds them, so it would find them there.
    assert str(house.secret) in hostile.files_that_can_be_read([str(house.secret)])
    assert house.attempt("files_that_can_be_read", paths) == []


def test_links_out_of_the_home_lead_nowhere(house: House) -> None:
    assert house.attempt("links_that_lead_out", [str(house.secret), "/etc/shadow", f"/proc/{house.daemon.pid}/environ"]) == []


def test_nothing_but_its_own_places_can_be_written(house: House) -> None:
    name = "made-by-mallory"
    assert house.attempt("places_that_can_be_written", name) == []
    assert not [top for top in ("/usr", "/etc", "/usr/local", "/tmp") if Path(top, name).exists()]
    assert house.secret.read_text() == SECRET


def test_a_full_disk_is_its_own(house: House) -> None:
    limits = {"/home/user": 64 << 20, "/tmp": 32 << 20, "/dev/shm": 32 << 20}
    assert house.attempt("full_places", limits) == []
    house.is_well()


def test_host_processes_can_be_neither_seen_nor_touched(house: House) -> None:
    # The control: here the program finds a process, and ends it.
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as victim:
        assert {f"see {victim.pid}", f"end {victim.pid}"} <= set(hostile.processes_that_are_not_ours([victim.pid]))
    assert house.attempt("processes_that_are_not_ours", house.outsiders()) == []
    assert house.attempt("processes_that_can_be_seen", []) == []
    house.is_well()


def test_signals_to_everybody_reach_nobody_outside(house: House) -> None:
    # Two minutes, so that it is there to be hit.
    assert house.daemon.output(*BOB, "sh", "-c", "sleep 120 >/dev/null 2>&1 & echo $!") != ""
    watched = wait_until(lambda: sleepers(house.daemon), "the other sandbox's process runs")
    assert house.attempt("everybody_signalled") == []
    assert still_running(watched) == watched
    for pid in [*house.outsiders(), *(one.pid for one in watched)]:
        assert os.getpriority(os.PRIO_PROCESS, pid) < 19
    house.is_well()


def sleepers(daemon: Daemon) -> set[Process]:
    return {one for one in descendants(daemon.pid) if one.name == "sleep"}


def test_the_supervisor_can_be_neither_traced_nor_robbed_nor_ended(house: House) -> None:
    assert house.attempt("supervisor_overpowered") == []
    assert house.daemon.output(*MALLORY, "echo", "still there") == "still there\n"


def test_there_is_no_network(house: House) -> None:
    assert house.attempt("network_changed") == []
    here = socket.gethostbyname_ex(socket.gethostname())[2]
    with (
        socket.create_server(("0.0.0.0", 0)) as everywhere,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX) as named,
    ):
        port = everywhere.getsockname()[1]
        abstract.bind("\0sandbox-manager-test")
        named.bind(str(house.secret.with_name("socket")))
        os.chmod(house.secret.with_name("socket"), 0o777)
        for one in (abstract, named):
            one.listen()
        try:
            reachable = [
                ["AF_INET", "SOCK_STREAM", ["127.0.0.1", port]],
                ["AF_INET", "SOCK_STREAM", list(house.daemon.api)],
                ["AF_INET", "SOCK_STREAM", list(house.daemon.metrics)],
                ["AF_UNIX", "SOCK_STREAM", "@sandbox-manager-test"],
                ["AF_UNIX", "SOCK_STREAM", str(house.secret.with_name("socket"))],
            ]
            # The control: from here all of them answer.
            assert len(hostile.peers_that_answer(reachable)) == len(reachable)
            kinds = ("SOCK_STREAM", "SOCK_DGRAM")
            hosts = [host for host in [*here, "192.0.2.1"] if not host.startswith("127.")]
            others = [["AF_INET", kind, [host, port]] for host in hosts for kind in kinds]
            others += [["AF_INET6", kind, ["2001:db8::1", port]] for kind in kinds]
            assert house.attempt("peers_that_answer", reachable + others) == []
        finally:
            house.secret.with_name("socket").unlink()


def test_sockets_that_no_namespace_holds_back_cannot_be_made(house: House) -> None:
    """Above all those between a virtual machine and its host (vsock), which pass every network namespace by."""
    assert house.attempt("families_of_sockets") == []


def test_nothing_can_be_mounted_and_no_namespace_entered(house: House) -> None:
    assert house.attempt("mounts_and_namespaces") == []


def test_there_are_no_devices_but_the_harmless(house: House) -> None:
    assert house.attempt("devices") == []


def test_no_setting_of_the_kernel_can_be_written(house: House) -> None:
    # Limits of queues, semaphores, shared memory and process numbers: each sandbox has its own.
    names = ("kernel/pid_max", "fs/mqueue/*", "kernel/msg*", "kernel/sem*", "kernel/shm*", "kernel/auto_msgmni")
    own = [f"/proc/sys/{name}" for name in names]
    before = {path: Path(path).read_text() for pattern in own for path in glob.glob(pattern)}
    # The last pid of its own namespace, and alarms that wake nobody but the one who sets them.
    harmless = ["/proc/sys/kernel/ns_last_pid", "/proc/pressure/*"]
    assert house.attempt("kernel_settings_that_can_be_written", own + harmless) == []
    assert before == {path: Path(path).read_text() for path in before}
    assert house.attempt("kernel_interfaces") == []


def test_keys_of_the_daemon_and_of_other_sandboxes_are_out_of_reach(house: House) -> None:
    if "keys are not allowed here" in house.daemon.log():
        pytest.skip("this machine allows no keys, so there is none to find")
    assert house.attempt("keys", [KEY]) == []
    assert house.attempt("keys", [KEY], whose=BOB) == []


def test_no_program_gives_more_rights(house: House) -> None:
    assert house.attempt("more_rights_by_programs") == []


def test_nothing_is_inherited_from_the_daemon(house: House) -> None:
    assert house.attempt("inherited") == []
    assert house.attempt("environments", SECRET) == []


def test_nobody_types_into_the_terminal_of_the_daemon(house: House) -> None:
    assert house.attempt("typing_into_a_terminal") == []


def test_memory_beyond_the_limit_is_refused(house: House) -> None:
    before = resident(house.daemon.pid)
    assert house.attempt("memory_beyond", 3 << 30) == []
    # Output that is never ending costs the daemon what it keeps, and no more.
    endless = house.daemon.execute(*MALLORY, "head", "-c", str(256 << 20), "/dev/zero", timeout_seconds=30)
    assert endless.status == 200 and endless.json["truncated"] and len(endless.json["stdout"]) <= 1 << 20
    assert resident(house.daemon.pid) - before < 64 << 20
    house.is_well()


def resident(pid: int) -> int:
    """Bytes of memory that the process has."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) << 10


def test_a_fork_bomb_stays_within_its_sandbox(house: House) -> None:
    bomb = "bomb() { bomb | bomb & }; bomb; sleep 60"
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(house.daemon.execute, *MALLORY, "sh", "-c", bomb, timeout_seconds=3)
        most, slowest = 0, 0.0
        while not under_way.done():
            began = time.monotonic()
            house.is_well()
            slowest = max(slowest, time.monotonic() - began)
            most = max(most, len(descendants(house.daemon.pid)))
        reply = under_way.result()
    assert reply.status == 200 and (reply.json["timed_out"] or reply.json["exit_code"] != 0), reply.json
    # 64 for the bomb; the two supervisors, bubblewrap, and the other sandbox's command.
    assert most < 64 + 16, most
    assert slowest < 10, slowest
    # It ends with its command, or with its sandbox at the latest; and its user may have another one.
    assert house.daemon.release(*MALLORY).status == 204
    wait_until(lambda: len(descendants(house.daemon.pid)) < 8, "the bomb is gone")
    assert house.daemon.acquire(*MALLORY).status == 201
    house.is_well()


def test_sandboxes_see_nothing_of_each_other(house: House) -> None:
    word = "left-by-mallory"
    assert house.attempt("leave_traces", word) == []
    # The control: the one who left them finds them all. A file is found once by each way that leads to it.
    own = house.attempt("find_traces", word)
    assert len(own) >= 4 + 4 + 2, own
    assert house.attempt("find_traces", word, whose=BOB) == []
    assert house.attempt("processes_that_can_be_seen", ["sleep"], whose=BOB) == []


