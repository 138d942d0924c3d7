// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// operation is what is measured, over all entries of a set.
type operation string

const (
	opUpdate      operation = "update"
	opLookup      operation = "lookup"
	opBatchUpdate operation = "batch update"
	opReadAll     operation = "batch read"
)

var operations = []operation{opUpdate, opLookup, opBatchUpdate, opReadAll}

// contender does an operation on a map of its own. Before updates the map is emptied; before reads
// it is full.
type contender interface {
	name() string
	prepare(op operation, s *set) error
	run(op operation, s *set) (int, error)
	close() error
}

// set is one kind of map with its packed test data and a map for each contender.
type set struct {
	typ                bpf.MapType
	keySize, valueSize int
	len                int
	keys, values       []byte
	contenders         []contender
}

// String names the kind of map, for example "Hash 8/64".
func (s *set) String() string { return fmt.Sprintf("%s %d/%d", s.typ, s.keySize, s.valueSize) }

func (s *set) key(i int) []byte   { return s.keys[i*s.keySize : (i+1)*s.keySize] }
func (s *set) value(i int) []byte { return s.values[i*s.valueSize : (i+1)*s.valueSize] }

// newSet makes n entries with 8-byte keys. LPM keys are /32 prefixes in address order, the order in
// which the engine writes them.
func newSet(typ bpf.MapType, valueSize, n int) (*set, error) {
	s := &set{typ: typ, keySize: 8, valueSize: valueSize, len: n}
	for i := range n {
		key := make([]byte, 8)
		if typ == bpf.LPMTrie {
			binary.NativeEndian.PutUint32(key, 32)
			binary.BigEndian.PutUint32(key[4:], 0x0a000000+uint32(i)*16)
		} else {
			binary.NativeEndian.PutUint64(key, uint64(i)*0x9e3779b97f4a7c15)
		}
		s.keys = append(s.keys, key...)
		value := make([]byte, valueSize)
		binary.NativeEndian.PutUint64(value, uint64(i))
		s.values = append(s.values, value...)
	}
	for _, open := range []func(*set) (contender, error){newRaw, newOurs, newCilium} {
		c, err := open(s)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.contenders = append(s.contenders, c)
	}
	return s, nil
}

func (s *set) close() error {
	var errs []error
	for _, c := range s.contenders {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// createOpts is the shape that every contender's map has.
func (s *set) createOpts() bpf.CreateOpts {
	o := bpf.CreateOpts{
		Type: s.typ, Name: "bench",
		KeySize: uint32(s.keySize), ValueSize: uint32(s.valueSize), MaxEntries: uint32(s.len),
	}
	if s.typ == bpf.LPMTrie {
		o.Flags = bpf.NoPrealloc
	}
	return o
}
