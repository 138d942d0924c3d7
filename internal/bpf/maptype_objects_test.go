// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bpf

import (
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestTableBTF makes maps with and without a description of key and value, and with a spin lock in values.
func TestTableBTF(t *testing.T) {
	number := &btf.Int{Name: "int", Size: 4, Encoding: btf.Signed}
	bytes := func(n uint32) btf.Type {
		return &btf.Array{Index: number, Type: &btf.Int{Name: "unsigned char", Size: 1}, Nelems: n}
	}
	lock := &btf.Struct{Name: "bpf_spin_lock", Size: 4, Members: []btf.Member{{Name: "val", Type: number}}}
	locked := &btf.Struct{Name: "locked", Size: 8, Members: []btf.Member{{Name: "lock", Type: lock}, {Name: "n", Type: number, Offset: 32}}}
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		var key btf.Type
		switch {
		case m.IsKeyless():
		case m.LPM:
			key = &btf.Struct{Name: "prefix", Size: o.KeySize, Members: []btf.Member{
				{Name: "prefixlen", Type: number}, {Name: "data", Type: bytes(o.KeySize - 4), Offset: 32},
			}}
		case o.KeySize == 8:
			key = &btf.Int{Name: "unsigned long long", Size: 8}
		case o.KeySize == 4:
			key = number
		default:
			key = bytes(o.KeySize)
		}
		without := o
		without.BTF, without.BTFKeyTypeID, without.BTFValueTypeID = nil, 0, 0
		expect(t, "without BTF", m.BTF != maptype.RequiredBTF, creates(t, without))
		value := bytes(o.ValueSize)
		if o.ValueSize == 0 {
			value = number
		}
		withBTF(t, &o, key, value)
		expect(t, "with BTF", m.BTF != maptype.NoBTF || leftOut(m, "with BTF"), creates(t, o))
		if !m.Value.Takes(8) {
			return
		}
		withBTF(t, &o, key, locked)
		o.ValueSize = 8
		err := creates(t, o)
		expect(t, "with a spin lock", m.SpinLock, err)
		if err != nil {
			return
		}
		lockedMap, err := Create(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = lockedMap.Close() }()
		expect(t, "freeze of a map with a spin lock", !does(t, &maptype.FreezeRefusesLocks), lockedMap.Freeze())
	})
}

// TestTableInner puts maps into a map of maps, one like the template and a larger one.
func TestTableInner(t *testing.T) {
	forEachType(t, func(t *testing.T, m *maptype.Type, o CreateOpts) {
		template, err := Create(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = template.Close() }()
		outer, err := Create(CreateOpts{Type: HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, InnerMap: template})
		const fact = "a map of maps for it"
		expect(t, fact, m.Inner != maptype.NotInner || leftOut(m, fact), err)
		if err != nil {
			return
		}
		defer func() { _ = outer.Close() }()
		if m.Inner == maptype.NotInner {
			return
		}
		expect(t, "the template", true, outer.UpdateElem(u32(0), u32(template.FD()), Any))
		o.MaxEntries *= 2
		larger, err := Create(o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = larger.Close() }()
		anySize := m.Inner == maptype.AnyCapacity && (m.Name != "PerCPUArray" || !does(t, &maptype.PerCPUInner))
		err = outer.UpdateElem(u32(1), u32(larger.FD()), Any)
		expect(t, "a larger map", anySize, err)
		if !anySize && (!sys.IsInvalid(err) || !strings.Contains(err.Error(), "must be as the template")) {
			t.Errorf("a larger map: %v", err)
		}
		if m.Inner == maptype.SameCapacity && m.Flags&maptype.Flags(InnerMap) != 0 {
			testFlagInnerMap(t, o)
		}
	})
}

// testFlagInnerMap puts a larger map with the flag InnerMap into a map of maps.
func testFlagInnerMap(t *testing.T, o CreateOpts) {
	t.Helper()
	o.Flags |= InnerMap
	var maps [2]*Map
	for i := range maps {
		var err error
		if maps[i], err = Create(o); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = maps[i].Close() }()
		o.MaxEntries *= 2
	}
	outer, err := Create(CreateOpts{Type: HashOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 4, InnerMap: maps[0]})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = outer.Close() }()
	expect(t, "a larger map with InnerMap", true, outer.UpdateElem(u32(1), u32(maps[1].FD()), Any))
}
