// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"encoding/json"

	"github.com/bpfmap-io/bpfmap-operator/internal/cli/element"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// formatters write the keys and values of a plan by the manifest's schema.
type formatters struct {
	key    plan.Formatter // nil for types without keys
	value  plan.Formatter
	typing element.Typing
}

func formattersOf(d declared, p *plan.Plan) (*formatters, error) {
	f := &formatters{}
	if d.rev.Shape.ValueSize > 0 {
		value, err := schema.New(&d.rev.ValueSchema)
		if err != nil {
			return nil, err
		}
		f.typing.Value = value
		if size := p.Changes.ValueSize(); d.rev.Shape.IsPerCPU() && size > 0 {
			f.typing.CPUs = size / maptype.Slot(value.Size())
		}
	}
	if d.rev.KeySchema != nil {
		key, err := schema.New(d.rev.KeySchema)
		if err != nil {
			return nil, err
		}
		f.key, f.typing.Key = key, key
	}
	f.value = valueText{f.typing}
	return f, nil
}

func (f *formatters) keyJSON(key []byte) json.RawMessage {
	if key == nil || f.typing.Key == nil {
		return nil
	}
	return f.typing.Key.AppendJSON(nil, key)
}

func (f *formatters) valueJSON(value []byte) json.RawMessage {
	if value == nil || f.typing.Value == nil {
		return nil
	}
	return f.typing.AppendValueJSON(nil, value)
}

// valueText prints the values of a plan, which are as the kernel takes them.
type valueText struct{ typing element.Typing }

// Format is one value, or those of all CPUs.
func (v valueText) Format(b []byte) string { return string(v.typing.AppendValueText(nil, b)) }

// FormatDeclared is Format without the fields that programs own.
func (v valueText) FormatDeclared(b []byte) string {
	bare := v.typing
	if l, ok := bare.Value.(*schema.Layout); ok {
		bare.Value = l.WithoutProgram()
	}
	return string(bare.AppendValueText(nil, b))
}

// Difference is which fields differ.
func (v valueText) Difference(from, to []byte) string {
	return string(v.typing.AppendDifference(nil, from, to))
}
