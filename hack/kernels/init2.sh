# The first process after the root is in place: mounts what a node has, runs the command, reports its status.
vm=/run/vm
busybox=$vm/busybox
box() { $busybox "$@"; }

box umount -l /proc 2>/dev/null
box mount -t proc proc /proc
box mount -t sysfs sys /sys
box mkdir -p /dev/pts /dev/shm
box mount -t devpts devpts /dev/pts
box mount -t tmpfs -o mode=1777 shm /dev/shm
box mount -t debugfs debugfs /sys/kernel/debug
box mount -t tracefs tracefs /sys/kernel/tracing
box mount -t securityfs securityfs /sys/kernel/security
. $vm/control/machine
if [ "$POLICY" ]; then
	# The kernel takes a policy in one write. What runs by then stays in the domain of the first process. Its log gets each
	# denial, which it otherwise limits to ten in five seconds.
	echo 0 >/proc/sys/kernel/printk_ratelimit
	box mount -t selinuxfs selinuxfs /sys/fs/selinux &&
		box dd if="$POLICY" of=/sys/fs/selinux/load bs=64M iflag=fullblock 2>/dev/null &&
		echo 1 >/sys/fs/selinux/enforce || { echo "init: cannot load $POLICY" >/dev/console; box poweroff -f; }
fi
box mount -t bpf bpf /sys/fs/bpf
box mount -t cgroup2 cgroup2 /sys/fs/cgroup
for controller in $(box cat /sys/fs/cgroup/cgroup.controllers); do
	echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control
done
# Tests make and give up thousands of maps, and each waits for RCU: on 6.1, most of the time that histories take.
echo 1 >/sys/kernel/rcu_expedited
box ip link set lo up
box hostname vm

for port in /sys/class/virtio-ports/*; do
	[ "$(box cat "$port/name")" = output ] && output=/dev/${port##*/}
done
echo >"$vm/control/booted"
box setsid $busybox sh "$vm/control/command" </dev/null >"$output" 2>&1
echo $? >"$vm/control/status"
box sync
box poweroff -f
