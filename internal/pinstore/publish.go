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

// Publish pins m twice: at the map's KeepAlive pin, and at pin with mode and owner. Another map at the pin
// gives way if its id is in replaces; otherwise, also if it appears meanwhile, it stays and is ErrOccupied.
func (s *Store) Publish(key revision.Key, m *bpf.Map, pin revision.Pin, replaces ...uint32) error {
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
	if err := s.recoverExchange(own); err != nil {
		return err
	}
	if err := s.keepAlive(own, m, info.ID); err != nil {
		return err
	}
	note := exchangeNote{path: pin.Path, ids: append([]uint32{info.ID}, replaces...)}
	if err := s.checkVacant(note); err != nil {
		return err
	}
	if err := s.prepare(own, m, pin); err != nil {
		return err
	}
	return s.place(own, note)
}

// keepAlive gives m its KeepAlive pin.
func (s *Store) keepAlive(own *bpf.Dir, m *bpf.Map, id uint32) error {
	if have, err := idIn(own, nameKeepAlive); err != nil || have == id {
		return err
	}
	if err := s.pinAside(own, m, nameNext); err != nil {
		return err
	}
	return s.step("rename to KeepAlive pin", func() error { return own.Rename(nameNext, own, nameKeepAlive, true) })
}

// checkVacant says early whether a stranger's map is at the pin: nothing is prepared then.
func (s *Store) checkVacant(note exchangeNote) error {
	d, err := s.makeDirs(path.Dir(note.path), pinDirMode)
	if err != nil {
		return err
	}
	found, err := look(d, path.Base(note.path), note.ids)
	if err == nil && found.isForeign {
		err = fmt.Errorf("pin at %s: %w by %s", s.Path(note.path), ErrOccupied, found.what)
	}
	return errors.Join(err, d.Close())
}

// prepare pins m aside, with mode and owner.
func (s *Store) prepare(own *bpf.Dir, m *bpf.Map, pin revision.Pin) error {
	if err := s.pinAside(own, m, nameNext); err != nil {
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

// pinAside pins m in our state, in place of what a crash left there.
func (s *Store) pinAside(own *bpf.Dir, m *bpf.Map, name string) error {
	if err := s.step("remove stale pin", func() error { return removeIfThere(own, name) }); err != nil {
		return err
	}
	return s.step("pin aside", func() error { return own.Pin(m, name) })
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

// Unpin removes the pin at rel if one of the maps is there, and directories below the pin root that this
// leaves empty. A stranger's map stays, also if it appears meanwhile.
func (s *Store) Unpin(key revision.Key, rel string, maps ...uint32) error {
	maps = slices.DeleteFunc(slices.Clone(maps), func(id uint32) bool { return id == 0 })
	err := s.in(rel, func(d *bpf.Dir, name string) error {
		found, err := look(d, name, maps)
		if err != nil || found.isForeign || found.isNothing() {
			return err
		}
		return s.takeDown(key, d, exchangeNote{path: rel, ids: maps})
	})
	switch {
	case errors.Is(err, ErrOccupied):
		return nil // what is there now is not ours
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	s.removeEmpty(path.Dir(rel))
	return nil
}

// takeDown moves a pin into our state, where it can be looked at again before it is removed.
func (s *Store) takeDown(key revision.Key, d *bpf.Dir, note exchangeNote) error {
	own, err := s.dir(state(key, ""))
	if errors.Is(err, fs.ErrNotExist) {
		defer s.removeEmpty(state(key, "")) // nobody has its lock
		own, err = s.makeDirs(state(key, ""), stateDirMode)
	}
	if err != nil {
		return err
	}
	defer own.Close() // nothing is written through it
	if err := s.recoverExchange(own); err != nil {
		return err
	}
	if err := s.step("remove stale pin", func() error { return removeIfThere(own, nameNext) }); err != nil {
		return err
	}
	if err := s.writeNote(own, note); err != nil {
		return err
	}
	err = s.step("move pin aside", func() error { return d.Rename(path.Base(note.path), own, nameNext, false) })
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, bpf.ErrNotExist) {
		return err
	}
	return s.settleExchange(own, note)
}

func removeIfThere(d *bpf.Dir, name string) error {
	if err := d.Remove(name); err != nil && !errors.Is(err, bpf.ErrNotExist) {
		return err
	}
	return nil
}
