// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package element

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

func layout(t *testing.T, s v1alpha1.Schema) *schema.Layout {
	t.Helper()
	l, err := schema.New(&s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// rule is struct { __u8 action; __u32 rule; }.
var rule = v1alpha1.Schema{Fields: []v1alpha1.Field{
	{Name: "action", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU8}}, {Name: "rule", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU32}},
}}

// tcpFlags is a byte of flags.
var tcpFlags = v1alpha1.Schema{Type: v1alpha1.TypeU8, Flags: map[string]int64{"syn": 2, "ack": 16}}

// either is a union, counted has a default in each field, ports are the keys of a trie.
var (
	either = v1alpha1.Schema{Union: true, Fields: []v1alpha1.Field{
		{Name: "v4", Schema: v1alpha1.Schema{Type: v1alpha1.TypeIPv4}}, {Name: "v6", Schema: v1alpha1.Schema{Type: v1alpha1.TypeIPv6}},
	}}
	counted = v1alpha1.Schema{Fields: []v1alpha1.Field{
		{Name: "n", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU16, Default: &apiextensionsv1.JSON{Raw: []byte("7")}}},
		{Name: "m", Schema: v1alpha1.Schema{Type: v1alpha1.TypeU16, Default: &apiextensionsv1.JSON{Raw: []byte("0")}}},
	}}
	ports = v1alpha1.Schema{Type: v1alpha1.TypeBE16, Prefix: true}
)

func TestParse(t *testing.T) {
	scalar := func(s v1alpha1.ScalarType) Codec { return layout(t, v1alpha1.Schema{Type: s}) }
	for _, test := range []struct {
		name  string
		codec Codec
		parts []string
		want  string // hex, or the error
	}{
		{"typed integer", scalar("be32"), []string{"258"}, "00000102"},
		{"typed integer, hex", scalar("be32"), []string{"0x102"}, "00000102"},
		{"typed MAC that looks like a number of YAML", scalar("mac"), []string{"10:20:30:40:50:59"}, "102030405059"},
		{"typed prefix", scalar("ipv4Prefix"), []string{"10.0.0.0/8"}, "080000000a000000"},
		{"typed boolean", scalar("bool"), []string{"true"}, "01"},
		{"typed string", layout(t, v1alpha1.Schema{Type: "string", Size: 4}), []string{"ab"}, "61620000"},
		{"typed struct", layout(t, rule), []string{"{action: 1, rule: 0x207}"}, "0100000007020000"},
		{"typed array", layout(t, v1alpha1.Schema{Type: "be16", Length: 2}), []string{"[1, 2]"}, "00010002"},
		{"type given, though known", scalar("u32"), []string{"ipv4:192.0.2.1"}, "c0000201"},
		{"untyped integer", Bytes(4), []string{"be32:5"}, "00000005"},
		{"untyped negative", Bytes(1), []string{"i8:-1"}, "ff"},
		{"untyped hex", Bytes(3), []string{"hex:0a0b0c"}, "0a0b0c"},
		{"untyped hex with separators", Bytes(3), []string{"hex:0x0a 0b:0c"}, "0a0b0c"},
		{"untyped base64", Bytes(3), []string{"bytes:CgsM"}, "0a0b0c"},
		{"untyped MAC", Bytes(6), []string{"mac:02:00:5e:10:00:01"}, "02005e100001"},
		{"untyped string is padded", Bytes(6), []string{"str:abc"}, "616263000000"},
		{"parts", Bytes(8), []string{"u8:1", "hex:000000", "be32:7"}, "0100000000000007"},
		{"a string among parts is not padded", Bytes(4), []string{"str:ab", "be16:1"}, "61620001"},
		{"typed enum", layout(t, v1alpha1.Schema{Type: "u16", Enum: map[string]int64{"pass": 2}}), []string{"pass"}, "0200"},
		{"typed flags", layout(t, tcpFlags), []string{"syn|ack"}, "12"},
		{"typed flags in a list", layout(t, tcpFlags), []string{"[syn, 0x40]"}, "42"},
		{"typed duration", layout(t, v1alpha1.Schema{Type: "u32", Duration: "ms"}), []string{"1.5s"}, "dc050000"},
		{"typed time", layout(t, v1alpha1.Schema{Type: "be32", Time: "s"}), []string{"2030-01-01T00:00:00Z"}, "70dbd880"},
		{"typed float", scalar("f32"), []string{"-0"}, "00000080"},
		{"typed interface", scalar("ifindex"), []string{"7"}, "07000000"},
		{"typed integer with a leading zero", scalar("be32"), []string{"010"}, "0000000a"},
		{"typed string that is a list", layout(t, v1alpha1.Schema{Type: "string", Size: 4}), []string{"[1]"}, "5b315d00"},
		{"typed string that is a boolean", layout(t, v1alpha1.Schema{Type: "string", Size: 4}), []string{"true"}, "74727565"},
		{"typed union", layout(t, either), []string{"{v4: 192.0.2.1}"}, "c0000201000000000000000000000000"},
		{"typed union, another member", layout(t, either), []string{`{v6: "::1"}`}, "00000000000000000000000000000001"},
		{"typed struct with defaults", layout(t, counted), []string{"{}"}, "07000000"},
		{"typed struct as bytes", layout(t, counted), []string{`{$hex: "01020304"}`}, "01020304"},
		{"typed string as bytes", layout(t, v1alpha1.Schema{Type: "string", Size: 4}), []string{`{"$hex": "61006200"}`}, "61006200"},
		{"typed number of a trie", layout(t, ports), []string{"443"}, "1000000001bb0000"},
		{"typed range that is one prefix", layout(t, ports), []string{"8000-8063"}, "0a0000001f400000"},
		{"untyped address", Bytes(16), []string{"ip:192.0.2.1"}, "00000000000000000000ffffc0000201"},
		{"untyped 128 bits", Bytes(16), []string{"u128:0x10000000000000000"}, "00000000000000000100000000000000"},
		{"untyped counted string", Bytes(6), []string{"countedString:abc"}, "036162630000"},
		{"untyped name", Bytes(8), []string{"dnsName:Ab.c"}, "0261620163000000"},
		{"a name among parts", Bytes(8), []string{"u16:1", "dnsName:ab.c."}, "0100026162016300"},

		{"typed union, two members", layout(t, either), []string{`{v4: 192.0.2.1, v6: "::1"}`}, "gives both v4 and v6: a value of a union has exactly one member"},
		{"typed range", layout(t, ports), []string{"8000-8999"}, `"8000-8999" is 6 prefixes, and one is needed here`},
		{"typed struct as too few bytes", layout(t, counted), []string{`{$hex: "0102"}`}, ".$hex: is 2 bytes long, exactly 4 are required"},
		{"typed struct as bytes, not quoted", layout(t, counted), []string{`{$hex: 01020304}`}, ".$hex: 01020304 is 270532 where YAML 1.1 is read, as by kubectl, and 1020304 in quotes: write 270532 or 1020304, or quote a text"},
		{"typed struct with an octal number", layout(t, rule), []string{"{action: 1, rule: 010}"}, ".rule: 010 is 8 where YAML 1.1 is read, as by kubectl, and 10 in quotes: write 8 or 10, or quote a text"},
		{"typed enum, no name", layout(t, v1alpha1.Schema{Type: "u16", Enum: map[string]int64{"pass": 2}}), []string{"drop"}, `"drop" is not a name of the enum: must be one of pass, or a number`},
		{"a name of an interface", scalar("ifindex"), []string{"eth0"}, `"eth0" is not a number: what a name stands for is found on the node, where a manifest is applied`},
		{"no type", Bytes(4), []string{"5"}, `"5" needs a type, such as u32:… or hex:…: the map's schema is not known`},
		{"no type among parts", Bytes(4), []string{"u16:5", "6"}, `"6" is not TYPE:TEXT`},
		{"unknown type", Bytes(4), []string{"u33:5"}, `"u33:5" needs a type, such as u32:… or hex:…: the map's schema is not known`},
		{"too short", Bytes(4), []string{"u16:5"}, "u16:5 makes 2 bytes, 4 are needed"},
		{"too long", Bytes(4), []string{"u32:5", "u8:1"}, "u32:5 u8:1 makes 5 bytes, 4 are needed"},
		{"out of range", Bytes(1), []string{"u8:300"}, "u8:300: 300 is out of range for u8 (0…255)"},
		{"typed, out of range", scalar("u8"), []string{"300"}, "300 is out of range for u8 (0…255)"},
		{"typed struct, a field is missing", layout(t, rule), []string{"{action: 1}"}, ".rule: is missing, and has no default"},
		{"typed struct, no object", layout(t, rule), []string{"7"}, `"7" is not an object with the fields action, rule`},
		{"typed struct, broken", layout(t, rule), []string{"{action: 1"}, `read "{action: 1": yaml: line 1: did not find expected ',' or '}'`},
		{"string too long", Bytes(2), []string{"str:abc"}, `str:abc: "abc" is 3 bytes long, more than size 2`},
		{"broken base64", Bytes(2), []string{"bytes:!"}, "bytes:!: illegal base64 data at input byte 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b, err := Parse(test.parts, test.codec)
			got := hex.EncodeToString(b)
			if err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestWriter(t *testing.T) {
	prefix := layout(t, v1alpha1.Schema{Type: v1alpha1.TypeIPv4Prefix})
	u16 := layout(t, v1alpha1.Schema{Type: v1alpha1.TypeU16})
	hash := Typing{Key: prefix, Value: layout(t, rule)}
	perCPU := Typing{Key: Bytes(2), Value: u16, CPUs: 2}
	element := [2]string{"180000 00cb007100", "01000000 07000000"}
	for _, test := range []struct {
		name     string
		format   Format
		typing   Typing
		elements [][2]string
		want     string
	}{
		{"text", Text, hash, [][2]string{element}, "203.0.113.0/24 = {action: 1, rule: 7}\nFound 1 element\n"},
		{"hex", Hex, hash, [][2]string{element},
			"key: 18 00 00 00 cb 00 71 00  value: 01 00 00 00 07 00 00 00\nFound 1 element\n"},
		{"JSON", JSON, hash, [][2]string{element, element},
			`{"id":7,"elements":[` + "\n" +
				`  {"key": "203.0.113.0/24", "value": {"action":1,"rule":7}},` + "\n" +
				`  {"key": "203.0.113.0/24", "value": {"action":1,"rule":7}}` + "\n" +
				`],"count":2,"complete":true}` + "\n"},
		{"YAML", YAML, hash, [][2]string{element},
			"entries:\n" + `- {"key": "203.0.113.0/24", "value": {"action":1,"rule":7}}` + "\n"},
		{"per CPU, text", Text, perCPU, [][2]string{{"0a0b", "0100aaaaaaaaaaaa 0200bbbbbbbbbbbb"}, {"0a0c", "0100aaaaaaaaaaaa 0100bbbbbbbbbbbb"}},
			"0a 0b = cpu0: 1, cpu1: 2\n0a 0c = 1 on every CPU\nFound 2 elements\n"},
		{"per CPU, YAML", YAML, perCPU, [][2]string{{"0a0b", "0100aaaaaaaaaaaa 0200bbbbbbbbbbbb"}, {"0a0c", "0100aaaaaaaaaaaa 0100bbbbbbbbbbbb"}},
			"entries:\n" + `- {"key": "0a0b", "values": [1, 2]}` + "\n" + `- {"key": "0a0c", "value": 1}` + "\n"},
		{"no keys, text", Text, Typing{Value: u16}, [][2]string{{"", "0500"}}, "5\nFound 1 element\n"},
		{"no keys, hex", Hex, Typing{Value: u16}, [][2]string{{"", "0500"}}, "value: 05 00\nFound 1 element\n"},
		{"empty, text", Text, hash, nil, "Found 0 elements\n"},
		{"empty, JSON", JSON, hash, nil, `{"id":7,"elements":[],"count":0,"complete":true}` + "\n"},
		{"empty, YAML", YAML, hash, nil, "entries: []\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			w, err := NewWriter(&out, test.format, test.typing, struct {
				ID int `json:"id"`
			}{7})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range test.elements {
				if err := w.Write(unhex(t, e[0]), unhex(t, e[1])); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(true); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var errFull = errors.New("no space left")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

// TestWriterReportsErrors holds for errors that appear only when the buffer is written out.
func TestWriterReportsErrors(t *testing.T) {
	w, err := NewWriter(fullDisk{}, Text, Typing{Key: Bytes(1), Value: Bytes(1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 10_000 {
		if err = w.Write([]byte{1}, []byte{2}); err != nil {
			break
		}
	}
	if !errors.Is(err, errFull) || !errors.Is(w.Close(true), errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}

func BenchmarkWriter(b *testing.B) {
	l, err := schema.New(&rule)
	if err != nil {
		b.Fatal(err)
	}
	w, err := NewWriter(discard{}, Text, Typing{Key: Bytes(8), Value: l}, nil)
	if err != nil {
		b.Fatal(err)
	}
	key, value := make([]byte, 8), make([]byte, 8)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(key, value); err != nil {
			b.Fatal(err)
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
