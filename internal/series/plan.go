// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// Subject is a map whose contents become series.
type Subject struct {
	Type v1alpha1.MapType
	// Key is nil for types without keys, and Value zero for those without values.
	Key   *v1alpha1.Schema
	Value v1alpha1.Schema
	// Sensitive says that entries come from a Secret.
	Sensitive bool
}

// Metric is one metric that elements become.
type Metric struct {
	// Name is complete. That of a counter ends in _total, and no other does.
	Name, Help string
	Counter    bool
}

// Plan is how elements become series. It isn't changed after it was made.
type Plan struct {
	Metrics []Metric
	// Labels are the names of the labels that hold parts of the key, in the order of the spec.
	Labels []string

	labels   []schema.Place
	values   []value
	perCPU   bool
	omitZero bool
	// exact says that keys whose labels have other bytes have other labels.
	exact bool
	// most is how many series each metric may have.
	most int
	// Sizes of the elements in bytes; slot is what a value takes for each CPU.
	keySize, valueSize, slot int
}

// value is how a metric's number is read.
type value struct {
	number      schema.Number
	aggregation v1alpha1.MetricAggregation
}

// Problem is something that is wrong with a spec.
type Problem struct {
	// Path is relative to spec.metrics, such as ".labels[1].field".
	Path, Message string
}

// New is the plan of a spec, or what is wrong with it. It repeats the rules of the CRD.
func New(m *v1alpha1.MapMetrics, of Subject) (*Plan, []Problem) {
	p := planner{spec: m, of: of, plan: &Plan{omitZero: m.OmitZero}}
	p.build()
	if len(p.problems) > 0 {
		return nil, p.problems
	}
	return p.plan, nil
}

// Shape are the sizes of key and value that the plan is for, of one CPU's value.
func (p *Plan) Shape() (keySize, valueSize int) { return p.keySize, p.valueSize }

// MaxSeries is how many series the plan makes at most.
func (p *Plan) MaxSeries() int { return p.most * len(p.values) }

type planner struct {
	spec       *v1alpha1.MapMetrics
	of         Subject
	plan       *Plan
	problems   []Problem
	key, value *schema.Layout
}

func (p *planner) add(path, format string, args ...any) {
	p.problems = append(p.problems, Problem{path, fmt.Sprintf(format, args...)})
}

func (p *planner) build() {
	t := maptype.ByName(string(p.of.Type)).Or()
	if !t.CanShare() {
		p.add("", "the contents of a %s can't become metrics: only those of types whose elements are keys and values that can be listed", p.of.Type)
		return
	}
	var err error
	if p.key, err = schema.New(p.of.Key); err != nil {
		p.add("", "the key: %s", err)
		return
	}
	if p.value, err = schema.New(&p.of.Value); err != nil {
		p.add("", "the value: %s", err)
		return
	}
	p.plan.perCPU = t.PerCPU
	p.plan.keySize, p.plan.valueSize, p.plan.slot = p.key.Size(), p.value.Size(), p.value.Size()
	if t.PerCPU {
		p.plan.slot = maptype.Slot(p.value.Size())
	}
	p.addLabels()
	p.addValues()
	p.bound()
	if len(p.problems) > 0 {
		return
	}
	p.plan.exact = !slices.ContainsFunc(p.plan.labels, func(l schema.Place) bool { return !l.IsExact() })
}

// bound is how many series there may be.
func (p *planner) bound() {
	n := p.spec.MaxSeries
	switch {
	case n == 0:
		n = v1alpha1.DefaultMaxSeries
	case n < 1 || n > v1alpha1.MostSeries:
		p.add(".maxSeries", "%d is out of range (1…%d)", n, v1alpha1.MostSeries)
	case int(n) < len(p.spec.Values):
		p.add(".maxSeries", "%d leaves no room for one series of each of %d values", n, len(p.spec.Values))
	}
	p.plan.most = int(n) / max(1, len(p.spec.Values))
}

var (
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	metricName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
)

const (
	maxLabelName  = 63
	maxMetricName = 100
	maxHelp       = 256
)

// taken are labels that mean something else: the BPFMap, what Prometheus knows of what it scrapes, which our series would
// replace since it honors our labels, and those of histograms and summaries.
var taken = []string{
	"namespace", "name", "node", "job", "instance", "pod", "container", "service", "endpoint", "prometheus", "prometheus_replica", "le", "quantile",
}

func (p *planner) addLabels() {
	if n := len(p.spec.Labels); n > v1alpha1.MaxMetricLabels {
		p.add(".labels", "%d labels, at most %d are possible", n, v1alpha1.MaxMetricLabels)
		return
	}
	if p.of.Sensitive && len(p.spec.Labels) > 0 {
		p.add(".labels", "entries come from a Secret, and labels would show their keys to all who may read metrics: leave labels out")
		return
	}
	for i, l := range p.spec.Labels {
		at := fmt.Sprintf(".labels[%d]", i)
		switch {
		case !labelName.MatchString(l.Name) || strings.HasPrefix(l.Name, "__") || len(l.Name) > maxLabelName:
			p.add(at+".name", "%q is not a label name of Prometheus: letters, digits and '_', at most %d, not beginning with a digit or '__'", l.Name, maxLabelName)
		case slices.Contains(taken, l.Name):
			p.add(at+".name", "the label %s is taken, by the BPFMap or by what Prometheus knows of what it scrapes: choose another name for it", l.Name)
		case slices.Contains(p.plan.Labels, l.Name):
			p.add(at+".name", "%q is the name of an earlier label", l.Name)
		}
		place, err := p.key.At(l.Field)
		switch {
		case err != nil:
			p.add(at+".field", "%s", err)
		case !place.IsScalar():
			p.add(at+".field", "%s is a struct, a union or an array: name one of its parts", orWhole(l.Field, "the key"))
		}
		p.plan.Labels = append(p.plan.Labels, l.Name)
		p.plan.labels = append(p.plan.labels, place)
	}
}

func orWhole(field, whole string) string {
	if field == "" {
		return whole
	}
	return fmt.Sprintf("%q", field)
}

func (p *planner) addValues() {
	if n := len(p.spec.Values); n < 1 || n > v1alpha1.MaxMetricValues {
		p.add(".values", "%d values, 1 to %d are possible", n, v1alpha1.MaxMetricValues)
		return
	}
	for i := range p.spec.Values {
		v, at := &p.spec.Values[i], fmt.Sprintf(".values[%d]", i)
		p.addMetric(v, at)
		a := v.Aggregation
		if a == "" {
			a = v1alpha1.AggregateSum
		}
		if a != v1alpha1.AggregateSum && a != v1alpha1.AggregateMax && a != v1alpha1.AggregateMin {
			p.add(at+".aggregation", "invalid value %q: must be one of Sum, Max, Min", a)
		}
		place, err := p.value.At(v.Field)
		if err != nil {
			p.add(at+".field", "%s", err)
			continue
		}
		if why := place.Why(); why != "" {
			p.add(at+".field", "%s %s", orWhole(v.Field, "the value"), why)
			continue
		}
		if p.of.Sensitive && !place.IsProgram() {
			p.add(at+".field", "%s is declared, and entries come from a Secret: only what programs own (owner: Program) can be shown", orWhole(v.Field, "the value"))
		}
		p.plan.values = append(p.plan.values, value{place.Number(), a})
	}
}

// addMetric checks a metric's name and type, and completes the name.
func (p *planner) addMetric(v *v1alpha1.MetricValue, at string) {
	const total = "_total"
	m := Metric{Name: v1alpha1.ContentMetricPrefix + v.Name, Help: v.Help, Counter: v.Type == v1alpha1.MetricCounter}
	if !metricName.MatchString(v.Name) || len(v.Name) > maxMetricName {
		p.add(at+".name", "%q is not the name of a metric: small letters, digits and '_', at most %d, beginning with a letter", v.Name, maxMetricName)
	}
	switch {
	case m.Counter && !strings.HasSuffix(m.Name, total):
		m.Name += total
	case m.Counter:
	case v.Type != v1alpha1.MetricGauge:
		p.add(at+".type", "invalid value %q: must be one of Counter, Gauge", v.Type)
	case strings.HasSuffix(m.Name, total):
		p.add(at+".name", "%q ends in _total, as counters do and gauges don't: set type to Counter, or choose another name", v.Name)
	}
	if len(v.Help) > maxHelp {
		p.add(at+".help", "has %d bytes, at most %d are possible", len(v.Help), maxHelp)
	}
	if m.Help == "" {
		m.Help = "What BPFMaps hold, as their spec.metrics say."
	}
	if slices.ContainsFunc(p.plan.Metrics, func(o Metric) bool { return o.Name == m.Name }) {
		p.add(at+".name", "%q makes the metric %s, as an earlier value does", v.Name, m.Name)
	}
	p.plan.Metrics = append(p.plan.Metrics, m)
}
