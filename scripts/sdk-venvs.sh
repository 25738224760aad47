#!/usr/bin/env bash
# Makes one virtual environment for each version of the official E2B SDK that the fake server is held against.
# Usage: scripts/sdk-venvs.sh [folder]   (default: .sdk-venvs, which git ignores; what is there already is kept)
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-.sdk-venvs}
for version in 2.7.0 2.45.1 2.63.0; do
    venv="$folder/$version"
    [[ -e "$venv/.complete" ]] && continue
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "e2b==$version"
    touch "$venv/.complete"
done
