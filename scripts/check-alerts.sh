#!/usr/bin/env bash
# Checks the alert rules: syntax, unit tests, completeness; with --mutations also that the tests can fail.
#
#   scripts/check-alerts.sh [--catalogue FILE] [--mutations]
#
# FILE: metric names one a line, or a page of /metrics; then every metric that a rule names has to be in it.
# Needs promtool (Debian: prometheus) and PyYAML; PYTHON picks the interpreter. Seconds without --mutations, minutes with.
set -euo pipefail

cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
catalogue=()
mutations=false
while (($# > 0)); do
    case $1 in
    --catalogue)
        [[ $# -ge 2 ]] || { echo "check-alerts: --catalogue needs a file" >&2; exit 2; }
        catalogue=(--catalogue "$2")
        shift 2
        ;;
    --mutations)
        mutations=true
        shift
        ;;
    *)
        echo "usage: scripts/check-alerts.sh [--catalogue FILE] [--mutations]" >&2
        exit 2
        ;;
    esac
done
command -v promtool >/dev/null || { echo "check-alerts: promtool is not installed" >&2; exit 2; }

promtool check rules alerts/*.rules.yml
"$python" scripts/alert_tests.py
"$python" scripts/check_alert_rules.py "${catalogue[@]}"
if $mutations; then
    "$python" scripts/check-alerts-mutations.py
fi
