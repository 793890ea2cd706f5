#!/usr/bin/env bash
# Checks the units as they would be installed, beside this machine's own units, and fails on any word that systemd says.
#
# The programs themselves are not needed: systemd only asks whether each ExecStart= is there and may be run, so an empty
# program stands in for each daemon in a scratch root. The unit files are never changed for the check.
set -euo pipefail
cd "$(dirname "$0")"

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
mkdir -p "$stage/usr/bin" "$stage/usr/lib/systemd" "$stage/usr/lib/sysusers.d" "$stage/etc"
ln -s usr/lib "$stage/lib"
for units in /usr/lib/systemd/system /lib/systemd/system; do
    if [[ -d $units ]]; then
        cp -a "$units" "$stage/usr/lib/systemd/"
        break
    fi
done
[[ -e $stage/usr/lib/systemd/system/sysinit.target ]] || { echo "systemd's own units are not installed here" >&2; exit 1; }

daemons=()
for unit in *.service; do
    daemon=${unit%.service}
    daemons+=("$daemon")
    cp "$unit" "$stage/usr/lib/systemd/system/"
    cp "$(type -P true)" "$stage/usr/bin/$daemon"
done
cp toko.sysusers "$stage/usr/lib/sysusers.d/toko.conf"

# Silence is the only good answer: systemd-analyze warns about unknown settings and still exits 0.
said=$(systemd-analyze verify --man=no --recursive-errors=no --root="$stage" "${daemons[@]/%/.service}" 2>&1) || said+=" (exit $?)"
if [[ -n $said ]]; then
    printf 'systemd-analyze verify:\n%s\n' "$said" >&2
    exit 1
fi

# The users that the units name must be the users that sysusers makes.
systemd-sysusers --root="$stage" 2>"$stage/said" || { cat "$stage/said" >&2; exit 1; }
for unit in *.service; do
    user=$(sed -n 's/^User=//p' "$unit")
    grep -q "^$user:" "$stage/etc/passwd" || { echo "$unit runs as $user, whom toko.sysusers does not make" >&2; exit 1; }
done

# The rules for devices. udevadm can check them from systemd 254 on; before that it has no word for it.
for rules in *.rules; do
    if udevadm verify --help >/dev/null 2>&1; then
        udevadm verify --resolve-names=never "$rules" >"$stage/said" 2>&1 || { cat "$stage/said" >&2; exit 1; }
    else
        echo "$rules: not checked: there is no udevadm here, or one older than 254, which cannot" >&2
    fi
done
echo "systemd has nothing to say about ${daemons[*]}"
