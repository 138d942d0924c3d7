// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kstatus "sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/liveness"
	"github.com/bpfmap-io/bpfmap-operator/internal/status"
)

const (
	current    = "Current"
	inProgress = "InProgress"
	failed     = "Failed"
	// waits is what Flux makes of an object that its expressions can't read: it asks again.
	waits = "waits"
)

// argo has what Argo CD calls the verdicts of kstatus.
var argo = map[string]string{current: "Healthy", inProgress: "Progressing", failed: "Degraded"}

const (
	uid    = "uid-colours"
	newest = "colours-3"
)

// made is the BPFMap with the status that the controller gives it.
func made(nodes map[string]v1alpha1.NodeMap, change func(*status.Input)) *v1alpha1.BPFMap {
	m := &v1alpha1.BPFMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "bpfmap.io/v1alpha1", Kind: "BPFMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: "colours", UID: uid, Generation: 4},
	}
	in := status.Input{
		Map: m, MapStates: nodes, Now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
		Revision: &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "edge", Name: newest}},
	}
	for name := range nodes {
		in.Nodes = append(in.Nodes, name)
	}
	if change != nil {
		change(&in)
	}
	m.Status = status.Aggregate(in)
	return m
}

func line(state v1alpha1.NodeMapState, reason string) v1alpha1.NodeMap {
	return v1alpha1.NodeMap{
		Namespace: "edge", Name: "colours", UID: uid, Revision: newest, MapID: 7,
		State: state, Reason: reason, Message: "says " + reason, Drifted: reason == v1alpha1.NodeReasonDrifted,
	}
}

var (
	inSync       = line(v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync)
	full         = line(v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull)
	incompatible = line(v1alpha1.NodeMapStalled, v1alpha1.NodeReasonIncompatible)
	drifted      = line(v1alpha1.NodeMapReady, v1alpha1.NodeReasonDrifted)
)

type nodes = map[string]v1alpha1.NodeMap

func reject(in *status.Input) {
	in.Rejected = &status.Rejection{Reason: v1alpha1.ReasonInvalidEntry, Message: "entries[1].value: 300 is out of range"}
}

func noRevision(in *status.Input) { in.Revision = nil }

func oneSilent(in *status.Input) { in.Nodes = append(in.Nodes, "silent") }

func oneGone(in *status.Input) {
	in.Gone = map[string]liveness.Liveness{"b": {State: liveness.NodeUnknown, Message: "the Node isn't Ready"}}
}

// before is a node that holds the revision before.
var before = func() v1alpha1.NodeMap {
	m := line(v1alpha1.NodeMapReady, v1alpha1.NodeReasonInSync)
	m.Revision = "colours-1"
	return m
}()

func partitioned(in *status.Input) {
	in.Assigned = map[string]string{"b": "colours-1"}
	in.Rollout = &v1alpha1.RolloutStatus{Phase: "Paused", Message: "as many as partition allows"}
}

func paused(in *status.Input) {
	partitioned(in)
	in.Rollout.Message = "paused at 1 of 2 nodes"
	in.Map.Spec.Rollout = &v1alpha1.Rollout{Paused: true}
}

func rolledBack(in *status.Input) {
	in.Assigned = map[string]string{"a": "colours-1", "b": "colours-1"}
	in.Rollout = &v1alpha1.RolloutStatus{Phase: "RolledBack", Message: "rolled back: map is full"}
}

// nodeState has the condition Ready, unless ready is empty.
func nodeState(ready metav1.ConditionStatus, reason string) *v1alpha1.BPFNodeState {
	s := &v1alpha1.BPFNodeState{
		TypeMeta:   metav1.TypeMeta{APIVersion: "bpfmap.io/v1alpha1", Kind: "BPFNodeState"},
		ObjectMeta: metav1.ObjectMeta{Name: "node-a", Generation: 1},
		Status:     v1alpha1.BPFNodeStateStatus{KernelRelease: "6.12"},
	}
	if ready != "" {
		s.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: ready, Reason: reason, Message: "says " + reason}}
	}
	return s
}

func without(fields ...string) func(map[string]any) {
	return func(o map[string]any) { unstructured.RemoveNestedField(o, fields...) }
}

func reconciling(o map[string]any) {
	for _, c := range o["status"].(map[string]any)["conditions"].([]any) {
		if c := c.(map[string]any); c["type"] == "Reconciling" {
			c["status"], c["message"] = "True", "at work"
		}
	}
}

var cases = []struct {
	name   string
	object any
	// change edits the object as it is read.
	change func(map[string]any)
	want   string
	// kstatus is its verdict where it isn't want; why says why that is so.
	kstatus, why string
	// flux is what Flux does where that isn't want.
	flux string
	// message is what people read in Argo CD.
	message string
}{
	{name: "ready", object: made(nodes{"a": inSync, "b": inSync}, nil), want: current, message: "2 of 2 nodes ready"},
	{name: "no nodes selected", object: made(nil, nil), want: current, message: "no node matches nodeSelector"},
	{name: "no revision yet", object: made(nil, noRevision), want: inProgress, message: "0 of 0 nodes ready"},
	{
		name: "one node has not reported", object: made(nodes{"a": inSync}, oneSilent), want: inProgress,
		message: "1 of 2 nodes ready; on silent: waiting for the node's agent",
	},
	{name: "one node failed", object: made(nodes{"a": inSync, "b": full}, nil), want: inProgress, message: "1 of 2 nodes ready; on b: says MapFull"},
	{name: "stalled", object: made(nodes{"a": inSync, "b": incompatible}, nil), want: failed, message: "1 of 2 nodes ready; on b: says Incompatible"},
	{name: "stalled and still at work", object: made(nodes{"b": incompatible}, oneSilent), want: inProgress, message: "0 of 2 nodes ready; on b: says Incompatible"},
	{name: "rejected", object: made(nodes{"a": inSync}, reject), want: failed, message: "entries[1].value: 300 is out of range"},
	{name: "drift that is reported", object: made(nodes{"a": inSync, "b": drifted}, nil), want: inProgress, message: "1 of 2 nodes ready; on b: says Drifted"},
	{name: "one node unknown", object: made(nodes{"a": inSync, "b": inSync}, oneGone), want: inProgress, message: "1 of 2 nodes ready; unknown on b: the Node isn't Ready"},
	{name: "partition reached", object: made(nodes{"a": inSync, "b": before}, partitioned), want: current, message: "as many as partition allows"},
	{name: "paused", object: made(nodes{"a": inSync, "b": before}, paused), want: inProgress, message: "paused at 1 of 2 nodes"},
	{name: "rolled back", object: made(nodes{"a": before, "b": before}, rolledBack), want: failed, message: "rolled back: map is full"},
	{
		name: "an older generation observed", object: made(nodes{"a": inSync}, nil), want: inProgress,
		change:  func(o map[string]any) { o["metadata"].(map[string]any)["generation"] = int64(5) },
		message: "the controller has not looked at the newest spec yet",
	},
	{
		name: "stalled before the spec changed", object: made(nodes{"a": incompatible}, nil), want: inProgress,
		change:  func(o map[string]any) { o["metadata"].(map[string]any)["generation"] = int64(5) },
		message: "the controller has not looked at the newest spec yet",
	},
	{
		// The controller doesn't make this one, but kstatus defines it.
		name: "ready and at work", object: made(nodes{"a": inSync}, nil), want: inProgress, change: reconciling, message: "at work",
	},
	{
		name: "no status", object: made(nil, nil), want: inProgress, flux: waits, change: without("status"),
		kstatus: current, why: "takes an object without conditions for one that never has any",
		message: "the controller has not looked at it yet",
	},
	{
		name: "no conditions", object: made(nil, nil), want: inProgress, change: without("status", "conditions"),
		kstatus: current, why: "as above", message: "the controller has not looked at it yet",
	},

	{name: "node ready", object: nodeState(metav1.ConditionTrue, v1alpha1.ReasonNodeReady), want: current, message: "says NodeReady"},
	{
		name: "node without BPF file system", object: nodeState(metav1.ConditionFalse, v1alpha1.ReasonBPFFSMissing), want: failed,
		kstatus: inProgress, why: "takes Ready False for work going on; here it waits for people", message: "says BPFFSMissing",
	},
	{name: "node unknown", object: nodeState(metav1.ConditionUnknown, v1alpha1.ReasonNodeStatusUnknown), want: inProgress, message: "says NodeStatusUnknown"},
	{
		name: "node without conditions", object: nodeState("", ""), want: inProgress,
		kstatus: current, why: "as above", message: "the agent has not reported yet",
	},
	{
		name: "node without status", object: nodeState("", ""), want: inProgress, flux: waits, change: without("status"),
		kstatus: current, why: "as above", message: "the agent has not reported yet",
	},
}

func TestHealth(t *testing.T) {
	scripts, expressions := argoScripts(t), fluxExpressions(t)
	seen := map[string]bool{}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(c.object)
			if err != nil {
				t.Fatal(err)
			}
			if c.change != nil {
				c.change(content)
			}
			u := &unstructured.Unstructured{Object: content}
			seen[c.want+u.GetKind()] = true

			result, err := kstatus.Compute(u)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if c.kstatus != "" {
				want = c.kstatus
			}
			if c.kstatus == c.want || (c.kstatus == "") != (c.why == "") {
				t.Error("a verdict of kstatus that differs needs a reason, and one that doesn't needs none")
			}
			if got := result.Status.String(); got != want {
				t.Errorf("kstatus says %s, want %s", got, want)
			}
			health, message := runLua(t, scripts[u.GetKind()], content)
			if health != argo[c.want] || message != c.message {
				t.Errorf("Argo CD says %s %q, want %s %q", health, message, argo[c.want], c.message)
			}
			want = c.want
			if c.flux != "" {
				want = c.flux
			}
			if got := evaluate(t, expressions[u.GetKind()], content); got != want {
				t.Errorf("Flux says %s, want %s", got, want)
			}
		})
	}
	for _, kind := range []string{"BPFMap", "BPFNodeState"} {
		for verdict := range argo {
			if !seen[verdict+kind] {
				t.Errorf("no case in which a %s is %s", kind, verdict)
			}
		}
	}
}
