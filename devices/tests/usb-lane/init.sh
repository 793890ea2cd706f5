#!/bin/busybox sh
# The first process of the guest: file systems, modules, then the lane, then off.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts pts /dev/pts
ip link set lo up
while read -r module; do
    case $module in
        # Two sockets to plug gadgets into.
        dummy_hcd.ko) insmod "/lib/modules/$module" num=2 ;;
        *) insmod "/lib/modules/$module" ;;
    esac
done </lib/modules/order
mount -t configfs config /config || mount -t configfs config /sys/kernel/config
if [ -x /bin/udevd ]; then
    udevd --daemon
fi
lane
echo "lane ended with $?"
poweroff -f
