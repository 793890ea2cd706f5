#!/usr/bin/env bash
# Prints receipts by Toko's hub and by CUPS beside each other, on the same virtual printer with the same faults.
#
#   tests/paper.sh [--install] [ARGUMENT…]
#
# --install gets by apt-get what is missing; the other arguments are those of `paper --help`. The CUPS that is started is one of
# its own: own port, own socket, own queue, in a directory that is removed. One that runs on this machine is not touched.
set -euo pipefail
cd "$(dirname "$0")/.."

install=no
args=()
for arg in "$@"; do
    case $arg in
        --install) install=yes ;;
        *) args+=("$arg") ;;
    esac
done

# needs PROGRAM PACKAGE
packages=()
needs() {
    PATH=$PATH:/usr/sbin command -v "$1" >/dev/null || packages+=("$2")
}
needs cupsd cups-daemon
needs lp cups-client
needs ipptool cups-ipp-utils
[[ -e /usr/lib/cups/backend/socket ]] || packages+=(cups)
if [[ ${#packages[@]} -gt 0 ]]; then
    if [[ $install == no ]]; then
        echo "paper: apt-get install --no-install-recommends ${packages[*]}    (or give --install)" >&2
        exit 69
    fi
    apt-get update >&2
    apt-get install --yes --no-install-recommends "${packages[@]}" >&2
fi

cargo build --quiet --locked --release --package toko-tests --bin paper
exec "${CARGO_TARGET_DIR:-target}/release/paper" "${args[@]}"
