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

// fit is the list of maps that is published, sorted by namespace and name, and how many are left out because
// the object would become too large. Long messages are cut first; then maps that are as declared are left
// out before those that need attention.
func fit(all []v1alpha1.NodeMap) (listed []v1alpha1.NodeMap, omitted int) {
	slices.SortFunc(all, byName)
	if len(all) <= maxListedMaps && totalSize(all) <= maxListedBytes {
		return all, 0
	}
	for i := range all {
		if m := &all[i]; len(m.Message) > shortMessage {
			m.Message = strings.ToValidUTF8(m.Message[:shortMessage], "") + "…"
		}
	}
	slices.SortStableFunc(all, func(a, b v1alpha1.NodeMap) int { return cmp.Compare(attention(&a), attention(&b)) })
	n, size := 0, 0
	for ; n < min(len(all), maxListedMaps); n++ {
		if size += sizeOf(&all[n]); size > maxListedBytes {
			break
		}
	}
	listed = all[:n:n]
	slices.SortFunc(listed, byName)
	return listed, len(all) - n
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
		len(m.PinPath) + len(m.Reason) + len(m.Message)*5/4 // JSON escapes some characters
	for i := range m.ReplacedMaps {
		n += 64
		for _, user := range m.ReplacedMaps[i].Users {
			n += len(user) + 4
		}
	}
	return n
}
