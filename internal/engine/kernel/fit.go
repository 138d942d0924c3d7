// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Fit compares the schemas with the map's BTF, and looks into the padding of its first elements. BTF that may not be
// opened, or can't be read, verifies nothing.
func (o openMap) Fit(ctx context.Context, rev *revision.Revision) (plan.Fit, error) {
	if err := ctx.Err(); err != nil {
		return plan.Fit{}, err
	}
	info, err := o.m.Info()
	if err != nil {
		return plan.Fit{}, explain(err)
	}
	fit := plan.Fit{Verified: v1alpha1.SchemaNoBTF}
	if info.BTFID != 0 && (info.BTFKeyTypeID != 0 || info.BTFValueTypeID != 0) {
		fit = compareTypes(info, rev)
	}
	if fit.Misfit == "" {
		fit.Suspicion = o.dirtyPadding(ctx, rev)
	}
	return fit, nil
}

// compareTypes compares the schemas with the map's types. An array's index needs no schema.
func compareTypes(info bpf.Info, rev *revision.Revision) plan.Fit {
	types, err := btfschema.TypesFromKernel(info.BTFID, info.BTFKeyTypeID, info.BTFValueTypeID)
	if err != nil {
		return plan.Fit{Verified: v1alpha1.SchemaNotVerified}
	}
	compareKey := types.Reader.Compare
	if rev.Shape.IsLPM() {
		compareKey = types.Reader.CompareLPMKey
	}
	fit := plan.Fit{Verified: v1alpha1.SchemaVerified}
	var misfits []string
	for _, part := range []struct {
		name    string
		schema  *v1alpha1.Schema
		typ     btf.Type
		compare func(*v1alpha1.Schema, btf.Type) btfschema.Comparison
	}{{"key", rev.KeySchema, types.Key, compareKey}, {"value", &rev.ValueSchema, types.Value, types.Reader.Compare}} {
		if part.schema == nil || part.typ == nil || part.schema.Type == "" && len(part.schema.Fields) == 0 {
			continue
		}
		if c := part.compare(part.schema, part.typ); !c.Fits() {
			misfits = append(misfits, part.name+": "+c.Summary())
			fit.Layouts += part.name + ":\n" + c.SideBySide()
		}
	}
	fit.Misfit = strings.Join(misfits, "; ")
	return fit
}

// maxSampled is how many elements are looked at for what is in their padding.
const maxSampled = 256

// dirtyPadding says how many of the first elements hold anything between their fields: the sign of another layout.
func (o openMap) dirtyPadding(ctx context.Context, rev *revision.Revision) string {
	if rev.Shape.IsHidden() || rev.Shape.IsKeyless() || rev.Shape.ValueSize == 0 {
		return ""
	}
	keyGaps, valueGaps := []byte(nil), btfschema.Gaps(&rev.ValueSchema)
	if rev.KeySchema != nil { // an array's index may go without
		keyGaps = btfschema.Gaps(rev.KeySchema)
	}
	keySize, slot := int(rev.Shape.KeySize), int(rev.Shape.ValueSize)
	if rev.Shape.IsPerCPU() {
		slot = maptype.Slot(slot)
	}
	seen, dirty := 0, 0
	it := o.m.Iterate(ctx, bpf.IterateOptions{Flags: o.flags})
	for seen < maxSampled && it.Next() {
		keys, values := it.Keys(), it.Values()
		n := len(keys) / keySize
		for i := range min(n, maxSampled-seen) {
			seen++
			isDirty := btfschema.IsDirty(keys[i*keySize:(i+1)*keySize], keyGaps)
			for of := values[i*len(values)/n : (i+1)*len(values)/n]; len(of) >= slot; of = of[slot:] {
				isDirty = isDirty || btfschema.IsDirty(of, valueGaps)
			}
			if isDirty {
				dirty++
			}
		}
	}
	if dirty == 0 {
		return ""
	}
	return fmt.Sprintf("the padding of %d of the first %s is not zero, as if the program had another layout", dirty, text.Count(seen, "element", "elements"))
}
