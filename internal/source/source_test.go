// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/source"
)

// read is "line: key = value" for each entry, and the error behind them.
func read(text string, o source.Options) string {
	var b strings.Builder
	err := source.Read([]byte(text), o, func(e source.Entry) error {
		fmt.Fprintf(&b, "%d: %s = %s", e.Line, e.Key, e.Value)
		for _, v := range e.Values {
			fmt.Fprintf(&b, " [%s]", v)
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		fmt.Fprintf(&b, "error: %v\n", err)
	}
	return b.String()
}

func TestRead(t *testing.T) {
	lines := source.Options{Format: v1alpha1.SourceLines, Value: []byte("1")}
	csv := source.Options{Format: v1alpha1.SourceCSV}
	csvWithValue := source.Options{Format: v1alpha1.SourceCSV, Value: []byte("7")}
	js := source.Options{Format: v1alpha1.SourceJSON}
	yml := source.Options{Format: v1alpha1.SourceYAML}
	for name, c := range map[string]struct {
		text string
		o    source.Options
		want string
	}{
		"lines":           {"10.0.0.0/8\n\n# all of it\n 192.0.2.0/24  # a comment\r\n", lines, "1: \"10.0.0.0/8\" = 1\n4: \"192.0.2.0/24\" = 1\n"},
		"no last newline": {"a\nb", lines, "1: \"a\" = 1\n2: \"b\" = 1\n"},
		"hash in a key":   {"a#b\n", lines, "1: \"a#b\" = 1\n"},
		"quotes":          {"say \"é\"\n", lines, "1: \"say \\\"é\\\"\" = 1\n"},
		"byte order mark": {"\ufeffa\n", lines, "1: \"a\" = 1\n"},
		"lines of values": {"5\n6\n", source.Options{Format: v1alpha1.SourceLines, Keyless: true}, "1:  = \"5\"\n2:  = \"6\"\n"},
		"lines, no value": {"a\n", source.Options{Format: v1alpha1.SourceLines}, "error: the format Lines needs a value for its keys\n"},
		"empty":           {"", lines, ""},

		"csv":              {"key,value,note\n1,2,x\n3, 4,\"y,z\"\n", csv, "2: \"1\" = \"2\"\n3: \"3\" = \"4\"\n"},
		"csv fields":       {"key.src,value.action,value.limit.rate\n10.0.0.1,true,5\n", csv, "2: {\"src\":\"10.0.0.1\"} = {\"action\":true,\"limit\":{\"rate\":\"5\"}}\n"},
		"csv list":         {"key,value\n1,\"[1,2]\"\n", csv, "2: \"1\" = [1,2]\n"},
		"csv constant":     {"# a feed\nkey\n1\n", csvWithValue, "3: \"1\" = 7\n"},
		"csv empty":        {"", csv, ""},
		"csv no key":       {"ip,value\n1,2\n", csv, "error: line 1: the header names no column key (or key.FIELD): it is \"ip,value\"\n"},
		"csv no value":     {"key\n1\n", csv, "error: line 1: the header names no column value (or value.FIELD), and the source has no value for all\n"},
		"csv twice":        {"key,key,value\n", csv, "error: line 1: column \"key\": is given twice, or as a whole and by fields\n"},
		"csv whole, field": {"key,key.a,value\n", csv, "error: line 1: column \"key.a\": is given as a whole and by fields\n"},
		"csv columns":      {"key,value\n1,2\n3\n", csv, "2: \"1\" = \"2\"\nerror: line 3: column 1: wrong number of fields\n"},
		"csv quote":        {"key,value\n1,\"2\n", csv, "error: line 2: column 6: extraneous or missing \" in quoted-field\n"},

		"json":         {"[\n {\"key\": 1, \"value\": 2},\n {\"key\": {\"a\": 3},\n  \"values\": [4, 5]}\n]", js, "2: 1 = 2\n3: {\"a\": 3} =  [4] [5]\n"},
		"json lines":   {"{\"key\": 1, \"value\": 2}\n\n{\"key\": 3, \"value\": 4}\n", js, "1: 1 = 2\n3: 3 = 4\n"},
		"json empty":   {"[]", js, ""},
		"json nothing": {"", js, ""},
		"json broken":  {"[\n{\"key\": 1,\n \"value\" 2}]", js, "error: line 3: invalid character '2' after object key\n"},
		"json cut":     {"[{\"key\": 1, \"value\": 2},", js, "1: 1 = 2\nerror: line 1: ends in the middle\n"},
		"json unknown": {"[{\"key\": 1, \"valeu\": 2}]", js, "error: line 1: unknown field \"valeu\"\n"},

		"yaml":         {"# feed\n- key: 1\n  value: 2\n- {key: 3, value: {list: [1]}}\n", yml, "2: 1 = 2\n4: 3 = {\"list\":[1]}\n"},
		"yaml nested":  {"- key: 1\n  values:\n  - 1\n  - 2\n- key: 2\n  value: 3\n", yml, "1: 1 =  [1] [2]\n5: 2 = 3\n"},
		"yaml empty":   {"# nothing\n", yml, ""},
		"yaml no list": {"key: 1\n", yml, "error: line 1: is no list of entries\n"},
		"yaml unknown": {"- {key: 1, value: 2}\n- {kee: 1}\n", yml, "1: 1 = 2\nerror: line 2: unknown field \"kee\"\n"},

		"unknown format": {"", source.Options{Format: "XML"}, "error: format \"XML\" is none of Lines, CSV, JSON, YAML\n"},
	} {
		if diff := cmp.Diff(c.want, read(c.text, c.o)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

func zip(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecompress(t *testing.T) {
	for _, data := range [][]byte{[]byte("plain"), zip(t, []byte("plain"))} {
		if got, err := source.Decompress(data); err != nil || string(got) != "plain" {
			t.Errorf("%q, %v", got, err)
		}
	}
	bomb := zip(t, make([]byte, source.MaxBytes+1))
	if _, err := source.Decompress(bomb); err == nil || !strings.Contains(err.Error(), "more than 67108864 bytes") {
		t.Errorf("%d bytes that hold %d: %v", len(bomb), source.MaxBytes+1, err)
	}
	if _, err := source.Decompress(zip(t, make([]byte, source.MaxBytes))); err != nil {
		t.Errorf("as much as is allowed: %v", err)
	}
	if _, err := source.Decompress(bomb[:100]); err == nil {
		t.Error("a gzip that was cut is taken")
	}
	if _, err := source.Decompress([]byte{0x1f, 0x8b, 0}); err == nil {
		t.Error("what only begins like gzip is taken")
	}
}

// TestYieldEndsReading stops at the first error of the consumer.
func TestYieldEndsReading(t *testing.T) {
	enough := errors.New("enough")
	n := 0
	err := source.Read([]byte("a\nb\nc\n"), source.Options{Format: v1alpha1.SourceLines, Value: []byte("1")}, func(source.Entry) error {
		if n++; n == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 2 {
		t.Errorf("%d entries, %v", n, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("key,value\n1,2", uint8(1))
	f.Add("[{\"key\":1}]", uint8(2))
	f.Add("- key: 1", uint8(3))
	formats := []v1alpha1.SourceFormat{v1alpha1.SourceLines, v1alpha1.SourceCSV, v1alpha1.SourceJSON, v1alpha1.SourceYAML}
	f.Fuzz(func(t *testing.T, text string, format uint8) {
		last := 0
		err := source.Read([]byte(text), source.Options{Format: formats[format%4], Value: []byte("1")}, func(e source.Entry) error {
			if e.Line < last || e.Line > 1+strings.Count(text, "\n") {
				t.Errorf("line %d after %d", e.Line, last)
			}
			last = e.Line
			return nil
		})
		_ = err // any text may be wrong
	})
}

func BenchmarkLines(b *testing.B) {
	var text bytes.Buffer
	const n = 10000
	for i := range n {
		fmt.Fprintf(&text, "10.%d.%d.0/24\n", i/256, i%256)
	}
	b.ReportAllocs()
	for b.Loop() {
		err := source.Read(text.Bytes(), source.Options{Format: v1alpha1.SourceLines, Value: []byte("1")}, func(source.Entry) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/entry")
}
