// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package btfschema

import (
	"fmt"
	"strings"

	"github.com/cilium/ebpf/btf"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// Comparison is how a declared schema fits the type that a program has.
type Comparison struct {
	// Misfits are the places where the program would read something else than is declared; none if it fits.
	Misfits []Difference
	// Notes are differences that don't matter to the bytes.
	Notes []Difference
	// Declared and Found are both layouts, one line for each place: its first byte, its size, its type and name.
	Declared, Found []string
}

// Difference is one place where a schema and a type differ.
type Difference struct {
	// Path is the field, as in "rule.ports", or the member if there is no field; empty for the whole.
	Path string
	// Offset and Size are in bits, from the beginning of the whole or, below an array, of its elements.
	Offset, Size int
	// Message says what is declared, and what the type has.
	Message string
}

// String is the place and what differs there.
func (d Difference) String() string {
	if d.Path == "" {
		return d.Message
	}
	return d.Path + ": " + d.Message
}

// Fits says whether the program reads what is declared.
func (c *Comparison) Fits() bool { return len(c.Misfits) == 0 }

// SideBySide is both layouts in two columns, for people.
func (c *Comparison) SideBySide() string {
	width := len("declared")
	for _, line := range c.Declared {
		width = max(width, len(line))
	}
	var b strings.Builder
	row := func(left, right string) {
		b.WriteString(strings.TrimRight(fmt.Sprintf("%-*s   %s", width, left, right), " ") + "\n")
	}
	row(" byte  size  declared", " byte  size  in the program")
	for i := range max(len(c.Declared), len(c.Found)) {
		row(at(c.Declared, i), at(c.Found, i))
	}
	return b.String()
}

// maxSummary bounds the misfits and each layout in Summary, in bytes.
const maxSummary = 320

// Summary is what doesn't fit and both layouts in one line, each cut where it is long.
func (c *Comparison) Summary() string {
	misfits := make([]string, len(c.Misfits))
	for i, d := range c.Misfits {
		misfits[i] = d.String()
	}
	return fmt.Sprintf("%s (declared: %s; in the program: %s)", text.Truncate(strings.Join(misfits, "; "), maxSummary),
		text.Truncate(oneLine(c.Declared), maxSummary), text.Truncate(oneLine(c.Found), maxSummary))
}

// oneLine is a layout without its sizes: "0 u8 action, 2 u16[3] ports".
func oneLine(layout []string) string {
	places := make([]string, len(layout))
	for i, line := range layout {
		words := strings.Fields(line)
		places[i] = strings.Join(append(words[:1:1], words[2:]...), " ")
	}
	return strings.Join(places, ", ")
}

func at(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}
	return ""
}

// Compare compares a schema with the type of the same key or value: by offset, size and meaning. A name at another
// place than the type has it is a misfit, a name that the type doesn't have a note.
func Compare(s *v1alpha1.Schema, t btf.Type) Comparison { return Reader{}.Compare(s, t) }

// Compare is the function Compare with the names that tags speak of.
func (r Reader) Compare(s *v1alpha1.Schema, t btf.Type) Comparison {
	found, _ := r.Of(t)
	return compareSchemas(s, found)
}

// CompareLPMKey is Compare for the key of an LPM trie.
func (r Reader) CompareLPMKey(s *v1alpha1.Schema, t btf.Type) Comparison {
	found, _ := r.OfLPMKey(t)
	return compareSchemas(s, found)
}

// compareSchemas compares what is declared with what was found.
func compareSchemas(declared, found *v1alpha1.Schema) Comparison {
	if found == nil {
		return Comparison{Misfits: []Difference{{Message: "the program's type has no size"}}}
	}
	if hasPrefix(declared) {
		declared = withLength(declared)
	}
	if hasPrefix(found) {
		found = withLength(found)
	}
	want, have := parts(declared, "", 0), parts(found, "", 0)
	c := Comparison{Declared: lines(want, ""), Found: lines(members(have), "")}
	if w, h := extentOf(declared).size, extentOf(found).size; w != h {
		c.Misfits = append(c.Misfits, Difference{Size: 8 * w, Message: fmt.Sprintf("is %d bytes long, the program's type %d", w, h)})
	}
	m := match{}
	m.compare(want, members(have))
	c.Misfits, c.Notes = append(c.Misfits, m.misfits...), m.notes
	return c
}

// members are the parts of a type without its padding, which nothing is read from.
func members(all []node) []node {
	kept := make([]node, 0, len(all))
	for i := range all {
		if all[i].scalar == nil || all[i].scalar.Type != v1alpha1.TypePadding {
			kept = append(kept, all[i])
		}
	}
	return kept
}
