// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// feed puts a ConfigMap's text into the store.
func (g *rig) feed(text string) {
	g.t.Helper()
	c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "feed"}}
	if err := g.store.Get(g.t.Context(), key("feed"), c); err != nil {
		g.t.Fatal(err)
	}
	c.Data = map[string]string{"list": text}
	if err := g.store.Update(g.t.Context(), c); err != nil {
		g.t.Fatal(err)
	}
}

// numbers are lines of JSON, of keys below n.
func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "{\"key\": %d, \"value\": \"x\"}\n", i)
	}
	return b.String()
}

// TestSourceStatus: contents that are refused leave the revision as it is, and the status says why and since when, also
// after a restart of the controller; entries that expire go on time.
func TestSourceStatus(t *testing.T) {
	m := newMap("foo", 8)
	m.Spec.EntriesFrom = []v1alpha1.EntrySource{{
		ConfigMapRef: &v1alpha1.SourceRef{Name: "feed", Key: "list"}, Format: v1alpha1.SourceJSON,
		Limits: &v1alpha1.SourceLimits{MaxChange: "20%", MaxInvalid: new(intstr.FromInt32(1))},
	}}
	feed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "feed"}}
	g := newRig(t, interceptor.Funcs{}, m, feed)
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	g.now = func() time.Time { return now }
	source := func() v1alpha1.SourceStatus {
		t.Helper()
		list := g.get("foo").Status.Sources
		if len(list) != 1 {
			t.Fatalf("sources are %+v", list)
		}
		return list[0]
	}

	g.feed(numbers(10) + numbers(1) + "{\"key\": \"x\", \"value\": \"x\"}\n")
	g.settle("foo")
	first := source()
	if first.Entries != 10 || first.Digest == "" || first.Message != "" || first.LastGoodTime == nil || len(first.LeftOut) != 2 {
		t.Errorf("the first contents: %+v", first)
	}

	restart := func() {
		g.compiled = newCompileCache(g.compiled.build, g.compiled.maxStored)
	}
	g.feed(numbers(5))
	for range 2 {
		now = now.Add(time.Hour)
		restart()
		g.settle("foo")
		message := g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidSource)
		for _, part := range []string{"removes 5", "limits.maxChange", "refused since 2026-01-01T13:00:00Z", "the contents of 2026-01-01T12:00:00Z stay"} {
			if !strings.Contains(message, part) {
				t.Errorf("%q doesn't say %s", message, part)
			}
		}
		got := source()
		if got.Digest != first.Digest || got.Entries != 10 || !strings.Contains(got.Message, "removes 5") || got.RefusedSince == nil {
			t.Errorf("what is refused: %+v", got)
		}
	}
	if got := g.names(); got != "foo-1*" {
		t.Errorf("revisions are %s", got)
	}

	// The annotation lets it through.
	_, digest, _ := strings.Cut(source().Message, "sha256:")
	allowed := g.get("foo")
	allowed.Annotations = map[string]string{v1alpha1.AnnotationAllowChange: "sha256:" + digest[:64]}
	if err := g.store.Update(t.Context(), allowed); err != nil {
		t.Fatal(err)
	}
	g.settle("foo")
	g.condition("foo", v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	if got := source(); got.Entries != 5 || got.Message != "" || got.RefusedSince != nil || !got.LastGoodTime.After(first.LastGoodTime.Time) {
		t.Errorf("what was let through: %+v", got)
	}

	// One of the entries expires, nothing else happens.
	until := now.Add(time.Hour).Format(time.RFC3339)
	g.feed(numbers(4) + "{\"key\": 4, \"value\": \"x\", \"expires\": \"" + until + "\"}\n")
	g.settle("foo")
	if got := source(); got.Entries != 5 || got.NextExpiryTime == nil {
		t.Errorf("before it expires: %+v", got)
	}
	result, err := g.reconcile("foo")
	if err != nil || result.RequeueAfter <= 0 || result.RequeueAfter > time.Hour {
		t.Errorf("%+v, %v: the next look isn't when the entry expires", result, err)
	}
	for range 2 {
		now = now.Add(time.Hour)
		restart()
		g.settle("foo")
		if got := source(); got.Entries != 4 || got.NextExpiryTime != nil {
			t.Errorf("after it has expired: %+v", got)
		}
	}
	revisions := g.revisionsIn("edge")
	if newest := revisions[len(revisions)-1]; newest.Spec.EntryCount != 4 {
		t.Errorf("the newest revision has %d entries", newest.Spec.EntryCount)
	}
}

// TestUnread: why a source can't be fetched isn't said again and again, each time behind what was said before.
func TestUnread(t *testing.T) {
	before := []v1alpha1.SourceStatus{
		{Index: 0, Name: "https://feeds.example/drop.txt", Message: "could not be fetched since yesterday"},
		{Index: 1, Name: "ConfigMap feed, key list", Message: "holds no entries"},
	}
	from := []v1alpha1.EntrySource{{HTTP: &v1alpha1.HTTPSource{}}, {ConfigMapRef: &v1alpha1.SourceRef{}}}
	if got := unread(before, from); got[0].Message != "" || got[1].Message != "holds no entries" {
		t.Errorf("%+v", got)
	}
	if before[0].Message == "" {
		t.Error("what the cache shows was changed")
	}
	if got := unread(before, nil); len(got) != 2 { // the spec has changed since
		t.Errorf("%+v", got)
	}
}
