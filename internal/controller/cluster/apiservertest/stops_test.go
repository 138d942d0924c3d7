// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// takes are the nodes that are to take a revision now.
func (c *crew) takes(revision string) (nodes []string) {
	for node, held := range c.holds() {
		if held == revision {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// TestNodesThatAreGoneStopARollout kills, with the settings that a map has without any, each node that takes a new
// revision: once before it can report, once while it is to hold it for minReadySeconds.
func TestNodesThatAreGoneStopARollout(t *testing.T) {
	for name, report := range map[string]bool{"before they report": false, "after they reported": true} {
		t.Run(name, func(t *testing.T) {
			c := newCrew(t, 8, "")
			c.edit("blocklist", addEntry("192.0.2.3"))
			c.awaitTaken("blocklist-2", 2)
			taken := c.takes("blocklist-2")
			if report {
				c.follow()
				c.awaitReason(rollout.Soaking)
			}
			for _, node := range taken {
				c.setReady(node, corev1.ConditionUnknown, time.Now())
			}
			// It halts at the first of them; the second is told with it once its Node was read, too.
			c.awaitMap(func(m *v1alpha1.BPFMap) error {
				r := m.Status.Rollout
				if r == nil || r.Phase != v1alpha1.RolloutPhase(rollout.Halted) || !strings.HasPrefix(r.Message, "halted at 2 of 8 nodes: failed on ") || !strings.Contains(r.Message, "the Node isn't Ready; 1 more") {
					return fmt.Errorf("the rollout is %+v", r)
				}
				return nil
			})
			c.awaitTaken("blocklist-2", 2)
			c.awaitEvent("blocklist", "RolloutHalted")
			// Once they are back it goes on.
			for _, node := range taken {
				c.setReady(node, corev1.ConditionTrue, time.Now())
			}
			c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.Rollout = &v1alpha1.Rollout{MinReadySeconds: new(int32(0))} })
			c.awaitAllFollow()
		})
	}
}

// awaitAllFollow lets nodes follow until the rollout is complete.
func (c *crew) awaitAllFollow() {
	c.t.Helper()
	c.awaitMap(func(m *v1alpha1.BPFMap) error {
		c.follow()
		if r := m.Status.Rollout; r == nil || r.Phase != v1alpha1.RolloutPhase(rollout.Complete) || r.Revision != m.Status.UpdateRevision || m.Status.ObservedGeneration != m.Generation {
			return fmt.Errorf("rollout is %+v", r)
		}
		return nil
	})
}

// awaitMap waits until a BPFMap is as wanted.
func (c *crew) awaitMap(wrong func(*v1alpha1.BPFMap) error) {
	c.t.Helper()
	await.Nil(c.t, limit, func() error {
		m, err := c.get("blocklist")
		if err != nil {
			return err
		}
		return wrong(m)
	})
}

// awaitReason waits for a reason of the newest revision's rollout.
func (c *crew) awaitReason(reason rollout.Reason) {
	c.t.Helper()
	c.awaitMap(func(m *v1alpha1.BPFMap) error {
		if r := m.Status.Rollout; r == nil || r.Revision != m.Status.UpdateRevision || r.Reason != string(reason) {
			return fmt.Errorf("rollout is %+v, want reason %s", r, reason)
		}
		return nil
	})
}

// TestRolloutToleratesFailures goes on beside one node that fails, and stops at the second one.
func TestRolloutToleratesFailures(t *testing.T) {
	c := newCrew(t, 6, "  rollout: {maxUnavailable: 2, minReadySeconds: 0, maxFailed: 1}\n")
	c.edit("blocklist", addEntry("192.0.2.3"))
	c.awaitTaken("blocklist-2", 2)
	c.failOn[c.takes("blocklist-2")[0]] = true
	c.follow()
	c.awaitTaken("blocklist-2", 3) // the node that fails takes a place
	c.follow()
	c.awaitTaken("blocklist-2", 4)
	for _, node := range c.takes("blocklist-2") {
		c.failOn[node] = true
	}
	c.follow()
	c.awaitPhase(rollout.Halted)
	c.awaitTaken("blocklist-2", 4)
	c.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.Rollout.MaxFailed = nil })
	clear(c.failOn)
	c.awaitAllFollow()
}

// TestRolloutDeadline halts because a node doesn't report.
func TestRolloutDeadline(t *testing.T) {
	c := newCrew(t, 3, "  rollout: {maxUnavailable: 1, minReadySeconds: 0, progressDeadlineSeconds: 1}\n")
	c.edit("blocklist", addEntry("192.0.2.3"))
	c.awaitTaken("blocklist-2", 1)
	m := c.awaitPhase(rollout.Halted)
	if told := m.Status.Rollout.Message; !strings.HasSuffix(told, "has not reported within 1s; it goes on once no node fails (see spec.rollout.maxFailed), or with a new revision") {
		t.Errorf("the rollout says %q", told)
	}
	c.awaitTaken("blocklist-2", 1)
}

// TestEventsOfARollout counts what each node's watch of the active revisions gets of one change: the revision, each
// batch, and the end of the one before. It weighs them, too.
func TestEventsOfARollout(t *testing.T) {
	c := newCrew(t, 8, "  rollout: {maxUnavailable: 2, minReadySeconds: 1}\n")
	c.awaitPhase(rollout.Complete)
	watcher, err := client.NewWithWatch(plane.Config(), client.Options{Scheme: c.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var list v1alpha1.BPFMapRevisionList
	options := []client.ListOption{client.InNamespace(c.namespace), client.MatchingLabels{v1alpha1.LabelActive: "true"}}
	if err := c.List(ctx, &list, options...); err != nil {
		t.Fatal(err)
	}
	w, err := watcher.Watch(ctx, &v1alpha1.BPFMapRevisionList{}, append(options, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})...)
	if err != nil {
		t.Fatal(err)
	}
	events := make(chan watch.Event, 1000)
	go func() {
		defer close(events)
		for e := range w.ResultChan() {
			events <- e
		}
	}()
	c.edit("blocklist", addEntry("192.0.2.3"))
	const batches = 4
	for i := range batches {
		c.awaitTaken("blocklist-2", 2*(i+1))
		c.follow()
	}
	c.awaitPhase(rollout.Complete)
	c.awaitRevisions("blocklist", map[string]bool{"blocklist-1": false, "blocklist-2": true})
	var seen []string
	for ended := false; !ended; {
		e := <-events
		rev, ok := e.Object.(*v1alpha1.BPFMapRevision)
		if !ok {
			t.Fatalf("event %+v", e)
		}
		seen = append(seen, fmt.Sprintf("%s %s %.4s", e.Type, rev.Name, rev.Status.Rollout.Frontier))
		text, err := json.Marshal(rev.ManagedFields)
		if err != nil || (e.Type != watch.Deleted && len(text) > 500) {
			t.Errorf("managedFields of %s take %d bytes: %s, %v", rev.Name, len(text), text, err)
		}
		ended = e.Type == watch.Deleted && rev.Name == "blocklist-1"
	}
	if len(seen) != batches+2 {
		t.Errorf("a watch gets %d events, want %d:\n%s", len(seen), batches+2, strings.Join(seen, "\n"))
	}
	if want := "MODIFIED blocklist-2 ffff"; len(seen) < 2 || seen[len(seen)-2] != want {
		t.Errorf("the last batch is %v, want %s: all nodes, in the same write", seen, want)
	}
}
