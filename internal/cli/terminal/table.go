// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package terminal

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// gap is what is between columns.
const gap = "  "

// minShrunk is the least width that a column is shrunk to.
const minShrunk = 8

// Column is one column of a Table.
type Column struct {
	Title string
	// Right aligns numbers.
	Right bool
	// Shrink says that cells may be cut, with an ellipsis, where the table is wider than the terminal: columns with the
	// highest number first, those with 0 never.
	Shrink int
	// Fold says that cells which don't fit are continued below instead of being cut.
	Fold bool
}

// Cell is the text of a cell in a style.
type Cell struct {
	Text  string
	Style Style
}

// Table is a table for people.
type Table struct {
	Columns []Column
	rows    [][]Cell
}

// Row adds a row: Cells, and whatever else is printed as by fmt.Sprint.
func (t *Table) Row(cells ...any) {
	row := make([]Cell, len(t.Columns))
	for i, c := range cells {
		cell, is := c.(Cell)
		if !is {
			cell.Text = fmt.Sprint(c)
		}
		cell.Text = Sanitize(cell.Text)
		row[i] = cell
	}
	t.rows = append(t.rows, row)
}

// Len is how many rows there are.
func (t *Table) Len() int { return len(t.rows) }

// Write writes the table. It is cut to the width of a terminal, and nowhere else.
func (t *Table) Write(o *Output) error {
	o.screen.mu.Lock()
	defer o.screen.mu.Unlock()
	if err := o.flush(); err != nil {
		return err
	}
	var all []byte
	for _, line := range t.Lines(o.Width(), o.colour) {
		all = append(append(all, line...), '\n')
	}
	return o.emit(all)
}

// Lines are the lines of the table, the titles first, none of them wider than width; 0 is any width.
func (t *Table) Lines(width int, colour bool) []string {
	widths := t.widths(width)
	lines := make([]string, 0, 1+len(t.rows))
	titles := make([]Cell, len(t.Columns))
	for i, c := range t.Columns {
		titles[i] = Cell{c.Title, Bold}
	}
	for _, row := range append([][]Cell{titles}, t.rows...) {
		for _, part := range t.fold(row, widths, width) {
			lines = append(lines, t.line(part, widths, width, colour))
		}
	}
	return lines
}

// fold breaks the cells of a row that are continued below, and returns the rows of their parts.
func (t *Table) fold(row []Cell, widths []int, width int) [][]Cell {
	rows := [][]Cell{row}
	used := 0
	for i, cell := range row {
		room := widths[i]
		if width > 0 {
			room = min(room, max(width-used, minShrunk))
		}
		used += widths[i] + len(gap)
		if !t.Columns[i].Fold || width == 0 {
			continue
		}
		for n, part := range Fold(cell.Text, room, 0) {
			if n == 0 {
				rows[0] = slices.Clone(rows[0])
			}
			if n == len(rows) {
				rows = append(rows, make([]Cell, len(row)))
			}
			rows[n][i] = Cell{part, cell.Style}
		}
	}
	return rows
}

// widths are those of the columns: as wide as their cells are, or less for those that shrink.
func (t *Table) widths(width int) []int {
	widths := make([]int, len(t.Columns))
	total := len(gap) * (len(widths) - 1)
	for i, c := range t.Columns {
		widths[i] = uniseg.StringWidth(c.Title)
		for _, row := range t.rows {
			widths[i] = max(widths[i], uniseg.StringWidth(row[i].Text))
		}
		total += widths[i]
	}
	for ; width > 0 && total > width; total-- {
		next := -1
		for i, c := range t.Columns {
			if c.Shrink == 0 || widths[i] <= max(minShrunk, uniseg.StringWidth(c.Title)) {
				continue
			}
			if next < 0 || c.Shrink > t.Columns[next].Shrink || c.Shrink == t.Columns[next].Shrink && widths[i] > widths[next] {
				next = i
			}
		}
		if next < 0 {
			break
		}
		widths[next]--
	}
	return widths
}

func (t *Table) line(row []Cell, widths []int, width int, colour bool) string {
	var line []byte
	used := 0
	for i, cell := range row {
		if i > 0 {
			line, used = append(line, gap...), used+len(gap)
		}
		room := widths[i]
		if width > 0 {
			room = min(room, max(width-used, 0))
		}
		text := Cut(cell.Text, room)
		padding := strings.Repeat(" ", max(room-uniseg.StringWidth(text), 0))
		used += room
		switch {
		case t.Columns[i].Right:
			line = cell.Style.append(append(line, padding...), text, colour)
		case i == len(row)-1:
			line = cell.Style.append(line, text, colour)
		default:
			line = append(cell.Style.append(line, text, colour), padding...)
		}
		if width > 0 && used >= width {
			break
		}
	}
	return strings.TrimRight(string(line), " ")
}

// Cut cuts text to at most width columns, and marks the cut by an ellipsis.
func Cut(text string, width int) string {
	if uniseg.StringWidth(text) <= width {
		return text
	}
	if width <= 0 {
		return ""
	}
	var kept strings.Builder
	used := 0
	for rest, state := text, -1; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > width-1 {
			break
		}
		kept.WriteString(cluster)
		used += w
	}
	return kept.String() + "…"
}
