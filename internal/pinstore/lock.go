// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"context"
	"errors"
	"os"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Lock is the right to change one map and its state, among all processes that ask for it.
type Lock struct {
	held *nodelock.Lock
	s    *Store
	key  revision.Key
}

// Lock takes the lock of a map, waiting until its holder is done or ctx ends. It is that of the map's state
// directory, which is made if it isn't there and which only its owner can open. Locks of different maps
// don't wait for each other.
func (s *Store) Lock(ctx context.Context, key revision.Key) (*Lock, error) {
	rel := state(key, "")
	held, err := nodelock.Acquire(ctx, s.lockable("map "+key.String(), rel), s.o.OnWait)
	if err != nil {
		return nil, err
	}
	return &Lock{held, s, key}, nil
}

// Unlock releases the lock, and removes the map's state directory if nothing is in it.
func (l *Lock) Unlock() error {
	l.s.removeEmpty(state(l.key, ""))
	return l.held.Unlock()
}

// lockable is a directory of our state.
func (s *Store) lockable(what, rel string) nodelock.Directory {
	return nodelock.Directory{Name: what + " (" + s.Path(rel) + ")", Open: func() (*os.File, error) {
		d, err := s.makeDirs(rel, stateDirMode)
		if err != nil {
			return nil, err
		}
		f, err := d.Open()
		return f, errors.Join(err, d.Close())
	}}
}

// withClaims runs do while nobody else writes claims: alone in this process, and with the lock of the
// directory of all state.
func (s *Store) withClaims(ctx context.Context, do func(owners *bpf.Dir) error) error {
	select {
	case s.claiming <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.claiming }()
	lock, err := nodelock.Acquire(ctx, s.lockable("the claims of all maps", stateDir), s.o.OnWait)
	if err != nil {
		return err
	}
	owners, err := s.index()
	if err != nil {
		return errors.Join(err, lock.Unlock())
	}
	return errors.Join(do(owners), owners.Close(), lock.Unlock())
}
