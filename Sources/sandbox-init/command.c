#include "sandbox_init.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int limit(__rlimit_resource_t resource, uint64_t most) {
    // 0 is "no limit of ours".
    if (most == 0) return 0;
    struct rlimit both = {.rlim_cur = most, .rlim_max = most};
    if (setrlimit(resource, &both) == 0) return 0;
    // Above the hard limit that we inherited: that one is stricter, and stays.
    return errno == EPERM ? 0 : -1;
}

static void explain(const char *subject, int error) {
    say(2, "sandbox-init: ");
    say(2, subject);
    say(2, ": ");
    say(2, strerror(error));
    say(2, "\n");
}

// The child: shares our memory until it becomes the command, so it calls the kernel and changes no variable of ours.
static void become_command(const struct command_plan *plan) __attribute__((noreturn));
static void become_command(const struct command_plan *plan) {
    setsid();
    for (int fd = 0; fd < 3; fd++) {
        // The three were opened by recvmsg above the standard ones, so none overwrites another.
        if (dup2(plan->stdio[fd], fd) < 0) _exit(126);
    }
    // The socket, above all: who holds it could answer in our name.
    close_range(3, ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    const struct sandbox_setup *limits = plan->limits;
    // A core dump would only fill the home.
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (limit(RLIMIT_NPROC, limits->max_processes) != 0
        || limit(RLIMIT_AS, limits->max_address_space) != 0 || limit(RLIMIT_FSIZE, limits->max_file_size) != 0
        || limit(RLIMIT_NOFILE, limits->max_open_files) != 0) {
        explain("cannot set a limit", errno);
        _exit(126);
    }
    execvp(plan->argv[0], plan->argv);
    int error = errno;
    explain(plan->argv[0], error);
    // The shell's convention: 127 not found, 126 found but not to be run.
    _exit(error == ENOENT ? 127 : 126);
}

pid_t start_command(const struct command_plan *plan) {
    pid_t pid = vfork();
    if (pid == 0) become_command(plan);
    return pid;
}
