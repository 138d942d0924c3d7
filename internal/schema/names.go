// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/bits"
	"regexp"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// names are those of an enum or of flags.
type names struct {
	// all are sorted by the numbers, and those of one number by name, of which the first is printed.
	all []namedNumber
	// widest are the same with masks of several bits before the bits in them.
	widest []int
	// byName are the indices of all by name.
	byName map[string]int
}

type namedNumber struct {
	name string
	// bits are those of the number that the type has.
	bits uint64
}

// MaxNames bounds the names of an enum, as the CRD does.
const MaxNames = 512

// isName is what C takes for an enumerator. Names therefore never read as numbers.
var isName = regexp.MustCompile(v1alpha1.FieldNamePattern).MatchString

// setNames takes the names of a property.
func (s *scalar) setNames(property string, declared map[string]int64, path string, most int) *Error {
	if len(declared) == 0 || len(declared) > most {
		return errorf(path+"."+property, "has %d names, from 1 to %d are possible", len(declared), most)
	}
	n := &names{byName: make(map[string]int, len(declared))}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		number := declared[name]
		at := path + "." + property + "." + name
		if name == "true" || name == "false" {
			return errorf(at, "is what YAML takes y, n, yes, no, on and off for: quote the name")
		}
		if !isName(name) || len(name) > v1alpha1.MaxFieldNameLength {
			return errorf(at, "%q is not a name in C: letters, digits and underscores, no digit first, at most %d characters", name, v1alpha1.MaxFieldNameLength)
		}
		if !s.fits(number) {
			return errorf(at, "%s", s.outOfRange(fmt.Sprint(number)))
		}
		n.all = append(n.all, namedNumber{name, s.masked(uint64(number))})
	}
	s.names = n
	slices.SortStableFunc(n.all, func(a, b namedNumber) int { return cmp.Compare(a.bits, b.bits) })
	for i := range n.all {
		n.byName[n.all[i].name] = i
		n.widest = append(n.widest, i)
	}
	slices.SortStableFunc(n.widest, func(a, b int) int {
		return bits.OnesCount64(n.all[b].bits) - bits.OnesCount64(n.all[a].bits)
	})
	return nil
}

// of is the name of a number.
func (n *names) of(bits uint64) (string, bool) {
	i, ok := slices.BinarySearchFunc(n.all, bits, func(e namedNumber, bits uint64) int { return cmp.Compare(e.bits, bits) })
	if !ok {
		return "", false
	}
	return n.all[i].name, true
}

// shownNames bounds the names in a message.
const shownNames = 20

// unknown says what there is instead of a name that there isn't.
func (n *names) unknown(word, kind string) string {
	known := make([]string, len(n.all))
	for i := range n.all {
		known[i] = n.all[i].name
	}
	hint := suggestion(word, known)
	list := strings.Join(known[:min(len(known), shownNames)], ", ")
	if more := len(known) - shownNames; more > 0 {
		list = fmt.Sprintf("%s, %d more", list, more)
	}
	return fmt.Sprintf("%q is not a name of the %s%s: must be one of %s, or a number", word, kind, hint, list)
}

// setEnum makes names of numbers the way to write and print an integer.
func (s *scalar) setEnum(declared map[string]int64, path string) *Error {
	s.encode, s.appendText, s.appendJSON = encodeEnum, appendEnumText, appendEnumJSON
	return s.setNames("enum", declared, path, MaxNames)
}

// encodeEnum takes a name, or any number that the type holds.
func encodeEnum(s *scalar, dst []byte, value literal) string {
	if text, ok := value.wordBytes(); ok {
		if i, known := s.names.byName[string(text)]; known {
			s.put(dst, s.number64(s.names.all[i].bits))
			return ""
		}
		if !isNumeric(text) {
			return s.names.unknown(string(text), "enum")
		}
	} else if isYAMLBool(value.raw) {
		return value.String() + " is not a name: quote a name that YAML takes for true or false (y, n, yes, no, on, off)"
	}
	return encodeInteger(s, dst, value)
}

// isNumeric says whether a word is meant to be a number.
func isNumeric(word []byte) bool {
	word = bytes.TrimLeft(word, "+-")
	return len(word) > 0 && '0' <= word[0] && word[0] <= '9'
}

func isYAMLBool(raw []byte) bool { return string(raw) == "true" || string(raw) == "false" }

// enumName is the name of the number in b.
func (s *scalar) enumName(b []byte) (string, bool) { return s.names.of(s.masked(s.get(b))) }

func appendEnumText(s *scalar, dst, b []byte) []byte {
	if name, ok := s.enumName(b); ok {
		return append(dst, name...)
	}
	return appendInteger(s, dst, b)
}

func appendEnumJSON(s *scalar, dst, b []byte) []byte {
	if name, ok := s.enumName(b); ok {
		return append(append(append(dst, '"'), name...), '"')
	}
	return appendIntegerJSON(s, dst, b)
}
