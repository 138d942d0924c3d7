// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package inuse

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

const (
	// maxEarlier bounds how many maps that were at a pin before are known.
	maxEarlier = v1alpha1.MaxOtherMaps
	// minWait and maxWait bound the time between two changes that are told of one map. It doubles from one to the next
	// as long as they come.
	minWait = 10 * time.Second
	maxWait = time.Hour
)

// Tracker says of a node's maps what is to be told, from look to look. It isn't safe for concurrent use. What it told
// is handed to it again, so that it goes on where an earlier one ended.
type Tracker struct {
	maps map[revision.Key]*tracked
}

// tracked is what is known of a map beside what was told.
type tracked struct {
	mapID   int64
	earlier []uint32
	// used says that a look saw the map in use, told or not.
	used bool
	// seen is what the last look saw, if that differs from what was told, since its beginning.
	seen *v1alpha1.MapUsage
	// told is when a change was told last, and wait how long the next one waits at least.
	told time.Time
	wait time.Duration
}

// Update is what there is to tell of maps after a look, nil for those of which there is nothing new. inv is nil if
// there was no look because of err. again says that another look soon would settle what this one saw first.
func (t *Tracker) Update(maps []v1alpha1.NodeMap, inv *Inventory, err error, now time.Time) (news map[revision.Key]*v1alpha1.MapUsage, again bool) {
	news = map[revision.Key]*v1alpha1.MapUsage{}
	managed := make(map[uint32]bool, len(maps))
	for i := range maps {
		managed[uint32(maps[i].MapID)] = true
	}
	t.follow(maps, inv)
	for i := range maps {
		m := &maps[i]
		if m.MapID == 0 {
			continue
		}
		key := keyOf(m)
		of := t.maps[key]
		seen := v1alpha1.MapUsage{State: v1alpha1.MapUsageUnknown}
		switch {
		case inv == nil:
			seen.Message = text.Truncate(err.Error(), maxMessage)
		case !inv.Has(uint32(m.MapID)):
			continue // gone, or made since the look: the next one tells
		default:
			seen = inv.observe(subject{uint32(m.MapID), m.PinPath, of.earlier, func(id uint32) bool { return managed[id] }})
		}
		next, soon := of.judge(m.Usage, seen, now)
		if next != nil {
			news[key] = next
		}
		again = again || soon
	}
	return news, again
}

// follow notes which maps there are, and which were at their pins before.
func (t *Tracker) follow(maps []v1alpha1.NodeMap, inv *Inventory) {
	if t.maps == nil {
		t.maps = map[revision.Key]*tracked{}
	}
	here := make(map[revision.Key]bool, len(maps))
	for i := range maps {
		m := &maps[i]
		here[keyOf(m)] = true
		of := t.maps[keyOf(m)]
		if of == nil {
			of = &tracked{mapID: m.MapID}
			t.maps[keyOf(m)] = of
		}
		of.follow(m)
	}
	for key, of := range t.maps {
		if !here[key] {
			of.leave()
		}
		if inv == nil {
			continue
		}
		of.earlier = slices.DeleteFunc(of.earlier, func(id uint32) bool { return !inv.Has(id) })
		if !here[key] && len(of.earlier) == 0 {
			delete(t.maps, key)
		}
	}
}

// leave notes that the map is gone, from our sight at least.
func (of *tracked) leave() {
	of.remember(of.mapID)
	of.mapID, of.seen, of.used = 0, nil, false
}

func (of *tracked) follow(m *v1alpha1.NodeMap) {
	if m.MapID == 0 {
		return // nothing is known of it now
	}
	if of.mapID != m.MapID {
		of.leave()
		of.mapID = m.MapID
	}
	for i := range m.ReplacedMaps {
		of.remember(m.ReplacedMaps[i].MapID)
	}
	if m.Usage == nil {
		return
	}
	for i := range m.Usage.OtherMaps {
		if m.Usage.OtherMaps[i].Kind == v1alpha1.OtherMapEarlier {
			of.remember(m.Usage.OtherMaps[i].MapID)
		}
	}
}

// remember notes a map that was at the pin; the most recent ones are kept.
func (of *tracked) remember(id int64) {
	if id == 0 || slices.Contains(of.earlier, uint32(id)) {
		return
	}
	of.earlier = append([]uint32{uint32(id)}, of.earlier...)
	of.earlier = of.earlier[:min(len(of.earlier), maxEarlier)]
}

// judge is what to tell after a look, nil for nothing new. The first look at a map is told at once; a change once
// the next look agrees, and not before the wait is over.
func (of *tracked) judge(told *v1alpha1.MapUsage, seen v1alpha1.MapUsage, now time.Time) (next *v1alpha1.MapUsage, again bool) {
	of.used = of.used || seen.State == v1alpha1.MapUsed
	if seen.State == v1alpha1.MapUnused && !of.wasUsed(told, &seen) {
		seen.State = v1alpha1.MapNeverUsed
	}
	seen.Since = metav1.NewTime(now).Rfc3339Copy()
	switch {
	case told == nil:
		of.told, of.seen = now, nil
		return &seen, false
	case same(told, &seen):
		of.seen = nil
		return nil, false
	}
	if told.State == seen.State {
		seen.Since = told.Since
	}
	if of.seen == nil || !same(of.seen, &seen) {
		first := of.seen == nil
		of.seen = &seen
		return nil, first && !now.Before(of.told.Add(of.wait))
	}
	if now.Before(of.told.Add(of.wait)) {
		return nil, false
	}
	return of.tell(*of.seen, now), false
}

// wasUsed says whether an unused map was in use before, or still is where programs have the one of before.
func (of *tracked) wasUsed(told, seen *v1alpha1.MapUsage) bool {
	earlier := func(o v1alpha1.OtherMap) bool { return o.Kind == v1alpha1.OtherMapEarlier }
	return of.used || slices.ContainsFunc(seen.OtherMaps, earlier) ||
		told != nil && (told.State == v1alpha1.MapUsed || told.State == v1alpha1.MapUnused)
}

// tell notes that a change is told.
func (of *tracked) tell(u v1alpha1.MapUsage, now time.Time) *v1alpha1.MapUsage {
	calm := now.Sub(of.told) > 2*maxWait
	if of.wait = min(2*of.wait, maxWait); calm || of.wait == 0 {
		of.wait = minWait
	}
	of.told, of.seen = now, nil
	return &u
}

// same compares what two looks saw. Nearly all are equal, for which reflection takes most of the time.
func same(a, b *v1alpha1.MapUsage) bool {
	return a.State == b.State && a.Message == b.Message && a.ProgramCount == b.ProgramCount && a.HeldByMaps == b.HeldByMaps &&
		slices.Equal(a.Programs, b.Programs) && slices.EqualFunc(a.OtherMaps, b.OtherMaps, func(x, y v1alpha1.OtherMap) bool {
		return x.MapID == y.MapID && x.Kind == y.Kind && slices.Equal(x.Programs, y.Programs)
	})
}

// maxMessage is the bound of MapUsage.Message.
const maxMessage = 256

func keyOf(m *v1alpha1.NodeMap) revision.Key {
	return revision.Key{Namespace: m.Namespace, Name: m.Name}
}
