#!/bin/busybox sh
# The first process of the virtual machine, in the initramfs: it finds the shared folders and makes the
# host's files the root, with all that is written kept in memory.
/bin/busybox --install -s /bin
export PATH=/bin

fail() {
	echo "init: $*" >/dev/console
	poweroff -f
}

mkdir -p /proc /sys /dev /host /new /memory
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t devtmpfs dev /dev || fail "cannot mount /proc, /sys and /dev"
while read -r module; do
	insmod "/modules/$module" || fail "cannot load $module"
done </modules/order

mount -t tmpfs -o mode=755 memory /memory
mkdir -p /memory/run/vm/control /memory/upper /memory/work
mount -t virtiofs control /memory/run/vm/control || fail "cannot mount the control folder"
mount -t virtiofs -o ro host /host || fail "cannot mount the host's files"
. /memory/run/vm/control/machine

if [ "$FOREIGN" = yes ]; then
	# Another architecture: of the host's files only the data and the static programs that are named are of use.
	mount -t tmpfs -o mode=755 root /new
	cp -a /bin /new/bin
else
	mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work root /new || fail "cannot mount the root"
fi
mkdir -p /new/proc /new/sys /new/dev /new/run /new/tmp /new/lib/modules
cp /bin/busybox /etc/init2 /memory/run/vm/
mount -o rbind /memory/run /new/run
mount -t tmpfs -o mode=1777 tmp /new/tmp
for folder in $FOLDERS; do
	case $FOREIGN:$folder in
	yes:* | *:/tmp/*)
		mkdir -p "/new$folder"
		mount --bind "/host$folder" "/new$folder" || fail "cannot bind $folder"
		;;
	esac
done
if [ "$OUT" ]; then
	mkdir -p "/new$OUT"
	mount -t virtiofs out "/new$OUT" || fail "cannot mount $OUT"
fi
ln -sfn "$MODULES" "/new/lib/modules/$(uname -r)"
mount --move /dev /new/dev
umount /sys
umount -l /host
exec switch_root /new /run/vm/busybox sh /run/vm/init2
