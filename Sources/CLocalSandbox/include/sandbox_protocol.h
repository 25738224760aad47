// What the local provider and sandbox-init say to each other: one message per SOCK_SEQPACKET record, native byte
// order (both ends are on one machine), the first byte says which. Neither end trusts the other: whatever is too
// short, too long or unknown is dropped.
#pragma once

#include <stdint.h>

enum {
    // The descriptor on which sandbox-init finds its socket.
    SANDBOX_SOCKET_FD = 3,
    // The longest record, in bytes.
    SANDBOX_MAX_MESSAGE = 131072,
    // Commands that may run at once in one sandbox.
    SANDBOX_MAX_COMMANDS = 64,
    // The most strings in a command or environment.
    SANDBOX_MAX_STRINGS = 4096,
};

enum {
    // To sandbox-init, once and first: sandbox_setup, then NAME=VALUE strings, each ended by NUL. Answered by READY.
    SANDBOX_SETUP = 'S',
    // To sandbox-init: sandbox_header, then argv strings, each ended by NUL, and three descriptors (0, 1, 2 of the
    // command). Answered by EXITED when the command ends.
    SANDBOX_RUN = 'R',
    // To sandbox-init: sandbox_header. Kills the command and all that it left in its session or below it.
    SANDBOX_KILL = 'K',
    // To sandbox-init: sandbox_header. Answered by PONG with the same number.
    SANDBOX_PING = 'P',
    // To sandbox-init: sandbox_life. Moves the moment at which sandbox-init ends by itself.
    SANDBOX_LIFE = 'L',
    // From sandbox-init: sandbox_header.
    SANDBOX_READY = 'Y',
    SANDBOX_PONG = 'Q',
    // From sandbox-init: sandbox_exit.
    SANDBOX_EXITED = 'X',
};

struct sandbox_header {
    uint8_t kind;
    uint8_t zero[3];
    uint32_t number;
};

struct sandbox_life {
    struct sandbox_header header;
    uint64_t milliseconds;
};

struct sandbox_setup {
    struct sandbox_header header;
    uint64_t life_milliseconds;
    // Limits of each command; for processes: of everything in the sandbox together.
    uint64_t max_processes;
    uint64_t max_address_space;
    uint64_t max_file_size;
    uint64_t max_open_files;
};

struct sandbox_exit {
    struct sandbox_header header;
    // As waitpid gives it.
    int32_t status;
};
