#!/usr/bin/env bash
# Measures the daemon beside yardsticks, on this machine, in the same run.
#
#   scripts/bench.sh [--quick] [GROUP...]
#
# Installs what is missing, builds releases of the daemon and of Benchmarks/, runs the groups (Benchmarks/rows; all
# without one) and prints their table. The whole of it goes into Benchmarks/RESULTS.md and README.md too, unless a
# benchmark is broken. It wants a machine with nothing else to do, for about ten minutes.
#
# --quick: a second or less a row, as a check that every benchmark works and that nothing allocates more than it did.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh
source scripts/swift-build.sh

quick=()
if [[ ${1-} == --quick ]]; then
    quick=(--quick)
    shift
fi
command -v swift >/dev/null || { echo "bench: swift is not on the PATH; Swift 6.3 is needed (swift.org)" >&2; exit 1; }
packages_ensure gcc libc6-dev libcurl4-openssl-dev libhiredis-dev libmicrohttpd-dev bubblewrap python3 redis-server wrk

swift_build -c release --product sandbox-manager >&2
daemon=$(swift build -c release --show-bin-path)/sandbox-manager
programs=.build/benchmarks
mkdir -p "$programs"
# Beside the daemon's build, not in it: another package, whose plan would replace the daemon's.
swift_build --package-path Benchmarks --scratch-path .build/benchmarks-package -c release >&2
cp "$(swift build --package-path Benchmarks --scratch-path .build/benchmarks-package -c release --show-bin-path)"/*-benchmark \
    "$programs"
for source in Benchmarks/c/*.c; do
    name=$(basename "$source" .c)
    gcc -O2 -Wall -Wextra -Werror -o "$programs/$name" "$source" -lmicrohttpd -lcurl -lpthread
done
gcc -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -shared -fPIC -IBenchmarks/Sources/CAllocations/include \
    -o "$programs/allocations.so" Benchmarks/Sources/CAllocations/allocations.c

revision=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
write=()
if ((${#quick[@]} + $# == 0)); then write=(--write); fi
exec python3 Benchmarks/run.py --daemon "$daemon" --programs "$programs" --revision "$revision" \
    --json "$programs/results.jsonl" "${quick[@]}" "${write[@]}" "$@"
