// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernels_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/test/kernels"
)

// samples are all sample maps, those of maps that refer to others last.
func samples(t *testing.T) []*v1alpha1.BPFMap {
	t.Helper()
	set := manifest.Read(manifest.Options{Paths: []string{"../../config/samples", "../../config/samples/types", "../../config/samples/node", "../../config/samples/newer"}})
	for _, p := range set.Problems {
		t.Fatal(p)
	}
	var maps []*v1alpha1.BPFMap
	for _, m := range set.Manifests {
		maps = append(maps, m.Map)
	}
	slices.SortStableFunc(maps, func(a, b *v1alpha1.BPFMap) int {
		switch {
		case a.Spec.Inner == nil && b.Spec.Inner != nil:
			return -1
		case a.Spec.Inner != nil && b.Spec.Inner == nil:
			return 1
		}
		return 0
	})
	return maps
}

// node is the engine on this kernel.
type node struct {
	*engine.Engine
	t       *testing.T
	backend engine.Backend
	bpffs   string
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, bpffs: bpftest.BPFFS(t)}
	cgroups := t.TempDir()
	if err := syscall.Mount("none", cgroups, "cgroup2", 0, ""); err != nil {
		t.Fatalf("mount cgroup2 (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(cgroups, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	if err := bpf.AllowMemlock(); err != nil {
		t.Fatal(err)
	}
	b, err := kernel.New(n.bpffs, kernel.Options{References: kernel.ReferenceOptions{Cgroups: cgroups}})
	if err != nil {
		t.Fatal(err)
	}
	n.backend, n.Engine = b, engine.New(b, engine.Options{})
	return n
}

// revise compiles a sample under a name of its own, changed; nil if the compiler refuses the change.
func (n *node) revise(sample *v1alpha1.BPFMap, name string, change func(*v1alpha1.BPFMapSpec)) *revision.Revision {
	n.t.Helper()
	m := sample.DeepCopy()
	if name != "" {
		m.Name, m.Spec.Pin = name, nil
		plainly(&m.Spec)
	}
	change(&m.Spec)
	r, err := compile.Compile(m)
	if err != nil && m.Spec.SyncPolicy != sample.Spec.SyncPolicy {
		m.Spec.SyncPolicy = sample.Spec.SyncPolicy // what can't be listed can't be mirrored
		r, err = compile.Compile(m)
	}
	if err != nil {
		n.t.Logf("%s: %v", m.Spec.Type, err)
		return nil
	}
	r.UID, r.Name, r.Number = "uid-"+m.Name, m.Name+"-1", 1
	return r
}

func asDeclared(*v1alpha1.BPFMapSpec) {}

// plainly takes away what a sample shows beside its type, so that everything can be tried with it.
func plainly(s *v1alpha1.BPFMapSpec) {
	s.Freeze, s.SyncPolicy, s.DriftPolicy = false, v1alpha1.SyncMirror, v1alpha1.DriftRepair
}

// TestMatrix tries on this kernel what the documentation tells of it. With RESULTS it writes the matrix into
// that folder.
func TestMatrix(t *testing.T) {
	n := newNode(t)
	all := samples(t)
	for _, m := range all { // others refer to them
		if r := n.revise(m, "", asDeclared); r != nil {
			n.Sync(t.Context(), r)
		}
	}
	matrix := kernels.Matrix{Release: release(t)}
	for _, typ := range maptype.Offered() {
		at := slices.IndexFunc(all, func(m *v1alpha1.BPFMap) bool { return string(m.Spec.Type) == typ.Name })
		if at < 0 {
			t.Errorf("no sample is of type %s", typ.Name)
			continue
		}
		matrix.Types = append(matrix.Types, n.try(typ, all[at]))
	}
	n.check(matrix)
	if results := os.Getenv("RESULTS"); results != "" {
		if err := matrix.Write(filepath.Join(results, "matrix.json")); err != nil {
			t.Fatal(err)
		}
	}
}

// check holds the matrix to what must be so on every kernel: a type that the kernel has is made, one that it
// doesn't have is refused by the reason.
func (n *node) check(m kernels.Matrix) {
	n.t.Helper()
	running := version(n.t, m)
	for _, row := range m.Types {
		want := kernels.Yes
		if running.Before(maptype.ByName(row.Type).Since) {
			want = v1alpha1.NodeReasonNotSupported
		}
		if row.Made != want {
			n.t.Errorf("%s is made: %s, want %s on %s", row.Type, row.Made, want, m.Release)
		}
	}
}

// try tries everything with one type.
func (n *node) try(typ *maptype.Type, sample *v1alpha1.BPFMap) kernels.Row {
	n.t.Helper()
	row := kernels.Row{Type: typ.Name}
	rev := n.revise(sample, "matrix", asDeclared)
	if rev == nil {
		n.t.Fatalf("the sample of %s doesn't compile", typ.Name)
	}
	report := n.Sync(n.t.Context(), rev)
	defer n.remove(rev.Key)
	if row.Made = answer(report); row.Made != kernels.Yes {
		n.t.Logf("%s: %s", typ.Name, report.Message)
		return row
	}
	pinned := filepath.Join(n.bpffs, rev.Pin.Path)
	plain := !typ.Runtime && typ.Values == maptype.Plain && rev.Contents.Len > 0
	if plain {
		row.Written = n.way(pinned, sys.MapUpdateBatch)
		row.Counted = n.counted(rev, report)
	}
	if plain && typ.Reading == maptype.Listed {
		if n.repaired(rev) {
			row.Compared = n.way(pinned, sys.MapLookupBatch)
		}
		if typ.CanShare() {
			row.Shared = n.shared(rev)
		}
	}
	row.Frozen = n.done(sample, "frozen", nil, func(s *v1alpha1.BPFMapSpec) { s.Freeze = true })
	if sample.Spec.MaxEntries > 0 {
		row.Replaced = n.done(sample, "replaced", asDeclared, func(s *v1alpha1.BPFMapSpec) {
			s.MaxEntries, s.ReplacePolicy = 2*s.MaxEntries, v1alpha1.ReplaceSwap
		})
	}
	return row
}

// answer is yes, or the reason why not. A map whose targets aren't there yet is made.
func answer(r engine.Report) string {
	if r.Err != nil && !errors.Is(r.Err, engine.ErrAbsent) {
		return r.Reason
	}
	return kernels.Yes
}

// done applies a sample as first says, if that isn't nil, and then as second says.
func (n *node) done(sample *v1alpha1.BPFMap, name string, first, second func(*v1alpha1.BPFMapSpec)) string {
	n.t.Helper()
	rev := n.revise(sample, name, second)
	if rev == nil {
		return ""
	}
	defer n.remove(rev.Key)
	if first != nil {
		if r := n.Sync(n.t.Context(), n.revise(sample, name, first)); answer(r) != kernels.Yes {
			return answer(r)
		}
		rev.Name, rev.Number = name+"-2", 2
	}
	r := n.Sync(n.t.Context(), rev)
	if a := answer(r); a != kernels.Yes {
		n.t.Logf("%s: %s: %s", rev.Shape.Type, name, r.Message)
		return a
	}
	if name == "frozen" && !r.Frozen || name == "replaced" && r.Action != engine.ActionReplaced {
		n.t.Errorf("%s: %s: action %q, frozen %t", rev.Shape.Type, name, r.Action, r.Frozen)
	}
	return kernels.Yes
}

func (n *node) remove(key revision.Key) {
	if r := n.Remove(context.WithoutCancel(n.t.Context()), key); r.Err != nil {
		n.t.Errorf("remove %s: %v", key, r.Err)
	}
}

// way asks the kernel whether it has a batch command for the map: one of no elements does nothing.
func (n *node) way(pinned string, command sys.Cmd) string {
	n.t.Helper()
	fd, err := sys.GetPinned(pinned, 0)
	if err != nil {
		n.t.Fatal(err)
	}
	defer fd.Close()
	switch _, err := fd.Batch(command, nil, nil, nil, nil, 0, 0); {
	case err == nil:
		return kernels.Batches
	case sys.IsNotSupp(err):
		return kernels.Singly
	default:
		n.t.Errorf("%s: a batch of nothing: %v", pinned, err)
		return ""
	}
}

// open is the map of a revision, as the engine has it.
func (n *node) open(rev *revision.Revision) engine.Map {
	n.t.Helper()
	state, err := n.backend.Open(n.t.Context(), rev.Key, &rev.Pin)
	if err != nil || state.Pinned == nil {
		n.t.Fatalf("open the map of %s: %v", rev.Key, err)
	}
	if state.KeepAlive != nil {
		n.t.Cleanup(func() { _ = state.KeepAlive.Close() }) // only read
	}
	return state.Pinned
}

func (n *node) counted(rev *revision.Revision, report engine.Report) string {
	n.t.Helper()
	m := n.open(rev)
	defer m.Close()
	if count, known := m.Count(n.t.Context()); known {
		if count != int64(rev.Contents.Len) {
			n.t.Errorf("%s: the kernel counts %d elements, want %d", rev.Shape.Type, count, rev.Contents.Len)
		}
		return kernels.ByKernel
	}
	if report.Entries == nil {
		return ""
	}
	if *report.Entries != int64(rev.Contents.Len) {
		n.t.Errorf("%s: %d elements, want %d", rev.Shape.Type, *report.Entries, rev.Contents.Len)
	}
	return kernels.ByWalk
}

// repaired changes an element behind the engine's back, and has it repaired.
func (n *node) repaired(rev *revision.Revision) bool {
	n.t.Helper()
	m := n.open(rev)
	defer m.Close()
	value := make([]byte, 0)
	for range max(1, strideOf(rev, n.backend.PossibleCPUs())) {
		value = append(value, 0x5a)
	}
	if err := m.Write(n.t.Context(), rev.Contents.Key(0), value); err != nil {
		n.t.Errorf("%s: change an element: %v", rev.Shape.Type, err)
		return false
	}
	r := n.Sync(n.t.Context(), rev)
	if r.Action != engine.ActionRepaired || r.Drift == nil || !r.Drift.Repaired {
		n.t.Errorf("%s: a changed element: action %q, drift %+v, %v", rev.Shape.Type, r.Action, r.Drift, r.Err)
		return false
	}
	return true
}

// shared stores a byte of an element beside the others: of each CPU's value, as what is declared is.
func (n *node) shared(rev *revision.Revision) string {
	n.t.Helper()
	m := n.open(rev)
	defer m.Close()
	value := make([]byte, strideOf(rev, n.backend.PossibleCPUs()))
	mask := make([]byte, len(value))
	for at := 0; at < len(mask); at += maptype.Slot(int(rev.Shape.ValueSize)) {
		mask[at] = 0xff
	}
	stored, err := m.Store(n.t.Context(), rev.Contents.Key(0), value, mask)
	if err != nil {
		n.t.Errorf("%s: store a byte: %v", rev.Shape.Type, err)
	}
	return string(stored.Way)
}

// strideOf is how many bytes an element's value takes in a call.
func strideOf(rev *revision.Revision, cpus int) int {
	if !maptype.ByName(string(rev.Shape.Type)).PerCPU {
		return int(rev.Shape.ValueSize)
	}
	return cpus * maptype.Slot(int(rev.Shape.ValueSize))
}

// release is the kernel's.
func release(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}
