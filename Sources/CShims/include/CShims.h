// The few C functions that Swift's Glibc module does not import.
#pragma once
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

// Declared by the system only under _GNU_SOURCE. Defining that here would give this module another layout of some system
// types (fd_set) than the other C modules have, which the compiler rejects where both are imported.
extern int sched_getcpu(void);
extern int accept4(int socket, struct sockaddr *address, socklen_t *length, int flags);
extern int pthread_setname_np(pthread_t thread, const char *name);

/// Heap bytes that malloc has handed out, and that it holds from the kernel.
struct cshims_heap_bytes {
    size_t used;
    size_t held;
};

/// Both at once, as malloc walks through all its free lists for it; memory-mapped blocks count in both.
static inline struct cshims_heap_bytes cshims_heap(void) {
    struct mallinfo2 info = mallinfo2();
    struct cshims_heap_bytes heap = {info.uordblks + info.hblkhd, info.arena + info.hblkhd};
    return heap;
}

/// Has all threads allocate from at most so many heaps, unless MALLOC_ARENA_MAX says otherwise. For the start: it moves
/// nothing that is there.
static inline void cshims_heap_limit_arenas(int count) {
    if (getenv("MALLOC_ARENA_MAX") == NULL)
        (void)mallopt(M_ARENA_MAX, count);
}

/// Gives free pages of the heap back to the kernel, those in its middle too.
static inline void cshims_heap_trim(void) {
    (void)malloc_trim(0);
}

/// A close-on-exec, non-blocking event counter starting at 0; -1 with errno set when it fails.
static inline int cshims_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/// The processor this thread runs on right now; -1 when unknown. A hint: it may change at once.
static inline int cshims_current_cpu(void) {
    return sched_getcpu();
}

/// Accepts a client as a close-on-exec, non-blocking socket; -1 with errno set when there is none.
static inline int cshims_accept(int listener, struct sockaddr *address, socklen_t *length) {
    return accept4(listener, address, length, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/// Names the calling thread for debuggers and top; at most 15 characters.
static inline void cshims_name_thread(const char *name) {
    (void)pthread_setname_np(pthread_self(), name);
}
