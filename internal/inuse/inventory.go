// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package inuse

import (
	"fmt"
	"path"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// Program is a loaded program.
type Program struct {
	ID              uint32
	Name, Type, Tag string
	// Maps are the ids of the maps that it uses.
	Maps []uint32
	// Own says that it is one of ours, which are loaded for a moment: it holds maps and doesn't use them.
	Own bool
}

// String is "xdp_drop (id 12)".
func (p *Program) String() string {
	if p.Name == "" {
		return fmt.Sprintf("program id %d", p.ID)
	}
	return fmt.Sprintf("%s (id %d)", p.Name, p.ID)
}

// Map is a map of the kernel.
type Map struct {
	ID, Type           uint32
	Name               string
	KeySize, ValueSize uint32
	// Held is how many references programs and other maps have together; -1 if that isn't known.
	Held int
}

// Inventory are all programs and maps of a node at about one time.
type Inventory struct {
	maps  map[uint32]*Map
	users map[uint32][]*Program
	// alike are maps that programs use, by what SameName means.
	alike map[likeness][]uint32
	own   map[uint32]int
}

// likeness is what maps have in common that may be meant to be one.
type likeness struct {
	name                        string
	mapType, keySize, valueSize uint32
}

// New takes programs and maps in, both sorted by id, and keeps them.
func New(programs []Program, maps []Map) *Inventory {
	inv := &Inventory{
		maps: make(map[uint32]*Map, len(maps)), users: map[uint32][]*Program{}, alike: map[likeness][]uint32{}, own: map[uint32]int{},
	}
	for i := range programs {
		p := &programs[i]
		for _, id := range p.Maps {
			if p.Own {
				inv.own[id]++
			} else {
				inv.users[id] = append(inv.users[id], p)
			}
		}
	}
	for i := range maps {
		m := &maps[i]
		inv.maps[m.ID] = m
		if len(inv.users[m.ID]) > 0 {
			like := likeness{m.Name, m.Type, m.KeySize, m.ValueSize}
			inv.alike[like] = append(inv.alike[like], m.ID)
		}
	}
	return inv
}

// Has says whether the kernel has a map.
func (inv *Inventory) Has(mapID uint32) bool { return inv.maps[mapID] != nil }

// Users are the programs that use a map, by their ids.
func (inv *Inventory) Users(mapID uint32) []*Program { return inv.users[mapID] }

// HeldByMaps is in how many places of other maps a map is; -1 if that isn't known.
func (inv *Inventory) HeldByMaps(mapID uint32) int {
	m := inv.maps[mapID]
	switch {
	case m == nil:
		return 0
	case m.Held < 0:
		return -1
	}
	return max(0, m.Held-len(inv.users[mapID])-inv.own[mapID])
}

// subject is a managed map.
type subject struct {
	id  uint32
	pin string // its path
	// earlier are maps that were at the pin before.
	earlier []uint32
	// managed says of a map that it is that of a BPFMap.
	managed func(mapID uint32) bool
}

// observe is the usage of a map by one look, without when that began and what was before: Used, Unused or Unknown.
func (inv *Inventory) observe(s subject) v1alpha1.MapUsage {
	users, held := inv.users[s.id], inv.HeldByMaps(s.id)
	u := v1alpha1.MapUsage{ProgramCount: int32(len(users)), Programs: describe(users), HeldByMaps: int32(max(0, held))}
	for _, id := range s.earlier {
		if id == s.id {
			continue // it is back
		}
		u.OtherMaps = inv.other(u.OtherMaps, id, v1alpha1.OtherMapEarlier)
	}
	switch {
	case len(users) > 0 || held > 0:
		u.State = v1alpha1.MapUsed
		return u
	case held < 0:
		u.State, u.Message = v1alpha1.MapUsageUnknown, untold
	default:
		u.State = v1alpha1.MapUnused
	}
	for _, id := range inv.sameName(s) {
		u.OtherMaps = inv.other(u.OtherMaps, id, v1alpha1.OtherMapSameName)
	}
	return u
}

// untold is why it isn't known whether something uses a map that no program uses itself.
const untold = "no program uses the map itself, and whether another map holds it can't be told on this kernel, or now: programs come and go too fast"

// other adds a map that programs use to others, as far as there is room.
func (inv *Inventory) other(others []v1alpha1.OtherMap, id uint32, kind v1alpha1.OtherMapKind) []v1alpha1.OtherMap {
	known := func(o v1alpha1.OtherMap) bool { return o.MapID == int64(id) }
	if len(inv.users[id]) == 0 || len(others) == v1alpha1.MaxOtherMaps || slices.ContainsFunc(others, known) {
		return others
	}
	return append(others, v1alpha1.OtherMap{MapID: int64(id), Kind: kind, Programs: describe(inv.users[id])})
}

// sameName are maps that programs use and that may be meant to be ours: with our name in the kernel, or that of the
// pin as libbpf cuts it, our type and our sizes. Maps of BPFMaps aren't.
func (inv *Inventory) sameName(s subject) []uint32 {
	m := inv.maps[s.id]
	if m == nil {
		return nil
	}
	var ids []uint32
	names := []string{m.Name, cut(path.Base(s.pin))}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if name == "" {
			continue
		}
		for _, id := range inv.alike[likeness{name, m.Type, m.KeySize, m.ValueSize}] {
			if id != s.id && !s.managed(id) {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// maxName is how many characters the kernel keeps of a name.
const maxName = 15

func cut(name string) string { return name[:min(len(name), maxName)] }

// describe are the first programs, for the API.
func describe(programs []*Program) []v1alpha1.MapProgram {
	var all []v1alpha1.MapProgram
	for _, p := range programs[:min(len(programs), v1alpha1.MaxMapPrograms)] {
		all = append(all, v1alpha1.MapProgram{ID: int64(p.ID), Name: p.Name, Type: p.Type, Tag: p.Tag})
	}
	return all
}
