// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// A BPFNodeState must always fit into an object: the API server takes at most 1.5 MiB, of which the fields
// that it adds for each listed map (managedFields, a key and a name per field) take about as much again as a
// map without long texts.
const (
	// maxListedMaps is the CRD's bound of status.maps.
	maxListedMaps = 4096
	// maxListedBytes bounds the estimated size of all listed maps.
	maxListedBytes = 1152 << 10
	// listedBytes is about what a listed map takes besides its own texts: field names, numbers, and what
	// managedFields say of it.
	listedBytes = 400
	// shortMessage is how much of a message is left when not all maps have room.
	shortMessage = 160
)

// fit is the list of maps that is published beside the releases, sorted by namespace and name, and how many are
// left out because the object would become too large. Long messages are cut, drifted entries and the
// names of programs left out first. Then namespaces get places in turn, so that the one with the most maps loses some first and nobody's
// maps push those of others out; in each, maps that need attention come first.
func fit(all []v1alpha1.NodeMap, releases []v1alpha1.MapRelease) (listed []v1alpha1.NodeMap, omitted int) {
	slices.SortFunc(all, byName)
	size := releasesSize(releases)
	if len(all) <= maxListedMaps && size+totalSize(all) <= maxListedBytes {
		return all, 0
	}
	for i := range all {
		m := &all[i]
		m.DriftedEntries, m.MetricsMessage = nil, ""
		if m.Usage != nil { // also what was told is read from here: a copy is shortened
			m.Usage = m.Usage.DeepCopy()
			m.Usage.Programs = nil
		}
		if len(m.Message) > shortMessage {
			m.Message = strings.ToValidUTF8(m.Message[:shortMessage], "") + "…"
		}
	}
	all = inTurn(all)
	n := 0
	for ; n < min(len(all), maxListedMaps); n++ {
		if size += sizeOf(&all[n]); size > maxListedBytes {
			break
		}
	}
	listed = all[:n:n]
	slices.SortFunc(listed, byName)
	return listed, len(all) - n
}

// inTurn are maps with the first one of each namespace, the second one of each, and so on.
func inTurn(all []v1alpha1.NodeMap) []v1alpha1.NodeMap {
	slices.SortFunc(all, func(a, b v1alpha1.NodeMap) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), cmp.Compare(attention(&a), attention(&b)), byName(a, b))
	})
	turns, order := make([]int, len(all)), make([]int, len(all))
	for i := range all {
		if order[i] = i; i > 0 && all[i].Namespace == all[i-1].Namespace {
			turns[i] = turns[i-1] + 1
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(turns[a], turns[b]) })
	next := make([]v1alpha1.NodeMap, len(all))
	for i, from := range order {
		next[i] = all[from]
	}
	return next
}

func byName(a, b v1alpha1.NodeMap) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
}

// attention orders maps by whether people should see them: 0 before 1.
func attention(m *v1alpha1.NodeMap) int {
	if m.State == v1alpha1.NodeMapReady && !m.Drifted {
		return 1
	}
	return 0
}

func releasesSize(releases []v1alpha1.MapRelease) (n int) {
	for i := range releases {
		n += 72 + len(releases[i].Namespace) + len(releases[i].Name) + len(releases[i].UID) + len(releases[i].Revision)
	}
	return n
}

func totalSize(all []v1alpha1.NodeMap) (n int) {
	for i := range all {
		n += sizeOf(&all[i])
	}
	return n
}

// sizeOf estimates what a map takes in the object.
func sizeOf(m *v1alpha1.NodeMap) int {
	// Namespace and name stand in managedFields once more.
	n := listedBytes + 2*len(m.Namespace) + 2*len(m.Name) + len(m.UID) + len(m.Revision) + len(m.Digest) +
		len(m.PinPath) + len(m.Reason) + len(m.Message)*5/4 + len(m.MetricsMessage)*5/4 // JSON escapes some characters
	n += sizeOfUsage(m.Usage)
	for _, e := range m.DriftedEntries {
		n += 64 + (len(e.Key)+len(e.Declared)+len(e.Found))*5/4
	}
	for i := range m.ReplacedMaps {
		n += 64
		for _, user := range m.ReplacedMaps[i].Users {
			n += len(user) + 4
		}
	}
	return n
}

// sizeOfUsage estimates what the programs that use a map take in the object; managedFields name the fields, and each
// program by its id.
func sizeOfUsage(u *v1alpha1.MapUsage) int {
	if u == nil {
		return 0
	}
	programs := func(all []v1alpha1.MapProgram) (n int) {
		for i := range all {
			n += 160 + len(all[i].Name) + len(all[i].Type) + len(all[i].Tag)
		}
		return n
	}
	n := 160 + len(u.Message) + programs(u.Programs)
	for i := range u.OtherMaps {
		n += 160 + programs(u.OtherMaps[i].Programs)
	}
	return n
}
