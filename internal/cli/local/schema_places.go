// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cdecl"
)

// mapSchema is where what lies in the elements of a map, for -o json.
type mapSchema struct {
	BPFMap string `json:"bpfMap"`
	// Name is what C and Go call the map.
	Name string           `json:"name"`
	Type v1alpha1.MapType `json:"type"`
	// Key and Value are absent of maps without.
	Key   *typePlaces `json:"key,omitempty"`
	Value *typePlaces `json:"value,omitempty"`
	// Inner is that of the maps in a map of maps.
	Inner *innerSchema `json:"inner,omitempty"`
}

type innerSchema struct {
	Type  v1alpha1.MapType `json:"type"`
	Key   *typePlaces      `json:"key,omitempty"`
	Value *typePlaces      `json:"value,omitempty"`
}

// typePlaces are the places of a key or a value: the whole first, then its members in their order.
type typePlaces struct {
	Size   int         `json:"size"`
	Places []cdecl.Row `json:"places"`
}

func placesOf(t *cdecl.Type) *typePlaces {
	if t == nil {
		return nil
	}
	return &typePlaces{t.Size(), cdecl.Table(*t)}
}

// schemaDocument is what schema prints for programs.
func schemaDocument(maps []declared, defs []*cdecl.Map) any {
	all := make([]mapSchema, len(defs))
	for i, m := range defs {
		all[i] = mapSchema{
			BPFMap: maps[i].Name(), Name: m.Name, Type: v1alpha1.MapType(m.Type.Name), Key: placesOf(m.Key), Value: placesOf(m.Value),
		}
		if m.Inner != nil {
			all[i].Inner = &innerSchema{v1alpha1.MapType(m.Inner.Type.Name), placesOf(m.Inner.Key), placesOf(m.Inner.Value)}
		}
	}
	return struct {
		Maps []mapSchema `json:"maps"`
	}{all}
}

// printTables writes the places for people.
func printTables(w io.Writer, maps []declared, defs []*cdecl.Map) error {
	for i, m := range defs {
		parts := []namedType{{"key", m.Key}, {"value", m.Value}}
		if m.Inner != nil {
			parts = append(parts, namedType{"inner key", m.Inner.Key}, namedType{"inner value", m.Inner.Value})
		}
		for _, p := range parts {
			if p.typ == nil {
				continue
			}
			if err := printTable(w, maps[i].Name()+" "+p.name, *p.typ); err != nil {
				return err
			}
		}
	}
	return nil
}

type namedType struct {
	name string
	typ  *cdecl.Type
}

func printTable(w io.Writer, title string, t cdecl.Type) error {
	if _, err := fmt.Fprintf(w, "# %s, %d bytes\n", title, t.Size()); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(tw, "OFFSET\tSIZE\tTYPE\tNAME") // Flush tells
	for _, r := range cdecl.Table(t) {
		_, _ = fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.OffsetText(), r.SizeText(), r.Type, orDash(r.Name))
	}
	return tw.Flush()
}
