#!/usr/bin/env bash
# Two hosts that others wrote, against the virtual printer: receiptio (npm) and python-escpos (pip). Each is asked for every state,
# and each prints; what they say must be what the printer is, and what they print must be on its paper.
#
#   devices/tests/hosts/run.sh [DIRECTORY]
#
# Installs both into DIRECTORY (a new one if none is named; what is there already is used), then runs `cargo test --test hosts`.
# Needs node with npm, python3 with venv, and their registries; says so and checks nothing where one of them is missing.
set -euo pipefail
cd "$(dirname "$0")/../../.."

folder=${1:-$(mktemp -d)}
mkdir -p "$folder"
for program in node npm python3; do
    if ! command -v "$program" >/dev/null; then
        echo "skipped: $program is not installed; no outside host was asked about the virtual printer"
        exit 0
    fi
done

if [[ ! -d $folder/node_modules/receiptio ]]; then
    npm install --prefix "$folder" --no-audit --no-fund --silent receiptio@2.1.2 || {
        echo "skipped: receiptio cannot be fetched from here; no outside host was asked about the virtual printer"
        exit 0
    }
fi
if [[ ! -x $folder/python/bin/python-escpos ]]; then
    python3 -m venv "$folder/python"
    "$folder/python/bin/pip" install --quiet --disable-pip-version-check python-escpos==3.1 || {
        echo "skipped: python-escpos cannot be fetched from here; no outside host was asked about the virtual printer"
        exit 0
    }
fi

TOKO_HOSTS=$folder cargo test --locked --workspace --test hosts -- --nocapture
