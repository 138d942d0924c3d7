# Nodes: each is a network namespace on one bridge, and a mount namespace with its own BPF file
# system, containerd and kubelet. There is no kube-proxy: two rules lead to the API server.
# shellcheck shell=bash

# shellcheck source=hack/cluster/lib.sh
: "${pki:?is set by lib.sh}"

# Cluster addresses must never leave by the default route, whatever is up or down.
make_bridge() {
	local range
	for range in "$services" "$pods.0.0/16"; do
		ip route replace blackhole "$range"
	done
	ip link add "$bridge" type bridge
	ip address add "${api%:*}/24" dev "$bridge"
	ip link set "$bridge" up
}

remove_bridge() {
	local range
	if ip link show "$bridge" >/dev/null 2>&1; then ip link delete "$bridge"; fi
	for range in "$services" "$pods.0.0/16"; do
		ip route delete blackhole "$range" 2>/dev/null || true
	done
}

make_network() {
	local name=$1 n other netns=bpfmap-$1
	n=$(number "$name")
	ip netns add "$netns"
	ip link add "bpfmap-v$n" type veth peer name eth0 netns "$netns"
	ip link set "bpfmap-v$n" master "$bridge" up
	ip -n "$netns" link set lo up
	ip -n "$netns" address add "$(address_of "$name")/24" dev eth0
	ip -n "$netns" link set eth0 up
	ip -n "$netns" route add "$services" via "${api%:*}"
	for other in "${nodes[@]}"; do
		[[ $other == "$name" ]] || ip -n "$netns" route add "$pods.$(number "$other").0/24" via "$(address_of "$other")"
	done
	ip route replace "$pods.$n.0/24" via "$(address_of "$name")"
	nsenter --net="/run/netns/$netns" sh -ec "
		echo 1 >/proc/sys/net/ipv4/ip_forward
		for chain in PREROUTING OUTPUT; do
			iptables -t nat -A \$chain -d $service -p tcp --dport 443 -j DNAT --to-destination $api
		done"
}

# The veth goes first: the kernel removes a network namespace only some time after its last process.
remove_network() {
	local n
	n=$(number "$1")
	ip route delete "$pods.$n.0/24" 2>/dev/null || true
	if ip link show "bpfmap-v$n" >/dev/null 2>&1; then ip link delete "bpfmap-v$n"; fi
	if [[ -e /run/netns/bpfmap-$1 ]]; then ip netns delete "bpfmap-$1"; fi
}

# inside NAME COMMAND... runs it on the node. The working directory is the node's root.
inside() {
	local pid
	pid=$(pid_of "holder@$1")
	shift
	nsenter --target "$pid" --mount --net --uts -- "$@"
}

# The holder keeps the node's namespaces. "/" is shared there, as systemd has it, so that mounts of
# the node show up in its pods.
start_holder() {
	local name=$1 home=$dir/$1
	mkdir -p "$home"/{kubelet,containerd,cni,cni-conf,log-pods,log-containers}
	mkdir -p /var/lib/{kubelet,containerd,cni} /var/log/{pods,containers} /run/{containerd,netns} /etc/cni/net.d
	write_configs "$name"
	start "holder@$name" nsenter --net="/run/netns/bpfmap-$name" unshare --mount --uts --propagation private sh -ec "
		mount --make-rshared /
		mount -t bpf bpf /sys/fs/bpf
		mount -t tmpfs tmpfs /run/netns
		mount -t tmpfs tmpfs /run/containerd
		mount --bind $home/kubelet /var/lib/kubelet
		mount --bind $home/containerd /var/lib/containerd
		mount --bind $home/cni /var/lib/cni
		mount --bind $home/cni-conf /etc/cni/net.d
		mount --bind $home/log-pods /var/log/pods
		mount --bind $home/log-containers /var/log/containers
		hostname $name
		touch $home/held
		exec sleep infinity"
	until_true 10 "the namespaces of $name" test -e "$home/held"
}

write_configs() {
	local name=$1 home=$dir/$1 n plugins
	n=$(number "$name")
	for plugins in /usr/lib/cni /opt/cni/bin; do
		[[ -x $plugins/host-local ]] && break
	done
	cat >"$home/containerd.toml" <<CONFIG
version = 2
oom_score = 0
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause_image"
  disable_apparmor = true
  # Lowering the score takes CAP_SYS_RESOURCE, which not every machine grants.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$plugins"
    conf_dir = "/etc/cni/net.d"
CONFIG
	cat >"$home/cni-conf/10-bpfmap.conflist" <<CONFIG
{"cniVersion": "0.4.0", "name": "bpfmap", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$pods.$n.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}
]}
CONFIG
	cat >"$home/kubelet.yaml" <<CONFIG
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/$name.crt
tlsPrivateKeyFile: $pki/$name.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
resolvConf: ""
failSwapOn: false
# Kubelets with one cgroup root would remove each other's pods.
cgroupRoot: /$scope/$name
cgroupDriver: cgroupfs
failCgroupV1: false
enforceNodeAllocatable: []
oomScoreAdj: 0
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
evictionHard: {memory.available: 0%, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%, imagefs.inodesFree: 0%, pid.available: 0%}
CONFIG
}

start_containerd() {
	start "containerd@$1" nsenter --target "$(pid_of "holder@$1")" --mount --net --uts -- \
		containerd --config "$dir/$1/containerd.toml" --log-level warn
	until_true 30 "containerd of $1 answers" inside "$1" ctr version
}

start_kubelet() {
	local tree
	for tree in "${cgroup_trees[@]}"; do
		mkdir -p "$tree/$scope/$1"
	done
	start "kubelet@$1" nsenter --target "$(pid_of "holder@$1")" --mount --net --uts -- \
		"$(command -v kubelet)" --config "$dir/$1/kubelet.yaml" --kubeconfig "$pki/$1.kubeconfig" \
		--hostname-override "$1" --node-ip "$(address_of "$1")"
}

node_ready() {
	kubectl get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -qx True
}

# start_node brings up everything but the wait for Ready, so that several start at once.
start_node() {
	make_network "$1"
	start_holder "$1"
	start_containerd "$1"
	load_images "$1"
	start_kubelet "$1"
}

# stop_node ends a node like a power cut, containers included, and forgets all that it kept.
stop_node() {
	local part
	for part in kubelet containerd; do
		if runs "$part@$1"; then kill -KILL "$(pid_of "$part@$1")" 2>/dev/null || true; fi
	done
	kill_members "$tracked/$1"
	for part in kubelet containerd holder; do
		kill_members "$tracked/parts/$part@$1"
		remove_cgroups "$scope/parts/$part@$1"
		rm -f "$run/$part@$1.pid"
	done
	remove_cgroups "$scope/$1"
	remove_network "$1"
	if [[ -e $marker ]]; then rm -rf --one-file-system "${dir:?}/$1"; fi
}
