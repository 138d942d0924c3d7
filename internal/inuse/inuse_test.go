// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package inuse

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const soon = 5 * time.Second

// node plays an agent: it looks, and keeps what is told.
type node struct {
	t       *testing.T
	tracker Tracker
	maps    []v1alpha1.NodeMap
	now     time.Time
	told    int
}

func newNode(t *testing.T, mapID int64) *node {
	return &node{t: t, maps: []v1alpha1.NodeMap{{Namespace: "edge", Name: "blocklist", MapID: mapID, PinPath: "/sys/fs/bpf/bpfmap/edge/blocklist"}}, now: start}
}

// look looks once, some time later.
func (n *node) look(after time.Duration, inv *Inventory, err error) (again bool) {
	n.now = n.now.Add(after)
	news, again := n.tracker.Update(n.maps, inv, err, n.now)
	for i := range n.maps {
		if u := news[keyOf(&n.maps[i])]; u != nil {
			n.maps[i].Usage = u
			n.told++
		}
	}
	return again
}

// settle looks twice, an hour later.
func (n *node) settle(inv *Inventory) {
	n.look(time.Hour, inv, nil)
	n.look(soon, inv, nil)
}

func (n *node) want(when string, state v1alpha1.MapUsageState, since time.Time) {
	n.t.Helper()
	if len(n.maps) == 0 {
		n.t.Fatalf("%s: there is no map", when)
	}
	u := n.maps[0].Usage
	if u == nil || u.State != state || !u.Since.Time.Equal(since) {
		n.t.Errorf("%s: %+v, want %s since %s", when, u, state, since)
	}
}

// with are maps named blocklist by the ids of the programs that use them.
func with(users map[uint32][]uint32) *Inventory {
	var programs []Program
	var maps []Map
	for id := range uint32(100) {
		of, ok := users[id]
		if !ok {
			continue
		}
		maps = append(maps, Map{ID: id, Type: 1, Name: "blocklist", KeySize: 4, ValueSize: 8, Held: len(of)})
		for _, p := range of {
			programs = append(programs, Program{ID: p, Name: "xdp_block", Type: "xdp", Maps: []uint32{id}})
		}
	}
	return New(programs, maps)
}

// TestUsed follows a map whose programs come, change and vanish.
func TestUsed(t *testing.T) {
	n := newNode(t, 1)
	if n.look(0, with(map[uint32][]uint32{1: nil}), nil) {
		t.Error("the first look asks for another one")
	}
	n.want("at first", v1alpha1.MapNeverUsed, start)
	if !n.look(time.Hour, with(map[uint32][]uint32{1: {7}}), nil) {
		t.Error("a change doesn't ask for another look")
	}
	n.want("seen once", v1alpha1.MapNeverUsed, start)
	n.look(soon, with(map[uint32][]uint32{1: {7}}), nil)
	n.want("seen twice", v1alpha1.MapUsed, start.Add(time.Hour))
	want := []v1alpha1.MapProgram{{ID: 7, Name: "xdp_block", Type: "xdp"}}
	if diff := cmp.Diff(want, n.maps[0].Usage.Programs); diff != "" || n.maps[0].Usage.ProgramCount != 1 {
		t.Errorf("programs (-want +got)\n%s", diff)
	}
	n.settle(with(map[uint32][]uint32{1: {8, 9}}))
	n.want("with other programs", v1alpha1.MapUsed, start.Add(time.Hour))
	if got := n.maps[0].Usage; got.ProgramCount != 2 || got.Programs[0].ID != 8 {
		t.Errorf("usage %+v, want programs 8 and 9", got)
	}
	told := n.told
	n.look(time.Hour, with(map[uint32][]uint32{1: nil}), nil)
	n.look(soon, with(map[uint32][]uint32{1: {8, 9}}), nil)
	if n.want("vanished for a moment", v1alpha1.MapUsed, start.Add(time.Hour)); n.told != told {
		t.Error("what only one look saw was told")
	}
	gone := n.now.Add(time.Hour)
	n.settle(with(map[uint32][]uint32{1: nil}))
	n.want("vanished", v1alpha1.MapUnused, gone)
	n.tracker = Tracker{} // another agent
	n.settle(with(map[uint32][]uint32{1: nil}))
	n.want("after a restart", v1alpha1.MapUnused, gone)
}

// TestUnknown says so where the agent can't tell, and what it knew before it counts again later.
func TestUnknown(t *testing.T) {
	n := newNode(t, 1)
	n.look(0, nil, errors.New("missing CAP_PERFMON"))
	if n.want("without the right", v1alpha1.MapUsageUnknown, start); n.maps[0].Usage.Message != "missing CAP_PERFMON" {
		t.Errorf("message %q", n.maps[0].Usage.Message)
	}
	n.look(time.Hour, nil, errors.New("missing CAP_PERFMON"))
	n.settle(with(map[uint32][]uint32{1: {7}}))
	n.want("with it", v1alpha1.MapUsed, start.Add(2*time.Hour))

	n = newNode(t, 1)
	n.look(0, New(nil, []Map{{ID: 1, Held: -1}}), nil)
	n.want("perhaps held by a map", v1alpha1.MapUsageUnknown, start)
	n = newNode(t, 1)
	n.look(0, New([]Program{{ID: 7, Maps: []uint32{1}}}, []Map{{ID: 1, Held: -1}}), nil)
	n.want("perhaps held by a map, and used", v1alpha1.MapUsed, start)
}

// TestHeldByMaps counts a map that another map holds as used, and our own programs as nothing.
func TestHeldByMaps(t *testing.T) {
	n := newNode(t, 1)
	own := Program{ID: 9, Name: "bpfmap_count", Maps: []uint32{1}, Own: true}
	n.look(0, New([]Program{own}, []Map{{ID: 1, Held: 1}}), nil)
	n.want("held by our own program", v1alpha1.MapNeverUsed, start)
	n.settle(New([]Program{own}, []Map{{ID: 1, Held: 3}}))
	if n.want("held by a map", v1alpha1.MapUsed, start.Add(time.Hour)); n.maps[0].Usage.HeldByMaps != 2 || n.maps[0].Usage.ProgramCount != 0 {
		t.Errorf("usage %+v", n.maps[0].Usage)
	}
}

// TestOtherMaps names programs that use another map than the one at the pin.
func TestOtherMaps(t *testing.T) {
	others := func(kind v1alpha1.OtherMapKind, ids ...int64) (all []v1alpha1.OtherMap) {
		for _, id := range ids {
			all = append(all, v1alpha1.OtherMap{MapID: id, Kind: kind, Programs: []v1alpha1.MapProgram{{ID: 70 + id, Name: "xdp_block", Type: "xdp"}}})
		}
		return all
	}
	want := func(when string, n *node, state v1alpha1.MapUsageState, all []v1alpha1.OtherMap) {
		t.Helper()
		if u := n.maps[0].Usage; u == nil || u.State != state || cmp.Diff(all, u.OtherMaps) != "" {
			t.Errorf("%s: %+v, want %s and the other maps %+v", when, u, state, all)
		}
	}
	n := newNode(t, 1)
	n.look(0, with(map[uint32][]uint32{1: {71}}), nil)
	deleted := n.maps
	n.maps = nil
	n.look(time.Hour, with(map[uint32][]uint32{1: {71}}), nil)
	n.maps = deleted
	n.maps[0].MapID, n.maps[0].Usage = 2, nil
	n.look(time.Hour, with(map[uint32][]uint32{1: {71}, 2: nil}), nil)
	want("deleted and made again", n, v1alpha1.MapUnused, others(v1alpha1.OtherMapEarlier, 1))
	n.tracker = Tracker{} // another agent
	n.settle(with(map[uint32][]uint32{1: {71}, 2: nil}))
	want("after a restart", n, v1alpha1.MapUnused, others(v1alpha1.OtherMapEarlier, 1))
	n.settle(with(map[uint32][]uint32{1: {71}, 2: {72}}))
	want("one of two programs was loaded again", n, v1alpha1.MapUsed, others(v1alpha1.OtherMapEarlier, 1))
	n.settle(with(map[uint32][]uint32{2: {72}}))
	want("the other one, too", n, v1alpha1.MapUsed, nil)

	n = newNode(t, 3)
	n.maps[0].ReplacedMaps = []v1alpha1.ReplacedMap{{MapID: 1}}
	n.look(0, with(map[uint32][]uint32{1: {71}, 3: nil}), nil)
	want("swapped", n, v1alpha1.MapUnused, others(v1alpha1.OtherMapEarlier, 1))

	n = newNode(t, 2)
	n.maps = append(n.maps, v1alpha1.NodeMap{Namespace: "other", Name: "blocklist", MapID: 3})
	n.look(0, with(map[uint32][]uint32{1: {71}, 2: nil, 3: {73}}), nil)
	want("pinned elsewhere, and one of another BPFMap", n, v1alpha1.MapNeverUsed, others(v1alpha1.OtherMapSameName, 1))
	n.settle(with(map[uint32][]uint32{1: {71}, 2: {72}, 3: {73}}))
	want("used itself", n, v1alpha1.MapUsed, nil)
	n = newNode(t, 2)
	n.maps[0].PinPath = "/sys/fs/bpf/a_name_that_is_cut_here"
	n.look(0, New([]Program{{ID: 71, Name: "xdp_block", Type: "xdp", Maps: []uint32{1}}, {ID: 72, Maps: []uint32{3}}},
		[]Map{{ID: 1, Name: "a_name_that_is_", Held: 1}, {ID: 2, Name: "ours"}, {ID: 3, Name: "a_name_that_is_", KeySize: 4, Held: 1}}), nil)
	want("by the name of the pin", n, v1alpha1.MapNeverUsed, others(v1alpha1.OtherMapSameName, 1))
}

// TestFlapping tells less and less of a map whose programs are loaded anew again and again, and looks a second time
// for what it may tell only.
func TestFlapping(t *testing.T) {
	n := newNode(t, 1)
	looks := 0
	for day, i := 0, uint32(0); day < 7; i++ {
		inv := with(map[uint32][]uint32{1: {1000 + i}})
		looks++
		if n.look(5*time.Minute, inv, nil) {
			looks++
			n.look(soon, inv, nil)
		}
		if now := int(n.now.Sub(start) / (24 * time.Hour)); now > day {
			if day = now; n.told > 12+24*day {
				t.Fatalf("%d changes were told in %d days", n.told, day)
			}
		}
	}
	if periods := int(n.now.Sub(start) / (5 * time.Minute)); looks > periods+2*n.told {
		t.Errorf("%d looks in %d periods", looks, periods)
	}
	n.want("in the end", v1alpha1.MapUsed, start.Add(5*time.Minute))

	told := n.told
	for i := range uint32(100) { // the second look never agrees
		n.look(5*time.Minute, with(map[uint32][]uint32{1: {5000 + i}}), nil)
		n.look(soon, with(map[uint32][]uint32{1: {6000 + i}}), nil)
	}
	if n.told != told {
		t.Errorf("%d changes were told of programs that no two looks saw", n.told-told)
	}
	still := n.maps[0].Usage.DeepCopy()
	for range 100 {
		n.look(5*time.Minute, with(map[uint32][]uint32{1: {uint32(still.Programs[0].ID)}}), nil)
	}
	if n.told != told {
		t.Errorf("%d changes were told though there were none", n.told-told)
	}
}

// TestSlowFlapping tells less and less also of programs that stay for two looks.
func TestSlowFlapping(t *testing.T) {
	n := newNode(t, 1)
	const days = 6
	for i := range uint32(days * 24 * 12) {
		n.look(5*time.Minute, with(map[uint32][]uint32{1: {1000 + i/2}}), nil)
	}
	if n.told > 12+24*days {
		t.Errorf("%d changes were told in %d days", n.told, days)
	}
}

// TestForgets doesn't keep maps that are gone.
func TestForgets(t *testing.T) {
	n := newNode(t, 1)
	for i := range 1000 {
		n.maps[0].Name, n.maps[0].MapID, n.maps[0].Usage = "m"+time.Duration(i).String(), int64(i%50+1), nil
		n.look(time.Second, with(map[uint32][]uint32{uint32(i%50 + 1): {7}}), nil)
	}
	if len(n.tracker.maps) > 60 {
		t.Errorf("%d maps are known, of which one is there", len(n.tracker.maps))
	}
	if n.look(0, with(nil), nil); n.maps[0].Usage == nil {
		t.Error("the usage of a map that the look missed was taken back")
	}
}

// BenchmarkUpdate is what follows from one look at 1,000 programs and 1,000 maps, all of them managed.
func BenchmarkUpdate(b *testing.B) {
	var programs []Program
	var maps []Map
	var managed []v1alpha1.NodeMap
	for id := range uint32(1000) {
		programs = append(programs, Program{ID: id, Name: "xdp_block", Type: "xdp", Maps: []uint32{id + 1}})
		maps = append(maps, Map{ID: id + 1, Name: "blocklist", Held: 1})
		managed = append(managed, v1alpha1.NodeMap{Namespace: "edge", Name: time.Duration(id).String(), MapID: int64(id + 1)})
	}
	var tracker Tracker
	for b.Loop() {
		news, _ := tracker.Update(managed, New(programs, maps), nil, start)
		for i := range managed {
			if u := news[keyOf(&managed[i])]; u != nil {
				managed[i].Usage = u
			}
		}
	}
}
