// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema_test

import (
	"bytes"
	"strings"
	"fmt"
	"math/rand/v2"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// FuzzSchema lays any schema out. Whatever is accepted keeps its bounds, and each value that it accepts, and any bytes
// at all, come back as the same bytes from the text that they are printed as.
func FuzzSchema(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"type":"u32"}`, `7`},
		{`{"type":"ipv6Prefix"}`, `"2001:db8::/32"`},
		{`{"fields":[{"name":"a","type":"u8"},{"name":"b","type":"be16","length":2}]}`, `{"a":1,"b":[2,"0x3"]}`},
		{`{"length":2,"fields":[{"name":"a","type":"bool"},{"name":"b","type":"i64"}]}`, `[{"a":true,"b":-1},{"b":2,"a":false}]`},
		{`{"type":"string","size":4}`, `"é\n"`},
		{`{"packed":true,"fields":[{"name":"mac","type":"mac"},{"name":"h","type":"hex","size":3}]}`, `{"mac":"02:00:5e:10:00:01","h":"01 02 03"}`},
		{`{"fields":[{"name":"a","type":"u32","bits":3},{"name":"b","type":"i8","bits":7},{"type":"padding","bits":5}]}`, `{"a":7,"b":-64}`},
		{`{"union":true,"fields":[{"name":"a","type":"u8"},{"name":"b","fields":[{"name":"c","type":"bool"},{"name":"d","type":"u16"}]}]}`, `{"b":{"c":true,"d":3}}`},
		{`{"align":16,"fields":[{"name":"a","type":"u8","default":3},{"name":"b","type":"u16","dimensions":[2,2],"default":9}]}`, `{"b":[[1]]}`},
		{`{"type":"u16","flags":{"a":1,"b":2,"ab":3}}`, `["a",64]`},
		{`{"type":"i8","enum":{"a":1,"b":-1},"length":2}`, `["a",-7]`},
		{`{"type":"u64","duration":"ns"}`, `"1h30m0.5s"`},
		{`{"type":"i64","time":"ms"}`, `"2030-01-01T00:00:00.25+01:00"`},
		{`{"type":"i128"}`, `"-170141183460469231731687303715884105728"`},
		{`{"type":"f32","length":2}`, `["NaN",-1e-3]`},
		{`{"type":"ip","ipv4As":"First"}`, `"192.0.2.1"`},
		{`{"type":"ipPrefix","ipv4As":"Last"}`, `"10.0.0.0/8"`},
		{`{"type":"countedString","size":5,"lengthType":"be32"}`, `"a\u0000é"`},
		{`{"type":"dnsName","size":30}`, `"*.Bücher.example."`},
		{`{"fields":[{"name":"a","type":"u8","bits":3,"enum":{"x":7}},{"name":"b","type":"f64","default":"inf"}]}`, `{"a":"x"}`},
		{`{"fields":[{"name":"a","length":65536,"fields":[{"name":"b","type":"ifindex","length":4096}]}]}`, `1`},
	} {
		f.Add(seed[0], seed[1], []byte{1, 0, 0xff})
	}
	f.Fuzz(func(t *testing.T, text, value string, content []byte) {
		var s v1alpha1.Schema
		if yaml.UnmarshalStrict([]byte(text), &s) != nil {
			return
		}
		l, err := schema.New(&s)
		if err != nil {
			return
		}
		if l.Size() < 0 || l.Size() > schema.MaxSize+8 || l.Size()%l.Align() != 0 && !s.Packed {
			t.Fatalf("%s: size %d, alignment %d", text, l.Size(), l.Align())
		}
		links := l.References()
		if len(links) > schema.MaxReferenceFields {
			t.Fatalf("%s: %d links", text, len(links))
		}
		for _, link := range links {
			if link.Offset < 0 || link.Offset+link.Size > l.Size() {
				t.Fatalf("%s: a link at %+v of %d bytes", text, link, l.Size())
			}
		}
		if l.Size() > 1<<16 {
			return
		}
		b := make([]byte, l.Size())
		for i := range b {
			b[i] = byte(i)
			if len(content) > 0 {
				b[i] = content[i%len(content)]
			}
		}
		comesBack(t, l, text, b)
		clear(b)
		if l.Encode(b, []byte(value)) != nil {
			return
		}
		again := make([]byte, l.Size())
		if err := l.Encode(again, l.Decode(b)); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%s of %s: %x is printed as %s, which is %x (%v)", text, value, b, l.Decode(b), again, err)
		}
		_ = l.Format(b)
		if strings.Contains(value, `""`) || strings.Contains(value, `" `) {
			return // an empty cell may stand for nothing
		}
		clear(again)
		if err := l.EncodeCells(again, []byte(value)); err != nil {
			t.Errorf("%s of %s isn't accepted in a table: %v", text, value, err)
		}
	})
}

// comesBack checks that bytes are printed as what they are encoded from.
func comesBack(t *testing.T, l *schema.Layout, text string, b []byte) {
	t.Helper()
	printed := l.Decode(b)
	again := make([]byte, len(b))
	if err := l.Encode(again, printed); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%s: %x is printed as %s, which is %x (%v)", text, b, printed, again, err)
	}
	_ = l.Format(b)
}

// TestAnyBytesComeBack prints random bytes, and bytes that are nearly values, of random schemas.
func TestAnyBytesComeBack(t *testing.T) {
	seed := rand.Uint64()
	g := &generator{r: rand.New(rand.NewPCG(seed, 0))}
	for i := range 300 {
		s := g.next(i)
		text := fmt.Sprintf("seed %d: %s", seed, s.declaration)
		b := make([]byte, s.layout.Size())
		if err := s.layout.Encode(b, []byte(s.value)); err != nil {
			t.Fatalf("%s of %s: %v", text, s.value, err)
		}
		comesBack(t, s.layout, text, b)
		for range 8 {
			b[g.r.IntN(len(b))] ^= 1 << g.r.IntN(8)
			comesBack(t, s.layout, text, b)
		}
		for i := range b {
			b[i] = byte(g.r.Uint32())
		}
		comesBack(t, s.layout, text, b)
	}
}
