#include "sandbox_init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void say(int fd, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t written = write(fd, text, left);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return;
        text += written;
        left -= (size_t)written;
    }
}

static int fail(const char *what, const char *subject) {
    const char *reason = strerror(errno);
    say(2, "sandbox-init: ");
    say(2, what);
    say(2, subject);
    say(2, ": ");
    say(2, reason);
    say(2, "\n");
    return 125;
}

// A whole decimal number of at most 32 bits that is not the kernel's "no change"; -1 otherwise.
static int64_t number(const char *text) {
    char *end = NULL;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value >= UINT32_MAX) {
        errno = EINVAL;
        return -1;
    }
    return (int64_t)value;
}

int launch(const char *uid, const char *gid, char **command) {
    // When memory runs out the kernel should end a sandbox rather than the daemon. Raising needs no privilege.
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        say(score, "1000");
        close(score);
    }
    // As root while we are it: an ordinary user has few keys to spend.
    leave_session_keyring();
    if (strcmp(uid, "-") != 0) {
        int64_t user = number(uid), group = number(gid);
        if (user <= 0 || group <= 0) return fail("bad user or group ", uid);
        // The order matters: once the user is given up, groups can no longer be.
        if (setgroups(0, NULL) != 0) return fail("cannot give up the groups", "");
        if (setresgid((gid_t)group, (gid_t)group, (gid_t)group) != 0) return fail("cannot become group ", gid);
        if (setresuid((uid_t)user, (uid_t)user, (uid_t)user) != 0) return fail("cannot become user ", uid);
        // Nothing below may run with a way back.
        if (setuid(0) == 0) return fail("could become root again as user ", uid);
    }
    execv(command[0], command);
    return fail("cannot run ", command[0]);
}
