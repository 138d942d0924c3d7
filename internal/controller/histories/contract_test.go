// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// TestContract makes the same requests of the API server in memory and of a real one: the answers, versions and
// generations are the same.
func TestContract(t *testing.T) {
	server, err := client.New(controlplane.New(t).Config(), client.Options{Scheme: process.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, calm: true, store: newStore(time.Now)}
	w.store.namespaces["default"] = false
	memory := conn{w.newProc("contract")}
	want := (&script{T: t, c: server, reads: server}).play()
	got := (&script{T: t, c: memory, reads: live(memory)}).play()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the API server in memory differs from a real one (-real +memory):\n%s", diff)
	}
}

// script makes requests and notes what came of each.
type script struct {
	*testing.T
	c     client.Client
	reads client.Reader
	notes []string
}

// note notes an error's reason, and how the object's version and generation changed.
func (s *script) note(what string, o client.Object, do func() error) {
	version, generation := o.GetResourceVersion(), o.GetGeneration()
	err := do()
	line := fmt.Sprintf("%s: %s", what, apierrors.ReasonForError(err))
	if err == nil {
		line += fmt.Sprintf("new version %t, generation %+d", version != o.GetResourceVersion(), o.GetGeneration()-generation)
	}
	s.notes = append(s.notes, line)
}

func (s *script) play() []string {
	ctx := s.Context()
	m := &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "table"}}
	m.Spec = v1alpha1.BPFMapSpec{Type: v1alpha1.MapTypeHash, Key: &v1alpha1.Schema{Type: v1alpha1.TypeU8}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU8}, MaxEntries: 4}
	m.Status.KernelName = "dropped"
	s.note("create a map", m, func() error { return s.c.Create(ctx, m) })
	s.notes = append(s.notes, "status "+m.Status.KernelName)
	again := m.DeepCopy()
	again.ResourceVersion = ""
	s.note("create it again", again, func() error { return s.c.Create(ctx, again) })
	s.note("create in no namespace", again, func() error { again.Namespace = "absent"; return s.c.Create(ctx, again) })
	old := m.DeepCopy()
	m.Spec.MaxEntries = 8
	s.note("change the spec", m, func() error { return s.c.Update(ctx, m) })
	s.note("change nothing", m, func() error { return s.c.Update(ctx, m) })
	s.note("change an old one", old, func() error { old.Spec.MaxEntries = 9; return s.c.Update(ctx, old) })
	m.Labels = map[string]string{"a": "b"}
	s.note("change labels", m, func() error { return s.c.Update(ctx, m) })
	s.playStatus(m, old)
	s.playRevision(m)
	s.note("delete with another UID", m, func() error {
		return s.c.Delete(ctx, m.DeepCopy(), client.Preconditions{UID: new(types.UID("other"))})
	})
	s.note("delete an old version", m, func() error {
		return s.c.Delete(ctx, m.DeepCopy(), client.Preconditions{UID: &m.UID, ResourceVersion: new(old.ResourceVersion)})
	})
	s.note("delete", m, func() error { return s.c.Delete(ctx, m.DeepCopy(), client.Preconditions{UID: &m.UID}) })
	s.note("delete again", m, func() error { return s.c.Delete(ctx, m.DeepCopy()) })
	s.note("read what is gone", m, func() error { return s.reads.Get(ctx, client.ObjectKeyFromObject(m), m.DeepCopy()) })
	s.note("change what is gone", m, func() error { return s.c.Update(ctx, m.DeepCopy()) })
	return s.notes
}

func (s *script) patch(version, value string) client.Patch {
	return client.RawPatch(types.JSONPatchType, fmt.Appendf(nil,
		`[{"op":"replace","path":"/metadata/resourceVersion","value":%q},{"op":"add","path":"/status","value":{"kernelName":%q}}]`, version, value))
}

func (s *script) playStatus(m, old *v1alpha1.BPFMap) {
	ctx := s.Context()
	s.note("patch the status", m, func() error { return s.c.Status().Patch(ctx, m, s.patch(m.ResourceVersion, "one")) })
	s.note("patch it to the same", m, func() error { return s.c.Status().Patch(ctx, m, s.patch(m.ResourceVersion, "one")) })
	s.note("patch an old one's", m, func() error { return s.c.Status().Patch(ctx, m.DeepCopy(), s.patch(old.ResourceVersion, "two")) })
	both := m.DeepCopy()
	both.Spec.MaxEntries, both.Labels, both.Status.KernelName = 77, nil, "three"
	s.note("update the status with all else", both, func() error { return s.c.Status().Update(ctx, both) })
	s.notes = append(s.notes, fmt.Sprint("entries ", both.Spec.MaxEntries, ", labels ", both.Labels, ", status ", both.Status.KernelName))
	both.DeepCopyInto(m)
	m.Status.KernelName = "four"
	s.note("update all else with the status", m, func() error { return s.c.Update(ctx, m) })
	s.notes = append(s.notes, "status "+m.Status.KernelName)
}

func (s *script) playRevision(m *v1alpha1.BPFMap) {
	ctx := s.Context()
	rev := &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "table-1", Labels: map[string]string{v1alpha1.LabelActive: "true"}}}
	rev.Spec = v1alpha1.BPFMapRevisionSpec{
		MapName: "table", MapUID: string(m.UID), Number: 1, Type: v1alpha1.MapTypeHash, KeySize: 1, ValueSize: 1, MaxEntries: 4,
		SyncPolicy: v1alpha1.SyncMerge, DriftPolicy: v1alpha1.DriftRepair, ReplacePolicy: v1alpha1.ReplaceNever, DeletionPolicy: v1alpha1.DeletionDelete,
		Pin: v1alpha1.Pin{Path: "bpfmap/default/table", Mode: "0600"}, Digest: "sha256:0",
	}
	s.note("create a revision", rev, func() error { return s.c.Create(ctx, rev) })
	s.note("change its spec", rev, func() error {
		changed := rev.DeepCopy()
		changed.Spec.Number = 2
		return s.c.Update(ctx, changed)
	})
	labels := func(uid types.UID, version string) client.Patch {
		return client.RawPatch(types.MergePatchType, fmt.Appendf(nil,
			`{"metadata":{"uid":%q,"resourceVersion":%q,"labels":{"bpfmap.io/active":null,"bpfmap.io/map":"table"}}}`, uid, version))
	}
	was := rev.ResourceVersion
	s.note("patch labels of another UID", rev, func() error { return s.c.Patch(ctx, rev.DeepCopy(), labels("other", was)) })
	s.note("patch labels", rev, func() error { return s.c.Patch(ctx, rev, labels(rev.UID, was)) })
	s.note("patch labels of an old version", rev, func() error { return s.c.Patch(ctx, rev.DeepCopy(), labels(rev.UID, was)) })
	for _, by := range []map[string]string{{v1alpha1.LabelMap: "table"}, {v1alpha1.LabelActive: "true"}} {
		var list v1alpha1.BPFMapRevisionList
		if err := s.reads.List(ctx, &list, client.InNamespace("default"), client.MatchingLabels(by)); err != nil {
			s.Fatal(err)
		}
		s.notes = append(s.notes, fmt.Sprint(len(list.Items), " revisions by label"))
	}
	about := process.Metadata(v1alpha1.GroupVersion.WithKind("BPFMapRevision"))
	s.note("read metadata", about, func() error { return s.reads.Get(ctx, client.ObjectKeyFromObject(rev), about) })
	s.notes = append(s.notes, fmt.Sprint(slices.Sorted(func(yield func(string) bool) {
		for k := range about.Labels {
			if !yield(k) {
				return
			}
		}
	})))
	c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "feed"}, Data: map[string]string{"a": "b"}}
	s.note("create a ConfigMap", c, func() error { return s.c.Create(ctx, c) })
}
