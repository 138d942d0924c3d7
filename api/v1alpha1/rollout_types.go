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

	// minReadySeconds is how long the nodes that have a new revision must hold it as declared before
	// the next ones take it.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	MinReadySeconds int32 `json:"minReadySeconds,omitempty"`

	// onFailure says what happens when a node fails on the new revision. Pause if not given.
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

// RolloutStatus is how far a revision is rolled out. Only the controller writes it.
type RolloutStatus struct {
	// phase is the state of the rollout: Progressing, Paused (by spec.rollout.paused or partition), Halted (a node
	// failed), RolledBack, Complete.
	// +optional
	Phase RolloutPhase `json:"phase,omitempty"`

	// frontier is the rank of the last node that takes the revision, in the order of all nodes by
	// SHA-256 of the revision's name and the node's: 16 hex digits. Empty means no node,
	// ffffffffffffffff every node.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Frontier string `json:"frontier,omitempty"`

	// readySince is the time since which all nodes up to the frontier hold the revision.
	// +optional
	ReadySince *metav1.Time `json:"readySince,omitempty"`

	// message is human-readable.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
