// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cdecl

import (
	"fmt"
	"strconv"
)

// Row is one place of a type.
type Row struct {
	// Name is the path of the field; empty for the whole.
	Name string `json:"name,omitempty"`
	// Type is as the API names it.
	Type string `json:"type"`
	// Offset is where it begins, in bytes. Of a bit-field it is the byte that has its first bit.
	Offset int `json:"offset"`
	// Size is in bytes; 0 for bit-fields.
	Size int `json:"size,omitempty"`
	// Bit and Bits are for bit-fields alone: the first bit in the byte at Offset, counted as in memory, and how many there
	// are.
	Bit  *int `json:"bit,omitempty"`
	Bits int  `json:"bits,omitempty"`
}

// OffsetText is the offset for people, "4:3" for a bit-field.
func (r Row) OffsetText() string {
	if r.Bit != nil {
		return fmt.Sprintf("%d:%d", r.Offset, *r.Bit)
	}
	return strconv.Itoa(r.Offset)
}

// SizeText is the size for people, "2 bits" for a bit-field.
func (r Row) SizeText() string {
	if r.Bit != nil {
		return fmt.Sprintf("%d bits", r.Bits)
	}
	return strconv.Itoa(r.Size)
}

// Table lists the places of a type, in their order: structs before their members, arrays of structs by their first
// element.
func Table(t Type) []Row {
	return t.rows(nil, "", 0)
}

func (t Type) rows(rows []Row, path string, base int) []Row {
	element := t.element()
	name := string(element.schema.Type)
	if element.isStruct() {
		name = kind(element)
	}
	rows = append(rows, Row{Name: path, Type: name + t.dimensions(), Offset: base, Size: t.Size()})
	if !element.isStruct() {
		return rows
	}
	for range t.layout.Dimensions() {
		path += "[0]"
	}
	if path != "" {
		path += "."
	}
	for _, p := range element.parts() {
		switch {
		case p.Bits > 0:
			at := 8*base + p.BitOffset
			bit := at % 8
			rows = append(rows, Row{Name: path + p.Name, Type: string(p.field.Type), Offset: at / 8, Bit: &bit, Bits: p.Bits})
		default:
			rows = p.of().rows(rows, path+p.Name, base+p.Offset)
		}
	}
	return rows
}
