// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// LeavesOut says whether cells of a table give no value: they are empty, and an empty text is none of l, or l has
// a default.
func (l *Layout) LeavesOut(cells []byte) bool {
	return isBlank(cells) && (l.fallback.known || !l.takesEmpty())
}

// isBlank says whether a cell, or every cell of an object, is empty.
func isBlank(raw []byte) bool {
	switch {
	case len(raw) == 0:
		return true
	case rawjson.IsString(raw):
		return len(bytes.Trim(raw[1:len(raw)-1], " ")) == 0
	case !rawjson.IsObject(raw):
		return false
	}
	for w := rawjson.Walk(raw); ; {
		_, member, _, ok := w.Member()
		if !ok {
			return true
		}
		if !isBlank(member) {
			return false
		}
	}
}

// takesEmpty says whether an empty text is a value of l, or of a field of it.
func (l *Layout) takesEmpty() bool {
	if l.scalar != nil {
		t := l.scalar.typ
		return t == v1alpha1.TypeString || t == v1alpha1.TypeCountedString || t == v1alpha1.TypeProgPin
	}
	for i := range l.fields {
		if l.fields[i].layout.takesEmpty() {
			return !l.union
		}
	}
	return false
}

// encodeCells writes a field that is given in cells to the struct in dst.
func (f *field) encodeCells(dst []byte, value literal) *Error {
	switch {
	case !value.cells || !f.layout.LeavesOut(value.raw):
		return f.encode(dst, value)
	case !f.layout.fallback.known:
		return errorf("", "is missing: the cell is empty, and the field has no default")
	}
	return f.fillDefault(dst)
}
