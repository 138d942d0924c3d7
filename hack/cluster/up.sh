#!/usr/bin/env bash
# Brings up a Kubernetes cluster of three nodes on this machine, without virtual machines, and without
# anything that its processes could reach outside: etcd and the control plane as processes, and nodes
# as namespaces with a kernel in common but a BPF file system, containerd and kubelet of their own.
#
#   hack/cluster/up.sh      down.sh removes it, ctl.sh does things to its parts
#
# $CLUSTER_DIR (default /var/tmp/bpfmap-cluster) holds all state. Needs root, and bin/bpfmap, which
# each node gets as the image that the chart names.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
for file in lib pki controlplane images node; do
	# shellcheck source=/dev/null
	source "hack/cluster/$file.sh"
done
[[ $(id -u) == 0 ]] || die "needs root"

# whats_next PROGRAMS prints what a shell needs to use the cluster (to standard output), and what to do then.
whats_next() {
	cat >&2 <<-END

		To use it, have this shell find the cluster, and the kubectl and helm that belong to it:

	END
	echo "export CLUSTER_DIR=$dir KUBECONFIG=$dir/admin.kubeconfig PATH=$1:\$PATH"
	cat >&2 <<-END

		Then install the operator, with the image that the nodes have already, and declare maps:

		  helm install bpfmap charts/bpfmap-operator --namespace bpfmap-system --create-namespace
		  kubectl apply -f config/samples
		  kubectl get bpfmaps -A

		docs/tutorial.md goes on from here. make cluster-down removes the cluster.
	END
}

if [[ -e $marker ]] && runs kube-apiserver; then
	say "already runs; make cluster-down removes it"
	whats_next "$(hack/controlplane/build.sh --print-dir)"
	exit 0
fi

hack/cluster/packages.sh
programs=$(hack/controlplane/build.sh etcd kube-apiserver kubectl helm kubelet kube-controller-manager kube-scheduler)
export PATH=${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS:}$programs:$PATH

SECONDS=0
hack/cluster/down.sh --quiet # what a killed run left
mkdir -p "$dir" "$logs" "$run"
touch "$marker"
finish() {
	local status=$?
	trap '' INT TERM
	if ((status)); then
		show_logs 12
		say "failed; the last lines of the logs are above"
		hack/cluster/down.sh --quiet || true
	fi
	exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A kubelet sets these for the whole machine.
sysctl vm.overcommit_memory kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys \
	kernel.keys.root_maxbytes >"$dir/sysctls" 2>/dev/null || true

say "packing the images"
make_pause_image
make_operator_image
say "starting the control plane"
make_bridge
make_pki
start_control_plane
say "control plane ready after $SECONDS s; starting ${#nodes[@]} nodes"
for name in "${nodes[@]}"; do start_node "$name"; done
for name in "${nodes[@]}"; do until_true 60 "$name is Ready" node_ready "$name"; done
say "${#nodes[@]} nodes Ready after $SECONDS s, with $(operator_image)"
whats_next "$programs"
