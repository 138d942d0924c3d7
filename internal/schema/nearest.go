// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// nearest is the known word that a misspelled one was most likely meant to be; empty if none is near.
func nearest(word string, known []string) string {
	best, distance := "", max(len(word)/3, 1)+1
	if len(word) < 2 { // of which any other letter is near
		return ""
	}
	for _, k := range known {
		if d := edits(strings.ToLower(word), strings.ToLower(k), distance); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return abbreviated(word, known)
	}
	return best
}

// abbreviated is the known word that begins with this one; of several, the one with which the others begin, too. It is empty
// if there is none, or the word is too short to say.
func abbreviated(word string, known []string) (long string) {
	const least = 3
	if len(word) < least {
		return ""
	}
	for _, k := range known {
		switch {
		case !strings.HasPrefix(strings.ToLower(k), strings.ToLower(word)), long != "" && strings.HasPrefix(k, long):
		case long == "" || strings.HasPrefix(long, k):
			long = k
		default:
			return ""
		}
	}
	return long
}

// edits is how many characters have to be put in, taken out, replaced or swapped with their neighbour to
// make b of a; most if it is as many or more.
func edits(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most {
		return most
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replaced := last[j-1]
			if a[i-1] != b[j-1] {
				replaced++
			}
			row[j] = min(replaced, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return min(last[len(b)], most)
}

// suggestion is " (did you mean …?)", or nothing.
func suggestion(word string, known []string) string {
	if near := nearest(word, known); near != "" {
		return fmt.Sprintf(" (did you mean %s?)", near)
	}
	return ""
}

// Suggest is " (did you mean …?)" with the known word that is nearest to a misspelt one, or nothing if none is near.
func Suggest(word string, known []string) string { return suggestion(word, known) }

// Types are the scalar types that a schema may have, sorted.
func Types() []v1alpha1.ScalarType {
	types := append(slices.Collect(maps.Keys(scalars)), v1alpha1.TypePadding)
	slices.Sort(types)
	return slices.Compact(types)
}

// otherNames are what C, Go and other tools call our types.
var otherNames = map[string]v1alpha1.ScalarType{
	"char": v1alpha1.TypeString, "int": v1alpha1.TypeI32, "uint": v1alpha1.TypeU32, "float": v1alpha1.TypeF32,
	"double": v1alpha1.TypeF64, "cidr": v1alpha1.TypeIPv4Prefix, "in6_addr": v1alpha1.TypeIPv6,
	"s8": v1alpha1.TypeI8, "s16": v1alpha1.TypeI16, "s32": v1alpha1.TypeI32, "s64": v1alpha1.TypeI64,
	"int8": v1alpha1.TypeI8, "int16": v1alpha1.TypeI16, "int32": v1alpha1.TypeI32, "int64": v1alpha1.TypeI64,
	"uint8": v1alpha1.TypeU8, "uint16": v1alpha1.TypeU16, "uint32": v1alpha1.TypeU32, "uint64": v1alpha1.TypeU64,
	"int128": v1alpha1.TypeI128, "uint128": v1alpha1.TypeU128, "float32": v1alpha1.TypeF32, "float64": v1alpha1.TypeF64,
	"short": v1alpha1.TypeI16, "long": v1alpha1.TypeI64, "byte": v1alpha1.TypeU8, "prefix": v1alpha1.TypeIPv4Prefix,
}

// unknownType says what there is instead of a type that there isn't.
func unknownType(t v1alpha1.ScalarType) string {
	types := Types()
	names := make([]string, len(types))
	for i, known := range types {
		names[i] = string(known)
	}
	word := strings.TrimSuffix(strings.TrimLeft(string(t), "_"), "_t")
	hint := suggestion(word, names)
	if meant, ok := otherNames[strings.ToLower(word)]; ok {
		hint = fmt.Sprintf(" (did you mean %s?)", meant)
	}
	return fmt.Sprintf("unknown type %q%s, must be one of %s", t, hint, strings.Join(names, ", "))
}
