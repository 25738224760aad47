#!/usr/bin/env bash
# How fast a fresh lease is answered, next to a bare libmicrohttpd page, in turns on the same machine.
#
#   Benchmarks/http.sh [ROUNDS] [SECONDS]
#
# Needs wrk (Debian package), a C compiler, and a release build of the daemon (scripts/run.sh or
# `swift build -c release --product sandbox-manager` makes one).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-5}
seconds=${2:-3}
daemon=$(swift build -c release --show-bin-path)/sandbox-manager
work=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap cleanup EXIT

command -v wrk >/dev/null || { echo "http: wrk is needed (apt-get install wrk)" >&2; exit 1; }
[[ -x $daemon ]] || { echo "http: no release build at $daemon" >&2; exit 1; }
cc=$(command -v cc || command -v clang)
"$cc" -O2 -o "$work/hello" Benchmarks/hello.c -lmicrohttpd

"$work/hello" >"$work/port" &
pids+=($!)
SANDBOX_MANAGER_API_LISTEN=127.0.0.1:0 SANDBOX_MANAGER_METRICS_LISTEN=127.0.0.1:0 \
    SANDBOX_MANAGER_PROVIDER=simulated SANDBOX_MANAGER_LEASE_MAX_AGE_SECONDS=86400 \
    "$daemon" 2>"$work/log" &
pids+=($!)
until [[ -s $work/port ]] && grep -q 'listening' "$work/log"; do sleep 0.1; done
hello=http://127.0.0.1:$(<"$work/port")/
api=http://$(grep -o 'api=[^ ]*' "$work/log" | head -1 | cut -d= -f2)
metrics=http://$(grep -o ' metrics=[^ ]*' "$work/log" | head -1 | cut -d= -f2)
lease=$api/v1/users/alice/projects/demo/sandbox
echo 'wrk.method = "PUT"' >"$work/put.lua"

# one NAME URL [wrk arguments]: a line with requests a second and the 50th and 99th percentile.
one() {
    local name=$1 url=$2
    shift 2
    wrk -t1 -c64 -d"${seconds}s" --latency "$@" "$url" | awk -v name="$name" '
        $1 == "50%" { p50 = $2 } $1 == "99%" { p99 = $2 } $1 == "Requests/sec:" { rate = $2 }
        /Non-2xx/ { bad = $NF }
        END { printf "%-28s %10.0f req/s   p50 %8s   p99 %8s   errors %d\n", name, rate, p50, p99, bad }'
}

# The lease must exist before it can be fresh.
wrk -t1 -c1 -d1s -s "$work/put.lua" "$lease" >/dev/null

nproc=$(nproc)
echo "$(date -u +%F), $nproc processors, $rounds rounds of $seconds s, load $(cut -d' ' -f1 /proc/loadavg)"
for ((round = 1; round <= rounds; round++)); do
    one "libmicrohttpd hello" "$hello"
    one "PUT of a fresh lease" "$lease" -s "$work/put.lua"
    one "/healthz" "$metrics/healthz"
done
