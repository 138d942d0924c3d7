// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// document replaces what stands between the marks of a page.
func document(path string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := string(page)
	for name, table := range map[string]string{"contents": contentsTable(), "shapes": shapesTable()} {
		if text, err = between(text, name, table); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return os.WriteFile(path, []byte(text), 0o644)
}

// between is text with a table between the marks of a name.
func between(text, name, table string) (string, error) {
	begin := fmt.Sprintf("<!-- types: %s, written by make generate -->\n", name)
	end := fmt.Sprintf("<!-- types: end of %s -->\n", name)
	before, rest, ok := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("the marks %q and %q are missing", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return before + begin + table + end + after, nil
}

// contentsTable says what can be declared, counted, compared and frozen. Types that can do the same share
// a row.
func contentsTable() string {
	out := "| types | entries | count | drift of contents | freeze |\n|---|---|---|---|---|\n"
	var cells []string
	types := map[string][]string{}
	for _, t := range maptype.Offered() {
		row := fmt.Sprintf("%s | %s | %s | %s", entries(t), count(t), drift(t), freeze(t))
		if types[row] == nil {
			cells = append(cells, row)
		}
		types[row] = append(types[row], t.Name)
	}
	for _, row := range cells {
		out += fmt.Sprintf("| %s | %s |\n", strings.Join(types[row], ", "), row)
	}
	return out
}

func entries(t *maptype.Type) string {
	switch {
	case t.Runtime:
		return "none: processes and programs put them in"
	case t.Reading == maptype.Consumed:
		return "pushed once, when the map is made: reading consumes"
	case t.Reading == maptype.Asked:
		return "added; nothing can be taken out but by a new map (`Swap`)"
	}
	text := "declared"
	if len(t.Value.References) > 0 {
		text += ", `" + t.Value.Default.Type + "`"
	}
	switch {
	case t.Values == maptype.DescriptorsBehind:
		text += ", and a `progPin` behind it if wanted"
	case t.Reading == maptype.Unreadable:
		text += "; nobody can read it, so it is written again with every change"
	case t.MapOfMaps:
		text += "; each change takes the kernel some 10 ms"
	case t.Array:
		text += "; every index always exists, deleting writes zeros, `Mirror` zeroes what isn't declared"
	case t.LRU:
		text += "; the kernel evicts when the map runs full, and may before `maxEntries`"
	}
	return text
}

func count(t *maptype.Type) string {
	switch {
	case t.Reading != maptype.Listed:
		return "no"
	case t.Array:
		return "no: always `maxEntries`"
	case t.Runtime:
		return "where the kernel lets it be read"
	}
	return "yes"
}

func drift(t *maptype.Type) string {
	switch {
	case t.Runtime:
		return "–"
	case t.Reading == maptype.Asked:
		return "a declared value that is missing"
	case t.Reading != maptype.Listed:
		return "can't be found"
	case t.LRU:
		return "other values and foreign keys; an evicted key is written again, in a full map [some at a time](performance.md#what-a-resync-does-to-programs), and isn't called drift"
	}
	return "found"
}

func freeze(t *maptype.Type) string {
	switch {
	case !t.Ops.Has(maptype.Freeze):
		return "no"
	case t.MapOfMaps:
		return "yes: what programs find in them can't be changed any more"
	case t.SpinLock:
		return "yes, but not with a `spinLock`"
	}
	return "yes"
}

// shapesTable says what can be declared of the map itself.
func shapesTable() string {
	out := "| type | since Linux | key | value | `maxEntries` | flags |\n|---|---|---|---|---|---|\n"
	for _, t := range maptype.Offered() {
		key, value := datum(t.Key), datum(t.Value)
		if t.Indexed {
			key = "`u32`, the index"
		}
		if t.LPM {
			key = "a prefix, " + key
		}
		if t.MaxElement > 0 && len(t.Value.References) == 0 {
			value += fmt.Sprintf("; with the key at most %d", t.MaxElement)
		}
		out += fmt.Sprintf("| %s | %d.%d | %s | %s | %s | %s |\n", t.Name, t.Since.Major, t.Since.Minor, key, value, capacity(t.Capacity), flags(t))
	}
	return out
}

func datum(d maptype.Datum) string {
	var size string
	switch {
	case !d.Exists():
		return "none"
	case d.Min == d.Max:
		size = fmt.Sprintf("%d bytes", d.Min)
	case d.Multiple > 0 && d.Max == 2*d.Multiple:
		size = fmt.Sprintf("%d or %d bytes", d.Min, d.Max)
	case d.Multiple > 0:
		size = fmt.Sprintf("%d to %d bytes in steps of %d", d.Min, d.Max, d.Multiple)
	default:
		size = fmt.Sprintf("%d to %d bytes", d.Min, d.Max)
	}
	if d.Default.Type != "" {
		size += fmt.Sprintf("; `%s` if not given", d.Default.Type)
	}
	return size
}

func capacity(c maptype.Capacity) string {
	switch c {
	case maptype.CPUs:
		return "elements, at most the kernel's CPUs"
	case maptype.Bytes:
		return "bytes"
	case maptype.Pages:
		return "pages"
	case maptype.Unbounded:
		return "none"
	default:
		return "elements"
	}
}

// flags are those that a type takes, with the kernel that brought each one where it is newer than the type.
func flags(t *maptype.Type) string {
	var names []string
	for _, f := range t.Flags.Split() {
		name := f.Name
		if since := t.FlagSince(f); since != t.Since {
			name += fmt.Sprintf(" (%d.%d)", since.Major, since.Minor)
		}
		if t.Implied&f.Bit != 0 {
			name += " (always)"
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return "–"
	}
	return strings.Join(names, ", ")
}
