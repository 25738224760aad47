"""Starts a daemon in surroundings that invite a leak, and becomes it.

    python surroundings.py USER KEY SECRET DAEMON ARGUMENT...

The daemon then has a terminal, a session keyring with a key, the descriptors 9 and 77 on the file SECRET and others on
both ends of the terminal, all of them inherited by whatever it starts; and it runs as USER ("-" for whoever we are).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import pty
import sys
import termios

KEYCTL = {"x86_64": 250, "aarch64": 219}
ADD_KEY = {"x86_64": 248, "aarch64": 217}
JOIN_SESSION_KEYRING = 1
SESSION_KEYRING = -3


def give_key(name: str, value: bytes) -> bool:
    """Puts a key into a session keyring of our own. False where the machine does not allow any."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    machine = platform.machine()
    if machine not in KEYCTL or call(KEYCTL[machine], JOIN_SESSION_KEYRING, None) < 0:
        return False
    return call(ADD_KEY[machine], b"user", name.encode(), value, ctypes.c_size_t(len(value)), SESSION_KEYRING) >= 0


def main() -> None:
    user, key, secret, executable, *arguments = sys.argv[1:]
    os.setsid()
    # Both ends stay open: without the other one a terminal is hung up.
    _, terminal = pty.openpty()
    for descriptor in range(3, terminal + 1):
        if os.path.exists(f"/proc/self/fd/{descriptor}"):
            os.set_inheritable(descriptor, True)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    os.dup2(terminal, 0)
    for descriptor in (9, 77):
        os.dup2(os.open(secret, os.O_RDWR), descriptor)
    print("a key was given" if give_key(key, open(secret, "rb").read()) else "keys are not allowed here", flush=True)
    if user != "-":
        os.setgroups([])
        os.setresgid(int(user), int(user), int(user))
        os.setresuid(int(user), int(user), int(user))
    os.execv(executable, [executable, *arguments])


if __name__ == "__main__":
    main()
