// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// BPFNodeState is what one node's kernel holds. The node's agent writes it, and only when something
// changed; the controller writes of it the condition Ready and releases. Its name is the node's, and the
// node owns it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=bns,categories={bpf}
// +kubebuilder:printcolumn:name="Kernel",type=string,JSONPath=`.status.kernelRelease`
// +kubebuilder:printcolumn:name="Maps",type=integer,JSONPath=`.status.summary.maps`
// +kubebuilder:printcolumn:name="Ready",type=integer,JSONPath=`.status.summary.ready`
// +kubebuilder:printcolumn:name="Failed",type=integer,JSONPath=`.status.summary.failed`
// +kubebuilder:printcolumn:name="Memory",type=string,JSONPath=`.status.summary.memory`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Since",type=date,JSONPath=`.status.conditions[?(@.type=="Ready")].lastTransitionTime`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
type BPFNodeState struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is what every object has.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// status is what the agent observed.
	// +optional
	Status BPFNodeStateStatus `json:"status,omitempty"`
}

// BPFNodeStateList is a list of BPFNodeState.
//
// +kubebuilder:object:root=true
type BPFNodeStateList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []BPFNodeState `json:"items"`
}

// LabelAgent says with the value "true" that a pod in the controller's namespace is an agent, though it isn't one of
// the DaemonSet that the controller knows: of another one for some nodes. It counts beside the label
// app.kubernetes.io/component=agent.
const LabelAgent = "bpfmap.io/agent"

// ConditionHostReady is the condition of a BPFNodeState by which the agent says whether maps can be managed on
// its node at all. The controller makes ConditionReady of it and of whether the node and the agent are alive, so
// each condition has one writer.
const ConditionHostReady = "HostReady"

// The reasons of a BPFNodeState's conditions. NodeReady is True. NodeStatusUnknown and AgentStatusUnknown are
// Unknown, and Ready's alone. Every other one is False and its message says what to do.
const (
	// ReasonNodeStatusUnknown: the Node isn't Ready, so what its agent reported may no longer be so.
	ReasonNodeStatusUnknown = "NodeStatusUnknown"
	// ReasonAgentStatusUnknown: no agent that is Ready runs on the node.
	ReasonAgentStatusUnknown = "AgentStatusUnknown"
	ReasonNodeReady          = "NodeReady"
	// ReasonBPFFSMissing: no BPF file system is mounted where the agent looks for it.
	ReasonBPFFSMissing = "BPFFSMissing"
	// ReasonBPFFSReadOnly: the BPF file system refuses writes.
	ReasonBPFFSReadOnly = "BPFFSReadOnly"
	// ReasonBPFFSOccupied: somebody else has taken the place of the agent's directories in the BPF file system.
	ReasonBPFFSOccupied = "BPFFSOccupied"
	// ReasonMissingCapability: the agent lacks a capability.
	ReasonMissingCapability = "MissingCapability"
	// ReasonKernelUnsupported: the kernel lacks bpf(2) or something that every map needs.
	ReasonKernelUnsupported = "KernelUnsupported"
)

// BPFNodeStateStatus is one node's state.
type BPFNodeStateStatus struct {
	// conditions are HostReady, by which the agent says whether it can manage maps on this node at all, and
	// Ready, by which the controller says so of a node and an agent that are alive.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// kernelRelease is the kernel's release, as uname -r prints it.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	KernelRelease string `json:"kernelRelease,omitempty"`

	// bootID changes with every boot; pins and map ids of another boot are gone.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	BootID string `json:"bootID,omitempty"`

	// agentVersion is the version of the agent that wrote this.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	AgentVersion string `json:"agentVersion,omitempty"`

	// possibleCPUs is how many values an element of a per-CPU map has on this node.
	// +optional
	PossibleCPUs int32 `json:"possibleCPUs,omitempty"`

	// features are the BPF features of the node's kernel that this operator checks, sorted.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MaxLength=64
	Features []string `json:"features,omitempty"`

	// contents is where live contents of the node's maps can be read by who may get bpfmaps/contents; absent if the agent
	// doesn't serve them (agent.contents.enabled).
	// +optional
	Contents *ContentsEndpoint `json:"contents,omitempty"`

	// releases are maps that the node's labels no longer select and that its agent may remove now. The
	// controller writes them, a few nodes of each map at a time.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	Releases []MapRelease `json:"releases,omitempty"`

	// summary counts this node's managed maps.
	// +optional
	Summary NodeSummary `json:"summary,omitempty"`

	// inventory counts all eBPF maps of the node's kernel, no matter who created them. Only agents that
	// run with --inventory fill it: enumerating maps needs CAP_SYS_ADMIN.
	// +optional
	Inventory *NodeInventory `json:"inventory,omitempty"`

	// maps are the managed maps of this node, sorted by namespace and name.
	// +optional
	// +listType=map
	// +listMapKey=namespace
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=4096
	Maps []NodeMap `json:"maps,omitempty"`
}

// NodeSummary counts one node's managed maps.
type NodeSummary struct {
	// maps is how many maps the node is supposed to have.
	// +required
	Maps int32 `json:"maps"`
	// ready is how many of them are as declared.
	// +required
	Ready int32 `json:"ready"`
	// failed is how many of them are not, and report a reason.
	// +required
	Failed int32 `json:"failed"`
	// memory is the kernel memory of all of them, in human-readable form (for example 12.5Mi).
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Memory string `json:"memory,omitempty"`
	// memlockBytes is the kernel memory of all of them in bytes, as the kernel accounts it.
	// +optional
	MemlockBytes int64 `json:"memlockBytes,omitempty"`
	// memoryLimitBytes is the administrator's limit for all of them; absent if there is none.
	// +optional
	MemoryLimitBytes int64 `json:"memoryLimitBytes,omitempty"`
}

// MaxOrphans bounds NodeInventory.Orphans.
const MaxOrphans = 64

// NodeInventory counts the eBPF maps of a node's kernel.
type NodeInventory struct {
	// maps is how many maps the kernel holds.
	// +required
	Maps int32 `json:"maps"`
	// pinned is how many of them are pinned in the agent's BPF file system, managed ones among them.
	// +required
	Pinned int32 `json:"pinned"`
	// managed is how many of them belong to a BPFMap, without the records of ownership.
	// +required
	Managed int32 `json:"managed"`
	// memlockBytes is the kernel memory of all of them in bytes, as the kernel accounts it.
	// +required
	MemlockBytes int64 `json:"memlockBytes"`
	// memory is the same in human-readable form (for example 12.5Mi).
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Memory string `json:"memory,omitempty"`
	// orphanCount is how many maps are pinned below bpfmap/ and belong to no BPFMap.
	// +required
	OrphanCount int32 `json:"orphanCount"`
	// orphans are the first of them, sorted by pin: maps that were retained, or created by others.
	// +optional
	// +listType=map
	// +listMapKey=pinPath
	// +kubebuilder:validation:MaxItems=64
	Orphans []OrphanMap `json:"orphans,omitempty"`
}

// OrphanMap is a map below bpfmap/ that belongs to no BPFMap.
type OrphanMap struct {
	// pinPath is its pin, absolute on the node.
	// +required
	// +kubebuilder:validation:MaxLength=4096
	PinPath string `json:"pinPath"`
	// mapID is its id in this node's kernel.
	// +required
	MapID int64 `json:"mapID"`
	// type is the kernel's map type.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Type string `json:"type,omitempty"`
	// memlockBytes is its kernel memory.
	// +optional
	MemlockBytes int64 `json:"memlockBytes,omitempty"`
}
