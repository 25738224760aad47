"""What somebody inside a sandbox may try. Runs in there: nothing but Python's standard library.

Each function returns what it achieved; from a sandbox that holds, an empty list.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import glob
import itertools
import mmap
import os
import platform
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterable
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
# Numbers of calls that the C library has no function for.
CALLS = {
    "x86_64": {
        "keyctl": 250, "add_key": 248, "request_key": 249, "bpf": 321, "perf_event_open": 298, "kcmp": 312,
        "syslog": 103, "kexec_load": 246, "init_module": 175, "delete_module": 176, "open_by_handle_at": 304,
    },
    "aarch64": {
        "keyctl": 219, "add_key": 217, "request_key": 218, "bpf": 280, "perf_event_open": 241, "kcmp": 272,
        "syslog": 116, "kexec_load": 104, "init_module": 105, "delete_module": 106, "open_by_handle_at": 265,
    },
}.get(platform.machine(), {}) | {
    "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsmount": 432, "pidfd_open": 434,
    "pidfd_getfd": 438, "mount_setattr": 442, "process_madvise": 440,
}  # fmt: skip
AT_FDCWD = -100


def call(name: str, *arguments: Any) -> int:
    """A system call; its result, or the negative error number."""
    ctypes.set_errno(0)
    values = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    function = getattr(libc, name, None) if name not in CALLS else None
    result = function(*values) if function else libc.syscall(CALLS[name], *values)
    return -ctypes.get_errno() if result < 0 else result


def worked(attempts: dict[str, Callable[[], Any]]) -> list[str]:
    """The names of those that raise no error; a negative number is one."""
    found = []
    for name, attempt in attempts.items():
        try:
            result = attempt()
        except (OSError, MemoryError):
            continue
        if not (isinstance(result, int) and result < 0):
            found.append(name)
    return found


# Files


def files_that_can_be_read(paths: list[str]) -> list[str]:
    """Each by itself, and through every root and working directory that /proc shows."""
    ways = [*glob.glob("/proc/*/root"), *glob.glob("/proc/*/cwd"), *glob.glob("/proc/*/task/*/root"), "/proc/self/root/.."]
    ways += [way + "/.." * 12 for way in ("", "/home/user", "/tmp", "/usr", "/proc/self/cwd", "/dev/fd")]
    every = itertools.chain(paths, (way + path for path in paths for way in ways))
    return worked({path: lambda path=path: open(path, "rb").read(1) for path in every})


def links_that_lead_out(paths: list[str]) -> list[str]:
    """Symbolic and hard links, made in each place that can be written."""
    attempts = {}
    for number, (path, place) in enumerate(itertools.product(paths, ("/home/user", "/tmp", "/dev/shm"))):
        for form in (path, "../../../../../.." + path, f"/proc/1/root{path}", f"/proc/self/root/..{path}"):
            link = f"{place}/link-{number}-{abs(hash(form))}"
            os.symlink(form, link)
            attempts[f"{link} -> {form}"] = lambda link=link: open(link, "rb").read(1)
            attempts[f"write {link} -> {form}"] = lambda link=link: os.close(os.open(link, os.O_WRONLY))
        attempts[f"hard link {path}"] = lambda path=path, place=place: os.link(path, f"{place}/hard")
    for source in ("/usr/bin/env", "/etc/passwd", "/sandbox-init"):
        attempts[f"hard link {source}"] = lambda source=source: os.link(source, "/home/user/hard")
    return worked(attempts)


def places_that_can_be_written(name: str) -> list[str]:
    """Every directory outside those that are the sandbox's own, and every file that stands in them for itself."""
    attempts = {}
    own = ("/home/user", "/tmp", "/dev/shm", "/dev/pts", "/proc")
    for top, folders, names in os.walk("/"):
        folders[:] = [one for one in folders if os.path.join(top, one) not in own]
        if top.count("/") > 3:
            folders[:] = []
        attempts[f"make {top}/{name}"] = lambda top=top: os.mkdir(f"{top}/{name}")
        for one in names[:20]:
            path = os.path.join(top, one)
            # What the name of a device leads to is looked at elsewhere.
            if stat.S_ISREG(os.lstat(path).st_mode):
                attempts[f"write {path}"] = lambda path=path: os.close(os.open(path, os.O_WRONLY))
                attempts[f"chmod {path}"] = lambda path=path: os.chmod(path, 0o4777)
    attempts |= {f"remove {path}": lambda path=path: os.unlink(path) for path in ("/etc/passwd", "/bin", "/usr/bin/env")}
    attempts["rename /usr"] = lambda: os.rename("/usr", "/home/user/usr")
    return worked(attempts)


def full_places(limits: dict[str, int]) -> list[str]:
    """Fills every place that can be written; those that took more than their limit, or told no end."""
    broken = []
    block = bytes(1 << 20)
    for place, limit in limits.items():
        written, told = 0, False
        try:
            for number in range(4):
                with open(f"{place}/fill-{number}", "wb", buffering=0) as file:
                    while written <= limit + (64 << 20):
                        try:
                            written += file.write(block)
                        except OSError as error:
                            told = told or error.errno == errno.ENOSPC
                            if error.errno not in (errno.ENOSPC, errno.EFBIG):
                                raise
                            break
            # A file with a hole takes no room, but one as large as the host's disk must not be possible either.
            with open(f"{place}/fill-0", "r+b") as file:
                if worked({"hole": lambda: os.ftruncate(file.fileno(), 1 << 40)}):
                    broken.append(f"{place}: a file of a tebibyte")
        finally:
            for number in range(4):
                if os.path.exists(f"{place}/fill-{number}"):
                    os.unlink(f"{place}/fill-{number}")
        if written > limit or not told:
            broken.append(f"{place}: {written} bytes, told: {told}")
    return broken


# Processes


def processes_that_are_not_ours(pids: list[int]) -> list[str]:
    """What can be done to processes by their number outside."""
    attempts: dict[str, Callable[[], Any]] = {}
    for pid in pids:
        attempts |= {
            f"see {pid}": lambda pid=pid: os.stat(f"/proc/{pid}"),
            f"signal {pid}": lambda pid=pid: os.kill(pid, 0),
            f"end {pid}": lambda pid=pid: os.kill(pid, signal.SIGKILL),
            f"end group {pid}": lambda pid=pid: os.killpg(pid, signal.SIGKILL),
            f"hold {pid}": lambda pid=pid: call("pidfd_open", pid, 0),
            f"trace {pid}": lambda pid=pid: call("ptrace", 0x4206, pid, 0, 0),
            f"slow down {pid}": lambda pid=pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
            f"move {pid}": lambda pid=pid: os.sched_setaffinity(pid, {0}),
        }
    return worked(attempts)


def processes_that_can_be_seen(known: list[str]) -> list[str]:
    """Programs in /proc other than the supervisor, this one and those that are known."""
    ours = {"sandbox-init", "python3", *known}
    names = [open(f"/proc/{pid}/comm").read().strip() for pid in os.listdir("/proc") if pid.isdigit()]
    return [name for name in names if name not in ours]


def everybody_signalled() -> list[str]:
    """Slows down whoever has our user, then kills whoever it can."""
    os.setpriority(os.PRIO_USER, os.getuid(), 19)
    os.setpriority(os.PRIO_USER, 0, 19)
    # Those who cannot be reached are no error of kill(-1).
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    worked({"all": lambda: os.kill(-1, signal.SIGTERM)})
    child = subprocess.Popen(["sleep", "60"])
    worked({"all": lambda: os.kill(-1, signal.SIGKILL)})
    # Linux spares the sender and the namespace's first process.
    return [] if child.wait(10) == -signal.SIGKILL else ["the own child was spared"]


def supervisor_overpowered() -> list[str]:
    """Process 1 is the way out: it holds the socket to the daemon."""
    buffer = ctypes.create_string_buffer(64)

    class Part(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]

    here = Part(ctypes.addressof(buffer), 8)
    there = Part(0x400000, 8)
    held = call("pidfd_open", 1, 0)
    attempts: dict[str, Callable[[], Any]] = {
        "attach": lambda: call("ptrace", 16, 1, 0, 0),
        "seize": lambda: call("ptrace", 0x4206, 1, 0, 0),
        "read its memory": lambda: call("process_vm_readv", 1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0),
        "write its memory": lambda: call("process_vm_writev", 1, ctypes.byref(here), 1, ctypes.byref(there), 1, 0),
        "compare with it": lambda: call("kcmp", os.getpid(), 1, 0, 0, 0),
        "read its stack": lambda: open("/proc/1/stack", "rb").read(),
        "list its descriptors": lambda: os.listdir("/proc/1/fd"),
        "read its environment": lambda: open("/proc/1/environ", "rb").read(),
        "write its memory file": lambda: os.close(os.open("/proc/1/mem", os.O_RDWR)),
        "list its maps": lambda: open("/proc/1/maps", "rb").read(),
    }
    for descriptor in range(16):
        attempts[f"copy descriptor {descriptor}"] = lambda descriptor=descriptor: call(
            "pidfd_getfd", held, descriptor, 0
        )
        attempts[f"open descriptor {descriptor}"] = lambda descriptor=descriptor: open(f"/proc/1/fd/{descriptor}", "rb")
    for kind in ("user", "mnt", "pid", "net", "ipc"):
        attempts[f"enter its {kind}"] = lambda kind=kind: call("setns", os.open(f"/proc/1/ns/{kind}", os.O_RDONLY), 0)
    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGSEGV):
        # Allowed, and without effect: the caller looks whether it still answers.
        worked({"signal": lambda number=number: os.kill(1, number)})
    return worked(attempts)


# Network


def peers_that_answer(addresses: list[list[Any]]) -> list[str]:
    """Connects to each: [family, kind, address]; a datagram only has to be accepted for sending."""

    def reach(family: str, kind: str, address: Any) -> None:
        with socket.socket(getattr(socket, family), getattr(socket, kind)) as one:
            one.settimeout(2)
            one.connect(tuple(address) if isinstance(address, list) else address.replace("@", "\0", 1))
            one.send(b"hello")

    return worked({str(one): lambda one=one: reach(*one) for one in addresses})


def families_of_sockets() -> list[str]:
    """Kinds of sockets beyond those that a namespace of the network holds back."""
    allowed = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
    attempts = {}
    for family, kind in itertools.product(range(64), (1, 2, 3, 5)):
        if family not in allowed:
            attempts[f"family {family}, kind {kind}"] = lambda family=family, kind=kind: call("socket", family, kind, 0)
    pair = (ctypes.c_int * 2)()
    attempts["a pair of family 40"] = lambda: call("socketpair", 40, 1, 0, pair)
    for family in (socket.AF_INET, socket.AF_INET6):
        attempts[f"raw {family}"] = lambda family=family: socket.socket(family, socket.SOCK_RAW, 1)
    # It opens sockets without the call that is watched for it.
    parameters = ctypes.create_string_buffer(256)
    attempts["io_uring"] = lambda: call("io_uring_setup", 1, parameters)
    return worked(attempts)


def network_changed() -> list[str]:
    """New addresses, routes and interfaces; all that is there is the loopback."""
    found = [line.split(":")[0].strip() for line in open("/proc/net/dev").readlines()[2:]]
    found = [name for name in found if name != "lo"]
    found += [f"route {line.split()[0]}" for line in open("/proc/net/route").readlines()[1:] if line.split()[0] != "lo"]
    found += [f"socket {line.split()[-1]}" for line in open("/proc/net/unix").readlines()[1:]]

    def change(message: int, flags: int, body: bytes) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as one:
            head = (16 + len(body)).to_bytes(4, sys.byteorder) + message.to_bytes(2, sys.byteorder)
            one.send(head + flags.to_bytes(2, sys.byteorder) + bytes(8) + body)
            told = int.from_bytes(one.recv(4096)[16:20], sys.byteorder, signed=True)
            if told < 0:
                raise OSError(-told, "refused")

    request = 0x0605  # with an answer, to be made, and only if it is new
    found += worked(
        {
            "new interface": lambda: change(16, request, bytes(16) + b"\x0b\x00\x03\x00dummy9\x00\x00"),
            "new address": lambda: change(20, request, bytes([2, 24, 0, 0, 1, 0, 0, 0, 8, 0, 2, 0, 10, 9, 8, 7])),
            "new route": lambda: change(24, request, bytes([2, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0, 0])),
        }
    )
    return found


# Mounts and namespaces


def mounts_and_namespaces() -> list[str]:
    flags = {
        "user": 0x10000000, "mount": 0x20000, "process": 0x20000000, "network": 0x40000000, "name": 0x4000000,
        "ipc": 0x8000000, "group": 0x2000000, "time": 0x80,
    }  # fmt: skip
    attempts: dict[str, Callable[[], Any]] = {
        "mount": lambda: call("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None),
        "bind": lambda: call("mount", b"/usr", b"/tmp", None, 4096, None),
        "mount proc": lambda: call("mount", b"proc", b"/proc", b"proc", 0, None),
        "make / writable": lambda: call("mount", None, b"/", None, 0x20 | 4096, None),
        "make /usr writable": lambda: call("mount", None, b"/usr", None, 0x20 | 4096, None),
        "make /usr honour setuid": lambda: call("mount_setattr", AT_FDCWD, b"/usr", 0, bytes(32), 32),
        "share /": lambda: call("mount", None, b"/", None, (1 << 20) | 16384, None),
        "move": lambda: call("mount", b"/tmp", b"/dev/shm", None, 8192, None),
        "unmount /proc": lambda: call("umount2", b"/proc", 2),
        "unmount /": lambda: call("umount2", b"/", 2),
        "pivot": lambda: call("pivot_root", b"/tmp", b"/tmp"),
        "chroot": lambda: os.chroot("/tmp"),
        "open a tree": lambda: call("open_tree", AT_FDCWD, b"/", 1),
        "open a file system": lambda: call("fsopen", b"tmpfs", 0),
        "open by handle": lambda: call("open_by_handle_at", AT_FDCWD, bytes(128), 0),
    }
    for name, flag in flags.items():
        attempts[f"new {name} namespace"] = lambda flag=flag: call("unshare", flag)
    attempts["new user and mount namespaces"] = lambda: call("unshare", flags["user"] | flags["mount"])
    for number in (0, 1000):
        attempts[f"become {number}"] = lambda number=number: (os.setresuid(number, number, 0), os.setresgid(0, 0, 0))
    attempts["other groups"] = lambda: os.setgroups([0])
    attempts["more capabilities"] = lambda: call("capset", bytes([0x22, 5, 8, 0x20] + [0] * 4), b"\xff" * 24)
    attempts["keep capabilities"] = lambda: call("prctl", 47, 2, 21, 0, 0)
    return worked(attempts)


# Devices and the kernel


def devices() -> list[str]:
    """What of /dev exists beyond the harmless, and every device that could be made."""
    harmless = {"full", "null", "random", "tty", "urandom", "zero"}
    found = []
    for top, _, names in os.walk("/dev"):
        for name in names:
            path = os.path.join(top, name)
            if not os.path.islink(path) and not (top == "/dev" and name in harmless) and path != "/dev/pts/ptmx":
                found.append(path)
    numbers = {"mem": (1, 1), "kmem": (1, 2), "port": (1, 4), "kmsg": (1, 11), "disk": (8, 0), "fuse": (10, 229)}
    attempts = {}
    for (name, (major, minor)), kind in itertools.product(numbers.items(), (stat.S_IFCHR, stat.S_IFBLK)):
        path = f"/tmp/{name}-{kind}"
        attempts[f"make {name}"] = lambda path=path, kind=kind, major=major, minor=minor: os.mknod(
            path, kind | 0o666, os.makedev(major, minor)
        )
    for path in ("/dev/core", "/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/dev/mem", "/dev/net/tun", "/dev/kvm", "/dev/fuse"):
        attempts[f"open {path}"] = lambda path=path: open(path, "rb").read(1)
    for line in open("/proc/partitions").read().split("\n")[2:]:
        for folder in ("/dev", "/dev/block") if line.split() else ():
            name = line.split()[3]
            attempts[f"open {folder}/{name}"] = lambda folder=folder, name=name: open(f"{folder}/{name}", "rb").read(1)
    return found + worked(attempts)


def kernel_settings_that_can_be_written(own: list[str]) -> list[str]:
    """Every file of /proc that belongs to no process; and /sys, which is not there at all.

    own: patterns of those that a namespace has for itself; they are written, so that the caller can compare its own.
    """
    mine = {path for pattern in own for path in glob.glob(pattern)}
    for path in mine:
        worked({path: lambda path=path: open(path, "w").write("400\n")})
    found = [path for path in ("/sys/kernel", "/sys/fs/cgroup") if os.path.exists(path)]
    attempts = {}
    for top, folders, names in os.walk("/proc"):
        if top == "/proc":
            folders[:] = [name for name in folders if not name.isdigit() and name not in ("self", "thread-self")]
        for name in names:
            path = os.path.join(top, name)
            if path not in mine:
                attempts[f"write {path}"] = lambda path=path: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
    return found + worked(attempts)


def kernel_interfaces() -> list[str]:
    buffer = ctypes.create_string_buffer(4096)
    # An event of the whole machine; the kernel's part of one's own; a program for the kernel.
    everywhere = ctypes.create_string_buffer(b"\1\0\0\0\x70\0\0\0" + bytes(120))
    program = ctypes.create_string_buffer(b"\1\0\0\0\2\0\0\0" + ctypes.addressof(buffer).to_bytes(8, "little") * 2 + bytes(120))
    return worked(
        {
            "read its log": lambda: call("syslog", 3, buffer, 4096),
            "clear its log": lambda: call("syslog", 5, None, 0),
            "watch everybody": lambda: call("perf_event_open", everywhere, -1, 0, -1, 0),
            "load a program": lambda: call("bpf", 5, program, 128),
            "load a module": lambda: call("init_module", buffer, 4096, b""),
            "remove a module": lambda: call("delete_module", b"x", 0),
            "load a kernel": lambda: call("kexec_load", 0, 0, None, 0),
            "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
            "rename the host": lambda: call("sethostname", b"x", 1),
            "swap": lambda: call("swapon", b"/tmp/x", 0),
            "account": lambda: call("acct", b"/tmp/x"),
            # A harmless one of its commands; the right to it is what is asked for.
            "reboot": lambda: call("reboot", 0),
            "be faster than others": lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
            "run in real time": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)),
            "raise a limit": lambda: call("setrlimit", 6, b"\xff" * 16),
            "lock the memory": lambda: mmap_locked(256 << 20),
        }
    )


def mmap_locked(size: int) -> int:
    room = mmap.mmap(-1, size)
    return call("mlock", ctypes.addressof(ctypes.c_char.from_buffer(room)), size)


def keys(names: list[str]) -> list[str]:
    """Keys that the daemon holds, and any that another sandbox left: read by name, listed, left for others."""
    buffer = ctypes.create_string_buffer(4096)
    found = []
    for ring, name in itertools.product((-1, -2, -3, -4, -5), names):
        number = call("keyctl", 10, ring, b"user", name.encode(), 0)
        if number > 0 and call("keyctl", 11, number, buffer, 4096) > 0:
            found.append(f"{name} in {ring}: {buffer.value!r}")
    for name in map(str.encode, names):
        attempts = {
            f"make {name!r}": lambda name=name: call("add_key", b"user", name, b"x", 1, -3),
            f"ask for {name!r}": lambda name=name: call("request_key", b"user", name, None, 0),
            f"join {name!r}": lambda name=name: call("keyctl", 1, name),
        }
        found += worked(attempts)
    try:
        found += [f"listed: {line}" for line in open("/proc/keys") if any(name in line for name in names)]
    except FileNotFoundError:
        pass
    return found


def more_rights_by_programs() -> list[str]:
    """Programs that would run as somebody else."""
    found = []
    for line in open("/proc/self/mounts"):
        _, place, _, options, *_ = line.split()
        if "nosuid" not in options.split(","):
            found.append(f"{place} honours setuid")
    candidates = [path for folder in ("/usr/bin", "/usr/sbin", "/usr/lib/openssh") for path in glob.glob(folder + "/*")]
    privileged = [path for path in candidates if os.path.isfile(path) and os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)]
    for path in privileged:
        # Stopped at its first instruction, by which the kernel has decided whose rights it has.
        child = os.fork()
        if child == 0:
            libc.ptrace(0, 0, None, None)
            try:
                os.execv(path, [path])
            except OSError:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFSTOPPED(status):
            lines = dict(line.split(":", 1) for line in open(f"/proc/{child}/status"))
            if set(lines["Uid"].split()) != {"1000"} or set(lines["Gid"].split()) != {"1000"} or int(lines["CapPrm"], 16):
                found.append(path)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    # Without ptrace, so that its own rule for traced programs is not what held.
    for path in privileged:
        if os.path.basename(path) in ("mount", "su", "umount"):
            ended = subprocess.run([path, "/proc/sysrq"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
            if ended.returncode == 0:
                found.append(f"{path} did something")
    return found


def inherited() -> list[str]:
    """Descriptors beyond the three, terminals, and what the three lead to."""
    found = []
    for descriptor in range(3, 1024):
        try:
            found.append(f"{descriptor}: {os.fstat(descriptor)}")
        except OSError:
            continue
    for descriptor in (0, 1, 2):
        if os.isatty(descriptor):
            found.append(f"{descriptor} is a terminal")
        if not os.readlink(f"/proc/self/fd/{descriptor}").startswith(("pipe:", "/dev/null")):
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found


def typing_into_a_terminal() -> list[str]:
    """TIOCSTI types into whatever terminal one has; TIOCLINUX pastes into a console."""
    attempts: dict[str, Callable[[], Any]] = {"the own terminal": lambda: os.close(os.open("/dev/tty", os.O_RDWR))}
    for descriptor in (0, 1, 2):
        for request in (termios.TIOCSTI, 0x541C):
            attempts[f"type into {descriptor}"] = lambda descriptor=descriptor, request=request: fcntl.ioctl(
                descriptor, request, b"x"
            )
            attempts[f"take {descriptor}"] = lambda descriptor=descriptor: fcntl.ioctl(descriptor, termios.TIOCSCTTY, 1)
    for path in ["/dev/console", "/dev/tty0", "/dev/tty1", *(f"/dev/pts/{number}" for number in range(16))]:
        attempts[path] = lambda path=path: os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
    return worked(attempts)


def environments(word: str) -> list[str]:
    """Places where a word of the daemon's environment or command line can be read."""
    found = [f"{name}={value}" for name, value in os.environ.items() if word in value or name.startswith(("SANDBOX_", "E2B"))]
    for path in [*glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline"), "/proc/self/mountinfo"]:
        try:
            text = open(path, "rb").read()
        except OSError:
            continue
        # Our own command line names the word.
        if word.encode() in text and f"/{os.getpid()}/" not in path and "/self/" not in path:
            found.append(path)
    return found


def memory_beyond(limit: int) -> list[str]:
    """More than a process may have, in one piece and in many."""
    pieces = []

    def in_pieces() -> None:
        while len(pieces) * (64 << 20) <= limit:
            pieces.append(mmap.mmap(-1, 64 << 20))

    found = worked({"in one piece": lambda: mmap.mmap(-1, limit), "in pieces": in_pieces})
    return found


# One sandbox against another


def leave_traces(word: str) -> list[str]:
    """Leaves something in every place that two sandboxes might share, and stays until it is killed."""
    for place in ("/home/user", "/tmp", "/var/tmp", "/dev/shm"):
        with open(f"{place}/{word}", "w") as file:
            file.write(word)
    listeners = []
    for address in ("\0" + word, f"/tmp/{word}.socket"):
        one = socket.socket(socket.AF_UNIX)
        one.bind(address)
        one.listen()
        listeners.append(one)
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        one = socket.socket(family)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((address, 45678))
        one.listen()
        listeners.append(one)
    number = call("shmget", 0x5B0C, 4096, 0o1666)
    call("mq_open", f"/{word}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
    if number < 0:
        return [f"no shared memory: {number}"]
    if os.fork() == 0:
        os.setsid()
        os.close(1)
        os.close(2)
        signal.pause()
    return []


def find_traces(word: str) -> list[str]:
    """Looks for them from another one."""
    places = [f"{place}/{word}" for place in ("/home/user", "/tmp", "/var/tmp", "/dev/shm")]
    found = files_that_can_be_read(places)
    found += peers_that_answer(
        [
            ["AF_UNIX", "SOCK_STREAM", "@" + word],
            ["AF_UNIX", "SOCK_STREAM", f"/tmp/{word}.socket"],
            ["AF_INET", "SOCK_STREAM", ["127.0.0.1", 45678]],
            ["AF_INET6", "SOCK_STREAM", ["::1", 45678]],
        ]
    )
    found += worked(
        {
            "shared memory": lambda: call("shmget", 0x5B0C, 4096, 0),
            "a queue": lambda: call("mq_open", f"/{word}".encode(), os.O_RDWR),
        }
    )
    return found


def run(name: str, arguments: Iterable[Any]) -> list[str]:
    return globals()[name](*arguments)
