#!/usr/bin/env bash
# Toko's USB printers and scanners with a real kernel: usblp, evdev and udev in a virtual machine of a few seconds.
#
#   devices/tests/usb-lane/run.sh
#
# Two printer gadgets of the kernel itself (dummy_hcd) hang on the guest's own USB, each with a virtual printer behind it; lane.rs
# prints on them, pulls them out and plugs them in again the other way round, so that each comes back under the other's name.
# A keyboard made by uinput plays a scanner. Where systemd-udevd is installed, our rules give the links as well.
#
# Needs qemu-system-x86_64, busybox (static), cpio, depmod and a generic Linux kernel: one in KERNEL_DEB, or fetched by
# `apt-get download`. Where one of them is missing it says so and exits 0: the lane is skipped, aloud.
set -euo pipefail
cd "$(dirname "$0")/../../.."

skip() {
    echo "usb-lane: SKIPPED: $1" >&2
    exit 0
}
[[ $(uname -m) == x86_64 ]] || skip "this machine is no x86-64"
for program in qemu-system-x86_64 busybox cpio depmod dpkg-deb strip ldd; do
    type -P "$program" >/dev/null || skip "$program is not installed"
done

work=${CARGO_TARGET_DIR:-target}/usb-lane
mkdir -p "$work"
deb=${KERNEL_DEB:-$(find "$work" -maxdepth 1 -name 'linux-image-*.deb' | sort | tail -1)}
if [[ -z $deb ]]; then
    # The generic kernel, by its whole version (packages of a shorter one only name another): those for clouds and for real time lack the gadgets, or are not for everybody.
    image=$(apt-cache search '^linux-image-[0-9]+[.][0-9]+[.][0-9]+[0-9.+deb~-]*-amd64$' 2>/dev/null | cut -d' ' -f1 | sort -V | tail -1 || true)
    [[ -n $image ]] || skip "no kernel: set KERNEL_DEB, or let apt-get know of one"
    (cd "$work" && apt-get download "$image" >/dev/null 2>&1) || skip "$image cannot be downloaded"
    deb=$(find "$work" -maxdepth 1 -name 'linux-image-*.deb' | sort | tail -1)
fi

cargo build --quiet --locked --workspace --example usb-lane
lane=${CARGO_TARGET_DIR:-target}/debug/examples/usb-lane

rm -rf "$work/kernel" "$work/root"
dpkg-deb -x "$deb" "$work/kernel"
version=$(basename "$work"/kernel/lib/modules/*)
depmod -b "$work/kernel" "$version"
root=$work/root
mkdir -p "$root"/{bin,dev,proc,sys,config,tmp,run,etc,lib/modules}

# bring PROGRAM PLACE: a program and the libraries that it is linked to.
bring() {
    cp "$1" "$root/$2"
    ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -nL "$library" "$root$library"
    done || true
}
cp "$(type -P busybox)" "$root/bin/busybox"
bring "$lane" bin/lane
strip "$root/bin/lane"
if [[ -x /lib/systemd/systemd-udevd ]] && type -P udevadm >/dev/null; then
    mkdir -p "$root/lib/udev/rules.d"
    bring /lib/systemd/systemd-udevd bin/udevd
    bring "$(type -P udevadm)" bin/udevadm
    cp /lib/udev/rules.d/50-udev-default.rules systemd/60-toko.rules "$root/lib/udev/rules.d/"
    printf 'root:x:0:0::/:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\ntty:x:5:\ndialout:x:20:\nlp:x:7:\ninput:x:104:\nkmem:x:15:\ndisk:x:6:\ncdrom:x:24:\ntape:x:26:\naudio:x:29:\nvideo:x:44:\nrender:x:105:\nsgx:x:106:\nkvm:x:107:\n' >"$root/etc/group"
else
    echo "usb-lane: udev is not installed; the links of systemd/60-toko.rules are not looked at" >&2
fi

# Modules in the order in which they need each other.
modules="$work/kernel/lib/modules/$version"
for name in udc-core dummy_hcd configfs libcomposite usb_f_printer usblp uinput evdev; do
    line=$(grep -E "/$name\.ko(\.xz)?:" "$modules/modules.dep" || true)
    [[ -n $line ]] || { grep -q "/$name\.ko" "$modules/modules.builtin" && continue || skip "kernel $version has no $name"; }
    own=${line%%:*}
    needs=$(echo "${line#*:}" | tr ' ' '\n' | tac)
    for module in $needs $own; do
        [[ -n $module ]] || continue
        file=$(basename "${module%.xz}")
        grep -qx "$file" "$root/lib/modules/order" 2>/dev/null && continue
        if [[ $module == *.xz ]]; then xz -dc "$modules/$module" >"$root/lib/modules/$file"; else cp "$modules/$module" "$root/lib/modules/$file"; fi
        echo "$file" >>"$root/lib/modules/order"
    done
done
cp devices/tests/usb-lane/init.sh "$root/init"
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd.gz"

log=$work/console.log
timeout 180 qemu-system-x86_64 -accel tcg -cpu max -m 512 -nographic -no-reboot -kernel "$work/kernel/boot/vmlinuz-$version" \
    -initrd "$work/initrd.gz" -append "console=ttyS0 quiet oops=panic panic=1" </dev/null >"$log" 2>&1 || true
tr -d '\r' <"$log" | grep -a '^lane: ' || true
if grep -aq '^lane: all is well' <(tr -d '\r' <"$log"); then
    echo "usb-lane: all is well, with kernel $version"
else
    tail -n 40 "$log" >&2
    echo "usb-lane: it did not end well; the console is in $log" >&2
    exit 1
fi
