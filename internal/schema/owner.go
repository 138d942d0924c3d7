// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// checkOwner refuses owners that there aren't, and parts that have none.
func checkOwner(s *v1alpha1.Schema, path string) *Error {
	switch {
	case s.Owner == "":
	case s.Owner != v1alpha1.OwnerProgram:
		return errorf(path+".owner", "%q is not a valid owner: leave it out, or set it to Program", s.Owner)
	case s.Type == v1alpha1.TypeSpinLock || s.Type == v1alpha1.TypePadding:
		return errorf(path+".owner", "%s has no value that anybody could own: leave owner out", s.Type)
	case s.Prefix:
		return errorf(path+".owner", "keys can't be owned by programs, which would look for other elements then: leave owner out")
	}
	return nil
}

// checkMembers refuses owners of a union's members, which share their bytes.
func checkMembers(s *v1alpha1.Schema, path string) *Error {
	for i := range s.Fields {
		at := fmt.Sprintf("%s.fields[%d]", path, i)
		if below := OwnedBelow(&s.Fields[i].Schema); below != nil {
			return errorf(at+*below+".owner", "members of a union share their bytes and have one owner: set owner at the union")
		}
	}
	return nil
}

// checkZero refuses zeros as the first value of what programs own if an enum has no name for 0: people may write a
// number, but nobody asked for this one.
func checkZero(s *v1alpha1.Schema, path string) *Error {
	if s.Enum == nil || s.Default != nil {
		return nil
	}
	for _, n := range s.Enum {
		if n == 0 {
			return nil
		}
	}
	return errorf(path+".default", "is missing: entries may leave out what the program owns, and its enum has no name for 0: set default to one of its names, or give 0 a name")
}

// OwnedBelow is the place of the first part of a schema that programs own, "" for the whole and ".fields[1]" for a
// field; nil if there is none.
func OwnedBelow(s *v1alpha1.Schema) *string {
	if s.Owner != "" {
		return new(string)
	}
	for i := range s.Fields {
		if below := OwnedBelow(&s.Fields[i].Schema); below != nil {
			at := fmt.Sprintf(".fields[%d]%s", i, *below)
			return &at
		}
	}
	return nil
}

// Declared are the bits of a value that the declaration owns, of as many bytes: 1 for declared ones, 0 for those of
// programs, and for a spin lock, which is nobody's. Padding between fields is declared to be zero, padding within what
// programs own is theirs. Nil says that everything is declared.
func (l *Layout) Declared() []byte {
	if !l.hasProgram() {
		return nil
	}
	mask := make([]byte, l.size)
	for i := range mask {
		mask[i] = 0xff
	}
	l.clearProgram(mask)
	return mask
}

// hasProgram says whether programs own any of it.
func (l *Layout) hasProgram() bool {
	if l.program || l.of != nil && l.of.hasProgram() {
		return true
	}
	for i := range l.fields {
		if l.fields[i].layout.hasProgram() {
			return true
		}
	}
	return false
}

// clearProgram clears the bits of a mask that aren't declared.
func (l *Layout) clearProgram(mask []byte) {
	switch {
	case l.program || l.isSpinLock():
		clear(mask[:l.size])
	case l.of != nil:
		for n := range l.count {
			l.of.clearProgram(mask[n*l.of.size:])
		}
	}
	for i := range l.fields {
		switch f := &l.fields[i]; {
		case f.bits > 0 && f.layout.program:
			for _, g := range appendGap(nil, f.at, f.at+f.bits) {
				for at := range g.len {
					mask[g.offset+at] &^= g.mask
				}
			}
		case f.bits == 0 && !l.program:
			f.layout.clearProgram(mask[f.offset:])
		}
	}
}

// WithoutProgram is a layout for texts in which fields that programs own have no value.
func (l *Layout) WithoutProgram() *Layout {
	if !l.hasProgram() {
		return l
	}
	bare := *l
	if l.of != nil {
		bare.of = l.of.WithoutProgram()
	}
	bare.fields = make([]field, len(l.fields))
	for i := range l.fields {
		f := l.fields[i]
		f.silent = f.silent || f.layout.program
		f.layout = f.layout.WithoutProgram()
		bare.fields[i] = f
	}
	return &bare
}
