// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// compiled is the revision of a spec.
func compiled(t testing.TB, spec string) *revision.Revision {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte("metadata: {namespace: shop, name: flags}\nspec: "+spec), m); err != nil {
		t.Fatal(err)
	}
	rev, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

func TestDiff(t *testing.T) {
	const hash = "type: Hash, key: {type: ipv4}, value: {fields: [{name: action, type: u8}, {name: rule, type: u32}]}, maxEntries: 16"
	for _, test := range []struct{ name, from, to, want string }{
		{"the same", "{" + hash + ", entries: [{key: 192.0.2.1, value: {action: 1, rule: 7}}]}", "{" + hash + ", entries: [{key: 192.0.2.1, value: {action: 1, rule: 7}}]}",
			"no entry differs\n"},
		{"all kinds", "{" + hash + ", entries: [{key: 192.0.2.1, value: {action: 1, rule: 7}}, {key: 192.0.2.9, value: {action: 1, rule: 7}}]}",
			"{" + hash + ", entries: [{key: 192.0.2.1, value: {action: 2, rule: 7}}, {key: 192.0.2.2, value: {action: 1, rule: 7}}]}",
			"  ~ 192.0.2.1: action 1 → 2\n  + 192.0.2.2 = {action: 1, rule: 7}\n  - 192.0.2.9 = {action: 1, rule: 7}\n1 added, 1 changed, 1 removed\n"},
		{"another schema of the same size", "{type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 4, entries: [{key: 1, value: 7}]}",
			"{type: Hash, key: {type: u32}, value: {type: ipv4}, maxEntries: 4, entries: [{key: 1, value: 192.0.2.1}]}",
			"  ~ 1: 7 → 192.0.2.1\n0 added, 1 changed, 0 removed\n"},
		{"another size", "{type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 4, entries: [{key: 1, value: 7}]}",
			"{type: Hash, key: {type: u32}, value: {type: u64}, maxEntries: 4, entries: [{key: 1, value: 7}]}",
			"  - 1 = 7\n  + 1 = 7\n1 added, 0 changed, 1 removed\n"},
		{"prefixes", "{type: LPMTrie, key: {type: ipv4Prefix}, value: {type: u8}, maxEntries: 4, entries: [{key: 10.0.0.0/8, value: 1}]}",
			"{type: LPMTrie, key: {type: ipv4Prefix}, value: {type: u8}, maxEntries: 4, entries: [{key: 10.0.0.0/8, value: 2}, {key: 10.0.0.0/9, value: 1}]}",
			"  ~ 10.0.0.0/8: 1 → 2\n  + 10.0.0.0/9 = 1\n1 added, 1 changed, 0 removed\n"},
		{"elements without keys", "{type: Queue, value: {type: u8}, maxEntries: 4, entries: [{value: 1}, {value: 2}]}", "{type: Queue, value: {type: u8}, maxEntries: 4, entries: [{value: 1}, {value: 3}, {value: 4}]}",
			"  ~ 2 → 3\n  + 4\n1 added, 1 changed, 0 removed\n"},
		{"values of each CPU", "{type: PerCPUHash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, values: [1, 2]}]}", "{type: PerCPUHash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, values: [1, 3]}]}",
			"  ~ 1: cpu0: 1, cpu1: 2 → cpu0: 1, cpu1: 3\n0 added, 1 changed, 0 removed\n"},
		{"names that nodes resolve", "{type: Hash, key: {type: u8}, value: {type: ifindex}, maxEntries: 4, entries: [{key: 1, value: eth0}]}", "{type: Hash, key: {type: u8}, value: {type: ifindex}, maxEntries: 4, entries: [{key: 1, value: eth1}]}",
			"  ~ 1: eth0 → eth1\n0 added, 1 changed, 0 removed\n"},
		{"from nothing", "", "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 1}]}", "  + 1 = 1\n1 added, 0 changed, 0 removed\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var from *revision.Revision
			if test.from != "" {
				from = compiled(t, test.from)
			}
			var out bytes.Buffer
			changes, err := Diff(&out, from, compiled(t, test.to), 0, false)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&out, changes)
			if diff := cmp.Diff(test.want, out.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDiffHides: what comes from a Secret is counted, and only shown on request.
func TestDiffHides(t *testing.T) {
	from := compiled(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 1}, {key: 2, value: 1}, {key: 3, value: 1}]}")
	to := compiled(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 2}]}")
	for _, test := range []struct {
		sensitive, reveal bool
		limit             int
		want              string
	}{
		{false, false, 0, "  ~ 1: 1 → 2\n  - 2 = 1\n  - 3 = 1\n"},
		{false, false, 2, "  ~ 1: 1 → 2\n  - 2 = 1\n  … and 1 more line (--limit 0 shows all)\n"},
		{true, false, 2, ""},
		{true, true, 0, "  ~ 1: 1 → 2\n  - 2 = 1\n  - 3 = 1\n"},
	} {
		from.Sensitive = test.sensitive
		var out bytes.Buffer
		changes, err := Diff(&out, from, to, test.limit, test.reveal)
		if err != nil || changes != (Changes{Changed: 1, Removed: 2}) {
			t.Fatalf("%+v, %v", changes, err)
		}
		if out.String() != test.want {
			t.Errorf("%+v:\n%s", test, out.String())
		}
	}
}

// TestDiffAgainstAModel compares revisions of many parts with a comparison of maps.
func TestDiffAgainstAModel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) (map[string]string, *revision.Revision) {
		held := map[string]string{}
		entries := revision.Entries{KeySize: 4, ValueSize: 64}
		for range n {
			key := []byte{byte(random.IntN(4)), byte(random.IntN(256)), byte(random.IntN(16)), 1}
			if _, ok := held[string(key)]; ok {
				continue
			}
			value := make([]byte, 64)
			value[0] = byte(random.IntN(2))
			held[string(key)] = string(value)
			entries.Keys, entries.Values = append(entries.Keys, key...), append(entries.Values, value...)
			entries.Len++
		}
		rev := compiled(t, "{type: Hash, key: {type: be32}, value: {type: u8, length: 64}, maxEntries: 65536}")
		contents, err := revision.NewContents(rev.Shape, &entries)
		if err != nil {
			t.Fatal(err)
		}
		rev.Contents = contents
		return held, rev
	}
	for _, sizes := range [][2]int{{0, 0}, {0, 100}, {100, 0}, {5000, 9000}, {9000, 5000}, {9000, 9000}} {
		a, from := draw(sizes[0])
		b, to := draw(sizes[1])
		var want Changes
		for k, v := range b {
			switch old, ok := a[k]; {
			case !ok:
				want.Added++
			case old != v:
				want.Changed++
			}
		}
		for k := range a {
			if _, ok := b[k]; !ok {
				want.Removed++
			}
		}
		var out bytes.Buffer
		got, err := Diff(&out, from, to, 0, false)
		if err != nil || got != want {
			t.Errorf("%v: %+v, %v, want %+v", sizes, got, err, want)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if total := want.Added + want.Changed + want.Removed; total > 0 && len(lines) != total {
			t.Errorf("%v: %d lines for %d changes", sizes, len(lines), total)
		}
		if len(from.Contents.Parts())+len(to.Contents.Parts()) < 3 && sizes[0]+sizes[1] > 10000 {
			t.Errorf("%v: the revisions have only one part each", sizes)
		}
	}
}

func TestEntries(t *testing.T) {
	rev := compiled(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 8, entries: [{key: 3, value: 1}, {key: 1, value: 2}, {key: 2, value: 3}]}")
	for _, test := range []struct {
		page Page
		form Form
		want []string
	}{
		{Page{}, Text, []string{"1 = 2", "2 = 3", "3 = 1"}},
		{Page{Limit: 1, Offset: 1}, Text, []string{"2 = 3"}},
		{Page{Offset: 7}, Text, nil},
		{Page{Limit: 2}, YAML, []string{`- {"key": 1, "value": 2}`, `- {"key": 2, "value": 3}`}},
	} {
		var out bytes.Buffer
		written, err := Entries(&out, rev, test.page, test.form)
		got := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(out.String(), " ", "_"), "\n", " "))
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "_", " ")
		}
		if err != nil || written != len(test.want) || !slices.Equal(got, test.want) {
			t.Errorf("%+v: %q, %d, %v", test.page, got, written, err)
		}
	}
}

// BenchmarkDiff compares a million entries of which a hundredth differs.
func BenchmarkDiff(b *testing.B) {
	const n = 1_000_000
	// Values of a hundredth of the entries are changed.
	rev := func(changed byte) *revision.Revision {
		entries := revision.Entries{KeySize: 4, ValueSize: 1, Keys: make([]byte, 0, n*4), Values: make([]byte, n), Len: n}
		for i := range n {
			entries.Keys = append(entries.Keys, byte(i>>24), byte(i>>16), byte(i>>8), byte(i))
			if i%100 == 0 {
				entries.Values[i] = changed
			}
		}
		r := compiled(b, "{type: Hash, key: {type: be32}, value: {type: u8}, maxEntries: 1000000}")
		contents, err := revision.NewContents(r.Shape, &entries)
		if err != nil {
			b.Fatal(err)
		}
		r.Contents = contents
		return r
	}
	from, to := rev(1), rev(2)
	b.ReportAllocs()
	for b.Loop() {
		var out bytes.Buffer
		if changes, err := Diff(&out, from, to, 100, false); err != nil || changes.Changed != n/100 {
			b.Fatal(changes, err)
		}
	}
}

// TestCompare has the same changes as the lines.
func TestCompare(t *testing.T) {
	const spec = "{type: Hash, key: {type: u8}, value: {fields: [{name: a, type: u8}, {name: b, type: u8}]}, maxEntries: 8, entries: [%s]}"
	from := compiled(t, fmt.Sprintf(spec, "{key: 1, value: {a: 1, b: 2}}, {key: 2, value: {a: 1, b: 2}}"))
	to := compiled(t, fmt.Sprintf(spec, "{key: 2, value: {a: 1, b: 3}}, {key: 3, value: {a: 0, b: 0}}"))
	got, changes, err := Compare(from, to, 0, false)
	if err != nil || changes != (Changes{1, 1, 1}) {
		t.Fatalf("%+v, %v", changes, err)
	}
	text, err := json.Marshal(got)
	const want = `[{"change":"removed","key":1,"from":{"a":1,"b":2}},{"change":"changed","key":2,"from":{"a":1,"b":2},"to":{"a":1,"b":3}},` +
		`{"change":"added","key":3,"to":{"a":0,"b":0}}]`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v\nwant %s", text, err, want)
	}
	if got, _, err := Compare(from, to, 1, false); err != nil || len(got) != 1 {
		t.Errorf("with a limit of 1: %v, %v", got, err)
	}
	to.Sensitive = true
	if got, changes, err := Compare(from, to, 0, false); err != nil || len(got) != 0 || changes.Added != 1 {
		t.Errorf("of a Secret: %v, %+v, %v", got, changes, err)
	}
}
