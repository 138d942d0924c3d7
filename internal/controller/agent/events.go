// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// actionSync is the action of all events of an agent.
const actionSync = "Sync"

// The reasons of events; besides them Failed and Stalled, the states.
const (
	eventDriftDetected    = "DriftDetected"
	eventDriftRepaired    = "DriftRepaired"
	eventDriftOverwritten = "DriftOverwritten"
	eventPaddingNotZero   = "PaddingNotZero"
)

// maxNote is the bound of an event's note in bytes.
const maxNote = 1024

// eventEmitter emits what happened on this node, as events of the BPFMap, or of the node's BPFNodeState: see [event].
type eventEmitter struct {
	events.EventRecorder
	cache client.Reader
	node  string
}

// event is one event of a BPFMap. One that isShared is of the BPFNodeState, with the BPFMap as what it is related to: it
// may come from all nodes at a time, and the controller tells it of the BPFMap once, for all of them. A thousand nodes
// would be a thousand events of one object.
type event struct {
	kind, reason, note string
	isShared           bool
}

func warning(reason, note string) event {
	return event{kind: corev1.EventTypeWarning, reason: reason, note: note}
}

func normal(action engine.Action, note string) event {
	return event{kind: corev1.EventTypeNormal, reason: string(action), note: note}
}

// emit emits what a report says that the state before didn't.
func (e *eventEmitter) emit(ctx context.Context, before *v1alpha1.NodeMap, r engine.Report) {
	for _, n := range eventsFor(before, r) {
		e.send(ctx, r, n)
	}
}

// removed tells of a map that the node gave up though its BPFMap stays, and why.
func (e *eventEmitter) removed(ctx context.Context, r engine.Report, why string) {
	did := strings.ToLower(string(r.Action))
	if r.Action == engine.ActionGivenBack {
		did = "gave back"
	}
	note := fmt.Sprintf("%s map %d: %s", did, r.MapID, why)
	if r.Message != "" {
		note += " (" + r.Message + ")"
	}
	e.send(ctx, r, normal(r.Action, note))
}

func (e *eventEmitter) send(ctx context.Context, r engine.Report, n event) {
	note := e.node + ": " + n.note
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "")
	}
	if n.isShared {
		e.Eventf(e.stateReference(ctx), reference(r), n.kind, n.reason, actionSync, "%s", note)
		return
	}
	e.Eventf(reference(r), nil, n.kind, n.reason, actionSync, "%s", note)
}

// eventsFor are the events of a report: a map adopted or replaced, drift once each time that it appears, and
// failures when they begin or change. That a map was made is told by the states: with thousands of nodes there
// would be as many events for each new BPFMap.
func eventsFor(before *v1alpha1.NodeMap, r engine.Report) []event {
	var all []event
	if r.Drift != nil {
		switch wasDrifted := before != nil && before.Drifted; {
		case r.Drift.Overwritten > 0:
			all = append(all, warning(eventDriftOverwritten, r.Drift.String()))
		case r.Drift.Repaired:
			all = append(all, warning(eventDriftRepaired, r.Drift.String()))
		case !wasDrifted:
			all = append(all, warning(eventDriftDetected, r.Drift.String()+" (driftPolicy Report: this is left as it is)"))
		}
	}
	switch r.Action {
	case engine.ActionAdopted:
		adopted := normal(r.Action, "adopted the map at "+r.PinPath+" with its contents")
		if a := r.Plan.Adoption; a != nil && a.Discard > 0 {
			adopted.note = fmt.Sprintf("adopted the map at %s and deleted %s of others from it", r.PinPath, text.Count(a.Discard, "element", "elements"))
		}
		if r.Plan.Unverified != "" {
			adopted.note += ", " + r.Plan.Unverified
		}
		all = append(all, adopted)
		if r.Plan.Suspicion != "" {
			all = append(all, warning(eventPaddingNotZero, r.Plan.Suspicion))
		}
	case engine.ActionReplaced:
		note := r.Message
		if note == "" {
			note = "a new map took the pin at " + r.PinPath
		}
		all = append(all, normal(r.Action, note))
	}
	if r.Err != nil && (before == nil || before.State != r.State || before.Reason != r.Reason || before.Revision != r.Revision) {
		failed := warning(string(r.State), r.Reason+": "+r.Message)
		failed.isShared = true
		all = append(all, failed)
	}
	return all
}

// reference is as much of a BPFMap as an event needs.
func reference(r engine.Report) *v1alpha1.BPFMap {
	return &v1alpha1.BPFMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BPFMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: r.Key.Namespace, Name: r.Key.Name, UID: types.UID(r.UID)},
	}
}

// stateReference is as much of the node's BPFNodeState as an event needs. kubectl describe finds events by UIDs; before
// the object is in the cache, it is left out.
func (e *eventEmitter) stateReference(ctx context.Context) *v1alpha1.BPFNodeState {
	state := &v1alpha1.BPFNodeState{}
	_ = e.cache.Get(ctx, client.ObjectKey{Name: e.node}, state)
	return &v1alpha1.BPFNodeState{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BPFNodeState"},
		ObjectMeta: metav1.ObjectMeta{Name: e.node, UID: state.UID},
	}
}
