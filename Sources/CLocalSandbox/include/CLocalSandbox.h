// The system calls of the local provider that Swift cannot import or express: variadic functions, descriptors in
// messages, epoll's union, and process creation. None keeps state. Results: >= 0, or -errno.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "sandbox_protocol.h"

// What happened to a descriptor: `token` as registered, `events` as CLS_READABLE and so on.
struct cls_event {
    uint64_t token;
    uint32_t events;
};

enum {
    CLS_READABLE = 1,
    CLS_WRITABLE = 2,
    // The other end is closed, or there is an error to be read.
    CLS_HUNG_UP = 4,
};

// Every descriptor made here closes on exec.
int cls_epoll_create(void);
// Registers `fd`; also with `events` 0 a hang-up is reported.
int cls_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);
int cls_epoll_change(int epoll, int fd, uint32_t events, uint64_t token);
int cls_epoll_remove(int epoll, int fd);
// Waits for at most `milliseconds` (-1: for ever); returns how many events were written.
int cls_epoll_wait(int epoll, struct cls_event *events, int capacity, int milliseconds);
int cls_eventfd(void);
void cls_eventfd_signal(int fd);
void cls_eventfd_clear(int fd);

// A pair of connected SOCK_SEQPACKET sockets; `ours` does not block.
int cls_socketpair(int *ours, int *theirs);
// A pipe; `blocking_end` 0 is the reading, 1 the writing end, the other one does not block. With `owner` > 0 the pipe
// belongs to that user, who may then open it through /dev/stdout again.
int cls_pipe(int *reader, int *writer, int blocking_end, uint32_t owner, uint32_t group);
// One message with at most 8 descriptors, without blocking.
int64_t cls_send(int socket, const void *bytes, size_t size, const int *fds, int fd_count);
// One message without blocking; descriptors in it are refused. 0 is the end.
int64_t cls_receive(int socket, void *bytes, size_t capacity);
int64_t cls_read(int fd, void *bytes, size_t capacity);
int64_t cls_write(int fd, const void *bytes, size_t size);
int cls_open_read(const char *path);
// A file in memory with this content; reopen it with cls_reopen before each reader that starts at its beginning.
int cls_memory_file(const char *name, const void *bytes, size_t size);
int cls_reopen(int fd);
void cls_close(int fd);

// Starts `path` in a session of its own with default signals and with the descriptors `fds[i]` as `i`, no others.
// Returns the process id.
int cls_spawn(const char *path, char *const argv[], const int *fds, int fd_count);
int cls_pidfd(int pid);
// Takes the status of a child that ended; -EAGAIN while it runs.
int cls_reap(int pid, int *status);
// SIGKILL for the process group that `pid` leads.
void cls_kill_group(int pid);
// Blocks every signal in the calling thread: a write to a closed pipe is then an error and no death.
void cls_block_signals(void);
// What debuggers show as the name of the calling thread; at most 15 bytes.
void cls_name_thread(const char *name);

uint64_t cls_now_nanoseconds(void);
int cls_wait_readable(int fd, int milliseconds);
