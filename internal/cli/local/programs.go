// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/inuse"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// programInfo is a program that uses a map, as list and map info print it with -o json.
type programInfo struct {
	ID   uint32 `json:"id"`
	Name string `json:"name,omitempty"`
	Type string `json:"type"`
	Tag  string `json:"tag"`
}

// lookAtPrograms is an inventory of the machine's programs, nil where this process may not look, of which c's user is
// told.
func lookAtPrograms(c *cobra.Command) (*inuse.Inventory, error) {
	found, err := kernel.Programs(c.Context())
	switch {
	case errors.Is(err, engine.ErrUnknown):
		c.PrintErrf("It is %v\n", err) // not known which programs use a map: …
		return nil, nil
	case err != nil && context.Cause(c.Context()) == nil:
		return nil, fmt.Errorf("look at the machine's programs: %w", err)
	}
	return found, err
}

// How often, and after which times, it is looked again at what holds maps.
const (
	heldLooks = 3
	heldEvery = 100 * time.Millisecond
)

// usedBy notes which programs use each of maps. A program that somebody has just unloaded, such as the one with which the
// kernel was asked for a count, holds its map for some milliseconds more: only what stays is a place in a map of maps.
func usedBy(c *cobra.Command, maps []mapInfo, found *inuse.Inventory) error {
	for i := range maps {
		maps[i].usedBy(found)
	}
	isHeld := func(m mapInfo) bool { return m.HeldByMaps != nil && *m.HeldByMaps > 0 }
	for range heldLooks {
		if !slices.ContainsFunc(maps, isHeld) {
			break
		}
		if !pause(c.Context(), heldEvery) {
			return context.Cause(c.Context())
		}
		again, err := lookAtPrograms(c)
		if err != nil || again == nil {
			return err
		}
		for i := range maps {
			if m := &maps[i]; isHeld(*m) && again.Has(m.ID) {
				*m.HeldByMaps = min(*m.HeldByMaps, max(again.HeldByMaps(m.ID), 0))
			}
		}
	}
	return nil
}

// usedBy notes which programs use the map; nothing if found is nil, or doesn't have it.
func (info *mapInfo) usedBy(found *inuse.Inventory) {
	if found == nil || !found.Has(info.ID) {
		return
	}
	programs := []programInfo{}
	for _, p := range found.Users(info.ID) {
		programs = append(programs, programInfo{p.ID, p.Name, p.Type, p.Tag})
	}
	info.Programs = &programs
	if held := found.HeldByMaps(info.ID); held >= 0 {
		info.HeldByMaps = &held
	}
}

// programCount is how many programs use the map, "?" if that isn't known.
func (info *mapInfo) programCount() string {
	if info.Programs == nil {
		return "?"
	}
	return strconv.Itoa(len(*info.Programs))
}

// users is "xdp_block (id 12, xdp), 2 places in maps of maps"; empty if nothing uses the map, or that isn't known.
func (info *mapInfo) users() string {
	var all []string
	if info.Programs != nil {
		for _, p := range *info.Programs {
			name := p.Name
			if name == "" {
				name = "program"
			}
			all = append(all, fmt.Sprintf("%s (id %d, %s)", name, p.ID, p.Type))
		}
	}
	if info.HeldByMaps != nil && *info.HeldByMaps > 0 {
		all = append(all, text.Count(*info.HeldByMaps, "place in a map of maps", "places in maps of maps"))
	}
	return strings.Join(all, ", ")
}
