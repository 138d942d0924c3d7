// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/bpfmap-io/bpfmap-operator/internal/plan"
)

// writer makes the changes of one map's contents.
type writer struct {
	*execution
	m *openMap
	c *plan.Changes
}

// writeTries bounds how often entries are written whose keys programs make and delete meanwhile.
const writeTries = 3

// errUnsettled says that keys came and went in each try.
var errUnsettled = errors.New("keys are made and deleted by others faster than they can be written")

// puts are the ways in which a map gets the entries that it lacks and those that it has with other values. A map that
// programs own nothing of is written; they may make a key at any time where they do.
func (w *writer) puts() (insert, update putter) {
	seeds := w.o.seeds()
	switch {
	case seeds && !w.c.Shape.IsIndexed():
		insert = w.add
	case w.o.mask != nil && !seeds:
		insert = func(ctx context.Context, keys, values []byte) error { return w.settle(ctx, keys, values, true) }
	default:
		insert = w.m.Write
	}
	if w.o.mask == nil {
		return insert, w.m.Write
	}
	return insert, func(ctx context.Context, keys, values []byte) error { return w.settle(ctx, keys, values, false) }
}

// add puts entries in that aren't there; others' stay as they are.
func (w *writer) add(ctx context.Context, keys, values []byte) error {
	_, err := w.m.Add(ctx, keys, values)
	return err
}

// settle adds the entries that aren't there, with first values, and stores what is declared in those that are. adds says
// what to try first: the other follows if others made or deleted a key.
func (w *writer) settle(ctx context.Context, keys, values []byte, adds bool) error {
	n := len(values) / w.o.contents.ValueSize()
	for range writeTries {
		if adds && !w.c.Shape.IsIndexed() {
			added, err := w.m.Add(ctx, keys, values)
			if err != nil || added == n {
				return err
			}
		}
		missing, err := w.store(ctx, keys, values)
		if err != nil || missing == 0 {
			return err
		}
		adds = true
	}
	return errUnsettled
}

// store stores the declared bits of elements that are there. Where nothing of a value is declared there is nothing to
// do.
func (w *writer) store(ctx context.Context, keys, values []byte) (missing int, err error) {
	if w.o.mask.Declares() == 0 {
		return 0, nil
	}
	stored, err := w.m.Store(ctx, keys, values, w.o.mask)
	w.out.way = w.out.way.Worse(stored.Way)
	return stored.Missing, err
}

// zero sets what is declared of the elements of an array with packed keys to zero.
func (w *writer) zero(ctx context.Context) error {
	put := w.m.Write
	if w.o.mask != nil {
		put = func(ctx context.Context, keys, values []byte) error {
			_, err := w.store(ctx, keys, values)
			return err
		}
	}
	to := &window{put: put}
	nothing := make([]byte, w.o.contents.ValueSize())
	for keys, size := w.c.Zero, w.o.contents.KeySize(); len(keys) > 0; keys = keys[size:] {
		if err := to.add(ctx, keys[:size], nothing); err != nil {
			return err
		}
	}
	return to.flush(ctx)
}

// all makes the changes. What is missing is added before anything is deleted, so that no reader finds neither, unless
// the map has no room for both.
func (w *writer) all(ctx context.Context) error {
	steps := []func(context.Context) error{w.put, w.delete}
	if w.p.DeleteFirst {
		steps = []func(context.Context) error{w.delete, w.put}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) put(ctx context.Context) error {
	insert, update := w.puts()
	for _, each := range []struct {
		set *plan.Set
		put putter
	}{{&w.c.Update, update}, {&w.c.Insert, insert}} {
		if err := w.write(ctx, each.put, w.c, each.set); err != nil {
			return fmt.Errorf("write entries: %w", err)
		}
	}
	if err := w.zero(ctx); err != nil {
		return fmt.Errorf("zero elements: %w", err)
	}
	return nil
}

func (w *writer) delete(ctx context.Context) error {
	for keys := w.c.Delete; len(keys) > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		size := w.o.contents.KeySize()
		n := min(len(keys), max(windowBytes/size, 1)*size)
		if err := w.m.Delete(ctx, keys[:n]); err != nil {
			return fmt.Errorf("delete entries: %w", err)
		}
		keys = keys[n:]
	}
	return nil
}
