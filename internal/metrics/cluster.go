// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
)

// Cluster records what the controller does.
type Cluster struct {
	compile *prometheus.HistogramVec
	maps    *clusterCollector
	writes  writes
}

// NewCluster registers the controller's metrics with r.
func NewCluster(r prometheus.Registerer) *Cluster {
	c := &Cluster{
		compile: register(r, compileDuration.histogram(prometheus.ExponentialBuckets(0.0001, 4, 8))),
		maps:    register(r, newClusterCollector()),
		writes:  newWrites(r),
	}
	c.compile.WithLabelValues(accepted)
	c.compile.WithLabelValues(rejected)
	return c
}

const (
	accepted = "accepted"
	rejected = "rejected"
)

// CompileFunc is compile.Run.
type CompileFunc = func(*v1alpha1.BPFMap, compile.Input) (*compile.Result, error)

// Compile is next, timed.
func (c *Cluster) Compile(next CompileFunc) CompileFunc {
	return func(m *v1alpha1.BPFMap, in compile.Input) (*compile.Result, error) {
		start := time.Now()
		compiled, err := next(m, in)
		result := accepted
		if err != nil {
			result = rejected
		}
		c.compile.WithLabelValues(result).Observe(time.Since(start).Seconds())
		return compiled, err
	}
}

// Sources are asked at each scrape. They must answer soon.
type Sources struct {
	// CRDs is why the cluster's CRDs don't fit the controller, nil if they do.
	CRDs func() error
	// Nodes counts the BPFNodeStates by the status of their condition Ready; false if nobody knows.
	Nodes func() (map[metav1.ConditionStatus]int, bool)
}

// Observe says where to look. At most perMap BPFMaps get series of their own.
func (c *Cluster) Observe(s Sources, perMap int) { c.maps.observe(s, perMap) }

// Client is next with its status writes counted.
func (c *Cluster) Client(next client.Client) client.Client { return c.writes.client(next) }

// ObserveStatus remembers how a BPFMap is.
func (c *Cluster) ObserveStatus(m *v1alpha1.BPFMap, s v1alpha1.BPFMapStatus) {
	c.maps.set(client.ObjectKeyFromObject(m), s)
}

// Forget drops a deleted BPFMap.
func (c *Cluster) Forget(name types.NamespacedName) { c.maps.delete(name) }
