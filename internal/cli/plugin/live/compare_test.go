// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/contents"
)

func TestReadElements(t *testing.T) {
	const document = `{"node":"n","bpfMap":"edge/m","id":7,"type":"Hash","elements":[
  {"key": "10.0.0.0/8", "value": {"action":1}},
  {"key": 2, "values": [1, 2]},
  {"value": 3}
],"count":3,"complete":true}
`
	got, err := readElements(strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	want := elements{`"10.0.0.0/8"`: `{"action":1}`, "2": "[1, 2]", "": "3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, broken := range []string{"", "{}", document[:60], document[:100], `{"elements":[{"key":`} {
		if got, err := readElements(strings.NewReader(broken)); err == nil {
			t.Errorf("%q is read as %v", broken, got)
		}
	}
}

func TestDifferences(t *testing.T) {
	base := elements{`"a"`: "1", `"b"`: "2", `"c"`: `{"x":1}`, `"d"`: "4"}
	d := base.differences(elements{`"a"`: "1", `"b"`: "3", `"c"`: `{"x":2}`, `"e"`: "5"})
	var b bytes.Buffer
	d.write(&b, 20)
	const want = "  + e = 5\n  ~ b: 2 → 3\n  ~ c: x 1 → 2\n  - d = 4\n"
	if b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	d.write(&b, 1)
	if want := "  + e = 5\n  … and 3 more differences (--limit)\n"; b.String() != want {
		t.Errorf("%s\nwant\n%s", b.String(), want)
	}
	b.Reset()
	base.differences(base).write(&b, 20)
	if !strings.Contains(b.String(), "the map changes") {
		t.Error(b.String())
	}
}

// TestWords: values are as diff has them on a node.
func TestWords(t *testing.T) {
	if got := plain(nil); got != "" {
		t.Errorf("the key of a type without keys is shown as %q", got)
	}
	for _, c := range []struct{ was, is, plain, changes string }{
		{`{"action":1, "rule":7}`, `{"action":1, "rule":9}`, "{action: 1, rule: 7}", "rule 7 → 9"},
		{`{"peer":{"port":80,"tls":true},"of":[1, 2]}`, `{"peer":{"port":443,"tls":true},"of":[1, 3]}`, "{peer: {port: 80, tls: true}, of: [1, 2]}", "peer.port 80 → 443, of[1] 2 → 3"},
		{`"10.0.0.0/8"`, `"10.0.0.0/9"`, "10.0.0.0/8", "10.0.0.0/8 → 10.0.0.0/9"},
		{`18446744073709551615`, `"18446744073709551615"`, "18446744073709551615", "18446744073709551615 → 18446744073709551615"},
		{`[[1], {"a":null}]`, `[[1]]`, "[[1], {a: null}]", "[[1], {a: null}] → [[1]]"},
		{`{"v4":"192.0.2.1"}`, `{"v6":"::1"}`, "{v4: 192.0.2.1}", "{v4: 192.0.2.1} → {v6: ::1}"},
		{`[1,1,1,1,1,1,1,1,1,1]`, `[0,0,0,0,0,0,0,0,0,0]`, "[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
			"[0] 1 → 0, [1] 1 → 0, [2] 1 → 0, [3] 1 → 0, [4] 1 → 0, [5] 1 → 0, [6] 1 → 0, [7] 1 → 0, and 2 more"},
	} {
		if got := plain(raw(c.was)); got != c.plain {
			t.Errorf("%s is shown as %s, want %s", c.was, got, c.plain)
		}
		if got := changes(raw(c.was), raw(c.is)); got != c.changes {
			t.Errorf("%s → %s is shown as %s, want %s", c.was, c.is, got, c.changes)
		}
	}
}

// TestCompareText is what people read.
func TestCompareText(t *testing.T) {
	var nodes []string
	for i := range 11 {
		nodes = append(nodes, fmt.Sprintf("n%02d", i))
	}
	r := &report{BPFMap: "edge/m", Kinds: []*kind{
		{Nodes: nodes, Entries: 2, Complete: true, Shape: "Hash, max entries 4", Plan: &contents.Planned{Revision: "m-4", InSync: true}},
		{
			Nodes: []string{"x"}, Entries: 1, Shape: "Hash, max entries 8", Plan: &contents.Planned{Revision: "m-4", Text: "edge/m: update: 1 insert\n  + 1 = 2\n"},
			Differences: &differences{Missing: []changed{{Key: raw("1"), Value: raw("2")}}},
		},
	}}
	var b bytes.Buffer
	if err := r.print(&b, &compareOptions{limit: 20}); err != nil {
		t.Fatal(err)
	}
	const want = `edge/m: 2 different contents on 12 nodes` + "\n" + `nodes n00, n01, n02, n03, n04, n05, n06, n07 and 3 more: 2 entries
  as revision m-4 says
node x: 1 entry (it changed while it was read: some may be missing)
  ! Hash, max entries 8, where nodes n00, n01, n02, n03, n04, n05, n06, n07 and 3 more: Hash, max entries 4
  - 1 = 2
  from revision m-4:
    edge/m: update: 1 insert
      + 1 = 2
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestTopRows adds nodes up, and tells what isn't known as such.
func TestTopRows(t *testing.T) {
	n := func(v int64) *int64 { return &v }
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	usage := func(name string, id uint32, entries *int64) contents.MapUsage {
		return contents.MapUsage{Namespace: "edge", Name: name, MapID: id, Type: "Hash", Entries: entries, MaxEntries: 100, MemlockBytes: 1024}
	}
	before := &sample{at: map[string]time.Time{"a": start, "b": start}, maps: map[string][]contents.MapUsage{
		"a": {usage("full", 1, n(40)), usage("new", 2, n(1))}, "b": {usage("full", 1, n(90))},
	}}
	now := &sample{at: map[string]time.Time{"a": start.Add(2 * time.Second), "b": start.Add(time.Second)}, maps: map[string][]contents.MapUsage{
		"a": {usage("full", 1, n(60)), usage("new", 3, n(1)), usage("queue", 4, nil)},
		"b": {usage("full", 1, n(80)), {Namespace: "edge", Name: "gone", Error: "the map is gone"}},
	}}
	got := (&topOptions{}).rows(before, now)
	var lines []string
	for _, r := range got {
		lines = append(lines, fmt.Sprintf("%s nodes %d entries %s fill %s rate %s memory %d %s", r.Name, r.Nodes, orDash(r.Entries, "%d"), orDash(r.Fill, "%.0f"), orDash(r.Rate, "%+.0f"), r.Memory, r.Errors))
	}
	want := []string{
		"full nodes 2 entries 140 fill 80 rate +0 memory 2048 []", // +10 on a, -10 on b
		"new nodes 1 entries 1 fill 1 rate - memory 1024 []",
		"gone nodes 1 entries - fill - rate - memory 0 [b: the map is gone]",
		"queue nodes 1 entries - fill - rate - memory 1024 []",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if rows := (&topOptions{byNode: true}).rows(before, now); len(rows) != 5 || rows[0].Node != "b" || *rows[0].Rate != -10 {
		t.Errorf("by node: %+v", rows)
	}
}
