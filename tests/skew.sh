#!/usr/bin/env bash
# Two real builds of every program in one shop: the version that is built here, and a rehearsal of the one after it (the feature
# `next` of toko-retail, which no release has). Builds the second one, keeps it aside, and runs the tests that need both.
#
#   tests/skew.sh            debug builds, in the target directory of every other build
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
kept=$target/next
mkdir -p "$kept"

# Built as a part of the whole workspace, like everything else: so nothing below what differs is built twice.
cargo build --locked --workspace --bin demo --features toko-tests/next
cp "$target/debug/demo" "$kept/demo.new"
mv "$kept/demo.new" "$kept/demo"

TOKO_NEXT_BUILD=$(cd "$kept" && pwd)/demo
export TOKO_NEXT_BUILD
cargo test --locked --workspace --test process skew -- --ignored
