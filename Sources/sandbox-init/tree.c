#include "sandbox_init.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SEEN = 4096 };

struct process {
    pid_t pid, parent, session;
    bool doomed;
};

// Fields 4 and 6 of /proc/PID/stat. The name in field 2 may hold anything, so reading starts behind its last ')'.
static bool read_process(const char *name, struct process *process) {
    char path[64] = "/proc/", text[512];
    if (strlen(name) > 20) return false;
    strcat(strcat(path, name), "/stat");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return false;
    text[length] = '\0';
    char *rest = strrchr(text, ')');
    if (rest == NULL || strlen(rest) < 4 || rest[2] == 'Z') return false;
    rest += 3;
    process->pid = (pid_t)strtol(name, NULL, 10);
    process->parent = (pid_t)strtol(rest, &rest, 10);
    (void)strtol(rest, &rest, 10);
    process->session = (pid_t)strtol(rest, &rest, 10);
    process->doomed = false;
    return true;
}

static size_t read_processes(struct process *seen) {
    size_t count = 0;
    DIR *directory = opendir("/proc");
    if (directory == NULL) return 0;
    struct dirent *entry;
    while (count < MAX_SEEN && (entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        if (read_process(entry->d_name, &seen[count])) count++;
    }
    closedir(directory);
    return count;
}

// Marks the leader's session and all descendants, and returns how many.
static size_t doom(struct process *seen, size_t count, pid_t leader) {
    size_t doomed = 0;
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            if (seen[i].doomed || seen[i].pid == 1) continue;
            bool below = seen[i].pid == leader || seen[i].session == leader;
            for (size_t j = 0; j < count && !below; j++) below = seen[j].doomed && seen[j].pid == seen[i].parent;
            if (!below) continue;
            seen[i].doomed = changed = true;
            doomed++;
        }
    }
    return doomed;
}

void kill_tree(pid_t leader) {
    static struct process seen[MAX_SEEN];
    size_t count = 0, before = 0;
    // Stop first, until nothing new appears: a process killed while its child forks would lose us the grandchild.
    for (int round = 0; round < 16; round++) {
        count = read_processes(seen);
        size_t doomed = doom(seen, count, leader);
        if (round > 0 && doomed <= before) break;
        before = doomed;
        for (size_t i = 0; i < count; i++) {
            if (seen[i].doomed) kill(seen[i].pid, SIGSTOP);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (seen[i].doomed) kill(seen[i].pid, SIGKILL);
    }
    kill(-leader, SIGKILL);
    kill(leader, SIGKILL);
}
