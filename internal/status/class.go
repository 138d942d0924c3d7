// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Class is how a map is on one node. Every map on every node has exactly one, in the order in which people
// want to read about them.
type Class int

// The classes.
const (
	// ClassStalled: it isn't as declared, and the agent doesn't try again before something changes.
	ClassStalled Class = iota
	// ClassFailed: it isn't as declared, and the agent tries again.
	ClassFailed
	// ClassDrifted: it was as declared, was changed by others, and isn't repaired.
	ClassDrifted
	// ClassUnknown: the node or its agent isn't alive, so what it reported need be so no more.
	ClassUnknown
	// ClassPending: the node has yet to report on it, or waits for something that it names.
	ClassPending
	// ClassReady: it is as declared.
	ClassReady
)

// Failing is what counts as a failure: in the counts of a BPFMap's and of a node's status, and in a
// rollout. Drift is one. A map that others changed since the revision was applied isn't as declared, and
// stays so until people or programs do something; a rollout that went on would take the revision to more
// nodes while those that have it already don't hold what it says.
func (c Class) Failing() bool { return c <= ClassDrifted }

// ClassOf is the class of a map by what its node reports.
func ClassOf(m *v1alpha1.NodeMap) Class {
	switch {
	case m.State == v1alpha1.NodeMapStalled:
		return ClassStalled
	case m.State == v1alpha1.NodeMapFailed:
		return ClassFailed
	case m.Drifted:
		return ClassDrifted
	case m.State == v1alpha1.NodeMapReady:
		return ClassReady
	}
	return ClassPending
}

// ClassAt is the class, ClassUnknown apart, of a map with regard to the revision that its node is to hold. A report on another
// revision, or on an earlier BPFMap of the same name, says nothing about that one: it is pending. So is no
// report, the zero NodeMap, and everything while there is no revision, "".
func ClassAt(m *v1alpha1.NodeMap, uid types.UID, revision string) Class {
	if revision == "" || m.UID != string(uid) || m.Revision != revision {
		return ClassPending
	}
	return ClassOf(m)
}

// OfNodes says whether a reason of a BPFMap's condition Ready is one that nodes gave: why they fail, or what they
// wait for.
func OfNodes(reason string) bool {
	switch reason {
	case v1alpha1.ReasonReady, v1alpha1.ReasonEarlierRevision, v1alpha1.ReasonPartitionReached, v1alpha1.ReasonNoNodesSelected,
		v1alpha1.ReasonNodesUnknown, v1alpha1.ReasonOperatorRemoved, v1alpha1.ReasonProgressing, v1alpha1.ReasonPaused,
		v1alpha1.ReasonHalted, v1alpha1.ReasonRolledBack, v1alpha1.ReasonNotAccepted, v1alpha1.ReasonDrifted, v1alpha1.ReasonReconcileFailed:
		return false
	}
	return true
}
