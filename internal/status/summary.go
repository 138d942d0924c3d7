// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
)

// Summarize counts one node's maps.
func Summarize(maps []v1alpha1.NodeMap) v1alpha1.NodeSummary {
	s := v1alpha1.NodeSummary{Maps: int32(len(maps))}
	for i := range maps {
		switch c := ClassOf(&maps[i]); {
		case c.Failing():
			s.Failed++
		case c == ClassReady:
			s.Ready++
		}
		s.MemlockBytes += maps[i].MemlockBytes
	}
	s.Memory = footprint.Format(s.MemlockBytes)
	return s
}
