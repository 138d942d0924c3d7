// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// recorded keeps the last event.
type recorded struct {
	regarding                  *v1alpha1.BPFMap
	kind, reason, action, note string
}

func (r *recorded) Eventf(regarding, _ runtime.Object, kind, reason, action, note string, args ...any) {
	*r = recorded{regarding.(*v1alpha1.BPFMap), kind, reason, action, fmt.Sprintf(note, args...)}
}

func TestEmit(t *testing.T) {
	var r recorded
	about := metav1.ObjectMeta{
		Namespace: "edge", Name: "blocklist", UID: "u", ResourceVersion: "7", Labels: map[string]string{"a": "b"},
	}
	Emit(&r, about, Event{Type: corev1.EventTypeWarning, Reason: "Failed", Action: "Sync", Note: "100% full"})
	if r.kind != "Warning" || r.reason != "Failed" || r.action != "Sync" || r.note != "100% full" {
		t.Errorf("event = %+v", r)
	}
	if m := r.regarding; m.Kind != "BPFMap" || m.APIVersion != "bpfmap.io/v1alpha1" || m.Name != "blocklist" ||
		m.Namespace != "edge" || m.UID != "u" || m.ResourceVersion != "7" || m.Labels != nil {
		t.Errorf("regarding = %+v", m)
	}
	// The bound falls into the middle of a character.
	Emit(&r, about, Event{Note: "x" + strings.Repeat("€", 1000)})
	if len(r.note) > maxNote || len(r.note) < maxNote-utf8.UTFMax || !utf8.ValidString(r.note) {
		t.Errorf("a long note has %d bytes, valid %t", len(r.note), utf8.ValidString(r.note))
	}
}
