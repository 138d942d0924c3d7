// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/nodelock"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestLocksArePerMap holds one map's lock while another map is worked on from beginning to end.
func TestLocksArePerMap(t *testing.T) {
	dir := bpftest.BPFFS(t)
	agent, cli := pinstore.New(dir, pinstore.Options{}), pinstore.New(dir, pinstore.Options{})
	held, err := agent.Lock(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := work(t.Context(), cli, newMap(t), otherKey); err != nil {
		t.Errorf("beside a locked map: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := cli.Lock(ctx, key); !errors.Is(err, context.Canceled) {
		t.Errorf("a lock that is held was taken: %v", err)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
	again, err := cli.Lock(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "bpfmap/_state/*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "_owners" {
		t.Errorf("locks leave %v, %v", left, err)
	}
}

// TestParentGoesMeanwhile makes a directory anew that another process removed, since it was empty, just
// before something was to be made in it.
func TestParentGoesMeanwhile(t *testing.T) {
	dir := bpftest.BPFFS(t)
	made := 0
	s := pinstore.New(dir, pinstore.Options{BeforeStep: func(step string) error {
		if made++; step == "make directory" && made == 4 { // bpfmap, _state, edge, and now a_table
			return os.Remove(filepath.Join(dir, "bpfmap/_state/edge"))
		}
		return nil
	}})
	lock, err := s.Lock(t.Context(), key)
	if err != nil || made < 6 {
		t.Fatalf("%d steps: %v", made, err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
}

// TestParentOfPinGoesMeanwhile makes directories of a pin anew, each time that another process removes the upper
// one, since it is empty, just before the lower one is made in it.
func TestParentOfPinGoesMeanwhile(t *testing.T) {
	dir := bpftest.BPFFS(t)
	removed := 0
	s := pinstore.New(dir, pinstore.Options{BeforeStep: func(step string) error {
		shared := filepath.Join(dir, "shared")
		_, err := os.Stat(shared)
		if isNext := step == "make directory" && err == nil; !isNext || removed == 3 {
			return nil // the directory below is not the next one
		}
		removed++
		return os.Remove(shared)
	}})
	m := newMap(t)
	if err := s.Publish(key, m, revision.Pin{Path: "shared/tables/a", Mode: 0o640}); err != nil || removed != 3 {
		t.Fatalf("after %d removals: %v", removed, err)
	}
	if have := mode(t, filepath.Join(dir, "shared/tables")).Perm(); have != 0o755 {
		t.Errorf("mode %o", have)
	}
}

// TestLockTellsOfLongWaits says which map's lock is waited for, on a clock of its own.
func TestLockTellsOfLongWaits(t *testing.T) {
	dir := bpftest.BPFFS(t)
	held, err := pinstore.New(dir, pinstore.Options{}).Lock(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	synctest.Test(t, func(t *testing.T) {
		s := pinstore.New(dir, pinstore.Options{OnWait: func(w nodelock.Wait) { told = append(told, w.For) }})
		ctx, cancel := context.WithTimeout(t.Context(), 11*time.Second)
		defer cancel()
		if _, err := s.Lock(ctx, key); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("lock: %v", err)
		}
	})
	if len(told) != 1 || !strings.Contains(told[0], "map edge/a.table") || !strings.Contains(told[0], "bpfmap/_state/edge/a_table") {
		t.Errorf("told of %q", told)
	}
	if err := held.Unlock(); err != nil {
		t.Fatal(err)
	}
}

// TestStrangersCantLock tries every lock as another user, who may open the file system and the directories
// of pins, but not the state.
func TestStrangersCantLock(t *testing.T) {
	dir := bpftest.BPFFS(t)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	for parent := filepath.Dir(dir); parent != "/tmp" && parent != "/"; parent = filepath.Dir(parent) {
		if err := os.Chmod(parent, 0o755); err != nil { // where the tests mount it
			t.Fatal(err)
		}
	}
	s := pinstore.New(dir, pinstore.Options{})
	if err := errors.Join(s.SaveRecord(t.Context(), recordOf(key, 7, pin.Path)), s.Publish(key, newMap(t), pin)); err != nil {
		t.Fatal(err)
	}
	asStranger(t, func() {
		for _, rel := range []string{"bpfmap/_state", "bpfmap/_state/_owners", "bpfmap/_state/edge", "bpfmap/_state/edge/a_table"} {
			if f, err := os.Open(filepath.Join(dir, rel)); !errors.Is(err, os.ErrPermission) {
				t.Errorf("a stranger opened %s: %v, %v", rel, f, err)
			}
		}
		for _, rel := range []string{"", "bpfmap", "bpfmap/edge"} {
			f, err := os.Open(filepath.Join(dir, rel))
			if err != nil {
				t.Errorf("a stranger can't even look at %q: %v", rel, err)
				continue
			}
			defer f.Close() // until then it is locked
			if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
				t.Error(err)
			}
		}
		// All of these are locked now. It has no effect.
		done := make(chan error)
		go func() { done <- work(context.Background(), s, newMap(t), otherKey) }()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// asStranger runs do on a thread of a user without privileges, which ends with it.
func asStranger(t *testing.T, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread goes with the goroutine
		const nobody = 65534
		for _, call := range []uintptr{syscall.SYS_SETRESGID, syscall.SYS_SETRESUID} {
			if _, _, errno := syscall.RawSyscall(call, nobody, nobody, nobody); errno != 0 {
				t.Error(errno)
				return
			}
		}
		do()
	}()
	<-done
}

// work does with a map what an engine does, under its lock, and gives it up again.
func work(ctx context.Context, s *pinstore.Store, m *bpf.Map, key revision.Key) (err error) {
	lock, err := s.Lock(ctx, key)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	info, err := m.Info()
	if err != nil {
		return err
	}
	at := revision.Pin{Path: revision.DefaultPinPath(key), Mode: 0o600}
	r := recordOf(key, info.ID, at.Path)
	if ofPin, ofMap, err := s.Owners(ctx, key, at.Path, info.ID); err != nil || ofPin != nil || ofMap != nil {
		return fmt.Errorf("pin of %v, map of %v: %w", ofPin, ofMap, err)
	}
	if err := errors.Join(s.SaveKeys(ctx, key, 1, []byte(key.Name)), s.SaveRecord(ctx, r), s.Publish(key, m, at), s.SaveRecord(ctx, r)); err != nil {
		return err
	}
	loaded, err := s.LoadRecord(key)
	if err != nil || loaded == nil || loaded.MapID != info.ID {
		return fmt.Errorf("the record is %+v: %w", loaded, err)
	}
	return errors.Join(s.Publish(key, m, at, info.ID), s.Unpin(key, at.Path, info.ID), s.Forget(ctx, key))
}

// TestConcurrentMaps works on many maps of one namespace at once, in two stores as in two processes: their
// directories come and go all the time.
func TestConcurrentMaps(t *testing.T) {
	dir := bpftest.BPFFS(t)
	stores := []*pinstore.Store{pinstore.New(dir, pinstore.Options{}), pinstore.New(dir, pinstore.Options{})}
	var workers sync.WaitGroup
	for n := range 8 {
		m := newMap(t)
		workers.Go(func() {
			for range 20 {
				if err := work(t.Context(), stores[n%2], m, revision.Key{Namespace: "edge", Name: fmt.Sprintf("table-%d", n)}); err != nil {
					t.Errorf("map %d: %v", n, err)
					return
				}
			}
		})
	}
	workers.Wait()
	if names := stateNames(t, dir); len(names) != 0 {
		t.Errorf("in the end there is %v", names)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "bpfmap/edge")); err != nil || len(left) > 0 {
		t.Errorf("the directory of pins: %v, %v", left, err)
	}
}

// TestOneClaimant lets many BPFMaps claim one pin and one map at once: one of them gets both or each one.
func TestOneClaimant(t *testing.T) {
	dir := bpftest.BPFFS(t)
	stores := []*pinstore.Store{pinstore.New(dir, pinstore.Options{}), pinstore.New(dir, pinstore.Options{})}
	var mu sync.Mutex
	var won []revision.Key
	var workers sync.WaitGroup
	for n := range 8 {
		workers.Go(func() {
			k := revision.Key{Namespace: "edge", Name: fmt.Sprintf("table-%d", n)}
			err := stores[n%2].SaveRecord(t.Context(), recordOf(k, 7, "shared/table"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won = append(won, k)
			case !errors.Is(err, pinstore.ErrOccupied):
				t.Error(err)
			}
		})
	}
	workers.Wait()
	if len(won) != 1 {
		t.Fatalf("%v claim the same pin", won)
	}
	wantOwners(t, stores[0], "shared/table", 7, won[0].String(), won[0].String())
}
