// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernels

import (
	"fmt"
	"slices"
	"strings"
)

// Named is a matrix under the name of its kernel.
type Named struct {
	Name string
	Matrix
}

// Render is the table of the documentation: a row for each type, a column for each kernel. A cell begins with
// yes or no, and then says what isn't so on most.
func Render(all []Named) string {
	var b strings.Builder
	b.WriteString("| type |")
	for _, m := range all {
		fmt.Fprintf(&b, " %s (%s) |", m.Name, m.Version())
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(all)) + "\n")
	var types []string
	for _, m := range all {
		for _, row := range m.Types {
			if !slices.Contains(types, row.Type) {
				types = append(types, row.Type)
			}
		}
	}
	for _, typ := range types {
		b.WriteString("| " + typ + " |")
		for _, m := range all {
			b.WriteString(" " + m.cell(typ) + " |")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (n Named) cell(typ string) string {
	at := slices.IndexFunc(n.Types, func(r Row) bool { return r.Type == typ })
	if at < 0 {
		return "not tried"
	}
	row := n.Types[at]
	if row.Made != Yes {
		return "no: " + row.Made
	}
	said := []string{"made"}
	for _, cell := range row.cells()[1:] {
		switch {
		case cell[1] == Yes:
			said = append(said, cell[0])
		case cell[1] != "" && (cell[0] == "frozen" || cell[0] == "replaced"):
			said = append(said, "not "+cell[0]+": "+cell[1])
		case cell[1] != "":
			said = append(said, cell[0]+": "+cell[1])
		}
	}
	return strings.Join(said, ", ")
}

// The comments in a page that the table is between.
const (
	tableBegin = "<!-- begin: table of kernels -->\n"
	tableEnd   = "<!-- end: table of kernels -->\n"
)

// Replace puts the table into the page.
func Replace(page, table string) (string, error) {
	before, rest, begins := strings.Cut(page, tableBegin)
	_, after, ends := strings.Cut(rest, tableEnd)
	if !begins || !ends {
		return "", fmt.Errorf("the page lacks the line %q or %q", strings.TrimSpace(tableBegin), strings.TrimSpace(tableEnd))
	}
	return before + tableBegin + table + tableEnd + after, nil
}
