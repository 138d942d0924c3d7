// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// schemas describe a map's elements, as far as they are known.
type schemas struct{ key, value *v1alpha1.Schema }

// typingOf is how m's elements are written: by declared schemas, else by the record of a managed map in
// bpffs, else by the map's BTF, else as bytes. Declared schemas must have the map's sizes.
func typingOf(m *bpf.Map, declared schemas, bpffs string) (element.Typing, error) {
	if declared.value != nil {
		return declaredTyping(m, declared)
	}
	known := fromRecord(m, bpffs)
	if known.value == nil {
		known = fromBTF(m)
	}
	if known.key == nil && m.Type().Traits().IndexKey {
		known.key = &v1alpha1.Schema{Type: v1alpha1.TypeU32}
	}
	t := element.Typing{Value: codec(known.value, m.ValueSize()), CPUs: cpus(m)}
	if m.KeySize() > 0 {
		t.Key = codec(known.key, m.KeySize())
	}
	return t, nil
}

func declaredTyping(m *bpf.Map, declared schemas) (element.Typing, error) {
	value, err := layout("value", declared.value, m.ValueSize())
	if err != nil {
		return element.Typing{}, err
	}
	t := element.Typing{Value: value, CPUs: cpus(m)}
	if m.KeySize() > 0 {
		if declared.key == nil {
			declared.key = &v1alpha1.Schema{Type: v1alpha1.TypeU32} // an array's, which may be left out
		}
		if t.Key, err = layout("key", declared.key, m.KeySize()); err != nil {
			return element.Typing{}, err
		}
	}
	return t, nil
}

func layout(what string, s *v1alpha1.Schema, size int) (*schema.Layout, error) {
	l, err := schema.New(s)
	if err != nil {
		return nil, fmt.Errorf("lay out spec.%s: %w", what, err)
	}
	if l.Size() != size {
		return nil, fmt.Errorf("the declared %s has %d bytes, the map's has %d", what, l.Size(), size)
	}
	return l, nil
}

// codec is that of a schema if it has the size, and that of bytes otherwise.
func codec(s *v1alpha1.Schema, size int) element.Codec {
	if s != nil {
		if l, err := schema.New(s); err == nil && l.Size() == size {
			return l
		}
	}
	return element.Bytes(size)
}

// fromRecord is what the ownership record of m says; nothing without one, or without the permission to
// read it.
func fromRecord(m *bpf.Map, bpffs string) schemas {
	info, err := m.Info()
	if err != nil {
		return schemas{}
	}
	records, err := pinstore.New(hostRoot().Here(bpffs), pinstore.Options{}).Records()
	if err != nil {
		return schemas{}
	}
	for i := range records {
		if records[i].MapID == info.ID {
			return schemas{records[i].KeySchema, &records[i].ValueSchema}
		}
	}
	return schemas{}
}

// fromBTF is what the map's BTF says. A map without it, or one whose BTF may not be read (that needs
// CAP_SYS_ADMIN), is shown as bytes.
func fromBTF(m *bpf.Map) schemas {
	info, err := m.Info()
	if err != nil || info.BTFID == 0 {
		return schemas{}
	}
	key, value, err := btfschema.FromKernel(info.BTFID, info.BTFKeyTypeID, info.BTFValueTypeID, m.Type() == bpf.LPMTrie)
	if err != nil {
		return schemas{}
	}
	return schemas{key, value}
}

// cpus is how many values an element of m has; 0 for types that are not per CPU.
func cpus(m *bpf.Map) int {
	if !m.Type().Traits().PerCPU {
		return 0
	}
	return m.ValueStride() / maptype.Slot(m.ValueSize())
}
