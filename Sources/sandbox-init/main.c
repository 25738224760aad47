// sandbox-init has two lives, both short of anything but libc:
//
//   sandbox-init                          PID 1 inside a sandbox: supervises the commands that run there.
//   sandbox-init --launch UID GID PROGRAM ARGUMENT...
//                                         On the host: gives up root for good, then becomes PROGRAM (bubblewrap).
//                                         posix_spawn cannot change the user, and a forked copy of a daemon with
//                                         threads should not try.

#include "sandbox_init.h"

#include <string.h>

int main(int argc, char **argv) {
    if (argc >= 5 && strcmp(argv[1], "--launch") == 0) return launch(argv[2], argv[3], argv + 4);
    return supervise();
}
