// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// grouped are revisions of some maps of a group that were declared together, with values of these types.
func grouped(t *testing.T, number int, types map[string]string) []*v1alpha1.BPFMapRevision {
	t.Helper()
	var all []*v1alpha1.BPFMapRevision
	var members []v1alpha1.GroupMember
	for _, name := range []string{"block4", "block6", "ports"} {
		if types[name] == "" {
			continue
		}
		rev := compiled(t, name, number, fmt.Sprintf(
			"{type: Hash, key: {type: u8}, value: {type: %s}, maxEntries: 4, group: xdp, replacePolicy: Swap, entries: [{key: 1, value: %d}]}", types[name], number))
		members = append(members, v1alpha1.GroupMember{Name: name, Layout: revision.Layout(&rev.Spec)})
		all = append(all, rev)
	}
	for _, rev := range all {
		rev.Spec.Group.Members = slices.Clone(members)
	}
	return all
}

func same(value string) map[string]string {
	return map[string]string{"block4": value, "block6": value, "ports": value}
}

// groupWorld is an agent over a memory, with maps of a group at their first revisions.
type groupWorld struct {
	*parts
	t      *testing.T
	c      client.Client
	memory *enginetest.Memory
	engine *engine.Engine
}

func newGroupWorld(t *testing.T, first []*v1alpha1.BPFMapRevision) *groupWorld {
	t.Helper()
	w := &groupWorld{t: t, memory: enginetest.NewMemory()}
	var objects []client.Object
	for _, rev := range first {
		objects = append(objects, rev)
	}
	w.c = newClient(t, objects...)
	w.engine = engine.New(w.memory, engine.Options{})
	w.parts = newParts(t, w.c, "node-1", &fakeHost{engine: w.engine})
	w.reconcileAll()
	w.want(v1alpha1.NodeMapReady, "", "block4", "block6", "ports")
	return w
}

func (w *groupWorld) reconcileAll() {
	w.t.Helper()
	for _, name := range []string{"block4", "block6", "ports"} {
		_, err := w.reconcile(w.t.Context(), name)
		must(w.t, err)
	}
}

func (w *groupWorld) arrive(revisions ...*v1alpha1.BPFMapRevision) {
	w.t.Helper()
	for _, rev := range revisions {
		rev = rev.DeepCopy()
		rev.ResourceVersion = ""
		must(w.t, w.c.Create(w.t.Context(), rev))
	}
}

// want checks the published state of maps.
func (w *groupWorld) want(state v1alpha1.NodeMapState, message string, names ...string) {
	w.t.Helper()
	for _, name := range names {
		if m := w.mapState(name); m.State != state || !strings.Contains(m.Message, message) {
			w.t.Errorf("%s at %s: %s, %s, %q; want %s and %q", name, m.Revision, m.State, m.Reason, m.Message, state, message)
		}
	}
}

// sizes are the sizes of the values in the maps at the pins.
func (w *groupWorld) sizes() (sizes []uint32) {
	w.t.Helper()
	for _, name := range []string{"block4", "block6", "ports"} {
		s, err := w.memory.Open(w.t.Context(), revision.Key{Namespace: metav1.NamespaceDefault, Name: name}, nil)
		must(w.t, err)
		info, err := s.KeepAlive.Info(w.t.Context())
		must(w.t, err)
		must(w.t, s.KeepAlive.Close())
		sizes = append(sizes, info.Shape.ValueSize)
	}
	return sizes
}

func (w *groupWorld) wantSizes(want ...uint32) {
	w.t.Helper()
	if got := w.sizes(); !slices.Equal(got, want) {
		w.t.Errorf("values have %v bytes, want %v", got, want)
	}
}

// TestGroupArrivesInAnyOrder: whichever revisions an agent sees first, it replaces the maps when it has all.
func TestGroupArrivesInAnyOrder(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}} {
		w := newGroupWorld(t, grouped(t, 1, same("u8")))
		next := grouped(t, 2, same("u32"))
		for _, i := range order[:2] {
			w.arrive(next[i])
			w.reconcileAll()
			w.wantSizes(1, 1, 1)
			last := next[order[2]].Spec.MapName
			w.want(v1alpha1.NodeMapPending, "", next[i].Spec.MapName)
			w.want(v1alpha1.NodeMapPending, fmt.Sprintf("BPFMap %s (this node is to hold revision %s-1, which does not belong with", last, last), next[i].Spec.MapName)
		}
		w.arrive(next[order[2]])
		_, err := w.reconcile(t.Context(), next[order[2]].Spec.MapName) // only the event of this one
		must(t, err)
		w.wantSizes(4, 4, 4)
		w.want(v1alpha1.NodeMapReady, "together with 2 other maps of group xdp", "block4", "block6", "ports")
		w.reconcileAll()
		w.want(v1alpha1.NodeMapReady, "", "block4", "block6", "ports")
	}
}

// TestGroupWithAnObstacle: all members say which of them can't be replaced, and all follow once it can.
func TestGroupWithAnObstacle(t *testing.T) {
	w := newGroupWorld(t, grouped(t, 1, same("u8")))
	key := revision.Key{Namespace: metav1.NamespaceDefault, Name: "block4"}
	s, err := w.memory.Open(t.Context(), key, nil)
	must(t, err)
	defer s.KeepAlive.Close()
	must(t, s.KeepAlive.Write(t.Context(), []byte{9}, []byte{90}))
	w.arrive(grouped(t, 2, same("u32"))...)
	w.reconcileAll()
	w.wantSizes(1, 1, 1)
	w.want(v1alpha1.NodeMapStalled, "have other sizes", "block4")
	w.want(v1alpha1.NodeMapStalled, "waits for BPFMap block4 (Incompatible: ", "block6", "ports")
	if m := w.mapState("ports"); m.Reason != v1alpha1.NodeReasonGroupStalled || m.MapID == 0 {
		t.Errorf("ports: %+v", m)
	}
	must(t, s.KeepAlive.Delete(t.Context(), []byte{9}))
	w.reconcileAll()
	w.wantSizes(4, 4, 4)
	w.want(v1alpha1.NodeMapReady, "", "block4", "block6", "ports")
}

// TestGroupGoesBackTogether: a rollback that reached one of the members waits for the others, too.
func TestGroupGoesBackTogether(t *testing.T) {
	w := newGroupWorld(t, grouped(t, 1, same("u8")))
	next := grouped(t, 2, same("u32"))
	w.arrive(next...)
	w.reconcileAll()
	w.wantSizes(4, 4, 4)
	for i, rev := range next {
		back := &v1alpha1.BPFMapRevision{}
		must(t, w.c.Get(t.Context(), client.ObjectKeyFromObject(rev), back))
		back.Status.Rollout = v1alpha1.RevisionRollout{Frontier: rollout.None, RolledBack: "failed on node-7"}
		must(t, w.c.Status().Update(t.Context(), back))
		w.reconcileAll()
		if i < 2 {
			w.wantSizes(4, 4, 4)
		}
	}
	w.wantSizes(1, 1, 1)
	w.want(v1alpha1.NodeMapReady, "", "block4", "block6", "ports")
}

// TestGroupOfOne: a member that was declared anew alone is replaced alone, and contents don't wait for anybody.
func TestGroupOfOne(t *testing.T) {
	w := newGroupWorld(t, grouped(t, 1, same("u8")))
	next := grouped(t, 2, map[string]string{"block4": "u8", "block6": "u32", "ports": "u8"})
	w.arrive(next[1])
	w.reconcileAll()
	w.wantSizes(1, 4, 1)
	alone := grouped(t, 3, map[string]string{"block4": "u8", "block6": "u64", "ports": "u64"})
	w.arrive(alone[1])
	w.reconcileAll()
	w.wantSizes(1, 4, 1)
	w.arrive(next[0]) // other contents, the same layout
	w.reconcileAll()
	if m := w.mapState("block4"); m.State != v1alpha1.NodeMapReady || m.Revision != "block4-2" {
		t.Errorf("block4: %+v", m)
	}
}
