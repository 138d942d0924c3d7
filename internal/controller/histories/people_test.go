// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

var (
	namespaces = []string{"edge", "team"}
	mapNames   = []string{"table", "large", "fed"}
)

// people do one of the things that people do, and the cluster around us.
func (w *world) people() {
	maps := w.store.objects.ids("BPFMap")
	if len(maps) == 0 || w.one(12) {
		w.createMap()
		return
	}
	at := pickOne(w, maps)
	switch w.rand.IntN(22) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		w.edit(at)
	case 8, 9:
		w.feed(at.namespace)
	case 10:
		w.logf("people delete %s", at)
		w.store.remove(at)
		if w.one(2) {
			w.createNamed(at.namespace, at.name)
		}
	case 11, 12:
		w.relabel(pickOne(w, w.nodes))
	case 13:
		w.flap(pickOne(w, w.nodes))
	case 14, 15:
		w.collect()
	case 16:
		w.namespace(pickOne(w, namespaces))
	case 17:
		if w.one(3) {
			w.restore()
		}
	case 18:
		w.backup = w.store.at(w.store.version())
	case 19:
		w.deleteRevision()
	case 20:
		if len(w.nodes) < 4 {
			w.logf("node joins")
			w.join(fmt.Sprintf("n%d", w.freeName()))
		}
	default:
		w.edit(at)
	}
}

func (w *world) freeName() int {
	for i := 0; ; i++ {
		if w.node(fmt.Sprint("n", i)) == nil {
			return i
		}
	}
}

func (w *world) createMap() { w.createNamed(pickOne(w, namespaces), pickOne(w, mapNames)) }

func (w *world) createNamed(namespace, name string) {
	m := &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	m.Spec = v1alpha1.BPFMapSpec{
		Type: v1alpha1.MapTypeHash, Key: &v1alpha1.Schema{Type: v1alpha1.TypeU8}, Value: v1alpha1.Schema{Type: v1alpha1.TypeU32}, MaxEntries: 32,
	}
	switch name {
	case "large": // in chunks
		m.Spec.Value = v1alpha1.Schema{Type: v1alpha1.TypeString, Size: 9000}
	case "fed":
		m.Spec.EntriesFrom = []v1alpha1.EntrySource{{
			ConfigMapSelector: &v1alpha1.SourceSelector{MatchLabels: map[string]string{"app": "feed"}}, Format: v1alpha1.SourceLines,
			Value: &apiextensionsv1.JSON{Raw: []byte("7")},
		}}
		m.Spec.ConflictPolicy = v1alpha1.ConflictLast
	}
	m.Spec.Entries = w.entries(&m.Spec)
	if w.one(4) {
		m.Spec.NodeSelector = map[string]string{"role": "edge"}
	}
	if w.one(3) {
		m.Spec.SyncPolicy = v1alpha1.SyncMirror
	}
	if w.grouped && !w.one(4) {
		m.Spec.Group, m.Spec.ReplacePolicy = "program", v1alpha1.ReplaceSwap
	}
	err := w.store.create(m)
	w.logf("people create %s as %s: %v", idOf(m), m.UID, err)
}

// entries are a few, of few values: a spec comes back to what it was.
func (w *world) entries(s *v1alpha1.BPFMapSpec) []v1alpha1.Entry {
	var list []v1alpha1.Entry
	for k := range 3 {
		if w.one(4) {
			continue
		}
		list = append(list, v1alpha1.Entry{Key: &apiextensionsv1.JSON{Raw: fmt.Append(nil, k)}, Value: valueOf(s, w.rand.IntN(3))})
	}
	return list
}

func valueOf(s *v1alpha1.BPFMapSpec, n int) *apiextensionsv1.JSON {
	if s.Value.Type == v1alpha1.TypeString {
		return &apiextensionsv1.JSON{Raw: fmt.Appendf(nil, "%q", fmt.Sprint(n))}
	}
	return &apiextensionsv1.JSON{Raw: fmt.Append(nil, n)}
}

// edit changes a spec.
func (w *world) edit(at id) {
	m := w.store.objects[at].DeepCopyObject().(*v1alpha1.BPFMap)
	s := &m.Spec
	what := "entries"
	switch w.rand.IntN(w.edits()) {
	case 14:
		what = "group"
		if s.Group == "" {
			s.Group, s.ReplacePolicy = "program", v1alpha1.ReplaceSwap
		} else {
			s.Group = ""
		}
	case 15, 16, 17, 18:
		w.editGroup(m)
		return
	case 0, 1:
		what = "an entry out of range"
		s.Entries = append(s.Entries, v1alpha1.Entry{Key: &apiextensionsv1.JSON{Raw: []byte("300")}, Value: valueOf(s, 1)})
	case 2:
		what = "maxEntries"
		s.MaxEntries = 96 - s.MaxEntries // 32 or 64, which nodes refuse without Swap
	case 3, 4:
		what = "selector"
		if s.NodeSelector == nil {
			s.NodeSelector = map[string]string{"role": "edge"}
		} else {
			s.NodeSelector = nil
		}
	case 5:
		what = "sync policy"
		s.SyncPolicy = pickOne(w, []v1alpha1.SyncPolicy{v1alpha1.SyncMerge, v1alpha1.SyncMirror})
	case 6, 7:
		what = "rollback to"
		s.RollbackTo = ""
		if own := w.revisionsOf(m); len(own) > 0 && w.one(2) {
			s.RollbackTo = pickOne(w, own).Name
		}
	case 8:
		what = "rollout"
		one := intstr.FromInt32(1)
		s.Rollout = pickOne(w, []*v1alpha1.Rollout{
			nil, {MaxUnavailable: &one}, {MaxUnavailable: &one, OnFailure: v1alpha1.FailureRollback}, {Paused: true}, {MinReadySeconds: new(int32(0))},
		})
	default:
		s.Entries = w.entries(s)
	}
	err := w.store.update(m, false)
	w.logf("people edit %s (%s), generation %d: %v", at, what, m.Generation, err)
}

// edits is how many kinds of edits there are.
func (w *world) edits() int {
	if w.grouped {
		return 19
	}
	return 14
}

// editGroup gives all maps of a group another capacity, one after the other, while processes work.
func (w *world) editGroup(of *v1alpha1.BPFMap) {
	size := 96 - of.Spec.MaxEntries
	for _, i := range w.store.objects.ids("BPFMap") {
		m, ok := w.store.objects[i].(*v1alpha1.BPFMap)
		if !ok || i.namespace != of.Namespace || m.Spec.Group != of.Spec.Group {
			continue
		}
		m = m.DeepCopy()
		m.Spec.MaxEntries, m.Spec.NodeSelector, m.Spec.RollbackTo = size, of.Spec.NodeSelector, ""
		w.logf("people edit %s with its group to %d entries: %v", i, size, w.store.update(m, false))
		if !w.inside && w.one(3) {
			w.someProcess()
		}
	}
}

// revisionsOf are a BPFMap's revisions, in order.
func (w *world) revisionsOf(m *v1alpha1.BPFMap) (list []*v1alpha1.BPFMapRevision) {
	for _, i := range w.store.objects.ids("BPFMapRevision") {
		rev := w.store.objects[i].(*v1alpha1.BPFMapRevision)
		if i.namespace == m.Namespace && rev.Spec.MapName == m.Name && rev.Spec.MapUID == string(m.UID) {
			list = append(list, rev)
		}
	}
	slices.SortFunc(list, func(a, b *v1alpha1.BPFMapRevision) int { return int(a.Number() - b.Number()) })
	return list
}

// feed changes what "fed" reads.
func (w *world) feed(namespace string) {
	name := pickOne(w, []string{"feed-a", "feed-b"})
	at := id{"ConfigMap", namespace, name}
	data := map[string]string{"list": fmt.Sprintf("%d\n%d\n", 10+w.rand.IntN(3), 20+w.rand.IntN(3))}
	old := w.store.objects[at]
	switch {
	case old != nil && w.one(3):
		w.logf("people delete %s", at)
		w.store.remove(at)
	case old != nil:
		c := old.DeepCopyObject().(*corev1.ConfigMap)
		c.Data = data
		w.logf("people edit %s: %v", at, w.store.update(c, false))
	default:
		c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": "feed"}}, Data: data}
		w.logf("people create %s: %v", at, w.store.create(c))
	}
}

func (w *world) relabel(n *node) {
	o := w.store.objects[id{"Node", "", n.name}].DeepCopyObject().(*corev1.Node)
	if o.Labels["role"] == "" {
		o.Labels = map[string]string{"role": "edge"}
	} else {
		o.Labels = map[string]string{}
	}
	w.must(w.store.update(o, false))
	w.logf("node %s has the labels %v", n.name, o.Labels)
}

// flap changes whether a node is Ready.
func (w *world) flap(n *node) {
	o := w.store.objects[id{"Node", "", n.name}].DeepCopyObject().(*corev1.Node)
	c := &o.Status.Conditions[0]
	if c.Status == corev1.ConditionTrue {
		c.Status = corev1.ConditionUnknown
	} else {
		c.Status = corev1.ConditionTrue
	}
	c.LastTransitionTime = metav1.NewTime(w.clock)
	w.must(w.store.update(o, true))
	w.logf("node %s is Ready: %s", n.name, c.Status)
}

// collect is the garbage collector, which deletes one or all that have no owner.
func (w *world) collect() {
	all := w.store.garbage()
	if len(all) > 0 && w.one(2) {
		all = []id{pickOne(w, all)}
	}
	for _, i := range all {
		w.logf("the garbage collector deletes %s", i)
		w.store.remove(i)
	}
}

// namespace deletes a namespace with all that is in it, in any order, and makes it anew.
func (w *world) namespace(name string) {
	w.logf("namespace %s is deleted", name)
	w.store.namespaces[name] = true
	w.empty(name)
	delete(w.store.namespaces, name)
	if w.one(2) && !w.inside {
		for range 5 {
			w.someProcess()
		}
	}
	w.store.namespaces[name] = false
	w.logf("namespace %s is made again", name)
	if w.one(2) {
		w.createNamed(name, pickOne(w, mapNames))
	}
}

// empty deletes what is in a namespace.
func (w *world) empty(namespace string) {
	var all []id
	for i := range w.store.objects {
		if i.namespace == namespace {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, compareIDs)
	w.rand.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
	for _, i := range all {
		if w.store.objects[i] != nil {
			w.store.remove(i)
		}
		if !w.inside && w.one(6) {
			w.someProcess()
		}
	}
}

// restore writes what a backup has of a namespace again, after that was emptied: with new UIDs and without
// statuses, as tools for backups do.
func (w *world) restore() {
	if w.backup == nil {
		return
	}
	namespace := pickOne(w, namespaces)
	w.logf("namespace %s is restored from a backup", namespace)
	w.empty(namespace)
	for _, kind := range []string{"ConfigMap", "BPFMap", "BPFMapChunk", "BPFMapRevision"} {
		for _, i := range w.backup.ids(kind) {
			if i.namespace != namespace {
				continue
			}
			o := w.backup[i].DeepCopyObject().(client.Object)
			o.SetResourceVersion("")
			if err := w.store.create(o); err != nil && !strings.Contains(err.Error(), "already exists") {
				panic(err)
			}
			w.logf("  restored %s as %s", i, o.GetUID())
		}
	}
}

// deleteRevision is somebody who deletes what isn't theirs.
func (w *world) deleteRevision() {
	all := append(w.store.objects.ids("BPFMapRevision"), w.store.objects.ids("BPFMapChunk")...)
	if len(all) > 0 {
		i := pickOne(w, all)
		w.logf("somebody deletes %s", i)
		w.store.remove(i)
	}
}

func (w *world) someProcess() {
	if all := w.procs(); len(all) > 0 {
		p := pickOne(w, all)
		if w.one(2) || !w.work(p) {
			w.deliver(p)
		}
	}
}
