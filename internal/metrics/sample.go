// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"strings"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// DefaultPerMap is how many maps have series of their own unless the administrator says otherwise.
const DefaultPerMap = 1000

// sample is one series of a scrape. Unlike the library's constant metrics, samples of the same map share
// their labels: with a thousand maps, making these is most of what a scrape costs.
type sample struct {
	desc   *prometheus.Desc
	value  float64
	labels []*dto.LabelPair // sorted by name
	count  bool             // it is a counter, not a gauge
}

// Desc is for the registry.
func (s sample) Desc() *prometheus.Desc { return s.desc }

// Write is for the registry.
func (s sample) Write(out *dto.Metric) error {
	out.Label = s.labels
	if s.count {
		out.Counter = &dto.Counter{Value: &s.value}
		return nil
	}
	out.Gauge = &dto.Gauge{Value: &s.value}
	return nil
}

func pair(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }

// one is a series of a metric that isn't per map, with the values of its labels.
func one(m *Metric, value float64, labels ...string) prometheus.Metric {
	t := prometheus.GaugeValue
	if m.Type == counter {
		t = prometheus.CounterValue
	}
	return prometheus.MustNewConstMetric(m.desc(), t, value, labels...)
}

// snake is a CamelCase word of the API as the value of a label.
func snake(word string) string {
	var b strings.Builder
	for i, r := range word {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func toFloat(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// bounded are the maps that have series of their own: those that came first, up to a limit. Who has them
// keeps them, so that a scrape doesn't show other maps than the one before.
type bounded[K comparable] struct {
	limit int
	have  map[K]bool
}

// admit lets those of all in that there is room for, and says how many have to stay out: none if nobody is to
// have series. Who isn't among all any more makes room.
func (b *bounded[K]) admit(all []K) (leftOut int) {
	now := make(map[K]bool, len(all))
	for _, k := range all {
		now[k] = true
	}
	for k := range b.have {
		if !now[k] || len(b.have) > b.limit {
			delete(b.have, k)
		}
	}
	if b.have == nil {
		b.have = map[K]bool{}
	}
	for _, k := range all {
		if len(b.have) >= b.limit {
			break
		}
		b.have[k] = true
	}
	if b.limit == 0 {
		return 0
	}
	return len(now) - len(b.have)
}
