// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Cluster records what the controller does.
type Cluster struct {
	compile *prometheus.HistogramVec
	maps    *mapCounts
	writes  writes
}

// NewCluster registers the controller's metrics with r.
func NewCluster(r prometheus.Registerer) *Cluster {
	return &Cluster{
		compile: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bpfmap_compile_duration_seconds",
			Help:    "How long compiling one BPFMap took, by result (accepted, rejected).",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8),
		}, []string{"result"})),
		maps:   register(r, newMapCounts()),
		writes: newWrites(r),
	}
}

// CompileFunc is compile.With.
type CompileFunc = func(*v1alpha1.BPFMap, []compile.Source, *compile.Cache) (*revision.Revision, error)

// Compile is next, timed.
func (c *Cluster) Compile(next CompileFunc) CompileFunc {
	return func(m *v1alpha1.BPFMap, sources []compile.Source, cache *compile.Cache) (*revision.Revision, error) {
		start := time.Now()
		rev, err := next(m, sources, cache)
		result := "accepted"
		if err != nil {
			result = "rejected"
		}
		c.compile.WithLabelValues(result).Observe(time.Since(start).Seconds())
		return rev, err
	}
}

// Client is next with its status writes counted.
func (c *Cluster) Client(next client.Client) client.Client { return c.writes.client(next) }

// ObserveStatus remembers how a BPFMap is.
func (c *Cluster) ObserveStatus(m *v1alpha1.BPFMap, s v1alpha1.BPFMapStatus) {
	reason := "Unknown"
	if ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); ready != nil {
		reason = ready.Reason
	}
	c.maps.set(client.ObjectKeyFromObject(m), reason)
}

// Forget drops a deleted BPFMap.
func (c *Cluster) Forget(name types.NamespacedName) { c.maps.delete(name) }

// mapCounts counts BPFMaps by the reason of their condition Ready: a handful of series, however many
// BPFMaps there are.
type mapCounts struct {
	desc   *prometheus.Desc
	mu     sync.Mutex
	reason map[types.NamespacedName]string
}

func newMapCounts() *mapCounts {
	return &mapCounts{
		desc:   prometheus.NewDesc("bpfmap_controller_maps", "BPFMaps by the reason of their condition Ready.", []string{"reason"}, nil),
		reason: map[types.NamespacedName]string{},
	}
}

func (c *mapCounts) set(name types.NamespacedName, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reason[name] = reason
}

func (c *mapCounts) delete(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reason, name)
}

// Describe is for the registry.
func (c *mapCounts) Describe(out chan<- *prometheus.Desc) { out <- c.desc }

// Collect is for the registry.
func (c *mapCounts) Collect(out chan<- prometheus.Metric) {
	counts := map[string]int{}
	c.mu.Lock()
	for _, reason := range c.reason {
		counts[reason]++
	}
	c.mu.Unlock()
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		out <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(counts[reason]), reason)
	}
}
