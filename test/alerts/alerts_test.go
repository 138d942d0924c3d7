// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// agentUser is whom the agents of the manifests are.
const agentUser = "system:serviceaccount:" + system + ":bpfmap-agent"

// expected is an alert that has to fire, with labels that it has to have.
type expected struct{ alert, labels string }

// TestEveryAlertFires lets Prometheus find nothing, then causes every fault, and wants the alert of each.
func TestEveryAlertFires(t *testing.T) {
	w := newWorld(t)
	w.startController()
	a := w.startNode("node-a", agentUser)
	b := w.startNode("node-b", agentUser, "--metrics-per-map=1")
	doomed := w.startNode("node-d", agentUser)
	e := w.startNode("node-e", agentUser)
	p := w.startPrometheus()

	const entries = "{type: Hash, key: {type: be32}, value: {type: u32}, maxEntries: 4, entries: [{key: 1, value: 10}]"
	w.declare("full", a, entries+"}")
	w.declare("drifting", a, entries+"}")
	w.declare("watched", a, entries+", driftPolicy: Report}")
	w.declare("rolled", a, entries+"}")
	w.declare("stuck", b, entries+"}")
	w.declare("restarted", e, entries+"}")
	w.declare("abandoned", a, entries+"}")
	w.declare("counted", a, entries+", metrics: {labels: [{name: id}], values: [{name: hits, type: Counter}]}}")
	w.declare("fed", a, "{type: Hash, key: {type: be32}, value: {type: u32}, maxEntries: 4, "+
		"entriesFrom: [{http: {url: "+w.feed.URL+"/list, interval: 10s}, format: Lines, value: 1}]}")
	w.declare("flows", a, "{type: Hash, key: {type: be32}, value: {type: u32, owner: Program}, maxEntries: 4, "+
		"metrics: {labels: [{name: flow}], values: [{name: hits, type: Counter}], maxSeries: 1}}")
	for _, name := range []string{"full", "drifting", "watched", "rolled", "stuck", "restarted", "abandoned", "fed", "counted", "flows"} {
		w.awaitReady(name)
	}
	program := use(t, a, "abandoned")
	w.awaitUsed("abandoned")
	p.awaitQuiet()
	t.Log("no alert without a fault")
	p.await("a certificate that is checked", `up{job="checked"} == 1`)
	p.await("a certificate for another name", `up{job="misnamed"} == 0`)

	fired := []expected{
		{"BPFMapNearlyFull", `namespace="edge",name="full",severity="warning"`},
		{"BPFMapDrifted", `namespace="edge",name="drifting"`},
		{"BPFMapDrifted", `namespace="edge",name="watched"`},
		{"BPFMapDrifted", `namespace="edge",name="restarted"`},
		{"BPFMapNotReady", `namespace="edge",name="watched"`}, // a map under driftPolicy Report that differs
		{"BPFMapNotReady", `namespace="edge",name="blocked"`},
		{"BPFMapUnused", `namespace="edge",name="abandoned"`},
		{"BPFMapSyncErrors", `node="node-a"`},
		{"BPFMapSourceRefused", `namespace="edge",name="fed"`},
		{"BPFMapStaleSource", `namespace="edge",name="fed",severity="critical"`},
		{"BPFMapRolloutFailed", `namespace="edge",name="rolled",phase="halted"`},
		{"BPFMapContentsNotRead", `namespace="edge",name="huge"`},
		{"BPFMapContentsLeftOut", `namespace="edge",name="flows",severity="info"`},
		{"BPFMapNotLookedAt", `node="node-b"`},
		{"BPFMapMetricsLeftOut", ""},
		{"BPFMapStatusNotWritten", `pod="agent-node-c"`},
		{"BPFMapNodeNotReady", ""},
		{"BPFMapAgentsMissing", ""},
		{"BPFMapNodeUnknown", ""},
	}

	w.broken.Store(true)
	doomed.agent.end(syscall.SIGKILL)
	w.setNode(doomed, corev1.ConditionUnknown)
	w.edit("full", "[{key: 1, value: 10}, {key: 2, value: 10}, {key: 3, value: 10}, {key: 4, value: 10}]")
	set(t, a, "drifting", 1, 11)
	set(t, a, "watched", 1, 11)
	w.must(program.Close()) // nothing else keeps it

	// What an agent finds at its first look counts, though its counter may begin with it.
	e.agent.end(syscall.SIGTERM)
	set(t, e, "restarted", 1, 11)
	w.startAgent(e, "agent-node-e-2", agentUser)

	// The pin of the map is taken by something else: the agent tries again and again.
	w.must(os.MkdirAll(a.pin("blocked"), 0o755))
	w.declare("blocked", a, entries+"}")

	// Others fill the map, so there is no room for what the new revision adds.
	for key := uint32(2); key <= 4; key++ {
		set(t, a, "rolled", key, 99)
	}
	w.edit("rolled", "[{key: 1, value: 10}, {key: 5, value: 10}]")

	// A program counts more than there is room for, and a map is more than is read for a scrape (64 MiB).
	set(t, a, "flows", 1, 1)
	set(t, a, "flows", 2, 1)
	w.declare("huge", a, "{type: Array, value: {owner: Program, fields: [{name: hits, type: u64}, {name: payload, type: bytes, size: 16376}]}, "+
		"maxEntries: 4200, metrics: {values: [{name: hits, field: hits, type: Counter}]}}")

	// Somebody holds a map's lock, and the agent waits.
	lock(t, filepath.Join(b.bpffs, "bpfmap", "_state", edge, "stuck"))
	w.declare("second", b, entries+"}")

	// A node that can't report is unknown, too.
	p.awaitFired("BPFMapNodeUnknown", "")
	w.cripple("crippled-agent")
	c := w.startNode("node-c", "crippled-agent")
	w.declare("unreported", c, entries+"}")
	w.startNode(bare, agentUser)
	p.writeTargets("agent")

	for _, want := range fired {
		p.awaitFired(want.alert, want.labels)
	}
	t.Log("the alerts of maps and nodes fired")
	p.awaitPanels()
	p.await("what a map holds", `bpfmap_content_hits_total{namespace="edge",name="counted",id="1",node="node-a"} == 10`)
	promtool(t, p.scrape(w.targets["controller"][0]), "check", "metrics")
	promtool(t, p.scrape(w.targets["agent"][0]), "check", "metrics")

	w.edit("full", "[{key: 1, value: 10}]")
	set(t, a, "watched", 1, 10)
	remove(t, a, "flows", 2)
	w.must(w.Delete(t.Context(), &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: edge, Name: "huge"}}))
	w.broken.Store(false)
	p.awaitResolved("BPFMapSourceRefused", `name="fed"`)
	p.awaitResolved("BPFMapStaleSource", `name="fed"`)
	p.awaitResolved("BPFMapNearlyFull", `name="full"`)
	p.awaitResolved("BPFMapNotReady", `name="watched"`)
	p.awaitResolved("BPFMapContentsLeftOut", `name="flows"`)
	p.awaitResolved("BPFMapContentsNotRead", `name="huge"`)

	restore := w.remove(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "bpfmap-controller-maps"}})
	w.edit("full", "[{key: 1, value: 12}]")
	p.awaitFired("BPFMapReconcileErrors", `controller="bpfmap-controller"`)
	w.controller.end(syscall.SIGTERM)
	p.awaitFired("BPFMapNoController", `severity="critical"`)
	restore()
	w.outdateCRDs()
	w.startController()
	p.awaitFired("BPFMapCRDsOutdated", `severity="critical"`)
	p.awaitResolved("BPFMapNoController", "")
	t.Log("the alerts of the controller fired")

	fired = append(fired, expected{alert: "BPFMapReconcileErrors"}, expected{alert: "BPFMapNoController"}, expected{alert: "BPFMapCRDsOutdated"})
	rules, _, err := readRules()
	w.must(err)
	for _, r := range rules {
		if !slices.ContainsFunc(fired, func(e expected) bool { return e.alert == r.Alert }) {
			t.Errorf("no fault fires %s", r.Alert)
		}
	}
}

// set writes one entry behind the agent's back.
func set(t *testing.T, n *node, name string, k, v uint32) {
	t.Helper()
	m, err := bpf.GetPinned(n.pin(name), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if err := m.UpdateElem(binary.BigEndian.AppendUint32(nil, k), binary.NativeEndian.AppendUint32(nil, v), bpf.Any); err != nil {
		t.Fatal(err)
	}
}

// remove deletes one entry behind the agent's back.
func remove(t *testing.T, n *node, name string, k uint32) {
	t.Helper()
	m, err := bpf.GetPinned(n.pin(name), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	if err := m.DeleteElem(binary.BigEndian.AppendUint32(nil, k)); err != nil {
		t.Fatal(err)
	}
}

// use loads a program that uses a map, until the test ends or closes it.
func use(t *testing.T, n *node, name string) *ebpf.Program {
	t.Helper()
	m, err := ebpf.LoadPinnedMap(n.pin(name), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "xdp_block", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Imm(asm.R0, 2), asm.Return()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// lock holds the lock of a directory until the test ends.
func lock(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
}

// outdateCRDs takes a field out of the CRD of BPFMaps, as one of an earlier release lacks it.
func (w *world) outdateCRDs() {
	w.t.Helper()
	crd := &unstructured.Unstructured{}
	crd.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	await.Nil(w.t, limit, func() error {
		if err := w.Get(w.t.Context(), client.ObjectKey{Name: "bpfmaps.bpfmap.io"}, crd); err != nil {
			return err
		}
		versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
		if err != nil {
			return err
		}
		status := []string{"schema", "openAPIV3Schema", "properties", "status", "properties", "contentDigests"}
		version := versions[0].(map[string]any)
		if _, found, err := unstructured.NestedMap(version, status...); err != nil || !found {
			return fmt.Errorf("no field %v (%w)", status, err)
		}
		unstructured.RemoveNestedField(version, status...)
		if err := unstructured.SetNestedSlice(crd.Object, versions, "spec", "versions"); err != nil {
			return err
		}
		return w.Update(w.t.Context(), crd)
	})
}
