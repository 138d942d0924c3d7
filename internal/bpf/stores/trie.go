// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package stores

import (
	"context"
	"errors"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// checkEvery is after how many prefixes a context is looked at.
const checkEvery = 32

// prefixes stores into a trie, one prefix after the other. A look-up, also that of a program, finds the
// longest prefix around a key: if somebody deletes the key meanwhile, it finds another element. So it is
// looked for the key itself before and after, the program stores only where it finds the bits that were
// there before, and what it stored into another element is taken back. What remains is a key that is
// deleted and added again between two looks.
func (w *Writer) prefixes(ctx context.Context, keys, values []byte) (missing int, err error) {
	t := trie{
		Writer: w, found: make([]byte, w.m.ValueSize()), buffer: make([]byte, 2*w.m.KeySize()),
		stored: make([]bool, len(w.arena.programs)),
	}
	key, size := w.m.KeySize(), w.m.ValueSize()
	for i := range len(keys) / key {
		if err := ctx.Err(); err != nil && i%checkEvery == 0 {
			return missing, w.fail(err)
		}
		there, err := t.put(keys[i*key:(i+1)*key], values[i*size:(i+1)*size])
		if err != nil {
			return missing, err
		}
		if !there {
			missing++
		}
	}
	return missing, nil
}

// trie is a Writer's work on one.
type trie struct {
	*Writer
	found, buffer []byte
	// stored says of each program whether it stored anything in the last pass.
	stored []bool
}

// put stores the bits of one element. there says that its key was there all the time.
func (t *trie) put(key, value []byte) (there bool, err error) {
	clear(t.stored)
	for range maxPasses {
		if there, err := t.m.HasPrefix(key, t.buffer); err != nil || !there {
			return false, errors.Join(err, t.takeBack(key, value))
		}
		if err := t.m.LookupElem(key, t.found); errors.Is(err, bpf.ErrNotExist) {
			continue // so that it isn't there any more
		} else if err != nil {
			return false, err
		}
		done := true
		for i := range t.arena.programs {
			c, err := t.swap(i, key, value, t.found)
			if err != nil {
				return false, err
			}
			t.stored[i] = c[cStored] > 0
			done = done && !t.stored[i] && c[cOther] == 0 && c[cMissing] == 0
		}
		if done {
			return true, nil
		}
	}
	return false, &bpf.Error{Op: op, Map: t.m.Type().String(), Kind: bpf.ErrBusy, Err: errPutBack}
}

// takeBack undoes the last pass.
func (t *trie) takeBack(key, value []byte) error {
	for i, stored := range t.stored {
		if stored {
			if _, err := t.swap(i, key, t.found, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// swap lets a program store its part of value where that of expected is.
func (t *trie) swap(i int, key, value, expected []byte) (counters, error) {
	p := &t.arena.programs[i]
	t.arena.put(p, 0, key, value)
	copy(t.arena.buffer[p.keyBytes()+p.valueBytes():], expected[p.from:p.to])
	if err := t.arena.send(p.recordBytes()); err != nil {
		return counters{}, err
	}
	c, err := t.arena.run(p, 1)
	if err != nil {
		return c, t.fail(err)
	}
	return c, nil
}
