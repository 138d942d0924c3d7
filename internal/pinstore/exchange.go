// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// A pin's path may be writable to others, and nothing says who has it. So no pin is replaced or removed where
// it is: it is moved into our state, in exchange for the new pin if there is one, and looked at there, where
// nobody else can change it. A stranger's map goes back. The note says, before anything is moved, where
// from: after a crash the next run finishes by it.

// exchangeNote is the text of the link nameNote: the ids of the maps that may be replaced or removed, and the
// path of the pin.
type exchangeNote struct {
	ids  []uint32
	path string
}

func (n exchangeNote) String() string {
	ids := make([]string, len(n.ids))
	for i, id := range n.ids {
		ids[i] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(ids, ",") + " " + n.path
}

// readNote is the note of an exchange that is under way, nil if none is.
func readNote(own *bpf.Dir) (*exchangeNote, error) {
	text, err := own.Readlink(nameNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, rel, _ := strings.Cut(text, " ")
	n := &exchangeNote{path: rel}
	for id := range strings.SplitSeq(list, ",") {
		v, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", own.Path(nameNote), err)
		}
		n.ids = append(n.ids, uint32(v))
	}
	return n, checkPath(rel)
}

func (s *Store) writeNote(own *bpf.Dir, n exchangeNote) error {
	return s.step("note exchange", func() error { return setLink(own, nameNote, n.String()) })
}

// found is what is at a name: a map of ours, something of a stranger, or nothing.
type found struct {
	id        uint32
	isForeign bool
	what      string // for people, of what is foreign
}

func (f found) isNothing() bool { return f.id == 0 && !f.isForeign }

// look says what is called name; ids are our maps.
func look(d *bpf.Dir, name string, ids []uint32) (found, error) {
	id, err := idIn(d, name)
	switch {
	case errors.Is(err, ErrOccupied):
		return found{isForeign: true, what: "something that is not a map"}, nil
	case err != nil:
		return found{}, err
	}
	return found{id, id != 0 && !slices.Contains(ids, id), "map " + strconv.FormatUint(uint64(id), 10)}, nil
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

// errAgain says that somebody changed the pin or its directory meanwhile.
var errAgain = errors.New("the pin changes faster than it can be looked at")

// place gives what is prepared its pin.
func (s *Store) place(own *bpf.Dir, note exchangeNote) error {
	for try := 1; ; try++ {
		err := s.tryPlace(own, note)
		if !errors.Is(err, errAgain) || try == maxRaces {
			return err
		}
	}
}

func (s *Store) tryPlace(own *bpf.Dir, note exchangeNote) error {
	target, err := s.makeDirs(path.Dir(note.path), pinDirMode)
	if err != nil {
		return err
	}
	defer target.Close() // nothing is written through it
	name := path.Base(note.path)
	there, err := look(target, name, note.ids)
	switch {
	case err != nil:
		return err
	case there.isForeign:
		err := fmt.Errorf("pin at %s: %w by %s", s.Path(note.path), ErrOccupied, there.what)
		return errors.Join(err, s.settleExchange(own, note)) // what is prepared goes
	case there.isNothing():
		return again(s.step("rename to pin", func() error { return own.Rename(nameNext, target, name, false) }))
	}
	if err := s.writeNote(own, note); err != nil {
		return err
	}
	err = s.step("exchange pins", func() error {
		if s.o.NoExchange {
			return fmt.Errorf("exchange pins: %w", bpf.ErrNotSupported)
		}
		return own.Exchange(nameNext, target, name)
	})
	if errors.Is(err, bpf.ErrNotSupported) {
		return s.placeOver(own, target, note)
	}
	if err != nil {
		return again(err)
	}
	return s.settleExchange(own, note)
}

// placeOver gives what is prepared its pin where the kernel can't exchange pins, before Linux 5.16: there is no
// way to take a pin's place in one step and to see what was there. A map of a stranger that appears between
// the look here, which is the last one, and the rename is unpinned.
func (s *Store) placeOver(own, target *bpf.Dir, note exchangeNote) error {
	name := path.Base(note.path)
	there, err := look(target, name, note.ids)
	switch {
	case err != nil:
		return err
	case there.isForeign, there.isNothing():
		return fmt.Errorf("%w: %s", errAgain, s.Path(note.path))
	}
	if err := s.step("rename over pin", func() error { return own.Rename(nameNext, target, name, true) }); err != nil {
		return again(err)
	}
	return s.settleExchange(own, note)
}

// again turns what somebody else caused just then into errAgain: the pin appeared, or it or its directory
// is gone.
func again(err error) error {
	if errors.Is(err, bpf.ErrExist) || errors.Is(err, bpf.ErrNotExist) {
		return errors.Join(errAgain, err)
	}
	return err
}

// Recover finishes what a crash interrupted: a stranger's map that was taken from its pin goes back. If
// another one has its place by now, that is ErrOccupied.
func (s *Store) Recover(key revision.Key) error {
	own, err := s.dir(state(key, ""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(s.recoverExchange(own), own.Close())
}

// recoverExchange finishes an exchange that a crash interrupted.
func (s *Store) recoverExchange(own *bpf.Dir) error {
	note, err := readNote(own)
	if err != nil || note == nil {
		return err
	}
	err = s.settleExchange(own, *note)
	if errors.Is(err, errPutBack) {
		return nil // the pin is as it was
	}
	return err
}

// errPutBack says that a stranger's map is at the pin, where it was before.
var errPutBack = fmt.Errorf("%w, and stays there", ErrOccupied)

// settleExchange removes what was taken from a pin if that is a map of ours, and puts anything else back,
// which is an errPutBack. The pin may have been taken in exchange for a map of ours, or for nothing.
func (s *Store) settleExchange(own *bpf.Dir, note exchangeNote) error {
	taken, err := look(own, nameNext, note.ids)
	if err != nil {
		return err
	}
	if taken.isForeign {
		if err := s.putBack(own, note, taken.what); err != nil {
			return err
		}
		err = fmt.Errorf("pin at %s: %s: %w", s.Path(note.path), taken.what, errPutBack)
	}
	for _, name := range []string{nameNext, nameNote} {
		if err := s.step("remove what was exchanged", func() error { return removeIfThere(own, name) }); err != nil {
			return err
		}
	}
	return err
}

// putBack moves a stranger's pin back to where it was taken from. It stays in our state, and is named by the
// error, if another stranger has taken the place.
func (s *Store) putBack(own *bpf.Dir, note exchangeNote, what string) error {
	for range maxRaces {
		target, err := s.makeDirs(path.Dir(note.path), pinDirMode)
		if err != nil {
			return err
		}
		done, err := s.tryPutBack(own, target, note, what)
		if err := errors.Join(err, target.Close()); err != nil && !errors.Is(err, errAgain) || done {
			return err
		}
	}
	return fmt.Errorf("put %s back to %s from %s: %w", what, s.Path(note.path), own.Path(nameNext), errAgain)
}

func (s *Store) tryPutBack(own, target *bpf.Dir, note exchangeNote, what string) (done bool, err error) {
	name := path.Base(note.path)
	there, err := look(target, name, note.ids)
	switch {
	case err != nil:
		return false, err
	case there.isForeign:
		return false, fmt.Errorf("pin at %s: %w by %s; %s, which was there before, is kept at %s",
			s.Path(note.path), ErrOccupied, there.what, what, own.Path(nameNext))
	case there.isNothing():
		err := again(s.step("put pin back", func() error { return own.Rename(nameNext, target, name, false) }))
		return err == nil, err
	}
	if err := again(s.step("exchange pins back", func() error { return own.Exchange(nameNext, target, name) })); err != nil {
		return false, err
	}
	// What came back is ours, unless somebody took the pin from us just then.
	back, err := look(own, nameNext, note.ids)
	return err == nil && !back.isForeign, err
}
