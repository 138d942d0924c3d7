// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/test/memory"
)

const mib = 1 << 20

// skipUnderRace leaves out what measures resident memory: the race detector keeps several bytes beside each
// one that is touched (its shadow memory), and nothing of it runs concurrently.
func skipUnderRace(t *testing.T) {
	t.Helper()
	info, _ := debug.ReadBuildInfo()
	if info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("resident memory is measured without the race detector, which needs several times as much")
	}
}

// peak is by how many bytes the process' resident memory grows at most while f runs.
func peak(t *testing.T, f func()) int64 {
	t.Helper()
	debug.FreeOSMemory()
	before := status(t, "VmRSS")
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil { // resets VmHWM: proc_pid_clear_refs(5)
		t.Fatal(err)
	}
	f()
	return status(t, "VmHWM") - before
}

// status is a number of bytes in /proc/self/status.
func status(t *testing.T, field string) int64 {
	t.Helper()
	n, err := memory.Of(os.Getpid(), field)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func gzipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// specOf is a BPFMap of edge with a spec, and a source with data for each element of entriesFrom.
func specOf(t *testing.T, spec string, data []byte) (*v1alpha1.BPFMap, []compile.Source) {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	m.Namespace, m.Name = "edge", "m"
	if err := yaml.UnmarshalStrict([]byte(spec), &m.Spec); err != nil {
		t.Fatal(err)
	}
	var sources []compile.Source
	for i := range m.Spec.EntriesFrom {
		sources = append(sources, compile.Source{Index: i, Name: "feed", Load: func() ([]byte, error) { return data, nil }})
	}
	return m, sources
}

// from is an element of entriesFrom of a format.
func from(format, more string) string {
	return "entriesFrom: [{configMapRef: {name: feed, key: list}, format: " + format + more + "}]"
}

// TestBounds compiles what a tenant may write to take the controller's memory. Whatever the verdict, no
// more than 64 MiB may be needed besides the source's data and, if it compiles, twice the packed size.
func TestBounds(t *testing.T) {
	skipUnderRace(t)
	const size = 8 * mib // of long texts
	hash := "type: Hash\nkey: {type: u32}\nvalue: {type: u32}\nmaxEntries: 10\n"
	strs := "type: Hash\nkey: {type: u32}\nvalue: {type: string, size: 1024}\nmaxEntries: 10\n"
	wide := func(size int) string {
		return fmt.Sprintf("type: Hash\nkey: {type: u32}\nvalue: {type: string, size: %d}\nmaxEntries: 100000\n", size)
	}
	numbers := func(n int) []byte {
		var b bytes.Buffer
		for i := range n {
			fmt.Fprintln(&b, i)
		}
		return b.Bytes()
	}
	const tooMany = "spec.maxEntries: 10 is less than the number of entries that are declared (at least 11, with those of 1 source)"
	numbered := func(begin, with, end string) []byte {
		b := []byte(begin)
		for i := 0; len(b) < size; i++ {
			b = fmt.Appendf(b, with, i)
		}
		return append(b, end...)
	}
	fill := func(begin, with, end string) []byte {
		return []byte(begin + strings.Repeat(with, (size-len(begin)-len(end))/len(with)) + end)
	}
	inline := func(n int, value string) string {
		var b strings.Builder
		b.WriteString("entries:\n")
		for i := range n {
			fmt.Fprintf(&b, "- {key: %d, value: %s}\n", i, value)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		spec string
		data []byte
		want string
	}{
		"an array of structs of arrays of links": {"type: Hash\nkey: {type: u32}\nmaxEntries: 4\nvalue: {fields: [{name: a, length: 65536, fields: [{name: b, type: ifindex, length: 4096}]}]}",
			nil, "spec.value: has 268435456 places of interfaces, maps, programs and cgroups, at most 4096 are possible"},
		"an array of structs of arrays": {"type: Array\nmaxEntries: 4\nvalue: {fields: [{name: a, length: 65536, fields: [{name: b, type: u8, length: 65536}]}]}",
			nil, "spec.value.fields[0].length: 65536 is out of range (1…16384)"},
		"a large value without entries": {"type: Array\nmaxEntries: 4\nvalue: {type: string, size: 1048576, length: 512}", nil, ""},
		"one entry of nearly a GiB": {"type: Array\nmaxEntries: 1\nvalue: {fields: [{name: a, type: string, size: 1048576, length: 1023}]}\nentries: [{key: 0, value: {a: []}}]",
			nil, "spec.entries: 1 entry of 1072693252 bytes each take 1072693252 bytes, more than the 268435456 that one map may have"},
		"one entry of a MiB":            {wide(mib) + "entries: [{key: 1, value: x}]", nil, "spec.entries[0]: an entry takes 1048580 bytes (key 4, value 1048576), more than the 262124 that one entry may take"},
		"200 entries of 250 kB":         {wide(250000) + inline(200, "x"), nil, ""},
		"200 lines of 250 kB":           {wide(250000) + from("Lines", ", value: x"), numbers(200), ""},
		"700 entries of a MiB":          {wide(mib) + inline(700, "x"), nil, "spec.entries: 700 entries of 1048580 bytes each take 734006000 bytes, more than the 268435456 that one map may have"},
		"3000 lines of a MiB":           {wide(mib) + from("Lines", ", value: x"), numbers(3000), "spec.entriesFrom[0]: an entry takes 1048580 bytes (key 4, value 1048576), more than the 262124 that one entry may take"},
		"3000 lines of 200 kB":          {wide(200000) + from("Lines", ", value: x"), numbers(3000), "spec.entries: 1343 entries of 200004 bytes each take 268605372 bytes, more than the 268435456 that one map may have"},
		"3000 gzipped lines":            {wide(200000) + from("Lines", ", value: x"), gzipped(t, numbers(3000)), "spec.entries: 1343 entries of 200004 bytes each"},
		"values of half a million CPUs": {"type: PerCPUHash\nkey: {type: u32}\nvalue: {type: string, size: 1024}\nmaxEntries: 10\n" + from("JSON", ""), append(append([]byte(`[{"key": 1, "values": ["x"`), bytes.Repeat([]byte(`,"x"`), 500000)...), "]}]"...), "values has more than 8192 elements, the most CPUs that Linux supports"},

		"YAML, too many":        {hash + from("YAML", ""), numbered("", "- {key: %d, value: 1}\n", ""), tooMany},
		"YAML, gzipped":         {hash + from("YAML", ""), gzipped(t, numbered("", "- {key: %d, value: 1}\n", "")), tooMany},
		"JSON, too many":        {hash + from("JSON", ""), numbered("[", "{\"key\":%d,\"value\":1},\n", "{}]"), tooMany},
		"Lines, too many":       {hash + from("Lines", ", value: 1"), numbered("", "%d\n", ""), tooMany},
		"CSV, too many":         {hash + from("CSV", ""), numbered("key,value\n", "%d,1\n", ""), tooMany},
		"repetitions, Lines":    {hash + from("Lines", ", value: 1"), fill("", "1\n", ""), ""},
		"repetitions, CSV":      {hash + from("CSV", ""), fill("key,value\n", "1,1\n", ""), ""},
		"repetitions, gzipped":  {wide(200000) + from("Lines", ", value: x"), gzipped(t, bytes.Repeat([]byte("1\n2\n3\n"), 100000)), ""},
		"duplicates, First":     {hash + "conflictPolicy: First\n" + from("Lines", ", value: 1"), bytes.Repeat([]byte("1\n2\n3\n"), mib/2), ""},
		"duplicates, Last":      {hash + "conflictPolicy: Last\n" + from("CSV", ""), append([]byte("key,value\n"), bytes.Repeat([]byte("1,1\n1,2\n"), mib/2)...), ""},
		"more than it may have": {hash + "conflictPolicy: First\n" + from("Lines", ", value: 1"), numbers(1000000), "(at least 11, with those of 1 source); spec.entriesFrom[0] (feed) has 1000000 lines"},
		"all wrong":             {hash + "conflictPolicy: First\n" + from("Lines", ", value: 1"), fill("", "x\n", ""), "; and at least 990 more"},
		"a million names":       {"type: Hash\nkey: {type: ifindex}\nvalue: {type: u32}\nmaxEntries: 1000000\n" + from("Lines", ", value: 1"), numbers(1000000), "spec.entries: reference more than 1024 interfaces"},

		"one long line":          {strs + from("Lines", ", value: x"), fill("", "1", ""), "line 1: has more than 2097152 bytes, the most that one entry may have"},
		"one long cell":          {strs + from("CSV", ""), fill("key,value\n1,\"", "x", "\""), "an entry has more than 2097152 bytes, the most that one may have"},
		"one long JSON string":   {strs + from("JSON", ""), fill(`[{"key": 1, "value": "`, "x", `"}]`), "an entry has more than 2097152 bytes, the most that one may have"},
		"one long JSON list":     {strs + from("JSON", ""), fill(`[{"key": 1, "value": [1`, ",1", `]}]`), "an entry has more than 2097152 bytes, the most that one may have"},
		"deep JSON":              {strs + from("JSON", ""), fill(`[{"key": 1, "value": `, "[", ""), "exceeded max depth"},
		"white space in JSON":    {strs + from("JSON", ""), fill("[", " \n", "]"), "more than 2097152 bytes"},
		"one long YAML string":   {strs + from("YAML", ""), fill("- key: 1\n  value: ", "x", "\n"), "has more than 2097152 bytes, the most that one entry may have"},
		"one long YAML text":     {strs + from("YAML", ""), fill("- key: 1\n  value: |\n", "    x\n", ""), "line 1: an entry has more than 2097152 bytes, the most that one may have"},
		"one long YAML list":     {strs + from("YAML", ""), fill("- key: 1\n  value:\n", "  - 1\n", ""), "line 1: an entry has more than 2097152 bytes, the most that one may have"},
		"many values in YAML":    {strs + from("YAML", ""), append([]byte("- key: 1\n  value: ["), append(bytes.Repeat([]byte("1,"), 900000), "]\n"...)...), "line 1: an entry, or a list in brackets, has more than the 131072 values that one may have in YAML"},
		"as many as may be":      {strs + from("YAML", ""), append([]byte("- key: 1\n  value: ["), append(bytes.Repeat([]byte("1,"), 130000), "]\n"...)...), "is not a string"},
		"deep YAML":              {strs + from("YAML", ""), append([]byte("- key: 1\n  value: "), bytes.Repeat([]byte("["), 100000)...), "exceeded max depth"},
		"YAML in brackets":       {strs + from("YAML", ""), fill("[", "{key: 1, value: x},\n", "]"), "(a list in brackets of more than 2097152 bytes is read as JSON)"},
		"YAML comments":          {strs + "allowEmptySources: true\n" + from("YAML", ""), fill("", "# x\n", ""), ""},
		"YAML comments, in item": {strs + from("YAML", ""), fill("- key: 1\n", "  # x\n", "  value: x\n"), "line 1: an entry has more than 2097152 bytes, the most that one may have"},
		"aliases":                {strs + from("YAML", ""), []byte("- key: &a [x,x,x,x,x,x,x,x,x]\n  value: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"), "aliases and merge keys are not supported in sources"},
		"blank CSV":              {strs + from("CSV", ""), fill("key,value\n", "\n", ""), "an entry has more than 2097152 bytes, the most that one may have"},
	} {
		t.Run(name, func(t *testing.T) {
			m, sources := specOf(t, c.spec, c.data)
			packed := 0
			grown := peak(t, func() {
				rev, err := compile.With(m, sources, nil)
				switch {
				case err == nil && c.want != "", err != nil && (c.want == "" || !strings.Contains(err.Error(), c.want)):
					t.Errorf("%v, want %q", err, c.want)
				case err == nil:
					packed = rev.Contents.PackedSize()
				}
			})
			if most := int64(64*mib + 2*packed); grown > most {
				t.Errorf("memory grew by %d MiB, at most %d are allowed", grown/mib, most/mib)
			}
		})
	}
}

// TestMemoryOfManyEntries holds for large maps that compile, from every format.
func TestMemoryOfManyEntries(t *testing.T) {
	skipUnderRace(t)
	list := func(begin, entry, end string, n int) []byte {
		b := []byte(begin)
		for i := range n {
			b = fmt.Appendf(b, entry, i)
		}
		return append(b, end...)
	}
	spec := "type: Hash\nkey: {type: u32}\nvalue: {type: string, size: 240}\nmaxEntries: 200000\n"
	for name, c := range map[string]struct {
		from string
		data []byte
		n    int
	}{
		"Lines": {from("Lines", ", value: x"), list("", "%d\n", "", 200000), 200000},
		"First": {"conflictPolicy: First\n" + from("Lines", ", value: x"), gzipped(t, list("", "%d\n", "", 200000)), 200000},
		"CSV":   {from("CSV", ""), list("key,value\n", "%d,x\n", "", 200000), 200000},
		"JSON":  {from("JSON", ""), list("", "{\"key\":%d,\"value\":\"x\"}\n", "", 200000), 200000},
		"YAML":  {from("YAML", ""), list("", "- {key: %d, value: x}\n", "", 60000), 60000},
		"spec":  {string(list("entries: [", "{key: %d, value: x},", "]", 60000)), nil, 60000},
	} {
		t.Run(name, func(t *testing.T) {
			m, sources := specOf(t, spec+c.from, c.data)
			var packed int
			grown := peak(t, func() {
				rev, err := compile.With(m, sources, nil)
				if err != nil {
					t.Error(err)
					return
				}
				if packed = rev.Contents.PackedSize(); rev.Contents.Len != c.n {
					t.Errorf("%d entries", rev.Contents.Len)
				}
			})
			if most := int64(40*mib + 2*packed); grown > most {
				t.Errorf("memory grew by %d MiB for %d MiB packed, at most %d are allowed", grown/mib, packed/mib, most/mib)
			}
		})
	}
}
