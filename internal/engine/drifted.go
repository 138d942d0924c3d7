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

// driftedEntries are the first elements that differ, as people read them, and of those that have another value
// which fields differ. What comes from a Secret, now or in the revision before, is shown nowhere.
func driftedEntries(o *Observation, p *plan.Plan) (entries []v1alpha1.DriftedEntry, changes []string) {
	if p.Drift != plan.DriftContents || o.rev.Sensitive || o.record != nil && o.record.Sensitive {
		return nil, nil
	}
	d, err := newDrifted(o)
	if err != nil {
		return nil, nil // a schema that can't be laid out: the summary has to do
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

// driftedCount is how many elements differ.
func driftedCount(p *plan.Plan) int {
	switch c := &p.Changes; {
	case p.Drift != plan.DriftContents:
		return 0
	case c.Kept != nil:
		return c.Kept.Total() + c.Overwritten
	default:
		return c.Total()
	}
}

// drifted collects elements that differ.
type drifted struct {
	o          *Observation
	key, value *schema.Layout
	keys       [][]byte
	entries    []v1alpha1.DriftedEntry
	changes    []string
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
	change := ""
	if i, isDeclared := d.o.contents.Find(key); isDeclared {
		declared := d.o.contents.AppendValue(nil, i)
		if found != nil {
			declared = d.o.mask.Merge(nil, declared, found) // what programs own is as they have it
		}
		e.Declared = d.valueText(declared)
		if found != nil {
			change = cut(schema.AppendCPUDifference(nil, found, declared, d.value.Size(), d.cpus(), d.value.AppendDifference))
		}
	}
	d.keys, d.entries, d.changes = append(d.keys, key), append(d.entries, e), append(d.changes, change)
}

func (d *drifted) valueText(value []byte) string {
	return cut(schema.AppendCPUs(nil, value, d.value.Size(), d.cpus(), d.value.AppendText))
}

// cpus is how many values an element has, 0 for maps that are not per CPU.
func (d *drifted) cpus() int {
	if d.o.rev.Shape.IsPerCPU() {
		return d.o.contents.cpus
	}
	return 0
}

func cut(b []byte) string { return text.Truncate(string(b), v1alpha1.MaxDriftedText) }

// sorted are the elements in the order of their keys, and what differs in them.
func (d *drifted) sorted() (entries []v1alpha1.DriftedEntry, changes []string) {
	order := make([]int, len(d.keys))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return d.o.rev.Shape.CompareKeys(d.keys[a], d.keys[b]) })
	for _, from := range order {
		entries, changes = append(entries, d.entries[from]), append(changes, d.changes[from])
	}
	return entries, changes
}
