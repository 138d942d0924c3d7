// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
)

// Summarize counts one node's lines.
func Summarize(lines []v1alpha1.NodeMap) v1alpha1.NodeSummary {
	s := v1alpha1.NodeSummary{Maps: int32(len(lines))}
	for _, l := range lines {
		switch {
		case l.State == v1alpha1.NodeMapFailed, l.State == v1alpha1.NodeMapStalled, l.Drifted:
			s.Failed++
		case l.State == v1alpha1.NodeMapReady:
			s.Ready++
		}
		s.MemlockBytes += l.MemlockBytes
	}
	s.Memory = footprint.Format(s.MemlockBytes)
	return s
}
