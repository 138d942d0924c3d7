#!/usr/bin/env bash
# The whole loop on one machine, with real parts: etcd, the API server, this kernel. "make demo" builds
# what it runs. It touches nothing outside a temporary folder and its own mount of a BPF file system.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

work=$(mktemp -d "${TMPDIR:-/tmp}/bpfmap-demo.XXXXXX")
bpffs=$work/bpf
# shellcheck source=hack/demo/lib.sh
source hack/demo/lib.sh
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export PATH=$PWD/bin:$PATH KUBECONFIG=$work/admin.kubeconfig
node=$(uname -n | tr '[:upper:]' '[:lower:]')
blocklist=$bpffs/bpfmap/edge/blocklist

section "A control plane: etcd and the Kubernetes API server"
started=$(milliseconds)
start controlplane bin/controlplane "$work"
until_true 240 "the API server is ready" grep -qx ready "$work/controlplane.log"
say "ready after $(($(milliseconds) - started)) ms"
show kubectl version

section "A BPF file system of its own, and this machine as a node"
mkdir "$bpffs"
show mount -t bpf bpf "$bpffs"
kubectl create -f - <<NODE
apiVersion: v1
kind: Node
metadata:
  name: $node
  labels: {kubernetes.io/hostname: $node, kubernetes.io/os: linux, role: edge}
NODE

section "The custom resources and the rights of the two components"
show kubectl apply --server-side -f config/crd/bases
kubectl wait --for=condition=Established crd --all --timeout=30s >/dev/null
show kubectl apply -f config/default/namespace.yaml
show kubectl apply --namespace bpfmap-system -k config/rbac

section "The controller and the agent, as processes with those rights only"
flags=(--metrics-bind-address=0 --health-probe-bind-address=0)
start controller bin/bpfmap controller --kubeconfig "$work/controller.kubeconfig" --leader-elect=false "${flags[@]}"
start agent bin/bpfmap agent --kubeconfig "$work/agent.kubeconfig" --node-name "$node" \
	--bpffs "$bpffs" --resync-period 2s "${flags[@]}"
until_true 30 "the agent reports its node" kubectl get bpfnodestate "$node"
say "controller and agent run; the agent has reported its node"

section "Maps as manifests"
started=$(milliseconds)
show kubectl apply -k config/samples
show kubectl wait --for=condition=Ready bpfmaps --all --all-namespaces --timeout=60s
say "all Ready $(($(milliseconds) - started)) ms after kubectl apply began"
show kubectl get bpfmaps,bpfnodestates --all-namespaces -o wide
show kubectl describe bpfmap --namespace edge blocklist

section "The same maps as the kernel shows them"
show bpfmap list --managed --bpffs "$bpffs"
show bpfmap dump --pin "$blocklist"
if command -v bpftool >/dev/null; then
	show bpftool map show pinned "$blocklist"
	show bpftool map dump pinned "$blocklist"
fi

section "An edit arrives"
new_entry='{"op": "add", "path": "/spec/entries/-", "value": {"key": "100.64.0.0/10", "value": {"action": 1, "rule": 42}}}'
shows() { bpfmap dump --pin "$blocklist" | grep -qF "$1"; }
started=$(milliseconds)
show kubectl patch bpfmap --namespace edge blocklist --type=json --patch "[$new_entry]"
until_true 30 "100.64.0.0/10 is in the kernel" shows 100.64.0.0/10
say "in the kernel $(($(milliseconds) - started)) ms after kubectl patch began"
show bpfmap dump --pin "$blocklist"

section "Somebody breaks the map behind the operator's back"
# An LPM key is its prefix length in the machine's byte order, then the address: 203.0.113.0/24.
show bpfmap map delete --pin "$blocklist" --key hex:18000000cb007100
started=$(milliseconds)
show bpfmap dump --pin "$blocklist"
until_true 30 "203.0.113.0/24 is back" shows 203.0.113.0/24
say "repaired $(($(milliseconds) - started)) ms later (the agent looks every 2 s here, every 5 min by default)"
show bpfmap dump --pin "$blocklist"
drift_event() { kubectl get events --namespace edge -o custom-columns=REASON:.reason | grep -q Drift; }
until_true 30 "an event tells of the drift" drift_event
show kubectl get events --namespace edge --sort-by=.metadata.creationTimestamp \
	-o custom-columns=TYPE:.type,REASON:.reason,OBJECT:.involvedObject.name,MESSAGE:.message

section "Deleting the manifests deletes the maps"
show kubectl delete -k config/samples --wait=false
no_pins() { [[ -z $(find "$bpffs/bpfmap/edge" -mindepth 1 2>/dev/null) ]]; }
until_true 30 "the pins are gone" no_pins
show bpfmap list --managed --bpffs "$bpffs"

section "Done"
