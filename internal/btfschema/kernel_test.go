// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
)

func TestMain(m *testing.M) { bpftest.Main(m) }

// inKernel loads BTF, makes a map with it, and reads the BTF back by the id that the map gives.
func inKernel(t *testing.T, typ bpf.MapType, flags bpf.MapFlags, keySize, valueSize int) func([]byte, btf.TypeID, btf.TypeID) *btf.Spec {
	return func(raw []byte, key, value btf.TypeID) *btf.Spec {
		loaded, err := bpf.LoadBTF(raw)
		if err != nil {
			t.Fatal(err)
		}
		defer loaded.Close()
		m, err := bpf.Create(bpf.CreateOpts{
			Type: typ, Flags: flags, KeySize: uint32(keySize), ValueSize: uint32(valueSize), MaxEntries: 1,
			BTF: loaded, BTFKeyTypeID: uint32(key), BTFValueTypeID: uint32(value),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		handle, err := btf.NewHandleFromID(btf.ID(info.BTFID))
		if err != nil {
			t.Fatal(err)
		}
		defer handle.Close()
		spec, err := handle.Spec(nil)
		if err != nil {
			t.Fatal(err)
		}
		return spec
	}
}

// takesTags says whether the kernel takes all that is written: before Linux 5.13 no floats, before 5.16 no tags, before
// 6.0 no enums of 64 bits. Where it doesn't, BTF is written without these, and what is read back has the same layout.
func takesTags(t *testing.T) bool { return bpftest.Since(t, 6, 0) }

// throughKernel wants what the kernel keeps of a map to read back as it was written; on kernels that take no tags, as
// types of the same size.
func throughKernel(t *testing.T, key, value *v1alpha1.Schema, isLPM bool, same func(want, got *v1alpha1.Schema) string, load func([]byte, btf.TypeID, btf.TypeID) *btf.Spec) string {
	t.Helper()
	readKey, readValue := written(t, key, value, !takesTags(t), isLPM, load)
	if !takesTags(t) {
		size := func(s *v1alpha1.Schema) int {
			if hasPrefix(s) {
				s = withLength(s)
			}
			return extentOf(s).size
		}
		same = func(want, got *v1alpha1.Schema) string { return cmp.Diff(size(want), size(got)) }
	}
	return same(key, readKey) + same(value, readValue)
}

// TestKindsOfBTF loads a type with a tag, and one without.
func TestKindsOfBTF(t *testing.T) {
	bpftest.BPFFS(t)
	for _, plain := range []bool{false, true} {
		w := Writer{Plain: plain}
		var b btf.Builder
		if _, err := b.Add(w.Type(parse(t, `{fields: [{name: mac, type: mac}]}`), "value")); err != nil {
			t.Fatal(err)
		}
		text, err := b.Marshal(nil, &btf.MarshalOptions{Order: binary.NativeEndian, ReplaceDeclTags: plain})
		if err != nil {
			t.Fatal(err)
		}
		loaded, err := bpf.LoadBTF(text)
		if taken := plain || bpftest.Since(t, 5, 16); taken != (err == nil) || !taken && !errors.Is(err, unix.EINVAL) {
			t.Errorf("plain %t: %v", plain, err)
		}
		if err == nil {
			loaded.Close()
		}
	}
}

// TestRoundTripThroughKernel: what the kernel keeps of a map reads back as the schemas that it was made of.
func TestRoundTripThroughKernel(t *testing.T) {
	bpftest.BPFFS(t)
	for seed := range uint64(300) {
		r := maker{rand.New(rand.NewPCG(seed, 2))}
		key, value := r.scalar(), r.structure(3)
		load := inKernel(t, bpf.Hash, bpf.NoPrealloc, extentOf(&key).size, extentOf(&value).size)
		diff := throughKernel(t, &key, &value, false, func(want, got *v1alpha1.Schema) string {
			return cmp.Diff(normal(want, "", 0), normal(got, "", 0))
		}, load)
		if diff != "" || t.Failed() {
			text, _ := json.Marshal([]*v1alpha1.Schema{&key, &value})
			t.Fatalf("seed %d: %s (-written +read)\n%s", seed, text, diff)
		}
	}
}

// TestLPMKeysThroughKernel: keys of tries keep what is matched by prefix, and what stands before it.
func TestLPMKeysThroughKernel(t *testing.T) {
	bpftest.BPFFS(t)
	for _, test := range []struct{ schema, read string }{
		{`{type: ipv4Prefix}`, ``},
		{`{type: ipv6Prefix}`, ``},
		{`{type: ipPrefix, ipv4As: First}`, ``},
		{`{type: ipv4, prefix: true}`, `{type: ipv4Prefix}`},
		{`{type: ip, prefix: true}`, `{type: ipPrefix}`},
		{`{type: hex, size: 4, prefix: true}`, ``},
		{`{type: hex, size: 20}`, `{type: hex, size: 16, prefix: true}`},
		{`{type: string, size: 32, prefix: true}`, ``},
		{`{type: be16, prefix: true}`, ``},
		{`{fields: [{name: port, type: be16}, {name: proto, type: u8}, {name: addr, type: ipv6, prefix: true}]}`, ``},
		{`{fields: [{name: ifindex, type: ifindex}, {name: ip, type: ip, ipv4As: First, prefix: true}]}`, ``},
		{`{packed: true, fields: [{name: set, type: be64}, {name: addr, type: ipv4}, {name: port, type: be16, prefix: true}]}`, ``},
	} {
		t.Run(test.schema, func(t *testing.T) {
			key, value := parse(t, test.schema), parse(t, `{type: u32}`)
			whole := key
			if hasPrefix(key) {
				whole = withLength(key)
			}
			want := key
			if test.read != "" {
				want = parse(t, test.read)
			}
			same := func(declared, got *v1alpha1.Schema) string {
				if declared == key {
					declared = want
				}
				return cmp.Diff(declared, got)
			}
			if diff := throughKernel(t, key, value, true, same, inKernel(t, bpf.LPMTrie, bpf.NoPrealloc, extentOf(whole).size, 4)); diff != "" {
				t.Errorf("(-written +read)\n%s", diff)
			}
		})
	}
}

// TestForeignLPMKeys reads the keys of programs that know nothing of us.
func TestForeignLPMKeys(t *testing.T) {
	data := func(t btf.Type, size uint32) *btf.Struct {
		return structOf(size, member("prefixlen", 0, u32), member("data", 4, t))
	}
	v4 := parse(t, `{type: ipv4Prefix}`)
	for i, test := range []struct {
		typ  btf.Type
		want *v1alpha1.Schema
	}{
		{data(arrayOfType(u8, 4), 8), v4},
		{data(u32, 8), v4},
		{data(be32, 8), v4},
		{data(arrayOfType(u8, 16), 20), parse(t, `{type: ipv6Prefix}`)},
		{data(arrayOfType(u32, 4), 20), parse(t, `{type: ipv6Prefix}`)},
		{data(arrayOfType(char, 20), 24), parse(t, `{type: string, size: 20, prefix: true}`)},
		{data(arrayOfType(u8, 9), 16), parse(t, `{type: hex, size: 9, prefix: true}`)},
		{
			structOf(12, member("lpm", 0, structOf(4, member("prefixlen", 0, u32), member("data", 4, arrayOfType(u8, 0)))), member("id", 4, u32), member("addr", 8, be32)),
			parse(t, `{fields: [{name: id, type: u32}, {name: addr, type: ipv4, prefix: true}]}`),
		},
		{
			structOf(12, member("prefixlen", 0, u32), member("data", 4, structOf(8, member("id", 0, u32), member("addr", 4, arrayOfType(u8, 4))))),
			parse(t, `{fields: [{name: id, type: u32}, {name: addr, type: ipv4, align: 1, prefix: true}]}`),
		},
		{u32, parse(t, `{type: u32}`)},
	} {
		got, _ := Reader{}.OfLPMKey(test.typ)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%d (-want +got)\n%s", i, diff)
		}
	}
}

// TestNamesOfTheKernel refuses nothing that a schema may call its parts.
func TestNamesOfTheKernel(t *testing.T) {
	bpftest.BPFFS(t)
	value := parse(t, `{fields: [{name: if, type: u8, enum: {"not an identifier": 1}}, {name: mode, type: u16, flags: {"x-y": 1}}]}`)
	long := value.Fields[0]
	long.Name = fmt.Sprintf("%063d", 0)
	long.Name = "l" + long.Name[1:]
	value.Fields = append(value.Fields, long)
	var w Writer
	typ := w.Type(value, "a.name.with.dots")
	if s, ok := typ.(*btf.Struct); !ok || s.Name != "a_name_with_dots" || len(w.Enums()) != 0 {
		t.Errorf("type %v, enums %v", typ, w.Enums())
	}
	key := parse(t, `{type: u32}`)
	_, read := written(t, key, value, !takesTags(t), false, inKernel(t, bpf.Hash, 0, 4, extentOf(value).size))
	if got := read.Fields[0]; got.Name != "if" || got.Enum != nil {
		t.Errorf("%+v", got)
	}
}

// TestOlderKernels: without floats, tags and enums of 64 bits, sizes and offsets stay.
func TestOlderKernels(t *testing.T) {
	bpftest.BPFFS(t)
	value := parse(t, `{fields: [{name: addr, type: ipv4}, {name: ratio, type: f64}, {name: big, type: u64, enum: {TOP: 4611686018427387904}}, {name: mac, type: mac}]}`)
	w := Writer{Plain: true}
	var b btf.Builder
	id, err := b.Add(w.Type(value, "value"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.Marshal(nil, &btf.MarshalOptions{Order: binary.NativeEndian, ReplaceDeclTags: true, ReplaceEnum64: true})
	if err != nil {
		t.Fatal(err)
	}
	spec := inKernel(t, bpf.Hash, 0, extentOf(value).size, extentOf(value).size)(raw, id, id)
	typ, err := spec.TypeByID(id)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := In(spec).Of(typ)
	want := parse(t, `{fields: [{name: addr, type: be32}, {type: padding, size: 4}, {name: ratio, type: hex, size: 8}, {name: big, type: u64}, {name: mac, type: hex, size: 6}]}`)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
