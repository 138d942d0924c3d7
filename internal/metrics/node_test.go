// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// rig is an agent's recorder over a node whose maps a test sets, with a clock of its own.
type rig struct {
	*Node
	registry *prometheus.Registry
	maps     []v1alpha1.NodeMap
	now      time.Time
}

func newRig(perMap int) *rig {
	r := &rig{registry: prometheus.NewRegistry(), now: time.Unix(1000, 0)}
	r.Node = NewNode(r.registry, func() uint64 { return 41 })
	r.Observe(func() []v1alpha1.NodeMap { return r.maps }, perMap, time.Minute)
	r.Node.maps.now = func() time.Time { return r.now }
	return r
}

// sync is what the agent does with a report.
func (r *rig) sync(report engine.Report, s *v1alpha1.BPFMapRevisionSpec) {
	r.ObserveSync(report, time.Second)
	r.ObserveShape(report, s)
	if report.Drift != nil {
		r.CountDrift(report)
	}
	line := status.FromReport(report)
	for i := range r.maps {
		if r.maps[i].Name == line.Name && r.maps[i].Namespace == line.Namespace {
			r.maps[i] = line
			return
		}
	}
	r.maps = append(r.maps, line)
}

func report(name string, state v1alpha1.NodeMapState, action engine.Action) engine.Report {
	return engine.Report{Key: revision.Key{Namespace: "edge", Name: name}, State: state, Action: action}
}

func holding(name string, entries int64) engine.Report {
	r := report(name, v1alpha1.NodeMapReady, engine.ActionNone)
	r.Entries, r.MemlockBytes = &entries, 4096
	return r
}

func spec(t v1alpha1.MapType, maxEntries int64) *v1alpha1.BPFMapRevisionSpec {
	return &v1alpha1.BPFMapRevisionSpec{Type: t, MaxEntries: maxEntries}
}

// TestCountersBeginAtZero wants what is alerted on by increase() to be there before the first event.
func TestCountersBeginAtZero(t *testing.T) {
	r := newRig(10)
	r.maps = []v1alpha1.NodeMap{{Namespace: "edge", Name: "seeded", State: v1alpha1.NodeMapReady}}
	expect(t, r.registry,
		`bpfmap_sync_total{result="ok"} 0`,
		`bpfmap_sync_total{result="error"} 0`,
		`bpfmap_sync_total{result="stalled"} 0`,
		`bpfmap_status_writes_total{result="written"} 0`,
		`bpfmap_status_writes_total{result="conflict"} 0`,
		`bpfmap_status_writes_total{result="failed"} 0`,
		`bpfmap_chunk_read_bytes_total 0`,
		`bpfmap_drift_total{kind="contents"} 0`,
		`bpfmap_drift_total{kind="map_gone"} 0`,
		`bpfmap_drift_total{kind="pin_removed"} 0`,
		`bpfmap_drift_total{kind="pin_replaced"} 0`,
		`bpfmap_drift_total{kind="pin_mode"} 0`,
		`bpfmap_drift_total{kind="frozen"} 0`,
		`bpfmap_drift_total{kind="unfrozen"} 0`,
		`bpfmap_node_map_drift_total{name="seeded",namespace="edge"} 0`,
	)
	if got := strings.Count(scrape(r.registry), "\nbpfmap_drift_total{"); got != len(driftKinds) {
		t.Errorf("%d kinds of drift, want %d", got, len(driftKinds))
	}
}

func TestSyncsAreCounted(t *testing.T) {
	r := newRig(10)
	r.ObserveSync(report("a", v1alpha1.NodeMapReady, engine.ActionCreated), time.Second)
	r.ObserveSync(report("a", v1alpha1.NodeMapReady, ""), time.Second)
	r.ObserveSync(report("b", v1alpha1.NodeMapPending, engine.ActionUpdated), time.Second)
	r.ObserveSync(report("b", v1alpha1.NodeMapFailed, ""), time.Second)
	r.ObserveSync(report("c", v1alpha1.NodeMapStalled, ""), time.Second)
	r.CountChunk(1000)
	r.CountChunk(24)
	expect(t, r.registry,
		`bpfmap_bpf_syscalls_total 41`,
		`bpfmap_sync_duration_seconds_count{action="none"} 3`,
		`bpfmap_sync_duration_seconds_count{action="created"} 1`,
		`bpfmap_sync_total{result="ok"} 3`,
		`bpfmap_sync_total{result="error"} 1`,
		`bpfmap_sync_total{result="stalled"} 1`,
		`bpfmap_chunk_read_bytes_total 1024`,
	)
}

// TestUsage is whether programs use maps, in numbers.
func TestUsage(t *testing.T) {
	r := newRig(10)
	for name, u := range map[string]*v1alpha1.MapUsage{
		"used": {State: v1alpha1.MapUsed, ProgramCount: 2}, "unused": {State: v1alpha1.MapUnused},
		"never": {State: v1alpha1.MapNeverUsed}, "unknown": {State: v1alpha1.MapUsageUnknown}, "unseen": nil,
	} {
		r.maps = append(r.maps, v1alpha1.NodeMap{Namespace: "edge", Name: name, State: v1alpha1.NodeMapReady, Usage: u})
	}
	expect(t, r.registry,
		`bpfmap_node_map_used{name="used",namespace="edge"} 1`,
		`bpfmap_node_map_used{name="unused",namespace="edge"} 0`,
		`bpfmap_node_map_used{name="never",namespace="edge"} -1`,
		`bpfmap_node_map_used{name="unknown",namespace="edge"} -1`,
		`bpfmap_node_map_used{name="unseen",namespace="edge"} -1`,
	)
}

// TestMapsAreAsInTheStatus holds the states of maps to those of the status: one that others changed under
// driftPolicy Report isn't ready.
func TestMapsAreAsInTheStatus(t *testing.T) {
	r := newRig(10)
	r.sync(holding("a", 2), spec("Hash", 8))
	drifted := holding("watched", 1)
	drifted.Drift = &engine.Drift{Kind: plan.DriftContents}
	r.sync(drifted, spec("Hash", 4))
	r.sync(report("b", v1alpha1.NodeMapFailed, ""), spec("Hash", 4))
	r.sync(report("c", v1alpha1.NodeMapStalled, ""), spec("Hash", 4))
	r.sync(report("d", v1alpha1.NodeMapPending, ""), spec("Hash", 4))
	summary := status.Summarize(r.maps)
	if summary.Ready != 1 || summary.Failed != 3 {
		t.Errorf("the status says %+v", summary)
	}
	expect(t, r.registry,
		`bpfmap_node_maps{state="ready"} 1`,
		`bpfmap_node_maps{state="drifted"} 1`,
		`bpfmap_node_maps{state="failed"} 1`,
		`bpfmap_node_maps{state="stalled"} 1`,
		`bpfmap_node_maps{state="pending"} 1`,
		`bpfmap_node_memory_bytes 8192`,
		`bpfmap_node_resync_period_seconds 60`,
		`bpfmap_node_map_state{name="a",namespace="edge",state="ready"} 1`,
		`bpfmap_node_map_state{name="a",namespace="edge",state="drifted"} 0`,
		`bpfmap_node_map_state{name="watched",namespace="edge",state="drifted"} 1`,
		`bpfmap_node_map_state{name="watched",namespace="edge",state="ready"} 0`,
		`bpfmap_node_map_drift_total{name="watched",namespace="edge"} 1`,
		`bpfmap_node_map_drift_total{name="a",namespace="edge"} 0`,
		`bpfmap_drift_total{kind="contents"} 1`,
		`bpfmap_node_map_entries{name="a",namespace="edge"} 2`,
		`bpfmap_node_map_max_entries{name="a",namespace="edge"} 8`,
		`bpfmap_node_map_fill_ratio{name="a",namespace="edge"} 0.25`,
		`bpfmap_node_map_memory_bytes{name="a",namespace="edge"} 4096`,
	)
	refuse(t, r.registry, `bpfmap_node_map_max_entries{name="b"`) // nobody knows what is at its pin

	// What is gone leaves nothing, and everything goes to 0.
	r.maps = nil
	for _, name := range []string{"a", "b", "c", "d", "watched"} {
		r.Forget("edge", name)
	}
	expect(t, r.registry, `bpfmap_node_maps{state="ready"} 0`, `bpfmap_node_memory_bytes 0`, `bpfmap_drift_total{kind="contents"} 1`)
	refuse(t, r.registry, `namespace="edge"`)
	refuse(t, r.registry, "\nbpfmap_node_oldest_look_timestamp_seconds ")
	if n := len(r.Node.maps.known); n > 0 {
		t.Errorf("%d maps that are gone are remembered", n)
	}
}

// TestFillIsOfMapsThatRefuse wants no fill ratio where being full is how the map works.
func TestFillIsOfMapsThatRefuse(t *testing.T) {
	r := newRig(10)
	for mapType, want := range map[v1alpha1.MapType]bool{
		"Hash": true, "PerCPUHash": true, "LPMTrie": true, "HashOfMaps": true, "DevMapHash": true,
		"LRUHash": false, "LRUPerCPUHash": false, "DevMap": false,
	} {
		r.maps = nil
		r.sync(holding(string(mapType), 4), spec(mapType, 4))
		if got := strings.Contains(scrape(r.registry), "\nbpfmap_node_map_fill_ratio{"); got != want {
			t.Errorf("%s has a fill ratio: %t, want %t", mapType, got, want)
		}
		expect(t, r.registry, fmt.Sprintf(`bpfmap_node_map_max_entries{name=%q,namespace="edge"} 4`, mapType))
	}
	// A ring buffer's max_entries are bytes, and nothing can be counted.
	r.maps = nil
	r.sync(report("ring", v1alpha1.NodeMapReady, ""), spec("RingBuf", 4096))
	refuse(t, r.registry, `bpfmap_node_map_max_entries{name="ring"`)
	refuse(t, r.registry, `bpfmap_node_map_entries{name="ring"`)
}

// TestLooks tells when a map was looked at last. A look that failed is none; one that found that the map
// can't be as declared is one.
func TestLooks(t *testing.T) {
	r := newRig(10)
	look := func(name string) string {
		return fmt.Sprintf(`bpfmap_node_map_last_look_timestamp_seconds{name=%q,namespace="edge"}`, name)
	}
	r.maps = []v1alpha1.NodeMap{{Namespace: "edge", Name: "seeded", State: v1alpha1.NodeMapReady}}
	expect(t, r.registry, `bpfmap_node_oldest_look_timestamp_seconds 1000`)
	refuse(t, r.registry, look("seeded"))
	r.now = time.Unix(2000, 250e6)
	r.sync(holding("a", 1), spec("Hash", 4))
	expect(t, r.registry, look("a")+" 2000.25", `bpfmap_node_oldest_look_timestamp_seconds 1000`)
	r.now = time.Unix(3000, 0)
	r.sync(report("a", v1alpha1.NodeMapFailed, ""), spec("Hash", 4))
	r.sync(report("seeded", v1alpha1.NodeMapStalled, ""), spec("Hash", 4))
	expect(t, r.registry, look("a")+" 2000.25", look("seeded")+" 3000", `bpfmap_node_oldest_look_timestamp_seconds 2000.25`)
}

// TestSeriesAreBounded gives series to those maps that came first, keeps them there, and says how many have
// none.
func TestSeriesAreBounded(t *testing.T) {
	r := newRig(2)
	r.sync(holding("m", 1), spec("Hash", 4))
	r.sync(holding("n", 1), spec("Hash", 4))
	expect(t, r.registry, `bpfmap_node_maps_left_out 0`)
	r.sync(holding("a", 1), spec("Hash", 4))
	r.maps = append(r.maps[2:], r.maps[:2]...)
	expect(t, r.registry, `bpfmap_node_maps_left_out 1`, `bpfmap_node_maps{state="ready"} 3`, `bpfmap_node_memory_bytes 12288`,
		`bpfmap_node_map_entries{name="m",namespace="edge"} 1`, `bpfmap_node_map_entries{name="n",namespace="edge"} 1`)
	refuse(t, r.registry, `name="a"`)
	r.maps = r.maps[:2] // n is gone
	r.Forget("edge", "n")
	expect(t, r.registry, `bpfmap_node_maps_left_out 0`, `bpfmap_node_map_entries{name="a",namespace="edge"} 1`)

	off := newRig(0)
	off.sync(holding("a", 1), spec("Hash", 4))
	expect(t, off.registry, `bpfmap_node_maps_left_out 0`, `bpfmap_node_maps{state="ready"} 1`, `bpfmap_node_oldest_look_timestamp_seconds 1000`)
	refuse(t, off.registry, `namespace="edge"`)
}

// TestScrapesMeanwhile scrapes while agents work, for the race detector.
func TestScrapesMeanwhile(t *testing.T) {
	r := newRig(5)
	r.maps = []v1alpha1.NodeMap{{Namespace: "edge", Name: "m-0", State: v1alpha1.NodeMapReady}}
	c := manyBPFMaps(5)
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for j := range 50 {
				report := holding(fmt.Sprintf("m-%d", j%7), int64(i))
				report.Drift = &engine.Drift{Kind: plan.DriftContents}
				r.ObserveSync(report, time.Second)
				r.ObserveShape(report, spec("Hash", 4))
				r.CountDrift(report)
				c.ObserveStatus(bpfMap(report.Key.Name), told("True", "Ready"))
				if j%10 == 0 {
					r.Forget("edge", report.Key.Name)
					c.Forget(types.NamespacedName{Namespace: "edge", Name: report.Key.Name})
				}
			}
		})
	}
	for range 20 {
		scrape(r.registry)
		scrape(c.registry)
	}
	work.Wait()
	expect(t, r.registry, `bpfmap_drift_total{kind="contents"} 200`)
}

// TestStatusWrites counts what becomes of status writes, and passes errors on.
func TestStatusWrites(t *testing.T) {
	r := prometheus.NewRegistry()
	var answer error
	c := NewNode(r, func() uint64 { return 0 }).Client(fake.NewClientBuilder().WithScheme(process.Scheme()).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(context.Context, client.Client, string, client.Object, client.Patch, ...client.SubResourcePatchOption) error {
			return answer
		},
		SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
			return answer
		},
	}).Build())
	write := func() {
		t.Helper()
		if err := c.Status().Update(t.Context(), bpfMap("a")); !errors.Is(err, answer) {
			t.Errorf("Update = %v, want %v", err, answer)
		}
		if err := c.Status().Patch(t.Context(), bpfMap("a"), client.MergeFrom(bpfMap("a"))); !errors.Is(err, answer) {
			t.Errorf("Patch = %v, want %v", err, answer)
		}
	}
	write()
	answer = apierrors.NewConflict(schema.GroupResource{Resource: "bpfmaps"}, "a", errors.New("newer"))
	write()
	answer = errors.New("down")
	write()
	expect(t, r,
		`bpfmap_status_writes_total{result="written"} 2`,
		`bpfmap_status_writes_total{result="conflict"} 2`,
		`bpfmap_status_writes_total{result="failed"} 2`,
	)
}

// thousand is a node with many maps, of names of usual length.
func thousand(perMap int) *rig {
	r := newRig(perMap)
	for i := range 1000 {
		m := holding(fmt.Sprintf("blocklist-%04d", i), int64(100_000+i))
		m.Key.Namespace, m.MemlockBytes = "edge-routing", int64(16<<20+i)
		r.now = time.Unix(1_795_000_000, int64(i)*int64(time.Millisecond))
		r.sync(m, spec("LPMTrie", 200_000))
		r.maps[i].Usage = &v1alpha1.MapUsage{State: v1alpha1.MapUsed, ProgramCount: 2}
	}
	return r
}

// TestAThousandMapsAreCheap bounds a scrape's size. How long it takes is BenchmarkScrape's.
func TestAThousandMapsAreCheap(t *testing.T) {
	for what, text := range map[string]string{"node": scrape(thousand(1000).registry), "cluster": scrape(manyBPFMaps(1000).registry)} {
		if n := strings.Count(text, `name="blocklist-0999"`); n < 10 {
			t.Errorf("%s: %d series of a map", what, n)
		}
		if size := float64(len(text)) / (1 << 20); size > 1 {
			t.Errorf("%s: a scrape with 1,000 maps has %.2f MiB", what, size)
		}
	}
	if text := scrape(thousand(0).registry); math.Ceil(float64(len(text))/1024) > 16 {
		t.Errorf("without series of maps a scrape has %d bytes", len(text))
	}
}

func BenchmarkScrape(b *testing.B) {
	for name, r := range map[string]*prometheus.Registry{"agent": thousand(1000).registry, "controller": manyBPFMaps(1000).registry} {
		b.Run(name+" with 1000 maps", func(b *testing.B) {
			bytes := 0
			for b.Loop() {
				bytes = len(scrape(r))
			}
			b.ReportMetric(float64(bytes), "bytes/scrape")
		})
	}
}
