#!/usr/bin/env bash
# Fuzzes every door of Toko with libFuzzer. Stable Rust, a C++ compiler, nothing else.
#
#   fuzz/run.sh [TARGET…] [--seconds N] [--jobs N]
#                                         N seconds for each target (60), all targets if none is named, so many targets at a
#                                         time (as many as there are processors)
#   fuzz/run.sh --list                    the targets
#   fuzz/run.sh --build                   builds, and leaves it at that
#   fuzz/run.sh --keep [TARGET…]          takes what the last run found into the committed corpus, smallest first
#
# A run begins with the committed corpus (fuzz/corpus) and what earlier runs found on this machine (fuzz/target/found). Inputs
# that break something are written to fuzz/target/crashes/TARGET, and named. Exits by that: 0 if nothing broke. What broke once
# and was mended is committed as fuzz/corpus/TARGET/crash-*, and stays there.
#
# How it works without nightly and without cargo-fuzz: coverage is a pass of LLVM that any rustc takes by `-C passes`, and
# libFuzzer is a library in C++ that libfuzzer-sys compiles. Instrumenting applies to `--target` only, so build scripts and
# macros stay as they are. There is no address sanitizer (it needs nightly): unsafe is forbidden in Toko, and what is sought
# are panics, broken promises, time and memory.
set -euo pipefail
cd "$(dirname "$0")"

seconds=60
jobs=$(nproc)
keep=false
chosen=()
while [[ $# -gt 0 ]]; do
    case $1 in
        --seconds) seconds=${2:?--seconds needs a number}; shift 2 ;;
        --jobs) jobs=${2:?--jobs needs a number}; shift 2 ;;
        --list) list=true; shift ;;
        --build) build=true; shift ;;
        --keep) keep=true; shift ;;
        -*) echo "fuzz/run.sh [TARGET...] [--seconds N] [--jobs N] | --list | --build | --keep [TARGET...]" >&2; exit 64 ;;
        *) chosen+=("$1"); shift ;;
    esac
done

# The table of targets stands in hostile/src/lib.rs; read as text, so that a list costs no build.
mapfile -t all < <(sed -n '/^pub const TARGETS/,/^];/s/^ *name: "\(.*\)",/\1/p' ../hostile/src/lib.rs)
if [[ ${list:-} ]]; then
    sed -n '/^pub const TARGETS/,/^];/p' ../hostile/src/lib.rs | sed -n 's/^ *name: "\(.*\)",/\1/p;s/^ *what: "\(.*\)",/    \1/p'
    exit 0
fi
for target in "${chosen[@]}"; do
    [[ " ${all[*]} " == *" $target "* ]] || { echo "$target is no target; there are: ${all[*]}" >&2; exit 64; }
done
[[ ${#chosen[@]} -gt 0 ]] || chosen=("${all[@]}")

# Its own folder, whatever the caller builds into: these objects are instrumented.
work=$PWD/target
host=$(rustc -vV | sed -n 's/^host: //p')
coverage=(
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
)
began=$SECONDS
CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$work RUSTFLAGS="${coverage[*]}" \
    cargo build --release --locked --target "$host" --bin hostile
program=$work/$host/release/hostile
echo "built in $((SECONDS - began)) s"
[[ -z ${build:-} ]] || exit 0

bytes_max() {
    grep -A 4 "name: \"$1\"," ../hostile/src/lib.rs | sed -n 's/^ *bytes_max: \([0-9 *]*\),/\1/p' | head -1
}

if $keep; then
    for target in "${chosen[@]}"; do
        smaller=$(mktemp -d)
        mkdir -p "corpus/$target" "$work/found/$target"
        find "corpus/$target" \( -name 'seed-*' -o -name 'crash-*' \) -exec cp -t "$smaller" {} +
        # First in, first kept: seeds and what once broke something, then what is committed, then what was found here.
        TOKO_TARGET=$target "$program" -set_cover_merge=1 -use_counters=0 -use_cmp=0 -max_len="$(($(bytes_max "$target")))" -timeout=20 \
            "$smaller" "corpus/$target" "$work/found/$target" >"$work/merge-$target.log" 2>&1
        find "corpus/$target" -type f ! -name 'seed-*' ! -name 'crash-*' -delete
        find "$smaller" -type f ! -name 'seed-*' ! -name 'crash-*' -size -"${TOKO_FUZZ_KEEP_BYTES:-1024}"c -exec cp -t "corpus/$target" {} +
        rm -r "$smaller"
        echo "$target: $(find "corpus/$target" -type f | wc -l) inputs, $(du -sk --apparent-size "corpus/$target" | cut -f1) KiB"
    done
    exit 0
fi

# knock TARGET: one run, with what came of it in rows/TARGET: how many broke something, then a line of the table.
knock() {
    local target=$1 code rate edges new crashed
    local found=$work/found/$target crashes=$work/crashes/$target log=$work/$target.log
    mkdir -p "$found" "$crashes"
    local before crashed_before
    before=$(find "$found" -type f | wc -l)
    crashed_before=$(find "$crashes" -type f | wc -l)
    # A single input may take 10 s, a single allocation 64 MiB and the whole process 512 MiB; the target itself holds a single
    # input to less.
    TOKO_TARGET=$target "$program" -max_total_time="$seconds" -max_len="$(($(bytes_max "$target")))" \
        -timeout=10 -rss_limit_mb=512 -malloc_limit_mb=64 -reload=0 -print_final_stats=1 -artifact_prefix="$crashes/" \
        "$found" "corpus/$target" >"$log" 2>&1 && code=0 || code=$?
    rate=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    edges=$(grep -a -o 'cov: [0-9]*' "$log" | tail -1 | cut -d' ' -f2 || true)
    new=$(($(find "$found" -type f | wc -l) - before))
    crashed=$(($(find "$crashes" -type f | wc -l) - crashed_before))
    # A run that ends without a find and not well (it could not start) is no success either.
    [[ $code -eq 0 || $crashed -gt 0 ]] || crashed=1
    printf '%s\n%-12s %10s %9s %7s %8s\n' "$crashed" "$target" "${rate:-–}" "${edges:-–}" "$new" "$crashed" >"$work/rows/$target"
}

rm -rf "$work/rows"
mkdir -p "$work/rows"
echo "${#chosen[@]} targets, $seconds s each, $jobs at a time; logs in $work"
for target in "${chosen[@]}"; do
    while [[ $(jobs -rp | wc -l) -ge $jobs ]]; do wait -n || true; done
    knock "$target" &
done
wait

table=()
broken=0
for target in "${chosen[@]}"; do
    mapfile -t row <"$work/rows/$target"
    table+=("${row[1]}")
    if [[ ${row[0]} -gt 0 ]]; then
        broken=$((broken + row[0]))
        tail -n 30 "$work/$target.log"
        find "$work/crashes/$target" -type f | sed 's/^/  /'
    fi
done

printf '\n%-12s %10s %9s %7s %8s\n' target "runs/s" coverage new crashes
printf '%s\n' "${table[@]}"
if [[ $broken -gt 0 ]]; then
    printf '\n%d broke something; the inputs are in %s, and one is tried alone by:\n' "$broken" "$work/crashes"
    echo "  cargo run --bin hostile -- enter TARGET FILE"
    exit 1
fi
printf '\nNothing broke.\n'
