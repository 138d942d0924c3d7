// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package histories

import (
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// rest lets everything come to its end: no more faults, fresh views, and time. It has to end.
func (w *world) rest() {
	w.calm = true
	w.pass(leaderOverlap + time.Second)
	// The last rounds let every map be looked at again, and what that finds be looked at once more: an agent that
	// finds nothing asked for hesitates.
	const rounds, quiet = 120, 4
	still := 0
	for round := 0; still < quiet; round++ {
		if round == rounds {
			w.violate("the fleet doesn't come to rest: something goes on writing")
		}
		writes, starts := w.writes, w.starts
		w.revive(w.fresh)
		w.settle()
		for _, i := range w.store.garbage() {
			w.store.remove(i)
		}
		w.settle()
		still++
		w.revive(w.fresh)
		if w.writes > writes || w.starts > starts { // what was started has work to do
			still = 0
		}
		pause := 20 * time.Second
		if still > 1 {
			pause = 25 * time.Minute
		}
		w.pass(pause)
	}
}

// settle delivers and works until nothing is left to do now.
func (w *world) settle() {
	for range 2000 {
		busy := false
		for _, p := range w.procs() {
			for _, v := range p.cache.informers {
				if v.behind() {
					v.follow(p.ctx, w.store.version())
					busy = true
				}
			}
			busy = w.work(p) || busy
		}
		if !busy {
			return
		}
	}
	w.violate("requests are handled for ever")
}

// mend makes every spec one that can be fulfilled, and every node one that can fulfil it.
func (w *world) mend() {
	for _, i := range w.store.objects.ids("Node") {
		o := w.store.objects[i].DeepCopyObject().(*corev1.Node)
		w.must(w.store.update(withReady(o, w.clock), true))
	}
	for _, i := range w.store.objects.ids("BPFMap") {
		m := w.store.objects[i].DeepCopyObject().(*v1alpha1.BPFMap)
		// Nodes may hold maps of either size.
		if m.Spec.Group != "" {
			m.Spec.NodeSelector = nil // the same for all of a group
		}
		m.Spec.MaxEntries, m.Spec.ReplacePolicy, m.Spec.RollbackTo, m.Spec.Rollout, m.Spec.AllowNoNodes = 32, v1alpha1.ReplaceSwap, "", nil, true
		m.Spec.Entries = slices.DeleteFunc(m.Spec.Entries, func(e v1alpha1.Entry) bool { return string(e.Key.Raw) == "300" })
		if len(m.Spec.EntriesFrom) > 0 && len(w.feeds(m.Namespace)) == 0 {
			m.Spec.EntriesFrom = nil
		}
		w.must(w.store.update(m, false))
		w.logf("people mend %s, generation %d", i, m.Generation)
	}
}

// checkRest compares a fleet at rest with a fresh apply of what is declared.
func (w *world) checkRest(mended bool) {
	w.checkLeftovers()
	for _, n := range w.nodes {
		w.checkContents(n, mended)
	}
	if !mended {
		return
	}
	for _, i := range w.store.objects.ids("BPFMap") {
		m := w.store.objects[i].(*v1alpha1.BPFMap)
		newest := w.newest(m)
		if newest == nil {
			w.violate("%s has no revision: %s", i, conditionsOf(m))
		}
		fresh := w.compile(m)
		if fresh.Digest != newest.Spec.Digest {
			w.violate("%s has other contents than its spec in %s: %s", i, newest.Name, conditionsOf(m))
		}
		if !meta.IsStatusConditionTrue(m.Status.Conditions, v1alpha1.ConditionReady) {
			w.violate("%s isn't Ready: %s", i, conditionsOf(m))
		}
		for _, n := range w.nodes {
			labelled := labels.Set(w.store.objects[id{"Node", "", n.name}].GetLabels())
			selected := labels.SelectorFromSet(m.Spec.NodeSelector).Matches(labelled)
			h, there := n.holds[revision.Key{Namespace: m.Namespace, Name: m.Name}]
			if selected != there || (there && (h.uid != string(m.UID) || h.revision != newest.Name)) {
				w.violate("node %s holds %+v of %s, want %s: %t", n.name, h, i, newest.Name, selected)
			}
		}
	}
}

// checkLeftovers finds what belongs to nobody, and what is missing.
func (w *world) checkLeftovers() {
	owned := map[string]bool{}
	for _, i := range w.store.objects.ids("BPFMap") {
		owned[string(w.store.objects[i].GetUID())] = true
	}
	for _, i := range w.store.objects.ids("BPFMapRevision") {
		rev := w.store.objects[i].(*v1alpha1.BPFMapRevision)
		if !owned[rev.Spec.MapUID] {
			w.violate("%s of a BPFMap that is gone (%s) is left", i, rev.Spec.MapUID)
		}
		if rev.Labels[v1alpha1.LabelActive] != "true" {
			continue
		}
		for _, name := range rev.Spec.Chunks {
			if newest := w.newestOf(rev); w.store.objects[id{"BPFMapChunk", i.namespace, name}] == nil && newest.UID == rev.UID && w.compiles(rev) {
				w.violate("chunk %s of %s is missing", name, i)
			}
		}
	}
	for _, i := range w.store.objects.ids("BPFMapChunk") {
		if owner := metav1.GetControllerOf(w.store.objects[i]); owner == nil || !owned[string(owner.UID)] {
			w.violate("%s of a BPFMap that is gone is left", i)
		}
	}
	for _, n := range w.nodes {
		for key, h := range n.holds {
			if w.store.objects[id{"BPFMap", key.Namespace, key.Name}] == nil {
				w.violate("node %s holds a map of %s, %s, which is gone", n.name, key, h.uid)
			}
		}
	}
}

// newestOf is the newest revision beside another one.
func (w *world) newestOf(rev *v1alpha1.BPFMapRevision) *v1alpha1.BPFMapRevision {
	m := bpfMap(w.store.objects[id{"BPFMap", rev.Namespace, rev.Spec.MapName}])
	return w.newest(m)
}

func (w *world) newest(m *v1alpha1.BPFMap) *v1alpha1.BPFMapRevision {
	own := w.revisionsOf(m)
	if len(own) == 0 {
		return nil
	}
	return own[len(own)-1]
}

// compiles says whether a revision is what its BPFMap's spec compiles to: only then can its chunks be made again.
func (w *world) compiles(rev *v1alpha1.BPFMapRevision) bool {
	m := bpfMap(w.store.objects[id{"BPFMap", rev.Namespace, rev.Spec.MapName}])
	fresh := w.compile(m)
	return m.Spec.RollbackTo == "" && fresh != nil && fresh.Digest == rev.Spec.Digest
}

// checkContents compares a node's kernel with a fresh apply of the revisions that it is asked to hold.
func (w *world) checkContents(n *node, mended bool) {
	for key, h := range n.holds {
		wanted, _ := w.store.objects.asks(n.name, key, h)
		if !mended && (wanted == nil || wanted.Name != h.revision || wanted.Spec.Digest != h.digest || wanted.Spec.MapUID != h.uid) {
			continue // it waits, or was refused; what is asked for in the end is compared once specs are mended
		}
		if wanted == nil {
			w.violate("node %s holds a map of %s, which it isn't asked to hold", n.name, key)
		}
		rev := w.load(wanted)
		if rev == nil {
			continue
		}
		if got, want := elements(w, n.memory, key), w.apply(rev); !maps.Equal(got, want) {
			w.violate("node %s holds %d elements in %s, which aren't the %d of a fresh apply of %s", n.name, len(got), key, len(want), wanted.Name)
		}
	}
}

// load reads a revision from the store; nil if a chunk is missing.
func (w *world) load(object *v1alpha1.BPFMapRevision) *revision.Revision {
	described, err := revision.Describe(object)
	w.must(err)
	var parts []*revision.Part
	for _, name := range object.Spec.Chunks {
		chunk, ok := w.store.objects[id{"BPFMapChunk", object.Namespace, name}].(*v1alpha1.BPFMapChunk)
		if !ok {
			return nil
		}
		part, err := revision.ReadPart(described.Shape, name, chunk.Entries)
		w.must(err)
		parts = append(parts, part)
	}
	rev, err := revision.FromObject(object, parts)
	w.must(err)
	return rev
}

// apply is what a node holds that never held anything before.
func (w *world) apply(rev *revision.Revision) map[string]string {
	memory := enginetest.NewMemory()
	if report := engine.New(memory, engine.Options{}).Sync(w.t.Context(), rev); report.Err != nil {
		panic(report.Err)
	}
	return elements(w, memory, rev.Key)
}

func elements(w *world, memory *enginetest.Memory, key revision.Key) map[string]string {
	state, err := memory.Open(w.t.Context(), key, nil)
	w.must(err)
	defer func() { _ = state.KeepAlive.Close() }()
	return memory.Elements(state.KeepAlive)
}

// compile is what a spec and its sources compile to; nil if they don't.
func (w *world) compile(m *v1alpha1.BPFMap) *revision.Revision {
	sources, err := compile.Gather(&m.Spec, feeds{w, m.Namespace})
	w.must(err)
	rev, err := compile.With(m, sources, nil)
	if err != nil {
		return nil
	}
	return rev
}

// feeds are the ConfigMaps of a namespace.
type feeds struct {
	w         *world
	namespace string
}

type feed struct{ *corev1.ConfigMap }

func (w *world) feeds(namespace string) (list []compile.Object) {
	for _, i := range w.store.objects.ids("ConfigMap") {
		if i.namespace == namespace {
			list = append(list, feed{w.store.objects[i].(*corev1.ConfigMap)})
		}
	}
	return list
}

func (f feeds) Get(string, string) (compile.Object, error) { return nil, nil }
func (f feeds) Select(labels.Selector) ([]compile.Object, error) {
	return f.w.feeds(f.namespace), nil
}
func (f feeds) Fetch(*v1alpha1.EntrySource) (compile.Object, error) {
	return nil, &compile.MissingError{Message: "nothing is fetched here"}
}
func (f feeds) Where() string { return "here" }

func (f feed) Name() string            { return f.ConfigMap.Name }
func (f feed) Version() string         { return f.ResourceVersion }
func (f feed) Keys() ([]string, error) { return slices.Sorted(maps.Keys(f.ConfigMap.Data)), nil }
func (f feed) Data() (map[string][]byte, error) {
	data := map[string][]byte{}
	for k, v := range f.ConfigMap.Data {
		data[k] = []byte(v)
	}
	return data, nil
}
