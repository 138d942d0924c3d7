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
		if e.Expires != nil {
			fmt.Fprintf(&b, " until %s", e.Expires)
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

		"csv":              {"key,value\n1,2\n3, \"4,5\"\n", csv, "2: \"1\" = \"2\"\n3: \"3\" = \"4,5\"\n"},
		"csv fields":       {"key.src,value.action,value.limit.rate\n10.0.0.1,true,5\n", csv, "2: {\"src\":\"10.0.0.1\"} = {\"action\":\"true\",\"limit\":{\"rate\":\"5\"}}\n"},
		"csv list":         {"key,value\n1,\"[1,2]\"\n", csv, "2: \"1\" = \"[1,2]\"\n"},
		"csv constant":     {"# a feed\nkey\n1\n", csvWithValue, "3: \"1\" = 7\n"},
		"csv empty":        {"", csv, ""},
		"csv no key":       {"value\n2\n", csv, "error: line 1: the header has no column key (or key.FIELD): it is \"value\"\n"},
		"csv no value":     {"key\n1\n", csv, "error: line 1: the header has no column value (or value.FIELD), and the source has no value for all\n"},
		"csv twice":        {"key,key,value\n", csv, "error: line 1, column 5: column \"key\": is given twice, or as a whole and by fields\n"},
		"csv whole, field": {"key,key.a,value\n", csv, "error: line 1, column 5: column \"key.a\": is given as a whole and by fields\n"},
		"csv columns":      {"key,value\n1,2\n3\n", csv, "2: \"1\" = \"2\"\nerror: line 3, column 1: wrong number of fields\n"},
		"csv quote":        {"key,value\n1,\"2\n", csv, "error: line 2, column 6: extraneous or missing \" in quoted-field\n"},

		"json":         {"[\n {\"key\": 1, \"value\": 2},\n {\"key\": {\"a\": 3},\n  \"values\": [4, 5]}\n]", js, "2: 1 = 2\n3: {\"a\": 3} =  [4] [5]\n"},
		"json lines":   {"{\"key\": 1, \"value\": 2}\n\n{\"key\": 3, \"value\": 4}\n", js, "1: 1 = 2\n3: 3 = 4\n"},
		"json empty":   {"[]", js, ""},
		"json nothing": {"", js, ""},
		"json broken":  {"[\n{\"key\": 1,\n \"value\" 2}]", js, "error: line 3, column 10: invalid character '2' after object key\n"},
		"json cut":     {"[{\"key\": 1, \"value\": 2},", js, "1: 1 = 2\nerror: line 1, column 25: unexpected end of input\n"},
		"json unknown": {"[{\"key\": 1, \"valeu\": 2}]", js, "error: line 1, column 13: unknown field \"valeu\": must be one of key, value, values, expires\n"},

		"yaml":         {"# feed\n- key: 1\n  value: 2\n- {key: 3, value: {list: [1]}}\n", yml, "2: 1 = 2\n4: 3 = {\"list\":[1]}\n"},
		"yaml nested":  {"- key: 1\n  values:\n  - 1\n  - 2\n- key: 2\n  value: 3\n", yml, "1: 1 =  [1] [2]\n5: 2 = 3\n"},
		"yaml empty":   {"# nothing\n", yml, ""},
		"yaml no list": {"key: 1\n", yml, "error: line 1, column 1: must be a list of entries\n"},
		"yaml unknown": {"- {key: 1, value: 2}\n- {kee: 1}\n", yml, "1: 1 = 2\nerror: line 2, column 4: unknown field \"kee\": must be one of key, value, values, expires\n"},

		"lines, bad UTF-8":     {"a\n\xff\n", lines, "1: \"a\" = 1\nerror: line 2: is not valid UTF-8\n"},
		"lines, CR LF":         {"a\r\nb\r\n", lines, "1: \"a\" = 1\n2: \"b\" = 1\n"},
		"csv quoted blanks":    {"key,value\n\" a \",\"true\"\n", csv, "2: \" a \" = \"true\"\n"},
		"csv unquoted blanks":  {"key, value\n a,\t2\n", csv, "2: \"a\" = \"2\"\n"},
		"csv unknown column":   {"key,note,value\n1,x,2\n", csv, "error: line 1, column 5: unknown column \"note\": must be one of key, key.FIELD, value, value.FIELD, expires\n"},
		"csv another case":     {"KEY,value\n1,2\n", csv, "error: line 1, column 1: unknown column \"KEY\": must be one of key, key.FIELD, value, value.FIELD, expires\n"},
		"csv bad UTF-8":        {"key,value\n1,\xff\n", csv, "error: line 2, column 3: is not valid UTF-8\n"},
		"csv byte order mark":  {"\ufeffkey,value\r\n1,2\r\n", csv, "2: \"1\" = \"2\"\n"},
		"json second list":     {"[{\"key\": 1, \"value\": 1}]\n[{\"key\": 2, \"value\": 2}]", js, "1: 1 = 1\nerror: line 2, column 1: unexpected text behind the list of entries\n"},
		"json garbage":         {"[{\"key\": 1, \"value\": 1}] garbage", js, "1: 1 = 1\nerror: line 1, column 26: unexpected text behind the list of entries\n"},
		"json NUL bytes":       {"[]\n\x00\x00", js, "error: line 2, column 1: unexpected text behind the list of entries\n"},
		"json list, then more": {"{\"key\": 1, \"value\": 1}\n[{\"key\": 2, \"value\": 2}]", js, "1: 1 = 1\nerror: line 2, column 1: an entry must be an object with key and value\n"},
		"json doubled":         {"[\n {\"key\": 1,\n  \"value\": 7, \"value\": 8}]", js, "error: line 3, column 15: value is given twice\n"},
		"json doubled, escape": {"{\"key\": 1, \"value\": 7, \"valu\\u0065\": 8}", js, "error: line 1, column 24: value is given twice\n"},
		"json another case":    {"{\"KEY\": 1, \"value\": 7}", js, "error: line 1, column 2: unknown field \"KEY\": must be one of key, value, values, expires\n"},
		"json no object":       {"[1]", js, "error: line 1, column 2: an entry must be an object with key and value\n"},
		"json bad UTF-8":       {"[{\"key\": \"\xff\", \"value\": 1}]", js, "error: line 1, column 2: is not valid UTF-8\n"},
		"json values":          {"{\"key\": 1, \"values\": 1}", js, "error: line 1, column 12: values must be a list\n"},
		"json missing comma":   {"[{\"key\": 1, \"value\": 1}\n {\"key\": 2, \"value\": 2}]", js, "1: 1 = 1\nerror: line 2, column 2: expected comma after array element\n"},
		"json last comma":      {"[{\"key\": 1, \"value\": 1},\n]", js, "1: 1 = 1\nerror: line 2, column 1: invalid character ']' looking for beginning of value\n"},
		"json byte order mark": {"\ufeff[{\"key\": 1, \"value\": 1}]\r\n", js, "1: 1 = 1\n"},
		"json é before":        {"{\"key\": \"é\", \"x\": 1}", js, "error: line 1, column 14: unknown field \"x\": must be one of key, value, values, expires\n"},
		"yaml document":        {"# a feed\n---\n- {key: 1, value: 1}\n...\n# the end\n", yml, "3: 1 = 1\n"},
		"yaml second document": {"- {key: 1, value: 1}\n---\n- {key: 2, value: 2}\n", yml, "error: line 2, column 1: a second document begins: a source is one list of entries\n"},
		"yaml empty first":     {"---\n---\n- {key: 2, value: 2}\n", yml, "error: line 2, column 1: a second document begins: a source is one list of entries\n"},
		"yaml end, then more":  {"- {key: 1, value: 1}\n...\n- {key: 2, value: 2}\n", yml, "error: line 3, column 1: unexpected text behind the end of the document\n"},
		"yaml behind the list": {"  - {key: 1, value: 1}\nmore: 1\n", yml, "error: line 2, column 1: unexpected text behind the list of entries\n"},
		"yaml member behind":   {"- {key: 1, value: 1}\nmore: 1\n", yml, "error: line 2, column 1: must begin with '-', or be indented with spaces deeper than the list's dashes\n"},
		"yaml doubled":         {"- key: 1\n  value: 7\n  value: 8\n", yml, "error: line 3, column 3: value is given twice\n"},
		"yaml doubled inside":  {"- key: 1\n  value: {a: 1,\n   a: 2}\n", yml, "error: line 3, column 4: a is given twice\n"},
		"yaml another case":    {"- {KEY: 1, value: 7}\n", yml, "error: line 1, column 4: unknown field \"KEY\": must be one of key, value, values, expires\n"},
		"yaml alias":           {"- {key: 1, value: &v {a: 1}}\n- {key: 2, value: *v}\n", yml, "1: 1 = {\"a\":1}\nerror: line 2, column 19: aliases and merge keys are not supported in sources: write the value out\n"},
		"yaml unknown anchor":  {"- {key: 1, value: 1}\n- {key: 2, value: *v}\n", yml, "1: 1 = 1\nerror: line 2, column 19: aliases and merge keys are not supported in sources: write the value out\n"},
		"yaml merge key":       {"- {key: 1, value: {<<: {a: 1}, b: 2}}\n", yml, "error: line 1, column 20: aliases and merge keys are not supported in sources: write the value out\n"},
		"yaml merged entry":    {"- {<<: {key: 1}, value: 2}\n", yml, "error: line 1, column 4: aliases and merge keys are not supported in sources: write the value out\n"},
		"yaml tab":             {"- key: 1\n\tvalue: 2\n", yml, "error: line 2, column 1: must begin with '-', or be indented with spaces deeper than the list's dashes\n"},
		"yaml NUL byte":        {"- {key: 1, value: \"\x00\"}\n", yml, "error: line 1: control characters are not allowed\n"},
		"yaml tag":             {"- {key: !!binary aGk=, value: 2}\n", yml, "error: line 1, column 9: tag !!binary is not supported\n"},
		"yaml broken item":     {"- {key: 1, value: 1}\n- {key: 2, value: 2\n- {key: 3, value: 3}\n", yml, "1: 1 = 1\nerror: line 2: did not find expected ',' or '}'\n"},
		"yaml quoted list":     {"- {key: \"a\n- b\", value: 2}\n", yml, "error: line 1: 2 lines begin with the list's dash, but it has 1 items: indent the lines of a text or a list in brackets deeper than the dash\n"},
		"yaml CR":              {"- {key: 1, value: 1}\r- {key: 2, value: 2}\r", yml, "error: line 1: 1 lines begin with the list's dash, but it has 2 items: indent the lines of a text or a list in brackets deeper than the dash\n"},
		"yaml CR, document":    {"- {key: 1, value: 1}\r---\r- {key: 2, value: 2}\r", yml, "error: line 1: unexpected text behind the list of entries\n"},
		"yaml CR LF":           {"\ufeff- key: a\r\n  value: |\r\n    - x\r\n\r\n- {key: 1, value: 2}\r\n", yml, "1: \"a\" = \"- x\\n\"\n5: 1 = 2\n"},
		"yaml brackets":        {"# a\n[{key: 1, value: 2},\n {key: 'b', value: 0x10}]\n", yml, "2: 1 = 2\n3: \"b\" = 16\n"},
		"yaml second brackets": {"[{key: 1, value: 2}]\n[{key: 2, value: 2}]\n", yml, "error: line 1: unexpected text behind the list of entries\n"},
		"yaml indented":        {"   # a\n   - key: 1\n     value: yes\n   - key: 1e3\n     value: 18446744073709551616\n   - {key: 10, value: .5}\n", yml, "2: 1 = \"yes\"\n4: 1e3 = 18446744073709551616\n6: 10 = 0.5\n"},
		"yaml octal":           {"- {key: \"010\", value: 0x10}\n- {key: 1,\n   value: [7, 010]}\n", yml, "1: \"010\" = 16\nerror: line 3, column 15: 010 is 8 where YAML 1.1 is read, as by kubectl, and 10 in quotes: write 8 or 10, or quote a text\n"},
		"yaml infinity":        {"- {key: .inf, value: -.inf}\n- {key: .nan, value: inf}\n", yml, "1: \".inf\" = \"-.inf\"\n2: \".nan\" = \"inf\"\n"},
		"json no entry":        {"[\"192.0.2.0/24\"]", js, "error: line 1, column 2: an entry must be an object with key and value\n"},
		"yaml no entry":        {"- 192.0.2.0/24\n", yml, "error: line 1, column 3: an entry must be an object with key and value\n"},
		"json unknown, lines":  {"[{\"key\": 1,\n\"syncToken\": 2,\n\"value\": 3\n}]", js, "error: line 2, column 1: unknown field \"syncToken\": must be one of key, value, values, expires\n"},

		"unknown format": {"", source.Options{Format: "XML"}, "error: invalid format \"XML\": must be one of Lines, CSV, JSON, YAML, Hosts, IPSet, NFTables, P2P\n"},
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

// length is how many bytes of one long word are in a source that may be gzipped.
func length(data []byte) (n int, err error) {
	err = source.Read(data, source.Options{Format: v1alpha1.SourceLines, Value: []byte("1")}, func(e source.Entry) error {
		n += len(e.Key) - len(`""`) + len("\n")
		return nil
	})
	return n, err
}

// words is a text of n bytes that doesn't compress too well.
func words(n int) []byte {
	text := make([]byte, 0, n+8)
	for i := uint32(1); len(text) < n; i++ {
		text = fmt.Appendf(text, "%07x\n", i*2654435761>>4)
	}
	return text[:n]
}

func TestGzip(t *testing.T) {
	const lines = "plain\nlines\n"
	two := append(zip(t, []byte("plain\n")), zip(t, []byte("lines\n"))...)
	for name, data := range map[string][]byte{"plain": []byte(lines), "gzip": zip(t, []byte(lines)), "two members": two} {
		if n, err := length(data); err != nil || n != len(lines) {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	const bound = 4 << 20
	defer source.SetMaxBytes(bound)()
	most := words(bound)
	if n, err := length(zip(t, most)); err != nil || n != bound {
		t.Errorf("as much as is allowed: %d bytes, %v", n, err)
	}
	tooLong := zip(t, append(most, "x\n"...))
	liar := append(zip(t, most), zip(t, []byte("x\n"))...)
	dense := zip(t, bytes.Repeat([]byte("1\n"), bound/2))
	denseLiar := append(bytes.Clone(dense), zip(t, nil)...)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"too long, as the end says":    {tooLong, "claims to have 4194306 bytes once it is decompressed, at most 4194304 are possible (4194304, or 256 times its "},
		"too long in two members":      {liar, "has more than 4194304 bytes once it is decompressed"},
		"too dense, as the end says":   {dense, "claims to have 4194304 bytes once it is decompressed, at most"},
		"too dense in two members":     {denseLiar, fmt.Sprintf("or 256 times its %d gzipped bytes)", len(denseLiar))},
		"cut":                          {zip(t, []byte(lines))[:17], "unexpected end of gzipped data"},
		"gzip in its first bytes only": {[]byte{0x1f, 0x8b, 0}, "has a gzip header but is not valid gzip: unexpected EOF"},
		"text behind gzip":             {append(zip(t, []byte(lines)), "more text\x00\x00\x00\x00"...), "has data behind its end that are not gzip"},
		"NUL bytes behind gzip":        {append(zip(t, []byte(lines)), make([]byte, 512)...), "has data behind its end that are not gzip"},
		"another checksum":             {append(zip(t, []byte(lines))[:len(zip(t, []byte(lines)))-8], make([]byte, 8)...), "can't be decompressed: gzip: invalid checksum"},
		"too long, not compressed":     {append(most, "x\n"...), "has 4194306 bytes, at most 4194304 are possible"},
	} {
		if _, err := length(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
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

// TestLines counts lines of formats that have them, the last one also where no line break ends it.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		data   string
		format v1alpha1.SourceFormat
		want   int64
	}{
		{"", v1alpha1.SourceLines, 0},
		{"a", v1alpha1.SourceLines, 1},
		{"a\nb", v1alpha1.SourceCSV, 2},
		{"a\nb\n", v1alpha1.SourceHosts, 2},
		{"[1,\n2]", v1alpha1.SourceJSON, 0},
		{"\x1f\x8b\n\n", v1alpha1.SourceLines, 0},
	} {
		if got := source.Lines([]byte(c.data), c.format); got != c.want {
			t.Errorf("%s %q: %d lines, want %d", c.format, c.data, got, c.want)
		}
	}
}
