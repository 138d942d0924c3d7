// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"strconv"

	"github.com/bpfmap-io/bpfmap-operator/internal/rawjson"
)

// maxFlags bounds the names of flags, as the CRD does.
const maxFlags = 128

// setFlags makes names of bits the way to write and print an integer.
func (s *scalar) setFlags(declared map[string]int64, path string) *Error {
	s.encode, s.appendText, s.appendJSON = encodeFlags, appendFlagsText, appendFlagsJSON
	return s.setNames("flags", declared, path, maxFlags)
}

// encodeFlags takes a list of names and numbers, one of either, or names and numbers with | between them.
func encodeFlags(s *scalar, dst []byte, value literal) string {
	list, ok := value.list()
	if !ok {
		bits, msg := s.flag(value)
		if msg == "" {
			s.put(dst, s.number64(s.masked(bits)))
		}
		return msg
	}
	var all uint64
	for w := rawjson.Walk(list); ; {
		element, ok := w.Element()
		if !ok {
			s.put(dst, s.number64(s.masked(all)))
			return ""
		}
		bits, msg := s.flag(literal{raw: element})
		if msg != "" {
			return msg
		}
		all |= bits
	}
}

// flag is the bits of one name or number, or of several with | between them. A text without any is 0.
func (s *scalar) flag(value literal) (uint64, string) {
	text, ok := value.wordBytes()
	if !ok {
		if !rawjson.IsNumber(value.raw) {
			return 0, value.String() + " is neither a list of flags nor a number"
		}
		return s.integerOf(value)
	}
	var all uint64
	for rest, more := text, len(bytes.Trim(text, blanks)) > 0; more; {
		var word []byte
		word, rest, more = bytes.Cut(rest, []byte("|"))
		word = bytes.Trim(word, blanks)
		if i, known := s.names.byName[string(word)]; known {
			all |= s.names.all[i].bits
			continue
		}
		if !isNumeric(word) {
			return 0, s.names.unknown(string(word), "flags")
		}
		bits, msg := s.parseBytes(word)
		if msg != "" {
			return 0, msg
		}
		all |= bits
	}
	return all, ""
}

// flagsOf are the names whose bits are in b, in the order of the bits, and the bits without a name. Masks
// go before the bits in them.
func (s *scalar) flagsOf(b []byte) (set [maxFlags]bool, rest uint64) {
	all := s.masked(s.get(b))
	rest = all
	for _, i := range s.names.widest {
		flag := s.names.all[i].bits
		if flag&all == flag && (flag&rest != 0 || flag == 0 && all == 0 && !set[0]) {
			set[i] = true
			rest &^= flag
		}
	}
	return set, rest
}

func appendFlagsText(s *scalar, dst, b []byte) []byte {
	set, rest := s.flagsOf(b)
	start := len(dst)
	for i := range s.names.all {
		if !set[i] {
			continue
		}
		if len(dst) > start {
			dst = append(dst, '|')
		}
		dst = append(dst, s.names.all[i].name...)
	}
	switch {
	case len(dst) == start:
		return strconv.AppendUint(dst, rest, 10)
	case rest == 0:
		return dst
	case s.signed:
		return s.appendBits(append(dst, '|'), rest)
	}
	return strconv.AppendUint(append(dst, "|0x"...), rest, 16)
}

// appendFlagsJSON is a list of names, and one number for the bits without a name.
func appendFlagsJSON(s *scalar, dst, b []byte) []byte {
	set, rest := s.flagsOf(b)
	dst = append(dst, '[')
	start := len(dst)
	for i := range s.names.all {
		if !set[i] {
			continue
		}
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, '"'), s.names.all[i].name...), '"')
	}
	if rest != 0 {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = s.appendBits(dst, rest)
	}
	return append(dst, ']')
}

// appendBits is a number with those bits, as encodeInteger takes it.
func (s *scalar) appendBits(dst []byte, bits uint64) []byte {
	var room [8]byte
	s.put(room[:s.size], s.number64(bits))
	return appendIntegerJSON(s, dst, room[:s.size])
}
