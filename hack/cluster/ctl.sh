#!/usr/bin/env bash
# Does things to the parts of a running cluster, as people and accidents do.
#
#   hack/cluster/ctl.sh stop PART [SIGNAL]     PART: kube-apiserver, kubelet@node-1, containerd@node-1 ...
#   hack/cluster/ctl.sh start PART             what still runs is left alone
#   hack/cluster/ctl.sh remove-node NODE       ends it like a power cut and deletes the Node
#   hack/cluster/ctl.sh add-node NODE          joins it, with nothing of what it kept
#   hack/cluster/ctl.sh load-image             packs bin/bpfmap again and imports it everywhere
#   hack/cluster/ctl.sh load-release COMMIT    builds an earlier commit, with its chart, and imports it everywhere
#   hack/cluster/ctl.sh load-program PACKAGE IMAGE   builds a Go package into an image and imports it everywhere
#   hack/cluster/ctl.sh inside NODE COMMAND... runs a command in the node's namespaces
#   hack/cluster/ctl.sh pid PART               prints its process id
#   hack/cluster/ctl.sh logs                   prints the last lines of every log
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
for file in lib controlplane images node; do
	# shellcheck source=/dev/null
	source "hack/cluster/$file.sh"
done
[[ -e $marker ]] || die "no cluster in $dir: run make cluster"
export PATH=${KUBEBUILDER_ASSETS:+$KUBEBUILDER_ASSETS:}$(hack/controlplane/build.sh --print-dir):$PATH

start_part() {
	runs "$1" && return 0
	case $1 in
	etcd) start_etcd ;;
	kube-apiserver) start_apiserver ;;
	kube-controller-manager | kube-scheduler) start_managers ;;
	kubelet@*) start_kubelet "${1#*@}" ;;
	containerd@*) start_containerd "${1#*@}" ;;
	*) die "unknown part \"$1\"" ;;
	esac
}

command=${1:-}
shift || true
case $command in
start) start_part "$1" ;;
stop) stop "$@" ;;
pid) pid_of "$1" ;;
inside) inside "$@" ;;
logs) show_logs 8 ;;
load-image)
	make_operator_image
	for name in "${nodes[@]}"; do load_images "$name"; done
	;;
load-release)
	make_release "$1"
	for name in "${nodes[@]}"; do load_images "$name"; done
	;;
load-program)
	make_program "$1" "$2"
	for name in "${nodes[@]}"; do load_images "$name"; done
	;;
remove-node)
	stop_node "$1"
	kubectl delete node "$1" --timeout=30s >/dev/null
	;;
add-node)
	start_node "$1"
	until_true 60 "$1 is Ready" node_ready "$1"
	;;
*) die "unknown command \"$command\", see the head of hack/cluster/ctl.sh" ;;
esac
