#include "sandbox_init.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#error "the filter of system calls has to be told this architecture's name"
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
// The low half: the kernel takes a family as an int. Both architectures are little-endian.
#define LOAD_FIRST_ARGUMENT LOAD(args[0])
#define SKIP_UNLESS(value, count) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), 0, (count))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define REFUSE(call, error) SKIP_UNLESS((call), 1), RETURN(SECCOMP_RET_ERRNO | (error))
#define ALLOW_FAMILY(family) SKIP_UNLESS((family), 1), RETURN(SECCOMP_RET_ALLOW)

void leave_session_keyring(void) {
    // Without a name: a new one, and empty. Where it fails (no keys in this kernel, or not allowed in a container), the
    // filter below still keeps every key from being read; what would show are their names.
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
}

int restrict_calls(void) {
    // Namespaces hold back what they were made for. These calls pass them by.
    static struct sock_filter rules[] = {
        // The numbers below are those of one architecture, and the kernel may serve programs of another one.
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
#if defined(__x86_64__)
        // x32: the same calls under other numbers.
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
#endif
        // Keys belong to users and sessions, which no namespace separates.
        REFUSE(SYS_keyctl, ENOSYS),
        REFUSE(SYS_add_key, ENOSYS),
        REFUSE(SYS_request_key, ENOSYS),
        // Makes sockets, and more, without the call that is watched for it.
        REFUSE(SYS_io_uring_setup, ENOSYS),
        // Only families of which a network namespace holds its own. vsock leads from a virtual machine to its host.
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 1, 0),
        SKIP_UNLESS(SYS_socketpair, 10),
        LOAD_FIRST_ARGUMENT,
        ALLOW_FAMILY(AF_UNIX),
        ALLOW_FAMILY(AF_INET),
        ALLOW_FAMILY(AF_INET6),
        ALLOW_FAMILY(AF_NETLINK),
        RETURN(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        RETURN(SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0);
}
