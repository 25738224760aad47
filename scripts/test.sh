#!/usr/bin/env bash
# Every check of this project, from nothing but Swift 6.3 on Debian 12; about half an hour on two processors.
#
#   scripts/test.sh [STEP...]
#
# STEP: some of hygiene, lint, build, unit, release, scripts, end-to-end, benchmarks; all without one. The last line
# counts them; the exit status is not zero if one failed. What is missing is installed first: system packages as root or
# by sudo, Python packages into .build/test-venv and .sdk-venvs. end-to-end and benchmarks need what build and release
# have built.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/packages.sh
source scripts/swift-build.sh

readonly all_steps=(hygiene lint build unit release scripts end-to-end benchmarks)
venv=.build/test-venv
passed=0
failed=0
summary=()
step_pid=

# The processes of session $1. (A process group is not enough: `timeout` makes one of its own.)
session_members() {
    local stat line fields
    for stat in /proc/[0-9]*/stat; do
        read -r line 2>/dev/null <"$stat" || continue
        # The name may hold anything; what follows the last parenthesis is state, parent, group, session.
        read -ra fields <<<"${line##*) }"
        [[ ${fields[3]} != "$1" ]] || echo "${line%% *}"
    done 2>/dev/null
}

# Ends the step under way with everything it started: each step is a session of its own.
cleanup() {
    [[ -n $step_pid ]] || return 0
    local members signal=TERM turn
    for turn in {1..60}; do
        mapfile -t members < <(session_members "$step_pid")
        ((${#members[@]} > 0)) || return 0
        ((turn < 50)) || signal=KILL
        if ((turn == 1 || turn >= 50)); then kill "-$signal" "${members[@]}" 2>/dev/null || true; fi
        sleep 0.1
    done
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

prepare() {
    command -v swift >/dev/null || { echo "swift is not on the PATH; Swift 6.3 is needed (swift.org)" >&2; return 1; }
    packages_ensure libcurl4-openssl-dev libhiredis-dev libmicrohttpd-dev bubblewrap \
        git openssl nghttp2-server prometheus prometheus-alertmanager python3 python3-venv redis-server
    local wanted
    wanted=$(sha256sum <scripts/test-requirements.txt)
    if [[ $(cat "$venv/wanted" 2>/dev/null) != "$wanted" ]]; then
        rm -rf "$venv"
        mkdir -p "${venv%/*}"
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r scripts/test-requirements.txt
        echo "$wanted" >"$venv/wanted"
    fi
    # The E2B SDKs that the fake cloud is held against.
    scripts/sdk-venvs.sh
}

# Nothing of the machine it was written on, and no secret, belongs into the project.
step_hygiene() {
    local files=() found=0
    # The brackets keep a pattern from finding itself.
    local paths='(^|[^[:alnum:]._-])/(wor[k]|roo[t]|hom[e]/[a-z]+)/[[:alnum:]._-]+/|/tmp/w[t]/|\.\./share[d]'
    local secrets='-----BEGIN [A-Z ]*PRIVATE KE[Y]|e2[b]_[0-9a-f]{32}|gh[pousr]_[[:alnum:]]{36}|AKI[A][0-9A-Z]{16}'
    if git rev-parse --git-dir >/dev/null 2>&1; then
        mapfile -d '' files < <(git ls-files -z --cached --others --exclude-standard)
    else
        mapfile -d '' files < <(find . -path ./.build -prune -o -type f -print0)
    fi
    # Output decides: grep's status is that of an error too, as for a link to a folder.
    if { grep -nIE -e "$paths" -- "${files[@]}" 2>/dev/null || true; } | grep ''; then
        echo "^ paths of one machine" >&2
        found=1
    fi
    if { grep -nIE -e "$secrets" -- "${files[@]}" 2>/dev/null || true; } | grep ''; then
        echo "^ this looks like a secret" >&2
        found=1
    fi
    local script
    for script in scripts/*.sh .ci/run; do bash -n "$script" || found=1; done
    echo "${#files[@]} files looked at"
    return "$found"
}

step_lint() {
    swift format lint --strict --parallel -r Sources Tests Benchmarks/Sources Fuzz/Sources/fuzz \
        Package.swift Benchmarks/Package.swift Fuzz/Package.swift
}

step_build() {
    swift_build --explicit-target-dependency-import-check error --build-tests
}

step_unit() {
    PROMTOOL=$(command -v promtool) SANDBOX_MANAGER_TEST_PYTHON=$PWD/$venv/bin/python \
        timeout --kill-after=10 900 swift test --skip-build --no-parallel
}

step_release() {
    swift_build -c release --product sandbox-manager
}

step_scripts() {
    timeout --kill-after=10 900 "$venv/bin/python" -m pytest -q -p no:cacheprovider scripts/tests
}

# Against the release build; one of them is scripts/check-alerts.sh with the names on a live page of metrics. Most of
# their time they wait: three at once. Those that measure, or take the whole machine, run alone after them.
step_end-to-end() {
    local bin status=0
    bin=$(swift build -c release --show-bin-path)
    end_to_end() {
        timeout --kill-after=10 "$1" "$venv/bin/python" -m pytest -q -p no:cacheprovider --durations=10 \
            --daemon="$bin/sandbox-manager" Tests/EndToEnd "${@:2}" || status=$?
    }
    end_to_end 1200 -m "not alone" -n 3 --dist loadfile --no-loadscope-reorder
    end_to_end 900 -m alone -p no:xdist
    return "$status"
}

# That every benchmark works, and that nothing allocates more than it did; how fast it is stays out of it.
step_benchmarks() {
    timeout --kill-after=10 600 scripts/bench.sh --quick
}

# run_step NAME: in a session of its own, with its time.
run_step() {
    local name=$1 status=0 start=$SECONDS
    printf '\n=== %s\n' "$name"
    # A child of a shell without job control leads no group, so that setsid does not fork: its id is the session's.
    setsid scripts/test.sh --step "$name" </dev/null &
    step_pid=$!
    wait "$step_pid" || status=$?
    cleanup
    step_pid=
    if ((status == 0)); then
        passed=$((passed + 1))
        summary+=("ok      $(printf '%5d s  %s' $((SECONDS - start)) "$name")")
    else
        failed=$((failed + 1))
        summary+=("FAILED  $(printf '%5d s  %s (status %d)' $((SECONDS - start)) "$name" "$status")")
    fi
    echo "=== $name: status $status after $((SECONDS - start)) s"
}

if [[ ${1-} == --step ]]; then
    "step_$2"
    exit
fi
steps=("$@")
((${#steps[@]} > 0)) || steps=("${all_steps[@]}")
for step in "${steps[@]}"; do
    [[ " ${all_steps[*]} " == *" $step "* ]] || { echo "test: no step $step; there are: ${all_steps[*]}" >&2; exit 2; }
done

start=$SECONDS
prepare
echo "=== preparation: $((SECONDS - start)) s"
for step in "${steps[@]}"; do run_step "$step"; done

printf '\n'
printf '%s\n' "${summary[@]}"
echo "total   $(printf '%5d s' $((SECONDS - start)))"
echo "$passed passed, $failed failed"
((failed == 0))
