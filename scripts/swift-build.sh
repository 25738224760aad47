# Sourced by the scripts that compile.

# swift_build ARGUMENT...: `swift build`, ended after 15 minutes and then tried once more.
#
# The compiler now and then waits for ever; a second try goes on from where the first one was.
swift_build() {
    local status=0
    timeout --kill-after=10 900 swift build "$@" || status=$?
    # 124: the time was up; 137: and it had to be killed.
    if ((status == 124 || status == 137)); then
        echo "swift build took longer than 15 minutes; trying once more" >&2
        status=0
        timeout --kill-after=10 900 swift build "$@" || status=$?
    fi
    return "$status"
}
