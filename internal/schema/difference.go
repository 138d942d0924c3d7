// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"fmt"
)

// maxDifferences bounds the fields in a line.
const maxDifferences = 8

// AppendDifference appends which fields differ between two keys or values, in one line for people: "hits 5 → 0,
// peer.port 80 → 443". A scalar has no name in front.
func (l *Layout) AppendDifference(dst, from, to []byte) []byte {
	d := differences{text: dst}
	d.add(l, "", from, to)
	if more := d.count - maxDifferences; more > 0 {
		d.text = fmt.Appendf(d.text, ", and %d more", more)
	}
	return d.text
}

// differences collects the fields that differ.
type differences struct {
	text  []byte
	count int
}

func (d *differences) add(l *Layout, path string, from, to []byte) {
	switch {
	case bytes.Equal(from, to):
	case l.of != nil:
		for n := range l.count {
			at := n * l.of.size
			d.add(l.of, path+elementStep(n), from[at:at+l.of.size], to[at:at+l.of.size])
		}
	case l.scalar != nil:
		d.note(path, l, from, to)
	case l.union:
		f := l.memberOf(from)
		if f == nil || f != l.memberOf(to) {
			d.note(path, l, from, to)
			return
		}
		d.addField(f, path, from, to)
	default:
		for i := range l.fields {
			if f := &l.fields[i]; !f.silent {
				d.addField(f, path, from, to)
			}
		}
		d.addPadding(l, path, from, to)
	}
}

// addField compares a field of two structs.
func (d *differences) addField(f *field, path string, from, to []byte) {
	if path != "" {
		path += "."
	}
	path += f.name
	if f.bits == 0 {
		d.add(f.layout, path, from[f.offset:f.offset+f.layout.size], to[f.offset:f.offset+f.layout.size])
		return
	}
	f.withUnit(from, func(was []byte) {
		f.withUnit(to, func(is []byte) { d.add(f.layout, path, was, is) })
	})
}

// addPadding says whether two structs differ in bits of no field.
func (d *differences) addPadding(l *Layout, path string, from, to []byte) {
	was, is := areZero(l.gaps, from), areZero(l.gaps, to)
	if was == is {
		return
	}
	words := map[bool]string{true: "zero", false: "not zero"}
	if path != "" {
		path += "."
	}
	if d.begin(path + "padding") {
		d.text = append(d.text, words[was]+" → "+words[is]...)
	}
}

// note prints one difference.
func (d *differences) note(path string, l *Layout, from, to []byte) {
	if d.begin(path) {
		d.text = l.appendText(append(l.appendText(d.text, from), " → "...), to)
	}
}

// begin begins a difference, and says whether there is room for it.
func (d *differences) begin(path string) bool {
	d.count++
	if d.count > maxDifferences {
		return false
	}
	if d.count > 1 {
		d.text = append(d.text, ", "...)
	}
	if path != "" {
		d.text = append(append(d.text, path...), ' ')
	}
	return true
}
