// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// The record tells, before they are taken out of a map that is given back, which keys are ours, and after each of these
// many, or after a sixteenth of them, which still are: a key that others write anew after that is theirs.
const (
	giveBackKeys  = 64 << 10
	giveBackSteps = 16
)

// giveBack takes our keys out of a map and leaves the rest as it was found.
type giveBack struct {
	backend Backend
	rec     Record
	bases   *bases
	// taken is how many keys were taken out, kept how many stay in a frozen map.
	taken, kept int
	// pin is how mode and owner of the pin were put back, for people.
	pin string
}

// giveBack gives the map of a record back, and says what was done. leave are the paths of pins that are to go: those
// that somebody else's map has besides the one that it was found at.
func (e *Engine) giveBack(ctx context.Context, state *State, rec *Record) (leave []string, note string, err error) {
	g := &giveBack{backend: e.backend, rec: *rec, bases: newBases(e.backend, rec.Key, rec)}
	path := rec.Pin.Path
	if found := rec.Origin.Found; found != nil && found.Path != "" {
		path = found.Path
	}
	at, err := e.backend.Open(ctx, rec.Key, &revision.Pin{Path: path})
	if err != nil {
		return nil, "", err
	}
	defer at.close()
	pinned, err := describeMap(ctx, at.Pinned)
	if err != nil {
		return nil, "", err
	}
	kept, err := describeMap(ctx, state.KeepAlive)
	if err != nil {
		return nil, "", err
	}
	if err := g.takeOut(ctx, kept, pinned); err != nil {
		return nil, "", fmt.Errorf("take out the declared keys: %w", err)
	}
	if !slices.Contains(rec.ClaimedMaps(), pinned.id()) {
		leave, err = e.leftBehind(ctx, rec) // the pin that it was found at is gone
		return leave, g.note(), err
	}
	if err := g.putBack(ctx, at.Found, pinned); err != nil {
		return nil, "", fmt.Errorf("put back mode and owner of the pin: %w", err)
	}
	for _, other := range append(slices.Clone(rec.PreviousPaths), rec.Pin.Path) {
		if other != path {
			leave = append(leave, other)
		}
	}
	return leave, g.note(), nil
}

// takeOut takes the keys that the record has of each of the maps out of it.
func (g *giveBack) takeOut(ctx context.Context, maps ...*openMap) error {
	if g.rec.Seeded {
		return nil // what was put in once is the programs' since then
	}
	for i, m := range maps {
		log := g.logOf(m)
		if log == nil || log.BaseLen == 0 && log.LogBytes() == 0 || i > 0 && m.id() == maps[0].id() {
			continue
		}
		if err := g.takeOutOf(ctx, m, log); err != nil {
			return err
		}
	}
	return nil
}

// logOf are the keys that the record has of a map; nil if it isn't one of the record's.
func (g *giveBack) logOf(m *openMap) *ownership.KeyLog {
	switch m.id() {
	case 0:
	case g.rec.MapID:
		return &g.rec.Keys
	case g.rec.PreviousMapID:
		return &g.rec.PreviousKeys
	}
	return nil
}

func (g *giveBack) takeOutOf(ctx context.Context, m *openMap, log *ownership.KeyLog) error {
	base, whole, err := g.bases.of(ctx, *log)
	if err != nil {
		return err
	}
	keys, size := whole.Packed(base), whole.KeySize
	if m.info.Frozen { // nobody can write to it any more
		g.kept += len(keys) / size
		return nil
	}
	if int(m.info.Shape.KeySize) != size {
		return nil // the kernel gave the id to another map
	}
	if g.rec.Applied != "" || g.rec.Declared != nil { // from here on the map doesn't hold what was applied
		g.rec.Applied, g.rec.Declared = "", nil
		if err := g.backend.SaveRecord(ctx, &g.rec); err != nil {
			return fmt.Errorf("save record: %w", err)
		}
	}
	step := max(giveBackKeys, len(keys)/size/giveBackSteps) * size
	for len(keys) > 0 {
		n := min(step, len(keys))
		if err := g.remove(ctx, m, keys[:n]); err != nil {
			return err
		}
		g.taken, keys = g.taken+n/size, keys[n:]
		if *log, err = g.bases.store(ctx, size, keys); err != nil {
			return err
		}
		if err := g.backend.SaveRecord(ctx, &g.rec); err != nil {
			return fmt.Errorf("save record: %w", err)
		}
	}
	return nil
}

// remove deletes packed keys, or zeroes the elements of an array, as if they weren't declared any more. What programs
// own of a value stays.
func (g *giveBack) remove(ctx context.Context, m *openMap, keys []byte) error {
	size := int(m.info.Shape.KeySize)
	if !m.info.Shape.IsArray() {
		for batch := range slices.Chunk(keys, max(windowBytes/size, 1)*size) {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := m.Delete(ctx, batch); err != nil {
				return err
			}
		}
		return nil
	}
	under := locked(g.asRevision(m), m.Map)
	nothing := make([]byte, plan.Stride(m.info.Shape, g.backend.PossibleCPUs()))
	declared, err := g.declared(m)
	if err != nil {
		return err
	}
	if declared != nil {
		for batch := range slices.Chunk(keys, max(windowBytes/(size+len(nothing)), 1)*size) {
			if _, err := under.Store(ctx, batch, bytes.Repeat(nothing, len(batch)/size), declared); err != nil {
				return err
			}
		}
		return nil
	}
	w := &window{put: under.Write}
	for key := range slices.Chunk(keys, size) {
		if err := w.add(ctx, key, nothing); err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// asRevision is what a revision would say of a map's values.
func (g *giveBack) asRevision(m *openMap) *revision.Revision {
	if previous := g.rec.PreviousValueSchema; previous != nil && m.id() == g.rec.PreviousMapID {
		return &revision.Revision{ValueSchema: *previous}
	}
	return &revision.Revision{ValueSchema: g.rec.ValueSchema}
}

// declared are the bits of one value on this node that were declared; nil for all of them.
func (g *giveBack) declared(m *openMap) ([]byte, error) {
	rev, shape := g.asRevision(m), m.info.Shape
	if rev.ProgramParts() == nil {
		return nil, nil
	}
	layout, err := schema.New(&rev.ValueSchema)
	if err != nil {
		return nil, fmt.Errorf("read the recorded schema: %w", err)
	}
	mask := layout.Declared()
	if mask == nil || !shape.IsPerCPU() {
		return mask, nil
	}
	cpus := g.backend.PossibleCPUs()
	slot := make([]byte, plan.Stride(shape, 1))
	copy(slot, mask)
	return bytes.Repeat(slot, cpus), nil
}

// putBack gives the pin mode and owner as they were found, where they are as we set them. What somebody else set since
// then stays.
func (g *giveBack) putBack(ctx context.Context, now revision.Pin, m *openMap) error {
	want := asFound(now, &g.rec)
	if want.SameOwner(now) || !g.rec.Origin.IsPinOf(now.Path) {
		return nil
	}
	err := g.backend.Publish(ctx, g.rec.Key, m.Map, want)
	if err != nil && reasonOf(err) == v1alpha1.NodeReasonPinConflict {
		return nil // another map took the pin just then
	}
	g.pin = now.OwnerChanges(want)
	return err
}

// note says for people what was done besides forgetting the map.
func (g *giveBack) note() string {
	var parts []string
	if g.taken > 0 {
		parts = append(parts, text.Count(g.taken, "declared entry", "declared entries")+" taken out")
	}
	if g.kept > 0 {
		parts = append(parts, "the map is frozen, so "+text.Count(g.kept, "declared entry stays", "declared entries stay"))
	}
	if g.pin != "" {
		parts = append(parts, "the pin is as it was found: "+g.pin)
	}
	return strings.Join(parts, "; ")
}

// asFound is the pin of an adopted map with mode and owner as they were found, where they are as we set them, and else
// as they are now.
func asFound(now revision.Pin, rec *Record) revision.Pin {
	found, set := rec.Origin.Found, rec.Pin
	if found == nil {
		return now
	}
	if now.Mode == set.Mode {
		now.Mode = found.Mode
	}
	if now.UID == set.UID {
		now.UID = found.UID
	}
	if now.GID == set.GID {
		now.GID = found.GID
	}
	return now
}
