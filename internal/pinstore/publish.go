// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Publish pins m twice: in our state, and at pin with mode and owner. over allows to replace another
// map at the pin; otherwise that is ErrOccupied.
func (s *Store) Publish(key revision.Key, m *bpf.Map, pin revision.Pin, over bool) error {
	if err := checkPath(pin.Path); err != nil {
		return err
	}
	info, err := m.Info()
	if err != nil {
		return err
	}
	own, err := s.makeDirs(state(key, ""), stateDirMode)
	if err != nil {
		return err
	}
	defer own.Close() // nothing is written through it
	if err := s.keep(own, m, info.ID); err != nil {
		return err
	}
	target, err := s.makeDirs(path.Dir(pin.Path), pinDirMode)
	if err != nil {
		return err
	}
	defer target.Close() // nothing is written through it
	name := path.Base(pin.Path)
	there, err := idIn(target, name)
	if err != nil {
		return err
	}
	if there != 0 && there != info.ID && !over {
		return fmt.Errorf("pin at %s: %w by map %d", s.Path(pin.Path), ErrOccupied, there)
	}
	if err := s.prepare(own, m, pin); err != nil {
		return err
	}
	return s.step("rename to pin", func() error {
		err := own.Rename(nameNext, target, name, there != 0)
		if errors.Is(err, bpf.ErrExist) {
			return fmt.Errorf("%w: %w", ErrOccupied, err)
		}
		return err
	})
}

// keep makes m our second pin.
func (s *Store) keep(own *bpf.Dir, m *bpf.Map, id uint32) error {
	if kept, err := idIn(own, nameKept); err != nil || kept == id {
		return err
	}
	if err := s.pinAside(own, m); err != nil {
		return err
	}
	return s.step("rename to second pin", func() error { return own.Rename(nameNext, own, nameKept, true) })
}

// prepare pins m aside, with mode and owner.
func (s *Store) prepare(own *bpf.Dir, m *bpf.Map, pin revision.Pin) error {
	if err := s.pinAside(own, m); err != nil {
		return err
	}
	if err := s.step("set mode", func() error { return own.Chmod(nameNext, pin.Mode) }); err != nil {
		return fmt.Errorf("set mode of pin: %w", err)
	}
	if err := s.step("set owner", func() error { return chown(own, nameNext, pin.UID, pin.GID) }); err != nil {
		return fmt.Errorf("set owner of pin (needs CAP_CHOWN): %w", err)
	}
	return nil
}

// pinAside pins m where nobody looks, in place of what a crash left there.
func (s *Store) pinAside(own *bpf.Dir, m *bpf.Map) error {
	if err := s.step("remove stale pin", func() error { return removeIfThere(own, nameNext) }); err != nil {
		return err
	}
	return s.step("pin aside", func() error { return own.Pin(m, nameNext) })
}

// chown sets the owner unless it is already so: changing nothing needs the capability, too.
func chown(d *bpf.Dir, name string, uid, gid uint32) error {
	st, err := d.Lstat(name)
	if err != nil {
		return err
	}
	haveUID, haveGID, err := owner(st)
	if err != nil || (haveUID == uid && haveGID == gid) {
		return err
	}
	return d.Lchown(name, uid, gid)
}

// idIn is the id of the map pinned as name, 0 if there is none.
func idIn(d *bpf.Dir, name string) (uint32, error) {
	m, err := mapIn(d, name)
	if m == nil || err != nil {
		return 0, err
	}
	info, err := m.Info()
	return info.ID, errors.Join(err, m.Close())
}

// Unpin removes the pin at rel if one of the maps is there, and directories of ours that this leaves
// empty.
func (s *Store) Unpin(rel string, maps ...uint32) error {
	err := s.in(rel, func(d *bpf.Dir, name string) error {
		id, err := idIn(d, name)
		if err != nil || id == 0 || !slices.Contains(maps, id) {
			return err
		}
		return s.step("remove pin", func() error { return removeIfThere(d, name) })
	})
	switch {
	case errors.Is(err, ErrOccupied):
		return nil // what is there now isn't ours
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	s.removeEmpty(path.Dir(rel))
	return nil
}

func removeIfThere(d *bpf.Dir, name string) error {
	if err := d.Remove(name); err != nil && !errors.Is(err, bpf.ErrNotExist) {
		return err
	}
	return nil
}
