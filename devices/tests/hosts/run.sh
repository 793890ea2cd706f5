#!/usr/bin/env bash
# Two hosts that others wrote, against the virtual printer: receiptio (npm) and python-escpos (pip). Each is asked for every state,
# and each prints; what they say must be what the printer is, and what they print must be on its paper.
#
#   devices/tests/hosts/run.sh [DIRECTORY]
#
# Installs both into DIRECTORY (a new one if none is named; what is there already is used), then runs `cargo test --test hosts`.
# Needs node with npm, python3 with venv, and their registries. What is missing is installed by apt-get. Where that cannot be it says so and
# checks nothing; with CI set, where nobody reads what was skipped, it fails.
set -euo pipefail
cd "$(dirname "$0")/../../.."

skip() {
    echo "skipped: $1; no outside host was asked about the virtual printer" >&2
    [[ -z ${CI:-} ]] || exit 1
    exit 0
}
as_root() { if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi; }

packages=()
command -v node >/dev/null || packages+=(nodejs)
command -v npm >/dev/null || packages+=(npm)
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
if [[ ${#packages[@]} -gt 0 ]]; then
    as_root apt-get install --yes --no-install-recommends "${packages[@]}" >/dev/null || skip "${packages[*]} cannot be installed"
fi

folder=${1:-$(mktemp -d)}
mkdir -p "$folder"
if [[ ! -d $folder/node_modules/receiptio ]]; then
    npm install --prefix "$folder" --no-audit --no-fund --silent receiptio@2.1.2 || skip "receiptio cannot be fetched from here"
fi
if [[ ! -x $folder/python/bin/python-escpos ]]; then
    python3 -m venv "$folder/python"
    "$folder/python/bin/pip" install --quiet --disable-pip-version-check python-escpos==3.1 ||
        skip "python-escpos cannot be fetched from here"
fi

TOKO_HOSTS=$folder cargo test --locked --workspace --test hosts -- --nocapture
