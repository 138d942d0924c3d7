// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// kernelMaps are maps that a test plays: u32 → u64 each.
type kernelMaps struct {
	mu    sync.Mutex
	held  map[string]map[uint32]uint64
	reads map[string]int
	// instead takes the place of a reading of the map.
	instead map[string]func(ctx context.Context, yield func(keys, values []byte)) error
	told    []string
}

func (k *kernelMaps) read(ctx context.Context, key revision.Key, _ revision.Shape, _ bool, yield func(keys, values []byte)) error {
	k.mu.Lock()
	k.reads[key.Name]++
	m, do := k.held[key.Name], k.instead[key.Name]
	k.mu.Unlock()
	if do != nil {
		return do(ctx, yield)
	}
	for id, n := range m {
		yield(binary.NativeEndian.AppendUint32(nil, id), binary.NativeEndian.AppendUint64(nil, n))
	}
	return ctx.Err()
}

// contentRig is a recorder over played maps.
type contentRig struct {
	*rig
	kernelMaps
}

func newContentRig(most int) *contentRig {
	r := &contentRig{rig: newRig(10), kernelMaps: kernelMaps{
		held: map[string]map[uint32]uint64{}, reads: map[string]int{}, instead: map[string]func(context.Context, func(keys, values []byte)) error{},
	}}
	// Maps are read beside each other, and a reading may take time.
	r.contents.now = func() time.Time {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.now
	}
	r.ServeContents(r.read, most, func(key revision.Key, missing string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.told = append(r.told, key.Name+": "+missing)
	})
	return r
}

// follow declares metrics of a map.
func (r *contentRig) follow(t testing.TB, name, metrics string) {
	t.Helper()
	rev := &v1alpha1.BPFMapRevision{Spec: v1alpha1.BPFMapRevisionSpec{
		MapName: name, Type: v1alpha1.MapTypeHash, KeySize: 4, ValueSize: 8,
		Key: &v1alpha1.Schema{Type: v1alpha1.TypeU32}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU64},
	}}
	rev.Namespace = "edge"
	if metrics != "" {
		rev.Status.Metrics = &v1alpha1.MapMetrics{}
		if err := yaml.UnmarshalStrict([]byte(metrics), rev.Status.Metrics); err != nil {
			t.Fatal(err)
		}
	}
	r.FollowContents(rev)
}

// scrape is what Prometheus gets of the lines that a pattern matches, sorted.
func (r *contentRig) scrape(t testing.TB, pattern string) string {
	t.Helper()
	w := httptest.NewRecorder()
	promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	var lines []string
	matches := regexp.MustCompile(pattern)
	for line := range strings.Lines(w.Body.String()) {
		if matches.MatchString(line) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func want(t testing.TB, got string, lines ...string) {
	t.Helper()
	if w := strings.Join(lines, "\n"); got != w {
		t.Errorf("got\n%s\nwant\n%s", got, w)
	}
}

const hits = `{labels: [{name: id}], values: [{name: hits, type: Counter, help: Hits by id.}]}`

// TestContents serves what maps hold, by the map, and forgets maps that are gone.
func TestContents(t *testing.T) {
	r := newContentRig(100)
	r.held = map[string]map[uint32]uint64{"a": {1: 10, 2: 20}, "b": {1: 5}, "none": {1: 1}}
	r.follow(t, "a", hits)
	r.follow(t, "b", `{values: [{name: hits, type: Counter, help: Another help.}, {name: level, type: Gauge}]}`)
	r.follow(t, "none", "")
	want(t, r.scrape(t, "bpfmap_content_|node_content_series"),
		"# HELP bpfmap_content_hits_total Hits by id.",
		"# HELP bpfmap_content_level What BPFMaps hold, as their spec.metrics say.",
		"# HELP bpfmap_node_content_series Series that this agent serves of the map's contents, by spec.metrics. No series for maps without it.",
		"# TYPE bpfmap_content_hits_total counter",
		"# TYPE bpfmap_content_level gauge",
		"# TYPE bpfmap_node_content_series gauge",
		`bpfmap_content_hits_total{id="1",name="a",namespace="edge"} 10`,
		`bpfmap_content_hits_total{id="2",name="a",namespace="edge"} 20`,
		`bpfmap_content_hits_total{name="b",namespace="edge"} 5`,
		`bpfmap_content_level{name="b",namespace="edge"} 5`,
		`bpfmap_node_content_series{name="a",namespace="edge"} 2`,
		`bpfmap_node_content_series{name="b",namespace="edge"} 2`)
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	r.follow(t, "a", "") // the spec wants none any more
	r.Forget("edge", "b")
	want(t, r.scrape(t, "^bpfmap_(node_)?content_"), "")
	want(t, strings.Join(r.told, "\n"), "a: ", "b: ")
	if n := r.reads["none"]; n != 0 {
		t.Errorf("a map without metrics was read %d times", n)
	}
}

// TestReadingsHold lets several Prometheuses share a reading, and reads a slow map seldom.
func TestReadingsHold(t *testing.T) {
	r := newContentRig(100)
	r.held = map[string]map[uint32]uint64{"a": {1: 10}}
	r.follow(t, "a", hits)
	r.follow(t, "slow", hits)
	r.instead["slow"] = func(context.Context, func(keys, values []byte)) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.now = r.now.Add(500 * time.Millisecond)
		return nil
	}
	for _, c := range []struct {
		after   time.Duration
		a, slow int
	}{{0, 1, 1}, {4 * time.Second, 1, 1}, {2 * time.Second, 2, 1}, {6 * time.Second, 3, 2}} {
		r.now = r.now.Add(c.after)
		r.scrape(t, "")
		if r.reads["a"] != c.a || r.reads["slow"] != c.slow {
			t.Errorf("after %s: a was read %d times, slow %d times; want %d, %d", c.after, r.reads["a"], r.reads["slow"], c.a, c.slow)
		}
	}
	// A change of the spec is read at once.
	r.follow(t, "a", `{labels: [{name: key}], values: [{name: hits, type: Counter}]}`)
	want(t, r.scrape(t, `^bpfmap_content_hits.*"a"`), `bpfmap_content_hits_total{key="1",name="a",namespace="edge"} 10`)
}

// TestUnreadableMaps leave the others alone, and are told: a map that can't be read, is too large, takes too long, or
// changes too fast.
func TestUnreadableMaps(t *testing.T) {
	r := newContentRig(100)
	r.held = map[string]map[uint32]uint64{"a": {1: 10}}
	for _, name := range []string{"a", "broken", "large", "long", "moving"} {
		r.follow(t, name, hits)
	}
	r.instead["broken"] = func(context.Context, func(keys, values []byte)) error { return errors.New("no such map") }
	r.instead["large"] = func(ctx context.Context, yield func(keys, values []byte)) error {
		keys, values := make([]byte, 4), make([]byte, 12<<20) // one element, so that this takes no time
		for ctx.Err() == nil {
			yield(keys, values)
		}
		return ctx.Err()
	}
	r.instead["long"] = func(ctx context.Context, yield func(keys, values []byte)) error {
		yield(make([]byte, 4), make([]byte, 8))
		<-ctx.Done()
		return ctx.Err()
	}
	r.instead["moving"] = func(context.Context, func(keys, values []byte)) error { return fmt.Errorf("read: %w", ErrChanging) }
	start := time.Now()
	want(t, r.scrape(t, "^bpfmap_(content|node_content_read_failed)"),
		`bpfmap_content_hits_total{id="1",name="a",namespace="edge"} 10`,
		`bpfmap_node_content_read_failed{name="a",namespace="edge"} 0`,
		`bpfmap_node_content_read_failed{name="broken",namespace="edge"} 1`,
		`bpfmap_node_content_read_failed{name="large",namespace="edge"} 1`,
		`bpfmap_node_content_read_failed{name="long",namespace="edge"} 1`,
		`bpfmap_node_content_read_failed{name="moving",namespace="edge"} 1`)
	t.Logf("the scrape took %s", time.Since(start).Round(time.Millisecond))
	if r.reads["moving"] != readTries {
		t.Errorf("a map that changes was read %d times", r.reads["moving"])
	}
	slices.Sort(r.told)
	want(t, strings.Join(r.told, "\n"),
		"a: ",
		"broken: no metrics of the map's contents: no such map",
		"large: no metrics of the map's contents: it holds more than 64 MiB",
		"long: no metrics of the map's contents: reading it takes longer than 1s",
		"moving: no metrics of the map's contents: read: "+ErrChanging.Error())
	// It is tried again, not at each scrape, and what is well again is told.
	r.told, r.instead["broken"] = nil, nil
	r.now = r.now.Add(minContentAge)
	r.scrape(t, "")
	if r.reads["broken"] != 1 || len(r.told) > 0 {
		t.Errorf("read %d times, told %v", r.reads["broken"], r.told)
	}
	r.now = r.now.Add(failedContentAge)
	r.held["broken"] = map[uint32]uint64{3: 3}
	want(t, r.scrape(t, `^bpfmap_content.*"broken"`), `bpfmap_content_hits_total{id="3",name="broken",namespace="edge"} 3`)
	want(t, strings.Join(r.told, "\n"), "broken: ")
}

// TestSlowMapsDontHoldOthers lets maps that take a second each use up the time of a scrape: those that were read fast
// before have been served by then.
func TestSlowMapsDontHoldOthers(t *testing.T) {
	r := newContentRig(1000)
	slow := func(ctx context.Context, _ func(keys, values []byte)) error { <-ctx.Done(); return ctx.Err() }
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("a%02d", i))
	}
	for _, name := range append(names, "fast") {
		r.held[name] = map[uint32]uint64{1: 1}
		r.follow(t, name, hits)
	}
	r.scrape(t, "")
	for _, name := range names {
		r.instead[name] = slow
	}
	r.now = r.now.Add(time.Hour)
	for _, name := range names {
		r.contents.maps[revision.Key{Namespace: "edge", Name: name}].took = time.Second
	}
	start := time.Now()
	want(t, r.scrape(t, `^bpfmap_content_`), `bpfmap_content_hits_total{id="1",name="fast",namespace="edge"} 1`)
	if took := time.Since(start); took > maxScrapeTime+30*time.Second {
		t.Errorf("the scrape took %s", took)
	}
	if missing := strings.Join(r.told, "\n"); !strings.Contains(missing, "longer than 1s") {
		t.Error(missing)
	}
}

// TestContentSeriesAreBounded bounds the series of a map, and of all maps together, and says what is left out.
func TestContentSeriesAreBounded(t *testing.T) {
	r := newContentRig(5)
	for _, name := range []string{"a", "b"} {
		r.held[name] = map[uint32]uint64{}
		for id := range uint32(10) {
			r.held[name][id] = 1
		}
	}
	r.follow(t, "a", `{maxSeries: 3, labels: [{name: id}], values: [{name: hits, type: Counter}]}`)
	r.scrape(t, "")
	r.follow(t, "b", hits)
	r.now = r.now.Add(time.Minute)
	want(t, r.scrape(t, "^bpfmap_node_content_(series|elements)"),
		`bpfmap_node_content_elements_left_out{name="a",namespace="edge"} 7`,
		`bpfmap_node_content_elements_left_out{name="b",namespace="edge"} 8`,
		`bpfmap_node_content_series{name="a",namespace="edge"} 3`,
		`bpfmap_node_content_series{name="b",namespace="edge"} 2`)
	if got := strings.Count(r.scrape(t, "^bpfmap_content_"), "\n") + 1; got != 5 {
		t.Errorf("%d series are served", got)
	}
	slices.Sort(r.told)
	want(t, strings.Join(r.told, "\n"),
		"a: some elements are in no metric: the map has more than 3 series (spec.metrics.maxSeries)",
		"b: some elements are in no metric: the agent serves at most 5 series of the contents of all maps (--metrics-content-series)")
}

// TestScrapesTogether reads and serves from several scrapes at once, while maps come and go.
func TestScrapesTogether(t *testing.T) {
	r := newContentRig(1000)
	r.contents.now = time.Now
	for i := range 20 {
		name := fmt.Sprint("m", i)
		r.held[name] = map[uint32]uint64{1: 1, 2: 2}
		r.follow(t, name, hits)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if _, err := r.registry.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for i := range 100 {
		r.Forget("edge", fmt.Sprint("m", i%20))
		r.follow(t, fmt.Sprint("m", i%20), hits)
	}
	all.Wait()
}

// BenchmarkScrapeContents is a scrape of 1,000 series whose map is read each time.
func BenchmarkScrapeContents(b *testing.B) {
	r := newContentRig(10000)
	r.follow(b, "a", `{maxSeries: 1000, labels: [{name: id}], values: [{name: hits, type: Counter}]}`)
	var keys, values []byte
	for i := range uint32(1000) {
		keys, values = binary.NativeEndian.AppendUint32(keys, i), binary.NativeEndian.AppendUint64(values, uint64(i))
	}
	r.instead["a"] = func(_ context.Context, yield func(keys, values []byte)) error { yield(keys, values); return nil }
	handler, size := promhttp.HandlerFor(r.registry, promhttp.HandlerOpts{}), 0
	b.ReportAllocs()
	for b.Loop() {
		r.now = r.now.Add(time.Hour)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if size = w.Body.Len(); w.Code != 200 || size < 50000 {
			b.Fatalf("%d %d bytes", w.Code, size)
		}
	}
	b.ReportMetric(float64(size), "bytes")
}
