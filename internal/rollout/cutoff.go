// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// The cut-offs of nobody and of everybody. A cut-off is a place in the order of nodes: 16 hex digits,
// so that strings compare as numbers do.
const (
	Nobody    = ""
	Everybody = "ffffffffffffffff"
)

// Place is where a node stands in the order of a revision. Each revision has an order of its own, so
// that it isn't always the same nodes that go first.
func Place(node, revision string) string {
	sum := sha256.Sum256([]byte(revision + "\x00" + node))
	return hex.EncodeToString(sum[:8])
}

// Takes says whether a node takes a revision with this cut-off.
func Takes(node, revision, cutOff string) bool {
	return cutOff == Everybody || (cutOff != Nobody && Place(node, revision) <= strings.ToLower(cutOff))
}

// Newest is the newest of some revisions of one map that has got to a node; nil if none has.
func Newest(revisions []v1alpha1.BPFMapRevision, node string) *v1alpha1.BPFMapRevision {
	var best *v1alpha1.BPFMapRevision
	for i := range revisions {
		r := &revisions[i]
		if r.DeletionTimestamp != nil || !Takes(node, r.Name, r.Status.Rollout.Frontier) {
			continue
		}
		if best == nil || r.Number() > best.Number() {
			best = r
		}
	}
	return best
}
