// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package advice

import "github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"

// nodeReasons are those of one map on one node.
var nodeReasons = []Advice{
	{Node, v1alpha1.NodeReasonInSync, "the map is as declared", ""},
	{Node, string(v1alpha1.NodeMapPending), "the node's agent has yet to report on the revision that the node is to hold", "wait; if it stays: `kubectl bpfmap why MAP NODE`"},
	{Node, v1alpha1.NodeReasonDrifted, "others changed the map, and `spec.driftPolicy` is Report", "`driftedEntries` of the map in the BPFNodeState has the first entries that differ; find out who writes, or set `spec.driftPolicy: Repair`"},
	{Node, v1alpha1.NodeReasonIncompatible, "the map at the pin differs from the spec in a property that can't be changed",
		"make the spec like the map, remove the pin, or set `spec.replacePolicy: Swap` to have a new map take its place"},
	{Node, v1alpha1.NodeReasonSchemaMismatch, "the map's BTF says that its programs lay key or value out otherwise than the spec; the map isn't touched",
		"correct `spec.key` or `spec.value`: the message has both layouts"},
	{Node, v1alpha1.NodeReasonFrozen, "the map is frozen, and the declared contents changed", "set `spec.replacePolicy: Swap`: new contents of a frozen map need a new map"},
	{Node, v1alpha1.NodeReasonPinConflict, "the pin belongs to another BPFMap, or holds something that isn't a map", "give one of them another `spec.pin.path`, or remove what is at the pin"},
	{Node, v1alpha1.NodeReasonAdoptionNotAllowed, "somebody else's map is at the pin, and `spec.adoptionPolicy` doesn't allow to take it over, or not to delete what others put into it",
		"`bpfmap diff` on the node shows what taking it over would change; set `spec.adoptionPolicy: Adopt` or `AdoptAndDiscard`, another `spec.pin.path`, or `spec.syncPolicy: Merge`"},
	{Node, v1alpha1.NodeReasonPinNotAllowed, "the agents' configuration doesn't allow this pin path for the namespace",
		"leave `spec.pin.path` out (`bpfmap/NAMESPACE/NAME` is always allowed), or let the administrator add a prefix to `agent.allowedPinPrefixes` of the chart"},
	{Node, v1alpha1.NodeReasonMapFull, "the map is too small for the declared entries, usually because of entries of others",
		"raise `spec.maxEntries` (with `spec.replacePolicy: Swap`), declare fewer entries, or set `spec.syncPolicy: Mirror` to delete those of others"},
	{Node, v1alpha1.NodeReasonNotPermitted, "the agent lacks a capability or a file permission, or a security module forbids it", "the message names it; see docs/security.md, and where it names SELinux or AppArmor, docs/operations.md#distributions"},
	{Node, v1alpha1.NodeReasonNotSupported, "the node's kernel lacks something that the map needs, or the administrator disabled it there",
		"give the node a newer kernel, or leave it out by `spec.nodeSelector`; `status.features` of the BPFNodeState lists what it has"},
	{Node, v1alpha1.NodeReasonMemlockLimit, "the node's kernel, before Linux 5.11, charges maps to RLIMIT_MEMLOCK, and the map is over it",
		"set `agent.raiseMemlock: true` in the chart, or `LimitMEMLOCK=infinity` for the container runtime"},
	{Node, v1alpha1.NodeReasonOutOfMemory, "the kernel couldn't allocate memory for the map", "raise or drop the memory limit of the agent's pod, which map memory is charged to, or make the map smaller"},
	{Node, v1alpha1.NodeReasonQuotaExceeded, "the map would exceed a limit of kernel memory or of maps: its namespace's, the node's or the agent pod's",
		"make it smaller, remove others, or raise the limit that the message names; it is then created without further action"},
	{Node, v1alpha1.NodeReasonInvalidRevision, "the revision's contents don't match its digest or its shape", "somebody altered a BPFMapRevision or BPFMapChunk; any change of the BPFMap's entries makes a new revision"},
	{Node, v1alpha1.NodeReasonReferenceNotFound, "an entry names an interface, map, program or cgroup that isn't on the node yet", "the message names it; the entry is written once it is there"},
	{Node, v1alpha1.NodeReasonInvalidReference, "an entry names something of the wrong kind", "correct the entry: the message says what was found"},
	{Node, v1alpha1.NodeReasonWaitsForGroup, "the map is to be replaced together with the others of its group, of which one isn't ready for that yet", "wait; the message names the other one: `kubectl bpfmap why OTHER NODE`"},
	{Node, v1alpha1.NodeReasonGroupStalled, "the map is to be replaced together with the others of its group, of which one can't be as declared", "repair the one that the message names: `kubectl bpfmap why OTHER NODE`"},
	{Node, v1alpha1.NodeReasonInterrupted, "the work on the map was cut short, as when the agent stops, and is resumed", "wait"},
	{Node, v1alpha1.NodeReasonNotWatched, "the operator doesn't watch the map's namespace any more (`watchNamespaces` of the chart); the map, its pin and its contents stay as they were left", "list the namespace again; see docs/watch-namespaces.md"},
	{Node, v1alpha1.NodeReasonNodeNotReady, "maps can't be managed on the node at all", "see the condition HostReady of the node's BPFNodeState"},
	{Node, v1alpha1.NodeReasonSyncFailed, "an error without a reason of its own; the agent tries again", "read the message; if it stays, the log of the node's agent"},
}

// nodeStateReasons are those of a BPFNodeState's conditions.
var nodeStateReasons = []Advice{
	{NodeState, v1alpha1.ReasonNodeReady, "maps can be managed on the node", ""},
	{NodeState, v1alpha1.ReasonNodeStatusUnknown, "the Node isn't Ready, so what its agent reported may no longer be so", "repair the node, or delete its Node object if it is gone"},
	{NodeState, v1alpha1.ReasonAgentStatusUnknown, "no agent that is Ready runs on the node",
		"`kubectl get pods -A -l app.kubernetes.io/component=agent -o wide`, and the pod's log"},
	{NodeState, v1alpha1.ReasonBPFFSMissing, "no BPF file system is mounted where the agent looks for it", "mount it on the node: `mount -t bpf bpf /sys/fs/bpf`; the agent notices it within a second"},
	{NodeState, v1alpha1.ReasonBPFFSReadOnly, "the BPF file system refuses writes", "mount it on the node for writing: `mount -o remount,rw /sys/fs/bpf`. Where the message says that SELinux or AppArmor confines the agent, set the value of the chart that it names; docs/operations.md lists what each distribution needs"},
	{NodeState, v1alpha1.ReasonBPFFSOccupied, "somebody else has taken the place of the agent's directories in the BPF file system", "the message names it and its owner: remove it as root, and let only root write to the BPF file system (`chmod 0755 /sys/fs/bpf`)"},
	{NodeState, v1alpha1.ReasonMissingCapability, "the agent lacks a capability, or a seccomp filter or a security module forbids bpf(2)", "the message names it; see docs/security.md, and where it names SELinux, docs/operations.md#distributions"},
	{NodeState, v1alpha1.ReasonKernelUnsupported, "the kernel lacks bpf(2) or something that every map needs", "the node needs Linux 5.10 or newer with CONFIG_BPF_SYSCALL"},
	{NodeState, v1alpha1.ReasonOperatorRemoved, "the operator was uninstalled, and nothing is known of the node since then", "install the operator again"},
}
