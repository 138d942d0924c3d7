// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"

	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Observation is what was seen of one map on one node, and what its revision asks for there. Observing only
// reads.
type Observation struct {
	rev     *revision.Revision
	backend Backend
	// contents are those that the map is to hold.
	contents *contents
	// mask are the declared bits of a value; nil if programs own none.
	mask plan.Mask

	// pinned and keepAlive are the open maps behind both pins, nil if there are none.
	pinned, keepAlive *openMap
	record            *Record
	bases             *bases
	pinPath           string
	// found is the pin with its mode and owner as they are, and pin how they are to be.
	found, pin revision.Pin
	// last is what this engine brought to the map before, nil if it doesn't know.
	last *applied
	// note is how many of the elements that differ are noted as they are found.
	note int

	// blind says that it isn't known which differences others made since the revision before.
	blind bool

	// want and have are the same for the plan; have gets the answers to what that asks for.
	want plan.DesiredMap
	have plan.Observed
}

// openMap is a map and what the kernel shows of it.
type openMap struct {
	Map
	info MapInfo
}

// describeMap asks the kernel for what it shows of a map; nil for no map.
func describeMap(ctx context.Context, m Map) (*openMap, error) {
	if m == nil {
		return nil, nil
	}
	info, err := m.Info(ctx)
	if err != nil {
		return nil, err
	}
	return &openMap{m, info}, nil
}

// id is 0 for no map.
func (m *openMap) id() uint32 {
	if m == nil {
		return 0
	}
	return m.info.ID
}

// planned is m for the plan.
func (o *Observation) planned(m *openMap) *plan.Map {
	if m == nil {
		return nil
	}
	return &plan.Map{ID: m.info.ID, Shape: m.info.Shape, Frozen: m.info.Frozen, Adopted: o.record.OriginOf(m.info.ID).IsAdopted()}
}

// close gives up what was opened to be observed.
func (o *Observation) close() {
	o.contents.targets.close()
	for _, m := range []*openMap{o.pinned, o.keepAlive} {
		if m != nil {
			_ = m.Close() // what was written through it is in the kernel
		}
	}
}

// base is the existing map that a plan works on, nil for none.
func (o *Observation) base(b plan.Base) *openMap {
	switch b {
	case plan.BasePinned:
		return o.pinned
	case plan.BaseKeepAlive:
		return o.keepAlive
	}
	return nil
}

// replaced is the map that a new one takes the pin of, nil for none.
func (o *Observation) replaced() *openMap {
	if o.pinned != nil {
		return o.pinned
	}
	return o.keepAlive
}

// applied is what was brought to a map, and how many elements that then held, nil if nobody knows.
type applied struct {
	plan.Applied
	contents *contents
	count    *int64
}

// locked is m, read and written under its values' locks if they have any.
func locked(rev *revision.Revision, m Map) Map {
	if m == nil || !rev.HasSpinLock() {
		return m
	}
	return m.Locked()
}
