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
	// FailurePause lets no further node take the revision until the node doesn't fail any more.
	FailurePause FailurePolicy = "Pause"
	// FailureRollback lets all nodes go back to the revision before. Only a new revision goes on.
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

	// partition is how many nodes keep the revision before, as a number or as a percentage (rounded
	// up). With it a new revision is tried on some nodes until people lower it. 0 if not given.
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

	// paused lets no further node take a new revision.
	// +optional
	Paused bool `json:"paused,omitempty"`
}

// RolloutPhase is how a rollout is.
//
// +kubebuilder:validation:Enum=Progressing;Paused;Halted;RolledBack;Complete
type RolloutPhase string

// RolloutStatus is how far a revision goes. The controller alone writes it.
type RolloutStatus struct {
	// phase is how the rollout is: Progressing, Paused (by people or by partition), Halted (a node
	// failed), RolledBack, Complete.
	// +optional
	Phase RolloutPhase `json:"phase,omitempty"`

	// frontier is the rank of the last node that takes the revision, in the order of all nodes by
	// SHA-256 of the revision's name and the node's: 16 hex digits. Empty means no node,
	// ffffffffffffffff every node.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Frontier string `json:"frontier,omitempty"`

	// readySince is since when all nodes up to the frontier hold the revision.
	// +optional
	ReadySince *metav1.Time `json:"readySince,omitempty"`

	// message says for people how far it is.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}
