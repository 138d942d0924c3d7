// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

var errCrash = errors.New("crashed")

// scene is one BPF file system in which a stranger acts before a step, and the process may die before a
// later one.
type scene struct {
	*testing.T
	dir        string
	store      *pinstore.Store
	ours, next *bpf.Map // at the pin so far, and to be published
	strangers  []*bpf.Map
	steps      []string
	// before is called with the number and the name of each step.
	before func(n int, step string) error
}

func newScene(t *testing.T, noExchange bool) *scene {
	t.Helper()
	s := &scene{T: t, dir: bpftest.BPFFS(t), ours: newMap(t), next: newMap(t)}
	s.store = pinstore.New(s.dir, pinstore.Options{NoExchange: noExchange, BeforeStep: func(step string) error {
		if s.before == nil {
			return nil
		}
		s.steps = append(s.steps, step)
		return s.before(len(s.steps)-1, step)
	}})
	return s
}

// exchanging are the ways in which pins are replaced on this kernel: in exchange, and by rename(2) as before
// Linux 5.16.
func exchanging(t *testing.T) map[string]bool {
	t.Helper()
	ways := map[string]bool{"rename": true}
	if canExchange(t) {
		ways["exchange"] = false
	}
	return ways
}

// canExchange says whether this kernel exchanges pins, as all do since Linux 5.16.
func canExchange(t *testing.T) bool {
	t.Helper()
	d, err := bpf.OpenDir(bpftest.BPFFS(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, name := range []string{"a", "b"} {
		if err := d.Pin(newMap(t), name); err != nil {
			t.Fatal(err)
		}
	}
	err = d.Exchange("a", d, "b")
	if newer := !bpftest.Kernel(t).Before(maptype.Kernel{Major: 5, Minor: 16}); err != nil && (newer || !errors.Is(err, bpf.ErrNotSupported)) {
		t.Fatalf("exchange pins: %v", err)
	}
	return err == nil
}

// intrude puts a new map of a stranger at the pin.
func (s *scene) intrude() {
	s.Helper()
	m := newMap(s.T)
	s.strangers = append(s.strangers, m)
	aside := filepath.Join(s.dir, fmt.Sprintf("stranger%d", len(s.strangers)))
	if err := errors.Join(os.MkdirAll(filepath.Join(s.dir, "bpfmap/edge"), 0o755), m.Pin(aside), bpf.RenamePin(aside, filepath.Join(s.dir, pin.Path), true)); err != nil {
		s.Fatal(err)
	}
}

// wantPin checks which map is at the pin, nil for none, and that nothing is left aside.
func (s *scene) wantPin(m *bpf.Map, why string) {
	s.Helper()
	at := filepath.Join(s.dir, pin.Path)
	switch _, err := os.Lstat(at); {
	case m == nil && err == nil:
		s.Errorf("%s: map %d is at the pin, want none", why, pinnedID(s.T, at))
	case m != nil && err != nil:
		s.Errorf("%s: %v, want map %d", why, err, mapID(s.T, m))
	case m != nil && pinnedID(s.T, at) != mapID(s.T, m):
		s.Errorf("%s: map %d is at the pin, want map %d", why, pinnedID(s.T, at), mapID(s.T, m))
	}
	for _, name := range []string{"next", "exchange"} {
		if _, err := os.Lstat(filepath.Join(s.dir, "bpfmap/_state/edge/a_table", name)); err == nil {
			s.Errorf("%s: %s is left", why, name)
		}
	}
}

// pinChange is a way in which a pin changes: what is done, with which map at the pin at the end, and the
// step from which on the work is done.
type pinChange struct {
	name    string
	prepare func(s *scene) error
	change  func(s *scene) error
	want    func(s *scene) *bpf.Map
	done    string
}

var changes = []pinChange{
	{
		"publish where nothing is",
		func(*scene) error { return nil },
		func(s *scene) error { return s.store.Publish(key, s.next, pin) },
		func(s *scene) *bpf.Map { return s.next },
		"none",
	},
	{
		"publish with another mode",
		func(s *scene) error { return s.store.Publish(key, s.ours, pin) },
		func(s *scene) error {
			changed := pin
			changed.Mode = 0o600
			return s.store.Publish(key, s.ours, changed)
		},
		func(s *scene) *bpf.Map { return s.ours },
		"remove what was exchanged",
	},
	{
		"publish over another map",
		func(s *scene) error { return s.store.Publish(key, s.ours, pin) },
		func(s *scene) error { return s.store.Publish(key, s.next, pin, mapID(s.T, s.ours)) },
		func(s *scene) *bpf.Map { return s.next },
		"remove what was exchanged",
	},
	{
		"unpin",
		func(s *scene) error { return s.store.Publish(key, s.ours, pin) },
		func(s *scene) error { return s.store.Unpin(key, pin.Path, 0, mapID(s.T, s.ours)) },
		func(*scene) *bpf.Map { return nil },
		"remove what was exchanged",
	},
}

// TestStrangersMapStays lets a stranger's map appear at the pin before each step of each change. It stays
// there, and unless the pin was already ours the error says which map it is.
func TestStrangersMapStays(t *testing.T) {
	for way, noExchange := range exchanging(t) {
		for _, c := range changes {
			t.Run(c.name+" by "+way, func(t *testing.T) {
				at := 0
				for intrudeAt(t, c, noExchange, at) {
					at++
				}
				if at < 3 {
					t.Errorf("only %d steps", at)
				}
			})
		}
	}
}

// intrudeAt lets a stranger's map appear before a step, and says whether there is that step.
func intrudeAt(t *testing.T, c pinChange, noExchange bool, at int) bool {
	t.Helper()
	s := newScene(t, noExchange)
	if err := c.prepare(s); err != nil {
		t.Fatal(err)
	}
	done, isLost := false, false
	s.before = func(n int, step string) error {
		if n == at {
			s.intrude()
			done = step == c.done
			isLost = step == "rename over pin" // nothing can be done about it there
		}
		return nil
	}
	err := c.change(s)
	if len(s.steps) <= at {
		if err != nil {
			t.Error(err)
		}
		s.wantPin(c.want(s), "undisturbed")
		return false
	}
	why := fmt.Sprintf("a map appears before step %d (%s)", at, s.steps[at])
	if isLost {
		s.wantPin(c.want(s), why)
	} else {
		s.wantPin(s.strangers[0], why)
	}
	switch named := err != nil && strings.Contains(err.Error(), fmt.Sprintf("map %d", mapID(t, s.strangers[0]))); {
	case c.name == "unpin" || done || isLost:
		if err != nil {
			t.Errorf("%s: %v", why, err)
		}
	case !errors.Is(err, pinstore.ErrOccupied) || !named:
		t.Errorf("%s: %v, want it to name the map", why, err)
	}
	return true
}

// TestCrashInExchange kills the process before each step that follows the appearance of a stranger's map in
// the last moment. The next run puts that back.
func TestCrashInExchange(t *testing.T) {
	for _, c := range changes[1:] {
		t.Run(c.name, func(t *testing.T) {
			for after := 1; ; after++ {
				s := newScene(t, false)
				if err := c.prepare(s); err != nil {
					t.Fatal(err)
				}
				intruded, crashed := -1, false
				s.before = func(n int, step string) error {
					if step == "exchange pins" || step == "move pin aside" {
						s.intrude()
						intruded = n
					}
					if crashed = intruded >= 0 && n >= intruded+after; crashed {
						return errCrash
					}
					return nil
				}
				err := c.change(s)
				if crashed != errors.Is(err, errCrash) {
					t.Fatalf("crashed %t: %v", crashed, err)
				}
				s.before = nil
				if err := s.store.Recover(key); err != nil {
					t.Error(err)
				}
				s.wantPin(s.strangers[0], fmt.Sprintf("after %v", s.steps))
				if !crashed {
					if after < 3 {
						t.Errorf("only %d steps", after)
					}
					return
				}
			}
		})
	}
}

// TestCrashWithoutStrangers kills the process before each step: the next try arrives.
func TestCrashWithoutStrangers(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			for at := 0; ; at++ {
				s := newScene(t, false)
				if err := c.prepare(s); err != nil {
					t.Fatal(err)
				}
				s.before = func(n int, _ string) error {
					if n >= at {
						return errCrash
					}
					return nil
				}
				crashed := errors.Is(c.change(s), errCrash)
				s.before = nil
				if err := errors.Join(s.store.Recover(key), c.change(s)); err != nil {
					t.Errorf("after a crash before step %d: %v", at, err)
				}
				s.wantPin(c.want(s), fmt.Sprintf("after %v", s.steps))
				if !crashed {
					return
				}
			}
		})
	}
}

// TestTwoStrangers act one after the other, within the exchange and within its reversal. Both maps live.
func TestTwoStrangers(t *testing.T) {
	s := newScene(t, false)
	if err := s.store.Publish(key, s.ours, pin); err != nil {
		t.Fatal(err)
	}
	s.before = func(_ int, step string) error {
		if step == "exchange pins" || step == "exchange pins back" {
			s.intrude()
		}
		return nil
	}
	err := s.store.Publish(key, s.next, pin, mapID(t, s.ours))
	if !canExchange(t) { // nothing is taken from the pin that would have to go back
		if !errors.Is(err, pinstore.ErrOccupied) || len(s.strangers) != 1 {
			t.Fatalf("%d strangers: %v", len(s.strangers), err)
		}
		s.wantPin(s.strangers[0], "refused")
		return
	}
	if !errors.Is(err, pinstore.ErrOccupied) || !strings.Contains(err.Error(), "is kept at") || len(s.strangers) != 2 {
		t.Fatalf("%d strangers: %v", len(s.strangers), err)
	}
	at, aside := pinnedID(t, filepath.Join(s.dir, pin.Path)), filepath.Join(s.dir, "bpfmap/_state/edge/a_table/next")
	first, second := mapID(t, s.strangers[0]), mapID(t, s.strangers[1])
	if kept := pinnedID(t, aside); at+kept != first+second || at == kept {
		t.Errorf("map %d is at the pin and map %d aside, want %d and %d", at, kept, first, second)
	}
	// Once the pin is free, what was kept goes back.
	s.before = nil
	if err := errors.Join(os.Remove(filepath.Join(s.dir, pin.Path)), s.store.Recover(key)); err != nil {
		t.Fatal(err)
	}
	s.wantPin(map[bool]*bpf.Map{true: s.strangers[0], false: s.strangers[1]}[at == second], "the pin is free")
}

// TestStrangersThing is anything but a map that appears in the last moment.
func TestStrangersThing(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"directory": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
		"link":      func(path string) error { return errors.Join(os.Remove(path), os.Symlink("/", path)) },
	} {
		s := newScene(t, false)
		if err := s.store.Publish(key, s.ours, pin); err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(s.dir, pin.Path)
		s.before = func(_ int, step string) error {
			if step == "exchange pins" {
				return put(at)
			}
			return nil
		}
		before := mode(t, at)
		if err := s.store.Publish(key, s.next, pin, mapID(t, s.ours)); !errors.Is(err, pinstore.ErrOccupied) {
			t.Errorf("%s: %v", name, err)
		}
		if after := mode(t, at); after.Type() == before.Type() {
			t.Errorf("%s: there is a pin again: %v", name, after)
		}
	}
}

// TestOlderKernel has no RENAME_EXCHANGE: pins are replaced by rename(2).
func TestOlderKernel(t *testing.T) {
	s := newScene(t, true)
	if err := errors.Join(s.store.Publish(key, s.ours, pin), s.store.Publish(key, s.next, pin, mapID(t, s.ours))); err != nil {
		t.Fatal(err)
	}
	s.wantPin(s.next, "replaced")
	s.intrude()
	if err := s.store.Publish(key, s.ours, pin, mapID(t, s.next)); !errors.Is(err, pinstore.ErrOccupied) {
		t.Errorf("over a stranger's map: %v", err)
	}
	s.wantPin(s.strangers[0], "refused")
}

// TestDirectoryGoesMeanwhile makes the directory of the pin anew when somebody else removed it since it was
// empty.
func TestDirectoryGoesMeanwhile(t *testing.T) {
	s := newScene(t, false)
	removed := false
	s.before = func(_ int, step string) error {
		if step == "rename to pin" && !removed {
			removed = true
			return os.Remove(filepath.Join(s.dir, filepath.Dir(pin.Path)))
		}
		return nil
	}
	if err := s.store.Publish(key, s.next, pin); err != nil || !removed {
		t.Fatalf("removed %t: %v", removed, err)
	}
	s.wantPin(s.next, "published")
}
