#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "sandbox_protocol.h"

// Becomes `command` as user `uid` and group `gid`; "-" keeps the present ones. Returns only on failure.
int launch(const char *uid, const char *gid, char **command);

// Serves the socket SANDBOX_SOCKET_FD until it closes or the life granted is over.
int supervise(void);

// Makes all that follows possess no key of whoever started it.
void leave_session_keyring(void);

// Takes from this process and all that it starts, for good, the system calls that lead out of a sandbox past its
// namespaces. 0, or -1 with errno.
int restrict_calls(void);

// Kills `leader`, everything in its session and everything below it, as far as /proc shows it.
void kill_tree(pid_t leader);

// What a command starts with.
struct command_plan {
    const struct sandbox_setup *limits;
    char **argv;
    const int *stdio;
};

// Starts a command in a session of its own; returns its pid, or -1 with errno.
pid_t start_command(const struct command_plan *plan);

// Writes all of `text` to `fd`, as far as it goes.
void say(int fd, const char *text);
