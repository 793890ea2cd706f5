#!/usr/bin/env bash
# Installs what the peers need, starts and stops their servers, does the same work with all and prints one table.
#
#   tests/peers/run.sh                    all columns, about ten minutes
#   tests/peers/run.sh --quick            a look
#   tests/peers/run.sh --only toko        one column; also samod, nats, pouchdb, raw
#   tests/peers/run.sh --json             for programs; words go to standard error
#   tests/peers/run.sh --help             the rest
#
# It needs cargo, Node 20 or later with npm, and Debian's apt-get; root is not needed. Everything that it installs is under
# the target directory and nowhere else: no service is set up. Where it may (as root), it runs in a network of its own, so
# that nobody else's bytes on the loopback are counted.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd "$here/../.." && pwd)/target}
place=$CARGO_TARGET_DIR/peers
mkdir -p "$place"

say() { printf 'peers: %s\n' "$*" >&2; }

# Debian's nats-server, from its package but not installed. `sync_interval: always` came with 2.10, which is in Debian 13.
nats=$place/nats/usr/sbin/nats-server
fetch_nats() {
    local apt=$place/apt keys=/usr/share/keyrings/debian-archive-keyring.gpg
    rm -rf "$apt" "$place/nats"
    mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/package"
    printf 'deb [signed-by=%s] http://deb.debian.org/debian trixie main\n' "$keys" >"$apt/sources.list"
    local options=(-o "Dir::Etc::sourcelist=$apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$apt/lists"
        -o "Dir::Cache=$apt" -o "Dir::Cache::archives=$apt/archives" -o APT::Sandbox::User=)
    apt-get "${options[@]}" -qq update
    (cd "$apt/package" && apt-get "${options[@]}" -qq download nats-server)
    dpkg -x "$apt"/package/nats-server_*.deb "$place/nats"
    rm -rf "$apt"
}

# The script and its packages, beside each other and outside the source.
pouch=$place/pouch
fetch_pouch() {
    mkdir -p "$pouch"
    cp "$here"/pouch/{package.json,package-lock.json,.npmrc,server.js,tills.js} "$pouch/"
    if ! cmp -s "$pouch/package-lock.json" "$pouch/installed-lock.json"; then
        (cd "$pouch" && npm ci --silent >&2)
        cp "$pouch/package-lock.json" "$pouch/installed-lock.json"
    fi
}

wanted() { # whether a column is asked for: all are, where --only names none
    local asked=0 word
    for word in "${words[@]}"; do
        [[ $word == --only || $word == --only=* ]] && asked=1
        [[ $word == "$1" || $word == "--only=$1" ]] && return 0
    done
    ((asked == 0))
}

words=("$@")
if wanted nats && [[ ! -x $nats ]]; then
    say "fetching nats-server"
    fetch_nats
fi
if wanted pouchdb; then
    say "fetching PouchDB"
    fetch_pouch
fi
say "building"
(cd "$here" && cargo build --release --quiet)
run=("$CARGO_TARGET_DIR/release/peers" run --nats "$nats" --pouch "$pouch" "$@")
if unshare --net true 2>/dev/null; then
    exec unshare --net bash -c 'ip link set lo up 2>/dev/null || exit 1; exec "$@"' peers "${run[@]}"
fi
say "not in a network of its own: bytes on the loopback are everybody's"
exec "${run[@]}"
