// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/counts"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// openMap is an engine.Map.
type openMap struct {
	m *bpf.Map
	// flags are those of every read and write: Lock, or none.
	flags bpf.ElemFlags
	// writers are what Store made, for all copies.
	writers *writers
}

func newOpenMap(m *bpf.Map) openMap { return openMap{m: m, writers: &writers{}} }

// Locked is the map, read and written under the lock of each value.
func (o openMap) Locked() engine.Map {
	o.flags = bpf.Lock
	return o
}

// Reference is what the kernel takes in a map of maps.
func (o openMap) Reference() uint64 { return uint64(o.m.FD()) }

// Info describes the map.
func (o openMap) Info(ctx context.Context) (engine.MapInfo, error) {
	if err := ctx.Err(); err != nil {
		return engine.MapInfo{}, err
	}
	info, err := o.m.Info()
	if err != nil {
		return engine.MapInfo{}, explain(err)
	}
	more, err := o.m.FDInfo()
	if err != nil {
		return engine.MapInfo{}, explain(err)
	}
	return engine.MapInfo{ID: info.ID, Shape: shapeOf(info), Frozen: more.Frozen, MemlockBytes: int64(more.Memlock), Measured: bpf.MeasuresMemory()}, nil
}

// Read streams the elements, under their locks if there are any: of a map that was made without, to be
// replaced by one with locks, there is nothing else to take.
func (o openMap) Read(ctx context.Context, yield func(keys, values []byte)) (complete bool, err error) {
	complete, err = o.read(ctx, yield)
	if o.flags == bpf.Lock && errors.Is(err, syscall.EINVAL) {
		o.flags = bpf.Any
		return o.read(ctx, yield)
	}
	return complete, err
}

func (o openMap) read(ctx context.Context, yield func(keys, values []byte)) (complete bool, err error) {
	padding := o.m.Type().Traits().PerCPU && o.m.ValueSize()%8 != 0
	it := o.m.Iterate(ctx, bpf.IterateOptions{Flags: o.flags})
	for it.Next() {
		values := it.Values()
		if padding {
			clearPadding(values, o.m.ValueSize())
		}
		yield(it.Keys(), values)
	}
	return it.Complete(), o.explain(it.Err())
}

// clearPadding zeroes what follows each CPU's value up to the next multiple of 8: programs leave
// anything there.
func clearPadding(values []byte, size int) {
	for slot := maptype.Slot(size); len(values) >= slot; values = values[slot:] {
		clear(values[size:slot])
	}
}

// Count asks the kernel, where it and this process's capabilities allow that.
func (o openMap) Count(ctx context.Context) (n int64, known bool) {
	if ctx.Err() != nil {
		return 0, false
	}
	counted, err := counts.Of(o.m)
	return int64(counted), err == nil
}

// Hash is the kernel's of a frozen Array.
func (o openMap) Hash(ctx context.Context) (sum [32]byte, known bool) {
	if ctx.Err() != nil {
		return sum, false
	}
	sum, known, err := o.m.Hash()
	return sum, known && err == nil
}

// Write writes elements in their order.
func (o openMap) Write(ctx context.Context, keys, values []byte) error {
	var err error
	if o.m.Type().Traits().PerCPU {
		_, err = o.m.UpdateCPUs(ctx, keys, values, o.flags)
	} else {
		_, err = o.m.UpdateBatch(ctx, keys, values, o.flags)
	}
	return o.explain(err)
}

// explain adds to a refusal what it means for this map.
func (o openMap) explain(err error) error {
	invalid := errors.Is(err, syscall.EINVAL)
	switch t := o.m.Type(); {
	case invalid && o.flags == bpf.Lock:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonIncompatible, Err: fmt.Errorf("%w: the map's BTF tells of no bpf_spin_lock in its values", err)}
	case invalid && (t == bpf.ArrayOfMaps || t == bpf.HashOfMaps):
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonInvalidReference, Err: fmt.Errorf("%w: the map was made for inner maps of another type, size, flags or capacity", err)}
	case errors.Is(err, bpf.ErrNotSupported) && (t == bpf.ArrayOfMaps || t == bpf.HashOfMaps):
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonInvalidReference, Err: fmt.Errorf("%w: the kernel takes no exclusive map (exclusiveProgramHash) into a map of maps", err)}
	case invalid && t == bpf.ProgArray:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonInvalidReference, Err: fmt.Errorf("%w: programs in one ProgArray are all of one type, and attached alike", err)}
	}
	return explain(err)
}

// Contains asks a bloom filter.
func (o openMap) Contains(ctx context.Context, value []byte) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	err := o.m.LookupElem(nil, slices.Clone(value))
	if errors.Is(err, bpf.ErrNotExist) {
		return false, nil
	}
	return err == nil, explain(err)
}

// Delete deletes keys that are there.
func (o openMap) Delete(ctx context.Context, keys []byte) error {
	_, err := o.m.DeleteBatchIgnoreMissing(ctx, keys)
	return explain(err)
}

// Freeze makes the map read-only for user space.
func (o openMap) Freeze(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.m.Freeze(); err != nil && !errors.Is(err, bpf.ErrFrozen) {
		return explain(err)
	}
	return nil
}

// Close gives the handle up.
func (o openMap) Close() error { return errors.Join(o.writers.close(), o.m.Close()) }

// shapeOf is the shape of a map in the kernel. Where its memory is, isn't told: that a node was chosen
// at all is left out, too.
func shapeOf(info bpf.Info) revision.Shape {
	s := revision.Shape{
		Type: v1alpha1.MapType(info.Type.String()), KeySize: info.KeySize, ValueSize: info.ValueSize,
		MaxEntries: info.MaxEntries, Name: info.Name,
	}
	if maptype.ByNumber(uint32(info.Type)).Or().TakesExtra() {
		s.MapExtra = info.MapExtra
	}
	flags := info.Flags &^ bpf.NUMANode
	if info.Type == bpf.DevMap || info.Type == bpf.DevMapHash {
		flags &^= bpf.RdOnlyProg // the kernel sets it, and takes it from nobody
	}
	if flags != 0 {
		for name := range strings.SplitSeq(flags.String(), "|") {
			s.Flags = append(s.Flags, v1alpha1.MapFlag(name))
		}
	}
	slices.Sort(s.Flags)
	return s
}
