// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// ErrOccupied says that a pin's path holds something that may not be replaced.
var ErrOccupied = errors.New("path is occupied")

// Store is one BPF file system. It is safe for concurrent use on different keys.
type Store struct {
	root string
	o    Options
	// claiming is full while a call of this process writes claims: calls wait here in their order, and only
	// processes wait for each other's flock(2).
	claiming chan struct{}
}

// Options tune a Store.
type Options struct {
	// BeforeStep is called before each change of the file system. Its error ends the operation there:
	// so tests see what a crash at that point leaves behind.
	BeforeStep func(step string) error
	// OnWait, if not nil, is called when a lock has been waited for long: see nodelock.
	OnWait func(nodelock.Wait)
	// ShownAs is the path of the file system for people and reports; the one that it is opened by if empty.
	ShownAs string
	// NoExchange does without RENAME_EXCHANGE, as kernels before Linux 5.16 do.
	NoExchange bool
}

// New is the store of the BPF file system mounted at root.
func New(root string, o Options) *Store {
	root = filepath.Clean(root)
	o.ShownAs = cmp.Or(o.ShownAs, root)
	return &Store{root: root, o: o, claiming: make(chan struct{}, 1)}
}

// Path is the absolute path of a pin for people, given relative to the file system.
func (s *Store) Path(rel string) string { return filepath.Join(s.o.ShownAs, rel) }

// Prepare makes the directory of our state, so that Identity can tell it from another one.
func (s *Store) Prepare() error {
	d, err := s.makeDirs(stateDir, stateDirMode)
	if err != nil {
		return err
	}
	return d.Close()
}

// Check says whether the directories of our state, as far as they are there, are ours alone to write to; if not, the error
// is ErrOccupied, and no map can be managed.
func (s *Store) Check() error {
	d, err := s.dir(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.Close()
}

// Identity tells the file system that is mounted now, and the state in it, from those of another time. Nothing
// stays open: that would keep people from unmounting it.
func (s *Store) Identity() (Identity, error) {
	device, _, err := identify(s.root)
	if err != nil {
		return Identity{}, fmt.Errorf("look at the BPF file system: %w", err)
	}
	now := Identity{device: device}
	within, inode, err := identify(filepath.Join(s.root, stateDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return Identity{}, fmt.Errorf("look at the state in the BPF file system: %w", err)
	}
	if err == nil && within == device {
		now.state = inode
	}
	return now, nil
}

func identify(path string) (device, inode uint64, err error) {
	st, err := os.Lstat(path)
	if err != nil {
		return 0, 0, err
	}
	t, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("%s has no device number", path)
	}
	return uint64(t.Dev), t.Ino, nil //nolint:unconvert // narrower on some architectures
}

// Identity is that of a file system with our state.
type Identity struct {
	// device is that of the file system. The kernel gives the number of one that is gone to the next one.
	device uint64
	// state is the inode of the directory of our state, 0 if there was none. The kernel doesn't give the number
	// of one that is gone to the next one, until 2^32 were made.
	state uint64
}

// ReplacedBy says whether what was there is gone: another file system is mounted, or our state isn't the same.
// State that was made since then replaces nothing.
func (i Identity) ReplacedBy(now Identity) bool {
	return i.device != now.device || i.state != 0 && i.state != now.state
}

// Directory modes: everybody may look for pins, which have modes of their own; the state is ours.
const (
	pinDirMode   fs.FileMode = 0o755
	stateDirMode fs.FileMode = 0o700
)

// step runs one change of the file system.
func (s *Store) step(name string, change func() error) error {
	if s.o.BeforeStep != nil {
		if err := s.o.BeforeStep(name); err != nil {
			return err
		}
	}
	return change()
}

// Pinned opens the map at rel, nil if nothing is there. What is not a map is ErrOccupied.
func (s *Store) Pinned(rel string) (*bpf.Map, error) {
	var m *bpf.Map
	err := s.in(rel, func(d *bpf.Dir, name string) (err error) {
		m, err = mapIn(d, name)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return m, err
}

// mapIn opens the map pinned as name, nil if nothing is there. What is not a map is ErrOccupied.
func mapIn(d *bpf.Dir, name string) (*bpf.Map, error) {
	m, err := d.Map(name, 0)
	switch {
	case errors.Is(err, bpf.ErrNotExist):
		return nil, nil
	case errors.Is(err, bpf.ErrNotMap):
		return nil, fmt.Errorf("%w: %w", ErrOccupied, err)
	}
	return m, err
}

// Program opens the program pinned at rel, relative to the file system. What isn't there is
// fs.ErrNotExist.
func (s *Store) Program(rel string) (*bpf.Program, error) {
	var p *bpf.Program
	err := s.in(rel, func(d *bpf.Dir, name string) (err error) {
		p, err = d.Program(name)
		return err
	})
	return p, err
}

// KeepAlive opens the map at a BPFMap's KeepAlive pin, nil if there is none.
func (s *Store) KeepAlive(key revision.Key) (*bpf.Map, error) {
	return s.Pinned(state(key, nameKeepAlive))
}

// Look is the pin at rel with its mode and owner; zero if nothing is there.
func (s *Store) Look(rel string) (pin revision.Pin, err error) {
	err = s.in(rel, func(d *bpf.Dir, name string) error {
		st, err := d.Lstat(name)
		if err != nil {
			return fmt.Errorf("look at pin: %w", err)
		}
		uid, gid, err := owner(st)
		pin = revision.Pin{Path: rel, Mode: st.Mode().Perm(), UID: uid, GID: gid}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return revision.Pin{}, nil
	}
	return pin, err
}

func owner(st fs.FileInfo) (uid, gid uint32, err error) {
	t, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("look at %s: the file system reports no owner", st.Name())
	}
	return t.Uid, t.Gid, nil
}
