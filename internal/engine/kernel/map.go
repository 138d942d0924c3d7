// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"errors"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// openMap is an engine.Map.
type openMap struct{ m *bpf.Map }

// Info describes the map.
func (o openMap) Info() (engine.MapInfo, error) {
	info, err := o.m.Info()
	if err != nil {
		return engine.MapInfo{}, explain(err)
	}
	more, err := o.m.FDInfo()
	if err != nil {
		return engine.MapInfo{}, explain(err)
	}
	return engine.MapInfo{ID: info.ID, Shape: shapeOf(info), Frozen: more.Frozen, MemlockBytes: int64(more.Memlock)}, nil
}

// Read streams the elements.
func (o openMap) Read(yield func(keys, values []byte)) (complete bool, err error) {
	padding := o.m.Type().Traits().PerCPU && o.m.ValueSize()%8 != 0
	it := o.m.Iterate(bpf.IterateOptions{})
	for it.Next() {
		values := it.Values()
		if padding {
			clearPadding(values, o.m.ValueSize())
		}
		yield(it.Keys(), values)
	}
	return it.Complete(), explain(it.Err())
}

// clearPadding zeroes what follows each CPU's value up to the next multiple of 8: programs leave
// anything there.
func clearPadding(values []byte, size int) {
	for slot := (size + 7) &^ 7; len(values) >= slot; values = values[slot:] {
		clear(values[size:slot])
	}
}

// Write writes elements in their order.
func (o openMap) Write(keys, values []byte) error {
	_, err := o.m.UpdateBatch(keys, values, bpf.Any)
	return explain(err)
}

// Delete deletes keys that are there.
func (o openMap) Delete(keys []byte) error {
	_, err := o.m.DeleteBatchIgnoreMissing(keys)
	return explain(err)
}

// Freeze makes the map read-only for user space.
func (o openMap) Freeze() error {
	if err := o.m.Freeze(); err != nil && !errors.Is(err, bpf.ErrFrozen) {
		return explain(err)
	}
	return nil
}

// Close gives the handle up.
func (o openMap) Close() error { return o.m.Close() }

// createOpts are the kernel's attributes for a shape.
func createOpts(s revision.Shape) (bpf.CreateOpts, error) {
	typ, err := bpf.ParseMapType(string(s.Type))
	if err != nil {
		return bpf.CreateOpts{}, &engine.Error{ReasonWord: v1alpha1.NodeReasonNotSupported, Err: err}
	}
	o := bpf.CreateOpts{
		Type: typ, Name: s.Name, KeySize: s.KeySize, ValueSize: s.ValueSize, MaxEntries: s.MaxEntries,
	}
	for _, name := range s.Flags {
		flag, err := bpf.ParseMapFlag(string(name))
		if err != nil {
			return bpf.CreateOpts{}, &engine.Error{ReasonWord: v1alpha1.NodeReasonNotSupported, Err: err}
		}
		o.Flags |= flag
	}
	if s.NUMANode != nil {
		o.Flags |= bpf.NUMANode
		o.NUMANode = uint32(*s.NUMANode)
	}
	return o, nil
}

// shapeOf is the shape of a map in the kernel. Where its memory is, isn't told: that a node was chosen
// at all is left out, too.
func shapeOf(info bpf.Info) revision.Shape {
	s := revision.Shape{
		Type: v1alpha1.MapType(info.Type.String()), KeySize: info.KeySize, ValueSize: info.ValueSize,
		MaxEntries: info.MaxEntries, Name: info.Name,
	}
	if flags := info.Flags &^ bpf.NUMANode; flags != 0 {
		for name := range strings.SplitSeq(flags.String(), "|") {
			s.Flags = append(s.Flags, v1alpha1.MapFlag(name))
		}
	}
	slices.Sort(s.Flags)
	return s
}
