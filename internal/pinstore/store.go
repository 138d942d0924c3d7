// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// ErrOccupied says that a pin's path holds something that may not be replaced.
var ErrOccupied = errors.New("path is occupied")

// Store is one BPF file system. It is safe for concurrent use on different keys.
type Store struct {
	root string
	o    Options
}

// Options tune a Store.
type Options struct {
	// BeforeStep is called before each change of the file system. Its error ends the operation there:
	// so tests see what a crash at that point leaves behind.
	BeforeStep func(step string) error
}

// New is the store of the BPF file system mounted at root.
func New(root string, o Options) *Store { return &Store{root: filepath.Clean(root), o: o} }

// Path is the absolute path of a pin, given relative to the file system.
func (s *Store) Path(rel string) string { return filepath.Join(s.root, rel) }

// The names in a map's state directory.
const (
	stateDir   = revision.PinRoot + "/_state"
	nameKept   = "map"
	nameNext   = "next"
	nameRecord = "record"
	nameDraft  = "record_new"
)

// Directory modes: everybody may look for pins, which have modes of their own; the state is ours.
const (
	pinDirMode   fs.FileMode = 0o755
	stateDirMode fs.FileMode = 0o700
)

// state is the path, relative to the file system, of a map's state directory or a pin in it.
func state(key revision.Key, name string) string {
	return path.Join(stateDir, strings.TrimPrefix(revision.DefaultPinPath(key), revision.PinRoot+"/"), name)
}

// step runs one change of the file system.
func (s *Store) step(name string, change func() error) error {
	if s.o.BeforeStep != nil {
		if err := s.o.BeforeStep(name); err != nil {
			return err
		}
	}
	return change()
}

// Pinned opens the map at rel, nil if nothing is there. What is no map is ErrOccupied.
func (s *Store) Pinned(rel string) (*bpf.Map, error) {
	if err := s.checkDirs(path.Dir(rel)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	st, err := os.Lstat(s.Path(rel))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at pin: %w", err)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("look at pin %s: %w by something that is no pin (%s)", s.Path(rel), ErrOccupied, st.Mode())
	}
	m, err := bpf.GetPinned(s.Path(rel), 0)
	switch {
	case errors.Is(err, bpf.ErrNotExist):
		return nil, nil // gone since
	case errors.Is(err, bpf.ErrNotMap):
		return nil, fmt.Errorf("%w: %w", ErrOccupied, err)
	}
	return m, err
}

// Program opens the program pinned at rel, relative to the file system. What isn't there is
// fs.ErrNotExist.
func (s *Store) Program(rel string) (*bpf.Program, error) {
	if err := s.checkDirs(path.Dir(rel)); err != nil {
		return nil, err
	}
	st, err := os.Lstat(s.Path(rel))
	switch {
	case err != nil:
		return nil, fmt.Errorf("look at pin: %w", err)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("look at pin %s: %w by something that is no pin (%s)", s.Path(rel), ErrOccupied, st.Mode())
	}
	p, err := bpf.GetPinnedProgram(s.Path(rel))
	if errors.Is(err, bpf.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", fs.ErrNotExist, err) // gone since
	}
	return p, err
}

// Kept opens the second pin of a map, nil if there is none.
func (s *Store) Kept(key revision.Key) (*bpf.Map, error) { return s.Pinned(state(key, nameKept)) }

// Differs says whether mode or owner of the pin aren't as they are to be. A pin that isn't there
// doesn't differ.
func (s *Store) Differs(pin revision.Pin) (bool, error) {
	st, err := os.Lstat(s.Path(pin.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at pin: %w", err)
	}
	uid, gid, err := owner(st)
	return st.Mode().Perm() != pin.Mode || uid != pin.UID || gid != pin.GID, err
}

func owner(st fs.FileInfo) (uid, gid uint32, err error) {
	t, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("look at pin %s: no owner is told", st.Name())
	}
	return t.Uid, t.Gid, nil
}

// makeDirs makes the directory rel and its parents.
func (s *Store) makeDirs(rel string, mode fs.FileMode) error {
	dir := s.root
	for element := range strings.SplitSeq(rel, "/") {
		own := mode
		if dir == s.root {
			own = pinDirMode // the root of our pins, whoever makes it first
		}
		dir = filepath.Join(dir, element)
		if _, err := os.Lstat(dir); err == nil {
			continue
		}
		err := s.step("make directory", func() error {
			if err := os.Mkdir(dir, own); err != nil {
				return err
			}
			return os.Chmod(dir, own) // whatever the umask is
		})
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("make directory of pins: %w", err)
		}
	}
	return s.checkDirs(rel)
}

// checkDirs refuses a path to a pin that leads over anything but directories: a BPF file system may be
// writable to all, and a symbolic link may lead anywhere.
func (s *Store) checkDirs(rel string) error {
	if rel == "." {
		return nil
	}
	dir := s.root
	for i, element := range strings.Split(rel, "/") {
		dir = filepath.Join(dir, element)
		st, err := os.Lstat(dir)
		if err != nil {
			return fmt.Errorf("look at directory of pins: %w", err)
		}
		if !st.IsDir() {
			return fmt.Errorf("look at directory of pins: %s: %w by something that is no directory (%s)", dir, ErrOccupied, st.Mode())
		}
		uid, _, err := owner(st)
		if err != nil {
			return err
		}
		if i == 0 && element == revision.PinRoot && int(uid) != os.Geteuid() {
			return fmt.Errorf("look at directory of pins: %s: %w by user %d", dir, ErrOccupied, uid)
		}
	}
	return nil
}

// removeEmpty removes dir and its parents below the pin root as long as they are empty. Directories
// elsewhere belong to others.
func (s *Store) removeEmpty(dir string) {
	for strings.HasPrefix(dir, revision.PinRoot+"/") && dir != stateDir {
		if err := os.Remove(s.Path(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return // not empty
		}
		dir = path.Dir(dir)
	}
}
