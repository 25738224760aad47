#!/usr/bin/env bash
# Coverage-guided fuzzing of everything that reads what others wrote; see docs/FUZZING.md.
#
#   scripts/fuzz.sh [--seconds N] [--summary FILE] [TARGET...]
#
# Builds the package in Fuzz/ and runs each target, or those that are named, for N seconds (30 without it) from its
# corpus in Fuzz/Corpus. What is new goes to .build-fuzz/corpus, where the next run finds it; an input that breaks a
# target is copied to Fuzz/Corpus/TARGET/crash-*, to be committed with what mends it. Prints a table in Markdown, to FILE
# as well; the exit status is not zero if a target broke.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=swift-build.sh
source scripts/swift-build.sh

usage() { echo "usage: scripts/fuzz.sh [--seconds N] [--summary FILE] [TARGET...]" >&2; exit 2; }

seconds=30
summary=/dev/null
targets=()
while (($# > 0)); do
    case $1 in
    --seconds) [[ ${2-} =~ ^[1-9][0-9]*$ ]] || usage; seconds=$2; shift ;;
    --summary) [[ -n ${2-} ]] || usage; summary=$2; shift ;;
    -*) usage ;;
    *) targets+=("$1") ;;
    esac
    shift
done

readonly scratch=$PWD/.build-fuzz
fuzzer_pid=
cleanup() {
    [[ -z $fuzzer_pid ]] || kill "$fuzzer_pid" 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

swift_build --package-path Fuzz --scratch-path "$scratch" -c release --product fuzz
fuzz=$(swift build --package-path Fuzz --scratch-path "$scratch" -c release --show-bin-path)/fuzz
((${#targets[@]} > 0)) || mapfile -t targets < <("$fuzz")

# A trap of Swift is a finding; its own backtrace would take a minute. Leaks are looked for elsewhere.
export SWIFT_BACKTRACE=enable=no ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1
failed=0
table=$'| target | runs | a second | edges | features | new inputs | found |\n|---|---:|---:|---:|---:|---:|---|\n'
for target in "${targets[@]}"; do
    work=$scratch/corpus/$target
    found=$scratch/found/$target
    log=$scratch/$target.log
    rm -rf "$found"
    mkdir -p "$work" "$found"
    status=0
    "$fuzz" "$target" "$work" "Fuzz/Corpus/$target" -artifact_prefix="$found/" -max_total_time="$seconds" -max_len=4096 \
        -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=512 -use_value_profile=1 -print_final_stats=1 -verbosity=1 \
        >"$log" 2>&1 &
    fuzzer_pid=$!
    wait "$fuzzer_pid" || status=$?
    fuzzer_pid=
    result=nothing
    if ((status != 0)); then
        failed=1
        result="status $status"
        for input in "$found"/*; do
            [[ -f $input ]] || continue
            name=crash-$(sha256sum <"$input" | cut -c1-12)
            cp "$input" "Fuzz/Corpus/$target/$name"
            result="\`$name\`"
        done
        grep -aE '^violated|Fatal error|ERROR:|SUMMARY:' "$log" | head -5 >&2 || true
    fi
    last=$(grep -aE '^#[0-9]+.* cov: ' "$log" | tail -1)
    stat() { grep -aE "^stat::$1" "$log" | grep -oE '[0-9]+$' || echo -; }
    field() { grep -oE "$1: [0-9]+" <<<"$last" | grep -oE '[0-9]+$' || echo -; }
    table+="| $target | $(stat number_of_executed_units) | $(stat average_exec_per_sec) | $(field cov) | $(field ft)"
    table+=" | $(stat new_units_added) | $result |"$'\n'
    echo "=== $target: $result"
done
printf '\n%s' "$table" | tee "$summary"
exit "$failed"
