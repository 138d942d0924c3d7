// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Layout tells apart what only a new map can settle, and what programs have to agree on: 16 hex digits of a digest of
// type, sizes, capacity, flags, and schemas. Contents and policies don't count.
func Layout(s *v1alpha1.BPFMapRevisionSpec) string {
	text, err := json.Marshal(v1alpha1.BPFMapRevisionSpec{
		Type: s.Type, KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries, Flags: s.Flags,
		MapExtra: s.MapExtra, ExclusiveProgramHash: s.ExclusiveProgramHash, Inner: s.Inner, Key: s.Key, Value: s.Value,
	})
	if err != nil {
		panic("layout of a revision: " + err.Error()) // plain data always marshals
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// GroupName is the group that r belongs to; empty for none.
func (r *Revision) GroupName() string {
	if r.Group == nil {
		return ""
	}
	return r.Group.Name
}
