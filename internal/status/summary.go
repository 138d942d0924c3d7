// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
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
	s.Memory = formatBytes(s.MemlockBytes)
	return s
}

// FormatBytes is a number of bytes for people, such as 12.5Mi.
func FormatBytes(n int64) string { return formatBytes(n) }

// formatBytes is for people: three digits or fewer before a binary unit.
func formatBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d", n)
	}
	value, unit := float64(n)/1024, 0
	for value >= 1023.95 && unit < len(units)-1 {
		value, unit = value/1024, unit+1
	}
	text := fmt.Sprintf("%.1f", value)
	if tail := ".0"; len(text) > len(tail) && text[len(text)-len(tail):] == tail {
		text = text[:len(text)-len(tail)]
	}
	return text + units[unit:unit+1] + "i"
}
