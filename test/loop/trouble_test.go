// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

func TestDriftIsRepaired(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t, "--resync-period", "200ms")
	w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	id := n.id(t, "blocklist")
	n.set(t, "blocklist", 1, 666)
	n.remove(t, "blocklist", 2)
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
	w.awaitEvent("blocklist", "DriftRepaired")

	// A removed pin comes back with the same map.
	if err := os.Remove(n.pin("blocklist")); err != nil {
		t.Fatal(err)
	}
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
	if now := n.id(t, "blocklist"); now != id {
		t.Errorf("map id is %d after the pin came back, was %d", now, id)
	}
}

func TestDriftIsReported(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t, "--resync-period", "200ms")
	w.apply("limits", blocklist+"  driftPolicy: Report\n")
	w.awaitReady("limits")
	n.set(t, "limits", 1, 666)
	w.awaitCondition("limits", v1alpha1.ConditionDrifted, v1alpha1.ReasonDrifted)
	w.awaitEvent("limits", "DriftDetected")
	n.awaitContents(t, "limits", contents{1: 666, 2: 20})
	n.set(t, "limits", 1, 10)
	w.awaitReady("limits")
}

// TestBPFFSMountedAnew takes the whole BPF file system away under a working agent. With it go pins and
// records; the map is made again where a new one is mounted, and people are told.
func TestBPFFSMountedAnew(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t, "--resync-period", "200ms")
	w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	id := n.id(t, "blocklist")
	if err := syscall.Unmount(n.bpffs, syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	w.awaitNodeReason(n.name, v1alpha1.ReasonBPFFSMissing)
	if err := syscall.Mount("bpf", n.bpffs, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
	w.awaitReady("blocklist")
	if now := n.id(t, "blocklist"); now == id {
		t.Errorf("map id is still %d", now)
	}
	if note := w.awaitEvent("blocklist", "DriftRepaired"); !strings.Contains(note, "the BPF file system was mounted anew or emptied") {
		t.Errorf("note %q", note)
	}
}

// TestAPIServerAway keeps the map as declared without the API server, and catches up with it after.
func TestAPIServerAway(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t, "--resync-period", "200ms")
	w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	id := n.id(t, "blocklist")

	plane.StopAPIServer()
	n.set(t, "blocklist", 1, 666)
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
	if err := plane.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.edit("blocklist", setEntries(1, 11))
	w.awaitReady("blocklist")
	n.awaitContents(t, "blocklist", contents{1: 11})
	if now := n.id(t, "blocklist"); now != id {
		t.Errorf("map id is %d, was %d", now, id)
	}
}

// TestAgentStartsBeforeAPIServer waits for the API server instead of ending.
func TestAgentStartsBeforeAPIServer(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true)
	w.apply("blocklist", blocklist)
	plane.StopAPIServer()
	n.start(t)
	if err := plane.StartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.awaitReady("blocklist")
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20})
}

// TestAgentKilled kills the agent at random moments after an edit. Whatever it was doing, the next one
// finishes it, on the same map.
func TestAgentKilled(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	n.set(t, "blocklist", 99, 990)
	id := n.id(t, "blocklist")
	for round := range 8 {
		w.edit("blocklist", setEntries(1, 100+round, 3+round, 30))
		time.Sleep(rand.N(60 * time.Millisecond))
		n.agent.kill()
		n.start(t)
	}
	w.awaitReady("blocklist")
	n.awaitContents(t, "blocklist", contents{1: 107, 10: 30, 99: 990})
	if now := n.id(t, "blocklist"); now != id {
		t.Errorf("map id is %d, was %d", now, id)
	}
}

func TestControllerKilled(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	w.apply("blocklist", blocklist)
	for round := range 4 {
		w.edit("blocklist", setEntries(1, 100+round))
		time.Sleep(rand.N(60 * time.Millisecond))
		w.controller.kill()
		w.startController(t)
	}
	w.awaitReady("blocklist")
	n.awaitContents(t, "blocklist", contents{1: 103})
}

func TestTwoAgentsOnOneNode(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t, "--resync-period", "50ms")
	first := n.agent
	n.start(t, "--resync-period", "50ms")
	w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	id := n.id(t, "blocklist")
	for round := range 5 {
		w.edit("blocklist", setEntries(1, 100+round, 3+round, 30))
		n.awaitContents(t, "blocklist", contents{1: uint32(100 + round), uint32(3 + round): 30})
	}
	first.stop()
	w.awaitReady("blocklist")
	if now := n.id(t, "blocklist"); now != id {
		t.Errorf("map id is %d, was %d", now, id)
	}
}

func TestWithoutBPFFS(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, false).start(t)
	w.apply("blocklist", blocklist)
	message := w.awaitNodeReason(n.name, v1alpha1.ReasonBPFFSMissing)
	if !strings.Contains(message, "mount") {
		t.Errorf("message %q doesn't say what to do", message)
	}
	s := w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.NodeReasonNodeNotReady).Status
	if s.NodeStates[0].Reason != v1alpha1.NodeReasonNodeNotReady {
		t.Errorf("nodeStates = %+v, want reason NodeNotReady", s.NodeStates)
	}
	n.mount(t, 0)
	w.awaitReady("blocklist")
	w.awaitNodeReason(n.name, v1alpha1.ReasonNodeReady)
}

func TestReadOnlyBPFFS(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true)
	n.mount(t, syscall.MS_REMOUNT|syscall.MS_RDONLY)
	n.start(t)
	w.awaitNodeReason(n.name, v1alpha1.ReasonBPFFSReadOnly)
	w.apply("blocklist", blocklist)
	w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.NodeReasonNodeNotReady)
	n.mount(t, syscall.MS_REMOUNT)
	w.awaitReady("blocklist")
}

func TestWithoutCapability(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).startWithout(t, []uintptr{unix.CAP_BPF, unix.CAP_SYS_ADMIN})
	message := w.awaitNodeReason(n.name, v1alpha1.ReasonMissingCapability)
	if !strings.Contains(message, "BPF") {
		t.Errorf("message %q doesn't name the capability", message)
	}
	w.apply("blocklist", blocklist)
	w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.NodeReasonNodeNotReady)
	n.agent.stop()
	n.start(t)
	w.awaitReady("blocklist")
}

// TestPinElsewhere is refused unless the administrator allows the prefix.
func TestPinElsewhere(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	w.apply("blocklist", blocklist+"  pin: {path: globals/blocklist}\n")
	w.awaitCondition("blocklist", v1alpha1.ConditionStalled, v1alpha1.ReasonNodesStalled)
	n.agent.stop()
	n.start(t, "--allowed-pin-prefix", w.namespace+"=globals")
	w.awaitReady("blocklist")
}
