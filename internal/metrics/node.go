// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// Node records what an agent does.
type Node struct {
	sync   *prometheus.HistogramVec
	total  *prometheus.CounterVec
	drift  *prometheus.CounterVec
	maps   *prometheus.GaugeVec
	memory prometheus.Gauge
	chunks prometheus.Counter
	writes writes
}

// NewNode registers the agent's metrics with r.
// systemCalls is how many system calls the engine has made.
func NewNode(r prometheus.Registerer, systemCalls func() uint64) *Node {
	register(r, prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "bpfmap_bpf_syscalls_total",
		Help: "Calls of bpf(2).",
	}, func() float64 { return float64(systemCalls()) }))
	return &Node{
		sync: register(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "bpfmap_sync_duration_seconds",
			Help:    "How long bringing one map to its revision took, by action (none if nothing was to be done).",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 9),
		}, []string{"action"})),
		total: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bpfmap_sync_total",
			Help: "Times that a map was compared with its revision, by result (ok, error, stalled).",
		}, []string{"result"})),
		drift: register(r, prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bpfmap_drift_total",
			Help: "Times that a map was found to differ from its applied revision, by map and kind.",
		}, []string{"namespace", "name", "kind"})),
		maps: register(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "bpfmap_node_maps",
			Help: "Managed maps of this node by state.",
		}, []string{"state"})),
		memory: register(r, prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bpfmap_node_map_memory_bytes",
			Help: "Kernel memory of the managed maps of this node, as the kernel accounts it.",
		})),
		chunks: register(r, prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bpfmap_chunk_read_bytes_total",
			Help: "Bytes of packed entries that were read from the API server as chunks of large revisions.",
		})),
		writes: newWrites(r),
	}
}

// CountChunk records a chunk that was read.
func (n *Node) CountChunk(bytes int) { n.chunks.Add(float64(bytes)) }

// Client is next with its status writes counted.
func (n *Node) Client(next client.Client) client.Client { return n.writes.client(next) }

// ObserveSync records one report.
func (n *Node) ObserveSync(r engine.Report, took time.Duration) {
	action := string(r.Action)
	if action == "" {
		action = "none"
	}
	n.sync.WithLabelValues(action).Observe(took.Seconds())
	switch r.State {
	case v1alpha1.NodeMapFailed:
		n.total.WithLabelValues("error").Inc()
	case v1alpha1.NodeMapStalled:
		n.total.WithLabelValues("stalled").Inc()
	default:
		n.total.WithLabelValues("ok").Inc()
	}
}

// CountDrift records that drift appeared.
func (n *Node) CountDrift(r engine.Report) {
	n.drift.WithLabelValues(r.Key.Namespace, r.Key.Name, string(r.Drift.Kind)).Inc()
}

// ObserveMaps records how the maps of the node are.
func (n *Node) ObserveMaps(lines []v1alpha1.NodeMap) {
	counts := map[v1alpha1.NodeMapState]int{
		v1alpha1.NodeMapReady: 0, v1alpha1.NodeMapPending: 0, v1alpha1.NodeMapFailed: 0, v1alpha1.NodeMapStalled: 0,
	}
	var memory int64
	for i := range lines {
		counts[lines[i].State]++
		memory += lines[i].MemlockBytes
	}
	for state, count := range counts {
		n.maps.WithLabelValues(string(state)).Set(float64(count))
	}
	n.memory.Set(float64(memory))
}

// Forget drops the series of a map that is no longer managed.
func (n *Node) Forget(namespace, name string) {
	n.drift.DeletePartialMatch(prometheus.Labels{"namespace": namespace, "name": name})
}
