// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"math/bits"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// isInteger says whether values are numbers that can have names or a unit: what C declares as an integer
// of up to 64 bits.
func (s *scalar) isInteger() bool {
	switch s.typ {
	case v1alpha1.TypeU8, v1alpha1.TypeU16, v1alpha1.TypeU32, v1alpha1.TypeU64,
		v1alpha1.TypeI8, v1alpha1.TypeI16, v1alpha1.TypeI32, v1alpha1.TypeI64,
		v1alpha1.TypeBE16, v1alpha1.TypeBE32, v1alpha1.TypeBE64:
		return true
	}
	return false
}

// setProperties takes what the schema says about the values of a type, and refuses what the type doesn't
// have.
func (s *scalar) setProperties(from *v1alpha1.Schema, path string) *Error {
	s.bits = int(from.Bits)
	if err := s.checkInteger(from, path); err != nil {
		return err
	}
	switch {
	case from.Union:
		return errorf(path+".union", "only fields can be those of a union")
	case from.IPv4As != "" && !s.isBoth():
		return errorf(path+".ipv4As", "only for ip and ipPrefix, not %s", s.typ)
	case from.LengthType != "" && s.typ != v1alpha1.TypeCountedString:
		return errorf(path+".lengthType", "only for countedString, not %s", s.typ)
	case s.isBoth():
		return s.setPlacement(from.IPv4As, path)
	case s.typ == v1alpha1.TypeCountedString:
		return s.setLength(from.LengthType, path)
	case from.Enum != nil:
		return s.setEnum(from.Enum, path)
	case from.Flags != nil:
		return s.setFlags(from.Flags, path)
	case from.Duration != "":
		return s.setDuration(from.Duration, path)
	case from.Time != "":
		return s.setTime(from.Time, path)
	}
	return nil
}

// checkInteger refuses what only integers have elsewhere, and more than one of it.
func (s *scalar) checkInteger(from *v1alpha1.Schema, path string) *Error {
	first := ""
	for _, p := range [...]struct {
		name  string
		given bool
	}{
		{"enum", from.Enum != nil}, {"flags", from.Flags != nil},
		{"duration", from.Duration != ""}, {"time", from.Time != ""},
	} {
		switch {
		case !p.given:
		case !s.isInteger():
			return errorf(path+"."+p.name, "only for integers of up to 64 bits (u8, i8, be16, …), not %s", s.typ)
		case first != "":
			return errorf(path+"."+p.name, "%s and %s exclude each other", first, p.name)
		default:
			first = p.name
		}
	}
	return nil
}

// fits says whether the bits of n are a value of the type: those of a number that is given as an int64,
// the negative ones of an unsigned 64-bit type standing for those above it.
func (s *scalar) fits(n int64) bool {
	switch width := s.width(); {
	case width == 64:
		return true
	case s.signed:
		return n>>(width-1) == 0 || n>>(width-1) == -1
	default:
		return bits.Len64(uint64(n)) <= int(width)
	}
}

// masked are the bits of n that the type has.
func (s *scalar) masked(n uint64) uint64 { return n & (^uint64(0) >> (64 - s.width())) }
