// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// ErrCrashed is what every call returns once a process has died, see Crash.
var ErrCrashed = errors.New("crashed")

// Crash is the death of a process at its n-th change, counted from 0, of which half is done.
func Crash(n int) Fault {
	return Fault{Call: n, Kind: Partial, Err: ErrCrashed, Dead: true, OnlyChanges: true}
}

// FaultKind is how a call fails.
type FaultKind int

// The kinds of faults.
const (
	// Refused calls don't happen.
	Refused FaultKind = iota
	// Partial calls do half of their elements: Write, Add, Store and Delete change them, Read yields them. Calls
	// without elements are refused.
	Partial
	// Late calls happen, and fail nevertheless.
	Late
	// Incomplete readings miss the second half of the elements, say so, and don't fail: all from Call on,
	// as with a map whose keys are deleted all the time. Other calls aren't touched.
	Incomplete
	// Cancelled calls begin after their context was cancelled.
	Cancelled
)

// String is the kind in a word.
func (k FaultKind) String() string {
	return [...]string{"refused", "partial", "late", "incomplete", "cancelled"}[k]
}

// Fault is what goes wrong.
type Fault struct {
	// Call is which call fails, counted from 0 over the calls of the Backend and its maps, those that only
	// look among them. Close never fails.
	Call int
	Kind FaultKind
	// Err is the error of the call.
	Err error
	// Dead lets every later call be refused with Err, as if the process had died.
	Dead bool
	// OnlyChanges lets only those calls count and fail that change something.
	OnlyChanges bool
	// Cancel cancels the context of the caller, for Cancelled.
	Cancel func()
}

// Faulty is a Backend with one fault.
type Faulty struct {
	engine.Backend
	Fault Fault
	// Before, if not nil, is called before each call that counts, with the map that it is made on, nil for
	// those of the Backend: there, others can do something.
	Before func(name string, on engine.Map)

	calls int
	hit   string
}

// changes are the calls that change something.
var changes = []string{"Create", "Publish", "Unpin", "SaveRecord", "SaveKeys", "Forget", "Write", "Add", "Store", "Delete", "Freeze"}

// Hit is the name of the call that the fault met, empty if it met none.
func (f *Faulty) Hit() string { return f.hit }

// next counts a call. met says that it is the one to fail; err is that of a dead process.
func (f *Faulty) next(name string, on engine.Map) (met bool, err error) {
	if f.Fault.OnlyChanges && !slices.Contains(changes, name) {
		return false, nil
	}
	n := f.calls
	f.calls++
	if f.Before != nil {
		f.Before(name, on)
	}
	switch {
	case f.Fault.Kind == Incomplete:
		if n < f.Fault.Call || name != "Read" {
			return false, nil
		}
		f.hit = name
		return true, nil
	case n == f.Fault.Call && f.Fault.Kind == Cancelled:
		f.hit = name
		f.Fault.Cancel()
		return false, nil
	case n == f.Fault.Call:
		f.hit = name
		return true, nil
	case n > f.Fault.Call && f.Fault.Dead:
		return false, f.Fault.Err
	}
	return false, nil
}

// run makes a call without elements.
func (f *Faulty) run(name string, on engine.Map, call func() error) error {
	met, err := f.next(name, on)
	switch {
	case err != nil:
		return err
	case !met:
		return call()
	case f.Fault.Kind == Late:
		if err := call(); err != nil {
			return err
		}
	}
	return f.Fault.Err
}

// wrap makes m faulty, too.
func (f *Faulty) wrap(m engine.Map) engine.Map {
	if m == nil {
		return nil
	}
	return faultyMap{m, f}
}

// bare is the map without its faults.
func bare(m engine.Map) engine.Map {
	if w, ok := m.(faultyMap); ok {
		return w.Map
	}
	return m
}

// Open shows what there is of a map.
func (f *Faulty) Open(ctx context.Context, key revision.Key, pin *revision.Pin) (s *engine.State, err error) {
	err = f.run("Open", nil, func() error {
		s, err = f.Backend.Open(ctx, key, pin)
		return err
	})
	switch {
	case err == nil:
		s.Pinned, s.KeepAlive = f.wrap(s.Pinned), f.wrap(s.KeepAlive)
		return s, nil
	case s != nil: // late: the caller doesn't get what it would have to close
		for _, m := range []engine.Map{s.Pinned, s.KeepAlive} {
			if m != nil {
				_ = m.Close() // nothing was done with it
			}
		}
	}
	return nil, err
}

// Create makes a map.
func (f *Faulty) Create(ctx context.Context, rev *revision.Revision) (m engine.Map, err error) {
	err = f.run("Create", nil, func() error {
		m, err = f.Backend.Create(ctx, rev)
		return err
	})
	if err != nil && m != nil {
		_ = m.Close() // late, as in Open
	}
	if err != nil {
		return nil, err
	}
	return f.wrap(m), nil
}

// Resolve finds what a name stands for.
func (f *Faulty) Resolve(ctx context.Context, key revision.Key, link v1alpha1.Reference) (target engine.Target, err error) {
	err = f.run("Resolve", nil, func() error {
		target, err = f.Backend.Resolve(ctx, key, link)
		return err
	})
	if err != nil && target.Close != nil {
		_ = target.Close() // late, as in Open
	}
	return target, err
}

// Publish pins m.
func (f *Faulty) Publish(ctx context.Context, key revision.Key, m engine.Map, pin revision.Pin, replaces ...uint32) error {
	return f.run("Publish", nil, func() error { return f.Backend.Publish(ctx, key, bare(m), pin, replaces...) })
}

// Unpin removes a pin.
func (f *Faulty) Unpin(ctx context.Context, key revision.Key, path string, maps ...uint32) error {
	return f.run("Unpin", nil, func() error { return f.Backend.Unpin(ctx, key, path, maps...) })
}

// SaveRecord replaces the record.
func (f *Faulty) SaveRecord(ctx context.Context, r *engine.Record) error {
	return f.run("SaveRecord", nil, func() error { return f.Backend.SaveRecord(ctx, r) })
}

// SaveKeys stores keys.
func (f *Faulty) SaveKeys(ctx context.Context, key revision.Key, generation uint64, keys []byte) error {
	return f.run("SaveKeys", nil, func() error { return f.Backend.SaveKeys(ctx, key, generation, keys) })
}

// Keys are stored keys.
func (f *Faulty) Keys(ctx context.Context, key revision.Key, generation uint64) (keys []byte, err error) {
	err = f.run("Keys", nil, func() error {
		keys, err = f.Backend.Keys(ctx, key, generation)
		return err
	})
	return keys, err
}

// Owners are the other BPFMaps that claim a pin and a map.
func (f *Faulty) Owners(ctx context.Context, key revision.Key, pinPath string, mapID uint32) (ofPin, ofMap *revision.Key, err error) {
	err = f.run("Owners", nil, func() error {
		ofPin, ofMap, err = f.Backend.Owners(ctx, key, pinPath, mapID)
		return err
	})
	return ofPin, ofMap, err
}

// Forget removes the record, the stored keys, the claims and the keep-alive pin.
func (f *Faulty) Forget(ctx context.Context, key revision.Key) error {
	return f.run("Forget", nil, func() error { return f.Backend.Forget(ctx, key) })
}

// Records lists the records.
func (f *Faulty) Records(ctx context.Context) (all []engine.Record, err error) {
	err = f.run("Records", nil, func() error {
		all, err = f.Backend.Records(ctx)
		return err
	})
	return all, err
}

// Users are the programs that use a map.
func (f *Faulty) Users(ctx context.Context, mapID uint32) (users []string, err error) {
	err = f.run("Users", nil, func() error {
		users, err = f.Backend.Users(ctx, mapID)
		return err
	})
	return users, err
}

type faultyMap struct {
	engine.Map
	f *Faulty
}

// Locked is the map under its values' locks, faulty, too.
func (m faultyMap) Locked() engine.Map { return faultyMap{m.Map.Locked(), m.f} }

// Info describes the map.
func (m faultyMap) Info(ctx context.Context) (info engine.MapInfo, err error) {
	err = m.f.run("Info", m.Map, func() error {
		info, err = m.Map.Info(ctx)
		return err
	})
	return info, err
}

// Read streams the elements.
func (m faultyMap) Read(ctx context.Context, yield func(keys, values []byte)) (complete bool, err error) {
	met, err := m.f.next("Read", m.Map)
	switch {
	case err != nil:
		return false, err
	case !met:
		return m.Map.Read(ctx, yield)
	case m.f.Fault.Kind == Refused:
		return false, m.f.Fault.Err
	}
	if err := m.readHalf(ctx, yield); err != nil {
		return false, err
	}
	if m.f.Fault.Kind == Incomplete {
		return false, nil
	}
	return false, m.f.Fault.Err
}

// readHalf yields the first half of the elements.
func (m faultyMap) readHalf(ctx context.Context, yield func(keys, values []byte)) error {
	info, err := m.Map.Info(ctx)
	if err != nil {
		return err
	}
	var keys, values []byte
	if _, err = m.Map.Read(ctx, func(k, v []byte) { keys, values = append(keys, k...), append(values, v...) }); err != nil {
		return err
	}
	if n := len(keys) / int(info.Shape.KeySize); n/2 > 0 {
		yield(keys[:n/2*len(keys)/n], values[:n/2*len(values)/n])
	}
	return nil
}

// Write writes elements.
func (m faultyMap) Write(ctx context.Context, keys, values []byte) error {
	return m.change(ctx, "Write", keys, func(part int) error {
		keys, values := halfOf(part, keys, values)
		return m.Map.Write(ctx, keys, values)
	})
}

// Add writes elements that aren't there.
func (m faultyMap) Add(ctx context.Context, keys, values []byte) (added int, err error) {
	err = m.change(ctx, "Add", keys, func(part int) (err error) {
		keys, values := halfOf(part, keys, values)
		added, err = m.Map.Add(ctx, keys, values)
		return err
	})
	return added, err
}

// Store writes bits of elements that are there.
func (m faultyMap) Store(ctx context.Context, keys, values, mask []byte) (s engine.Stored, err error) {
	err = m.change(ctx, "Store", keys, func(part int) (err error) {
		keys, values := halfOf(part, keys, values)
		s, err = m.Map.Store(ctx, keys, values, mask)
		return err
	})
	return s, err
}

// halfOf is all (0), or the first half of the elements with keys of this many bytes.
func halfOf(keySize int, keys, values []byte) (k, v []byte) {
	if keySize == 0 {
		return keys, values
	}
	n := len(keys) / keySize
	return keys[:n/2*keySize], values[:n/2*(len(values)/n)]
}

// Delete deletes keys.
func (m faultyMap) Delete(ctx context.Context, keys []byte) error {
	return m.change(ctx, "Delete", keys, func(part int) error {
		if part == 0 {
			return m.Map.Delete(ctx, keys)
		}
		return m.Map.Delete(ctx, keys[:len(keys)/part/2*part])
	})
}

// change does all (0), or the first half of the elements with keys of this many bytes.
func (m faultyMap) change(ctx context.Context, name string, keys []byte, do func(keySize int) error) error {
	if m.f.Fault.Kind != Partial || len(keys) == 0 {
		return m.f.run(name, m.Map, func() error { return do(0) })
	}
	met, err := m.f.next(name, m.Map)
	switch {
	case err != nil:
		return err
	case !met:
		return do(0)
	}
	info, err := m.Map.Info(ctx)
	if err != nil {
		return fmt.Errorf("half a call: %w", err)
	}
	if err := do(int(info.Shape.KeySize)); err != nil {
		return err
	}
	return m.f.Fault.Err
}

// Contains asks a bloom filter.
func (m faultyMap) Contains(ctx context.Context, value []byte) (holds bool, err error) {
	err = m.f.run("Contains", m.Map, func() error {
		holds, err = m.Map.Contains(ctx, value)
		return err
	})
	return holds, err
}

// Freeze makes the map read-only.
func (m faultyMap) Freeze(ctx context.Context) error {
	return m.f.run("Freeze", m.Map, func() error { return m.Map.Freeze(ctx) })
}
