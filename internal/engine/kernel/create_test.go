// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

// TestCompiledIsMade makes what the compiler takes: every good manifest of its tests.
func TestCompiledIsMade(t *testing.T) {
	n := newNode(t)
	files, err := filepath.Glob("../../compile/testdata/good/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d manifests, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			set := manifest.Read(manifest.Options{Paths: []string{file}})
			if len(set.Problems) > 0 || len(set.Manifests) != 1 {
				t.Fatalf("%d manifests, %v", len(set.Manifests), set.Problems)
			}
			r := compiled(t, set.Manifests[0].Map)
			if report := n.Sync(t.Context(), r); isTooNew(t, r.Shape) {
				wantTooNew(t, r.Shape, report)
			} else if report.Err != nil && report.State != v1alpha1.NodeMapPending {
				t.Errorf("%s: %v", r.Shape.Type, report.Err)
			}
			if report := n.Remove(t.Context(), r.Key); report.Err != nil {
				t.Error(report.Err)
			}
		})
	}
}

// TestLimits makes maps at the limits of the compiler. The larger ones of internal/maptype are beyond what a
// revision holds, and tests of internal/bpf.
func TestLimits(t *testing.T) {
	n := newNode(t)
	for name, spec := range map[string]string{
		"storage":   "{type: TaskStorage, value: {type: hex, size: 65407}}",
		"build-ids": "{type: StackTrace, maxEntries: 4, flags: [StackBuildID]}",
	} {
		if r := declare(t, name, spec); isTooNew(t, r.Shape) {
			wantTooNew(t, r.Shape, n.Sync(t.Context(), r))
		} else {
			n.sync(r, v1alpha1.NodeMapReady, engine.ActionCreated)
		}
	}
}

// TestSpinLockOfCGroupStorage tells the kernel of the lock: without, programs that take it don't load.
func TestSpinLockOfCGroupStorage(t *testing.T) {
	n := newNode(t)
	for _, c := range []struct{ name, key string }{
		{"by-id", "{type: u64}"},
		{"by-id-and-type", "{fields: [{name: cgroup_inode_id, type: u64}, {name: attach_type, type: u32}]}"},
	} {
		r := declare(t, c.name, "{type: CGroupStorage, key: "+c.key+", value: {fields: [{name: lock, type: spinLock}, {name: n, type: u32}]}}")
		report := n.sync(r, v1alpha1.NodeMapReady, engine.ActionCreated)
		m, err := bpf.GetFDByID(report.MapID)
		if err != nil {
			t.Fatal(err)
		}
		info, err := m.Info()
		if err != nil || info.BTFID == 0 || info.BTFKeyTypeID == 0 || info.BTFValueTypeID == 0 {
			t.Errorf("%s: %+v, %v", c.name, info, err)
		}
		// The compiler refuses it on every kernel; before Linux 6.2, the kernel doesn't.
		if err := m.Freeze(); (err == nil) != bpftest.Kernel(t).Before(maptype.Kernel{Major: 6, Minor: 2}) {
			t.Errorf("%s: freeze a map with a spin lock: %v", c.name, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPageSize refuses a ring buffer that isn't a multiple of pages, which the API can't know.
func TestPageSize(t *testing.T) {
	r := declare(t, "ring", "{type: RingBuf, maxEntries: 4096}")
	r.Shape.MaxEntries = 4097
	report := newNode(t).Sync(t.Context(), r)
	if report.Reason != v1alpha1.NodeReasonNotSupported || !strings.Contains(report.Message, "is not a multiple of this node's page size") {
		t.Errorf("%s: %s", report.Reason, report.Message)
	}
}
