// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/inventory"
)

// mapInfo is one map as list and map info print it with -o json.
type mapInfo struct {
	ID             uint32   `json:"id"`
	Type           string   `json:"type"`
	Name           string   `json:"name,omitempty"`
	KeySize        uint32   `json:"keySize"`
	ValueSize      uint32   `json:"valueSize"`
	MaxEntries     uint32   `json:"maxEntries"`
	Flags          []string `json:"flags,omitempty"`
	Frozen         bool     `json:"frozen"`
	MemlockBytes   uint64   `json:"memlockBytes"`
	IfIndex        uint32   `json:"ifindex,omitempty"`
	MapExtra       uint64   `json:"mapExtra,omitempty"`
	BTFID          uint32   `json:"btfID,omitempty"`
	BTFKeyTypeID   uint32   `json:"btfKeyTypeID,omitempty"`
	BTFValueTypeID uint32   `json:"btfValueTypeID,omitempty"`
	// EntryCount is how many elements the map holds; absent where nobody can tell without reading it, and for types
	// that are always full, as arrays are. EntryCountExact says, of a map that was read, whether it surely was all of it.
	EntryCount      *int64 `json:"entryCount,omitempty"`
	EntryCountExact *bool  `json:"entryCountExact,omitempty"`
	// Programs are those that use the map, HeldByMaps in how many places of maps of maps it is; absent where that isn't
	// known.
	Programs   *[]programInfo `json:"programs,omitempty"`
	HeldByMaps *int           `json:"heldByMaps,omitempty"`
	// What only list knows.
	Owner  string   `json:"owner,omitempty"`
	Record bool     `json:"record,omitempty"`
	Pins   []string `json:"pins,omitempty"`
}

func infoOf(m *inventory.Map) mapInfo {
	info := mapInfo{
		ID: m.ID, Type: m.Type.String(), Name: m.Name, KeySize: m.KeySize, ValueSize: m.ValueSize,
		MaxEntries: m.MaxEntries, Frozen: m.Frozen, MemlockBytes: m.Memlock, IfIndex: m.IfIndex,
		MapExtra: m.MapExtra, BTFID: m.BTFID, BTFKeyTypeID: m.BTFKeyTypeID, BTFValueTypeID: m.BTFValueTypeID,
		Owner: m.Owner, Record: m.Record, Pins: m.Pins, EntryCount: m.Entries,
	}
	if m.Flags != 0 {
		info.Flags = strings.Split(m.Flags.String(), "|")
	}
	return info
}

// fill is how full the map is, in percent; false if that isn't known, or means nothing for its type.
func (info *mapInfo) fill() (percent float64, known bool) {
	if info.EntryCount == nil || info.MaxEntries == 0 {
		return 0, false
	}
	return 100 * float64(*info.EntryCount) / float64(info.MaxEntries), true
}

// fillText is "62%"; "-" if it isn't known.
func (info *mapInfo) fillText() string {
	percent, known := info.fill()
	switch {
	case !known:
		return "-"
	case percent > 0 && percent < 1:
		return "<1%"
	}
	return strconv.Itoa(int(percent)) + "%"
}

// entriesText is how many elements there are; "-" if that isn't known.
func (info *mapInfo) entriesText() string {
	if info.EntryCount == nil {
		return "-"
	}
	return strconv.FormatInt(*info.EntryCount, 10)
}

// count reads all of m to count its entries.
func (info *mapInfo) count(ctx context.Context, m *bpf.Map) error {
	n, exact, err := m.Count(ctx)
	if err != nil {
		return err
	}
	all := int64(n)
	info.EntryCount, info.EntryCountExact = &all, &exact
	return nil
}

func (info *mapInfo) write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name string, value any) { _, _ = fmt.Fprintf(t, "%s:\t%v\n", name, value) }
	line("id", info.ID)
	line("type", info.Type)
	line("name", orDash(info.Name))
	line("key size", info.KeySize)
	line("value size", info.ValueSize)
	line("max entries", info.MaxEntries)
	line("flags", orDash(strings.Join(info.Flags, ",")))
	line("frozen", info.Frozen)
	line("memlock", info.MemlockBytes)
	if info.IfIndex != 0 {
		line("ifindex", info.IfIndex)
	}
	if info.MapExtra != 0 {
		line("map extra", info.MapExtra)
	}
	if info.BTFID != 0 {
		line("btf", fmt.Sprintf("id %d, key type %d, value type %d", info.BTFID, info.BTFKeyTypeID, info.BTFValueTypeID))
	}
	switch users := info.users(); {
	case info.Programs == nil:
		line("used by", "unknown")
	case users == "":
		line("used by", "no program")
	default:
		line("used by", users)
	}
	if info.EntryCount != nil {
		about := ""
		if info.EntryCountExact != nil && !*info.EntryCountExact {
			about = " (approximate: the map changed while it was read)"
		}
		line("entries", fmt.Sprintf("%d%s", *info.EntryCount, about))
	}
	return t.Flush()
}
