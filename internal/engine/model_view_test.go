// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
)

// newView looks into a map and closes it.
func (r *rig) newView(ctx context.Context, m engine.Map) (v *view, err error) {
	if m == nil {
		return nil, nil
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	info, err := m.Info(ctx)
	if err != nil {
		return nil, err
	}
	v = &view{MapInfo: info}
	switch {
	case info.Shape.IsBloom():
		err = v.ask(ctx, m)
	case info.Shape.IsHidden():
		v.elements = r.peek(m)
	default:
		err = v.read(ctx, m)
	}
	return v, err
}

// ask asks a filter for every value that there is in the model.
func (v *view) ask(ctx context.Context, m engine.Map) error {
	v.elements = map[string]string{}
	shape := modelShapeOf(v.Shape)
	for k := range modelIndexes {
		for b := byte(1); b <= 3; b++ {
			value := shape.value(k, b, 0, 1)
			holds, err := m.Contains(ctx, value)
			if err != nil {
				return err
			}
			if holds {
				v.elements[string(value)] = string(value)
			}
		}
	}
	return nil
}

func (v *view) read(ctx context.Context, m engine.Map) error {
	v.elements = map[string]string{}
	size := int(v.Shape.KeySize)
	complete, err := m.Read(ctx, func(keys, values []byte) {
		stride := len(values) / (len(keys) / size)
		for i := range len(keys) / size {
			key, value := slices.Clone(keys[i*size:(i+1)*size]), values[i*stride:(i+1)*stride]
			if !v.Shape.IsArray() || len(bytes.Trim(value, "\x00")) > 0 {
				v.elements[string(v.Shape.Canonical(key))] = string(value)
			}
		}
	})
	if err == nil && !complete {
		err = errors.New("nobody else is here, and still the reading is incomplete")
	}
	return err
}
