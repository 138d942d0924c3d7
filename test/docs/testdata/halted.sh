# What docs/kubectl-plugin.md shows: the third revision of a BPFMap doesn't fit on node-3, because somebody else has filled the
# map there. node-3 is the first that takes it, since the order is made of the names of the revision and of the nodes.
# BPFFS_NODE_3 is the node's BPF file system. The plugin of kubectl is bpfmap itself, by the name that kubectl looks for.
mkdir -p plugin
ln -sf "$(command -v bpfmap)" plugin/kubectl-bpfmap
PATH=$PWD/plugin:$PATH
declare_blocklist() {
	{
		printf '%s\n' 'apiVersion: bpfmap.io/v1alpha1' 'kind: BPFMap' 'metadata: {namespace: edge, name: blocklist}' 'spec:' \
			'  type: Hash' '  key: {type: ipv4}' '  value: {fields: [{name: action, type: u8}, {name: rule, type: u32}]}' \
			'  maxEntries: 16' '  rollout: {minReadySeconds: 0}' '  entries:'
		printf '  - {key: %s, value: {action: %s, rule: %s}}\n' "$@"
	} >halted.yaml
	kubectl apply -f halted.yaml
}
declare_blocklist 192.0.2.1 1 7 192.0.2.2 1 8
kubectl wait --for=condition=Ready bpfmap/blocklist -n edge --timeout=2m
declare_blocklist 192.0.2.1 1 7 192.0.2.2 1 8 192.0.2.3 2 9
until [[ $(kubectl get bpfmap blocklist -n edge -o jsonpath='{.status.currentRevision}') == blocklist-2 ]]; do sleep 0.2; done
kubectl wait --for=condition=Ready bpfmap/blocklist -n edge --timeout=2m
for i in $(seq 13); do
	bpfmap map update --pin "$BPFFS_NODE_3/bpfmap/edge/blocklist" --bpffs "$BPFFS_NODE_3" --key "ipv4:198.51.100.$i" --value hex:0100000001000000
done
declare_blocklist 192.0.2.1 1 7 192.0.2.2 1 8 192.0.2.3 2 9 192.0.2.4 2 9
kubectl wait --for=jsonpath='{.status.rollout.phase}'=Halted bpfmap/blocklist -n edge --timeout=2m
