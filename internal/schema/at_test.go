// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func layoutOf(t *testing.T, text string) *Layout {
	t.Helper()
	var s v1alpha1.Schema
	if err := yaml.UnmarshalStrict([]byte(text), &s); err != nil {
		t.Fatal(err)
	}
	l, err := New(&s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestAt finds parts at the bytes where encoding puts them.
func TestAt(t *testing.T) {
	const schema = `{fields: [{name: a, type: u8}, {name: m, type: u16, dimensions: [3, 4]}, {name: u, union: true, fields: [{name: x, type: u32}, {name: q, type: be16}]},
		{name: s, fields: [{name: lo, type: u32, bits: 5}, {name: hi, type: u32, bits: 27}, {name: z, type: i64, bits: 60}]}, {name: pad, type: u8}, {name: f, type: f32}, {name: ok, type: bool}, {name: name, type: string, size: 4}]}`
	l := layoutOf(t, schema)
	b := make([]byte, l.Size())
	value := `{"a": 7, "m": [[0,0,0,0],[0,0,0,0],[0,0,0,65535]], "u": {"x": 66051}, "s": {"lo": 21, "hi": 134217727, "z": -5}, "pad": 0, "f": -0.5, "ok": true, "name": "a b"}`
	if err := l.Encode(b, []byte(value)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"a": "7", "m[2][3]": "65535", "m[0][0]": "0", "u.x": "66051", "s.lo": "21", "s.hi": "134217727", "s.z": "-5", "f": "-0.5", "ok": "true", "name": "a b",
	} {
		p, err := l.At(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.AppendLabel(nil, b)); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
		if p.Why() != "" {
			continue
		}
		number := p.Number()
		if f, err := strconv.ParseFloat(want, 64); err == nil && number.Of(b) != f {
			t.Errorf("%s is the number %v, want %v", path, number.Of(b), f)
		}
	}
	p, err := l.At("u.q") // the other member, of the same bytes
	if number := p.Number(); err != nil || number.Of(b) != float64(binary.BigEndian.Uint16(binary.NativeEndian.AppendUint32(nil, 66051))) {
		t.Errorf("u.q is %v, %v", number.Of(b), err)
	}
}

// TestNumbersAreThoseOfText compares, for each type that is a number, how it is read with how it is printed.
func TestNumbersAreThoseOfText(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for typ := range scalars {
		if v := scalars[typ]; v.sized || v.linked {
			continue
		}
		l := layoutOf(t, "{type: "+string(typ)+"}")
		p, err := l.At("")
		if err != nil {
			t.Fatal(err)
		}
		if p.Why() != "" {
			continue
		}
		number := p.Number()
		for range 200 {
			b := make([]byte, l.Size())
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			if typ == v1alpha1.TypeBool {
				b[0] &= 1
			}
			text, got := l.Format(b), number.Of(b)
			switch want, err := strconv.ParseFloat(text, 64); {
			case typ == v1alpha1.TypeBool:
				if (text == "true") != (got == 1) || (text == "false") != (got == 0) {
					t.Fatalf("bool %x: %v, printed as %s", b, got, text)
				}
			case strings.HasPrefix(text, "NaN"):
				if !math.IsNaN(got) {
					t.Fatalf("%s %x: %v, printed as %s", typ, b, got, text)
				}
			case err != nil || got != want && (typ != v1alpha1.TypeF32 || float32(got) != float32(want)):
				t.Fatalf("%s %x: %v, printed as %s (%v)", typ, b, got, text, err)
			}
		}
	}
}
