// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package element

import (
	"encoding/hex"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// Codec writes keys or values of one size as text. A *schema.Layout is one, and so is Bytes.
type Codec interface {
	// Size is the number of bytes of a key or value.
	Size() int
	// AppendText appends a compact form for people.
	AppendText(dst, b []byte) []byte
	// AppendJSON appends the form that a manifest takes.
	AppendJSON(dst, b []byte) []byte
}

// Typing says how a map's elements are written.
type Typing struct {
	// Key is nil for types without keys.
	Key Codec
	// Value is that of one value; of one CPU's value in per-CPU maps.
	Value Codec
	// CPUs is how many values an element has; 0 for types that are not per CPU.
	CPUs int
}

// Untyped is the same sizes in hex.
func (t Typing) Untyped() Typing {
	u := Typing{Value: Bytes(t.Value.Size()), CPUs: t.CPUs}
	if t.Key != nil {
		u.Key = Bytes(t.Key.Size())
	}
	return u
}

// cpuValues are the values of an element, see schema.CPUValues.
func (t Typing) cpuValues(value []byte) (values [][]byte, same bool) {
	return schema.CPUValues(value, t.Value.Size(), t.CPUs)
}

// AppendValueText appends an element's value in a compact form for people: one value, or those of all
// CPUs as the kernel gives them.
func (t Typing) AppendValueText(dst, value []byte) []byte {
	return schema.AppendCPUs(dst, value, t.Value.Size(), t.CPUs, t.Value.AppendText)
}

// AppendDifference appends in one line which fields of two values of an element differ.
func (t Typing) AppendDifference(dst, from, to []byte) []byte {
	return schema.AppendCPUDifference(dst, from, to, t.Value.Size(), t.CPUs, func(dst, from, to []byte) []byte {
		if l, ok := t.Value.(differencer); ok {
			return l.AppendDifference(dst, from, to)
		}
		return t.Value.AppendText(append(t.Value.AppendText(dst, from), " → "...), to)
	})
}

// differencer is a codec that knows fields.
type differencer interface {
	AppendDifference(dst, from, to []byte) []byte
}

// AppendEntry appends an element as a manifest has it, in JSON, which is YAML's flow style as well. An
// element of a per-CPU map has one value if all CPUs have the same.
func (t Typing) AppendEntry(dst, key, value []byte) []byte {
	dst = append(dst, '{')
	if t.Key != nil {
		dst = append(t.Key.AppendJSON(append(dst, `"key": `...), key), ", "...)
	}
	if _, same := t.cpuValues(value); same {
		return append(t.AppendValueJSON(append(dst, `"value": `...), value), '}')
	}
	return append(t.AppendValueJSON(append(dst, `"values": `...), value), '}')
}

// AppendValueJSON appends an element's value as a manifest has it; of a per-CPU map a list of all CPUs' values, unless
// they are the same.
func (t Typing) AppendValueJSON(dst, value []byte) []byte {
	values, same := t.cpuValues(value)
	if same {
		return t.Value.AppendJSON(dst, values[0])
	}
	dst = append(dst, '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = t.Value.AppendJSON(dst, v)
	}
	return append(dst, ']')
}

// Bytes is the codec of a number of bytes of which nothing is known: hex, as "0a 00" for people and as
// "0a00" in manifests, where the type is hex.
type Bytes int

// Size is the number of bytes.
func (n Bytes) Size() int { return int(n) }

// AppendText appends "0a 00".
func (n Bytes) AppendText(dst, b []byte) []byte { return fmt.Appendf(dst, "% x", b) }

// AppendJSON appends "0a00" in quotes.
func (n Bytes) AppendJSON(dst, b []byte) []byte {
	return append(hex.AppendEncode(append(dst, '"'), b), '"')
}
