// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package series

import (
	"maps"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Series are the numbers of elements whose labels are equal.
type Series struct {
	// Labels are the texts of the plan's labels, and Values the numbers of its metrics.
	Labels []string
	Values []float64
	// Attached is the caller's: what it makes of the labels once, for all readings.
	Attached any

	texts string // as keys of Table.byTexts have them
	seen  bool   // in the reading that goes on
}

// Budget is how many series many tables may have together. A nil Budget bounds nothing. It is safe for concurrent use.
type Budget struct{ left atomic.Int64 }

// NewBudget is room for n series.
func NewBudget(n int) *Budget {
	b := &Budget{}
	b.left.Store(int64(n))
	return b
}

// take takes n series out of the budget, if there are so many.
func (b *Budget) take(n int) bool {
	if b == nil {
		return true
	}
	if b.left.Add(int64(-n)) >= 0 {
		return true
	}
	b.left.Add(int64(n))
	return false
}

func (b *Budget) giveBack(n int) {
	if b != nil {
		b.left.Add(int64(n))
	}
}

// Table holds the series of a map from reading to reading. Who has a series keeps it as long as the map holds one of
// its elements; new ones take the room that there is. What doesn't fit is counted.
//
//	t.Begin()
//	for … { t.Add(keys, values) }
//	t.End()
//
// A reading that doesn't come to its end is followed by another Begin. A Table isn't safe for concurrent use.
type Table struct {
	plan   *Plan
	budget *Budget
	// byTexts are the series by the texts of their labels, and byBytes by the bytes of keys that were turned into texts
	// once: that is what costs.
	byTexts, byBytes map[string]*Series
	order            []*Series

	full       bool // there is no room for another series in the reading that goes on
	overBudget bool // because the Budget has none
	leftOut    int
	raw, texts []byte    // scratch
	numbers    []float64 // scratch
}

// NewTable is a table without series.
func NewTable(p *Plan, b *Budget) *Table {
	return &Table{
		plan: p, budget: b, byTexts: map[string]*Series{}, byBytes: map[string]*Series{}, numbers: make([]float64, len(p.values)),
	}
}

// Plan is the table's.
func (t *Table) Plan() *Plan { return t.plan }

// Begin begins a reading. Values of the one before are gone.
func (t *Table) Begin() {
	t.leftOut, t.full, t.overBudget = 0, len(t.order) >= t.plan.most, false
	for _, s := range t.order {
		s.seen = false
		clear(s.Values)
	}
	if len(t.plan.labels) == 0 && len(t.order) == 0 {
		t.admit("") // an empty map has it, too, at 0
	}
}

// Add adds packed elements of the map.
func (t *Table) Add(keys, values []byte) {
	size := t.plan.keySize
	if len(keys) < size {
		return
	}
	stride := len(values) / (len(keys) / size)
	for ; len(keys) >= size; keys, values = keys[size:], values[stride:] {
		t.add(keys[:size], values[:stride])
	}
}

// add adds an element.
func (t *Table) add(key, value []byte) {
	zero := true
	for i := range t.plan.values {
		n := t.plan.read(i, value)
		t.numbers[i], zero = n, zero && n == 0
	}
	if zero && t.plan.omitZero {
		return
	}
	s := t.of(key)
	if s == nil {
		t.leftOut++
		return
	}
	first := !s.seen
	s.seen = true
	for i := range t.numbers {
		if first {
			s.Values[i] = t.numbers[i]
		} else {
			s.Values[i] = t.plan.values[i].merge(s.Values[i], t.numbers[i])
		}
	}
}

// read is the number of a metric in an element's value, that of all CPUs in a per-CPU map.
func (p *Plan) read(i int, b []byte) float64 {
	v := &p.values[i]
	n := v.number.Of(b)
	if !p.perCPU {
		return n
	}
	for b = b[p.slot:]; len(b) >= p.slot; b = b[p.slot:] {
		n = v.merge(n, v.number.Of(b))
	}
	return n
}

func (v *value) merge(a, b float64) float64 {
	switch v.aggregation {
	case v1alpha1.AggregateMax:
		return math.Max(a, b)
	case v1alpha1.AggregateMin:
		return math.Min(a, b)
	}
	return a + b
}

// bytesPerSeries bounds how many keys are remembered with their series, for each series that there may be.
const bytesPerSeries = 4

// of is the series of a key; nil if there is no room for it.
func (t *Table) of(key []byte) *Series {
	t.raw = t.raw[:0]
	for _, l := range t.plan.labels {
		t.raw = append(t.raw, l.Bytes(key)...)
	}
	if s := t.byBytes[string(t.raw)]; s != nil {
		return s
	}
	if t.full && t.plan.exact {
		return nil // other bytes are another series
	}
	t.texts = t.texts[:0]
	for _, l := range t.plan.labels {
		at := len(t.texts)
		t.texts = l.AppendLabel(t.texts, key)
		if len(t.texts) > at+maxLabelText {
			t.texts = append(t.texts[:at], text.Truncate(string(t.texts[at:]), maxLabelText)...)
		}
		t.texts = append(t.texts, endOfText)
	}
	s := t.byTexts[string(t.texts)]
	if s == nil {
		if s = t.admit(string(t.texts)); s == nil {
			return nil
		}
	}
	if len(t.byBytes) < bytesPerSeries*t.plan.most {
		t.byBytes[string(t.raw)] = s
	}
	return s
}

// maxLabelText bounds the value of a label in bytes. What is cut may be equal to another one, and is added to it.
const maxLabelText = 256

// endOfText ends each label's text in a key of Table.byTexts. It is in no text, since these are UTF-8.
const endOfText = 0xff

// admit makes a series, if there is room for it.
func (t *Table) admit(texts string) *Series {
	if t.full {
		return nil
	}
	if len(t.order) >= t.plan.most || !t.budget.take(len(t.plan.values)) {
		t.full, t.overBudget = true, len(t.order) < t.plan.most
		return nil
	}
	s := &Series{Values: make([]float64, len(t.plan.values)), texts: texts}
	if len(t.plan.labels) > 0 {
		s.Labels = strings.Split(strings.TrimSuffix(texts, string([]byte{endOfText})), string([]byte{endOfText}))
	}
	t.order = append(t.order, s)
	t.byTexts[texts] = s
	return s
}

// End ends a reading that was complete: series of which no element was seen make room for others.
func (t *Table) End() {
	if len(t.plan.labels) == 0 {
		return // the one series stays, at 0 if the map is empty
	}
	t.drop(func(s *Series) bool { return !s.seen })
}

// Drop gives up all series.
func (t *Table) Drop() { t.drop(func(*Series) bool { return true }) }

func (t *Table) drop(gone func(*Series) bool) {
	before := len(t.order)
	maps.DeleteFunc(t.byBytes, func(_ string, s *Series) bool { return gone(s) })
	maps.DeleteFunc(t.byTexts, func(_ string, s *Series) bool { return gone(s) })
	t.order = slices.DeleteFunc(t.order, gone)
	t.budget.giveBack((before - len(t.order)) * len(t.plan.values))
}

// All are the series of the last reading, in the order in which they came. They are valid until the next Begin.
func (t *Table) All() []*Series { return t.order }

// LeftOut is how many elements of the last reading are in no series, because there was no room for theirs.
func (t *Table) LeftOut() int { return t.leftOut }

// IsOverBudget says that elements were left out because the Budget had no room, not the plan.
func (t *Table) IsOverBudget() bool { return t.overBudget }
