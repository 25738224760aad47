#!/usr/bin/env bash
# The tests of the adapters and of the C code under sanitizers: docs/SANITIZERS.md says what they found.
#
#   scripts/sanitize.sh [address|leak|thread]...
#
# All three without arguments. address and leak are two runs of one build. Each build is a debug build of its own of
# what the adapters need, a few minutes on two processors; it is kept below .build/sanitize. The exit status is not zero
# if a test failed or a sanitizer reported something. Reports are printed in short, and kept beside the build.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=swift-build.sh
source scripts/swift-build.sh

readonly folder=$PWD/.build/sanitize
readonly tools=$PWD/scripts/sanitizers
readonly suites=(
    ControlAPITests CurlTransportTests HTTPServerTests LocalProviderTests LoopThreadTests PrometheusClientTests
    RedisClientTests RedisLeaseStoreTests SystemRuntimeTests
)

# build SANITIZER SUITE...: these suites and those above, and sandbox-init beside them, where the local provider looks
# for it. That one is static in the product and has no run-time; here it is a program like others.
build() {
    local sanitizer=$1 scratch=$folder/$1 tree=$folder/tree flags=(-O1 -g)
    shift
    python3 scripts/trimmed_package.py "$tree" "$@" "${suites[@]}" --without sandbox-init
    swift_build --package-path "$tree" --scratch-path "$scratch" --sanitize="$sanitizer" --build-tests
    [[ $sanitizer != address ]] || flags+=(-fsanitize=address,undefined -fno-sanitize-recover=all)
    clang -D_GNU_SOURCE "${flags[@]}" -I Sources/CLocalSandbox/include Sources/sandbox-init/*.c \
        "$tools/address_defaults.c" -o "$scratch/debug/sandbox-init"
}

# run NAME SANITIZER SKIPPED VARIABLE=VALUE...: all tests but some, one after another.
run() {
    local name=$1 sanitizer=$2 skipped=$3 report=$folder/$1.txt status=0
    shift 3
    (
        cd "$folder/tree"
        env NO_COLOR=1 SWIFT_BACKTRACE=enable=no "$@" timeout --kill-after=10 1800 \
            "$folder/$sanitizer/debug/sandbox-managerPackageTests.xctest" \
            --testing-library swift-testing --no-parallel --skip "$skipped"
    ) >"$report" 2>&1 || status=$?
    grep -E '✘|(ERROR|WARNING): [A-Za-z]*Sanitizer|^SUMMARY|runtime error' "$report" | sort | uniq -c || true
    tail -n 1 "$report"
    ((status == 0)) || echo "sanitize: $name: status $status; the whole report is in $report" >&2
    return "$status"
}

# Asks the C library how much it has allocated: here another allocator stands in its place.
readonly not_with_address='the heap holds what is allocated'
# These read the output of a program that they start with an empty environment, and so without mutex-order.so.
readonly not_with_thread="$not_with_address|fifty sandboxes at once come and go|killing the owner with SIGKILL"

step_address() {
    build address E2BProviderTests
    run address address "$not_with_address" ASAN_OPTIONS=detect_leaks=0
}

# Whether leaks are seen here at all: the look for them needs to stop and read the whole process.
check_leaks() {
    clang -g -fsanitize=address "$tools/leak_check.c" -o "$folder/leak-check"
    if ASAN_OPTIONS=detect_leaks=1 "$folder/leak-check" >"$folder/leak-check.txt" 2>&1; then
        echo "sanitize: the sanitizer does not see a leak" >&2
        return 1
    fi
    grep -q 'LeakSanitizer: detected memory leaks' "$folder/leak-check.txt"
}

step_leak() {
    mkdir -p "$folder"
    check_leaks
    build address E2BProviderTests
    run leak address "$not_with_address" ASAN_OPTIONS=detect_leaks=1 \
        LSAN_OPTIONS="suppressions=$tools/leaks.supp:print_suppressions=1"
}

# Whether the sanitizer can be told of Swift's Mutex: it has to be silent about a correct program, and not about a race.
check_mutex_order() {
    local check=$folder/mutex-check turn
    clang -O1 -g -fPIC -shared "$tools/mutex_order.c" -o "$folder/mutex-order.so"
    swiftc -g -sanitize=thread "$tools/mutex_check.swift" -o "$check"
    for turn in {1..10}; do
        LD_PRELOAD=$folder/mutex-order.so "$check" >"$check.txt" 2>&1 && continue
        cat "$check.txt"
        echo "sanitize: the sanitizer complains of a correct Mutex (turn $turn); see $tools/mutex_order.c" >&2
        return 1
    done
    if LD_PRELOAD=$folder/mutex-order.so "$check" racy >"$check.txt" 2>&1; then
        echo "sanitize: the sanitizer does not see a race" >&2
        return 1
    fi
}

step_thread() {
    mkdir -p "$folder"
    check_mutex_order
    # The core in place of the E2B client, which has no thread of its own and brings a large library of C to build.
    build thread SandboxCoreTests
    run thread thread "$not_with_thread" LD_PRELOAD="$folder/mutex-order.so"
}

steps=("$@")
((${#steps[@]} > 0)) || steps=(address leak thread)
failed=0
for step in "${steps[@]}"; do
    case $step in
    address | leak | thread) ;;
    *) echo "usage: scripts/sanitize.sh [address|leak|thread]..." >&2; exit 2 ;;
    esac
    printf '\n=== %s\n' "$step"
    # Not in a condition: there the shell would go on after a command that failed.
    set +e
    (set -e; "step_$step")
    (($? == 0)) || failed=1
    set -e
done
exit "$failed"
