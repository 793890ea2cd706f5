#!/usr/bin/env bash
# What others read in our print jobs and pictures: escpost-render (text, code pages, commands), zbarimg (bars and QR) and
# zxing-cpp (PDF417, which zbarimg cannot read). Installs what it needs: zbar-tools by apt-get, zxing-cpp by pip into the
# target directory. What cannot be installed is skipped aloud; what is read wrongly fails.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd "$here/../../.." && pwd)/target}
out=$CARGO_TARGET_DIR/paper-oracles
rm -rf "$out/pictures"
mkdir -p "$out"

say() { printf 'oracles: %s\n' "$*"; }

cargo run --quiet --manifest-path "$here/Cargo.toml" -- "$out/pictures"

if ! command -v zbarimg >/dev/null; then
    as_root() { if [[ $(id -u) -eq 0 ]]; then "$@"; else sudo "$@"; fi; }
    as_root apt-get install --yes --no-install-recommends zbar-tools >/dev/null || true
fi

wrong=0
if command -v zbarimg >/dev/null; then
    read_well=0
    for wanted in "$out"/pictures/*.codes; do
        [[ $wanted == *pdf417* ]] && continue
        got=$(zbarimg --nodbus --quiet --raw -Supca.enable=1 -Supce.enable=1 -Sean13.enable=1 "${wanted%.codes}.png" || true)
        # A UPC-A is an EAN-13 with a zero in front, and a UPC-E stands for one.
        want=$(<"$wanted")
        case "$got" in
        "$want" | "0$want") read_well=$((read_well + 1)) ;;
        *)
            say "zbarimg reads '$got' in $(basename "$wanted" .codes).png, not '$want'"
            wrong=1
            ;;
        esac
    done
    say "$read_well pictures read back by zbarimg"
else
    say "skipped: zbarimg is not installed and cannot be; bars and QR were NOT read back"
fi

python=$out/python
if [[ ! -x $python/bin/python ]] && ! { python3 -m venv "$python" && "$python/bin/pip" install --quiet zxing-cpp==3.1.1 pillow; }; then
    rm -rf "$python"
fi
if [[ -x $python/bin/python ]]; then
    "$python/bin/python" - "$out"/pictures/*pdf417*.png <<'PYTHON' || wrong=1
import pathlib, sys
import zxingcpp
from PIL import Image
wrong = 0
for name in sys.argv[1:]:
    want = pathlib.Path(name).with_suffix(".codes").read_text()
    got = [code.text for code in zxingcpp.read_barcodes(Image.open(name).convert("L"))]
    if got != [want]:
        print(f"oracles: zxing reads {got} in {name}, not {want!r}")
        wrong = 1
print(f"oracles: {len(sys.argv) - 1} pictures of PDF417 looked at by zxing-cpp")
sys.exit(wrong)
PYTHON
else
    say "skipped: zxing-cpp cannot be installed; PDF417 was NOT read back"
fi
exit "$wrong"
