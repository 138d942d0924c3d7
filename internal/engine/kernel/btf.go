// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// types are a map's key and value in loaded BTF.
type types struct {
	btf        *bpf.BTF
	key, value uint32
}

// refusesNewBTF remembers that the kernel takes BTF only without what came after Linux 5.8: floats (5.13), decl tags
// (5.16) and enums of 64 bits (6.0).
var refusesNewBTF atomic.Bool

// describeTypes loads BTF of a revision's schemas; nil for types that take none.
func describeTypes(rev *revision.Revision) (*types, error) {
	if typeOfShape(rev.Shape).BTF == maptype.NoBTF {
		return nil, nil
	}
	if refusesNewBTF.Load() {
		return loadTypes(rev, true)
	}
	t, err := loadTypes(rev, false)
	if err == nil || errors.Is(err, bpf.ErrNotPermitted) {
		return t, err
	}
	plain, plainErr := loadTypes(rev, true)
	if plainErr != nil {
		return nil, err
	}
	refusesNewBTF.Store(true)
	return plain, nil
}

// loadTypes loads BTF of a revision's schemas, plain for older kernels.
func loadTypes(rev *revision.Revision, plain bool) (*types, error) {
	w := btfschema.Writer{Plain: plain}
	var b btf.Builder
	var t types
	add := func(typ btf.Type, id *uint32) error {
		added, err := b.Add(typ)
		*id = uint32(added)
		return err
	}
	if s := rev.KeySchema; s != nil {
		typ := w.Type
		switch {
		case rev.Shape.IsLPM():
			typ = w.LPMKey
		case rev.Shape.IsArray():
			typ = w.Index
		}
		if err := add(typ(s, rev.Shape.Name+"_key"), &t.key); err != nil {
			return nil, fmt.Errorf("describe key: %w", err)
		}
	}
	if s := &rev.ValueSchema; s.Type != "" || len(s.Fields) > 0 {
		if err := add(w.Type(s, rev.Shape.Name+"_value"), &t.value); err != nil {
			return nil, fmt.Errorf("describe value: %w", err)
		}
	}
	for _, e := range w.Enums() {
		var unused uint32
		if err := add(e, &unused); err != nil {
			return nil, fmt.Errorf("describe enum %s: %w", e.Name, err)
		}
	}
	raw, err := b.Marshal(nil, &btf.MarshalOptions{Order: binary.NativeEndian, ReplaceDeclTags: plain, ReplaceEnum64: plain})
	if err != nil {
		return nil, fmt.Errorf("write BTF: %w", err)
	}
	if t.btf, err = bpf.LoadBTF(raw); err != nil {
		return nil, err
	}
	return &t, nil
}
