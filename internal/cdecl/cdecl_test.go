// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cdecl_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cdecl"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/test/clang"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

func parse(t *testing.T, text string) cdecl.Type {
	t.Helper()
	var s v1alpha1.Schema
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	return layOut(t, &s)
}

func layOut(t *testing.T, s *v1alpha1.Schema) cdecl.Type {
	t.Helper()
	typ, err := cdecl.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return typ
}

func table(typ cdecl.Type) string {
	var b strings.Builder
	for _, r := range cdecl.Table(typ) {
		fmt.Fprintf(&b, "%6s %7s  %-12s %s\n", r.OffsetText(), r.SizeText(), r.Type, r.Name)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/rule.yaml")
	if err != nil {
		t.Fatal(err)
	}
	rule := parse(t, string(text))
	golden.Equal(t, "testdata/rule.h", cdecl.C("rule", rule))
	golden.Equal(t, "testdata/rule.go.txt", cdecl.Go("Rule", rule))
	golden.Equal(t, "testdata/rule.txt", table(rule))
}

// TestOneLine declares what is no struct, and keys of LPM tries, whose prefix length C declares.
func TestOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"{type: u32}":                        "typedef __u32 x;",
		"{type: mac}":                        "typedef __u8 x[6];",
		"{type: u16, dimensions: [3, 4]}":    "typedef __u16 x[3][4];",
		"{type: string, size: 8, length: 2}": "typedef char x[2][8];",
		"{type: ipv4Prefix}":                 "struct x {\n\t__u32 prefixlen;                                /*     0     4 */\n\t__be32 data;",
		"{type: be16, prefix: true}":         "struct x {\n\t__u32 prefixlen;                                /*     0     4 */\n\t__be16 data;",
		"{fields: [{name: a, type: u8}, {name: b, type: ipv4, prefix: true}]}": "struct x {\n\t__u32 prefixlen;                                /*     0     4 */\n\t__u8 a;  ",
	} {
		if got := cdecl.C("x", parse(t, text)); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", text, got, want)
		}
	}
}

func TestGoName(t *testing.T) {
	for name, want := range map[string]string{"rule_weights": "RuleWeights", "rule-weights": "RuleWeights", "a": "A", "_9": "X9", "__": "X", "v4.addr": "V4Addr"} {
		if got := cdecl.GoName(name); got != want {
			t.Errorf("%s becomes %s, want %s", name, got, want)
		}
	}
}

// scalars are those that random structs are made of.
var scalars = []v1alpha1.Schema{
	{Type: "u8"}, {Type: "u16"}, {Type: "u32"}, {Type: "u64"}, {Type: "i8"}, {Type: "i16"}, {Type: "i32"}, {Type: "i64"},
	{Type: "be16"}, {Type: "be32"}, {Type: "be64"}, {Type: "bool"}, {Type: "ipv4"}, {Type: "ipv6"}, {Type: "mac"},
	{Type: "string", Size: 5}, {Type: "hex", Size: 7}, {Type: "bytes", Size: 3}, {Type: "ifindex"}, {Type: "cgroupID"},
	{Type: "ipv6", Align: 1}, {Type: "ipv4", Align: 1},
}

var integers = []v1alpha1.ScalarType{"u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64", "bool"}

// random is a schema of any kind that C and a schema can both say.
func random(r *rand.Rand, depth int, inUnion bool) v1alpha1.Schema {
	var s v1alpha1.Schema
	if depth == 0 || r.IntN(4) > 0 {
		s = scalars[r.IntN(len(scalars))]
	} else {
		s = randomStruct(r, depth-1)
	}
	switch r.IntN(6) {
	case 0:
		s.Length = 1 + int32(r.IntN(3))
	case 1:
		s.Dimensions = []int32{1 + int32(r.IntN(2)), 1 + int32(r.IntN(3))}
	case 2:
		if s.Align == 0 && !inUnion {
			s.Align = 1 << (3 + r.IntN(3))
		}
	}
	return s
}

func randomStruct(r *rand.Rand, depth int) v1alpha1.Schema {
	s := v1alpha1.Schema{Packed: r.IntN(4) == 0, Union: r.IntN(4) == 0}
	for i := range 1 + r.IntN(6) {
		f := v1alpha1.Field{Name: fmt.Sprintf("m%d", i)}
		switch n := r.IntN(8); {
		case n == 0 && !s.Union && i > 0:
			f = v1alpha1.Field{Schema: v1alpha1.Schema{Type: "padding", Size: 1 + int32(r.IntN(5))}}
		case n < 3 && !s.Union:
			f.Type = integers[r.IntN(len(integers))]
			f.Bits = 1 + int32(r.IntN(8))
			if f.Type == "bool" {
				f.Bits = 1
			}
		default:
			f.Schema = random(r, depth, s.Union)
		}
		s.Fields = append(s.Fields, f)
	}
	return s
}

// TestCompilersAgree declares random schemas in C and Go. What both compilers lay out is what the schema does.
func TestCompilersAgree(t *testing.T) {
	const many, seed = 400, 7
	r := rand.New(rand.NewPCG(seed, seed))
	c := "#include <linux/types.h>\n#include <linux/in6.h>\n#include <linux/bpf.h>\n"
	g := "package main\n\nimport (\n\t\"encoding/binary\"\n\t\"fmt\"\n\t\"os\"\n\t\"unsafe\"\n)\n\n"
	checks := ""
	made := 0
	for made < many {
		s := randomStruct(r, 3)
		if _, err := schema.New(&s); err != nil {
			if !strings.Contains(err.Error(), "padding") && !strings.Contains(err.Error(), "spin") {
				t.Fatalf("%v: %+v", err, s)
			}
			continue
		}
		typ := layOut(t, &s)
		c += cdecl.C(fmt.Sprintf("s%d", made), typ)
		g += cdecl.Go(fmt.Sprintf("S%d", made), typ) + "\n"
		checks += fmt.Sprintf("\tcheck(%q, binary.Size(S%d{}), %d)\n", fmt.Sprint(made), made, typ.Size())
		made++
	}
	clang.BPFText(t, "random", c)
	g += "func check(name string, got, want int) {\n\tif got != want {\n\t\tfmt.Println(name, got, want)\n\t\tos.Exit(1)\n\t}\n}\n\nfunc main() {\n" + checks + "}\n"
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(g), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"vet", file}, {"run", file}} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", args[0], err, out)
		}
	}
}
