// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// ContentMetricPrefix begins the name of every metric that is made of a map's contents.
const ContentMetricPrefix = "bpfmap_content_"

// The bounds of MapMetrics.
const (
	// DefaultMaxSeries is MapMetrics.MaxSeries if it isn't given, and MostSeries the most that may be given.
	DefaultMaxSeries = 100
	MostSeries       = 1000
	// MaxMetricLabels and MaxMetricValues bound the lists.
	MaxMetricLabels = 8
	MaxMetricValues = 16
)

// MapMetrics makes Prometheus metrics of what a map holds: each value field that is named here becomes a metric, and the
// key's fields that are named here its labels. Every agent reads its node's map when it is scraped.
//
// +kubebuilder:validation:XValidation:rule="!has(self.maxSeries) || self.maxSeries >= self.values.size()",messageExpression="'maxSeries %d leaves no room for one series of each of %d values'.format([self.maxSeries, self.values.size()])"
type MapMetrics struct {
	// labels are the parts of a key that tell series apart, for example [{name: proto, field: proto}]. Elements whose
	// labels are equal make one series together; without labels, all elements of the map do. Every series also has the
	// labels namespace and name, the BPFMap's. Maps with entries from a Secret can't have any.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=8
	Labels []MetricLabel `json:"labels,omitempty"`

	// values are the metrics, for example [{name: packets, field: packets, type: Counter}].
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Values []MetricValue `json:"values"`

	// maxSeries is how many series the map may have on a node, over all its metrics; 100 if not given. Those of keys that
	// come later are left out, which bpfmap_node_content_elements_left_out and the map in the BPFNodeState tell. An agent
	// serves at most 10,000 series of all its maps, unless the administrator says otherwise (--metrics-content-series).
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxSeries int32 `json:"maxSeries,omitempty"`

	// omitZero leaves out elements of which all values are 0: of an array, where every index always exists, those that no
	// program has counted in.
	// +optional
	OmitZero bool `json:"omitZero,omitempty"`
}

// MetricLabel is a label that holds a part of the key.
type MetricLabel struct {
	// name is the label's name. namespace, name and those that Prometheus gives to what it scrapes (node, job, instance,
	// pod, container, service, endpoint) are taken, as are le and quantile.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z_][a-zA-Z0-9_]*$') && !self.startsWith('__')",message="name must be a label name of Prometheus: letters, digits and '_', not beginning with a digit or '__'"
	// +kubebuilder:validation:XValidation:rule="!(self in ['namespace','name','node','job','instance','pod','container','service','endpoint','prometheus','prometheus_replica','le','quantile'])",messageExpression="'the label %s is taken, by the BPFMap or by what Prometheus knows of what it scrapes: choose another name for it'.format([self])"
	Name string `json:"name"`

	// field is the part of the key, for example proto, tuple.saddr or ports[0]; the key as a whole if not given. Its text is
	// that of entries: addresses and prefixes as such, enum values by their names.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Field string `json:"field,omitempty"`
}

// MetricValue is a metric that holds a part of the value.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'Gauge' || !self.name.endsWith('_total')",message="a name that ends in _total is a counter's: set type to Counter, or choose another name"
type MetricValue struct {
	// name is the metric's, without bpfmap_content_, which is put in front of it. To that of a Counter, _total is added
	// unless it ends so.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z][a-z0-9_]*$')",message="name must be the name of a metric: small letters, digits and '_', beginning with a letter, for example packets"
	Name string `json:"name"`

	// field is the part of the value, for example packets, stats.bytes or counts[2]; the value as a whole if not given. It is
	// a number: an integer of at most 64 bits, a float or a bool. One that is a duration or a time is given in seconds.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Field string `json:"field,omitempty"`

	// type is what the number is to Prometheus.
	// +required
	Type MetricType `json:"type"`

	// aggregation makes one number of those of all CPUs, in a per-CPU map, and of those of all elements with equal labels.
	// Sum if not given.
	// +optional
	Aggregation MetricAggregation `json:"aggregation,omitempty"`

	// help is a sentence on what the number means. A metric has one: where BPFMaps have metrics of the same name, an agent
	// serves that of the first one by namespace and name.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Help string `json:"help,omitempty"`
}

// MetricType is what a number is to Prometheus.
//
// +kubebuilder:validation:Enum=Counter;Gauge
type MetricType string

// The types of metrics.
const (
	// MetricCounter only grows, but for restarts at 0: packets, bytes, drops. Look at it by rate() and increase().
	MetricCounter MetricType = "Counter"
	// MetricGauge goes up and down: tokens, limits, open flows.
	MetricGauge MetricType = "Gauge"
)

// MetricAggregation makes one number of several.
//
// +kubebuilder:validation:Enum=Sum;Max;Min
type MetricAggregation string

// The aggregations.
const (
	// AggregateSum adds them up.
	AggregateSum MetricAggregation = "Sum"
	// AggregateMax takes the greatest: the last time that any CPU saw something, the longest queue.
	AggregateMax MetricAggregation = "Max"
	// AggregateMin takes the smallest.
	AggregateMin MetricAggregation = "Min"
)
