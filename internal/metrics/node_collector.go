// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

// classes are the states of a map as values of a label, the best first.
var classes = []struct {
	class status.Class
	name  string
}{
	{status.ClassReady, "ready"}, {status.ClassPending, "pending"}, {status.ClassDrifted, "drifted"},
	{status.ClassFailed, "failed"}, {status.ClassStalled, "stalled"},
}

// nodeCollector reads, at each scrape, the states of a node's maps as they are published, and adds what only
// this process knows of them.
type nodeCollector struct {
	now func() time.Time

	mu       sync.Mutex
	snapshot func() []v1alpha1.NodeMap
	resync   time.Duration
	own      bounded[revision.Key]
	known    map[revision.Key]*knownMap
}

// knownMap is what isn't in the state of a map.
type knownMap struct {
	since  time.Time // when this process first knew of the map
	looked time.Time // when the last look at it that didn't fail ended; zero before the first
	drifts float64
	shape
}

// shape is a map's capacity, 0 if it isn't known or nothing that entries count against, and whether the map
// refuses further entries when it is full.
type shape struct {
	maxEntries int64
	refuses    bool
}

func newNodeCollector() *nodeCollector {
	return &nodeCollector{now: time.Now, known: map[revision.Key]*knownMap{}}
}

func (c *nodeCollector) observe(snapshot func() []v1alpha1.NodeMap, perMap int, resync time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snapshot, c.own.limit, c.resync = snapshot, perMap, resync
}

// of is what is known of a map. The lock is held.
func (c *nodeCollector) of(key revision.Key) *knownMap {
	k := c.known[key]
	if k == nil {
		k = &knownMap{since: c.now()}
		c.known[key] = k
	}
	return k
}

func (c *nodeCollector) looked(key revision.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(key).looked = c.now()
}

func (c *nodeCollector) shaped(key revision.Key, s shape) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(key).shape = s
}

func (c *nodeCollector) drifted(key revision.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.of(key).drifts++
}

func (c *nodeCollector) forget(key revision.Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, key)
}

// nodeDescs are the descriptions of what the collector gives, by the metric.
var nodeDescs = descs(&nodeMapState, &nodeMapEntries, &nodeMapMaxEntries, &nodeMapFill, &nodeMapMemory, &nodeMapLook,
	&nodeMapDrift, &nodeMapUsed, &nodeMaps, &nodeMapsLeftOut, &nodeMemory, &nodeOldestLook, &nodeResync)

func descs(all ...*Metric) map[*Metric]*prometheus.Desc {
	result := map[*Metric]*prometheus.Desc{}
	for _, m := range all {
		result[m] = m.desc()
	}
	return result
}

// Describe is for the registry.
func (c *nodeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range nodeDescs {
		out <- d
	}
}

// Collect is for the registry.
func (c *nodeCollector) Collect(out chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.snapshot == nil {
		return
	}
	maps := c.snapshot()
	keys := make([]revision.Key, len(maps))
	for i := range maps {
		keys[i] = revision.Key{Namespace: maps[i].Namespace, Name: maps[i].Name}
	}
	leftOut := c.own.admit(keys)
	counts := map[status.Class]int{}
	var memory int64
	var oldest time.Time
	for i := range maps {
		m, known := &maps[i], c.of(keys[i])
		counts[status.ClassOf(m)]++
		memory += m.MemlockBytes
		if seen := known.seen(); oldest.IsZero() || seen.Before(oldest) {
			oldest = seen
		}
		if c.own.have[keys[i]] {
			collectMap(out, m, known)
		}
	}
	for _, s := range classes {
		out <- one(&nodeMaps, float64(counts[s.class]), s.name)
	}
	out <- one(&nodeMapsLeftOut, float64(leftOut))
	out <- one(&nodeMemory, float64(memory))
	out <- one(&nodeResync, c.resync.Seconds())
	if !oldest.IsZero() {
		out <- one(&nodeOldestLook, unix(oldest))
	}
}

// seen is when the map was looked at last, or became known.
func (k *knownMap) seen() time.Time {
	if k.looked.IsZero() {
		return k.since
	}
	return k.looked
}

// collectMap gives the series of one map.
func collectMap(out chan<- prometheus.Metric, m *v1alpha1.NodeMap, known *knownMap) {
	name, namespace := pair("name", m.Name), pair("namespace", m.Namespace)
	labels := []*dto.LabelPair{name, namespace}
	give := func(of *Metric, value float64) {
		out <- sample{desc: nodeDescs[of], value: value, labels: labels, count: of.Type == counter}
	}
	give(&nodeMapMemory, float64(m.MemlockBytes))
	give(&nodeMapDrift, known.drifts)
	if m.Entries != nil {
		give(&nodeMapEntries, float64(*m.Entries))
	}
	if known.maxEntries > 0 {
		give(&nodeMapMaxEntries, float64(known.maxEntries))
	}
	if m.Entries != nil && known.maxEntries > 0 && known.refuses {
		give(&nodeMapFill, float64(*m.Entries)/float64(known.maxEntries))
	}
	if !known.looked.IsZero() {
		give(&nodeMapLook, unix(known.looked))
	}
	give(&nodeMapUsed, used(m.Usage))
	class := status.ClassOf(m)
	for i, s := range classes {
		out <- sample{
			desc: nodeDescs[&nodeMapState], value: toFloat(class == s.class),
			labels: []*dto.LabelPair{name, namespace, classPairs[i]},
		}
	}
}

// used is a usage as a number.
func used(u *v1alpha1.MapUsage) float64 {
	switch {
	case u != nil && u.State == v1alpha1.MapUsed:
		return 1
	case u != nil && u.State == v1alpha1.MapUnused:
		return 0
	}
	return -1
}

var classPairs = func() (pairs []*dto.LabelPair) {
	for _, s := range classes {
		pairs = append(pairs, pair("state", s.name))
	}
	return pairs
}()

// unix is a time as Prometheus has it, in whole milliseconds: it keeps no more.
func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
