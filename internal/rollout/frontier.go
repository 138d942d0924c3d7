// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rollout

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// The frontiers that include no node and all nodes. A frontier is a rank: 16 hex digits. It includes the
// nodes up to that rank.
const (
	None = ""
	All  = "ffffffffffffffff"
)

// digits is how many a rank has.
const digits = len(All)

// Rank is a node's position in the order of a revision. Each revision has an order of its own, so that it
// isn't always the same nodes that go first.
func Rank(node, revision string) string { return frontierAt(position(node, revision)) }

func frontierAt(position uint64) string { return fmt.Sprintf("%0*x", digits, position) }

// position is a rank as a number.
func position(node, revision string) uint64 {
	var buffer [512]byte // two names of objects and a byte between them
	text := append(buffer[:0], revision...)
	text = append(append(text, 0), node...)
	return xxhash.Sum64(text)
}

// Includes says whether a node takes a revision with this frontier.
func Includes(node, revision, frontier string) bool {
	switch frontier {
	case None:
		return false
	case All:
		return true
	}
	last, ok := reach(frontier)
	return ok && position(node, revision) <= last
}

// reach is the position of the last node that a frontier includes; not ok if that is none, as for what isn't
// a frontier. Digits that are missing at the end are zeros.
func reach(frontier string) (last uint64, ok bool) {
	if frontier == None || len(frontier) > digits {
		return 0, false
	}
	last, err := strconv.ParseUint(frontier+strings.Repeat("0", digits-len(frontier)), 16, 64)
	return last, err == nil
}

// includesAll says whether a frontier includes every node that may ever join.
func includesAll(frontier string) bool {
	last, ok := reach(frontier)
	return ok && last == math.MaxUint64
}

// Newest is the newest of some revisions of one map whose frontier includes a node; nil if there is none.
func Newest(revisions []v1alpha1.BPFMapRevision, node string) *v1alpha1.BPFMapRevision {
	var best *v1alpha1.BPFMapRevision
	for i := range revisions {
		r := &revisions[i]
		if r.DeletionTimestamp != nil || (best != nil && r.Number() <= best.Number()) {
			continue
		}
		if Includes(node, OrderOf(r), r.Status.Rollout.Frontier) {
			best = r
		}
	}
	return best
}
