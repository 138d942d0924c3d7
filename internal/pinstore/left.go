// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
)

// Maps that were made here and stay when they are given up count for their namespace's limit. Nobody else remembers
// them, so they are noted as symbolic links in a directory of their own: named by the map's id, with its pin's path as
// text. A note is true as long as the map is at the pin.

// pruneLeft is after how many notes those that aren't true any more are removed.
const pruneLeft = 64

// noteLeft notes the map of a record that is about to be forgotten, if it was made here and is still at its pin in the
// namespace's own directory.
func (s *Store) noteLeft(r *ownership.Record) error {
	if r == nil || r.Origin.IsAdopted() || !r.Key.IsOwn(r.Pin.Path) {
		return nil
	}
	if isThere, err := s.isAt(r.Pin.Path, r.MapID); err != nil || !isThere {
		return err
	}
	left, err := s.makeDirs(leftDir, stateDirMode)
	if err != nil {
		return err
	}
	defer left.Close() // a symbolic link is there once it is made
	if names, err := left.Names(); err != nil {
		return err
	} else if n := len(names); n > 0 && n%pruneLeft == 0 {
		s.prune(left, names)
	}
	return s.step("note what is left", func() error { return setLink(left, mapClaim(r.MapID), r.Pin.Path) })
}

// isAt says whether a map is at a pin.
func (s *Store) isAt(rel string, id uint32) (isThere bool, err error) {
	err = s.in(rel, func(d *bpf.Dir, name string) error {
		found, err := look(d, name, []uint32{id})
		isThere = found.id == id && !found.isForeign
		return err
	})
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrOccupied) {
		return false, nil
	}
	return isThere && id != 0, err
}

// tidyLeft removes notes that aren't true any more, if there are few, and their directory with the last one. What it
// can't remove, the next one looks at again.
func (s *Store) tidyLeft() {
	_ = s.in(leftDir, func(above *bpf.Dir, name string) error {
		left, err := above.Dir(name)
		if err != nil {
			return err
		}
		names, err := left.Names()
		if err == nil && len(names) <= pruneLeft {
			s.prune(left, names)
		}
		return errors.Join(err, left.Close(), above.Remove(name))
	})
}

// prune removes the notes of maps that aren't at their pins any more, as far as that can be told.
func (s *Store) prune(left *bpf.Dir, names []string) {
	for _, name := range names {
		rel, err := readClaim(left, name)
		if err != nil {
			continue
		}
		if isThere, err := s.isAt(rel, idOf(name)); err == nil && !isThere {
			_ = removeIfThere(left, name) // the next one removes it
		}
	}
}

// idOf is the map that a note is about, 0 for none.
func idOf(name string) uint32 {
	id, err := strconv.ParseUint(strings.TrimPrefix(name, prefixMapClaim), 10, 32)
	if err != nil {
		return 0
	}
	return uint32(id)
}

// Left are the ids of the maps that were made here, were given up, and are still at their pins, as far as the notes
// tell: a map that is gone, or managed again, may be among them.
func (s *Store) Left() (map[uint32]bool, error) {
	names, err := s.list(leftDir)
	if err != nil {
		return nil, fmt.Errorf("list the maps that were left: %w", err)
	}
	ids := map[uint32]bool{}
	for _, name := range names {
		ids[idOf(name)] = true
	}
	return ids, nil
}
