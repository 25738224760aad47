// Counts what the C library's allocator is asked for, and passes it on.
//
// Linked into a program it takes the place of malloc for that program and its libraries. As a library of its own, named
// in LD_PRELOAD, it does so for a program that was built without it; the count is then also kept in the file that
// ALLOCATIONS_FILE names, eight bytes, where another process can read it.
#include "CAllocations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// glibc's own, under the names that it keeps for such replacements.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_ulong own;
static atomic_ulong *_Atomic counter = &own;

static void count(void) { atomic_fetch_add_explicit(counter, 1, memory_order_relaxed); }

unsigned long allocations_count(void) { return atomic_load_explicit(counter, memory_order_relaxed); }

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count();
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **result, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (block == NULL) return ENOMEM;
    *result = block;
    return 0;
}

__attribute__((constructor)) static void share(void) {
    const char *path = getenv("ALLOCATIONS_FILE");
    if (path == NULL) return;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (ftruncate(file, sizeof(atomic_ulong)) == 0) {
        void *page = mmap(NULL, sizeof(atomic_ulong), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (page != MAP_FAILED) counter = page;
    }
    close(file);
}
