// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Node records what an agent does.
type Node struct {
	sync   *prometheus.HistogramVec
	total  *prometheus.CounterVec
	drift  *prometheus.CounterVec
	chunks *prometheus.CounterVec
	maps   *nodeCollector
	// contents are served beside the collectors of their own.
	contents *contents
	writes   writes
}

// NewNode registers the agent's metrics with r.
// systemCalls is how many system calls the engine has made.
func NewNode(r prometheus.Registerer, calls func() uint64) *Node {
	register(r, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: systemCalls.Name, Help: systemCalls.Help},
		func() float64 { return float64(calls()) }))
	n := &Node{
		sync:   register(r, syncDuration.histogram(prometheus.ExponentialBuckets(0.0001, 4, 9))),
		total:  register(r, syncs.counter()),
		drift:  register(r, drift.counter()),
		chunks: register(r, chunkBytes.counter()),
		maps:   register(r, newNodeCollector()),
		writes: newWrites(r),
	}
	fresh := newContents()
	if n.contents = register(r, contentCollector{fresh}).contents; n.contents == fresh {
		r.MustRegister(contentSeries{fresh}) // nothing tells it from another one
	}
	// A counter that begins with its first event hides it: increase() sees no step.
	for _, result := range []string{resultOK, resultError, resultStalled} {
		n.total.WithLabelValues(result)
	}
	for _, kind := range driftKinds {
		n.drift.WithLabelValues(snake(string(kind)))
	}
	n.chunks.WithLabelValues()
	return n
}

const (
	resultOK      = "ok"
	resultError   = "error"
	resultStalled = "stalled"
)

var driftKinds = []plan.DriftKind{
	plan.DriftContents, plan.DriftPinRemoved, plan.DriftMapGone, plan.DriftPinReplaced, plan.DriftUnfrozen,
	plan.DriftFrozen, plan.DriftPinMode,
}

// Observe says where the states of the node's maps are: snapshot is asked at each scrape. At most perMap maps
// get series of their own. resync is how often each map is to be looked at.
func (n *Node) Observe(snapshot func() []v1alpha1.NodeMap, perMap int, resync time.Duration) {
	n.maps.observe(snapshot, perMap, resync)
	n.contents.showMaps(perMap)
}

// ServeContents says how maps are read whose contents become metrics, how many series these may be, and who is told what
// isn't served of a map; that is called for each change, and may not call n.
func (n *Node) ServeContents(read ContentReader, most int, told func(key revision.Key, missing string)) {
	n.contents.serve(read, most, told)
}

// FollowContents serves what the status of a revision wants of the contents of its map, which the kernel holds as the
// revision says.
func (n *Node) FollowContents(rev *v1alpha1.BPFMapRevision) {
	n.contents.follow(revision.Key{Namespace: rev.Namespace, Name: rev.Spec.MapName}, rev.Status.Metrics, &rev.Spec)
}

// CountChunk records a chunk that was read.
func (n *Node) CountChunk(bytes int) { n.chunks.WithLabelValues().Add(float64(bytes)) }

// Client is next with its status writes counted.
func (n *Node) Client(next client.Client) client.Client { return n.writes.client(next) }

// ObserveSync records one report.
func (n *Node) ObserveSync(r engine.Report, took time.Duration) {
	action := "none"
	if r.Action != engine.ActionNone {
		action = snake(string(r.Action))
	}
	n.sync.WithLabelValues(action).Observe(took.Seconds())
	switch r.State {
	case v1alpha1.NodeMapFailed:
		n.total.WithLabelValues(resultError).Inc()
		return
	case v1alpha1.NodeMapStalled:
		n.total.WithLabelValues(resultStalled).Inc()
	default:
		n.total.WithLabelValues(resultOK).Inc()
	}
	n.maps.looked(r.Key)
}

// ObserveShape records the shape of a map that the kernel holds as a revision says.
func (n *Node) ObserveShape(r engine.Report, s *v1alpha1.BPFMapRevisionSpec) {
	t := maptype.ByName(string(s.Type))
	if t == nil || r.State != v1alpha1.NodeMapReady || t.Capacity != maptype.Elements {
		return
	}
	n.maps.shaped(r.Key, shape{maxEntries: s.MaxEntries, refuses: !t.LRU && !t.Indexed})
}

// CountDrift records that drift appeared.
func (n *Node) CountDrift(r engine.Report) {
	n.drift.WithLabelValues(snake(string(r.Drift.Kind))).Inc()
	n.maps.drifted(r.Key)
}

// Forget drops what is known of a map that is no longer managed.
func (n *Node) Forget(namespace, name string) {
	key := revision.Key{Namespace: namespace, Name: name}
	n.maps.forget(key)
	n.contents.forget(key)
}
