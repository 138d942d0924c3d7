// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/footprint"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// wideTop is from how many columns on top shows everything.
const wideTop = 130

// What top sorts by.
const (
	sortFill    = "fill"
	sortEntries = "entries"
	sortChange  = "change"
	sortMemory  = "memory"
	sortName    = "name"
	sortID      = "id"
)

func sortNames() []string {
	return []string{sortFill, sortEntries, sortChange, sortMemory, sortName, sortID}
}

// topMap is one map as top shows it.
type topMap struct {
	mapInfo
	// FillPercent is how full the map is, ChangePerSecond how many entries came or, below 0, went since the last look;
	// both absent where the kernel doesn't count.
	FillPercent     *float64 `json:"fillPercent,omitempty"`
	ChangePerSecond *float64 `json:"changePerSecond,omitempty"`
}

// topView is what top has seen, and how it shows that.
type topView struct {
	sort    string
	maps    []topMap
	at      time.Time
	limited error
}

// take notes what was seen at a time.
func (v *topView) take(maps []mapInfo, at time.Time) {
	before := make(map[uint32]*int64, len(v.maps))
	for i := range v.maps {
		before[v.maps[i].ID] = v.maps[i].EntryCount
	}
	seconds := at.Sub(v.at).Seconds()
	v.maps, v.at = make([]topMap, 0, len(maps)), at
	for i := range maps {
		m := topMap{mapInfo: maps[i]}
		if percent, known := m.fill(); known {
			m.FillPercent = &percent
		}
		if then := before[m.ID]; then != nil && m.EntryCount != nil && seconds > 0 {
			change := float64(*m.EntryCount-*then) / seconds
			m.ChangePerSecond = &change
		}
		v.maps = append(v.maps, m)
	}
	v.order()
}

// key does what a key asks for.
func (v *topView) key(key byte) {
	for _, name := range sortNames() {
		if name[0] == key {
			v.sort = name
		}
	}
	v.order()
}

// order sorts the maps: by names and ids upwards, and else what stands out first. What isn't known comes last.
func (v *topView) order() {
	value := func(n *float64) float64 {
		if n == nil {
			return -1
		}
		return math.Abs(*n)
	}
	slices.SortStableFunc(v.maps, func(a, b topMap) int {
		first := 0
		switch v.sort {
		case sortFill:
			first = cmp.Compare(value(b.FillPercent), value(a.FillPercent))
		case sortEntries:
			first = cmp.Compare(entriesOr(&b), entriesOr(&a))
		case sortChange:
			first = cmp.Compare(value(b.ChangePerSecond), value(a.ChangePerSecond))
		case sortMemory:
			first = cmp.Compare(b.MemlockBytes, a.MemlockBytes)
		case sortName:
			first = cmp.Or(cmp.Compare(a.label(), b.label()), cmp.Compare(a.Name, b.Name))
		}
		return cmp.Or(first, cmp.Compare(a.ID, b.ID))
	})
}

func entriesOr(m *topMap) int64 {
	if m.EntryCount == nil {
		return -1
	}
	return *m.EntryCount
}

// label is what a map is known by: its BPFMap, or the kernel's name.
func (m *topMap) label() string { return cmp.Or(m.Owner, m.Name) }

// changeText is "+120.5"; "-" if it isn't known.
func (m *topMap) changeText() string {
	switch {
	case m.ChangePerSecond == nil:
		return "-"
	case *m.ChangePerSecond == 0:
		return "0"
	case math.Abs(*m.ChangePerSecond) >= 100:
		return fmt.Sprintf("%+.0f", *m.ChangePerSecond)
	}
	return fmt.Sprintf("%+.1f", *m.ChangePerSecond)
}

// table is the first of the maps; a narrow one fits 80 columns.
func (v *topView) table(most int, wide bool) *terminal.Table {
	t := &terminal.Table{Columns: []terminal.Column{
		{Title: "ID", Right: true}, {Title: "MAP", Shrink: 1}, {Title: "ENTRIES", Right: true}, {Title: "MAX", Right: true},
		{Title: "FILL", Right: true}, {Title: "CHANGE/S", Right: true}, {Title: "MEMORY", Right: true}, {Title: "TYPE", Shrink: 3},
	}}
	if wide {
		// The owner is what the map is called in the second column.
		t.Columns = append(t.Columns, terminal.Column{Title: "NAME"}, terminal.Column{Title: "FROZEN"}, terminal.Column{Title: "PINS", Shrink: 3})
	}
	for i := range min(most, len(v.maps)) {
		m := &v.maps[i]
		row := []any{m.ID, orDash(m.label()), m.entriesText(), m.MaxEntries, terminal.Cell{Text: m.fillText(), Style: m.fillStyle()},
			m.changeText(), footprint.Format(int64(m.MemlockBytes)), m.Type}
		if wide {
			row = append(row, orDash(m.Name), m.Frozen, orDash(strings.Join(m.Pins, ",")))
		}
		t.Row(row...)
	}
	return t
}

// document is what top prints with -o json.
func (v *topView) document() any {
	return struct {
		Maps []topMap `json:"maps"`
	}{v.maps}
}

// defaultHeight is how many lines a terminal has that doesn't tell.
const defaultHeight = 24

// lines are what a terminal shows.
func (v *topView) lines(o *terminal.Output, every time.Duration) []string {
	width, height := o.Width(), cmp.Or(o.Height(), defaultHeight)
	headline := fmt.Sprintf("%s  %s, %s in kernel memory, every %s, by %s", v.at.Format(time.TimeOnly),
		text.Count(len(v.maps), "map", "maps"), footprint.Format(v.memory()), every, v.sort)
	if v.limited != nil {
		headline += " (only pinned ones: CAP_SYS_ADMIN is needed for all)"
	}
	lines := []string{terminal.Cut(headline, width)}
	room := max(height-3, 0) // the headline, the titles and the keys
	rows := v.table(room, width >= wideTop).Lines(width, o.HasColour())
	if hidden := len(v.maps) - room; hidden > 0 {
		lines[0] = terminal.Cut(headline+", "+strconv.Itoa(hidden)+" more below", width)
	}
	return append(append(lines, rows...), terminal.Cut(keyHelp, width))
}

// memory is that of all maps.
func (v *topView) memory() (bytes int64) {
	for i := range v.maps {
		bytes += int64(v.maps[i].MemlockBytes)
	}
	return bytes
}
