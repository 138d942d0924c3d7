// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"reflect"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// maskOf are the declared bits of a value as this node's kernel shows it, nil if programs own none. The rest of a CPU's
// slot is nobody's.
func maskOf(rev *revision.Revision, cpus int) (plan.Mask, error) {
	if rev.ProgramParts() == nil {
		return nil, nil
	}
	layout, err := schema.New(&rev.ValueSchema)
	if err != nil {
		return nil, &Error{v1alpha1.NodeReasonInvalidRevision, err}
	}
	one := layout.Declared()
	if !rev.Shape.IsPerCPU() {
		return one, nil
	}
	mask := make(plan.Mask, plan.Stride(rev.Shape, cpus))
	for cpu := range cpus {
		copy(mask[cpu*len(mask)/cpus:], one)
	}
	return mask, nil
}

// schemasOf are the schemas that a map of ours was made or kept for; nil if nobody knows.
func (o *Observation) schemasOf(m *openMap) (key, value *v1alpha1.Schema) {
	rec := o.record
	switch {
	case rec == nil || m == nil:
		return nil, nil
	case m.info.ID == rec.MapID || m.info.ID == rec.PreviousMapID && rec.PreviousValueSchema == nil:
		return rec.KeySchema, &rec.ValueSchema
	case m.info.ID == rec.PreviousMapID:
		return rec.PreviousKeySchema, rec.PreviousValueSchema
	}
	return nil, nil
}

// programValues takes what programs own from values of the map that may be replaced. otherKeys says that its keys have
// another layout.
func (o *Observation) programValues() (carry schema.Carry, otherKeys bool) {
	whole := schema.Carry{Lost: []string{""}}
	old := o.replaced()
	key, value := o.schemasOf(old)
	if value == nil {
		return whole, false
	}
	from, err := schema.New(value)
	if err != nil || from.Size() != int(old.info.Shape.ValueSize) {
		return whole, false
	}
	to, err := schema.New(&o.rev.ValueSchema)
	if err != nil {
		return whole, false
	}
	return schema.NewCarry(from, to), !reflect.DeepEqual(key, o.rev.KeySchema)
}

// valueCarrier makes values of a new map out of those of the one that it replaces.
type valueCarrier struct {
	carry    schema.Carry
	cpus     int // 1 for maps that are not per CPU
	from, to int // sizes of one CPU's value
}

func (o *Observation) newValueCarrier() *valueCarrier {
	carry, _ := o.programValues()
	v := &valueCarrier{carry: carry, cpus: 1, from: int(o.replaced().info.Shape.ValueSize), to: int(o.rev.Shape.ValueSize)}
	if o.rev.Shape.IsPerCPU() {
		v.cpus = o.contents.cpus
	}
	return v
}

// into writes what programs own of an earlier value into a later one.
func (v *valueCarrier) into(value, earlier []byte) {
	to, from := len(value)/v.cpus, len(earlier)/v.cpus
	for cpu := range v.cpus {
		v.carry.Copy(value[cpu*to:cpu*to+v.to], earlier[cpu*from:cpu*from+v.from])
	}
}
