// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package why

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/cli/terminal"
	"github.com/bpfmap-io/bpfmap-operator/internal/rollout"
)

var update = flag.Bool("update", false, "write the golden files")

var now = time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(now.Add(-d)) }

// scene is a map on three nodes that is as it should be.
func scene() *Evidence {
	m := &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "flags", UID: "u1", Generation: 3}}
	m.Spec.NodeSelector = map[string]string{"role": "edge"}
	m.Status = v1alpha1.BPFMapStatus{
		ObservedGeneration: 3, Nodes: v1alpha1.NodeCounts{Desired: 3, Updated: 3, Ready: 3}, CurrentRevision: "flags-2", UpdateRevision: "flags-2",
		Rollout: &v1alpha1.RolloutStatus{Revision: "flags-2", Phase: "Complete", Reason: "RolledOut"},
	}
	e := &Evidence{Now: now, Map: m}
	e.set(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted, "the spec compiled")
	e.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady, "3 of 3 nodes ready")
	for _, number := range []int64{2, 1} {
		r := v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "flags-" + string(rune('0'+number)), Labels: map[string]string{v1alpha1.LabelActive: "true"}}}
		r.Spec.MapName, r.Spec.MapUID, r.Spec.Number, r.Spec.NodeSelector = "flags", "u1", number, m.Spec.NodeSelector
		r.Status.Rollout.Frontier = rollout.All
		e.Revisions = append(e.Revisions, r)
	}
	labels := map[string]string{componentLabel: agentComponent}
	e.Agents = []appsv1.DaemonSet{{ObjectMeta: metav1.ObjectMeta{Name: "agent"}}}
	for _, name := range []string{"node-1", "node-2", "node-3"} {
		n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"role": "edge"}}}
		n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", LastTransitionTime: ago(time.Hour)}}
		e.Nodes = append(e.Nodes, n)
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "bpfmap-system", Name: "agent-" + name, Labels: labels}}
		p.Spec.NodeName, p.Status.Phase = name, corev1.PodRunning
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: ago(time.Hour)}}
		e.Pods = append(e.Pods, p)
		s := v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: name}}
		s.Status.Maps = []v1alpha1.NodeMap{{Namespace: "shop", Name: "flags", UID: "u1", Revision: "flags-2", MapID: 7, State: v1alpha1.NodeMapReady, Reason: v1alpha1.NodeReasonInSync}}
		e.States = append(e.States, s)
		m.Status.NodeStates = append(m.Status.NodeStates, v1alpha1.NodeMapStatus{Node: name, MapID: 7, Ready: true, Reason: v1alpha1.NodeReasonInSync})
	}
	return e
}

func (e *Evidence) set(name string, status metav1.ConditionStatus, reason, message string) {
	c := metav1.Condition{Type: name, Status: status, Reason: reason, Message: message, LastTransitionTime: ago(5 * time.Minute)}
	for i := range e.Map.Status.Conditions {
		if e.Map.Status.Conditions[i].Type == name {
			e.Map.Status.Conditions[i] = c
			return
		}
	}
	e.Map.Status.Conditions = append(e.Map.Status.Conditions, c)
}

func (e *Evidence) notReady(reason, message string) {
	e.set(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, message)
}

// fail lets a node report a failure.
func (e *Evidence) fail(i int, state v1alpha1.NodeMapState, reason, message string) {
	m := &e.States[i].Status.Maps[0]
	m.State, m.Reason, m.Message = state, reason, message
	e.Map.Status.NodeStates[i] = v1alpha1.NodeMapStatus{Node: e.States[i].Name, MapID: 7, Reason: reason, Message: message}
}

// underWay puts the newest revision on its way: it got to no node yet.
func (e *Evidence) underWay(phase v1alpha1.RolloutPhase, reason, message string) {
	e.Map.Status.Rollout = &v1alpha1.RolloutStatus{Revision: "flags-2", Phase: phase, Reason: reason, Message: message, Batches: []v1alpha1.RolloutBatch{{Frontier: "3fffffffffffffff", Time: ago(2 * time.Minute)}}}
	e.Revisions[0].Status.Rollout.Frontier = "0000000000000001"
	for i := range e.States {
		e.States[i].Status.Maps[0].Revision = "flags-1"
	}
}

// gone makes a Node not Ready, and the BPFMap's status say so.
func (e *Evidence) gone(i int) {
	c := &e.Nodes[i].Status.Conditions[0]
	c.Status, c.Reason, c.Message, c.LastTransitionTime = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status.", ago(7*time.Minute)
	e.Map.Status.NodeStates[i] = v1alpha1.NodeMapStatus{Node: e.Nodes[i].Name, Reason: v1alpha1.ReasonNodeStatusUnknown, Message: "the Node isn't Ready (since 2026-11-27T02:53:00Z)"}
}

func TestWhy(t *testing.T) {
	for _, test := range []struct {
		name, node string
		change     func(*Evidence)
	}{
		{"all is well", "", func(*Evidence) {}},
		{"all is well", "node-1", func(*Evidence) {}},
		{"not seen yet", "", func(e *Evidence) { e.Map.Generation = 4 }},
		{"the controller crashes", "", func(e *Evidence) {
			e.Map.Generation = 4
			p := e.Pods[0]
			p.Name, p.Labels = "controller-0", map[string]string{componentLabel: controllerComponent}
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 5m0s"}}}}
			e.Pods = append(e.Pods, p)
		}},
		{"refused", "", func(e *Evidence) {
			e.notReady(v1alpha1.ReasonNotAccepted, "spec.entries[2].value: 300 is out of range for u8 (0…255)")
			e.set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidEntry, "spec.entries[2].value: 300 is out of range for u8 (0…255) (the nodes keep revision flags-2)")
		}},
		{"a source is refused", "node-1", func(e *Evidence) {
			e.notReady(v1alpha1.ReasonNotAccepted, "(ConfigMap feed, key list) is empty")
			e.set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonInvalidSource, "spec.entriesFrom[0] (ConfigMap feed, key list): is empty (the nodes keep revision flags-2)")
			since := ago(3 * time.Minute)
			e.Map.Status.Sources = []v1alpha1.SourceStatus{{Name: "ConfigMap feed, key list", Message: "is empty", RefusedSince: &since}}
		}},
		{"quota", "", func(e *Evidence) {
			e.notReady(v1alpha1.ReasonNotAccepted, "the namespace's revisions would take 600 MiB, at most 512 MiB are allowed")
			e.set(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonQuotaExceeded, "the namespace's revisions would take 600 MiB, at most 512 MiB are allowed")
		}},
		{"rolled back by hand", "", func(e *Evidence) {
			e.Map.Spec.RollbackTo = "flags-1"
			e.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonEarlierRevision, "3 of 3 nodes ready; contents of revision flags-1 (spec.rollbackTo); the entries of the spec are not used")
		}},
		{"two nodes fail alike, one otherwise", "", func(e *Evidence) {
			e.notReady(v1alpha1.NodeReasonMapFull, "0 of 3 nodes ready")
			e.fail(0, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full (maxEntries 16)")
			e.fail(1, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full (maxEntries 16)")
			e.fail(2, v1alpha1.NodeMapStalled, v1alpha1.NodeReasonPinConflict, "the pin belongs to BPFMap shop/other")
		}},
		{"a node fails", "node-2", func(e *Evidence) {
			e.fail(1, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full (maxEntries 16)")
		}},
		{"paused", "", func(e *Evidence) {
			e.notReady(v1alpha1.ReasonPaused, "paused at 0 of 3 nodes (spec.rollout.paused)")
			e.underWay("Paused", "Paused", "paused at 0 of 3 nodes (spec.rollout.paused)")
		}},
		{"not its turn yet", "node-1", func(e *Evidence) { e.underWay("Progressing", "Updating", "0 of 3 nodes updated") }},
		{"taken back", "node-1", func(e *Evidence) {
			e.underWay("RolledBack", "NodesFailed", "rolled back: failed on node-3: MapFull: map is full")
			e.Revisions[0].Status.Rollout = v1alpha1.RevisionRollout{RolledBack: "failed on node-3: MapFull: map is full"}
		}},
		{"told, and silent", "node-1", func(e *Evidence) {
			e.States[0].Status.Maps[0].Revision = "flags-1"
			since := ago(4 * time.Minute)
			e.Revisions[0].Status.Rollout.FrontierTime = &since
		}},
		{"halted", "", func(e *Evidence) {
			e.notReady(v1alpha1.ReasonHalted, "2 of 3 nodes ready")
			e.underWay("Halted", "NodesFailed", "halted at 1 of 3 nodes: failed on node-2: MapFull: map is full")
			e.fail(1, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full (maxEntries 16)")
		}},
		{"a node is dead", "", func(e *Evidence) {
			e.set(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonNodesUnknown, "2 of 3 nodes ready; unknown on node-3: the Node isn't Ready")
			e.gone(2)
		}},
		{"a node is dead", "node-3", func(e *Evidence) { e.gone(2) }},
		{"an agent crashes", "node-3", func(e *Evidence) {
			p := &e.Pods[2]
			p.Status.Conditions[0].Status, p.Status.Conditions[0].LastTransitionTime = corev1.ConditionFalse, ago(2*time.Minute)
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}}}}
		}},
		{"no agent is to run there", "node-3", func(e *Evidence) {
			e.Agents[0].Spec.Template.Spec.NodeSelector = map[string]string{"agents": "yes"}
			e.Pods, e.States = e.Pods[:2], e.States[:2]
		}},
		{"another label", "node-3", func(e *Evidence) {
			e.Nodes[2].Labels["role"] = "egde"
			e.States[2].Status.Maps = nil
		}},
		{"the label was removed", "node-3", func(e *Evidence) { delete(e.Nodes[2].Labels, "role") }},
		{"no node is selected", "", func(e *Evidence) {
			e.Map.Spec.NodeSelector = map[string]string{"role": "egde"}
			e.Map.Status.Nodes, e.Map.Status.NodeStates, e.States = v1alpha1.NodeCounts{}, nil, []v1alpha1.BPFNodeState{}
			e.set(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonNoNodesSelected, "no node matches nodeSelector")
		}},
		{"no BPF file system", "node-1", func(e *Evidence) {
			e.States[0].Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionHostReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonBPFFSMissing, Message: "/sys/fs/bpf is not a BPF file system"}}
			e.fail(0, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonNodeNotReady, "/sys/fs/bpf is not a BPF file system")
		}},
		{"drift is reported", "", func(e *Evidence) {
			e.notReady(v1alpha1.ReasonDrifted, "2 of 3 nodes ready; on node-1: 1 entry changed")
			e.set(v1alpha1.ConditionDrifted, metav1.ConditionTrue, v1alpha1.ReasonDrifted, "on node-1: 1 entry changed")
			e.fail(0, v1alpha1.NodeMapReady, v1alpha1.NodeReasonDrifted, "1 entry changed")
			e.States[0].Status.Maps[0].Drifted = true
		}},
		{"Ready and unused", "", func(e *Evidence) {
			e.set(v1alpha1.ConditionInUse, metav1.ConditionFalse, v1alpha1.ReasonNeverUsed, "no program uses this map on 3 of 3 nodes")
		}},
		{"no such node", "node-9", func(*Evidence) {}},
		{"without rights", "node-1", func(e *Evidence) {
			*e = Evidence{Now: now, Map: e.Map, Missing: []string{"nodes: this needs the right to list nodes"}}
			e.Map.Status.NodeStates[0] = v1alpha1.NodeMapStatus{Node: "node-1", Reason: v1alpha1.NodeReasonMapFull, Message: "map is full"}
		}},
		{"hostile names", "", func(e *Evidence) {
			e.notReady(v1alpha1.NodeReasonSyncFailed, "0 of 3 nodes ready")
			e.fail(0, v1alpha1.NodeMapFailed, v1alpha1.NodeReasonSyncFailed, "\x1b]0;owned\x07\nBPFMap shop/flags is Ready")
		}},
	} {
		name := test.name
		if test.node != "" {
			name += ", on " + test.node
		}
		t.Run(name, func(t *testing.T) {
			e := scene()
			test.change(e)
			a := OfMap(e)
			if test.node != "" {
				a = OfNode(e, test.node)
			}
			a.For("shop", "flags", strings.Fields(test.node)...)
			var out bytes.Buffer
			if err := a.Write(terminal.Of(&out)); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "").Replace(name)+".txt"), out.String())
		})
	}
}

// golden compares a text with that of a file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got): -update writes it\n%s", file, diff)
	}
}
