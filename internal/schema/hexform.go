// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/hex"
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// hexName is the one member of an object that stands for bytes of any type: {"$hex": "0102"}. No field has
// that name: C takes no dollar in it.
const hexName = `"$hex"`

// isHexForm says whether a value is given as bytes.
func isHexForm(raw []byte) bool {
	return rawjson.IsObject(raw) && bytes.HasPrefix(bytes.TrimLeft(raw[1:], " \t\r\n"), []byte(hexName))
}

// encodeHexForm writes bytes that are given as such.
func (l *Layout) encodeHexForm(dst []byte, value literal) *Error {
	if l.scalar != nil && l.scalar.prefix != nil && l.prefix == nil {
		return errorf("", "a prefix can't be given as bytes without its length: give the key as a whole in bytes")
	}
	w := rawjson.Walk(value.raw)
	_, digits, _, _ := w.Member()
	if _, _, _, more := w.Member(); more {
		return errorf("", "%s has members beside %s", value, hexName)
	}
	text, ok := literal{raw: digits}.word()
	b, err := hex.DecodeString(hexSeparators.Replace(text))
	switch {
	case !ok || err != nil:
		return errorf(".$hex", "%s is not a string of pairs of hex digits", literal{raw: digits})
	case len(b) != l.size:
		return errorf(".$hex", "is %d bytes long, exactly %d are required", len(b), l.size)
	}
	copy(dst, b)
	return l.linkNumbers(dst)
}

// linkNumbers replaces numbers in dst, which were given as bytes, by what links are encoded to.
func (l *Layout) linkNumbers(dst []byte) *Error {
	if !l.collects() {
		return nil
	}
	switch {
	case l.of != nil:
		for n := range l.count {
			if err := l.of.linkNumbers(dst[n*l.of.size : (n+1)*l.of.size]); err != nil {
				return err.below(elementStep(n))
			}
		}
	case l.scalar != nil:
		number := strconv.AppendQuote(nil, strconv.FormatUint(l.scalar.get(dst), 10))
		if l.scalar.typ == v1alpha1.TypeProgPin && isZero(dst) {
			return nil
		}
		clear(dst)
		if msg := l.scalar.encode(l.scalar, dst, literal{raw: number}); msg != "" {
			return errorf("", "%s", msg)
		}
	case l.union:
		return nil // where another member may be, a number that is no symbol stands for itself
	}
	for i := range l.fields {
		f := &l.fields[i]
		if err := f.layout.linkNumbers(dst[f.offset : f.offset+f.layout.size]); err != nil {
			return err.below("." + f.name)
		}
	}
	return nil
}

// collects says whether names of links are taken anywhere in l.
func (l *Layout) collects() bool {
	if l.of != nil {
		return l.of.collects()
	}
	if l.scalar != nil {
		return l.scalar.collect != nil
	}
	for i := range l.fields {
		if l.fields[i].layout.collects() {
			return true
		}
	}
	return false
}

func appendHexForm(dst, b []byte) []byte {
	dst = hex.AppendEncode(append(append(append(dst, '{'), hexName...), ":\""...), b)
	return append(dst, "\"}"...)
}

func elementStep(n int) string { return "[" + strconv.Itoa(n) + "]" }
