# Sourced by the scripts that need system packages: installs what is missing, and nothing else.

# packages_ensure NAME...: makes sure that these Debian packages are installed; says what to do where it cannot.
#
# Services that come with a package (redis-server, prometheus) are not started.
packages_ensure() {
    local missing=() name
    if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
        echo "This is no Debian; please see to it that the equivalents of these packages are there: $*" >&2
        return 0
    fi
    for name in "$@"; do
        [[ $(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) == installed ]] || missing+=("$name")
    done
    ((${#missing[@]} > 0)) || return 0

    local as_root=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            echo "These packages are missing: ${missing[*]}" >&2
            echo "Neither root nor sudo is at hand. As root: apt-get update && apt-get install ${missing[*]}" >&2
            return 1
        fi
        as_root=(sudo)
    fi
    echo "Installing ${missing[*]}" >&2
    packages_forbid_services "${as_root[@]}"
    local status=0
    # Output goes to standard error: standard output belongs to the caller.
    "${as_root[@]}" apt-get update -q >&2 \
        && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -q -y --no-install-recommends "${missing[@]}" >&2 || status=$?
    packages_allow_services "${as_root[@]}"
    if ((status != 0)); then
        echo "apt-get could not install ${missing[*]} (status $status); see above." >&2
        return 1
    fi
}

# Debian asks this program before it starts a service; 101 is "no". Somebody else's is left alone.
packages_forbid_services() {
    packages_policy=
    [[ ! -e /usr/sbin/policy-rc.d ]] || return 0
    packages_policy=/usr/sbin/policy-rc.d
    printf '#!/bin/sh\nexit 101\n' | "$@" tee "$packages_policy" >/dev/null
    "$@" chmod 755 "$packages_policy"
}

packages_allow_services() {
    [[ -z $packages_policy ]] || "$@" rm -f "$packages_policy"
    packages_policy=
}
