// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// cilium is the Map of github.com/cilium/ebpf with the arguments that cost it least: byte slices
// for single elements, slices of fixed-size arrays for batches.
type cilium struct {
	m         *ebpf.Map
	same      *bpf.Map // the same map through internal/bpf, to prepare it
	value     []byte
	keys      [][8]byte
	values8   [][8]byte
	values64  [][64]byte
	outKeys   [][8]byte
	outVals8  [][8]byte
	outVals64 [][64]byte
}

func newCilium(s *set) (contender, error) {
	o := s.createOpts()
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: ebpf.MapType(o.Type), Name: o.Name, Flags: uint32(o.Flags),
		KeySize: o.KeySize, ValueSize: o.ValueSize, MaxEntries: o.MaxEntries,
	})
	if err != nil {
		return nil, err
	}
	info, err := m.Info()
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	id, _ := info.ID()
	same, err := bpf.GetFDByID(uint32(id))
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	c := &cilium{m: m, same: same, value: make([]byte, s.valueSize),
		outKeys: make([][8]byte, batchSize), outVals8: make([][8]byte, batchSize), outVals64: make([][64]byte, batchSize)}
	for i := range s.len {
		c.keys = append(c.keys, [8]byte(s.key(i)))
		if s.valueSize == 8 {
			c.values8 = append(c.values8, [8]byte(s.value(i)))
		} else {
			c.values64 = append(c.values64, [64]byte(s.value(i)))
		}
	}
	return c, nil
}

func (c *cilium) name() string { return "cilium/ebpf" }
func (c *cilium) close() error { return errors.Join(c.m.Close(), c.same.Close()) }

func (c *cilium) prepare(op operation, s *set) error { return prepare(c.same, op, s) }

func (c *cilium) run(op operation, s *set) (int, error) {
	switch op {
	case opUpdate:
		for i := range s.len {
			if err := c.m.Update(s.key(i), s.value(i), ebpf.UpdateAny); err != nil {
				return i, err
			}
		}
		return s.len, nil
	case opLookup:
		for i := range s.len {
			if err := c.m.Lookup(s.key(i), c.value); err != nil {
				return i, err
			}
		}
		return s.len, nil
	case opBatchUpdate:
		return c.batchUpdate(s)
	case opReadAll:
		return c.readAll(s)
	}
	return 0, fmt.Errorf("unknown operation %q", op)
}

func (c *cilium) batchUpdate(s *set) (int, error) {
	done := 0
	for done < s.len {
		end := min(done+batchSize, s.len)
		var values any
		if s.valueSize == 8 {
			values = c.values8[done:end]
		} else {
			values = c.values64[done:end]
		}
		n, err := c.m.BatchUpdate(c.keys[done:end], values, nil)
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (c *cilium) readAll(s *set) (int, error) {
	var cursor ebpf.MapBatchCursor
	for n := 0; ; {
		var values any = c.outVals8
		if s.valueSize == 64 {
			values = c.outVals64
		}
		got, err := c.m.BatchLookup(&cursor, c.outKeys, values, nil)
		n += got
		if errors.Is(err, ebpf.ErrKeyNotExist) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}
