// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package tenancy_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

const (
	controllerMemory = 512 << 20 // the limit that the chart gives the controller
	kept             = 8 << 20   // what one BPFMap may keep in the API server, in these tests
)

// entries are n entries whose value is written after the key.
func entries(n int, value string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  - {key: %d, value: %s}\n", i, value)
	}
	return b.String()
}

// TestTenant is who may write BPFMaps and ConfigMaps in one namespace, and nothing else.
func TestTenant(t *testing.T) {
	w := newWorld(t, fmt.Sprintf("--max-stored-bytes-per-map=%d", kept))
	w.startAgent()
	w.victimIsServed("before")
	for _, a := range []struct {
		name   string
		attack func(*testing.T, *world)
	}{
		{"memory of the controller", memoryOfTheController}, {"kernel memory", kernelMemory}, {"pins of others", pinsOfOthers}, {"storage", storage},
		{"maps without end", mapsWithoutEnd}, // the last: the namespace has as many as it may then
	} {
		t.Run(a.name, func(t *testing.T) {
			here := *w
			here.t = t
			a.attack(t, &here)
		})
	}
	w.victimIsServed("after")
}

// memoryOfTheController: a few KB of YAML or of gzip that mean gigabytes are refused, and named, within the
// controller's limit.
func memoryOfTheController(t *testing.T, w *world) {
	bomb := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: attacker, Name: "bomb"}, BinaryData: map[string][]byte{
		"same": zipped(t, strings.Repeat("1\n", 200_000)),
		"long": zipped(t, strings.Repeat("1\n", 40<<20)),
	}}
	if err := w.tenant.Create(t.Context(), bomb); err != nil {
		t.Fatal(err)
	}
	const accepted = v1alpha1.ConditionAccepted
	for _, c := range []struct{ name, spec, condition, reason string }{
		{"values", "  {type: Hash, key: {type: u32}, value: {type: string, size: 1048576}, maxEntries: 1000}\n  ENTRIES", accepted, v1alpha1.ReasonTooLarge},
		{"nested", "  type: Hash\n  key: {type: u32}\n  value: {fields: [{name: a, type: string, size: 1048576, length: 1023}]}\n  maxEntries: 1\n  entries: [{key: 1, value: {a: []}}]", accepted, ""},
		{"same", "  {type: Hash, key: {type: u32}, value: {type: hex, size: 4096}, maxEntries: 10, conflictPolicy: First, entriesFrom: [{configMapRef: {name: bomb, key: same}, format: Lines, value: \"" + strings.Repeat("00", 4096) + "\"}]}", accepted, ""},
		{"long", "  {type: Hash, key: {type: u32}, value: {type: u64}, maxEntries: 10, conflictPolicy: First, entriesFrom: [{configMapRef: {name: bomb, key: long}, format: Lines, value: 1}]}", accepted, ""},
	} {
		spec := c.spec
		if strings.Contains(spec, "ENTRIES") {
			spec = "  type: Hash\n  key: {type: u32}\n  value: {type: string, size: 1048576}\n  maxEntries: 1000\n  entries:\n" + entries(700, "x")
		}
		m := bpfMap(attacker, c.name, spec)
		if err := w.tenant.Create(t.Context(), m); err != nil {
			t.Logf("%s: the API server refuses it: %.200v", c.name, err)
			continue
		}
		await.Nil(t, limit, func() error {
			if err := w.tenant.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil {
				return err
			}
			for _, have := range m.Status.Conditions {
				if have.Type == c.condition && have.ObservedGeneration == m.Generation && (c.reason == "" || c.reason == have.Reason) {
					t.Logf("%s: %s, %s: %.200s", c.name, have.Type, have.Reason, have.Message)
					return nil
				}
			}
			return fmt.Errorf("%s has no status: %+v", c.name, m.Status.Conditions)
		})
	}
	w.victimIsServed("beside-bombs")
	most := peak(t, w.controller)
	t.Logf("the controller took %d MiB at most", most>>20)
	if most > controllerMemory {
		t.Errorf("the controller took %d MiB, more than the chart gives it", most>>20)
	}
}

// zipped is a text as gzip.
func zipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// kernelMemory: a map of 1 GiB in one line is refused by the chart's default limits.
func kernelMemory(t *testing.T, w *world) {
	m := bpfMap(attacker, "huge", "  {type: Array, value: {type: u64}, maxEntries: 134217728}")
	if err := w.tenant.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	message := w.await(attacker, m.Name, v1alpha1.ConditionReady, v1alpha1.ReasonQuotaExceeded)
	if !strings.Contains(message, "512Mi") {
		t.Errorf("it is told as %s", message)
	}
	if _, err := os.Stat(filepath.Join(w.bpffs, "bpfmap", attacker, m.Name)); !os.IsNotExist(err) {
		t.Errorf("the map is there: %v", err)
	}
}

// pinsOfOthers: paths out of the namespace's directory, names with escape sequences and maps of others are refused.
func pinsOfOthers(t *testing.T, w *world) {
	for i, path := range []string{
		"bpfmap/shop/before", "bpfmap/edge/../shop/before", "bpfmap/_state/x", "bpfmap/edge2/x", "bpfmap/Edge/x", "before", "bpfmap/edge/before/x\x1b[2J",
		"bpfmap/edge/\nfake", "bpfmap", "bpfmap/edge",
	} {
		m := bpfMap(attacker, fmt.Sprintf("pin-%d", i), fine)
		m.Spec.Pin = &v1alpha1.Pin{Path: path}
		err := w.tenant.Create(t.Context(), m)
		if apierrors.IsInvalid(err) {
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", path, err)
			continue
		}
		await.Nil(t, limit, func() error {
			if err := w.tenant.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil {
				return err
			}
			for _, have := range m.Status.Conditions {
				if have.Type == v1alpha1.ConditionStalled && have.Status == metav1.ConditionTrue {
					return nil
				}
			}
			return fmt.Errorf("%q is not refused: %+v", path, m.Status.Conditions)
		})
	}
	link := bpfMap(attacker, "link", "  {type: HashOfMaps, key: {type: u32}, value: {type: mapRef}, maxEntries: 4, inner: {type: Hash, key: {type: u32}, value: {type: u32}, maxEntries: 16}, entries: [{key: 1, value: shop/before}]}")
	if err := w.tenant.Create(t.Context(), link); err != nil && !apierrors.IsInvalid(err) {
		t.Fatal(err)
	} else if err == nil {
		if message := w.await(attacker, "link", v1alpha1.ConditionAccepted, v1alpha1.ReasonInvalidEntry); !strings.Contains(message, "shop/before") {
			t.Errorf("a reference to another namespace: %s", message)
		}
	}
	m, err := bpf.GetPinned(filepath.Join(w.bpffs, "bpfmap", victim, "before"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	value := make([]byte, 4)
	if err := m.LookupElem([]byte{1, 0, 0, 0}, value); err != nil || value[0] != 10 {
		t.Errorf("the victim's map has %v, %v", value, err)
	}
}

// storage: contents that change again and again don't pile up in the API server beyond what one BPFMap may keep.
func storage(t *testing.T, w *world) {
	m := bpfMap(attacker, "storage", "  type: Hash\n  key: {type: u32}\n  value: {type: string, size: 10000}\n  maxEntries: 300\n  revisionHistoryLimit: 100\n  nodeSelector: {no: node}\n  entries:\n"+entries(300, "first"))
	if err := w.tenant.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		w.await(attacker, m.Name, v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted)
		edited := bpfMap(attacker, m.Name, "  type: Hash\n  key: {type: u32}\n  value: {type: string, size: 10000}\n  maxEntries: 300\n  revisionHistoryLimit: 100\n  nodeSelector: {no: node}\n  entries:\n"+entries(300, fmt.Sprintf("edit-%d", i)))
		await.Nil(t, limit, func() error {
			if err := w.tenant.Get(t.Context(), client.ObjectKeyFromObject(m), m); err != nil {
				return err
			}
			m.Spec = edited.Spec
			return w.tenant.Update(t.Context(), m)
		})
	}
	w.await(attacker, m.Name, v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted)
	await.Nil(t, limit, func() error {
		chunks, revisions := &v1alpha1.BPFMapChunkList{}, &v1alpha1.BPFMapRevisionList{}
		for _, list := range []client.ObjectList{chunks, revisions} {
			if err := w.admin.List(t.Context(), list, client.InNamespace(attacker)); err != nil {
				return err
			}
		}
		stored, mine := int64(0), 0
		for _, r := range revisions.Items {
			if r.Spec.MapName == m.Name {
				mine++
			}
		}
		for _, c := range chunks.Items {
			if strings.HasPrefix(c.Name, m.Name) {
				stored += int64(len(c.Entries))
			}
		}
		if stored > kept+kept/8 || mine == 0 {
			return fmt.Errorf("%d bytes are kept in %d chunks for %d revisions", stored, len(chunks.Items), mine)
		}
		t.Logf("%d bytes are kept for %d revisions of 9", stored, mine)
		return nil
	})
}

// mapsWithoutEnd: of a flood of maps those up to the namespace's limit are made, the others told, the node goes on
// reporting, and the map of another namespace doesn't wait behind the flood.
func mapsWithoutEnd(t *testing.T, w *world) {
	const flood, allowed = 260, 200
	// Both sleep while the flood comes, so that all of it waits for them together.
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
		for _, p := range []*os.Process{w.controller.Process, w.agent.Process} {
			if err := p.Signal(signal); err != nil {
				t.Fatal(err)
			}
		}
		if signal == syscall.SIGCONT {
			break
		}
		for i := range flood {
			m := bpfMap(attacker, fmt.Sprintf("flood-%03d", i), "  {type: Array, value: {type: u32}, maxEntries: 1}")
			if err := w.tenant.Create(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.admin.Create(t.Context(), bpfMap(victim, "behind", fine)); err != nil {
			t.Fatal(err)
		}
	}
	w.await(victim, "behind", v1alpha1.ConditionReady, v1alpha1.ReasonReady)
	await.Nil(t, limit, func() error {
		list := &v1alpha1.BPFMapList{}
		if err := w.admin.List(t.Context(), list, client.InNamespace(attacker)); err != nil {
			return err
		}
		ready, refused := 0, 0
		for _, m := range list.Items {
			for _, c := range m.Status.Conditions {
				switch {
				case c.Type != v1alpha1.ConditionReady:
				case c.Reason == v1alpha1.ReasonReady:
					ready++
				case c.Reason == v1alpha1.ReasonQuotaExceeded && strings.HasPrefix(m.Name, "flood-"):
					refused++
				}
			}
		}
		if ready > allowed || refused == 0 || ready+refused < flood {
			return fmt.Errorf("%d maps are Ready and %d of the flood refused", ready, refused)
		}
		return nil
	})
	// Ids of maps grow: what was made before the victim's has a smaller one.
	before := w.madeBefore(t, filepath.Join(w.bpffs, "bpfmap", victim, "behind"))
	t.Logf("%d maps of the flood were made before the victim's, which was declared after all of them", before)
	if before > allowed/2 {
		t.Errorf("the victim's map waited for %d of %d maps of the flood", before, allowed)
	}
}

// madeBefore is how many maps of the flood are older than the map at a pin.
func (w *world) madeBefore(t *testing.T, pin string) int {
	t.Helper()
	id := func(path string) uint32 {
		m, err := bpf.GetPinned(path, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = m.Close() }()
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		return info.ID
	}
	own, n := id(pin), 0
	pins, err := filepath.Glob(filepath.Join(w.bpffs, "bpfmap", attacker, "flood-*"))
	if err != nil || len(pins) == 0 {
		t.Fatalf("%d pins, %v", len(pins), err)
	}
	for _, p := range pins {
		if id(p) < own {
			n++
		}
	}
	return n
}
