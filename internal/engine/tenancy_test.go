// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// tenants is an engine as an agent has it, over a BPF file system at dir.
func tenants(t *testing.T, prefixes ...string) (w *world, dir string) {
	t.Helper()
	dir = bpftest.BPFFS(t)
	b, err := kernel.New(dir, kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := engine.ParsePinPrefixes(prefixes)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, engine.New(b, engine.Options{AllowPin: allowed.Allow}), b}, dir
}

// of is a BPFMap of a tenant. An empty pin is the default one.
func of(t *testing.T, namespace, name, pin string, entries ...string) *revision.Revision {
	t.Helper()
	r := hash(t, "", entries...)
	r.Key = revision.Key{Namespace: namespace, Name: name}
	r.UID = "uid-" + r.Key.String()
	if r.Pin.Path = pin; pin == "" {
		r.Pin.Path = revision.DefaultPinPath(r.Key)
	}
	r.Shape.Name = revision.MapName(r.Key)
	return r
}

// TestPinsStayInTheirDirectory asks for pins elsewhere, in revisions that didn't come from our compiler.
func TestPinsStayInTheirDirectory(t *testing.T) {
	w, dir := tenants(t, "*=xdp")
	w.ready(of(t, "core", "secret", "", "1=10"), engine.ActionCreated)
	for _, pin := range []string{
		"bpfmap/core/secret", "bpfmap/core/new", "bpfmap/Edge/x", "BPFMAP/edge/x", "bpfmap/edge", "bpfmap/edge/", "bpfmap", "bpfmap/edge2/x",
		"bpfmap/edge/../core/secret", "bpfmap/edge/./x", "bpfmap/edge//x", "/bpfmap/edge/x", "../bpfmap/edge/x", "xdp/../bpfmap/core/secret",
		"bpfmap/_state/core/secret/record", "bpfmap/_state/core/secret/map", "bpfmap/_state/edge/x", "bpfmap/_other/x", "",
		"bpfmap/edge/" + strings.Repeat("x", 256), "xdpx/x", "xdp/a.b",
	} {
		r := of(t, "edge", "x", pin)
		r.Pin.Path = pin
		report := w.Sync(t.Context(), r)
		if report.Reason != v1alpha1.NodeReasonPinNotAllowed || report.State != stalled {
			t.Errorf("pin %q: %s: %s: %s", pin, report.State, report.Reason, report.Message)
		}
	}
	w.holds(of(t, "core", "secret", ""), "1=10")
	for _, namespace := range []string{"edge", "Edge", "edge2", "_state/edge"} {
		if _, err := os.Lstat(filepath.Join(dir, "bpfmap", namespace)); err == nil {
			t.Errorf("bpfmap/%s was made", namespace)
		}
	}
}

// TestForgedRevisions are refused before they become keys and paths.
func TestForgedRevisions(t *testing.T) {
	for what, forge := range map[string]func(*v1alpha1.BPFMapRevision){
		"a name that leads up":   func(o *v1alpha1.BPFMapRevision) { o.Spec.MapName = "../core/secret" },
		"a name below another":   func(o *v1alpha1.BPFMapRevision) { o.Spec.MapName = "table/record" },
		"a name with '_'":        func(o *v1alpha1.BPFMapRevision) { o.Spec.MapName = "a_b" },
		"a namespace of records": func(o *v1alpha1.BPFMapRevision) { o.Namespace = "_state" },
		"a pin that leads up":    func(o *v1alpha1.BPFMapRevision) { o.Spec.Pin.Path = "bpfmap/edge/../core/secret" },
		"a pin among records":    func(o *v1alpha1.BPFMapRevision) { o.Spec.Pin.Path = "bpfmap/_state/core/secret/record" },
		"an owner of no user":    func(o *v1alpha1.BPFMapRevision) { o.Spec.Pin.UID = new(int64(-1)) },
	} {
		object, _ := revision.ToObjects(hash(t, "", "1=10"))
		if _, err := revision.FromObject(object, nil); err != nil {
			t.Fatal(err)
		}
		forge(object)
		if r, err := revision.FromObject(object, nil); err == nil {
			t.Errorf("%s: %+v", what, r)
		}
	}
}

// TestMapOfAnotherTenant isn't adopted, by whichever name it is offered.
func TestMapOfAnotherTenant(t *testing.T) {
	theirs := of(t, "core", "secret", "", "1=10")
	for what, offer := range map[string]func(dir string) error{
		"hard link": func(dir string) error {
			return os.Link(filepath.Join(dir, theirs.Pin.Path), filepath.Join(dir, "bpfmap/edge/x"))
		},
		"hard link of the keep-alive pin": func(dir string) error {
			return os.Link(filepath.Join(dir, "bpfmap/_state/core/secret/map"), filepath.Join(dir, "bpfmap/edge/x"))
		},
		"symbolic link": func(dir string) error {
			return os.Symlink(filepath.Join(dir, theirs.Pin.Path), filepath.Join(dir, "bpfmap/edge/x"))
		},
		"linked directory": func(dir string) error {
			return errors.Join(os.RemoveAll(filepath.Join(dir, "bpfmap/edge")), os.Symlink("core", filepath.Join(dir, "bpfmap/edge")))
		},
	} {
		for _, had := range []bool{false, true} { // a map of its own there before
			w, dir := tenants(t)
			w.ready(theirs, engine.ActionCreated)
			mine := of(t, "edge", "x", "", "1=66")
			if what == "linked directory" {
				mine = of(t, "edge", "secret", "", "1=66")
			}
			if err := os.MkdirAll(filepath.Join(dir, "bpfmap/edge"), 0o755); err != nil {
				t.Fatal(err)
			}
			if had {
				w.ready(mine, engine.ActionCreated)
				if err := os.Remove(filepath.Join(dir, mine.Pin.Path)); err != nil {
					t.Fatal(err)
				}
			}
			if err := offer(dir); err != nil {
				t.Fatal(err)
			}
			if r := w.Sync(t.Context(), mine); r.Reason != v1alpha1.NodeReasonPinConflict {
				t.Errorf("%s, own map %t: %s %s: %s", what, had, r.Action, r.Reason, r.Message)
			}
			if r := w.Remove(t.Context(), mine.Key); r.Err != nil {
				t.Errorf("%s, own map %t: remove: %v", what, had, r.Err)
			}
			w.holds(theirs, "1=10")
		}
	}
}

// TestNamesThatLookAlike get pins and records of their own.
func TestNamesThatLookAlike(t *testing.T) {
	w, _ := tenants(t)
	long := strings.Repeat("n", 190)
	revs := []*revision.Revision{
		of(t, "edge", "a.b", "", "1=1"), of(t, "edge", "a-b", "", "1=2"), of(t, "edge-a", "b", "", "1=3"),
		of(t, "edge", long+"-one", "", "1=4"), of(t, "edge", long+"-two", "", "1=5"),
		of(t, "core", "a.b", "", "1=6"), // same kernel name as the first
	}
	if revs[0].Shape.Name != revs[5].Shape.Name {
		t.Fatalf("kernel names %s and %s: the test wants a collision", revs[0].Shape.Name, revs[5].Shape.Name)
	}
	for _, r := range revs {
		w.ready(r, engine.ActionCreated)
	}
	for i, r := range revs {
		w.holds(r, "1="+string(rune('1'+i)))
	}
	// The one pin that two names can meet at: one of them is asked for by path.
	if r := w.Sync(t.Context(), of(t, "edge", "c", "bpfmap/edge/a_b", "1=9")); r.Reason != v1alpha1.NodeReasonPinConflict {
		t.Errorf("%s: %s", r.Reason, r.Message)
	}
}

// TestRetainedMapOfAnotherNamespace goes to nobody but the namespace and name that it had.
func TestRetainedMapOfAnotherNamespace(t *testing.T) {
	w, _ := tenants(t)
	kept := of(t, "core", "secret", "", "1=10")
	kept.Policy.Deletion = v1alpha1.DeletionRetain
	id := w.ready(kept, engine.ActionCreated).MapID
	if r := w.Remove(t.Context(), kept.Key); r.Action != engine.ActionRetained {
		t.Fatalf("%+v", r)
	}
	if r := w.ready(of(t, "edge", "secret", "", "2=20"), engine.ActionCreated); r.MapID == id {
		t.Error("the map of another namespace was adopted")
	}
	again := of(t, "core", "secret", "", "2=20")
	again.UID = "another uid"
	if r := w.ready(again, engine.ActionAdopted); r.MapID != id {
		t.Errorf("map %d, want the retained %d", r.MapID, id)
	}
}

// TestPrefixesOfAdministrators can't hand out the root of all namespaces or the records.
func TestPrefixesOfAdministrators(t *testing.T) {
	for _, bad := range []string{"*=bpfmap", "*=bpfmap/", "edge=.", "edge=bpfmap/_state", "edge=bpfmap/_state/core"} {
		if p, err := engine.ParsePinPrefixes([]string{bad}); err == nil {
			t.Errorf("prefix %q was taken: %v", bad, p)
		}
	}
}
