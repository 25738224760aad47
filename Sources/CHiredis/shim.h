// hiredis, and the system calls next to it that Swift's Glibc module does not import.
#pragma once
#include <hiredis/hiredis.h>
#include <sys/eventfd.h>

/// A close-on-exec, non-blocking event counter starting at 0; -1 with errno set when it fails.
static inline int chiredis_eventfd(void) {
    return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/// The macro is a bit pattern that Swift imports with another type than the field it belongs to.
static inline void chiredis_set_nonblocking(redisContext *context) {
    context->flags &= ~REDIS_BLOCK;
}
