// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// ours is internal/bpf.
type ours struct {
	m     *bpf.Map
	value []byte
}

func newOurs(s *set) (contender, error) {
	m, err := bpf.Create(s.createOpts())
	if err != nil {
		return nil, err
	}
	return &ours{m: m, value: make([]byte, s.valueSize)}, nil
}

func (o *ours) name() string { return "bpfmap" }
func (o *ours) close() error { return o.m.Close() }

func (o *ours) prepare(op operation, s *set) error { return prepare(o.m, op, s) }

// prepare empties or fills m for a measurement.
func prepare(m *bpf.Map, op operation, s *set) error {
	if op == opLookup || op == opReadAll {
		_, err := m.UpdateBatch(context.Background(), s.keys, s.values, bpf.Any)
		return err
	}
	_, err := m.DeleteBatchIgnoreMissing(context.Background(), s.keys)
	return err
}

func (o *ours) run(op operation, s *set) (int, error) {
	switch op {
	case opUpdate:
		for i := range s.len {
			if err := o.m.UpdateElem(s.key(i), s.value(i), bpf.Any); err != nil {
				return i, err
			}
		}
		return s.len, nil
	case opLookup:
		for i := range s.len {
			if err := o.m.LookupElem(s.key(i), o.value); err != nil {
				return i, err
			}
		}
		return s.len, nil
	case opBatchUpdate:
		return o.m.UpdateBatch(context.Background(), s.keys, s.values, bpf.Any)
	case opReadAll:
		n := 0
		it := o.m.Iterate(context.Background(), bpf.IterateOptions{BatchSize: batchSize})
		for it.Next() {
			n += len(it.Keys()) / s.keySize
		}
		return n, it.Err()
	}
	return 0, fmt.Errorf("unknown operation %q", op)
}
