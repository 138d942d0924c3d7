// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// apiServer is the address of the API server as nodes see it (hack/cluster/lib.sh).
const apiServer = "10.55.0.1"

// TestRevisionCutsNodesOff lets an XDP program on each node drop packets from the addresses of a map, and
// declares the API server's: by the defaults, one node takes it and no other.
func TestRevisionCutsNodesOff(t *testing.T) {
	// The node that is cut off may be the leading controller's; another one is to go on then.
	const spread = "controller.topologySpreadConstraints[0]."
	reinstall(t, "controller.replicas=2", spread+"maxSkew=1", spread+"topologyKey=kubernetes.io/hostname", spread+"whenUnsatisfiable=DoNotSchedule")
	w := newWorld(t)
	m := &v1alpha1.BPFMap{}
	text := `{spec: {type: Hash, key: {type: ipv4}, value: {type: u32}, maxEntries: 64, entries: [{key: 192.0.2.1, value: 1}]}}`
	if err := yaml.UnmarshalStrict([]byte(text), m); err != nil {
		t.Fatal(err)
	}
	m.Namespace, m.Name = w.namespace, "blocklist"
	if err := api.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.awaitReady("blocklist", 3)
	var off []func()
	for _, n := range nodes {
		off = append(off, n.dropByMap(t, n.pin(t, w.namespace, "blocklist")))
	}
	began := time.Now()
	w.edit(func(s *v1alpha1.BPFMapSpec) {
		var e v1alpha1.Entry
		if err := yaml.Unmarshal([]byte("{key: "+apiServer+", value: 1}"), &e); err != nil {
			t.Fatal(err)
		}
		s.Entries = append(s.Entries, e)
	})
	w.awaitRollout("Halted")
	t.Logf("the rollout halted %.1f s after the edit", time.Since(began).Seconds())
	// It stays so: nobody else takes the revision while the first node is away.
	for range 15 {
		if hit := w.nodesWith(apiServer); len(hit) != 1 {
			t.Fatalf("nodes %v took the revision, want one", hit)
		}
		time.Sleep(time.Second)
	}
	got, err := w.get("blocklist")
	if err != nil {
		t.Fatal(err)
	}
	cut := w.nodesWith(apiServer)[0]
	if c := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionReady); c.Status == metav1.ConditionTrue || !strings.Contains(c.Message, cut) {
		t.Errorf("condition Ready is %+v: it doesn't name %s", c, cut)
	}
	t.Logf("rollout: %+v", got.Status.Rollout)

	// The way back: the program goes, then the entry.
	for _, f := range off {
		f()
	}
	w.edit(func(s *v1alpha1.BPFMapSpec) { s.Entries = s.Entries[:1] })
	w.awaitReady("blocklist", 3)
	if hit := w.nodesWith(apiServer); len(hit) > 0 {
		t.Errorf("%v still hold the entry", hit)
	}
}

// dropByMap lets the node drop IPv4 packets from the addresses in a map until the returned function is called.
func (n *node) dropByMap(t *testing.T, pin string) (off func()) {
	t.Helper()
	table, err := ebpf.LoadPinnedMap(pin, nil)
	if err != nil {
		t.Fatal(err)
	}
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Dual BSD/GPL", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word), // data_end
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word), // data
		asm.Mov.Reg(asm.R3, asm.R1),
		asm.Add.Imm(asm.R3, 34), // Ethernet and IPv4 headers
		asm.JGT.Reg(asm.R3, asm.R2, "pass"),
		asm.LoadMem(asm.R3, asm.R1, 12, asm.Half),
		asm.JNE.Imm(asm.R3, int32(binary.NativeEndian.Uint16([]byte{8, 0})), "pass"), // not IPv4
		asm.LoadMem(asm.R3, asm.R1, 26, asm.Word),                                    // the source
		asm.StoreMem(asm.RFP, -4, asm.R3, asm.Word),
		asm.LoadMapPtr(asm.R1, table.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.Mov.Imm(asm.R0, 1), // XDP_DROP
		asm.Return(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("pass"), // XDP_PASS
		asm.Return(),
	}})
	if err = errors.Join(err, table.Close()); err != nil {
		t.Fatal(err)
	}
	var attached link.Link
	err = n.inNetwork(func() error {
		device, err := net.InterfaceByName("eth0")
		if err != nil {
			return fmt.Errorf("find eth0: %w", err)
		}
		attached, err = link.AttachXDP(link.XDPOptions{Program: program, Interface: device.Index, Flags: link.XDPGenericMode})
		return err
	})
	if err != nil {
		t.Fatal(errors.Join(err, program.Close()))
	}
	done := false
	off = func() {
		if !done {
			done = true
			if err := errors.Join(attached.Close(), program.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(off)
	return off
}

// inNetwork calls f in the node's network namespace.
func (n *node) inNetwork(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		result <- func() error {
			ns, err := os.Open("/run/netns/bpfmap-" + n.name)
			if err != nil {
				return err
			}
			defer func() { _ = ns.Close() }()
			if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter the network namespace of %s: %w", n.name, err)
			}
			return f()
		}()
	}()
	return <-result
}

// nodesWith are the nodes whose map blocklist has an address.
func (w *world) nodesWith(address string) (names []string) {
	w.t.Helper()
	for _, n := range nodes {
		table, err := ebpf.LoadPinnedMap(n.pin(w.t, w.namespace, "blocklist"), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		var value uint32
		err = table.Lookup(net.ParseIP(address).To4(), &value)
		if err == nil {
			names = append(names, n.name)
		} else if !errors.Is(err, ebpf.ErrKeyNotExist) {
			w.t.Fatal(err)
		}
		if err := table.Close(); err != nil {
			w.t.Fatal(err)
		}
	}
	return names
}

func (w *world) awaitRollout(phase v1alpha1.RolloutPhase) {
	w.t.Helper()
	eventually(w.t, func() error {
		m, err := w.get("blocklist")
		if err != nil {
			return err
		}
		if r := m.Status.Rollout; r == nil || r.Phase != phase {
			return fmt.Errorf("the rollout is %+v, want %s", r, phase)
		}
		return nil
	})
}

// awaitCondition waits until Ready of the map blocklist has a status and a reason.
func (w *world) awaitCondition(kind string, status metav1.ConditionStatus, reason string) *v1alpha1.BPFMap {
	w.t.Helper()
	var m *v1alpha1.BPFMap
	eventually(w.t, func() (err error) {
		if m, err = w.get("blocklist"); err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, kind)
		if c == nil || c.Status != status || c.Reason != reason {
			return fmt.Errorf("condition %s is %+v, want %s for %s", kind, c, status, reason)
		}
		return nil
	})
	return m
}

// TestNodeUnknown ends a node's kubelet: what its agent reported before is no longer taken for true.
func TestNodeUnknown(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	startPart(t, "kubelet@node-3")
	ended := time.Now()
	ctl(t, "stop", "kubelet@node-3", "KILL")
	m := w.awaitCondition(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonNodesUnknown)
	t.Logf("the BPFMap said so %.1f s after the kubelet ended", time.Since(ended).Seconds())
	if n := m.Status.Nodes; n.Desired != 3 || n.Ready != 2 || n.Unknown != 1 {
		t.Errorf("nodes are %+v", n)
	}
	awaitNode(t, "node-3", v1alpha1.ReasonNodeStatusUnknown)
	t.Logf("the BPFNodeState said so %.1f s after the kubelet ended", time.Since(ended).Seconds())
	// A change reaches the others, and nothing says that it is everywhere. Nodes tell in seconds since when they are
	// away: one that went in the second in which it was told of a revision may have been cut off by it.
	time.Sleep(2 * time.Second)
	w.edit(declare(contents{1: 11}))
	nodes[0].awaitContents(t, w.namespace, "blocklist", contents{1: 11})
	nodes[1].awaitContents(t, w.namespace, "blocklist", contents{1: 11})
	ctl(t, "start", "kubelet@node-3")
	started := time.Now()
	w.awaitReady("blocklist", 3)
	t.Logf("Ready %.1f s after the kubelet was back", time.Since(started).Seconds())
	awaitNode(t, "node-3", v1alpha1.ReasonNodeReady)
}

// TestNodeWithoutAgent takes a node out of the agents' DaemonSet, and then back in.
func TestNodeWithoutAgent(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	label(t, "node-3", "e2e.bpfmap.io/no-agent", "true")
	t.Cleanup(func() { // the selector goes with the next installation
		if err := install(context.Background()); err != nil {
			t.Error(err)
		}
	})
	kubectl(t, "patch", "daemonset/bpfmap-bpfmap-operator-agent", "--namespace", system, "--type=merge", "--patch",
		`{"spec":{"template":{"spec":{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
			{"matchExpressions":[{"key":"e2e.bpfmap.io/no-agent","operator":"DoesNotExist"}]}]}}}}}}}`)
	eventually(t, func() error {
		m, err := w.get("blocklist")
		if err != nil {
			return err
		}
		if n := m.Status.Nodes; n.Desired != 2 || n.Ready != 2 || n.WithoutAgent != 1 {
			return fmt.Errorf("nodes are %+v, want two of which both are ready, and one without an agent", n)
		}
		// An agent that is about to end isn't Ready any more, and takes what comes in its last moment.
		pods := kubectl(t, "get", "pods", "--namespace", system, "--selector", "app.kubernetes.io/component=agent", "--field-selector", "spec.nodeName=node-3", "--output", "name")
		if pods != "" {
			return fmt.Errorf("%s is still on node-3", pods)
		}
		return nil
	})
	w.edit(declare(contents{1: 11}))
	w.awaitReady("blocklist", 2)
	nodes[0].awaitContents(t, w.namespace, "blocklist", contents{1: 11})
	nodes[2].awaitContents(t, w.namespace, "blocklist", contents{1: 10}) // nobody took the map away
}

// TestLastNode doesn't take a map from all nodes for a mistake in a selector or in labels.
func TestLastNode(t *testing.T) {
	w := newWorld(t)
	key := "e2e.bpfmap.io/" + w.namespace
	label(t, "node-1", key, "edge")
	w.make("blocklist", contents{1: 10}, func(s *v1alpha1.BPFMapSpec) { s.NodeSelector = map[string]string{key: "edge"} })
	w.awaitReady("blocklist", 1)
	before := nodes[0].id(t, w.namespace, "blocklist")
	stays := func() {
		t.Helper()
		for range 5 {
			if now := nodes[0].id(t, w.namespace, "blocklist"); now != before {
				t.Fatalf("the map is %d, was %d", now, before)
			}
			time.Sleep(time.Second)
		}
	}
	w.edit(func(s *v1alpha1.BPFMapSpec) { s.NodeSelector[key] = "egde" })
	w.awaitCondition(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonNoNodesSelected)
	stays()
	w.edit(func(s *v1alpha1.BPFMapSpec) { s.NodeSelector[key] = "edge" })
	w.awaitReady("blocklist", 1)
	label(t, "node-1", key, "")
	w.awaitCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonNoNodesSelected)
	stays()
	w.edit(func(s *v1alpha1.BPFMapSpec) { s.AllowNoNodes = true })
	nodes[0].awaitNoPin(t, w.namespace, "blocklist")
}

// TestDriftedEntries tells which entries others changed, and what they held.
func TestDriftedEntries(t *testing.T) {
	reinstall(t, "agent.resyncPeriod=2s")
	w := newWorld(t)
	w.make("blocklist", contents{1: 10, 2: 20})
	w.awaitReady("blocklist", 3)
	nodes[1].set(t, w.namespace, 1, 99)
	nodes[1].awaitContents(t, w.namespace, "blocklist", contents{1: 10, 2: 20})
	eventually(t, func() error {
		state := &v1alpha1.BPFNodeState{}
		if err := api.Get(t.Context(), client.ObjectKey{Name: "node-2"}, state); err != nil {
			return err
		}
		at := slices.IndexFunc(state.Status.Maps, func(m v1alpha1.NodeMap) bool { return m.Namespace == w.namespace })
		want := v1alpha1.DriftedEntry{Key: "1", Declared: "10", Found: "99"}
		if at < 0 || len(state.Status.Maps[at].DriftedEntries) != 1 || state.Status.Maps[at].DriftedEntries[0] != want {
			return fmt.Errorf("the state of node-2 is %+v, want the drifted entry %+v", state.Status.Maps, want)
		}
		return nil
	})
}
