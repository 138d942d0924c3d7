// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// FromReport is what a node reports of one map.
func FromReport(r engine.Report) v1alpha1.NodeMap {
	m := v1alpha1.NodeMap{
		Namespace: r.Key.Namespace, Name: r.Key.Name, UID: r.UID, Revision: r.Revision, Digest: r.Digest,
		MapID: int64(r.MapID), PinPath: r.PinPath, Entries: r.Entries, MemlockBytes: r.MemlockBytes, Frozen: r.Frozen,
		State: r.State, Reason: r.Reason, Message: text.Truncate(r.Message, maxNodeMessage),
		SchemaVerified: r.SchemaVerified, Origin: r.Origin,
		Drifted: r.Drift != nil && !r.Drift.Repaired, DriftCount: r.DriftCount,
	}
	if s := r.Shared; s != nil {
		m.SharedValues = &v1alpha1.SharedValues{DeclaredBytes: int32(s.Declared), ValueBytes: int32(s.Bytes), Way: v1alpha1.StoreWay(s.Way)}
	}
	if r.Drift != nil {
		m.DriftedEntries = r.Drift.Entries
	}
	for _, old := range r.Replaced {
		m.ReplacedMaps = append(m.ReplacedMaps, v1alpha1.ReplacedMap{
			MapID: int64(old.ID), Users: old.Users[:min(len(old.Users), v1alpha1.MaxReplacedUsers)], UsersKnown: old.UsersKnown,
		})
	}
	return m
}
