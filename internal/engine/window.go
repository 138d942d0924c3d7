// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"

	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
)

// windowBytes is how many bytes of keys and values are in memory at once to be written, unless one element
// alone has more.
const windowBytes = 1 << 20

// putter writes packed elements, as Map.Write does.
type putter func(ctx context.Context, keys, values []byte) error

// window gathers elements and writes them when it is full. Between two windows the context is checked.
type window struct {
	put          putter
	keys, values []byte
	count        int
}

// room makes room for an element of this many bytes.
func (w *window) room(ctx context.Context, bytes int) error {
	if w.count > 0 && len(w.keys)+len(w.values)+bytes > windowBytes {
		return w.flush(ctx)
	}
	return nil
}

// add takes an element that is elsewhere in memory.
func (w *window) add(ctx context.Context, key, value []byte) error {
	if err := w.room(ctx, len(key)+len(value)); err != nil {
		return err
	}
	w.keys, w.values = append(w.keys, key...), append(w.values, value...)
	w.count++
	return nil
}

// flush writes what is there.
func (w *window) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil || w.count == 0 {
		return err
	}
	keys := w.keys
	if len(keys) == 0 {
		keys = nil // keyless
	}
	err := w.put(ctx, keys, w.values)
	w.keys, w.values, w.count = w.keys[:0], w.values[:0], 0
	return err
}

// write writes a set of entries: into a trie in the order of their keys, by which it is filled
// several times as fast, else in that of their indexes.
func (x *execution) write(ctx context.Context, put putter, c *plan.Changes, set *plan.Set) error {
	if set.Len() == 0 {
		return nil
	}
	all := x.o.contents
	each := all.KeySize() + all.ValueSize()
	room := min(windowBytes/max(each, 1)+1, set.Len())
	w := &window{put: put, keys: make([]byte, 0, room*all.KeySize()), values: make([]byte, 0, room*all.ValueSize())}
	entries := set.All()
	if c.Shape.IsLPM() {
		entries = c.Ordered(set)
	}
	for i := range entries {
		if err := w.room(ctx, each); err != nil {
			return err
		}
		w.keys, w.values = append(w.keys, all.Key(i)...), all.appendWrite(w.values, i)
		w.count++
	}
	return w.flush(ctx)
}
