// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/text"
)

// maxNote is the bound of an event's note in bytes (events.k8s.io/v1, Event.note).
const maxNote = 1024

// Event is what people are told of a BPFMap once.
type Event struct {
	// Type is corev1.EventTypeNormal or corev1.EventTypeWarning.
	Type string
	// Reason is a CamelCase word, Action what the process was doing.
	Reason, Action string
	// Note is for people; what exceeds an event's bound is cut off.
	Note string
}

// Emit sends an event regarding the BPFMap with this namespace, name and UID. A resource version, if
// there is one, keeps the recorder from counting the event as a repetition of an earlier one with the same
// reason, whose note people would go on reading.
func Emit(recorder events.EventRecorder, about metav1.ObjectMeta, e Event) {
	// Objects of a cache lack their kind, and a reference needs no more than this.
	regarding := &v1alpha1.BPFMap{
		TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "BPFMap"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: about.Namespace, Name: about.Name, UID: about.UID, ResourceVersion: about.ResourceVersion,
		},
	}
	recorder.Eventf(regarding, nil, e.Type, e.Reason, e.Action, "%s", text.Truncate(e.Note, maxNote))
}
