// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// FailurePolicy says what happens when a node fails on a new revision.
//
// +kubebuilder:validation:Enum=Pause;Rollback
type FailurePolicy string

// The failure policies.
const (
	// FailurePause keeps further nodes from taking the revision until the node recovers.
	FailurePause FailurePolicy = "Pause"
	// FailureRollback returns all nodes to the previous revision. Only a new revision continues.
	FailureRollback FailurePolicy = "Rollback"
)

// Rollout is how a new revision reaches the nodes. The first revision of a map goes to all of them at
// once.
type Rollout struct {
	// maxUnavailable is how many nodes take a new revision at a time, as a number or as a percentage
	// of the selected nodes (rounded up, at least 1). 25% if not given.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([0-9]+|[0-9]{1,3}%)$`
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// partition is how many nodes stay on the previous revision, as a number or as a percentage (rounded
	// up): a new revision is tried on the others until it is lowered. 0 if not given.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([0-9]+|[0-9]{1,3}%)$`
	Partition *intstr.IntOrString `json:"partition,omitempty"`

	// minReadySeconds is how long the nodes that have a new revision must hold it as declared, and be
	// available, before the next ones take it. 10 if not given.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	MinReadySeconds *int32 `json:"minReadySeconds,omitempty"`

	// progressDeadlineSeconds is how long the nodes that were told to take a new revision may take to
	// report on it. Those that exceed it count as failed. 600 if not given.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=86400
	ProgressDeadlineSeconds *int32 `json:"progressDeadlineSeconds,omitempty"`

	// maxFailed is how many nodes may fail on a new revision, or become unavailable after they took it,
	// without keeping the others from taking it: a number, or a percentage of the selected nodes (rounded
	// down). 5% if not given, which is none in a cluster of fewer than 20 nodes.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([0-9]+|[0-9]{1,3}%)$`
	MaxFailed *intstr.IntOrString `json:"maxFailed,omitempty"`

	// onFailure says what happens when more than maxFailed nodes fail on the new revision. Pause if not given.
	// +optional
	OnFailure FailurePolicy `json:"onFailure,omitempty"`

	// paused keeps further nodes from taking a new revision.
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// RolloutPhase is the state of a rollout.
//
// +kubebuilder:validation:Enum=Progressing;Paused;Halted;RolledBack;Complete
type RolloutPhase string

// RolloutStatus is how far the newest revision of a map is rolled out. Nodes don't watch it: what decides
// which of them take the revision is in the revision's own status.
type RolloutStatus struct {
	// revision is the name of the revision that this is about.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Revision string `json:"revision,omitempty"`

	// phase is the state of the rollout: Progressing, Paused (by spec.rollout.paused or partition), Halted (too many
	// nodes failed), RolledBack, Complete.
	// +optional
	Phase RolloutPhase `json:"phase,omitempty"`

	// reason says why the rollout is in its phase: Updating (nodes have yet to report that they hold the revision),
	// Soaking (they hold it and have to do so for minReadySeconds), Paused, PartitionReached, NodesFailed or RolledOut.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// batches are the nodes that were told to take the revision, the first ones first; the last one is the
	// revision's own frontier. Of many, the earliest are taken together.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Batches []RolloutBatch `json:"batches,omitempty"`

	// readySince is the time since which all nodes up to the frontier hold the revision.
	// +optional
	ReadySince *metav1.Time `json:"readySince,omitempty"`

	// message is human-readable.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// RolloutBatch is nodes that were told together to take a revision.
type RolloutBatch struct {
	// frontier is the rank of the last of them.
	// +required
	// +kubebuilder:validation:MaxLength=16
	Frontier string `json:"frontier"`

	// time is when they were told.
	// +optional
	Time metav1.Time `json:"time,omitzero"`
}

// RevisionRollout is which nodes take a revision. Every agent watches it, so it changes only when some
// node's choice may change: once for each batch.
type RevisionRollout struct {
	// frontier is the rank of the last node that takes the revision, in the order of all nodes by a
	// hash (XXH64) of the revision's name and the node's: 16 hex digits. Empty means no node,
	// ffffffffffffffff every node.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Frontier string `json:"frontier,omitempty"`

	// frontierTime is when the frontier got where it is. A node that went away before wasn't reached by
	// the last batch; one that went away later may have been cut off by the revision.
	// +optional
	FrontierTime *metav1.Time `json:"frontierTime,omitempty"`

	// rolledBack says why the revision was taken back from all nodes; empty if it wasn't. Only a new
	// revision continues.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	RolledBack string `json:"rolledBack,omitempty"`
}
