// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func TestMain(m *testing.M) { bpftest.Main(m) }

var (
	key = revision.Key{Namespace: "edge", Name: "a.table"}
	pin = revision.Pin{Path: "bpfmap/edge/a_table", Mode: 0o640, GID: 2000}
)

func newMap(t *testing.T) *bpf.Map {
	t.Helper()
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	st, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return st.Mode()
}

func TestPermissions(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	if err := s.Publish(key, newMap(t), pin); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveRecord(t.Context(), &ownership.Record{Key: key, Pin: pin}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{
		"bpfmap": 0o755, "bpfmap/edge": 0o755, "bpfmap/_state": 0o700, "bpfmap/_state/edge": 0o700,
		"bpfmap/edge/a_table": 0o640, "bpfmap/_state/edge/a_table/map": 0o600, "bpfmap/_state/edge/a_table/record": 0o600,
	} {
		if got := mode(t, filepath.Join(dir, path)).Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", path, got, want)
		}
	}
	st, err := os.Lstat(filepath.Join(dir, pin.Path))
	if err != nil || st.Sys().(*syscall.Stat_t).Gid != 2000 {
		t.Errorf("group of the pin: %+v, %v", st.Sys(), err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "bpfmap/_state/edge/a_table/next")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the pin aside is left: %v", err)
	}
}

// TestHostilePaths refuses whatever isn't a directory on the way and a pin at the end.
func TestHostilePaths(t *testing.T) {
	for name, prepare := range map[string]func(dir string) error{
		"link for a directory": func(dir string) error { return os.Symlink(t.TempDir(), filepath.Join(dir, "bpfmap")) },
		"link for the namespace": func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "bpfmap"), 0o755), os.Symlink("..", filepath.Join(dir, "bpfmap/edge")))
		},
		"link for the pin": func(dir string) error {
			return errors.Join(os.MkdirAll(filepath.Join(dir, "bpfmap/edge"), 0o755), os.Symlink("elsewhere", filepath.Join(dir, pin.Path)))
		},
		"directory for the pin": func(dir string) error { return os.MkdirAll(filepath.Join(dir, pin.Path), 0o755) },
		"somebody else's root": func(dir string) error {
			return errors.Join(os.Mkdir(filepath.Join(dir, "bpfmap"), 0o755), os.Chown(filepath.Join(dir, "bpfmap"), 65534, 65534))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := bpftest.BPFFS(t)
			if err := prepare(dir); err != nil {
				t.Fatal(err)
			}
			s := pinstore.New(dir, pinstore.Options{})
			m, err := s.Pinned(pin.Path)
			if !errors.Is(err, pinstore.ErrOccupied) || m != nil {
				t.Errorf("open: %v, %v", m, err)
			}
			if err := s.Publish(key, newMap(t), pin); !errors.Is(err, pinstore.ErrOccupied) {
				t.Errorf("publish: %v", err)
			}
			if err := s.Unpin(key, pin.Path, 1); err != nil {
				t.Errorf("unpin: %v", err) // it isn't ours
			}
		})
	}
}

// TestEmptyDirectoriesGo: those that we made below the directory of a namespace. The latter stays, as loaders need it,
// and so does what others made.
func TestEmptyDirectoriesGo(t *testing.T) {
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	m := newMap(t)
	paths := []string{pin.Path, "globals/tc/table", "bpfmap/edge/ours/deep/table", "bpfmap/edge/theirs/deep/table"}
	if err := os.MkdirAll(filepath.Join(dir, "bpfmap/edge/theirs"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if err := s.Publish(key, m, revision.Pin{Path: path, Mode: 0o600}); err != nil {
			t.Fatal(err)
		}
	}
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if err := s.Unpin(key, path, info.ID); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(s.Forget(t.Context(), key), s.Forget(t.Context(), key)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"bpfmap": true, "bpfmap/edge": true, "bpfmap/_state/edge": false, "globals/tc": true,
		"bpfmap/edge/ours": false, "bpfmap/edge/theirs": true, "bpfmap/edge/theirs/deep": false,
	} {
		if _, err := os.Lstat(filepath.Join(dir, path)); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %t", path, err, want)
		}
	}
}

// TestDamagedRecord takes a record that can't be believed for none.
func TestDamagedRecord(t *testing.T) {
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	if err := s.SaveRecord(t.Context(), &ownership.Record{Key: key, MapID: 7}); err != nil {
		t.Fatal(err)
	}
	if r, err := s.LoadRecord(key); err != nil || r == nil || r.MapID != 7 {
		t.Fatalf("%+v, %v", r, err)
	}
	at := filepath.Join(dir, "bpfmap/_state/edge/a_table/record")
	if err := errors.Join(os.Remove(at), newMap(t).Pin(at)); err != nil {
		t.Fatal(err)
	}
	if r, err := s.LoadRecord(key); r != nil || err != nil {
		t.Errorf("a map that is not a record: %+v, %v", r, err)
	}
	if all, err := s.Records(); len(all) != 0 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	// A record that was moved speaks of another map.
	other := revision.Key{Namespace: "edge", Name: "other"}
	if err := s.SaveRecord(t.Context(), &ownership.Record{Key: other}); err != nil {
		t.Fatal(err)
	}
	if err := bpf.RenamePin(filepath.Join(dir, "bpfmap/_state/edge/other/record"), at, true); err != nil {
		t.Fatal(err)
	}
	if r, err := s.LoadRecord(key); r != nil || err != nil {
		t.Errorf("the record of another map: %+v, %v", r, err)
	}
}
