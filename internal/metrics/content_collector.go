// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/series"
)

// contentCollector tells how the contents of maps are served. What they are is told by its contentSeries, whose
// metrics nobody knows beforehand.
type contentCollector struct{ *contents }

// contentSeries gives what BPFMaps want served of their contents.
type contentSeries struct{ *contents }

func newContents() *contents {
	return &contents{now: time.Now, maps: map[revision.Key]*content{}, descs: contentDescs{}, budget: series.NewBudget(DefaultContentSeries), limit: DefaultContentSeries}
}

var contentMetrics = descs(&nodeContentSeries, &nodeContentLeftOut, &nodeContentFailed, &nodeContentTook)

// Describe is for the registry.
func (c contentCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range contentMetrics {
		out <- d
	}
}

// Collect is for the registry.
func (c contentCollector) Collect(out chan<- prometheus.Metric) {
	all := c.refresh()
	keys := make([]revision.Key, len(all))
	for i, m := range all {
		keys[i] = m.key
	}
	c.mu.Lock()
	c.own.admit(keys)
	shown := make([]bool, len(all))
	for i := range keys {
		shown[i] = c.own.have[keys[i]]
	}
	c.mu.Unlock()
	for i, m := range all {
		if shown[i] {
			m.describe(out)
		}
	}
}

// describe tells how the contents of the map are served.
func (m *content) describe(out chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	labels := []*dto.LabelPair{pair("name", m.key.Name), pair("namespace", m.key.Namespace)}
	give := func(of *Metric, value float64) { out <- sample{desc: contentMetrics[of], value: value, labels: labels} }
	served, leftOut := 0, 0
	if m.err == nil {
		served, leftOut = len(m.table.All())*len(m.table.Plan().Metrics), m.table.LeftOut()
	}
	give(&nodeContentSeries, float64(served))
	give(&nodeContentLeftOut, float64(leftOut))
	give(&nodeContentFailed, toFloat(m.err != nil))
	give(&nodeContentTook, m.took.Seconds())
}

// Describe is for the registry: it describes nothing, since the metrics follow from BPFMaps.
func (contentSeries) Describe(chan<- *prometheus.Desc) {}

// Collect is for the registry.
func (c contentSeries) Collect(out chan<- prometheus.Metric) {
	helps := map[string]string{}
	for _, m := range c.refresh() {
		m.send(out, helps, c.contents)
	}
}

// send gives the map's series. All metrics of a name have the help of the first one, or Prometheus' library refuses the
// whole scrape.
func (m *content) send(out chan<- prometheus.Metric, helps map[string]string, c *contents) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return
	}
	plan := m.table.Plan()
	descs := make([]*prometheus.Desc, len(plan.Metrics))
	for i := range plan.Metrics {
		metric := &plan.Metrics[i]
		if _, ok := helps[metric.Name]; !ok {
			helps[metric.Name] = metric.Help
		}
		descs[i] = c.desc(metric.Name, helps[metric.Name])
	}
	for _, s := range m.table.All() {
		labels, ok := s.Attached.([]*dto.LabelPair)
		if !ok {
			labels = m.pairs(s)
			s.Attached = labels
		}
		for i := range plan.Metrics {
			out <- sample{desc: descs[i], value: s.Values[i], labels: labels, count: plan.Metrics[i].Counter}
		}
	}
}

// pairs are the labels of a series, sorted by name.
func (m *content) pairs(s *series.Series) []*dto.LabelPair {
	pairs := []*dto.LabelPair{pair("name", m.key.Name), pair("namespace", m.key.Namespace)}
	for i, name := range m.table.Plan().Labels {
		pairs = append(pairs, pair(name, s.Labels[i]))
	}
	slices.SortFunc(pairs, func(a, b *dto.LabelPair) int { return cmp.Compare(a.GetName(), b.GetName()) })
	return pairs
}

// contentDescs are the descriptions that were made, by name and help. Making one costs more than a series.
type contentDescs map[[2]string]*prometheus.Desc

// maxContentDescs bounds the descriptions that are kept.
const maxContentDescs = 4096

// desc is the description of a metric. Its labels aren't in it: they differ from map to map, and the samples have them.
func (c *contents) desc(name, help string) *prometheus.Desc {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.descs[[2]string{name, help}]
	if d == nil {
		if len(c.descs) >= maxContentDescs {
			clear(c.descs)
		}
		d = prometheus.NewDesc(name, help, nil, nil)
		c.descs[[2]string{name, help}] = d
	}
	return d
}
