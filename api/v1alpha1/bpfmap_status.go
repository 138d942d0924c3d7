// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// MaxNodeStates bounds BPFMapStatus.NodeStates. Up to this many nodes are all listed; beyond it the
// failing ones first, then the pending ones.
const MaxNodeStates = 32

// The condition types of a BPFMap. Each is present from the first status on.
const (
	// ConditionReady is True when the kernels of all nodes that are to have the map hold the newest revision, as told
	// by agents that are alive; Unknown when that is so of all nodes but those that nothing is known of.
	// Reasons: Ready, EarlierRevision, PartitionReached, NoNodesSelected (True); NodesUnknown, OperatorRemoved
	// (Unknown); Progressing, Paused, Halted, RolledBack, NotAccepted, NoNodesSelected, Drifted, ReconcileFailed
	// (False), and the reason of the nodes that fail or wait: MapFull, PinConflict, ReferenceNotFound and so on (False).
	ConditionReady = "Ready"
	// ConditionReconciling is True while work is in progress (kstatus: InProgress).
	// Reasons: Progressing, Paused, Halted, NodesUnknown, ReconcileFailed (True); ReconcileSucceeded,
	// PartitionReached (False).
	ConditionReconciling = "Reconciling"
	// ConditionStalled is True when no progress is possible until somebody changes something
	// (kstatus: Failed). Reasons: NotAccepted, NodesStalled, RolledBack, NoNodesSelected (True); NotStalled (False).
	ConditionStalled = "Stalled"
	// ConditionAccepted says whether the spec compiled and may be stored. Reasons: Accepted (True);
	// InvalidSpec, InvalidEntry, InvalidSource, TooLarge, QuotaExceeded, NameConflict, InvalidGroup (False);
	// ReconcileFailed, FetchPending (Unknown). While it is False the nodes keep the last good revision.
	ConditionAccepted = "Accepted"
	// ConditionDrifted is True while some node's map differs from its revision and is not repaired.
	// Reasons: Drifted (True); InSync (False); NotYetReported (Unknown).
	ConditionDrifted = "Drifted"
	// ConditionInUse is False while no program uses the map on some node. It says nothing of Ready.
	// Reasons: InUse (True); Unused, NeverUsed (False); UsageUnknown, NodesUnknown, NotYetReported, NoNodesSelected
	// (Unknown).
	ConditionInUse = "InUse"
	// ConditionSourcesFresh is there if spec.entriesFrom has http or artifact sources: False while one of them can't be
	// fetched; its last good contents stay in use. Reasons: Fetched (True); FetchFailed (False); FetchPending (Unknown).
	ConditionSourcesFresh = "SourcesFresh"
	// ConditionMetricsServed is there if there is spec.metrics: False while an agent that was scraped can't serve all of
	// it. It says nothing of Ready. Reasons: MetricsServed (True); MetricsLeftOut (False).
	ConditionMetricsServed = "MetricsServed"
)

// The condition reasons of a BPFMap.
const (
	ReasonReady = "Ready"
	// ReasonMetricsServed: no agent says that it can't serve some of spec.metrics.
	ReasonMetricsServed = "MetricsServed"
	// ReasonMetricsLeftOut: an agent has no room for all series, or can't read the map for them.
	ReasonMetricsLeftOut = "MetricsLeftOut"
	// ReasonFetched: the newest contents of all sources are known.
	ReasonFetched = "Fetched"
	// ReasonFetchFailed: the last attempt to fetch a source failed.
	ReasonFetchFailed = "FetchFailed"
	// ReasonFetchPending: a source hasn't been fetched yet.
	ReasonFetchPending = "FetchPending"
	// ReasonEarlierRevision: all nodes hold the contents of the revision that spec.rollbackTo names, not those of
	// the spec.
	ReasonEarlierRevision = "EarlierRevision"
	// ReasonPartitionReached: all nodes hold the newest revision but those that spec.rollout.partition keeps back.
	ReasonPartitionReached = "PartitionReached"
	ReasonNoNodesSelected  = "NoNodesSelected"
	// ReasonNodesUnknown: of some nodes nothing is known, since the Node or its agent isn't Ready; the others hold
	// the newest revision.
	ReasonNodesUnknown = "NodesUnknown"
	// ReasonOperatorRemoved: the operator was uninstalled, and nobody looks any more.
	ReasonOperatorRemoved = "OperatorRemoved"
	ReasonProgressing     = "Progressing"
	// ReasonPaused: spec.rollout.paused holds the newest revision back from some nodes.
	ReasonPaused = "Paused"
	// ReasonHalted: too many nodes became unavailable after they took the newest revision.
	ReasonHalted             = "Halted"
	ReasonReconcileSucceeded = "ReconcileSucceeded"
	ReasonNotAccepted        = "NotAccepted"
	// ReasonNodesFailed: nodes failed without a reason of their own.
	ReasonNodesFailed    = "NodesFailed"
	ReasonNodesStalled   = "NodesStalled"
	ReasonNotStalled     = "NotStalled"
	ReasonRolledBack     = "RolledBack"
	ReasonAccepted       = "Accepted"
	ReasonInvalidSpec    = "InvalidSpec"
	ReasonInvalidEntry   = "InvalidEntry"
	ReasonInvalidSource  = "InvalidSource"
	ReasonTooLarge       = "TooLarge"
	ReasonDrifted        = "Drifted"
	ReasonInSync         = "InSync"
	ReasonNotYetReported = "NotYetReported"
	ReasonInUse          = "InUse"
	// ReasonUnused: on some node no program uses the map any more, or programs use the one that was there before.
	ReasonUnused = "Unused"
	// ReasonNeverUsed: on some node no program was seen to use the map.
	ReasonNeverUsed = "NeverUsed"
	// ReasonUsageUnknown: the agents couldn't tell whether programs use the map.
	ReasonUsageUnknown = "UsageUnknown"
	// ReasonQuotaExceeded: the revisions of all BPFMaps of the namespace would take more than they may.
	ReasonQuotaExceeded = "QuotaExceeded"
	// ReasonNameConflict: an object that isn't this BPFMap's has the name of its next revision or of a chunk.
	ReasonNameConflict = "NameConflict"
	// ReasonInvalidGroup: the BPFMaps of the group don't fit together: they have different nodeSelectors, or are too many.
	ReasonInvalidGroup = "InvalidGroup"
	// ReasonReconcileFailed: the controller's work failed, and is tried again.
	ReasonReconcileFailed = "ReconcileFailed"
)

// BPFMapStatus is the aggregate over all selected nodes.
type BPFMapStatus struct {
	// observedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// sources are what was read from each element of spec.entriesFrom, in their order.
	// +optional
	// +listType=map
	// +listMapKey=index
	// +kubebuilder:validation:MaxItems=64
	Sources []SourceStatus `json:"sources,omitempty"`

	// conditions are Ready, Reconciling, Stalled, Accepted, Drifted and InUse, SourcesFresh if there are sources to fetch, and MetricsServed if there is spec.metrics.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// nodes counts the nodes.
	// +optional
	Nodes NodeCounts `json:"nodes,omitempty"`

	// entries is how many entries are declared by the revision that the nodes hold: by updateRevision once all nodes
	// hold it of which anything is known, and before by currentRevision.
	// +optional
	Entries *int64 `json:"entries,omitempty"`

	// frozen is true when the map is frozen on every selected node.
	// +optional
	Frozen bool `json:"frozen"`

	// currentRevision is the name of the revision that all nodes were last seen to hold together, at the end of its
	// rollout; updateRevision is the newest one. They differ during an update, and after one that didn't come to its end.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	CurrentRevision string `json:"currentRevision,omitempty"`

	// updateRevision is the name of the newest revision.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	UpdateRevision string `json:"updateRevision,omitempty"`

	// programs is how many programs use the map on each node that can tell: "1", or "0-2" if nodes differ. Absent if no
	// node can.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Programs string `json:"programs,omitempty"`

	// rollout is how far the newest revision is rolled out; absent before there is one.
	// +optional
	Rollout *RolloutStatus `json:"rollout,omitempty"`

	// digest is the digest of the newest revision's contents: "sha256:" and 64 hex digits.
	// +optional
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest,omitempty"`

	// contentDigests groups the selected nodes by the digest of what they were last seen to hold: one
	// element if all hold the same bytes. The largest group comes first; at most 8 are listed.
	// +optional
	// +listType=map
	// +listMapKey=digest
	// +kubebuilder:validation:MaxItems=8
	ContentDigests []ContentGroup `json:"contentDigests,omitempty"`

	// pinPath is where the map is pinned, relative to the root of each node's BPF file system.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	PinPath string `json:"pinPath,omitempty"`

	// kernelName is the map's name in the kernel, as bpftool shows it: at most 15 characters of [A-Za-z0-9_.].
	// +optional
	// +kubebuilder:validation:MaxLength=15
	KernelName string `json:"kernelName,omitempty"`

	// nodeStates are the states of at most 32 nodes, sorted by name: all nodes if there are no more
	// than that, otherwise the failed and then the pending ones first.
	// +optional
	// +listType=map
	// +listMapKey=node
	// +kubebuilder:validation:MaxItems=32
	NodeStates []NodeMapStatus `json:"nodeStates,omitempty"`
}

// MaxContentGroups and MaxContentNodes bound BPFMapStatus.ContentDigests.
const (
	MaxContentGroups = 8
	MaxContentNodes  = 8
)

// ContentGroup is the nodes that hold the same declared contents.
type ContentGroup struct {
	// digest is that of the declared contents which the nodes' kernels were last seen to hold; "none"
	// for nodes that don't hold a revision's contents, or not as declared.
	// +required
	// +kubebuilder:validation:MaxLength=71
	Digest string `json:"digest"`
	// count is how many nodes there are.
	// +required
	Count int32 `json:"count"`
	// nodes are the first of them by name, at most 8, for all groups but the largest.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	Nodes []string `json:"nodes,omitempty"`
}

// NodeCounts counts the nodes of one BPFMap.
type NodeCounts struct {
	// desired is how many nodes are to have the map: those that the selector selects and that run an agent.
	// It is the sum of ready, failed, pending and unknown.
	// +required
	Desired int32 `json:"desired"`
	// updated is how many of them hold the newest revision.
	// +required
	Updated int32 `json:"updated"`
	// ready is how many of them hold their revision as declared, as told by an agent that is alive.
	// +required
	Ready int32 `json:"ready"`
	// failed is how many of them report a failure.
	// +required
	Failed int32 `json:"failed"`
	// pending is how many of them have not reported on their revision yet.
	// +required
	Pending int32 `json:"pending"`
	// unknown is how many of them nothing is known of, because the Node or its agent isn't Ready.
	// +optional
	Unknown int32 `json:"unknown,omitempty"`
	// withoutAgent is how many other nodes the selector selects that no agent is to run on, such as those
	// of another operating system. They are not counted as desired.
	// +optional
	WithoutAgent int32 `json:"withoutAgent,omitempty"`
}

// NodeMapStatus is how one node holds the map, in a BPFMap's status.
type NodeMapStatus struct {
	// node is the node's name.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Node string `json:"node"`

	// mapID is the map's id in the node's kernel; ids are not kept over reboots.
	// +optional
	MapID int64 `json:"mapID,omitempty"`

	// entries is how many entries the node's kernel holds; absent for types that can't be counted.
	// +optional
	Entries *int64 `json:"entries,omitempty"`

	// frozen says whether the map is read-only for user space on this node.
	// +optional
	Frozen bool `json:"frozen,omitempty"`

	// ready says whether the node holds its revision as declared.
	// +required
	Ready bool `json:"ready"`

	// usage is whether programs use the map on the node; absent if its agent hasn't looked.
	// +optional
	Usage MapUsageState `json:"usage,omitempty"`

	// reason is a CamelCase word for the node's state.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Reason string `json:"reason,omitempty"`

	// message is human-readable; empty when ready.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
