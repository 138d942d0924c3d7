// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// TestLinks finds the places of links, also in arrays and nested structs, and writes what they stand for.
func TestLinks(t *testing.T) {
	s := &v1alpha1.Schema{Fields: []v1alpha1.Field{
		{Name: "flags", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU8}},
		{Name: "ports", Schema: v1alpha1.Schema{Type: v1alpha1.TypeIfindex, Length: 2}},
		{Name: "groups", Schema: v1alpha1.Schema{Length: 2, Fields: []v1alpha1.Field{
			{Name: "weight", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU16}}, {Name: "id", Schema: v1alpha1.Schema{Type: v1alpha1.TypeCgroupID}},
		}}},
	}}
	var named []string
	l, err := schema.NewLinked(s, func(link v1alpha1.Reference) { named = append(named, string(link.Type)+" "+link.Name) })
	if err != nil {
		t.Fatal(err)
	}
	want := []schema.ReferenceField{
		{Type: v1alpha1.TypeIfindex, Offset: 4, Size: 4}, {Type: v1alpha1.TypeIfindex, Offset: 8, Size: 4},
		{Type: v1alpha1.TypeCgroupID, Offset: 24, Size: 8}, {Type: v1alpha1.TypeCgroupID, Offset: 40, Size: 8},
	}
	if got := l.References(); !slices.Equal(got, want) {
		t.Fatalf("links %+v, want %+v", got, want)
	}
	b := make([]byte, l.Size())
	text := `{"flags": 1, "ports": ["eth0", "eth1"], "groups": [{"weight": 2, "id": "/a"}, {"weight": 3, "id": "b/c"}]}`
	if err := l.Encode(b, []byte(text)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"ifindex eth0", "ifindex eth1", "cgroupID /a", "cgroupID b/c"}; !slices.Equal(named, want) {
		t.Errorf("named %v, want %v", named, want)
	}
	for i, f := range want {
		if f.Symbol(b) == 0 {
			t.Errorf("no symbol at %+v", f)
		}
		f.Put(b, uint64(i+1)<<(8*uint(f.Size)-8))
		if got := f.Get(b); got != uint64(i+1)<<(8*uint(f.Size)-8) {
			t.Errorf("at %+v is %x", f, got)
		}
	}
	if got := l.Format(b); got != "{flags: 1, ports: [16777216, 33554432], groups: [{weight: 2, id: 216172782113783808}, {weight: 3, id: 288230376151711744}]}" {
		t.Errorf("printed %s", got)
	}
}

// TestNamesOfLinks takes the names that the kernel and Kubernetes take, and nothing else.
func TestNamesOfLinks(t *testing.T) {
	for typ, names := range map[v1alpha1.ScalarType]struct{ good, bad []string }{
		v1alpha1.TypeIfindex:  {[]string{`"eth0"`, `"eth0.100"`, `"cilium_host"`, `"a12345678901234"`, `0`, `7`, `"7"`, `"010"`, `4294967295`}, []string{`""`, `"4294967296"`, `-1`, `"0x10a/"`, `1.5`, `"1234567890123456"`, `"a/b"`, `".."`, `"a b"`}},
		v1alpha1.TypeMapRef:   {[]string{`"a"`, `"a.b-c"`}, []string{`""`, `"A"`, `"other/a"`, `"-a"`, `"a..b"`}},
		v1alpha1.TypeProgPin:  {[]string{`""`, `"xdp/p"`, `"bpfmap/edge/p"`}, []string{`"/xdp"`, `"xdp/"`, `"a//b"`, `"p.o"`, `"../p"`}},
		v1alpha1.TypeCgroup:   {[]string{`"/"`, `"/a/b"`, `"a/b"`, `"kubepods.slice/x"`}, []string{`""`, `"a/../b"`, `"a//b"`, `".."`, `3`}},
		v1alpha1.TypeCgroupID: {[]string{`"/"`, `"system.slice"`, `0`, `"18446744073709551615"`}, []string{`""`, `"./a"`, `18446744073709551615`, `"18446744073709551616"`}},
	} {
		l, err := schema.NewLinked(&v1alpha1.Schema{Type: typ}, func(v1alpha1.Reference) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names.good {
			if err := l.Encode(make([]byte, l.Size()), []byte(name)); err != nil {
				t.Errorf("%s %s: %v", typ, name, err)
			}
		}
		for _, name := range names.bad {
			if l.Encode(make([]byte, l.Size()), []byte(name)) == nil {
				t.Errorf("%s %s is taken", typ, name)
			}
		}
	}
	// Without a node to resolve them, only numbers can be written.
	l, err := schema.New(&v1alpha1.Schema{Type: v1alpha1.TypeIfindex})
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if err := l.Encode(b, []byte("7")); err != nil || l.Format(b) != "7" {
		t.Errorf("a number: %v, %s", err, l.Format(b))
	}
	if l.Encode(b, []byte(`"eth0"`)) == nil {
		t.Error("a name is taken")
	}
}
