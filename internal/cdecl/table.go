// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cdecl

import "fmt"

// Row is one place of a type.
type Row struct {
	// Offset and Size are in bytes, "4:3" and "2 bits" for bit-fields.
	Offset, Size string
	// Type is as the API names it, Name the path of the field; empty for the whole.
	Type, Name string
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
	rows = append(rows, Row{fmt.Sprint(base), fmt.Sprint(t.Size()), name + t.dimensions(), path})
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
			bit := 8*base + p.BitOffset
			rows = append(rows, Row{fmt.Sprintf("%d:%d", bit/8, bit%8), fmt.Sprintf("%d bits", p.Bits), string(p.field.Type), path + p.Name})
		default:
			rows = p.of().rows(rows, path+p.Name, base+p.Offset)
		}
	}
	return rows
}
