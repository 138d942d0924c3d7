// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/sighting"
)

// living is a rig with the map foo, whose entries live for an hour, and a clock that stands.
type living struct {
	*rig
	clock time.Time
}

func newLiving(t *testing.T, faults interceptor.Funcs) *living {
	m := newMap("foo", 8)
	m.Spec.EntriesFrom = []v1alpha1.EntrySource{{
		ConfigMapRef: &v1alpha1.SourceRef{Name: "feed", Key: "list"}, Format: v1alpha1.SourceJSON, ExpireAfter: metav1.Duration{Duration: time.Hour},
	}}
	feed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "feed"}}
	l := &living{newRig(t, faults, m, feed), time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)}
	l.now = func() time.Time { return l.clock }
	return l
}

func (l *living) restart() { l.compiled = newCompileCache(l.compiled.build, l.compiled.maxStored) }

// pass lets time pass, and settles.
func (l *living) pass(d time.Duration) {
	l.t.Helper()
	l.clock = l.clock.Add(d)
	l.settle("foo")
}

// holds checks how many entries the newest revision has.
func (l *living) holds(want int64) {
	l.t.Helper()
	revisions := l.revisionsIn("edge")
	slices.SortFunc(revisions, func(a, b v1alpha1.BPFMapRevision) int { return int(a.Number() - b.Number()) })
	if got := revisions[len(revisions)-1].Spec.EntryCount; got != want {
		l.t.Errorf("the newest revision has %d entries, want %d", got, want)
	}
}

// sightings are the names of the chunks that hold them.
func (l *living) sightings() string {
	l.t.Helper()
	var list v1alpha1.BPFMapChunkList
	if err := l.store.List(l.t.Context(), &list, client.InNamespace("edge"), client.MatchingLabels{v1alpha1.LabelSightings: "true"}); err != nil {
		l.t.Fatal(err)
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return strings.Join(names, " ")
}

// stores checks which chunks hold sightings.
func (l *living) stores(want string) {
	l.t.Helper()
	if got := l.sightings(); got != want {
		l.t.Errorf("sightings are %q, want %q", got, want)
	}
}

// TestLifetimes: entries go on time, whether the controller is the same one or has just started, and what is stored is
// written once for each change.
func TestLifetimes(t *testing.T) {
	l := newLiving(t, interceptor.Funcs{})
	l.feed(numbers(2))
	l.pass(0)
	l.holds(2)
	l.stores("foo-seen-1")
	l.restart()
	l.pass(30 * time.Minute)
	l.holds(2)
	l.stores("foo-seen-1")
	if got := l.get("foo").Status.Sources[0].NextExpiryTime; got == nil || !got.UTC().Equal(time.Date(2026, 1, 1, 13, 0, 0, 0, time.UTC)) {
		t.Errorf("the next entry expires at %v", got)
	}
	result, err := l.reconcile("foo")
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > 30*time.Minute {
		t.Errorf("%+v, %v: the next look isn't when the first entry expires", result, err)
	}
	l.feed(numbers(3))
	l.pass(0)
	l.holds(3)
	l.stores("foo-seen-2")
	l.pass(30 * time.Minute)
	l.holds(1)
	l.stores("foo-seen-3")
	l.restart()
	l.clock = l.clock.Add(-50 * time.Minute) // the next leader's clock is wrong
	l.pass(0)
	l.holds(1)
	l.pass(10 * time.Hour)
	l.holds(0)
	l.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)

	// What the source gave up and holds again is new; what is refused isn't seen.
	l.feed("{\"key\": 9, \"value\": \"x\"}\n")
	l.pass(time.Minute)
	l.holds(1)
	before := l.sightings()
	l.feed(numbers(1) + "{\"key\": true}\n")
	l.pass(time.Minute)
	l.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidSource)
	l.stores(before)
	l.feed(numbers(1) + "{\"key\": 9, \"value\": \"x\"}\n")
	l.pass(50 * time.Minute)
	l.holds(2)
	l.pass(10 * time.Minute)
	l.holds(1)

	// Without lifetimes nothing is remembered. A spec that isn't accepted removes nothing.
	before = l.sightings()
	l.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.EntriesFrom[0].ExpireAfter.Duration, s.MaxEntries = 0, 0 })
	l.settle("foo")
	l.stores(before)
	l.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.MaxEntries = 10 })
	l.settle("foo")
	l.stores("")
	l.holds(2)
	l.edit("foo", func(s *v1alpha1.BPFMapSpec) { s.EntriesFrom[0].ExpireAfter.Duration = time.Hour })
	l.settle("foo")
	l.stores("foo-seen-1")
	l.holds(2)
	if err := l.store.Delete(t.Context(), l.get("foo")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.reconcile("foo"); err != nil {
		t.Fatal(err)
	}
	l.stores("")
}

// TestLifetimesThroughCrashes stops the controller at each of its writes, a minute later another one begins: sightings are
// stored before the revision, and no entry lives longer than its lifetime since the first try that stored them.
func TestLifetimesThroughCrashes(t *testing.T) {
	for entries, most := range map[int]int{2: 1000, 6000: 4} { // more than the root has room for; it is written fourth
		for at := 1; at <= most; at++ {
			if writes := playCrash(t, entries, at); writes < at {
				if at < 8 {
					t.Errorf("only %d writes: the test tells nothing", writes)
				}
				break
			}
		}
	}
}

// playCrash plays the life of a feed with a crash, and counts the writes.
func playCrash(t *testing.T, entries, at int) (writes int) {
	crashes := false
	crash := func() error {
		writes++
		if crashes = crashes || writes == at; crashes {
			return errors.New("the process ends")
		}
		return nil
	}
	l := newLiving(t, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if _, isRevision := o.(*v1alpha1.BPFMapRevision); isRevision {
				var list v1alpha1.BPFMapChunkList
				if err := c.List(ctx, &list, client.MatchingLabels{v1alpha1.LabelSightings: "true"}); err != nil || len(list.Items) == 0 {
					t.Errorf("a revision is made before its sightings are stored: %v", err)
				}
			}
			if err := crash(); err != nil {
				return err
			}
			return c.Create(ctx, o, opts...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.DeleteOption) error {
			if err := crash(); err != nil {
				return err
			}
			return c.Delete(ctx, o, opts...)
		},
	})
	step := func(d time.Duration) {
		l.clock = l.clock.Add(d)
		for {
			_, err := l.reconcile("foo")
			if err == nil {
				break
			}
			if !crashes {
				t.Fatal(err)
			}
			crashes = false
			l.clock = l.clock.Add(time.Minute)
			l.restart()
		}
		l.settle("foo")
	}
	for n := range 2 {
		l.feed(numbers(entries + n))
		step(0)
	}
	step(59 * time.Minute)
	step(2 * time.Minute)
	l.holds(0)
	if n := len(strings.Fields(l.sightings())); n > 3 { // a root and its parts
		t.Errorf("crash %d: %d chunks of sightings are left: %s", at, n, l.sightings())
	}
	return writes
}

// TestTwoControllersWithLifetimes: of two that go by the same sightings only one can write the next, and the other one
// looks again.
func TestTwoControllersWithLifetimes(t *testing.T) {
	l := newLiving(t, interceptor.Funcs{})
	l.feed(numbers(2))
	l.pass(0)
	other := *l.reconciler
	other.compiled = newCompileCache(l.compiled.build, l.compiled.maxStored)
	var meanwhile func()
	l.client = interceptor.NewClient(l.store, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if f := meanwhile; f != nil {
				meanwhile = nil
				f()
			}
			return c.Create(ctx, o, opts...)
		},
	})
	mine := l.reconciler
	meanwhile = func() {
		l.reconciler = &other
		l.settle("foo")
		l.reconciler = mine
	}
	l.feed(numbers(3))
	l.clock = l.clock.Add(time.Minute)
	l.settle("foo")
	l.stores("foo-seen-2")
	l.holds(3)
	if meanwhile != nil || l.names() != "foo-1 foo-2*" {
		t.Errorf("revisions are %s", l.names())
	}
}

// TestLostSightings: what others delete is told, and begins anew.
func TestLostSightings(t *testing.T) {
	l := newLiving(t, interceptor.Funcs{})
	l.feed(numbers(6000))
	l.pass(0)
	names := strings.Fields(l.sightings())
	if len(names) != 3 || names[0] != "foo-seen-1" {
		t.Fatalf("sightings are %s", names)
	}
	remove := func(name string) {
		t.Helper()
		chunk := &v1alpha1.BPFMapChunk{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: name}}
		if err := l.store.Delete(t.Context(), chunk); err != nil {
			t.Fatal(err)
		}
		l.told()
	}
	remove(names[1])
	l.restart()
	l.pass(30 * time.Minute)
	if events := strings.Join(l.told(), "\n"); !strings.Contains(events, "SightingsLost") || !strings.Contains(events, names[1]) || !strings.Contains(events, "3000 keys") {
		t.Errorf("events are %s", events)
	}
	l.holds(6000)
	l.pass(30 * time.Minute)
	l.holds(3000)
	for _, name := range strings.Fields(l.sightings()) {
		if _, isRoot := numberOf("foo", name); isRoot { // which is noticed at once
			remove(name)
		}
	}
	l.pass(time.Minute)
	if events := strings.Join(l.told(), "\n"); !strings.Contains(events, "SightingsLost") || !strings.Contains(events, "all keys") {
		t.Errorf("events are %s", events)
	}
	l.holds(6000)
	l.pass(time.Hour)
	l.holds(0)
	if n := len(strings.Fields(l.sightings())); n != 3 {
		t.Errorf("sightings are %s", l.sightings())
	}
}

// TestSightingsCountInTheQuota: contents of which nearly nothing is in the map any more take room all the same.
func TestSightingsCountInTheQuota(t *testing.T) {
	l := newLiving(t, interceptor.Funcs{})
	l.limits.perNamespace = 20_000
	l.feed(numbers(300)) // 300 entries of 12 bytes, and as much for their sightings
	l.pass(0)
	l.holds(300)
	l.pass(time.Hour)
	l.holds(0)
	l.feed(numbers(3000))
	l.pass(time.Minute)
	message := l.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonQuotaExceeded)
	if !strings.Contains(message, "20000") || l.sightings() != "foo-seen-2" {
		t.Errorf("%s; sightings are %s", message, l.sightings())
	}
	l.limits.perNamespace = 1 << 20
	l.pass(2 * time.Minute)
	l.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	l.holds(2700)
}

// TestNamesOfSightings: no other BPFMap has a chunk of such a name.
func TestNamesOfSightings(t *testing.T) {
	p := sighting.Part{Number: 12}
	for name, want := range map[string]string{
		rootName("foo", 7): "7 true", partName("foo", &p): "12 false", "foo-seen-": "0 false", "foo-seen-seen-7": "0 false",
		"foo-seen-0123456789012345678901234567890123456789": "0 false", "foo-7": "0 false", "bar-seen-7": "0 false", "foo-seen-07a": "0 false",
	} {
		n, isRoot := numberOf("foo", name)
		if got := fmt.Sprint(n, isRoot); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	p.Number = 9_999_999_999
	if n := len(partName(strings.Repeat("x", 200), &p)); n > 253 {
		t.Errorf("a name has %d characters", n)
	}
}
