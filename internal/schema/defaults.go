// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// fallback is what a layout holds that a value leaves out.
type fallback struct {
	// known says that there is a default: a declared one, or one of all fields or elements.
	known bool
	// raw is the JSON of the declared default, and reader the layout that reads it; nil if that of the fields or
	// elements has to do.
	raw    []byte
	reader *Layout
	// encoded is the default's bytes, if they are few and name nothing.
	encoded []byte
}

const (
	// maxDefault bounds the bytes that a declared default makes.
	maxDefault = 1 << 20
	// maxEncoded is up to how many bytes defaults are kept in bytes.
	maxEncoded = 1 << 10
)

// setDefault checks a declared default, and notes where fields have defaults that make one of the whole.
func (b builder) setDefault(l *Layout, s *v1alpha1.Schema, path string) *Error {
	if s.Default == nil || s.Prefix { // a prefix has its place and its default once the key is laid out
		return l.inherit()
	}
	path += ".default"
	if l.size > maxDefault {
		return errorf(path, "is not possible for %d bytes, only for up to %d", l.size, maxDefault)
	}
	raw, err := rawjson.Check(s.Default.Raw)
	if err != nil {
		return errorf(path, "is not valid JSON: %v", err)
	}
	if l.isSpinLock() || l.isPadding() {
		return errorf(path, "%s has no value", s.Type)
	}
	if err := b.checkDefault(s, raw); err != nil {
		return err.below(path)
	}
	return l.declare(raw)
}

// checkDefault checks that a default can be encoded. It may name what nodes resolve: a name is collected where an
// entry holds it, and not for its place in the schema.
func (b builder) checkDefault(s *v1alpha1.Schema, raw []byte) *Error {
	bare := *s
	bare.Default, bare.Owner = nil, ""
	isOwned := len(s.Fields) > 0 && (b.program || s.Owner != "") // and may leave fields out
	l, err := builder{collect: func(v1alpha1.Reference) {}, program: isOwned}.layout(&bare, "", 0)
	if err != nil {
		return err
	}
	whole := make([]byte, l.size)
	if s.Bits > 0 {
		f := field{bits: int(s.Bits), layout: l}
		return f.encodeBits(whole, literal{raw: raw})
	}
	if err := l.declare(raw); err != nil {
		return err
	}
	return l.fillDefault(whole)
}

// declare takes a default. One that is given for an array and isn't a list is that of each element.
func (l *Layout) declare(raw []byte) *Error {
	if l.of != nil && !rawjson.IsList(raw) && !isHexForm(raw) {
		if err := l.of.declare(raw); err != nil {
			return err
		}
		return l.inherit()
	}
	reader := *l // which fills a list that is too short with the elements' own defaults
	l.fallback = fallback{known: true, raw: raw, reader: &reader}
	return l.keep()
}

// inherit makes the default of the whole from those of the fields or elements.
func (l *Layout) inherit() *Error {
	l.fallback = fallback{known: l.isImplied()}
	return l.keep()
}

// keep writes the default out once, if that is possible.
func (l *Layout) keep() *Error {
	if !l.fallback.known || l.size > maxEncoded || l.countLinks() > 0 {
		return nil
	}
	encoded := make([]byte, l.size)
	if err := l.fillDefault(encoded); err != nil {
		return err
	}
	l.fallback.encoded = encoded
	return nil
}

// isImplied says whether the fields or elements make a default of the whole.
func (l *Layout) isImplied() bool {
	switch {
	case l.of != nil:
		return l.of.fallback.known
	case l.scalar != nil || l.union:
		return l.program // zeros
	}
	for i := range l.fields {
		if f := &l.fields[i]; !f.silent && !f.layout.fallback.known {
			return false
		}
	}
	return true
}

// HasDefault says whether a value may be left out: a default is declared for it, or for each of its fields.
func (l *Layout) HasDefault() bool { return l.fallback.known }

// EncodeDefault writes the bytes of the default to dst, which is Size bytes long and zero. It is an error
// for layouts without a default.
func (l *Layout) EncodeDefault(dst []byte) error {
	if !l.fallback.known {
		return errorf("", "is missing")
	}
	if err := l.fillDefault(dst); err != nil {
		return err
	}
	return nil
}

// fillDefault writes the default to dst, which is zero.
func (l *Layout) fillDefault(dst []byte) *Error {
	switch d := &l.fallback; {
	case d.encoded != nil:
		copy(dst, d.encoded)
		return nil
	case d.raw != nil:
		return d.reader.encode(dst, literal{raw: d.raw})
	case l.of != nil:
		return l.fillElements(dst, 0)
	case l.union:
		return nil // zeros
	}
	for i := range l.fields {
		if f := &l.fields[i]; !f.silent {
			if err := f.fillDefault(dst); err != nil {
				return err.below("." + f.name)
			}
		}
	}
	return nil
}

// fillDefault writes the default of a field to the struct in dst.
func (f *field) fillDefault(dst []byte) *Error {
	switch {
	case f.bits == 0:
		return f.layout.fillDefault(f.room(dst))
	case f.layout.fallback.raw == nil:
		return nil // zeros
	}
	return f.encodeBits(dst, literal{raw: f.layout.fallback.raw})
}

// fillElements writes the defaults of an array's elements from number n on: what a list that is the default of the
// whole has at their places, or the elements' own defaults.
func (l *Layout) fillElements(dst []byte, n int) *Error {
	size, d := l.of.size, &l.fallback
	switch {
	case d.encoded != nil:
		copy(dst[n*size:], d.encoded[n*size:])
		return nil
	case d.raw != nil:
		whole := make([]byte, l.size)
		if err := l.fillDefault(whole); err != nil {
			return err
		}
		copy(dst[n*size:], whole[n*size:])
		return nil
	}
	for ; n < l.count; n++ {
		if err := l.of.fillDefault(dst[n*size : (n+1)*size]); err != nil {
			return err.below(elementStep(n))
		}
	}
	return nil
}
