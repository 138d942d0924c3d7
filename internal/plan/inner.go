// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plan

import "github.com/bpfmap-io/bpfmap-operator/internal/revision"

// innerDifferences are the properties of inner maps for which a map of maps that we made doesn't take those that are
// declared: the kernel compares them with what the outer map was made for, which only our record tells.
func (d *decision) innerDifferences(m *Map) []revision.Difference {
	rec, want := d.have.Recorded, d.want.Revision.Shape.Inner
	if rec == nil || rec.Inner == nil || want == nil || rec.MapID != m.ID {
		return nil
	}
	differences := want.InnerDifferences(*rec.Inner)
	for i := range differences {
		differences[i].Field = "inner " + differences[i].Field
	}
	return differences
}
