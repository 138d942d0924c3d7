// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

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

// eventEmitter emits what happened on this node, as events of the BPFMap.
type eventEmitter struct {
	events.EventRecorder
	node string
}

// event is one event of a BPFMap.
type event struct{ kind, reason, note string }

// emit emits what a report says that the state before didn't.
func (e *eventEmitter) emit(before *v1alpha1.NodeMap, r engine.Report) {
	for _, n := range eventsFor(before, r) {
		e.send(r, n)
	}
}

// removed tells of a map that the node gave up though its BPFMap stays, and why.
func (e *eventEmitter) removed(r engine.Report, why string) {
	did := strings.ToLower(string(r.Action))
	if r.Action == engine.ActionGivenBack {
		did = "gave back"
	}
	note := fmt.Sprintf("%s map %d: %s", did, r.MapID, why)
	if r.Message != "" {
		note += " (" + r.Message + ")"
	}
	e.send(r, event{corev1.EventTypeNormal, string(r.Action), note})
}

func (e *eventEmitter) send(r engine.Report, n event) {
	note := e.node + ": " + n.note
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "")
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
			all = append(all, event{corev1.EventTypeWarning, eventDriftOverwritten, r.Drift.String()})
		case r.Drift.Repaired:
			all = append(all, event{corev1.EventTypeWarning, eventDriftRepaired, r.Drift.String()})
		case !wasDrifted:
			all = append(all, event{corev1.EventTypeWarning, eventDriftDetected, r.Drift.String() + " (driftPolicy Report: this is left as it is)"})
		}
	}
	switch r.Action {
	case engine.ActionAdopted:
		adopted := event{corev1.EventTypeNormal, string(r.Action), "adopted the map at " + r.PinPath + " with its contents"}
		if a := r.Plan.Adoption; a != nil && a.Discard > 0 {
			adopted.note = fmt.Sprintf("adopted the map at %s and deleted %s of others from it", r.PinPath, text.Count(a.Discard, "element", "elements"))
		}
		if r.Plan.Unverified != "" {
			adopted.note += ", " + r.Plan.Unverified
		}
		all = append(all, adopted)
		if r.Plan.Suspicion != "" {
			all = append(all, event{corev1.EventTypeWarning, eventPaddingNotZero, r.Plan.Suspicion})
		}
	case engine.ActionReplaced:
		note := r.Message
		if note == "" {
			note = "a new map took the pin at " + r.PinPath
		}
		all = append(all, event{corev1.EventTypeNormal, string(r.Action), note})
	}
	if r.Err != nil && (before == nil || before.State != r.State || before.Reason != r.Reason || before.Revision != r.Revision) {
		all = append(all, event{corev1.EventTypeWarning, string(r.State), r.Reason + ": " + r.Message})
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
