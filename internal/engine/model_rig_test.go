// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// rig is a backend that a history can wreck. The Backend in it never fails by itself: the engine of the
// history works on faulty.
type rig struct {
	engine.Backend
	faulty *enginetest.Faulty

	// everything are the paths of all that is pinned, the state of ours among them.
	everything func() ([]string, error)
	wipe       func() error
	lose       func(key revision.Key, record bool) error
	chmod      func(path string, mode fs.FileMode) error
	// leaks is what the engine has left open.
	leaks func() (int, error)
	// arm and disarm put a fault below the backend, nil where there is nothing below; disarm says what it
	// met.
	arm    func(f *modelFault, cancel func())
	disarm func() string
	// links are what names of the node stand for; setLink changes that, nil where it can't be changed.
	links   map[v1alpha1.Reference]uint64
	setLink func(link v1alpha1.Reference, id uint64)
	// peek are the elements of a map that nobody can list, nil where that is so for us, too.
	peek func(m engine.Map) map[string]string
}

// modelFault is a fault and how it is to be told.
type modelFault struct {
	enginetest.Fault
	errno syscall.Errno
	// below says that the fault is one of the kernel and not of the backend, if there is a kernel.
	below bool
}

func (f *modelFault) String() string {
	if f == nil {
		return ""
	}
	if f.Dead {
		return fmt.Sprintf(" and dies at call %d (%s, below %t)", f.Call, f.Kind, f.below)
	}
	return fmt.Sprintf(" with call %d %s (%s, below %t)", f.Call, f.Kind, errnoName(f.errno), f.below)
}

func errnoName(e syscall.Errno) string { return fmt.Sprintf("errno %d %s", int(e), e.Error()) }

// never is the call that a disarmed fault meets.
const never = math.MaxInt

// arms puts a fault in place for one operation; stop takes it away and says what the fault met.
// cancel cancels the context of the operation.
func (r *rig) arms(f *modelFault, cancel func()) (stop func() string) {
	*r.faulty = enginetest.Faulty{Backend: r.Backend, Fault: enginetest.Fault{Call: never}}
	switch {
	case f == nil:
		return func() string { return "" }
	case f.below && r.arm != nil:
		r.arm(f, cancel)
		return r.disarm
	}
	r.faulty.Fault = f.Fault
	r.faulty.Fault.Err, r.faulty.Fault.Cancel = backendError(f.errno), cancel
	return r.faulty.Hit
}

// backendError is an errno as a Backend gives it.
func backendError(errno syscall.Errno) error {
	err := fmt.Errorf("injected: %w", errno)
	switch errno {
	case syscall.ENOMEM:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonOutOfMemory, Err: err}
	case syscall.E2BIG:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonMapFull, Err: err}
	case syscall.EPERM:
		return &engine.Error{ReasonCode: v1alpha1.NodeReasonNotPermitted, Err: err}
	}
	return err
}

func memoryRig() *rig {
	m := enginetest.NewMemory()
	m.SetLink(loopback, 1)
	return &rig{
		links: map[v1alpha1.Reference]uint64{loopback: 1}, setLink: m.SetLink, peek: m.Elements,
		Backend: m, faulty: &enginetest.Faulty{},
		everything: func() ([]string, error) { return m.Pins(), nil },
		wipe:       func() error { m.Wipe(); return nil },
		lose: func(key revision.Key, record bool) error {
			if record {
				m.LoseRecord(key)
			} else {
				m.LoseKept(key)
			}
			return nil
		},
		chmod: func(path string, mode fs.FileMode) error { m.Chmod(path, mode); return nil },
		leaks: func() (int, error) { return m.OpenHandles(), nil },
	}
}

// kernelRig works on this machine's kernel. Its faults below the backend are system calls that fail and
// changes of the BPF file system that don't happen, counted together.
func kernelRig(t *testing.T, root, cgroups string) *rig {
	t.Helper()
	f := &kernelFault{}
	b, err := kernel.New(root, kernel.Options{Pins: pinstore.Options{BeforeStep: f.step}, References: kernel.ReferenceOptions{Cgroups: cgroups}})
	if err != nil {
		t.Fatal(err)
	}
	lo, err := net.InterfaceByName(loopback.Name)
	if err != nil {
		t.Fatal(err)
	}
	state := func(key revision.Key, name string) string {
		return filepath.Join(root, "bpfmap/_state", key.Namespace, key.Name, name)
	}
	return &rig{
		Backend: b, faulty: &enginetest.Faulty{},
		everything: func() ([]string, error) { return pinsBelow(root) },
		wipe: func() error {
			if err := syscall.Unmount(root, syscall.MNT_DETACH); err != nil {
				return err
			}
			return syscall.Mount("bpf", root, "bpf", 0, "mode=0755")
		},
		lose: func(key revision.Key, record bool) error {
			name := "map"
			if record {
				name = "record"
			}
			return ignoreAbsent(os.Remove(state(key, name)))
		},
		chmod: func(path string, mode fs.FileMode) error {
			return ignoreAbsent(os.Chmod(filepath.Join(root, path), mode))
		},
		leaks: func() (int, error) {
			open, err := bpftest.OpenDescriptors()
			return len(open), err
		},
		arm: f.arm, disarm: f.disarm,
		links: map[v1alpha1.Reference]uint64{loopback: uint64(lo.Index)},
		peek:  func(engine.Map) map[string]string { return nil },
	}
}

func ignoreAbsent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// pinsBelow are all files below root, relative to it, and the directories of maps' states. The directory of
// all state and those of its index stay, and so do notes on maps that were left.
func pinsBelow(root string) ([]string, error) {
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if strings.HasPrefix(rel, "bpfmap/_left") {
			return err // notes on maps that were left stay
		}
		if !d.IsDir() || strings.HasPrefix(rel, "bpfmap/_state/") && !strings.HasPrefix(rel, "bpfmap/_state/_owners") {
			all = append(all, rel)
		}
		return err
	})
	return all, err
}

// kernelFault is one fault of the kernel.
type kernelFault struct {
	fault  *modelFault
	cancel func()
	calls  int
	hit    string
}

func (k *kernelFault) arm(f *modelFault, cancel func()) {
	*k = kernelFault{fault: f, cancel: cancel}
	hook := k.call
	sys.Intercept.Store(&hook)
}

func (k *kernelFault) disarm() string {
	sys.Intercept.Store(nil)
	k.fault = nil
	return k.hit
}

// next counts a call or a step and says whether it is to fail.
func (k *kernelFault) next(name string) bool {
	if k.fault == nil {
		return false
	}
	n := k.calls
	k.calls++
	if n == k.fault.Call {
		k.hit = name
		if k.fault.Kind == enginetest.Cancelled {
			k.cancel()
			return false
		}
		return true
	}
	return n > k.fault.Call && k.fault.Dead
}

// plausible are the errnos with which commands fail for a moment, whatever they are called for.
var plausible = map[sys.Cmd][]syscall.Errno{
	sys.MapCreate:      {syscall.ENOMEM, syscall.EPERM, syscall.EMFILE, syscall.EINTR, syscall.EAGAIN},
	sys.MapUpdateElem:  {syscall.ENOMEM, syscall.EBUSY, syscall.EINTR, syscall.EAGAIN},
	sys.MapUpdateBatch: {syscall.ENOMEM, syscall.EBUSY, syscall.E2BIG, syscall.EINTR, syscall.EAGAIN},
	sys.MapDeleteBatch: {syscall.EBUSY, syscall.ENOMEM, syscall.EINTR},
	sys.MapDeleteElem:  {syscall.EBUSY, syscall.EINTR},
	sys.MapLookupBatch: {syscall.ENOMEM, syscall.ENOSPC, syscall.EINTR, syscall.EAGAIN},
	sys.MapFreeze:      {syscall.EBUSY, syscall.EINTR},
	sys.ObjPin:         {syscall.ENOSPC, syscall.ENOMEM, syscall.EPERM},
	sys.ObjGet:         {syscall.EMFILE, syscall.ENOMEM, syscall.EPERM},
}

func (k *kernelFault) call(cmd sys.Cmd) syscall.Errno {
	if !k.next(fmt.Sprintf("bpf command %d", cmd)) {
		return 0
	}
	if k.fault.Dead {
		return syscall.EIO
	}
	if list := plausible[cmd]; len(list) > 0 {
		return list[int(k.fault.errno)%len(list)]
	}
	return syscall.ENOMEM
}

func (k *kernelFault) step(name string) error {
	if !k.next(name) {
		return nil
	}
	return fmt.Errorf("%s: injected: %w", name, k.fault.errno)
}

// view is a map as it is.
type view struct {
	engine.MapInfo
	elements map[string]string // without the zero ones of arrays, of filters by value; nil where nobody can know
	differs  bool              // mode or owner of the pin aren't those of the look
	mode     fs.FileMode       // of the pin
}

// snapshot is all that there is.
type snapshot struct {
	pins    map[string]*view
	kept    map[revision.Key]*view
	records map[revision.Key]*engine.Record
	text    map[revision.Key]string // the records, to be compared
}

// all are the maps that are pinned, once for each pin.
func (s *snapshot) all() []*view {
	return slices.AppendSeq(slices.Collect(maps.Values(s.pins)), maps.Values(s.kept))
}

// find is a map that is pinned somewhere, nil if it isn't.
func (s *snapshot) find(id uint32) *view {
	for _, v := range s.all() {
		if v.ID == id {
			return v
		}
	}
	return nil
}

func (s *snapshot) has(id uint32) bool { return s.find(id) != nil }

// look takes a snapshot. specs say what the pins are to be like.
func (r *rig) look(ctx context.Context, modes map[string]fs.FileMode) (*snapshot, error) {
	s := &snapshot{map[string]*view{}, map[revision.Key]*view{}, map[revision.Key]*engine.Record{}, map[revision.Key]string{}}
	for _, path := range modelPins {
		nobody := revision.Key{Namespace: "nobody", Name: "x"}
		state, err := r.Open(ctx, nobody, &revision.Pin{Path: path, Mode: modes[path]})
		if err != nil {
			return nil, fmt.Errorf("look at pin %s: %w", path, err)
		}
		v, err := r.newView(ctx, state.Pinned)
		if err != nil {
			return nil, err
		}
		if v != nil {
			v.differs = state.Found.Mode != modes[path]
			v.mode = state.Found.Mode
			s.pins[path] = v
		}
	}
	for _, key := range modelKeys {
		state, err := r.Open(ctx, key, nil)
		if err != nil {
			return nil, fmt.Errorf("look at the state of %s: %w", key, err)
		}
		v, err := r.newView(ctx, state.KeepAlive)
		if err != nil {
			return nil, err
		}
		if v != nil {
			s.kept[key] = v
		}
		if state.Record != nil {
			text, err := ownership.Encode(state.Record)
			if err != nil {
				return nil, err
			}
			s.records[key], s.text[key] = state.Record, string(text)
		}
	}
	return s, nil
}
