// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// ErrIncomplete says that a map changed so fast that a reading may have missed elements or repeated some.
var ErrIncomplete = errors.New("the map changed while it was read")

// ReadMap streams the elements of a managed map, if it has the type and the sizes of want; locked reads values under
// their spin locks. It opens the map by our own pin, reads, and changes nothing: it neither takes the map's lock
// nor waits for who holds it. The error is engine.ErrAbsent if the map isn't there, and ErrIncomplete if elements may
// have been missed or repeated.
func (b *Backend) ReadMap(ctx context.Context, key revision.Key, want revision.Shape, locked bool, yield func(keys, values []byte)) (err error) {
	m, err := b.pins.KeepAlive(key)
	switch {
	case err != nil:
		return explain(err)
	case m == nil:
		return engine.ErrAbsent
	}
	o := newOpenMap(m)
	defer func() { err = errors.Join(err, o.Close()) }()
	info, err := m.Info()
	if err != nil {
		return explain(err)
	}
	if have := shapeOf(info); have.Type != want.Type || have.KeySize != want.KeySize || have.ValueSize != want.ValueSize {
		return fmt.Errorf("the kernel has a %s with keys of %d bytes and values of %d, not a %s with %d and %d",
			have.Type, have.KeySize, have.ValueSize, want.Type, want.KeySize, want.ValueSize)
	}
	reader := engine.Map(o)
	if locked {
		reader = o.Locked()
	}
	complete, err := reader.Read(ctx, yield)
	if err == nil && !complete {
		err = ErrIncomplete
	}
	return err
}
