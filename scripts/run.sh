#!/usr/bin/env bash
# Builds and runs sandbox-manager, from nothing but Swift 6.3 on Debian 12.
#
#   scripts/run.sh [ARGUMENT...]
#
# Missing system packages are installed (as root or by sudo). Arguments and environment go to the daemon as they are;
# without any it listens on loopback, keeps its leases in memory and makes sandboxes with bubblewrap. Ctrl-C ends it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
source scripts/packages.sh
source scripts/swift-build.sh

command -v swift >/dev/null || { echo "run: swift is not on the PATH; Swift 6.3 is needed (swift.org)" >&2; exit 1; }
packages_ensure libcurl4-openssl-dev libhiredis-dev libmicrohttpd-dev bubblewrap
echo "Building (a first build takes some minutes)" >&2
swift_build -c release --product sandbox-manager >&2
daemon=$(swift build -c release --show-bin-path)/sandbox-manager

# What build_info tells. Not with the prefix of the settings: there every name is one, or a mistake.
BUILD_REVISION=${BUILD_REVISION:-$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)}
export BUILD_REVISION

# Prints `family address port` for each TCP port that process $1 listens on.
listeners() {
    local inodes
    inodes=$(find "/proc/$1/fd" -lname 'socket:*' -printf '%l\n' 2>/dev/null | tr -dc '0-9\n' | tr '\n' ' ')
    # State 0A is LISTEN. An IPv4 address is one little-endian hexadecimal number.
    awk -v inodes="$inodes" '
        function hex(text,    i, n) {
            for (i = 1; i <= length(text); i++) n = n * 16 + index("0123456789ABCDEF", substr(text, i, 1)) - 1
            return n
        }
        BEGIN { split(inodes, list, " "); for (i in list) ours[list[i]] = 1 }
        $4 == "0A" && ($10 in ours) {
            split($2, local, ":")
            if (length(local[1]) == 8) {
                a = local[1]
                address = hex(substr(a, 7, 2)) "." hex(substr(a, 5, 2)) "." hex(substr(a, 3, 2)) "." hex(substr(a, 1, 2))
                if (address == "0.0.0.0") address = "127.0.0.1"
            } else address = "::1"
            print address, hex(local[2])
        }' "/proc/$1/net/tcp" "/proc/$1/net/tcp6" 2>/dev/null || true
}

# status ADDRESS PORT PATH: the status code of a GET; nothing if nobody answers. (curl may not be installed.)
status() {
    local line=
    {
        exec 3<>"/dev/tcp/$1/$2" || return 0
        printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$3" >&3
        read -r -t 5 line <&3 || true
        exec 3>&-
    } 2>/dev/null
    [[ $line == HTTP/1.1* ]] && echo "${line:9:3}" || true
}

# Waits until process $1 answers, then says where and what to try. Ports are read from the kernel, as a configured
# port may be 0. It ends with the process, and after two minutes in any case.
announce() {
    local pid=$1 deadline=$((SECONDS + 120)) address port metrics api token
    while ((SECONDS < deadline)) && kill -0 "$pid" 2>/dev/null; do
        metrics= api= token=
        while read -r address port; do
            local url=$address
            [[ $url != *:* ]] || url="[$url]"
            case $(status "$address" "$port" /healthz) in
            200) metrics=http://$url:$port ;;
            401) api=http://$url:$port token=" -H 'Authorization: Bearer TOKEN'" ;;
            404) api=http://$url:$port ;;
            esac
        done < <(listeners "$pid")
        if [[ -n $metrics && -n $api ]]; then
            cat <<END

sandbox-manager runs (process $pid; Ctrl-C ends it)
  API      $api
  metrics  $metrics/metrics
Try in another terminal:
  curl$token -X PUT $api/v1/users/alice/projects/demo/sandbox
  curl$token -X POST $api/v1/users/alice/projects/demo/sandbox/exec -H 'Content-Type: application/json' -d '{"command": ["uname", "-a"]}'
  curl$token -X DELETE $api/v1/users/alice/projects/demo/sandbox

END
            return
        fi
        sleep 0.1
    done
}

# In a shell of its own that ends at once, so that the daemon is not its parent and need not reap it.
(announce $$ </dev/null &)
exec "$daemon" "$@"
