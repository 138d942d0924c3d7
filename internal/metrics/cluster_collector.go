// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// conditions are those of a BPFMap.
var conditions = []string{
	v1alpha1.ConditionReady, v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled, v1alpha1.ConditionAccepted,
	v1alpha1.ConditionDrifted,
}

// statuses are those of a condition.
var statuses = []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown}

// clusterCollector keeps of each BPFMap's last status what its series tell.
type clusterCollector struct {
	mu      sync.Mutex
	sources Sources
	own     bounded[types.NamespacedName]
	maps    map[types.NamespacedName]clusterMap
	// counted are all pairs that were seen: they are a few, however many BPFMaps there are.
	counted map[verdict]bool
}

// clusterMap is what is kept of a status.
type clusterMap struct {
	verdict    verdict
	conditions [5]float64 // as conditions
	nodes      v1alpha1.NodeCounts
	phase      string // empty before there is a rollout
	sources    []clusterSource
}

// clusterSource is what is kept of a source's status.
type clusterSource struct {
	name     string
	lastGood float64 // 0 for never
	refused  bool
}

// verdict is a condition Ready.
type verdict struct{ ready, reason string }

func newClusterCollector() *clusterCollector {
	return &clusterCollector{
		maps: map[types.NamespacedName]clusterMap{},
		counted: map[verdict]bool{
			{"true", v1alpha1.ReasonReady}: true, {"false", v1alpha1.ReasonProgressing}: true,
		},
	}
}

func (c *clusterCollector) observe(s Sources, perMap int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sources, c.own.limit = s, perMap
}

func (c *clusterCollector) set(name types.NamespacedName, s v1alpha1.BPFMapStatus) {
	m := clusterMap{verdict: verdict{"unknown", "Unknown"}, nodes: s.Nodes}
	if ready := meta.FindStatusCondition(s.Conditions, v1alpha1.ConditionReady); ready != nil {
		m.verdict = verdict{strings.ToLower(string(ready.Status)), ready.Reason}
	}
	for i, of := range conditions {
		m.conditions[i] = truth(meta.FindStatusCondition(s.Conditions, of))
	}
	if s.Rollout != nil {
		m.phase = snake(string(s.Rollout.Phase))
	}
	for i := range s.Sources {
		one := &s.Sources[i]
		of := clusterSource{name: fmt.Sprintf("%d: %s", one.Index, one.Name), refused: one.Message != ""}
		if one.LastGoodTime != nil {
			of.lastGood = float64(one.LastGoodTime.Unix())
		}
		m.sources = append(m.sources, of)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maps[name] = m
	c.counted[m.verdict] = true
}

// truth is a condition as a number: 1 is True, 0 False, -1 Unknown.
func truth(c *metav1.Condition) float64 {
	switch {
	case c == nil || c.Status == metav1.ConditionUnknown:
		return -1
	case c.Status == metav1.ConditionTrue:
		return 1
	}
	return 0
}

func (c *clusterCollector) delete(name types.NamespacedName) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.maps, name)
}

var clusterDescs = descs(&clusterMapCondition, &clusterMapNodes, &clusterMapUpdated, &clusterMapRollout, &sourceLastGood, &sourceRefused, &clusterMaps,
	&clusterMapsLeftOut, &clusterNodes, &clusterCRDs)

// Describe is for the registry.
func (c *clusterCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range clusterDescs {
		out <- d
	}
}

// Collect is for the registry.
func (c *clusterCollector) Collect(out chan<- prometheus.Metric) {
	c.collectSources(out)
	c.mu.Lock()
	defer c.mu.Unlock()
	names := make([]types.NamespacedName, 0, len(c.maps))
	counts := map[verdict]int{}
	for name, m := range c.maps {
		names = append(names, name)
		counts[m.verdict]++
	}
	out <- one(&clusterMapsLeftOut, float64(c.own.admit(names)))
	for v := range c.counted {
		out <- one(&clusterMaps, float64(counts[v]), v.ready, v.reason)
	}
	for name := range c.own.have {
		m := c.maps[name]
		m.collect(out, name)
	}
}

// collectSources asks the sources, which may take the time that they need: no status waits for it.
func (c *clusterCollector) collectSources(out chan<- prometheus.Metric) {
	c.mu.Lock()
	sources := c.sources
	c.mu.Unlock()
	if sources.CRDs != nil {
		out <- one(&clusterCRDs, toFloat(sources.CRDs() == nil))
	}
	if sources.Nodes == nil {
		return
	}
	if counts, ok := sources.Nodes(); ok {
		for _, s := range statuses {
			out <- one(&clusterNodes, float64(counts[s]), strings.ToLower(string(s)))
		}
	}
}

// collect gives the series of one BPFMap.
func (m *clusterMap) collect(out chan<- prometheus.Metric, of types.NamespacedName) {
	name, namespace := pair("name", of.Name), pair("namespace", of.Namespace)
	give := func(of *Metric, value float64, labels ...*dto.LabelPair) {
		out <- sample{desc: clusterDescs[of], value: value, labels: labels}
	}
	for i := range conditions {
		give(&clusterMapCondition, m.conditions[i], name, namespace, conditionPairs[i])
	}
	give(&clusterMapNodes, float64(m.nodes.Ready), name, namespace, readyPair)
	give(&clusterMapNodes, float64(m.nodes.Pending), name, namespace, pendingPair)
	give(&clusterMapNodes, float64(m.nodes.Failed), name, namespace, failedPair)
	give(&clusterMapNodes, float64(m.nodes.Unknown), name, namespace, unknownPair)
	give(&clusterMapUpdated, float64(m.nodes.Updated), name, namespace)
	if m.phase != "" {
		give(&clusterMapRollout, 1, name, namespace, pair("phase", m.phase))
	}
	for _, s := range m.sources {
		source := pair("source", s.name)
		if s.lastGood > 0 {
			give(&sourceLastGood, s.lastGood, name, namespace, source)
		}
		give(&sourceRefused, toFloat(s.refused), name, namespace, source)
	}
}

// Values of labels that all BPFMaps share.
var (
	readyPair, pendingPair  = pair("state", "ready"), pair("state", "pending")
	failedPair, unknownPair = pair("state", "failed"), pair("state", "unknown")
	conditionPairs          = func() (pairs []*dto.LabelPair) {
		for _, of := range conditions {
			pairs = append(pairs, pair("type", snake(of)))
		}
		return pairs
	}()
)
