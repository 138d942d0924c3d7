// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

// TestHistoryIsCutToBytes keeps as much history as fits, however many revisions the limit of number allows.
func TestHistoryIsCutToBytes(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 1000, many(100, "x0")...), newNode("n1"))
	g.limits.history = 100
	g.bound(350_000, 1<<40) // three revisions of 100,420 bytes
	for i := range 6 {
		g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries(many(100, fmt.Sprint("x", i))...) })
		g.settle("foo")
		g.reports("n1")
		g.settle("foo")
		if n := g.storedBytes("edge"); n > 350_000 {
			t.Fatalf("%d bytes are stored after edit %d", n, i)
		}
	}
	if got, want := g.names(), "foo-4 foo-5 foo-6*"; got != want {
		t.Errorf("revisions are %s, want %s", got, want)
	}
	// A policy's change shares its chunks with the revision before, and costs nothing.
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.DeletionPolicy = v1alpha1.DeletionRetain })
	g.settle("foo")
	if got, want := g.names(), "foo-4 foo-5 foo-6* foo-7*"; got != want {
		t.Errorf("revisions are %s, want %s", got, want)
	}
}

// TestTooLargeForOneMap refuses contents that exceed the bound alone, before anything is written, and doesn't
// compile them again.
func TestTooLargeForOneMap(t *testing.T) {
	writes, compiles := 0, 0
	g := newRig(t, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			writes++
			return c.Create(ctx, o, opts...)
		},
	}, newMap("foo", 1000, many(50, "x")...), newNode("n1"))
	g.bound(60_000, 1<<40)
	build := g.compiled.build
	g.compiled.build = func(m *v1alpha1.BPFMap, in compile.Input) (*compile.Result, error) {
		compiles++
		return build(m, in)
	}
	g.settle("foo")
	g.reports("n1")
	g.settle("foo")
	writes, compiles = 0, 0
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries(many(100, "x")...) })
	for range 5 {
		g.settle("foo")
	}
	message := g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonTooLarge)
	for _, word := range []string{"100420 bytes", "60000", "--max-stored-bytes-per-map", "the nodes keep revision foo-1"} {
		if !strings.Contains(message, word) {
			t.Errorf("the message %q doesn't say %q", message, word)
		}
	}
	g.condition("foo", v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonNotAccepted)
	if writes != 0 || compiles != 1 || g.names() != "foo-1*" {
		t.Errorf("%d writes, %d compilations, revisions %s; want none, one and foo-1", writes, compiles, g.names())
	}
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries(many(51, "x")...) })
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// TestTooLargeForAChunk refuses an entry that no chunk can hold.
func TestTooLargeForAChunk(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", v1alpha1.MaxChunkBytes, "x"))
	if result, err := g.reconcile("foo"); err != nil || result.RequeueAfter != 0 {
		t.Fatalf("%+v, %v: trying again doesn't help", result, err)
	}
	message := g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonTooLarge)
	for _, word := range []string{"entry", "262148", "262124"} {
		if !strings.Contains(message, word) {
			t.Errorf("the message %q doesn't say %q", message, word)
		}
	}
}

// TestNamespaceQuota refuses what a namespace has no room for, reads no contents for that, leaves other
// namespaces alone, and looks again.
func TestNamespaceQuota(t *testing.T) {
	g := newRig(t, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if _, ok := o.(*v1alpha1.BPFMapChunk); ok {
				t.Error("a chunk's contents are read")
			}
			return c.Get(ctx, key, o, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if _, ok := list.(*v1alpha1.BPFMapChunkList); ok {
				t.Error("the contents of chunks are read")
			}
			return c.List(ctx, list, opts...)
		},
	}, newMap("a", 1000, many(100, "x")...), newMap("b", 1000, many(100, "x")...), newMap("other/c", 1000, many(100, "x")...))
	g.bound(1<<30, 150_000)
	g.settle("a")
	g.settle("b")
	message := g.condition("b", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonQuotaExceeded)
	for _, word := range []string{"namespace edge", "100420 bytes", "would add 100420", "together 200840", "150000", "--max-stored-bytes-per-namespace"} {
		if !strings.Contains(message, word) {
			t.Errorf("the message %q doesn't say %q", message, word)
		}
	}
	if result, err := g.reconcile("b"); err != nil || result.RequeueAfter != quotaRetry {
		t.Errorf("%+v, %v: want another look in %v", result, err, quotaRetry)
	}
	g.settle("other/c")
	g.condition("other/c", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)

	// A map that is full may change, if it grows no larger: its history makes room.
	g.edit("a", func(s *v1alpha1.BPFMapSpec) { s.RevisionHistoryLimit = new(int32(0)) })
	g.settle("a")
	g.edit("a", func(s *v1alpha1.BPFMapSpec) { s.Entries = entries(many(30, "x")...) })
	g.settle("a")
	g.condition("a", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	g.settle("b")
	g.condition("b", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if n := g.storedBytes("edge"); n > 150_000 {
		t.Errorf("%d bytes are stored in the namespace", n)
	}
	if err := g.store.Delete(t.Context(), g.get("a")); err != nil {
		t.Fatal(err)
	}
	if _, err := g.reconcile("a"); err != nil {
		t.Fatal(err)
	}
	if len(g.reserved.made) > 0 {
		t.Errorf("reservations %v are left", g.reserved.made)
	}
}

// TestQuotaBeforeTheCacheShows counts what was written a moment ago, by this and by other BPFMaps.
func TestQuotaBeforeTheCacheShows(t *testing.T) {
	hidden := false
	g := newRig(t, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if !hidden {
				return c.List(ctx, list, opts...)
			}
			return nil
		},
	}, newMap("a", 1000, many(100, "x")...), newMap("b", 1000, many(100, "x")...))
	g.bound(1<<30, 150_000)
	hidden = true
	if _, err := g.reconcile("a"); err != nil {
		t.Fatal(err)
	}
	if _, err := g.reconcile("b"); err != nil {
		t.Fatal(err)
	}
	g.condition("b", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonQuotaExceeded)
	hidden = false
	g.settle("a")
	g.settle("b")
	g.condition("b", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonQuotaExceeded)
}

// TestPausedRolloutsDontPileUp edits a map whose rollout is paused: revisions that no node got go.
func TestPausedRolloutsDontPileUp(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 1000, many(20, "x0")...), newNode("n1"), newNode("n2"))
	g.bound(64<<10, 1<<40) // three revisions of 20 kB
	g.settle("foo")
	g.reports("n1")
	g.reports("n2")
	g.settle("foo")
	one := intstr.FromInt32(1)
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Rollout.Partition = &one })
	for i := range 8 {
		g.edit("foo", func(s *v1alpha1.BPFMapSpec) {
			s.Entries = entries(many(20, fmt.Sprint("x", i+1))...)
			s.Rollout.Paused = i > 0
		})
		g.settle("foo")
		if i == 0 { // one of the two nodes has the second revision
			for _, node := range []string{"n1", "n2"} {
				g.reports(node)
			}
			g.settle("foo")
		}
		if n := g.storedBytes("edge"); n > 64<<10+20_300 {
			t.Fatalf("%d bytes are stored after edit %d: %s", n, i, g.names())
		}
	}
	// The first one is with all nodes, the second one with one, the newest one is wanted.
	if got, want := g.names(), "foo-1* foo-2* foo-9*"; got != want {
		t.Errorf("revisions are %s, want %s", got, want)
	}
	g.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.Rollout = &v1alpha1.Rollout{MinReadySeconds: new(int32(0))} })
	for range 4 {
		g.settle("foo")
		for _, node := range []string{"n1", "n2"} {
			g.reports(node)
		}
	}
	g.settle("foo")
	if got, want := g.names(), "foo-1 foo-2 foo-9*"; got != want {
		t.Errorf("revisions are %s, want %s", got, want)
	}
}

// TestLostChunks come back, those of an earlier BPFMap of the name are replaced.
func TestLostChunks(t *testing.T) {
	g := newRig(t, interceptor.Funcs{}, newMap("foo", 1000, many(600, "x")...))
	g.settle("foo")
	before := g.chunksIn("edge")
	if len(before) < 4 {
		t.Fatalf("%d chunks, want some", len(before))
	}
	for name := range before {
		if err := g.store.Delete(t.Context(), &v1alpha1.BPFMapChunk{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: name}}); err != nil {
			t.Fatal(err)
		}
		break
	}
	g.settle("foo")
	if diff := cmp.Diff(before, g.chunksIn("edge")); diff != "" {
		t.Errorf("chunks (-want +got)\n%s", diff)
	}
	for name, size := range before {
		o := &v1alpha1.BPFMapChunk{}
		if err := g.store.Get(t.Context(), types.NamespacedName{Namespace: "edge", Name: name}, o); err != nil {
			t.Fatal(err)
		}
		if got := o.Annotations[v1alpha1.AnnotationPackedBytes]; got != fmt.Sprint(size) {
			t.Errorf("chunk %s of %d bytes says %q", name, size, got)
		}
		o.OwnerReferences[0].UID = "uid-before"
		if err := g.store.Update(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	g.settle("foo")
	var list v1alpha1.BPFMapChunkList
	if err := g.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		if !metav1.IsControlledBy(&list.Items[i], g.get("foo")) {
			t.Errorf("chunk %s belongs to %v, and goes with it", list.Items[i].Name, list.Items[i].OwnerReferences)
		}
	}
	if len(list.Items) != len(before) {
		t.Errorf("%d chunks, want %d", len(list.Items), len(before))
	}
}

func TestCutHistory(t *testing.T) {
	sizes := map[string]int64{"a": 100, "b": 100, "c": 100, "d": 100}
	revs := func(chunks ...string) (list []v1alpha1.BPFMapRevision) {
		for i, c := range chunks {
			rev := v1alpha1.BPFMapRevision{}
			rev.Name = fmt.Sprint(i + 1)
			rev.Spec.Chunks = strings.Split(c, "")
			list = append(list, rev)
		}
		return list
	}
	for _, c := range []struct {
		name   string
		own    []v1alpha1.BPFMapRevision
		inUse  string
		want   stored
		limit  int
		bound  int64
		expect string
	}{
		{"nothing", nil, "", stored{}, 5, 1000, ""},
		{"all fit", revs("a", "b", "c"), "3", stored{}, 5, 300, "1 2 3"},
		{"too many", revs("a", "b", "c", "d"), "4", stored{}, 2, 1000, "2 3 4"},
		{"none", revs("a", "b"), "2", stored{}, 0, 1000, "2"},
		{"too large together", revs("a", "b", "c"), "3", stored{}, 5, 299, "2 3"},
		{"shared chunks count once", revs("ab", "ab", "ac"), "3", stored{}, 5, 300, "1 2 3"},
		{"the wanted one counts", revs("a", "b", "c"), "3", stored{inline: 50, chunks: []storedChunk{{"d", 100}, {"c", 100}}}, 5, 350, "2 3"},
		{"nothing older behind one that goes", revs("a", "bd", "c"), "3", stored{}, 5, 200, "3"},
		{"what is in use stays, however large", revs("a", "b", "c", "d"), "1 3 4", stored{}, 5, 1, "1 3 4"},
		{"and isn't history", revs("a", "b", "c", "d"), "1 4", stored{}, 1, 1000, "1 3 4"},
		{"a chunk that is lost takes nothing", revs("x", "y", "a"), "3", stored{}, 5, 100, "1 2 3"},
	} {
		inUse := func(rev *v1alpha1.BPFMapRevision) bool {
			return strings.Contains(" "+c.inUse+" ", " "+rev.Name+" ")
		}
		kept, cut := cutHistory(c.own, inUse, c.want, sizes, c.limit, c.bound)
		var names []string
		for _, rev := range kept {
			names = append(names, rev.Name)
		}
		if got := strings.Join(names, " "); got != c.expect || len(kept)+len(cut) != len(c.own) {
			t.Errorf("%s: %q stay and %d of %d go, want %q", c.name, got, len(cut), len(c.own), c.expect)
		}
	}
}

// TestSizes counts what doesn't tell its size as the largest possible.
func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"": v1alpha1.MaxChunkBytes, "7": 7, "-1": v1alpha1.MaxChunkBytes, "0": v1alpha1.MaxChunkBytes, "x": v1alpha1.MaxChunkBytes,
		fmt.Sprint(v1alpha1.MaxChunkBytes): v1alpha1.MaxChunkBytes, "99999999999999999999": v1alpha1.MaxChunkBytes,
	} {
		o := &metadata{}
		o.Annotations = map[string]string{v1alpha1.AnnotationPackedBytes: text}
		if got := chunkSize(o); got != want {
			t.Errorf("the size %q counts as %d, want %d", text, got, want)
		}
	}
	rev := &v1alpha1.BPFMapRevision{}
	rev.Annotations = map[string]string{v1alpha1.AnnotationPackedBytes: "1"} // altered by others
	rev.Spec.Entries = make([]byte, 700)
	for range 2 { // a transform may see an object twice
		o, err := trimEntries(rev)
		if err != nil || o != any(rev) || rev.Spec.Entries != nil {
			t.Fatalf("%v, %v", o, err)
		}
		if got := inlineSize(rev); got != 700 {
			t.Errorf("inline entries of 700 bytes count as %d", got)
		}
	}
	rev.Annotations = nil
	if got := inlineSize(rev); got != v1alpha1.LargestInlineEntriesBytes {
		t.Errorf("inline entries of unknown size count as %d", got)
	}
	rev.Spec.Chunks = []string{"a"}
	if got := storedIn(rev, map[string]int64{"a": 5}); got.total != 5 || got.inline != 0 {
		t.Errorf("a revision of one chunk of 5 bytes takes %+v", got)
	}
}

// TestReservations lets no two BPFMaps take the same room.
func TestReservations(t *testing.T) {
	var r reservations
	a, b := types.NamespacedName{Namespace: "edge", Name: "a"}, types.NamespacedName{Namespace: "edge", Name: "b"}
	want := func(chunks ...string) stored {
		s := stored{inline: 10}
		for _, c := range chunks {
			s.chunks = append(s.chunks, storedChunk{c, 100})
		}
		return s
	}
	present := map[string]int64{"a1": 100, revisionKey("a-1"): 10}
	if why := r.reserve(a, "a-2", want("a2"), present, 0, 250); why != nil {
		t.Fatal(why)
	}
	if why := r.reserve(b, "b-1", want("b1"), present, 0, 250); why == nil || !strings.Contains(why.Message, "take 220 bytes, and this one would add 110") {
		t.Fatalf("%+v, want no room beside what is reserved", why)
	}
	if why := r.reserve(types.NamespacedName{Namespace: "other", Name: "c"}, "c-1", want("c1"), nil, 0, 250); why != nil {
		t.Errorf("another namespace has no room: %+v", why)
	}
	if why := r.reserve(b, "b-1", want("b1"), present, 110, 250); why != nil {
		t.Errorf("no room though as much is freed: %+v", why)
	}
	r.release(b)
	// What the cache shows by now isn't counted twice.
	present["a2"], present[revisionKey("a-2")] = 100, 10
	if why := r.reserve(b, "b-1", stored{inline: 30}, present, 0, 250); why != nil {
		t.Errorf("%+v", why)
	}
	// Contents that take less than what goes for them are never refused.
	if why := r.reserve(a, "a-3", stored{inline: 90}, present, 100, 10); why != nil {
		t.Errorf("%+v", why)
	}
	r.release(a)
	r.release(b)
	r.release(types.NamespacedName{Namespace: "other", Name: "c"})
	if len(r.made) != 0 {
		t.Errorf("%v is left", r.made)
	}
}

func TestActiveOf(t *testing.T) {
	rev := func(number int64, frontier string, isActive bool) v1alpha1.BPFMapRevision {
		r := v1alpha1.BPFMapRevision{}
		r.Spec.Number, r.Status.Rollout.Frontier = number, frontier
		if isActive {
			r.Labels = map[string]string{v1alpha1.LabelActive: active}
		}
		return r
	}
	for _, c := range []struct {
		own  []v1alpha1.BPFMapRevision
		want int
	}{
		{nil, 0},
		{[]v1alpha1.BPFMapRevision{rev(1, rollout.None, true)}, 1},
		{[]v1alpha1.BPFMapRevision{rev(1, rollout.All, true), rev(2, rollout.All, true)}, 2},
		{[]v1alpha1.BPFMapRevision{rev(1, rollout.All, false), rev(2, rollout.All, true)}, 1},
		{[]v1alpha1.BPFMapRevision{rev(1, rollout.All, true), rev(2, "80", true), rev(3, rollout.None, true)}, 3},
		{[]v1alpha1.BPFMapRevision{rev(1, rollout.All, true), rev(2, rollout.All, true), rev(3, "80", true)}, 2},
		{[]v1alpha1.BPFMapRevision{rev(1, rollout.All, false), rev(2, "80", true)}, 1},
	} {
		if got := activeOf(c.own); len(got) != c.want {
			t.Errorf("%d of %d are active, want %d", len(got), len(c.own), c.want)
		}
	}
}

func TestPartition(t *testing.T) {
	revs := make([]v1alpha1.BPFMapRevision, 3)
	for i, uid := range []string{"a", "b", "a"} {
		revs[i].Spec.MapUID, revs[i].Spec.Number = uid, int64(i+4)
	}
	own, namesakes := partition(revs, "a")
	if len(own) != 2 || len(namesakes) != 1 || own[1].Spec.Number != 6 || namesakes[0].Spec.Number != 5 {
		t.Errorf("own %v, namesakes %v", own, namesakes)
	}
	if nextNumber(nil) != 1 || nextNumber(revs) != 7 {
		t.Errorf("next numbers are %d and %d, want 1 and 7", nextNumber(nil), nextNumber(revs))
	}
}

func TestPolicyOf(t *testing.T) {
	number, share, odd := intstr.FromInt32(3), intstr.FromString("30%"), intstr.FromString("many")
	standard := rollout.Policy{MaxUnavailable: 3, MinReady: 10 * time.Second, Deadline: 10 * time.Minute}
	for _, c := range []struct {
		spec  *v1alpha1.Rollout
		nodes int
		want  rollout.Policy
	}{
		{nil, 11, standard},
		{&v1alpha1.Rollout{}, 11, standard},
		{nil, 3, rollout.Policy{MaxUnavailable: 1, MinReady: 10 * time.Second, Deadline: 10 * time.Minute}},
		{nil, 39, rollout.Policy{MaxUnavailable: 10, MaxFailed: 1, MinReady: 10 * time.Second, Deadline: 10 * time.Minute}},
		{&v1alpha1.Rollout{
			MaxUnavailable: &share, Partition: &number, MinReadySeconds: new(int32(5)), ProgressDeadlineSeconds: new(int32(60)), MaxFailed: &share,
			Paused: true, OnFailure: v1alpha1.FailureRollback,
		}, 11, rollout.Policy{MaxUnavailable: 4, Partition: 3, MaxFailed: 3, MinReady: 5 * time.Second, Deadline: time.Minute, Paused: true, Rollback: true}},
		{&v1alpha1.Rollout{MaxUnavailable: &odd, MinReadySeconds: new(int32(0))}, 11, rollout.Policy{Deadline: 10 * time.Minute}},
	} {
		if got := policyOf(c.spec, c.nodes); got != c.want {
			t.Errorf("policyOf(%+v) = %+v, want %+v", c.spec, got, c.want)
		}
	}
}
