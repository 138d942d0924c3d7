// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package series_test

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/series"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

// table is a map with its metrics, as YAML, and how many CPUs its values are of.
type table struct {
	v1alpha1.BPFMapSpec
	cpus int
}

func read(t testing.TB, text string) *table {
	t.Helper()
	s := &table{cpus: 1}
	if err := yaml.UnmarshalStrict([]byte(text), &s.BPFMapSpec); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *table) subject() series.Subject {
	return series.Subject{Type: s.Type, Key: s.Key, Value: s.Value}
}

func (s *table) plan(t testing.TB) *series.Plan {
	t.Helper()
	p, wrong := series.New(s.Metrics, s.subject())
	if len(wrong) > 0 {
		t.Fatalf("%v", wrong)
	}
	return p
}

// packed are the entries as the kernel shows them.
func (s *table) packed(t testing.TB) (keys, values []byte) {
	t.Helper()
	key, err := schema.New(s.Key)
	if err != nil {
		t.Fatal(err)
	}
	value, err := schema.New(&s.Value)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Entries {
		b := make([]byte, key.Size())
		if err := key.Encode(b, e.Key.Raw); err != nil {
			t.Fatal(err)
		}
		keys = append(keys, b...)
		each := e.Values
		if e.Value != nil {
			each = append(each, *e.Value)
		}
		for _, one := range each {
			b := make([]byte, value.Size())
			if err := value.Encode(b, one.Raw); err != nil {
				t.Fatal(err)
			}
			values = append(values, b...)
			if len(each) > 1 {
				values = append(values, make([]byte, (8-len(b)%8)%8)...)
			}
		}
	}
	return keys, values
}

// show is what Prometheus would get.
func show(tab *series.Table) string {
	var b strings.Builder
	p := tab.Plan()
	for i, m := range p.Metrics {
		kind := "gauge"
		if m.Counter {
			kind = "counter"
		}
		fmt.Fprintf(&b, "# %s %s: %s\n", kind, m.Name, m.Help)
		for _, s := range tab.All() {
			var labels []string
			for j, name := range p.Labels {
				labels = append(labels, name+"="+strconv.Quote(s.Labels[j]))
			}
			fmt.Fprintf(&b, "%s{%s} %v\n", m.Name, strings.Join(labels, ","), s.Values[i])
		}
	}
	if n := tab.LeftOut(); n > 0 {
		fmt.Fprintf(&b, "%d left out\n", n)
	}
	return b.String()
}

// TestSeries compares what maps of all kinds become with a golden text.
func TestSeries(t *testing.T) {
	var got strings.Builder
	for _, c := range []struct{ name, spec string }{
		{"a scalar of each CPU, summed", `{type: PerCPUHash, key: {type: u32}, value: {type: u64}, maxEntries: 4, entries: [{key: 1, values: [1, 2, "18446744073709551615"]}],
			metrics: {labels: [{name: id}], values: [{name: hits, type: Counter}, {name: hits_max, type: Gauge, aggregation: Max}, {name: hits_min, type: Gauge, aggregation: Min}]}}`},
		{"slots of CPUs are 8 bytes", `{type: PerCPUHash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, values: [1, 255]}], metrics: {labels: [{name: id}], values: [{name: v, type: Gauge}]}}`},
		{"without labels all elements are one", `{type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 1}, {key: 2, value: 2}], metrics: {values: [{name: all, type: Gauge, help: All of it.}]}}`},
		{"an empty map is 0", `{type: Hash, key: {type: u32}, value: {type: u8}, maxEntries: 4, metrics: {values: [{name: all, type: Counter}]}}`},
		{"addresses", `{type: Hash, key: {fields: [{name: v4, type: ipv4}, {name: host, type: ipv4Host}, {name: v6, type: ipv6}, {name: mac, type: mac}, {name: port, type: be16}]}, value: {type: u8}, maxEntries: 4,
			entries: [{key: {v4: 192.0.2.1, host: 192.0.2.2, v6: '2001:db8::1', mac: '02:00:00:00:00:07', port: 443}, value: 1}],
			metrics: {labels: [{name: v4, field: v4}, {name: host, field: host}, {name: v6, field: v6}, {name: mac, field: mac}, {name: port, field: port}], values: [{name: v, type: Gauge}]}}`},
		{"prefixes", `{type: LPMTrie, key: {type: ipv4Prefix}, value: {type: u8}, maxEntries: 4, entries: [{key: 192.0.2.0/24, value: 1}, {key: 192.0.2.0/25, value: 2}], metrics: {labels: [{name: prefix}], values: [{name: v, type: Gauge}]}}`},
		{"prefixes behind fields", `{type: LPMTrie, key: {fields: [{name: tenant, type: u32}, {name: net, type: ipv4, prefix: true}]}, value: {type: u8}, maxEntries: 4, entries: [{key: {tenant: 1, net: 192.0.2.0/24}, value: 1}, {key: {tenant: 2, net: 192.0.2.0/24}, value: 2}],
			metrics: {labels: [{name: net, field: net}], values: [{name: v, type: Gauge}]}}`},
		{"names", `{type: Hash, key: {fields: [{name: verdict, type: u8, enum: {pass: 0, drop: 1}}, {name: flags, type: u8, flags: {syn: 2, ack: 16}}, {name: mode, type: u8, bits: 3}, {name: dir, type: u8, bits: 2, enum: {in: 0, out: 1}}]}, value: {type: u8}, maxEntries: 4,
			entries: [{key: {verdict: drop, flags: [syn, ack], mode: 5, dir: out}, value: 1}, {key: {verdict: 7, flags: [], mode: 0, dir: in}, value: 2}],
			metrics: {labels: [{name: verdict, field: verdict}, {name: flags, field: flags}, {name: mode, field: mode}, {name: dir, field: dir}], values: [{name: v, type: Gauge}]}}`},
		{"texts", `{type: Hash, key: {fields: [{name: s, type: string, size: 16}, {name: c, type: countedString, size: 8}, {name: h, type: hex, size: 2}, {name: b, type: bool}, {name: w, type: u128}]}, value: {type: u8}, maxEntries: 4,
			entries: [{key: {s: 'a "b" {c}', c: ü, h: 'ff00', b: true, w: '340282366920938463463374607431768211455'}, value: 1}, {key: {s: '', c: '', h: '0000', b: false, w: 0}, value: 1}],
			metrics: {labels: [{name: s, field: s}, {name: c, field: c}, {name: h, field: h}, {name: b, field: b}, {name: w, field: w}], values: [{name: v, type: Gauge}]}}`},
		{"numbers", `{type: Array, value: {fields: [{name: i, type: i16}, {name: be, type: be32}, {name: f, type: f32}, {name: d, type: f64}, {name: ok, type: bool}, {name: bits, type: i8, bits: 4}, {name: ttl, type: u64, duration: ms}, {name: seen, type: u32, time: s},
			{name: in, fields: [{name: hist, type: u16, length: 3}]}, {name: level, type: u8, enum: {low: 1, high: 9}}]}, key: {type: u32, enum: {rx: 0, tx: 1}}, maxEntries: 1,
			entries: [{key: rx, value: {i: -5, be: 258, f: 0.5, d: -1.25, ok: true, bits: -3, ttl: 1500ms, seen: 2030-01-01T00:00:00Z, in: {hist: [1, 2, 3]}, level: high}}],
			metrics: {labels: [{name: dir}], values: [{name: i, field: i, type: Gauge}, {name: be, field: be, type: Gauge}, {name: f, field: f, type: Gauge}, {name: d, field: d, type: Gauge}, {name: ok, field: ok, type: Gauge}, {name: bits, field: bits, type: Gauge},
			{name: ttl_seconds, field: ttl, type: Gauge}, {name: seen_timestamp_seconds, field: seen, type: Gauge}, {name: hist, field: 'in.hist[2]', type: Gauge}, {name: level, field: level, type: Gauge}]}}`},
		{"elements of zeros", `{type: Array, key: {type: u32}, value: {fields: [{name: a, type: u8}, {name: b, type: u8}]}, maxEntries: 4, entries: [{key: 0, value: {a: 0, b: 0}}, {key: 1, value: {a: 0, b: 1}}],
			metrics: {omitZero: true, labels: [{name: i}], values: [{name: a, field: a, type: Counter}, {name: b_total, field: b, type: Counter}]}}`},
		{"more than there is room for", `{type: Hash, key: {type: u32}, value: {fields: [{name: a, type: u8}, {name: b, type: u8}]}, maxEntries: 9, entries: [{key: 1, value: {a: 1, b: 1}}, {key: 2, value: {a: 1, b: 1}}, {key: 3, value: {a: 1, b: 1}}],
			metrics: {maxSeries: 5, labels: [{name: i}], values: [{name: a, field: a, type: Counter}, {name: b, field: b, type: Counter}]}}`},
	} {
		s := read(t, c.spec)
		tab := series.NewTable(s.plan(t), nil)
		keys, values := s.packed(t)
		tab.Begin()
		tab.Add(keys, values)
		tab.End()
		fmt.Fprintf(&got, "== %s\n%s", c.name, show(tab))
	}
	golden.Native(t, "testdata/series.golden", got.String())
}

const numbered = `{type: Hash, key: {type: u32}, value: {type: u64}, maxEntries: 100, metrics: {maxSeries: 2, labels: [{name: id}], values: [{name: v, type: Counter}]}}`

// fill reads a map that holds some keys, each with its own number as value.
func fill(tab *series.Table, keys ...uint32) string {
	tab.Begin()
	for _, k := range keys {
		tab.Add(binary.NativeEndian.AppendUint32(nil, k), binary.NativeEndian.AppendUint64(nil, uint64(k)))
	}
	tab.End()
	var ids []string
	for _, s := range tab.All() {
		ids = append(ids, fmt.Sprintf("%s=%v", s.Labels[0], s.Values[0]))
	}
	return fmt.Sprint(ids, tab.LeftOut())
}

// TestWhoHasASeriesKeepsIt wants no gaps in graphs because others came, and room for others where an element went.
func TestWhoHasASeriesKeepsIt(t *testing.T) {
	tab := series.NewTable(read(t, numbered).plan(t), nil)
	for _, c := range []struct {
		keys []uint32
		want string
	}{
		{[]uint32{5, 6}, "[5=5 6=6] 0"},
		{[]uint32{1, 5, 6, 7}, "[5=5 6=6] 2"},
		{[]uint32{1, 6}, "[6=6] 1"}, // the room is free after a reading without 5
		{[]uint32{1, 6}, "[6=6 1=1] 0"},
		{nil, "[] 0"},
		{[]uint32{2}, "[2=2] 0"},
	} {
		if got := fill(tab, c.keys...); got != c.want {
			t.Errorf("%v: %s, want %s", c.keys, got, c.want)
		}
	}
}

// TestBudget bounds tables together.
func TestBudget(t *testing.T) {
	budget := series.NewBudget(3)
	a, b := series.NewTable(read(t, numbered).plan(t), budget), series.NewTable(read(t, numbered).plan(t), budget)
	if got := fill(a, 1, 2); got != "[1=1 2=2] 0" || a.IsOverBudget() {
		t.Error(got)
	}
	if got := fill(b, 1, 2); got != "[1=1] 1" || !b.IsOverBudget() {
		t.Error(got)
	}
	if got := fill(a, 1, 2, 3); got != "[1=1 2=2] 1" || a.IsOverBudget() {
		t.Errorf("%s, over budget %t", got, a.IsOverBudget())
	}
	a.Drop()
	if got := fill(b, 1, 2); got != "[1=1 2=2] 0" || b.IsOverBudget() {
		t.Error(got)
	}
	b.Drop()
	if got := fill(a, 1, 2) + fill(b, 1, 2); got != "[1=1 2=2] 0[1=1] 1" {
		t.Errorf("something of the budget is lost: %s", got)
	}
}

// TestReadingsThatBreakOff are followed by whole ones that add up nothing twice.
func TestReadingsThatBreakOff(t *testing.T) {
	tab := series.NewTable(read(t, numbered).plan(t), nil)
	tab.Begin()
	tab.Add(binary.NativeEndian.AppendUint32(nil, 1), binary.NativeEndian.AppendUint64(nil, 1))
	if got := fill(tab, 1, 2); got != "[1=1 2=2] 0" {
		t.Error(got)
	}
}

// TestWhatIsCutFallsTogether bounds labels.
func TestWhatIsCutFallsTogether(t *testing.T) {
	s := read(t, `{type: Hash, key: {type: string, size: 400}, value: {type: u8}, maxEntries: 4, metrics: {labels: [{name: s}], values: [{name: v, type: Gauge}]}}`)
	tab := series.NewTable(s.plan(t), nil)
	tab.Begin()
	for _, end := range []string{"a", "b"} {
		key := make([]byte, 400)
		copy(key, strings.Repeat("ü", 190)+end)
		tab.Add(key, []byte{1})
	}
	tab.End()
	if all := tab.All(); len(all) != 1 || all[0].Values[0] != 2 || len(all[0].Labels[0]) > 256 || !strings.HasSuffix(all[0].Labels[0], "…") {
		t.Errorf("%+v", all)
	}
}

// TestNoAllocationPerElement reads a map again whose series are known.
func TestNoAllocationPerElement(t *testing.T) {
	tab, keys, values := many(t, 1000)
	if n := testing.AllocsPerRun(10, func() { again(tab, keys, values) }); n > 0 {
		t.Errorf("%.0f allocations for 1000 elements", n)
	}
	// Of a map that has far more elements than series, those that are left out cost none either.
	tab, keys, values = many(t, 5000)
	if n := testing.AllocsPerRun(10, func() { again(tab, keys, values) }); n > 0 || tab.LeftOut() != 4000 {
		t.Errorf("%.0f allocations, %d left out", n, tab.LeftOut())
	}
}

// many is a per-CPU map of flows on 8 CPUs.
func many(t testing.TB, n int) (tab *series.Table, keys, values []byte) {
	s := read(t, `{type: PerCPUHash, key: {fields: [{name: addr, type: ipv4}, {name: port, type: be16}, {name: proto, type: u8, enum: {tcp: 6}}]}, value: {fields: [{name: packets, type: u64}]}, maxEntries: 10000,
		metrics: {maxSeries: 1000, labels: [{name: addr, field: addr}, {name: port, field: port}, {name: proto, field: proto}], values: [{name: packets, field: packets, type: Counter}]}}`)
	for i := range n {
		keys = append(keys, 10, 0, byte(i>>8), byte(i), 0, 80, 6, 0)
		for cpu := range 8 {
			values = binary.NativeEndian.AppendUint64(values, uint64(i*cpu))
		}
	}
	tab = series.NewTable(s.plan(t), nil)
	again(tab, keys, values)
	return tab, keys, values
}

func again(tab *series.Table, keys, values []byte) {
	tab.Begin()
	tab.Add(keys, values)
	tab.End()
}

// BenchmarkElements is what 1,000 elements of 8 CPUs cost whose series are known.
func BenchmarkElements(b *testing.B) {
	tab, keys, values := many(b, 1000)
	b.ReportAllocs()
	for b.Loop() {
		again(tab, keys, values)
	}
}

// TestProblems compares what is said of wrong specs with a golden text.
func TestProblems(t *testing.T) {
	const in = `key: {fields: [{name: proto, type: u8}, {name: addr, type: ipv4}, {name: ports, type: be16, length: 2}]}, value: {fields: [{name: packets, type: u64}, {name: peer, type: ipv4}, {name: wide, type: u128}, {name: hist, type: u32, length: 4}, {name: in, fields: [{name: x, type: u8}]}]}, maxEntries: 4`
	var got strings.Builder
	for _, c := range []struct{ shape, metrics string }{
		{"type: Hash, " + in, `{values: []}`},
		{"type: Hash, " + in, `{labels: [{name: proto, field: protp}], values: [{name: packets, field: pakets, type: Counter}]}`},
		{"type: Hash, " + in, `{labels: [{name: key}, {name: p, field: ports}, {name: q, field: 'ports[2]'}, {name: r, field: ports.x}, {name: s, field: 'proto[0]'}, {name: t, field: proto.x}], values: [{name: packets, field: packets, type: Counter}]}`},
		{"type: Hash, " + in, `{labels: [{name: name, field: proto}, {name: __x, field: proto}, {name: 1a, field: proto}, {name: a, field: proto}, {name: a, field: addr}, {name: job, field: addr}], values: [{name: packets, field: packets, type: Counter}]}`},
		{"type: Hash, " + in, `{values: [{name: all, type: Gauge}, {name: peer, field: peer, type: Gauge}, {name: wide, field: wide, type: Gauge}, {name: hist, field: hist, type: Gauge}, {name: in, field: in, type: Gauge}]}`},
		{"type: Hash, " + in, `{values: [{name: Packets, field: packets, type: Counter}, {name: p, field: packets, type: Counter}, {name: p_total, field: packets, type: Counter}, {name: g_total, field: packets, type: Gauge}, {name: h, field: packets, type: Histogram}, {name: i, field: packets, type: Gauge, aggregation: Avg}]}`},
		{"type: Hash, " + in, `{maxSeries: 1001, values: [{name: packets, field: packets, type: Counter}]}`},
		{"type: Hash, " + in, `{maxSeries: 1, values: [{name: a, field: packets, type: Counter}, {name: b, field: packets, type: Counter}]}`},
		{"type: Hash, " + in, `{labels: [{name: a, field: '.'}, {name: b, field: 'ports[0].'}, {name: c, field: 'ports[x]'}, {name: d, field: 'ports['}, {name: e, field: 'ports[0]x'}], values: [{name: a, field: packets, type: Counter}]}`},
		{"type: Queue, value: {type: u8}, maxEntries: 4", `{values: [{name: a, type: Counter}]}`},
		{"type: ProgArray, maxEntries: 4", `{values: [{name: a, type: Counter}]}`},
		{"type: RingBuf, maxEntries: 4096", `{values: [{name: a, type: Counter}]}`},
	} {
		s := read(t, "{"+c.shape+", metrics: "+c.metrics+"}")
		p, wrong := series.New(s.Metrics, s.subject())
		if p != nil || len(wrong) == 0 {
			t.Errorf("%s is accepted", c.metrics)
		}
		fmt.Fprintf(&got, "== %s\n", c.metrics)
		for _, w := range wrong {
			fmt.Fprintf(&got, "spec.metrics%s: %s\n", w.Path, w.Message)
		}
	}
	golden.Equal(t, "testdata/problems.golden", got.String())
}

// TestSecrets keeps what comes from a Secret out of metrics, and lets what programs count in.
func TestSecrets(t *testing.T) {
	s := read(t, `{type: Hash, key: {type: u32}, value: {fields: [{name: limit, type: u32}, {name: hits, type: u64, owner: Program}]}, maxEntries: 4, metrics: {labels: [{name: id}], values: [{name: limit, field: limit, type: Gauge}, {name: hits, field: hits, type: Counter}]}}`)
	subject := s.subject()
	subject.Sensitive = true
	_, wrong := series.New(s.Metrics, subject)
	if len(wrong) != 2 || wrong[0].Path != ".labels" || wrong[1].Path != ".values[0].field" {
		t.Errorf("%v", wrong)
	}
	s.Metrics.Labels, s.Metrics.Values = nil, s.Metrics.Values[1:]
	if _, wrong := series.New(s.Metrics, subject); len(wrong) > 0 {
		t.Errorf("%v", wrong)
	}
}
