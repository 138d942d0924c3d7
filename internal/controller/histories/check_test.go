// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// violation ends a history.
type violation struct{ message string }

func (w *world) violate(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	w.logf("VIOLATION: %s", message)
	panic(violation{message})
}

// asks is what a state of the API server asks a node to hold of a map: a revision, nothing, or nothing
// certain yet.
func (st state) asks(node string, key revision.Key, h held) (wanted *v1alpha1.BPFMapRevision, undecided bool) {
	var active []v1alpha1.BPFMapRevision
	for i, o := range st {
		rev, ok := o.(*v1alpha1.BPFMapRevision)
		if ok && i.namespace == key.Namespace && rev.Spec.MapName == key.Name && rev.Labels[v1alpha1.LabelActive] == "true" {
			active = append(active, *rev)
		}
	}
	best := rollout.Newest(active, node)
	if best == nil {
		return nil, len(active) > 0
	}
	n := st[id{"Node", "", node}]
	if n != nil && labels.SelectorFromSet(best.Spec.NodeSelector).Matches(labels.Set(n.GetLabels())) {
		return best, false
	}
	if h.revision == best.Name && h.uid == best.Spec.MapUID && !st.released(node, best) {
		return best, false // its labels changed: it waits for its turn
	}
	return nil, false
}

func (st state) released(node string, rev *v1alpha1.BPFMapRevision) bool {
	own, _ := st[id{"BPFNodeState", "", node}].(*v1alpha1.BPFNodeState)
	return own != nil && slices.ContainsFunc(own.Status.Releases, func(r v1alpha1.MapRelease) bool {
		return r.Namespace == rev.Namespace && r.Name == rev.Spec.MapName && r.UID == rev.Spec.MapUID && r.Revision == rev.Name
	})
}

// ever says whether something was so at any time since a version.
func (w *world) ever(from int, holds func(state) bool) bool {
	for version := w.store.version(); version >= from; version-- {
		if holds(w.store.at(version)) {
			return true
		}
	}
	return false
}

// kernel is what a node holds.
func (n *node) kernel() map[revision.Key]held {
	records, err := n.memory.Records(n.w.t.Context())
	n.w.must(err)
	all := map[revision.Key]held{}
	for i := range records {
		r := &records[i]
		h := held{uid: r.UID, revision: r.Revision, digest: r.Digest, number: numberOf(r.Revision)}
		state, err := n.memory.Open(n.w.t.Context(), r.Key, nil)
		n.w.must(err)
		if state.KeepAlive != nil {
			info, err := state.KeepAlive.Info(n.w.t.Context())
			n.w.must(err)
			h.mapID, h.size = info.ID, info.Shape.MaxEntries
			_ = state.KeepAlive.Close()
		}
		if r.Applied != "" && h.mapID != 0 {
			mark := h.uid + " " + h.revision
			n.ever[mark], n.boots[mark] = true, true
		}
		all[r.Key] = h
	}
	return all
}

func numberOf(name string) int64 {
	var r v1alpha1.BPFMapRevision
	r.Name = name
	return r.Number()
}

// checkNode compares what a node's kernel holds with what it held before a step, which began at a version.
func (w *world) checkNode(n *node, from int) {
	now := n.kernel()
	for key, was := range n.holds {
		is, there := now[key]
		if was.mapID != 0 && (!there || is.mapID != was.mapID) {
			w.checkRemoved(n, key, was, is, from)
		}
		if !there {
			was.removedAt = w.store.version()
			n.removed[key] = was
			continue
		}
		if is.uid != was.uid {
			// A newer BPFMap may be gone again by now; an older one never gets the map back.
			if !newer(is.uid, was.uid) && !w.ever(from, func(st state) bool { return st.wants(n.name, key, is) }) {
				w.violate("node %s gave the map of %s to %s, which isn't that of a living BPFMap", n.name, key, is.uid)
			}
			continue
		}
		is.wentBack = was.wentBack
		if is.number < was.number {
			is.wentBack = w.checkBack(n, key, was, is, from)
		}
		if is.number > was.number && is.wentBack[is.revision] && !w.ever(from, func(st state) bool { return st.wants(n.name, key, is) }) {
			w.violate("node %s took %s again, from which it had gone back", n.name, is.revision)
		}
		now[key] = is
	}
	for key, is := range now {
		was, before := n.removed[key]
		if _, there := n.holds[key]; !there && before && was.uid == is.uid && is.number <= was.number &&
			!w.ever(was.removedAt, func(st state) bool { return st.wants(n.name, key, is) }) {
			w.violate("node %s made a map of %s again, which nobody asked for any more", n.name, is.revision)
		}
	}
	w.checkGroups(n, now)
	n.holds = now
}

// checkGroups sees that a map which was replaced is together with those that its revision was declared together with.
func (w *world) checkGroups(n *node, now map[revision.Key]held) {
	for key, is := range now {
		was, before := n.holds[key]
		if n.faulty != nil || !before || was.uid != is.uid || was.mapID == 0 || was.size == is.size {
			continue
		}
		for at, other := range now {
			if at.Namespace != key.Namespace {
				continue
			}
			fits, known := w.store.objects.together(key, is, at, other)
			if !known || fits {
				continue
			}
			// Somebody may have deleted a revision, and the controller made another one of the same name.
			if !w.ever(0, func(st state) bool { fits, known := st.together(key, is, at, other); return known && fits }) {
				w.violate("node %s replaced the map of %s, and holds %s beside it", n.name, is.revision, other.revision)
			}
		}
	}
}

// together says whether a node that takes one revision may hold another one beside it. It isn't known of revisions that
// are gone.
func (st state) together(key revision.Key, h held, at revision.Key, other held) (fits, known bool) {
	rev, beside := st.revisionNamed(key, h), st.revisionNamed(at, other)
	if rev == nil || rev.Spec.Group == nil || beside == nil {
		return false, false
	}
	return !slices.ContainsFunc(rev.Spec.Group.Members, func(m v1alpha1.GroupMember) bool {
		return m.Name == at.Name && m.Layout != revision.Layout(&beside.Spec)
	}), true
}

// revisionNamed is the revision that a node holds of a map; nil if it holds none or that is gone.
func (st state) revisionNamed(key revision.Key, h held) *v1alpha1.BPFMapRevision {
	rev, _ := st[id{"BPFMapRevision", key.Namespace, h.revision}].(*v1alpha1.BPFMapRevision)
	if rev == nil || rev.Spec.MapUID != h.uid {
		return nil
	}
	return rev
}

// newer says whether the store gave out a UID after another one.
func newer(uid, than string) bool { return serial(uid) > serial(than) }

func serial(uid string) int {
	n, err := strconv.Atoi(uid[strings.LastIndexByte(uid, '-')+1:])
	if err != nil {
		panic(err)
	}
	return n
}

func (st state) wants(node string, key revision.Key, h held) bool {
	wanted, _ := st.asks(node, key, h)
	return wanted != nil && wanted.Name == h.revision && wanted.Spec.MapUID == h.uid
}

// checkRemoved holds the end of a map against what asked for it: that there be none, or another one in its
// place.
func (w *world) checkRemoved(n *node, key revision.Key, was, is held, from int) {
	asked := w.ever(from, func(st state) bool {
		wanted, undecided := st.asks(n.name, key, was)
		if wanted != nil && wanted.Spec.ReplacePolicy == v1alpha1.ReplaceSwap {
			return is.mapID != 0 && is.size != was.size
		}
		return wanted == nil && !undecided
	})
	if !asked {
		w.violate("node %s lost map %d of %s (%s), though the API server asked for it", n.name, was.mapID, key, was.revision)
	}
}

// checkBack holds a node's number that fell against the rollback that it must follow from, or the end of the
// revision that it had.
func (w *world) checkBack(n *node, key revision.Key, was, is held, from int) map[string]bool {
	allowed := w.ever(from, func(st state) bool {
		if !st.wants(n.name, key, is) {
			return false
		}
		o, _ := st[id{"BPFMapRevision", key.Namespace, was.revision}].(*v1alpha1.BPFMapRevision)
		return o == nil || o.Spec.MapUID != was.uid || o.Status.Rollout.RolledBack != ""
	})
	if !allowed {
		w.violate("node %s went back from %s to %s", n.name, was.revision, is.revision)
	}
	marks := map[string]bool{was.revision: true}
	for name := range was.wentBack {
		marks[name] = true
	}
	return marks
}

// checked makes a process's write if it may be.
func (w *world) checked(what string, o client.Object, do func() error) error {
	before := w.store.objects
	target := before[idOf(o)]
	if what == "deletes" {
		before = w.store.at(w.store.version())
	}
	if err := do(); err != nil {
		return err
	}
	switch {
	case what == "deletes" && target != nil:
		w.checkDeleted(before, target)
	case what == "patches status of":
		if m := bpfMap(w.store.objects[idOf(o)]); m != nil {
			w.checkReady(m)
		}
	}
	return nil
}

// checkDeleted sees that no living map needed what the controller deleted.
func (w *world) checkDeleted(before state, target client.Object) {
	at := idOf(target)
	for _, i := range before.ids("BPFMap") {
		m := before[i].(*v1alpha1.BPFMap)
		if i.namespace != at.namespace {
			continue
		}
		key := revision.Key{Namespace: m.Namespace, Name: m.Name}
		for _, n := range w.nodes {
			wanted, _ := before.asks(n.name, key, n.holds[key])
			if wanted == nil || wanted.Spec.MapUID != string(m.UID) {
				continue
			}
			if wanted.UID == target.GetUID() {
				w.violate("the controller deleted %s, which node %s is to hold", at, n.name)
			}
			if at.kind == "BPFMapChunk" && slices.Contains(wanted.Spec.Chunks, at.name) && len(w.old) == 0 {
				w.violate("the controller deleted %s, which %s needs for node %s", at, wanted.Name, n.name)
			}
		}
	}
}

// checkReady sees that what is called Ready was in the kernels, and is of the spec that the status is about.
func (w *world) checkReady(m *v1alpha1.BPFMap) {
	ready := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status != "True" {
		return
	}
	s := &m.Status
	if s.Nodes.Ready != s.Nodes.Desired {
		w.violate("%s is Ready with %d of %d nodes", m.Name, s.Nodes.Ready, s.Nodes.Desired)
	}
	for _, line := range s.NodeStates {
		n := w.node(line.Node)
		if n != nil && !n.ever[string(m.UID)+" "+s.UpdateRevision] {
			w.violate("%s/%s is Ready with %s, which node %s never held", m.Namespace, m.Name, s.UpdateRevision, line.Node)
		}
	}
	if ready.ObservedGeneration != m.Generation || len(m.Spec.EntriesFrom) > 0 || m.Spec.RollbackTo != "" {
		return
	}
	accepted := meta.IsStatusConditionTrue(s.Conditions, v1alpha1.ConditionAccepted)
	if rev, err := compile.Compile(m); err == nil && accepted && rev.Digest != s.Digest {
		w.violate("%s/%s is Ready at generation %d with the contents of another one", m.Namespace, m.Name, m.Generation)
	}
}
