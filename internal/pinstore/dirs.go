// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// othersWrite are the bits of a mode that let others than the owner write.
const othersWrite fs.FileMode = 0o022

// dir opens the directory rel; the error is fs.ErrNotExist if it is missing. A path with anything but
// directories in it is ErrOccupied, since a BPF file system may be writable to all and a symbolic link may
// lead anywhere. So are directories of ours that others can write to: they could forge what is in them.
func (s *Store) dir(rel string) (*bpf.Dir, error) {
	return s.walk(rel, func(d *bpf.Dir, _, name string) (*bpf.Dir, error) { return d.Dir(name) })
}

// maxRaces bounds how often work starts again because somebody else changed a directory or a pin just then.
const maxRaces = 16

// makeDirs opens the directory rel, and makes it and its parents if they aren't there. Those that are
// removed meanwhile, since they were empty, are made again.
func (s *Store) makeDirs(rel string, mode fs.FileMode) (*bpf.Dir, error) {
	for try := 1; ; try++ {
		d, err := s.tryMakeDirs(rel, mode)
		if !errors.Is(err, fs.ErrNotExist) || try == maxRaces {
			return d, err
		}
	}
}

func (s *Store) tryMakeDirs(rel string, mode fs.FileMode) (*bpf.Dir, error) {
	return s.walk(rel, func(d *bpf.Dir, at, name string) (*bpf.Dir, error) {
		next, err := d.Dir(name)
		if !errors.Is(err, fs.ErrNotExist) {
			return next, err
		}
		own := mode
		switch {
		case at == revision.PinRoot:
			own = pinDirMode // the root of all pins, also if the state is made first
		case isBelowNamespace(at):
			own |= madeHere
		}
		err = s.step("make directory", func() error { return d.Mkdir(name, own) })
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make directory of pins: %w", err)
		}
		return d.Dir(name)
	})
}

// walk goes from the root to rel, with next opening each directory: in d, called name, at a path relative
// to the root.
func (s *Store) walk(rel string, next func(d *bpf.Dir, at, name string) (*bpf.Dir, error)) (*bpf.Dir, error) {
	d, err := bpf.OpenDir(s.root, s.o.ShownAs)
	if err != nil {
		return nil, fmt.Errorf("look at directory of pins: %w", err)
	}
	if rel == "." {
		return d, nil
	}
	at := ""
	for name := range strings.SplitSeq(rel, "/") {
		at = path.Join(at, name)
		inner, err := enter(d, at, name, next)
		if err := errors.Join(err, d.Close()); err != nil {
			if inner != nil {
				err = errors.Join(err, inner.Close())
			}
			return nil, fmt.Errorf("look at directory of pins: %w", err)
		}
		d = inner
	}
	return d, nil
}

// enter goes one step of walk.
func enter(d *bpf.Dir, at, name string, next func(d *bpf.Dir, at, name string) (*bpf.Dir, error)) (*bpf.Dir, error) {
	inner, err := next(d, at, name)
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP) {
		return nil, fmt.Errorf("%s: %w: it is not a directory", d.Path(name), ErrOccupied)
	}
	if err != nil || at != revision.PinRoot && at != stateDir && !strings.HasPrefix(at, stateDir+"/") {
		return inner, err
	}
	return inner, checkOwn(inner)
}

// checkOwn says whether a directory of ours is ours alone to write to.
func checkOwn(d *bpf.Dir) error {
	st, err := d.Stat()
	if err != nil {
		return err
	}
	uid, _, err := owner(st)
	switch {
	case err != nil:
		return err
	case int(uid) != os.Geteuid():
		return fmt.Errorf("%s: %w: it is not owned by this process (owner uid %d)", d.Path(""), ErrOccupied, uid)
	case st.Mode()&othersWrite != 0:
		return fmt.Errorf("%s: %w: it is not trusted, since group or others can write to it (mode %04o)", d.Path(""), ErrOccupied, st.Mode().Perm())
	}
	return nil
}

// checkPath refuses a path with "..", "." or empty elements.
func checkPath(rel string) error {
	if !fs.ValidPath(rel) || rel == "." {
		return fmt.Errorf("%q is not a path of a pin below the BPF file system", rel)
	}
	return nil
}

// in runs do in the directory of rel, with the last element of rel.
func (s *Store) in(rel string, do func(d *bpf.Dir, name string) error) error {
	if err := checkPath(rel); err != nil {
		return err
	}
	d, err := s.dir(path.Dir(rel))
	if err != nil {
		return err
	}
	return errors.Join(do(d, path.Base(rel)), d.Close())
}

// madeHere marks a directory of pins that we made: it goes when it is empty. The mark, a sticky bit, means nothing else
// in a directory where only its owner may write, and is gone with it, whoever makes it again.
const madeHere = fs.ModeSticky

// isBelowNamespace says whether a directory is in that of a namespace. Those of namespaces themselves stay: loaders
// make them when a machine starts, or find them made, and need them later.
func isBelowNamespace(rel string) bool {
	return strings.HasPrefix(rel, revision.PinRoot+"/") && !isState(rel) && strings.Count(rel, "/") > 1
}

func isState(rel string) bool { return rel == stateDir || strings.HasPrefix(rel, stateDir+"/") }

// removeEmpty removes rel and its parents as long as they are empty and we made them: directories of our state, and
// those below the directory of a namespace. All others belong to others.
func (s *Store) removeEmpty(rel string) {
	for rel != stateDir && (isState(rel) || isBelowNamespace(rel)) {
		err := s.in(rel, func(d *bpf.Dir, name string) error {
			if !isState(rel) {
				st, err := d.Lstat(name)
				if err != nil {
					return err
				}
				if st.Mode()&madeHere == 0 {
					return errNotOurs
				}
			}
			return d.Remove(name)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return // not empty, or not ours
		}
		rel = path.Dir(rel)
	}
}

// errNotOurs says of a directory that others made it.
var errNotOurs = errors.New("others made the directory")
