// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// crowd is a node state of n maps; each tenth failed with a long message.
func crowd(n int) *nodeState {
	s := newNodeState("node", "v1", Facts{})
	s.setReady(nil, nil)
	for i := range n {
		m := v1alpha1.NodeMap{
			Namespace: "edge", Name: fmt.Sprintf("table-%05d", i), UID: strings.Repeat("u", 36), Revision: fmt.Sprintf("table-%05d-1", i),
			Digest: "sha256:" + strings.Repeat("0", 64), MapID: int64(i + 1), PinPath: "/sys/fs/bpf/bpfmap/edge/table", State: v1alpha1.NodeMapReady,
			Reason: v1alpha1.NodeReasonInSync, MemlockBytes: 4096,
		}
		if i%10 == 0 {
			m.State, m.Reason, m.Message = v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, strings.Repeat("ä", 512)
		}
		s.set(m)
	}
	return s
}

// TestCrowdedNodes: a state always fits into an object, counts all maps, lists those that need attention
// first, and says how many aren't listed.
func TestCrowdedNodes(t *testing.T) {
	for _, n := range []int{100, 1000, 5000, 20000} {
		next := crowd(n).status(v1alpha1.BPFNodeStateStatus{}, time.Now())
		size, failed := 0, 0
		for i := range next.Maps {
			size += sizeOf(&next.Maps[i])
			if next.Maps[i].State == v1alpha1.NodeMapFailed {
				failed++
			}
		}
		omitted := n - len(next.Maps)
		if len(next.Maps) > maxListedMaps || size > maxListedBytes || int(next.Summary.Maps) != n || int(next.Summary.Failed) != n/10 {
			t.Errorf("%d maps: %d are listed in about %d bytes, summary %+v", n, len(next.Maps), size, next.Summary)
		}
		if want := min(n/10, len(next.Maps)); failed != want {
			t.Errorf("%d maps: %d that failed are listed, want %d", n, failed, want)
		}
		if !slices.IsSortedFunc(next.Maps, byName) {
			t.Errorf("%d maps: the list isn't sorted", n)
		}
		message := meta.FindStatusCondition(next.Conditions, v1alpha1.ConditionHostReady).Message
		if told := strings.Contains(message, fmt.Sprintf("%d of %d maps are not listed", omitted, n)); told != (omitted > 0) {
			t.Errorf("%d maps, %d omitted: message %q", n, omitted, message)
		}
		if n == 100 && (omitted > 0 || len(next.Maps[0].Message) != 1024) {
			t.Errorf("few maps are cut: %d omitted, message of %d bytes", omitted, len(next.Maps[0].Message))
		}
	}
}

// TestCrowdsPushNobodyOut: the one map of a namespace is listed beside 5,000 of another one, also if it is fine
// and those need attention; with releases and drifted entries the state still fits.
func TestCrowdsPushNobodyOut(t *testing.T) {
	s := crowd(5000)
	for _, m := range s.snapshot() {
		m.DriftedEntries = slices.Repeat([]v1alpha1.DriftedEntry{{Key: strings.Repeat("k", 128), Declared: strings.Repeat("\"", 128), Found: "x"}}, 4)
		m.State, m.Reason = v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull
		s.set(m)
	}
	own := v1alpha1.NodeMap{Namespace: "tenant", Name: "zones", State: v1alpha1.NodeMapReady}
	s.set(own)
	published := v1alpha1.BPFNodeStateStatus{Releases: slices.Repeat([]v1alpha1.MapRelease{
		{Namespace: strings.Repeat("n", 63), Name: strings.Repeat("m", 200), Revision: strings.Repeat("r", 203)},
	}, 1000)}
	next := s.status(published, time.Now())
	if !slices.ContainsFunc(next.Maps, func(m v1alpha1.NodeMap) bool { return m.Namespace == own.Namespace }) {
		t.Error("the map of the other namespace isn't listed")
	}
	if size := totalSize(next.Maps) + releasesSize(next.Releases); size > maxListedBytes || len(next.Releases) != 1000 || len(next.Maps) < 500 {
		t.Errorf("%d maps and %d releases take %d bytes", len(next.Maps), len(next.Releases), size)
	}
}
