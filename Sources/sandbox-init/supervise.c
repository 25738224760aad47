#include "sandbox_init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

// One thread, no allocation while it runs: everything that it may ever need is here.
static struct command {
    uint32_t number;
    pid_t pid;     // 0: the entry is free
    bool ended;    // its status waits to be sent
    int status;
} commands[SANDBOX_MAX_COMMANDS];

static struct sandbox_setup setup;
static bool is_set_up;
static int life_timer = -1;
static _Alignas(16) char message[SANDBOX_MAX_MESSAGE + 1];
static char environment_text[SANDBOX_MAX_MESSAGE + 1];
static char *environment[SANDBOX_MAX_STRINGS + 1];
static char *arguments[SANDBOX_MAX_STRINGS + 1];
extern char **environ;

static bool reply(const void *bytes, size_t size) {
    ssize_t sent;
    do sent = send(SANDBOX_SOCKET_FD, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)size;
}

static bool reply_exit(uint32_t number, int status) {
    struct sandbox_exit exit = {.header = {.kind = SANDBOX_EXITED, .number = number}, .status = status};
    return reply(&exit, sizeof exit);
}

// Splits NUL-ended strings; -1 if the last one has no end or there are too many.
static int split(char *text, size_t size, char **strings) {
    if (size > 0 && text[size - 1] != '\0') return -1;
    int count = 0;
    for (size_t at = 0; at < size; at += strlen(text + at) + 1) {
        if (count == SANDBOX_MAX_STRINGS) return -1;
        strings[count++] = text + at;
    }
    strings[count] = NULL;
    return count;
}

static void set_life(uint64_t milliseconds) {
    if (milliseconds == 0) milliseconds = 1;
    struct itimerspec life = {
        .it_value = {.tv_sec = (time_t)(milliseconds / 1000), .tv_nsec = (long)(milliseconds % 1000) * 1000000}};
    // A life that the kernel cannot count (a damaged message) is none at all.
    if (timerfd_settime(life_timer, 0, &life, NULL) != 0) _exit(1);
}

static void on_setup(size_t size) {
    if (size < sizeof setup || is_set_up) return;
    size_t text_size = size - sizeof setup;
    memcpy(environment_text, message + sizeof setup, text_size);
    if (split(environment_text, text_size, environment) < 0) return;
    memcpy(&setup, message, sizeof setup);
    // Ours too: execvp looks for the program on the PATH of its caller.
    environ = environment;
    set_life(setup.life_milliseconds);
    is_set_up = true;
    struct sandbox_header ready = {.kind = SANDBOX_READY, .number = setup.header.number};
    reply(&ready, sizeof ready);
}

static struct command *find_running(uint32_t number) {
    for (int i = 0; i < SANDBOX_MAX_COMMANDS; i++) {
        if (commands[i].pid != 0 && !commands[i].ended && commands[i].number == number) return &commands[i];
    }
    return NULL;
}

static struct command *find_free(void) {
    for (int i = 0; i < SANDBOX_MAX_COMMANDS; i++) {
        if (commands[i].pid == 0) return &commands[i];
    }
    return NULL;
}

static void on_run(uint32_t number, size_t size, const int *stdio, int stdio_count) {
    if (stdio_count != 3 || !is_set_up) return;
    int count = split(message + sizeof(struct sandbox_header), size - sizeof(struct sandbox_header), arguments);
    struct command *command = find_free();
    if (count < 1 || command == NULL || find_running(number) != NULL) {
        // 126 is what a shell says of a program that it found and could not run.
        reply_exit(number, 126 << 8);
        return;
    }
    struct command_plan plan = {.limits = &setup, .argv = arguments, .stdio = stdio};
    pid_t pid = start_command(&plan);
    if (pid < 0) {
        const char *reason = strerror(errno);
        say(stdio[2], "sandbox-init: cannot start a process: ");
        say(stdio[2], reason);
        say(stdio[2], "\n");
        reply_exit(number, 126 << 8);
        return;
    }
    *command = (struct command){.number = number, .pid = pid};
}

static void dispatch(size_t size, const int *fds, int fd_count) {
    struct sandbox_header header;
    if (size < sizeof header) return;
    memcpy(&header, message, sizeof header);
    switch (header.kind) {
    case SANDBOX_SETUP:
        on_setup(size);
        break;
    case SANDBOX_RUN:
        on_run(header.number, size, fds, fd_count);
        break;
    case SANDBOX_KILL: {
        struct command *command = find_running(header.number);
        if (command != NULL) kill_tree(command->pid);
        break;
    }
    case SANDBOX_PING: {
        struct sandbox_header pong = {.kind = SANDBOX_PONG, .number = header.number};
        reply(&pong, sizeof pong);
        break;
    }
    case SANDBOX_LIFE:
        if (size == sizeof(struct sandbox_life)) {
            struct sandbox_life life;
            memcpy(&life, message, sizeof life);
            set_life(life.milliseconds);
        }
        break;
    }
}

static void on_message(void) {
    enum { MAX_FDS = 8 };
    union {
        char bytes[CMSG_SPACE(sizeof(int[MAX_FDS]))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = message, .iov_len = SANDBOX_MAX_MESSAGE};
    struct msghdr record = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t size = recvmsg(SANDBOX_SOCKET_FD, &record, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    // The daemon is gone, in whatever way. With us the kernel ends everything in this pid namespace.
    if (size <= 0) _exit(0);
    int fds[MAX_FDS], count = 0;
    for (struct cmsghdr *part_header = CMSG_FIRSTHDR(&record); part_header != NULL;
         part_header = CMSG_NXTHDR(&record, part_header)) {
        if (part_header->cmsg_level != SOL_SOCKET || part_header->cmsg_type != SCM_RIGHTS) continue;
        size_t bytes = part_header->cmsg_len - CMSG_LEN(0);
        if (bytes > sizeof fds) bytes = sizeof fds;
        memcpy(fds, CMSG_DATA(part_header), bytes);
        count = (int)(bytes / sizeof(int));
    }
    message[size] = '\0';
    if ((record.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) dispatch((size_t)size, fds, count);
    for (int i = 0; i < count; i++) close(fds[i]);
}

// Takes in what ended. Orphans are ours as PID 1, and simply forgotten.
static void reap(int signals) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) > 0) {}
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (int i = 0; i < SANDBOX_MAX_COMMANDS; i++) {
            if (commands[i].pid != pid || commands[i].ended) continue;
            commands[i].ended = true;
            commands[i].status = status;
        }
    }
}

// Sends what ended. Returns whether something is left because the daemon does not read.
static bool report(void) {
    for (int i = 0; i < SANDBOX_MAX_COMMANDS; i++) {
        if (commands[i].pid == 0 || !commands[i].ended) continue;
        if (!reply_exit(commands[i].number, commands[i].status)) return true;
        commands[i].pid = 0;
    }
    return false;
}

// Nothing of the host stays open: only the socket.
static void close_everything(void) {
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++) {
        if (null >= 0) dup2(null, fd);
        else close(fd);
    }
    close_range(SANDBOX_SOCKET_FD + 1, ~0U, 0);
    fcntl(SANDBOX_SOCKET_FD, F_SETFD, FD_CLOEXEC);
}

int supervise(void) {
    // Commands run as the same user: without this they could trace us and take the socket.
    if (prctl(PR_SET_DUMPABLE, 0) != 0) return 1;
    if (restrict_calls() != 0) {
        const char *reason = strerror(errno);
        say(2, "sandbox-init: cannot filter system calls: ");
        say(2, reason);
        say(2, "\n");
        return 1;
    }
    close_everything();
    // Commands inherit dispositions: the daemon may ignore SIGPIPE, a shell pipeline must not.
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    int signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
    life_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (signals < 0 || life_timer < 0) return 1;
    bool unsent = false;
    for (;;) {
        struct pollfd sources[3] = {
            {.fd = SANDBOX_SOCKET_FD, .events = (short)(POLLIN | (unsent ? POLLOUT : 0))},
            {.fd = signals, .events = POLLIN},
            {.fd = life_timer, .events = POLLIN},
        };
        if (poll(sources, 3, -1) < 0 && errno != EINTR) return 1;
        // The second safety: the daemon should have ended us before, so it hangs or lost us.
        if (sources[2].revents != 0) return 0;
        if (sources[0].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) on_message();
        if (sources[1].revents != 0) reap(signals);
        unsent = report();
    }
}
