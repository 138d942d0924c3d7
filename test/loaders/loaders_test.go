// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loaders_test

import (
	"fmt"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

func TestMain(m *testing.M) { bpftest.Main(m) }

// element is one element of a map.
type element struct{ key, value []byte }

// mapCase is a map of the program: what testdata/maps declares, and what the program's owner writes.
type mapCase struct {
	name     string
	declared element
	theirs   element
	entries  int64 // declared and theirs; 0 for arrays, which aren't counted
}

func cases(t *testing.T) []mapCase {
	t.Helper()
	return []mapCase{
		{
			name: "blocklist", entries: 2,
			declared: element{prefix("203.0.113.0/24"), rule(2, 7)},
			theirs:   element{prefix("198.51.100.0/24"), rule(1, 9)},
		},
		{
			name: "rule_weights", entries: 2,
			declared: element{u32(7), u64(1000)},
			theirs:   element{u32(9), u64(50)},
		},
		{
			name:     "counters",
			declared: element{u32(mark), onAllCPUs(t, u64(5))},
			theirs:   element{u32(packets), onAllCPUs(t, u64(100))},
		},
	}
}

// The indexes of the map counters.
const (
	packets = iota
	droppedWeight
	mark
	zoneWeight
)

func eachLoader(t *testing.T, test func(t *testing.T, load loader)) {
	for name, load := range loaders {
		t.Run(name, func(t *testing.T) { test(t, load) })
	}
}

// TestWeCameFirst loads a program whose maps the operator made.
func TestWeCameFirst(t *testing.T) {
	eachLoader(t, func(t *testing.T, load loader) {
		w := newWorld(t)
		made := map[string]uint32{}
		for name := range w.revisions {
			made[name] = w.sync(name, engine.ActionCreated).MapID
		}
		p := w.start(load, object(t))
		for _, c := range cases(t) {
			t.Run(c.name, func(t *testing.T) {
				w := w.in(t)
				if id := p.mapID(c.name); id != made[c.name] || id != w.pinnedID(c.name) {
					t.Errorf("the program has map %d, we made %d, at the pin is %d", id, made[c.name], w.pinnedID(c.name))
				}
				w.bothSee(p, c)
			})
		}
		w.programUses(p)
	})
}

// TestTheyCameFirst adopts the maps of a program that was loaded before, and is still running.
func TestTheyCameFirst(t *testing.T) {
	eachLoader(t, func(t *testing.T, load loader) {
		w := newWorld(t)
		w.makeRoot()
		p := w.start(load, object(t))
		for _, c := range cases(t) {
			t.Run(c.name, func(t *testing.T) {
				w := w.in(t)
				w.must(p.put(c.name, c.theirs.key, c.theirs.value))
				if r := w.sync(c.name, engine.ActionAdopted); r.MapID != p.mapID(c.name) || r.MapID == 0 {
					t.Errorf("adopted map %d, the program's is %d", r.MapID, p.mapID(c.name))
				}
				w.bothSee(p, c)
			})
		}
		w.programUses(p)
	})
}

// bothSee checks that what is declared arrives in the program's map, and that what its owner writes
// there is left alone and seen by us.
func (w *world) bothSee(p program, c mapCase) {
	w.Helper()
	got, err := p.get(c.name, c.declared.key)
	if err != nil || string(got) != string(c.declared.value) {
		w.Errorf("%s: the program's owner reads %x (%v), declared is %x", c.name, got, err, c.declared.value)
	}
	w.must(p.put(c.name, c.theirs.key, c.theirs.value))
	r := w.sync(c.name, engine.ActionNone)
	if c.entries > 0 && (r.Entries == nil || *r.Entries != c.entries) || c.entries == 0 && r.Entries != nil {
		w.Errorf("%s: the report counts %v entries, want %d", c.name, r.Entries, c.entries)
	}
	all := w.read(c.name)
	for _, e := range []element{c.declared, c.theirs} {
		if got, want := all[fmt.Sprintf("%x", e.key)], fmt.Sprintf("%x", e.value); got != want {
			w.Errorf("%s: we read %q at %x, want %q", c.name, got, e.key, want)
		}
	}
}

// programUses runs the program on both sides' entries, and reads what it counts.
func (w *world) programUses(p program) {
	w.Helper()
	before := w.sum(packets)
	for source, want := range map[string]uint32{"203.0.113.9": 2, "198.51.100.1": 1, "192.0.2.1": 0} {
		if verdict, err := p.run(packet(source)); verdict != want || err != nil {
			w.Errorf("the verdict on a packet from %s is %d (%v), want %d", source, verdict, err, want)
		}
	}
	if got, want := w.sum(packets)-before, uint64(3); got != want {
		w.Errorf("the program counted %d packets, want %d", got, want)
	}
	if got, want := w.sum(droppedWeight), uint64(1000+50); got != want {
		w.Errorf("the program summed the weight %d, want %d", got, want)
	}
}

// TestMapsOfMaps shares an outer map with a program in both orders: the program reads our inner map through
// it, and the next one after that is replaced.
func TestMapsOfMaps(t *testing.T) {
	eachLoader(t, func(t *testing.T, load loader) {
		for _, weFirst := range []bool{true, false} {
			t.Run(fmt.Sprintf("we first %t", weFirst), func(t *testing.T) {
				w := newWorld(t)
				var p program
				action := engine.ActionCreated
				if !weFirst {
					w.makeRoot()
					p = w.start(load, object(t))
					action = engine.ActionAdopted
				}
				w.sync("blocklist", action)
				w.sync("zone2", engine.ActionCreated)
				r := w.sync("zones", action)
				if weFirst {
					p = w.start(load, object(t))
				}
				if id := p.mapID("zones"); id != r.MapID || id != w.pinnedID("zones") {
					t.Errorf("the program has map %d, ours is %d, at the pin is %d", id, r.MapID, w.pinnedID("zones"))
				}
				w.runThroughZones(p, 300)

				zone := *w.revisions["zone2"]
				zone.Shape.MaxEntries = 32
				w.revisions["zone2"] = &zone
				replaced := w.sync("zone2", engine.ActionReplaced)
				w.sync("zones", engine.ActionUpdated)
				if got, want := w.read("zones")[fmt.Sprintf("%x", u32(2))], fmt.Sprintf("%x", u32(replaced.MapID)); got != want {
					t.Errorf("the outer map holds %s, want %s", got, want)
				}
				w.runThroughZones(p, 300)
			})
		}
	})
}

// runThroughZones lets the program find the weight of a rule through the outer map.
func (w *world) runThroughZones(p program, want uint64) {
	w.Helper()
	before := w.sum(zoneWeight)
	if verdict, err := p.run(packet("203.0.113.9")); verdict != 2 || err != nil {
		w.Errorf("verdict %d (%v), want 2", verdict, err)
	}
	if got := w.sum(zoneWeight) - before; got != want {
		w.Errorf("the program found the weight %d, want %d", got, want)
	}
}
