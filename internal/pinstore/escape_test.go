// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// foreignDir is a directory below an allowed prefix, which may belong to anybody.
const foreignDir = "xdp/app"

// TestSwappedDirectory puts a symbolic link in the place of a directory at every step of a publication. The
// pin goes into the directory that was checked, and never where the link leads.
func TestSwappedDirectory(t *testing.T) {
	foreign := revision.Pin{Path: foreignDir + "/table", Mode: 0o600}
	for at := 0; ; at++ {
		dir := bpftest.BPFFS(t)
		victim := filepath.Join(dir, "bpfmap/other")
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, foreignDir), 0o755), os.MkdirAll(victim, 0o755)); err != nil {
			t.Fatal(err)
		}
		theirs := newMap(t)
		if err := theirs.Pin(filepath.Join(victim, "table")); err != nil {
			t.Fatal(err)
		}
		steps := 0
		s := pinstore.New(dir, pinstore.Options{BeforeStep: func(string) error {
			steps++
			if steps-1 != at {
				return nil
			}
			return errors.Join(
				os.Rename(filepath.Join(dir, foreignDir), filepath.Join(dir, "xdp/moved")),
				os.Symlink(victim, filepath.Join(dir, foreignDir)))
		}})
		err := s.Publish(key, newMap(t), foreign, mapID(t, theirs))
		if id := pinnedID(t, filepath.Join(victim, "table")); id != mapID(t, theirs) {
			t.Fatalf("step %d: map %d took the pin of another namespace (%v)", at, id, err)
		}
		if err != nil && !errors.Is(err, pinstore.ErrOccupied) {
			t.Errorf("step %d: %v", at, err)
		}
		if steps <= at {
			return // all steps are done
		}
	}
}

func mapID(t *testing.T, m *bpf.Map) uint32 {
	t.Helper()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	return info.ID
}

func pinnedID(t *testing.T, path string) uint32 {
	t.Helper()
	m, err := bpf.GetPinned(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close() // only looked at
	return mapID(t, m)
}

// TestStateThatOthersWrite isn't believed: others who may write there could forge records.
func TestStateThatOthersWrite(t *testing.T) {
	for _, at := range []string{"bpfmap", "bpfmap/_state", "bpfmap/_state/edge", "bpfmap/_state/edge/a_table"} {
		for how, spoil := range map[string]func(path string) error{
			"mode":  func(path string) error { return os.Chmod(path, 0o777) },
			"owner": func(path string) error { return os.Chown(path, 65534, 65534) },
		} {
			dir := bpftest.BPFFS(t)
			s := pinstore.New(dir, pinstore.Options{})
			if err := s.SaveRecord(t.Context(), &ownership.Record{Key: key, MapID: 7}); err != nil {
				t.Fatal(err)
			}
			if err := spoil(filepath.Join(dir, at)); err != nil {
				t.Fatal(err)
			}
			if r, err := s.LoadRecord(key); r != nil {
				t.Errorf("%s of %s: the record is believed: %+v, %v", how, at, r, err)
			}
			if err := s.Publish(key, newMap(t), pin); !errors.Is(err, pinstore.ErrOccupied) {
				t.Errorf("%s of %s: publish: %v", how, at, err)
			}
		}
	}
}

// TestForgedRecord is a map with the bytes of a record that isn't one of ours: it isn't frozen, or it is
// reached by a symbolic link.
func TestForgedRecord(t *testing.T) {
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	if err := s.SaveRecord(t.Context(), &ownership.Record{Key: key, MapID: 1}); err != nil {
		t.Fatal(err)
	}
	text, err := ownership.Encode(&ownership.Record{Key: key, MapID: 99})
	if err != nil {
		t.Fatal(err)
	}
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, Name: "bpfmap_record", KeySize: 4, ValueSize: uint32(len(text)), MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close() // only written here
	at := filepath.Join(dir, "bpfmap/_state/edge/a_table/record")
	if err := errors.Join(m.UpdateElem(bpf.IndexKey(nil, 0), text, bpf.Any), os.Remove(at), m.Pin(at)); err != nil {
		t.Fatal(err)
	}
	if r, err := s.LoadRecord(key); r != nil || err != nil {
		t.Errorf("a record that anybody can still write to: %+v, %v", r, err)
	}
	if err := errors.Join(m.Freeze(), os.Rename(at, filepath.Join(dir, "elsewhere")), os.Symlink(filepath.Join(dir, "elsewhere"), at)); err != nil {
		t.Fatal(err)
	}
	if r, err := s.LoadRecord(key); r != nil || err != nil {
		t.Errorf("a record behind a symbolic link: %+v, %v", r, err)
	}
	if all, err := s.Records(); len(all) != 0 || err != nil {
		t.Errorf("one forged record hides all others: %v, %v", all, err)
	}
}

// TestNamesOfDirectories refuses what would lead up or nowhere.
func TestNamesOfDirectories(t *testing.T) {
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	for _, path := range []string{"bpfmap/edge/../other/x", "../x", "bpfmap//x", "./x"} {
		if err := s.Publish(key, newMap(t), revision.Pin{Path: path, Mode: 0o600}); err == nil || !strings.Contains(err.Error(), "not a path of a pin") {
			t.Errorf("%s: %v", path, err)
		}
	}
	long := revision.Pin{Path: "bpfmap/edge/" + strings.Repeat("a", 256), Mode: 0o600}
	if err := s.Publish(key, newMap(t), long); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a name of 256 characters: %v", err)
	}
}
