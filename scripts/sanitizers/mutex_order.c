// Tells ThreadSanitizer what it cannot see of Swift's Mutex on Linux; preloaded into programs built with
// --sanitize=thread, and of no use elsewhere.
//
// Synchronization.Mutex is a futex. Its fast path, a compare-and-exchange on the futex word, is inlined into whoever
// locks, and instrumented there. Under contention, lock and unlock go on in functions of libswiftSynchronization.so,
// which is not instrumented: they spin on the word with atomics of their own, and then the kernel hands the lock over
// (FUTEX_LOCK_PI, FUTEX_UNLOCK_PI). ThreadSanitizer then sees no order between the unlocking and the locking thread,
// and reports a race on whatever the mutex guards. The three functions are replaced here by ones that call them and say
// which order they make: on the same word on which the fast path makes it.
//
// Their names and how they are called (Swift's convention, the word's address as self) are those of Swift 6.3. Should a
// later one rename them, nothing is replaced and the reports are back; scripts/sanitize.sh checks that first.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>

// Of the sanitizer's run-time; missing in child processes that are not built with it.
extern void __tsan_acquire(void *word) __attribute__((weak));
extern void __tsan_release(void *word) __attribute__((weak));

#define SWIFT __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *word
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK_SLOW "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

typedef SWIFT void lock_function(uint32_t thread, SELF);
typedef SWIFT bool try_lock_function(SELF);
typedef SWIFT void unlock_function(SELF);

SWIFT void lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
SWIFT bool try_lock_slow(SELF) __asm__(TRY_LOCK_SLOW);
SWIFT void unlock_slow(SELF) __asm__(UNLOCK_SLOW);

static lock_function *real_lock;
static try_lock_function *real_try_lock;
static unlock_function *real_unlock;

__attribute__((constructor)) static void find_real_functions(void) {
    real_lock = (lock_function *)dlsym(RTLD_NEXT, LOCK_SLOW);
    real_try_lock = (try_lock_function *)dlsym(RTLD_NEXT, TRY_LOCK_SLOW);
    real_unlock = (unlock_function *)dlsym(RTLD_NEXT, UNLOCK_SLOW);
}

SWIFT void lock_slow(uint32_t thread, SELF) {
    real_lock(thread, word);
    if (__tsan_acquire) __tsan_acquire(word);
}

SWIFT bool try_lock_slow(SELF) {
    bool taken = real_try_lock(word);
    if (taken && __tsan_acquire) __tsan_acquire(word);
    return taken;
}

SWIFT void unlock_slow(SELF) {
    // Before: afterwards the lock is another's.
    if (__tsan_release) __tsan_release(word);
    real_unlock(word);
}
