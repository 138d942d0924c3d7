// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// driftedEntries are the first elements that differ, as people read them. What comes from a Secret, now or in
// the revision before, is shown nowhere.
func driftedEntries(o *Observation, p *plan.Plan) []v1alpha1.DriftedEntry {
	if p.Drift != plan.DriftContents || o.rev.Sensitive || o.last != nil && o.last.sensitive {
		return nil
	}
	d, err := newDrifted(o)
	if err != nil {
		return nil // a schema that can't be laid out: the summary has to do
	}
	c := &p.Changes
	for _, e := range c.Found {
		d.add(e.Key, e.Value)
	}
	missing := c
	if c.Kept != nil {
		missing = c.Kept
	}
	for i := range missing.Insert.All() {
		if len(d.keys) == v1alpha1.MaxDriftedEntries {
			break
		}
		d.add(c.Contents.Key(i), nil)
	}
	return d.sorted()
}

// drifted collects elements that differ.
type drifted struct {
	o          *Observation
	key, value *schema.Layout
	keys       [][]byte
	entries    []v1alpha1.DriftedEntry
}

func newDrifted(o *Observation) (d *drifted, err error) {
	d = &drifted{o: o}
	if o.rev.KeySchema != nil {
		if d.key, err = schema.New(o.rev.KeySchema); err != nil {
			return nil, err
		}
	}
	d.value, err = schema.New(&o.rev.ValueSchema)
	return d, err
}

// add takes an element in; found is nil if it was missing.
func (d *drifted) add(key, found []byte) {
	if d.key == nil || len(d.keys) == v1alpha1.MaxDriftedEntries {
		return
	}
	e := v1alpha1.DriftedEntry{Key: cut(d.key.AppendText(nil, key))}
	if found != nil {
		e.Found = d.valueText(found)
	}
	if i, declared := d.o.contents.Find(key); declared {
		e.Declared = d.valueText(d.o.contents.AppendValue(nil, i))
	}
	d.keys, d.entries = append(d.keys, key), append(d.entries, e)
}

func (d *drifted) valueText(value []byte) string {
	cpus := 0
	if d.o.rev.Shape.IsPerCPU() {
		cpus = d.o.contents.cpus
	}
	return cut(schema.AppendCPUs(nil, value, d.value.Size(), cpus, d.value.AppendText))
}

func cut(b []byte) string { return text.Truncate(string(b), v1alpha1.MaxDriftedText) }

// sorted are the elements in the order of their keys.
func (d *drifted) sorted() []v1alpha1.DriftedEntry {
	order := make([]int, len(d.keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return d.o.rev.Shape.CompareKeys(d.keys[a], d.keys[b]) })
	entries := make([]v1alpha1.DriftedEntry, len(order))
	for i, from := range order {
		entries[i] = d.entries[from]
	}
	if len(entries) == 0 {
		return nil
	}
	return entries
}
