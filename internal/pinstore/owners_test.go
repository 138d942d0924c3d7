// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

var otherKey = revision.Key{Namespace: "team", Name: "other.table"}

func recordOf(key revision.Key, id uint32, path string) *ownership.Record {
	return &ownership.Record{Key: key, MapID: id, Pin: revision.Pin{Path: path, Mode: 0o600}}
}

func wantOwners(t *testing.T, s *pinstore.Store, path string, id uint32, ofPin, ofMap string) {
	t.Helper()
	pinOwner, mapOwner, err := s.Owners(t.Context(), revision.Key{Namespace: "who", Name: "asks"}, path, id)
	if err != nil {
		t.Fatal(err)
	}
	name := func(k *revision.Key) string {
		if k == nil {
			return ""
		}
		return k.String()
	}
	if name(pinOwner) != ofPin || name(mapOwner) != ofMap {
		t.Errorf("pin %s belongs to %q, want %q; map %d to %q, want %q", path, name(pinOwner), ofPin, id, name(mapOwner), ofMap)
	}
}

// stateNames are the names below bpfmap/_state of everything but directories.
func stateNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	root := filepath.Join(dir, "bpfmap/_state")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, path)
			names = append(names, rel)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestOwners(t *testing.T) {
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	wantOwners(t, s, "a", 7, "", "") // nothing was ever there
	r := recordOf(key, 7, "a")
	r.PreviousMapID, r.PreviousPaths = 6, []string{"b"}
	if err := s.SaveRecord(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"a", "b"} {
		for _, id := range []uint32{6, 7} {
			wantOwners(t, s, path, id, key.String(), key.String())
		}
	}
	wantOwners(t, s, "c", 8, "", "")
	wantOwners(t, s, "", 0, "", "")
	if ofPin, ofMap, err := s.Owners(t.Context(), key, "a", 7); ofPin != nil || ofMap != nil || err != nil {
		t.Errorf("another BPFMap than %s itself: %v, %v, %v", key, ofPin, ofMap, err)
	}
	for _, theirs := range []*ownership.Record{recordOf(otherKey, 9, "a"), recordOf(otherKey, 9, "b"), recordOf(otherKey, 6, "c"), recordOf(otherKey, 7, "c")} {
		if err := s.SaveRecord(t.Context(), theirs); !errors.Is(err, pinstore.ErrOccupied) || !strings.Contains(err.Error(), key.String()) {
			t.Errorf("a record that claims pin %s and map %d: %v", theirs.Pin.Path, theirs.MapID, err)
		}
		wantOwners(t, s, "a", 9, key.String(), "")
	}
	if names, err := filepath.Glob(filepath.Join(dir, "bpfmap/_state/team/other_table/*")); len(names) != 0 || err != nil {
		t.Errorf("a refused record left %v, %v", names, err)
	}
	// What the record doesn't name any more is free.
	r.PreviousMapID, r.PreviousPaths = 0, nil
	if err := errors.Join(s.SaveRecord(t.Context(), r), s.SaveRecord(t.Context(), recordOf(otherKey, 6, "b"))); err != nil {
		t.Fatal(err)
	}
	wantOwners(t, s, "b", 6, otherKey.String(), otherKey.String())
	if n := len(stateNames(t, dir)); n != 2*(1+4) {
		t.Errorf("two records have %d names: %v", n, stateNames(t, dir))
	}
	for _, owned := range []string{"_owners", "edge/a_table"} {
		if got := mode(t, filepath.Join(dir, "bpfmap/_state", owned)).Perm(); got != 0o700 {
			t.Errorf("%s has mode %v", owned, got)
		}
	}
	if err := errors.Join(s.Forget(t.Context(), key), s.Forget(t.Context(), otherKey)); err != nil {
		t.Fatal(err)
	}
	if names := stateNames(t, dir); len(names) != 0 {
		t.Errorf("after Forget there is %v", names)
	}
}

// TestStaleClaims are claims whose record is gone, or speaks of something else: a crash leaves those.
func TestStaleClaims(t *testing.T) {
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	if err := errors.Join(s.SaveRecord(t.Context(), recordOf(key, 7, "a")), os.Remove(filepath.Join(dir, "bpfmap/_state/edge/a_table/record"))); err != nil {
		t.Fatal(err)
	}
	wantOwners(t, s, "a", 7, "", "")
	if err := s.SaveRecord(t.Context(), recordOf(otherKey, 7, "a")); err != nil {
		t.Fatal(err)
	}
	wantOwners(t, s, "a", 7, otherKey.String(), otherKey.String())
	// The first one comes back with another pin, and what it noted of its claims is no claim any more.
	if err := errors.Join(s.SaveRecord(t.Context(), recordOf(key, 8, "b")), s.Forget(t.Context(), key)); err != nil {
		t.Fatal(err)
	}
	wantOwners(t, s, "a", 7, otherKey.String(), otherKey.String())
	// A text that names nobody, and things that are not links.
	claims, err := filepath.Glob(filepath.Join(dir, "bpfmap/_state/_owners/*"))
	if err != nil || len(claims) != 2 {
		t.Fatalf("%v, %v", claims, err)
	}
	if err := errors.Join(os.Remove(claims[0]), os.Symlink("../../..", claims[0]), os.Remove(claims[1]), os.Mkdir(claims[1], 0o700)); err != nil {
		t.Fatal(err)
	}
	wantOwners(t, s, "a", 7, "", "")
	if err := s.SaveRecord(t.Context(), recordOf(otherKey, 7, "a")); err != nil {
		t.Fatal(err)
	}
	wantOwners(t, s, "a", 7, otherKey.String(), otherKey.String())
}

// TestIndexIsBuilt from records that an earlier release left without one.
func TestIndexIsBuilt(t *testing.T) {
	for _, half := range []bool{false, true} {
		dir := bpftest.BPFFS(t)
		s := pinstore.New(dir, pinstore.Options{})
		if err := errors.Join(s.SaveRecord(t.Context(), recordOf(key, 7, "a")), s.SaveRecord(t.Context(), recordOf(otherKey, 8, "b"))); err != nil {
			t.Fatal(err)
		}
		root := filepath.Join(dir, "bpfmap/_state")
		err := os.RemoveAll(filepath.Join(root, "_owners"))
		if half {
			err = errors.Join(err, os.Mkdir(filepath.Join(root, "_owners_new"), 0o700), os.Symlink("edge/a.table", filepath.Join(root, "_owners_new/map_7")))
		}
		for _, name := range stateNames(t, dir) {
			if base := filepath.Base(name); strings.HasPrefix(base, "map_") || strings.HasPrefix(base, "pin_") {
				if !strings.HasPrefix(name, "_owners_new") {
					err = errors.Join(err, os.Remove(filepath.Join(root, name)))
				}
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		wantOwners(t, s, "a", 8, key.String(), otherKey.String())
		wantOwners(t, s, "b", 7, otherKey.String(), key.String())
		if err := errors.Join(s.Forget(t.Context(), key), s.Forget(t.Context(), otherKey)); err != nil {
			t.Fatal(err)
		}
		if names := stateNames(t, dir); len(names) != 0 {
			t.Errorf("after Forget there is %v", names)
		}
	}
}

// TestCrashWhileSaving kills the process before each step: what is known is the former record or the new one
// with its claims, and nothing is left in the end.
func TestCrashWhileSaving(t *testing.T) {
	for at := 0; ; at++ {
		dir := bpftest.BPFFS(t)
		steps, armed := 0, false
		s := pinstore.New(dir, pinstore.Options{BeforeStep: func(string) error {
			if !armed {
				return nil
			}
			if steps++; steps > at {
				return errCrash
			}
			return nil
		}})
		former := recordOf(key, 7, "a")
		former.Keys = ownership.KeyLog{KeySize: 4, Generation: 1, BaseLen: 1}
		next := recordOf(key, 8, "b")
		next.Keys = ownership.KeyLog{KeySize: 4, Generation: 2, BaseLen: 1}
		if err := errors.Join(s.SaveKeys(t.Context(), key, 1, []byte{1, 1, 1, 1}), s.SaveRecord(t.Context(), former)); err != nil {
			t.Fatal(err)
		}
		armed = true
		err := s.SaveKeys(t.Context(), key, 2, []byte{2, 2, 2, 2})
		if err == nil {
			err = s.SaveRecord(t.Context(), next)
		}
		crashed := errors.Is(err, errCrash)
		armed = false
		r, err := s.LoadRecord(key)
		if err != nil || r == nil {
			t.Fatalf("step %d: %v, %v", at, r, err)
		}
		wantOwners(t, s, r.Pin.Path, r.MapID, key.String(), key.String())
		if keys, err := s.Keys(t.Context(), key, r.Keys.Generation); err != nil || !slices.Equal(keys, []byte{byte(r.MapID - 6), byte(r.MapID - 6), byte(r.MapID - 6), byte(r.MapID - 6)}) {
			t.Errorf("step %d: the record names keys %v, %v", at, keys, err)
		}
		if r.MapID == 7 {
			wantOwners(t, s, "b", 8, "", "")
		}
		if err := errors.Join(s.SaveKeys(t.Context(), key, 3, []byte{3, 3, 3, 3}), s.SaveRecord(t.Context(), former)); err != nil && r.MapID == 7 {
			t.Errorf("step %d: %v", at, err)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "bpfmap/_state/edge/a_table/keys_*")); r.MapID == 7 && len(names) != 1 {
			t.Errorf("step %d: keys of a crash are left: %v", at, names)
		}
		if err := s.Forget(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if names := stateNames(t, dir); len(names) != 0 {
			t.Errorf("step %d: after Forget there is %v", at, names)
		}
		if !crashed {
			if at < 8 {
				t.Errorf("only %d steps", at)
			}
			return
		}
	}
}

// TestCrashWhileForgetting kills the process before each step: the record stays known until the pins are
// gone, and the second try leaves nothing.
func TestCrashWhileForgetting(t *testing.T) {
	for at := 0; ; at++ {
		dir := bpftest.BPFFS(t)
		steps, armed := 0, false
		s := pinstore.New(dir, pinstore.Options{BeforeStep: func(string) error {
			if !armed {
				return nil
			}
			if steps++; steps > at {
				return errCrash
			}
			return nil
		}})
		m := newMap(t)
		r := recordOf(key, mapID(t, m), pin.Path)
		if err := errors.Join(s.SaveKeys(t.Context(), key, 1, []byte{1}), s.SaveRecord(t.Context(), r), s.Publish(key, m, pin)); err != nil {
			t.Fatal(err)
		}
		armed = true
		crashed := errors.Is(s.Forget(t.Context(), key), errCrash)
		armed = false
		left, err := s.LoadRecord(key)
		if err != nil {
			t.Fatal(err)
		}
		if left != nil {
			wantOwners(t, s, pin.Path, r.MapID, key.String(), key.String())
		}
		if kept, err := s.KeepAlive(key); kept != nil || err != nil {
			if left == nil {
				t.Errorf("step %d: the record is gone before the KeepAlive pin", at)
			}
			if err := errors.Join(err, kept.Close()); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Forget(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if names := stateNames(t, dir); len(names) != 0 {
			t.Errorf("step %d: after the second Forget there is %v", at, names)
		}
		// It is still at its pin.
		if ids, err := s.Left(); err != nil || !ids[r.MapID] || len(ids) != 1 {
			t.Errorf("step %d: maps %v were left (%v), want %d", at, ids, err, r.MapID)
		}
		// Once it isn't, the next Forget leaves nothing of it.
		other := *r
		other.Key.Name, other.Pin.Path, other.MapID = "other", "bpfmap/"+key.Namespace+"/other", 0
		if err := errors.Join(os.Remove(filepath.Join(dir, pin.Path)), s.SaveRecord(t.Context(), &other), s.Forget(t.Context(), other.Key)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Join(dir, "bpfmap/_left")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("step %d: notes on a map that is gone: %v", at, err)
		}
		if !crashed {
			return
		}
	}
}

// TestLongNames fit into the BPF file system.
func TestLongNames(t *testing.T) {
	s := pinstore.New(bpftest.BPFFS(t), pinstore.Options{})
	long := revision.Key{Namespace: strings.Repeat("n", 63), Name: strings.Repeat("m", 62) + "." + strings.Repeat("m", 62) + "." + strings.Repeat("m", 62) + "." + strings.Repeat("m", 64)}
	if err := s.SaveRecord(t.Context(), recordOf(long, 1<<31-1, "bpfmap/"+strings.Repeat("p/", 60)+strings.Repeat("p", 255))); err != nil {
		t.Fatal(err)
	}
	if _, ofMap, err := s.Owners(t.Context(), key, "", 1<<31-1); err != nil || ofMap == nil || *ofMap != long {
		t.Error(fmt.Errorf("map of %v: %w", ofMap, err))
	}
}
