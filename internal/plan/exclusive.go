// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// FieldExclusive is the name of the field in differences.
const FieldExclusive = "exclusiveProgramHash"

// ExclusiveOf is the hash of the one program that a map was made for, which our record alone tells: empty if it was made
// for any. known is false for maps that we didn't make.
func (r *Recorded) ExclusiveOf(m *Map) (hash string, known bool) {
	switch {
	case m.Adopted || !r.Owns(m.ID):
		return "", false
	case m.ID == r.MapID:
		return r.Exclusive, true
	}
	return r.PreviousExclusive, true
}

// exclusiveDifferences compares whose a map is with whose it is to be. One of which that isn't known is taken for
// anybody's: nothing of it would hold if it were not.
func (d *decision) exclusiveDifferences(m *Map) []revision.Difference {
	want := d.want.Revision.Shape.ExclusiveProgram
	have, known := d.have.Recorded.ExclusiveOf(m)
	if have == want {
		return nil
	}
	text := cmp.Or(have, "none")
	if !known {
		text = "unknown (the kernel doesn't tell it of a map that others made)"
	}
	return []revision.Difference{{Field: FieldExclusive, Have: text, Want: cmp.Or(want, "none")}}
}
