// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// scalar is one scalar type. encode returns what is wrong with a value, or "".
type scalar struct {
	typ         v1alpha1.ScalarType
	size, align int
	// sized types take their size from the schema.
	sized  bool
	signed bool
	order  binary.ByteOrder
	// bits is the width of a bit-field, 0 for anything else.
	bits int
	// names are those of an enum or of flags, with the numbers that they stand for.
	names *names
	// unit is what durations and times count.
	unit v1alpha1.TimeUnit
	// placement is where an address of both families has IPv4.
	placement v1alpha1.IPv4Placement
	// length is the integer in front of a counted string, and room how many bytes there are for its text.
	length *scalar
	room   int
	// linked types are names that nodes resolve; collect takes them, and name is their inverse.
	linked bool
	// prefix is there for what lookups match by prefix. The bytes are then those of the whole key.
	prefix  *prefix
	collect func(v1alpha1.Reference)
	name    func(v1alpha1.ScalarType, uint64) (string, bool)
	encode  func(s *scalar, dst []byte, value literal) string
	// appendText and appendJSON are the inverse, for people and for tools.
	appendText func(s *scalar, dst, b []byte) []byte
	appendJSON func(s *scalar, dst, b []byte) []byte
	// exact says whether encode makes b of what appendJSON prints for it. Where it is nil, that is tried.
	exact func(s *scalar, b []byte) bool
}

// scalars is the table of all types. Sizes and alignments are those of the C types that programs
// use: __u8…__be64, __int128, float and double, struct in6_addr (four bytes aligned), unsigned char[6],
// struct bpf_lpm_trie_key.
var scalars = map[v1alpha1.ScalarType]scalar{
	v1alpha1.TypeU8:   integer(v1alpha1.TypeU8, 1, false, binary.NativeEndian),
	v1alpha1.TypeU16:  integer(v1alpha1.TypeU16, 2, false, binary.NativeEndian),
	v1alpha1.TypeU32:  integer(v1alpha1.TypeU32, 4, false, binary.NativeEndian),
	v1alpha1.TypeU64:  integer(v1alpha1.TypeU64, 8, false, binary.NativeEndian),
	v1alpha1.TypeI8:   integer(v1alpha1.TypeI8, 1, true, binary.NativeEndian),
	v1alpha1.TypeI16:  integer(v1alpha1.TypeI16, 2, true, binary.NativeEndian),
	v1alpha1.TypeI32:  integer(v1alpha1.TypeI32, 4, true, binary.NativeEndian),
	v1alpha1.TypeI64:  integer(v1alpha1.TypeI64, 8, true, binary.NativeEndian),
	v1alpha1.TypeBE16: integer(v1alpha1.TypeBE16, 2, false, binary.BigEndian),
	v1alpha1.TypeBE32: integer(v1alpha1.TypeBE32, 4, false, binary.BigEndian),
	v1alpha1.TypeBE64: integer(v1alpha1.TypeBE64, 8, false, binary.BigEndian),
	v1alpha1.TypeU128: int128(v1alpha1.TypeU128, false),
	v1alpha1.TypeI128: int128(v1alpha1.TypeI128, true),
	v1alpha1.TypeF32:  float(v1alpha1.TypeF32, 4),
	v1alpha1.TypeF64:  float(v1alpha1.TypeF64, 8),
	v1alpha1.TypeBool: {
		typ: v1alpha1.TypeBool, size: 1, align: 1,
		encode: encodeBool, appendText: appendBool, appendJSON: appendBool, exact: exactBool,
	},
	v1alpha1.TypeIPv4:       exactly(quoted(v1alpha1.TypeIPv4, 4, 4, encodeIP, appendIP), always),
	v1alpha1.TypeIPv4Host:   exactly(quoted(v1alpha1.TypeIPv4Host, 4, 4, encodeIP, appendIP), always),
	v1alpha1.TypeIPv6:       exactly(quoted(v1alpha1.TypeIPv6, 16, 4, encodeIP, appendIP), always),
	v1alpha1.TypeIP:         exactly(quoted(v1alpha1.TypeIP, 16, 4, encodeIP, appendIP), always),
	v1alpha1.TypeMAC:        exactly(quoted(v1alpha1.TypeMAC, 6, 1, encodeMAC, appendMAC), always),
	v1alpha1.TypeIPv4Prefix: exactly(quoted(v1alpha1.TypeIPv4Prefix, 8, 4, encodePrefix, appendPrefix), exactPrefix),
	v1alpha1.TypeIPv6Prefix: exactly(quoted(v1alpha1.TypeIPv6Prefix, 20, 4, encodePrefix, appendPrefix), exactPrefix),
	v1alpha1.TypeIPPrefix:   exactly(quoted(v1alpha1.TypeIPPrefix, 20, 4, encodePrefix, appendPrefix), exactPrefix),
	v1alpha1.TypeString: {
		typ: v1alpha1.TypeString, align: 1, sized: true,
		encode: encodeString, appendText: appendStringText, appendJSON: appendStringJSON, exact: exactString,
	},
	v1alpha1.TypeCountedString: {
		typ: v1alpha1.TypeCountedString, align: 1, sized: true,
		encode: encodeCounted, appendText: appendCountedText, appendJSON: appendCountedJSON, exact: exactCounted,
	},
	v1alpha1.TypeDNSName: {
		typ: v1alpha1.TypeDNSName, align: 1, sized: true,
		encode: encodeDNSName, appendText: appendDNSNameText, appendJSON: appendDNSNameJSON, exact: exactDNSName,
	},
	v1alpha1.TypeIfindex:  linked(v1alpha1.TypeIfindex, 4),
	v1alpha1.TypeMapRef:   linked(v1alpha1.TypeMapRef, 4),
	v1alpha1.TypeProgPin:  linked(v1alpha1.TypeProgPin, 4),
	v1alpha1.TypeCgroup:   linked(v1alpha1.TypeCgroup, 4),
	v1alpha1.TypeCgroupID: linked(v1alpha1.TypeCgroupID, 8),
	v1alpha1.TypeSpinLock: {
		typ: v1alpha1.TypeSpinLock, size: 4, align: 4, order: binary.NativeEndian,
		encode: encodeSpinLock, appendText: appendInteger, appendJSON: appendIntegerJSON,
	},
	v1alpha1.TypeBytes: exactly(sizedQuoted(v1alpha1.TypeBytes, encodeBytes, appendBytes), always),
	v1alpha1.TypeHex:   exactly(sizedQuoted(v1alpha1.TypeHex, encodeHex, appendHex), always),
}

// scalarOf is the scalar that a schema declares, with what the schema says about its values.
func scalarOf(s *v1alpha1.Schema, path string) (*scalar, *Error) {
	sc, ok := scalars[s.Type]
	switch s.Type {
	case v1alpha1.TypeTimer, v1alpha1.TypeWorkqueue, v1alpha1.TypeKptr:
		return nil, errorf(path+".type", "%s belongs to the kernel, and only the program that sets it up can keep it: let that program's loader create the map", s.Type)
	}
	if !ok {
		return nil, errorf(path+".type", "%s", unknownType(s.Type))
	}
	if s.Packed {
		return nil, errorf(path+".packed", "only a struct can be packed")
	}
	if s.Type == v1alpha1.TypeBE16 && s.Size == indexSize {
		index := networkIndex()
		return &index, nil
	}
	if sc.sized {
		if s.Size < 1 || s.Size > MaxSize {
			return nil, errorf(path+".size", "%s needs a size from 1 to %d, not %d", s.Type, MaxSize, s.Size)
		}
		sc.size = int(s.Size)
	} else if s.Size != 0 && int(s.Size) != sc.size {
		return nil, errorf(path+".size", "%s is %d bytes long, size says %d", s.Type, sc.size, s.Size)
	}
	if err := sc.setProperties(s, path); err != nil {
		return nil, err
	}
	return &sc, nil
}

func integer(typ v1alpha1.ScalarType, size int, signed bool, order binary.ByteOrder) scalar {
	return scalar{
		typ: typ, size: size, align: size, signed: signed, order: order,
		encode: encodeInteger, appendText: appendInteger, appendJSON: appendIntegerJSON, exact: always,
	}
}

// quoted is a type whose JSON is its text in quotes.
func quoted(typ v1alpha1.ScalarType, size, align int,
	encode func(*scalar, []byte, literal) string, text func(*scalar, []byte, []byte) []byte) scalar {
	return scalar{typ: typ, size: size, align: align, encode: encode, appendText: text,
		appendJSON: func(s *scalar, dst, b []byte) []byte {
			return append(text(s, append(dst, '"'), b), '"')
		}}
}

func sizedQuoted(typ v1alpha1.ScalarType,
	encode func(*scalar, []byte, literal) string, text func(*scalar, []byte, []byte) []byte) scalar {
	s := quoted(typ, 0, 1, encode, text)
	s.sized = true
	return s
}

// exactly is s with the bytes that it can hold.
func exactly(s scalar, holds func(*scalar, []byte) bool) scalar {
	s.exact = holds
	return s
}

func always(*scalar, []byte) bool { return true }

func exactBool(_ *scalar, b []byte) bool { return b[0] <= 1 }

func exactString(_ *scalar, b []byte) bool {
	text, rest, _ := bytes.Cut(b, []byte{0})
	return utf8.Valid(text) && isZero(rest)
}
