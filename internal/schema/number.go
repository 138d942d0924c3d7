// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// hasNumbers says whether programs give numbers of a linked type a meaning of their own, such as 0 for any
// interface, or the largest id for no cgroup.
func hasNumbers(t v1alpha1.ScalarType) bool {
	return t == v1alpha1.TypeIfindex || t == v1alpha1.TypeCgroupID
}

// LinkNumber is the number that a reference is written as on every node, if it is one of a number and not of a
// name.
func LinkNumber(r v1alpha1.Reference) (uint64, bool) {
	if !hasNumbers(r.Type) || !isDigits(r.Name) {
		return 0, false
	}
	n, err := strconv.ParseUint(r.Name, 10, 8*scalars[r.Type].size)
	return n, err == nil
}

func isDigits[T string | []byte](name T) bool {
	for i := range len(name) {
		if name[i] < '0' || name[i] > '9' {
			return false
		}
	}
	return len(name) > 0
}

// takesNumber says whether a value is a number for the type, and no name: a JSON number, or a text of digits.
func (s *scalar) takesNumber(value literal) bool {
	if s.collect != nil && !hasNumbers(s.typ) {
		return false
	}
	text, ok := value.wordBytes()
	return ok && isDigits(text) || !ok && rawjson.IsNumber(value.raw)
}

// encodeLinkNumber writes a number: as it is without a collector, and else the symbol of its digits. 0 is the
// symbol of itself, and needs no reference.
func encodeLinkNumber(s *scalar, dst []byte, value literal) string {
	n, msg := s.integerOf(value)
	switch {
	case msg != "":
		return msg
	case s.collect == nil || n == 0:
		s.put(dst, n)
	default:
		s.link(dst, strconv.FormatUint(n, 10))
	}
	return ""
}
