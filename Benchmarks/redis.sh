#!/usr/bin/env bash
# How fast GETs are, next to redis-benchmark, in turns on the same machine and against the same server.
#
#   Benchmarks/redis.sh [ROUNDS]
#
# Needs redis-server and redis-benchmark (Debian: redis). Makes a release build of Benchmarks/Redis; SWIFT_BUILD may name
# another way to say `swift build`.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
rounds=${1:-5}
work=$(mktemp -d)
server=
cleanup() {
    [[ -z $server ]] || kill "$server" 2>/dev/null || true
    [[ -z $server ]] || wait "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

for tool in redis-server redis-benchmark redis-cli; do
    command -v "$tool" >/dev/null || { echo "redis: $tool is needed (apt-get install redis)" >&2; exit 1; }
done
read -ra build <<<"${SWIFT_BUILD:-swift build}"
"${build[@]}" --package-path Benchmarks/Redis -c release >&2
client=$(swift build --package-path Benchmarks/Redis -c release --show-bin-path)/redis-client-benchmark

# A free port is one that redis-server gets; it cannot be asked to pick one itself.
for ((attempt = 0; attempt < 20; attempt++)); do
    port=$((20000 + RANDOM % 12000))
    redis-server --port "$port" --bind 127.0.0.1 --save "" --appendonly no --dir "$work" --logfile "$work/log" &
    server=$!
    for ((wait = 0; wait < 50; wait++)); do
        grep -q 'Ready to accept' "$work/log" 2>/dev/null && break 2
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
    rm -f "$work/log"
done
[[ -n $server ]] || { echo "redis: no redis-server would start" >&2; exit 1; }

# yardstick CLIENTS REQUESTS: GETs a second, p50 and p99 in microseconds, of redis-benchmark.
yardstick() {
    redis-benchmark -h 127.0.0.1 -p "$port" -c "$1" -n "$2" -t get --csv 2>/dev/null |
        awk -F, '/^"GET"/ { gsub(/"/, ""); print $2, $5 * 1000, $7 * 1000 }'
}

# note NAME VALUE...: one measurement of each kind, in a file of its own.
note() { echo "$2" >>"$work/$1"; }

echo "$(date -u +%F), $(nproc) processors, redis $(redis-server --version | sed 's/.*v=\([^ ]*\).*/\1/')," \
    "$rounds rounds, load $(cut -d' ' -f1 /proc/loadavg)"
for ((round = 1; round <= rounds; round++)); do
    read -r rate _ _ < <(yardstick 50 200000)
    note yardstick-rate "$rate"
    note client-rate "$("$client" "$port" throughput)"
    read -r _ p50 p99 < <(yardstick 1 30000)
    note yardstick-p50 "$p50"
    note yardstick-p99 "$p99"
    read -r p50 p99 < <("$client" "$port" latency)
    note client-p50 "$p50"
    note client-p99 "$p99"
done

median() { sort -g "$work/$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
# show FILE NAME UNIT
show() {
    sort -g "$work/$1" | awk -v name="$2" -v unit="$3" '
        { v[NR] = $1 }
        END {
            printf "%-34s min %8.0f   median %8.0f   max %8.0f   %s\n", name, v[1], v[int((NR + 1) / 2)], v[NR], unit
        }'
}
show yardstick-rate "redis-benchmark -c 50" "GET/s"
show client-rate "64 tasks on one RedisClient" "GET/s"
show yardstick-p50 "redis-benchmark -c 1, p50" "us"
show client-p50 "one caller of RedisClient, p50" "us"
show yardstick-p99 "redis-benchmark -c 1, p99" "us"
show client-p99 "one caller of RedisClient, p99" "us"
awk -v a="$(median client-rate)" -v b="$(median yardstick-rate)" \
    -v c="$(median client-p50)" -v d="$(median yardstick-p50)" '
    function verdict(good) { return good ? "met" : "MISSED" }
    BEGIN {
        printf "throughput: %.2f times redis-benchmark -c 50 (target: at least 2): %s\n", a / b, verdict(a >= 2 * b)
        printf "p50: %.2f times redis-benchmark -c 1 (target: at most 2): %s\n", c / d, verdict(c <= 2 * d)
    }'
