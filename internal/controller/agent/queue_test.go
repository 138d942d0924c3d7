// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// TestTrigger keeps what comes before the controller runs, and passes on what comes then.
func TestTrigger(t *testing.T) {
	var tr trigger
	tr.add(types.NamespacedName{Name: "early"})
	q := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer q.ShutDown()
	must(t, tr.source("maps").Start(t.Context(), q))
	tr.add(types.NamespacedName{Name: "late"})
	for _, want := range []string{"early", "late"} {
		if got, _ := q.Get(); got.Name != want {
			t.Errorf("%s came, want %s", got.Name, want)
		}
	}
}

// newQueue is a queue over a client without indexes of a cache that runs.
func newQueue(t *testing.T, objects ...client.Object) *mapQueue {
	t.Helper()
	return &mapQueue{client: newClient(t, objects...), checks: &checks{}, state: newNodeState("node", "v1", Facts{})}
}

func (q *mapQueue) names() string {
	var names []string
	for _, n := range q.waiting {
		names = append(names, n.Name)
	}
	q.waiting = nil
	return strings.Join(names, " ")
}

// TestAllMaps are those that are declared, were reported, or are on record, in order, each once.
func TestAllMaps(t *testing.T) {
	q := newQueue(t, compiled(t, "declared", 1, hash(1)), compiled(t, "declared", 2, hash(2)))
	reported := revision.Key{Namespace: "a", Name: "reported"}
	q.state.set(v1alpha1.NodeMap{Namespace: reported.Namespace, Name: reported.Name})
	running := q.checks.begin(reported, "one")
	q.checks.passed(reported, running)
	e := &scripted{records: []engine.Record{
		{Key: revision.Key{Namespace: "z", Name: "recorded"}, UID: "uid"}, {Key: revision.Key{Namespace: "z", Name: "local"}},
	}}
	q.addAll(t.Context(), e)
	if got := q.names(); got != "reported declared recorded" {
		t.Errorf("%s are queued", got)
	}
	if q.checks.untilDue(reported, "one", time.Hour) > 0 {
		t.Error("a comparison isn't due, though all maps are to be compared again")
	}
	q.addAll(t.Context(), nil)
	if got := q.names(); got != "reported declared" {
		t.Errorf("without an engine, %s are queued", got)
	}
}

// TestLinkedMaps are compared again when what they name changes.
func TestLinkedMaps(t *testing.T) {
	interfaces := `{type: DevMap, maxEntries: 4, entries: [{key: 1, value: eth0}, {key: 2, value: eth1}]}`
	holder := `{type: ArrayOfMaps, maxEntries: 4, inner: {type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4}, entries: [{key: 1, value: table}]}`
	q := newQueue(t, compiled(t, "uplinks", 1, interfaces), compiled(t, "holder", 1, holder), compiled(t, "table", 1, hash(1)))
	ctx := context.Background()
	uplinks := revision.Key{Namespace: "default", Name: "uplinks"}
	q.checks.passed(uplinks, q.checks.begin(uplinks, "uplinks-1"))
	q.addReferrers(ctx, interfacesReference)
	if got := q.names(); got != "uplinks" || q.checks.untilDue(uplinks, "uplinks-1", time.Hour) > 0 {
		t.Errorf("%q are queued after a change of interfaces, or not due", got)
	}
	q.addHolders(ctx, revision.Key{Namespace: "default", Name: "table"})
	if got := q.names(); got != "holder" {
		t.Errorf("%q are queued after a change of the map table", got)
	}
	q.addHolders(ctx, revision.Key{Namespace: "other", Name: "table"})
	if got := q.names(); got != "" {
		t.Errorf("%q are queued after a change in another namespace", got)
	}
}
