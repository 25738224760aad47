#include "CLocalSandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int result(int value) { return value < 0 ? -errno : value; }

int cls_epoll_create(void) { return result(epoll_create1(EPOLL_CLOEXEC)); }

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.data.u64 = token};
    if (events & CLS_READABLE) event.events |= EPOLLIN;
    if (events & CLS_WRITABLE) event.events |= EPOLLOUT;
    return result(epoll_ctl(epoll, operation, fd, &event));
}

int cls_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_ADD, fd, events, token);
}

int cls_epoll_change(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_MOD, fd, events, token);
}

int cls_epoll_remove(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

int cls_epoll_wait(int epoll, struct cls_event *events, int capacity, int milliseconds) {
    struct epoll_event found[64];
    int count = epoll_wait(epoll, found, capacity < 64 ? capacity : 64, milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        events[i].token = found[i].data.u64;
        events[i].events = 0;
        if (found[i].events & EPOLLIN) events[i].events |= CLS_READABLE;
        if (found[i].events & EPOLLOUT) events[i].events |= CLS_WRITABLE;
        if (found[i].events & (EPOLLHUP | EPOLLERR)) events[i].events |= CLS_HUNG_UP;
    }
    return count;
}

int cls_eventfd(void) { return result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

void cls_eventfd_signal(int fd) { eventfd_write(fd, 1); }

void cls_eventfd_clear(int fd) {
    eventfd_t value;
    eventfd_read(fd, &value);
}

int cls_socketpair(int *ours, int *theirs) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return -errno;
    if (fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0) {
        int error = errno;
        close(pair[0]);
        close(pair[1]);
        return -error;
    }
    *ours = pair[0];
    *theirs = pair[1];
    return 0;
}

int cls_pipe(int *reader, int *writer, int blocking_end, uint32_t owner, uint32_t group) {
    int pair[2];
    if (pipe2(pair, O_CLOEXEC) != 0) return -errno;
    if (fcntl(pair[1 - blocking_end], F_SETFL, O_NONBLOCK) != 0 || (owner > 0 && fchown(pair[0], owner, group) != 0)) {
        int error = errno;
        close(pair[0]);
        close(pair[1]);
        return -error;
    }
    *reader = pair[0];
    *writer = pair[1];
    return 0;
}

int64_t cls_send(int socket, const void *bytes, size_t size, const int *fds, int fd_count) {
    union {
        char bytes[CMSG_SPACE(sizeof(int[8]))];
        struct cmsghdr align;
    } control_bytes;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > 8) return -EINVAL;
    if (fd_count > 0) {
        memset(&control_bytes, 0, sizeof control_bytes);
        message.msg_control = control_bytes.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count);
        memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)fd_count);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int64_t cls_receive(int socket, void *bytes, size_t capacity) {
    // recv, not recvmsg with room for control data: the kernel then drops descriptors that come along.
    ssize_t size;
    do size = recv(socket, bytes, capacity, MSG_DONTWAIT);
    while (size < 0 && errno == EINTR);
    return size < 0 ? -errno : size;
}

int64_t cls_read(int fd, void *bytes, size_t capacity) {
    ssize_t size;
    do size = read(fd, bytes, capacity);
    while (size < 0 && errno == EINTR);
    return size < 0 ? -errno : size;
}

int64_t cls_write(int fd, const void *bytes, size_t size) {
    ssize_t written;
    do written = write(fd, bytes, size);
    while (written < 0 && errno == EINTR);
    return written < 0 ? -errno : written;
}

int cls_open_read(const char *path) { return result(open(path, O_RDONLY | O_CLOEXEC)); }

int cls_memory_file(const char *name, const void *bytes, size_t size) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0) return -errno;
    const char *at = bytes;
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            int error = errno;
            close(fd);
            return -error;
        }
        at += written;
        size -= (size_t)written;
    }
    return fd;
}

int cls_reopen(int fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return cls_open_read(path);
}

void cls_close(int fd) { close(fd); }

int cls_spawn(const char *path, char *const argv[], const int *fds, int fd_count) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    pid_t pid = -1;
    int high[16], made = 0, error = 0;
    if (fd_count > 16) return -EINVAL;
    // Sources move above all targets first: otherwise one dup2 could overwrite the source of the next.
    for (; made < fd_count; made++) {
        high[made] = fcntl(fds[made], F_DUPFD_CLOEXEC, 32);
        if (high[made] < 0) {
            error = errno;
            break;
        }
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    sigemptyset(&none);
    sigfillset(&all);
    for (int i = 0; i < made && error == 0; i++) error = posix_spawn_file_actions_adddup2(&actions, high[i], i);
    // Everything else closes whatever its flags say: another sandbox's socket would keep that sandbox alive.
    if (error == 0) error = posix_spawn_file_actions_addclosefrom_np(&actions, fd_count);
    if (error == 0) error = posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0) error = posix_spawnattr_setsigdefault(&attributes, &all);
    // A session of its own: Ctrl-C at the daemon's terminal is the daemon's affair.
    if (error == 0) {
        error = posix_spawnattr_setflags(
            &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    }
    char *empty[] = {NULL};
    if (error == 0) error = posix_spawn(&pid, path, &actions, &attributes, argv, empty);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    for (int i = 0; i < made; i++) close(high[i]);
    return error != 0 ? -error : pid;
}

int cls_pidfd(int pid) { return result((int)syscall(SYS_pidfd_open, pid, 0)); }

int cls_reap(int pid, int *status) {
    pid_t ended;
    do ended = waitpid(pid, status, WNOHANG);
    while (ended < 0 && errno == EINTR);
    if (ended < 0) return -errno;
    return ended == 0 ? -EAGAIN : 0;
}

void cls_kill_group(int pid) {
    if (pid > 1) kill(-pid, SIGKILL);
}

void cls_block_signals(void) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
}

void cls_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

uint64_t cls_now_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int cls_wait_readable(int fd, int milliseconds) {
    struct pollfd source = {.fd = fd, .events = POLLIN};
    int count;
    do count = poll(&source, 1, milliseconds);
    while (count < 0 && errno == EINTR);
    return result(count);
}
