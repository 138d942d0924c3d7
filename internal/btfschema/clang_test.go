// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cilium/ebpf/btf"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/clang"
)

// ofC is what clang's BTF of testdata/types.c says of a variable, as YAML, and the notes.
func ofC(t *testing.T, spec *btf.Spec, name string) (string, []string) {
	t.Helper()
	var v *btf.Var
	if err := spec.TypeByName(name, &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	s, notes := In(spec).Of(v.Type)
	text, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), notes
}

func compiled(t *testing.T) *btf.Spec {
	t.Helper()
	out := filepath.Join(t.TempDir(), "types.o")
	if text, err := exec.Command("clang", "-target", clang.Target(), "-g", "-O2", "-Wall", "-Werror", "-o", out, "-c", "testdata/types.c").CombinedOutput(); err != nil {
		t.Fatalf("compile testdata/types.c (this test needs clang): %v\n%s", err, text)
	}
	spec, err := btf.LoadSpec(out)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// TestTypesOfC reads what a compiler writes: tags, typedefs, anonymous members, bit-fields and their gaps.
func TestTypesOfC(t *testing.T) {
	spec := compiled(t)
	for _, test := range []struct {
		name, want string
		notes      []string
	}{
		{"tagged", `{fields: [
			{name: addr, type: ipv4}, {name: host, type: ipv4Host}, {name: to, type: ip, ipv4As: First}, {name: six, type: ipv6, align: 1}, {name: name, type: string, size: 15},
			{name: macs, type: mac, length: 2}, {name: idle, type: u64, duration: ns}, {name: mode, type: u32, flags: {READ: 1, WRITE: 2}},
			{name: level, type: be16, enum: {LOW: 1, HIGH: 300}}, {name: raw, type: u8, length: 4}, {name: command, type: countedString, size: 7}, {name: prefix, type: ipv4Prefix},
			{name: wire, type: dnsName, size: 8}, {name: v4, type: ipv4}]}`, nil},
		{"mistagged", `{fields: [{name: a, type: u32}, {name: b, type: u32}, {name: c, type: u32}, {name: d, type: ipv4}, {name: e, type: u32}]}`, []string{
			`a: the tag "bpfmap:ipv6" is left out: ipv6 is 16 bytes long, the member 4`,
			`b: the tag "bpfmap:ipv5" is left out: "ipv5" is not a type`,
			`c: the tag "bpfmap:flags=nowhere" is left out: there is no enum nowhere`,
			`d: the property "owner" of a tag is not known and is left out`,
		}},
		{"bits", `{fields: [{name: mode, type: u32, bits: 3}, {type: padding, bits: 5}, {name: level, type: u8, bits: 4},
			{name: wide, type: u64, bits: 40}, {name: ok, type: bool, bits: 1}, {name: way, type: u32, bits: 2, enum: {IN: 0, OUT: 1}}]}`, nil},
		{"odd", `{packed: true, fields: [{name: a, type: u8}, {name: anon1, union: true, fields: [{name: b, type: u32}, {name: c, type: hex, size: 6}, {name: longest, type: hex, size: 8}]},
			{name: anon2, fields: [{name: d, type: u16}]}, {name: matrix, type: hex, size: 4, dimensions: [2, 3]}, {name: next, type: u64}, {name: big, type: u128}]}`, []string{
			"rest is an array without elements and is left out",
		}},
		{"aligned", `{fields: [{name: a, type: u32}, {type: padding, size: 12}, {name: b, type: u8}, {type: padding, size: 15}]}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, notes := ofC(t, spec, test.name)
			want, err := yaml.Marshal(parse(t, test.want))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.notes, notes); diff != "" {
				t.Errorf("notes (-want +got)\n%s", diff)
			}
		})
	}
}

// TestWhatCWritesReadsBack: what is read of clang's types is written as types that read as the same.
func TestWhatCWritesReadsBack(t *testing.T) {
	spec := compiled(t)
	for _, name := range []string{"tagged", "bits", "odd", "aligned"} {
		var v *btf.Var
		if err := spec.TypeByName(name, &v); err != nil {
			t.Fatal(err)
		}
		s, _ := In(spec).Of(v.Type)
		key := &v1alpha1.Schema{Type: v1alpha1.TypeU32}
		_, read := written(t, key, s, false, false, parsed(t))
		if diff := cmp.Diff(normal(s, "", 0), normal(read, "", 0)); diff != "" {
			t.Errorf("%s (-written +read)\n%s", name, diff)
		}
	}
}
