// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package contents

import (
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// TypingOf is how the entries of a revision are written: by its schemas, with the names of what they refer to in the
// place of the symbols that stand for them. Values are those of one CPU.
func TypingOf(r *revision.Revision) (element.Typing, error) { return typingWith(r, r.References) }

// typingWith is TypingOf with the names that some references have.
func typingWith(r *revision.Revision, references []v1alpha1.Reference) (element.Typing, error) {
	type symbol struct {
		typ    v1alpha1.ScalarType
		number uint64
	}
	names := map[symbol]string{}
	for _, l := range references {
		names[symbol{l.Type, uint64(schema.Symbol(l))}] = l.Name
	}
	name := func(typ v1alpha1.ScalarType, number uint64) (string, bool) {
		found, ok := names[symbol{typ, number}]
		return found, ok
	}
	var t element.Typing
	if r.KeySchema != nil {
		key, err := schema.New(r.KeySchema)
		if err != nil {
			return t, fmt.Errorf("lay out the key of revision %s: %w", r.Name, err)
		}
		t.Key = key.Named(name)
	}
	if r.Shape.ValueSize > 0 {
		value, err := schema.New(&r.ValueSchema)
		if err != nil {
			return t, fmt.Errorf("lay out the value of revision %s: %w", r.Name, err)
		}
		t.Value = value.WithoutProgram().Named(name)
	}
	return t, nil
}

// value appends entry i's value as text: one, or those that each CPU has of its own.
func value(dst []byte, t *element.Typing, c *revision.Contents, i int) []byte {
	if c.ValueSize == 0 {
		return dst
	}
	cpus, ok := c.PerCPU(i)
	if !ok {
		return t.Value.AppendText(dst, c.Value(i))
	}
	for cpu := range len(cpus) / c.ValueSize {
		if cpu > 0 {
			dst = append(dst, ", "...)
		}
		dst = t.Value.AppendText(fmt.Appendf(dst, "cpu%d: ", cpu), cpus[cpu*c.ValueSize:(cpu+1)*c.ValueSize])
	}
	return dst
}

// entry appends an entry as a manifest has it, in JSON.
func entry(dst []byte, t *element.Typing, c *revision.Contents, i int) []byte {
	dst = append(dst, '{')
	if t.Key != nil {
		dst = append(t.Key.AppendJSON(append(dst, `"key": `...), c.Key(i)), ", "...)
	}
	cpus, ok := c.PerCPU(i)
	if !ok {
		return append(t.Value.AppendJSON(append(dst, `"value": `...), c.Value(i)), '}')
	}
	return append(perCPU(append(dst, `"values": `...), t.Value, cpus, c.ValueSize), '}')
}

// perCPU appends the list of CPUs' values.
func perCPU(dst []byte, codec element.Codec, cpus []byte, size int) []byte {
	dst = append(dst, '[')
	for cpu := range len(cpus) / size {
		if cpu > 0 {
			dst = append(dst, ", "...)
		}
		dst = codec.AppendJSON(dst, cpus[cpu*size:(cpu+1)*size])
	}
	return append(dst, ']')
}
