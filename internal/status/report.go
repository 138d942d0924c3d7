// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// maxLineMessage bounds NodeMap.Message as the CRD does.
const maxLineMessage = 1024

// FromReport is what a node tells of one map.
func FromReport(r engine.Report) v1alpha1.NodeMap {
	line := v1alpha1.NodeMap{
		Namespace: r.Key.Namespace, Name: r.Key.Name, UID: r.UID, Revision: r.Revision, Digest: r.Digest,
		MapID: int64(r.MapID), PinPath: r.PinPath, Entries: r.Entries, MemlockBytes: r.MemlockBytes, Frozen: r.Frozen,
		State: r.State, Reason: r.Reason, Message: truncate(r.Message, maxLineMessage),
		Drifted: r.Drift != nil && !r.Drift.Repaired, DriftCount: r.DriftCount,
	}
	for _, m := range r.Replaced {
		line.ReplacedMaps = append(line.ReplacedMaps, v1alpha1.ReplacedMap{
			MapID: int64(m.ID), Users: m.Users[:min(len(m.Users), v1alpha1.MaxReplacedUsers)], UsersKnown: m.UsersKnown,
		})
	}
	return line
}
