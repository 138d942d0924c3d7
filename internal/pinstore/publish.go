// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// Publish pins m twice: in our state, and at pin with mode and owner. over allows to replace another
// map at the pin; otherwise that is ErrOccupied.
func (s *Store) Publish(key revision.Key, m *bpf.Map, pin revision.Pin, over bool) error {
	info, err := m.Info()
	if err != nil {
		return err
	}
	if err := s.makeDirs(state(key, ""), stateDirMode); err != nil {
		return err
	}
	if err := s.keep(key, m, info.ID); err != nil {
		return err
	}
	if dir := path.Dir(pin.Path); dir != "." {
		if err := s.makeDirs(dir, pinDirMode); err != nil {
			return err
		}
	}
	there, err := s.idAt(pin.Path)
	if err != nil {
		return err
	}
	if there != 0 && there != info.ID && !over {
		return fmt.Errorf("pin at %s: %w by map %d", s.Path(pin.Path), ErrOccupied, there)
	}
	next, err := s.prepare(key, m, pin)
	if err != nil {
		return err
	}
	return s.step("rename to pin", func() error {
		err := bpf.RenamePin(next, s.Path(pin.Path), there != 0)
		if errors.Is(err, bpf.ErrExist) {
			return fmt.Errorf("%w: %w", ErrOccupied, err)
		}
		return err
	})
}

// keep makes m our second pin.
func (s *Store) keep(key revision.Key, m *bpf.Map, id uint32) error {
	if kept, err := s.idAt(state(key, nameKept)); err != nil || kept == id {
		return err
	}
	next, err := s.pinAside(key, m)
	if err != nil {
		return err
	}
	return s.step("rename to second pin", func() error {
		return bpf.RenamePin(next, s.Path(state(key, nameKept)), true)
	})
}

// prepare pins m aside, with mode and owner.
func (s *Store) prepare(key revision.Key, m *bpf.Map, pin revision.Pin) (string, error) {
	next, err := s.pinAside(key, m)
	if err != nil {
		return "", err
	}
	if err := s.step("set mode", func() error { return os.Chmod(next, pin.Mode) }); err != nil {
		return "", fmt.Errorf("set mode of pin: %w", err)
	}
	if err := s.step("set owner", func() error { return chown(next, pin.UID, pin.GID) }); err != nil {
		return "", fmt.Errorf("set owner of pin (needs CAP_CHOWN): %w", err)
	}
	return next, nil
}

// pinAside pins m where nobody looks, in place of what a crash left there.
func (s *Store) pinAside(key revision.Key, m *bpf.Map) (string, error) {
	next := s.Path(state(key, nameNext))
	if err := s.step("remove stale pin", func() error { return removeIfThere(next) }); err != nil {
		return "", err
	}
	return next, s.step("pin aside", func() error { return m.Pin(next) })
}

// chown sets the owner unless it is already so: changing nothing needs the capability, too.
func chown(path string, uid, gid uint32) error {
	st, err := os.Lstat(path)
	if err != nil {
		return err
	}
	haveUID, haveGID, err := owner(st)
	if err != nil || (haveUID == uid && haveGID == gid) {
		return err
	}
	return os.Lchown(path, int(uid), int(gid))
}

// idAt is the id of the map at rel, 0 if there is none.
func (s *Store) idAt(rel string) (uint32, error) {
	m, err := s.Pinned(rel)
	if m == nil || err != nil {
		return 0, err
	}
	info, err := m.Info()
	return info.ID, errors.Join(err, m.Close())
}

// Unpin removes the pin at rel if one of the maps is there, and directories of ours that this leaves
// empty.
func (s *Store) Unpin(rel string, maps ...uint32) error {
	id, err := s.idAt(rel)
	if errors.Is(err, ErrOccupied) {
		return nil // what is there now isn't ours
	}
	if err != nil {
		return err
	}
	if id != 0 && slices.Contains(maps, id) {
		if err := s.step("remove pin", func() error { return removeIfThere(s.Path(rel)) }); err != nil {
			return err
		}
	}
	s.removeEmpty(path.Dir(rel))
	return nil
}

func removeIfThere(path string) error {
	if err := bpf.Unpin(path); err != nil && !errors.Is(err, bpf.ErrNotExist) {
		return err
	}
	return nil
}
