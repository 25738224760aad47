#!/usr/bin/env bash
# The long proofs of this project: a simulation of a million steps, a storm, rolling restarts, outages, a million leases
# that come and go, every alert drilled, healthy load without an alert, every small way in which an alert's rule or the
# core can be broken, and every fuzzer for a minute. Two hours and a quarter, and the time to build.
#
#   scripts/proof.sh [--minutes N] [--seed N]
#
# --minutes: how long the storm and the healthy load take, 10 without it; rolling restarts take 2 minutes, and less if N
# is less. --seed: what the storm is drawn from; the time of day without it.
# Prints its tables in Markdown at the end; the exit status is not zero if a proof failed. What is missing is installed
# and built first, as scripts/test.sh does it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source-path=SCRIPTDIR source=swift-build.sh
source scripts/swift-build.sh

usage() { echo "usage: scripts/proof.sh [--minutes N] [--seed N]" >&2; exit 2; }

minutes=10
seed=$(date +%s)
while (($# > 0)); do
    [[ ${2-} =~ ^[0-9]+$ ]] || usage
    case $1 in
    --minutes) minutes=$2 ;;
    --seed) seed=$2 ;;
    *) usage ;;
    esac
    shift 2
done
((minutes > 0)) || usage

readonly python=.build/test-venv/bin/python
results=$(mktemp -d)
proof_pid=

# Ends the proof under way, which ends what it has started.
cleanup() {
    if [[ -n $proof_pid ]]; then
        kill -TERM "$proof_pid" 2>/dev/null || true
        wait "$proof_pid" || true
    fi
    rm -rf "$results"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# proof NAME SECONDS TEST...: runs tests, which are ended after so many seconds.
proof() {
    local name=$1 limit=$2
    shift 2
    printf '\n=== %s\n' "$name"
    echo "$name" >>"$results/order"
    SANDBOX_MANAGER_TEST_REPORT=$results/$name.jsonl timeout --kill-after=30 "$limit" \
        "$python" -m pytest -q -p no:cacheprovider --junit-xml="$results/$name.xml" --daemon="$daemon" "$@" &
    proof_pid=$!
    # A failure stands in the table, and the others run all the same.
    wait "$proof_pid" || echo "=== $name: status $?"
    proof_pid=
}

# summed_up NAME SECONDS COMMAND...: runs what writes a summary of its own, and ends it after so many seconds.
summed_up() {
    local name=$1 limit=$2
    shift 2
    printf '\n=== %s\n' "$name"
    timeout --kill-after=30 "$limit" "$@" --summary "$results/$name.md" >/dev/null &
    proof_pid=$!
    if ! wait "$proof_pid"; then
        echo "=== $name: failed"
        summed_up_failed=1
    fi
    proof_pid=
}

# simulation NAME SECONDS ARGUMENT...: runs `simulate`, which is ended after so many seconds; it prints what it breaks.
simulation() {
    local name=$1 limit=$2
    shift 2
    printf '\n=== %s\n' "$name"
    echo "$name" >>"$results/order"
    timeout --kill-after=30 "$limit" "$binaries/simulate" "$@" >"$results/$name.runs" &
    proof_pid=$!
    wait "$proof_pid" || echo "=== $name: status $?"
    proof_pid=
    cat "$results/$name.runs"
}

scripts/test.sh release
swift_build --product fake-e2b
swift_build -c release --product simulate
binaries=$(swift build -c release --show-bin-path)
readonly binaries
readonly daemon=$binaries/sandbox-manager

storm=$((minutes * 60))
rolling=$((storm < 120 ? storm : 120))
export SANDBOX_MANAGER_TEST_STORM_SECONDS=$storm SANDBOX_MANAGER_TEST_STORM_SEED=$seed
export SANDBOX_MANAGER_TEST_ROLLING_SECONDS=$rolling SANDBOX_MANAGER_TEST_OUTAGE_SECONDS=30
export SANDBOX_MANAGER_TEST_SOAK_CYCLES=1000000 SANDBOX_MANAGER_TEST_SOAK_TABLE=$results/soak.md
# A million steps at least: what comes after the last fault of a run is not counted.
simulation simulation 900 --fresh 50 --steps 20000
proof storm $((storm + 300)) Tests/EndToEnd/test_storm.py
proof rolling-restart $((rolling + 180)) Tests/EndToEnd/test_rolling_restart.py
proof outages 900 Tests/EndToEnd/test_redis_outage.py
proof hanging-kill 300 Tests/EndToEnd/test_hanging_kill.py
proof total-loss 300 Tests/EndToEnd/test_total_loss.py
proof environments 300 Tests/EndToEnd/test_environments.py
proof background-duties 300 Tests/EndToEnd/test_background_duties.py
proof soak 2400 Tests/EndToEnd/test_memory.py
summed_up_failed=0
summed_up drills 1200 "$daemon" drill --all
summed_up healthy $((storm + 120)) "$daemon" drill --healthy --minutes "$minutes"
summed_up rule-mutants 3600 "$python" scripts/check-alerts-mutations.py
summed_up core-mutants 5400 "$python" scripts/check-core-mutants.py
summed_up fuzz 2400 scripts/fuzz.sh --seconds 60

revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
printf '\n## %s, revision %s, %s processors, seed %s\n\n' \
    "$(date -u '+%Y-%m-%d %H:%M UTC')" "$revision" "$(nproc)" "$seed"
status=0
"$python" scripts/proof_table.py "$results" || status=1
for name in drills healthy soak rule-mutants core-mutants fuzz; do
    printf '\n'
    cat "$results/$name.md" || summed_up_failed=1
done
exit $((status || summed_up_failed))
