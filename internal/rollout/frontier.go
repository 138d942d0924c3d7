// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// The frontiers that include no node and all nodes. A frontier is a rank: 16 hex digits, so that strings
// compare as numbers do. It includes the nodes up to that rank.
const (
	None = ""
	All  = "ffffffffffffffff"
)

// Rank is a node's position in the order of a revision. Each revision has an order of its own, so that it
// isn't always the same nodes that go first.
func Rank(node, revision string) string {
	sum := sha256.Sum256([]byte(revision + "\x00" + node))
	return hex.EncodeToString(sum[:8])
}

// Includes says whether a node takes a revision with this frontier.
func Includes(node, revision, frontier string) bool {
	return frontier == All || (frontier != None && Rank(node, revision) <= strings.ToLower(frontier))
}

// Newest is the newest of some revisions of one map whose frontier includes a node; nil if there is none.
func Newest(revisions []v1alpha1.BPFMapRevision, node string) *v1alpha1.BPFMapRevision {
	var best *v1alpha1.BPFMapRevision
	for i := range revisions {
		r := &revisions[i]
		if r.DeletionTimestamp != nil || !Includes(node, r.Name, r.Status.Rollout.Frontier) {
			continue
		}
		if best == nil || r.Number() > best.Number() {
			best = r
		}
	}
	return best
}
