#!/usr/bin/env bash
# Breaks a shop of real processes in network namespaces, case by case, while its tills go on selling.
#
#   tests/chaos.sh [--release] [--install] [CASE…] [--list] [--keep] [--json]
#
# CASE is a fault code (F21) or one case of it (F21-cable); all when left out. --release runs optimised binaries, --install
# installs by apt-get what is missing. Needs root, because it makes network namespaces. Nothing outside of them is touched but
# what iproute2 reads for them in /etc/netns, and whatever ends this script ends its processes, namespaces and mounts.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=()
folder=debug
install=no
args=()
for arg in "$@"; do
    case $arg in
        --release) profile=(--release) folder=release ;;
        --install) install=yes ;;
        *) args+=("$arg") ;;
    esac
done

cargo build --quiet --locked "${profile[@]}" --package toko-tests --bin chaos
chaos=${CARGO_TARGET_DIR:-target}/$folder/chaos
for arg in "${args[@]}"; do
    case $arg in
        --list | --help | -h | --version | -V) exec "$chaos" "$arg" ;;
    esac
done

# needs PROGRAM PACKAGE
packages=()
needs() {
    command -v "$1" >/dev/null || { echo "chaos: there is no $1; it is in the package $2" >&2 && packages+=("$2"); }
}
needs ip iproute2
needs tc iproute2
needs nft nftables
compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || [[ -e /usr/lib/faketime/libfaketimeMT.so.1 ]] || {
    echo "chaos: there is no libfaketime; cases that shift clocks will be skipped; it is in the package libfaketime" >&2
    [[ $install == no ]] || packages+=(libfaketime)
}
if [[ ${#packages[@]} -gt 0 ]]; then
    if [[ $install == no ]]; then
        echo "chaos: apt-get install --no-install-recommends ${packages[*]}    (or give --install)" >&2
        exit 69
    fi
    apt-get install --yes --no-install-recommends "${packages[@]}" >&2
fi
if [[ $(id -u) -ne 0 ]]; then
    echo "chaos: must be run as root: it makes network namespaces" >&2
    exit 77
fi

prefix=toko$$
dir=$(mktemp --directory /tmp/toko-chaos-XXXXXX)
keep=no
[[ " ${args[*]-} " != *" --keep "* ]] || keep=yes

# Whatever is left of this run, and nothing else: by its prefix and its directory.
sweep() {
    local status=$?
    trap - EXIT INT TERM
    local namespace pid
    for namespace in $(ip netns list | awk -v prefix="$prefix-" 'index($1, prefix) == 1 { print $1 }'); do
        for pid in $(ip netns pids "$namespace"); do
            kill -KILL "$pid" 2>/dev/null || true
        done
        ip netns del "$namespace" || true
    done
    rm -rf "/etc/netns/$prefix-"*
    umount --recursive --lazy "$dir" 2>/dev/null || true
    if [[ $keep == yes || ($status -ne 0 && $status -ne 130) ]]; then
        echo "chaos: all logs are in $dir" >&2
    else
        rm -rf "$dir"
    fi
    exit "$status"
}
trap sweep EXIT
# The suite hears Ctrl-C as well, and ends in order; the sweep comes after it.
trap : INT TERM

"$chaos" "${args[@]}" --dir "$dir" --prefix "$prefix" &
suite=$!
status=0
wait "$suite" || status=$?
# A signal ends the waiting, not the suite.
while kill -0 "$suite" 2>/dev/null; do
    kill -TERM "$suite" 2>/dev/null || true
    wait "$suite" || status=$?
done
exit "$status"
