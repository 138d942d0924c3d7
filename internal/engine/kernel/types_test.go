// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/btfschema"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// node is an engine on this kernel, with a BPF file system and a cgroup mount of its own.
type node struct {
	*engine.Engine
	t              *testing.T
	bpffs, cgroups string
	pins           *pinstore.Store
	backend        *kernel.Backend
}

func newNode(t *testing.T) *node {
	t.Helper()
	n := &node{t: t, bpffs: bpftest.BPFFS(t), cgroups: t.TempDir()}
	if err := syscall.Mount("none", n.cgroups, "cgroup2", 0, ""); err != nil {
		t.Fatalf("mount cgroup2 (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(n.cgroups, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	b, err := kernel.New(n.bpffs, kernel.Options{References: kernel.ReferenceOptions{Cgroups: n.cgroups}})
	if err != nil {
		t.Fatal(err)
	}
	n.backend, n.Engine, n.pins = b, engine.New(b, engine.Options{}), pinstore.New(n.bpffs, pinstore.Options{})
	return n
}

// declare compiles a BPFMap of the namespace edge.
func declare(t *testing.T, name, spec string) *revision.Revision {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte(spec), &m.Spec); err != nil {
		t.Fatalf("%v in\n%s", err, spec)
	}
	m.Namespace, m.Name = "edge", name
	return compiled(t, m)
}

func compiled(t *testing.T, m *v1alpha1.BPFMap) *revision.Revision {
	t.Helper()
	r, err := compile.Compile(m)
	if err != nil {
		t.Fatalf("%s: %v", m.Name, err)
	}
	r.UID, r.Name, r.Number = "uid-"+m.Name, m.Name+"-1", 1
	return r
}

// sync syncs and wants a state; a second Sync has nothing to do.
func (n *node) sync(r *revision.Revision, state v1alpha1.NodeMapState, action engine.Action) engine.Report {
	n.t.Helper()
	report := n.Sync(n.t.Context(), r)
	if report.State != state || report.Action != action || report.Drift != nil {
		n.t.Fatalf("%s: %s (%s: %s), action %q, drift %+v, want %s and %q\n%s", r.Key, report.State, report.Reason, report.Message,
			report.Action, report.Drift, state, action, report.Plan.String())
	}
	if again := n.Sync(n.t.Context(), r); again.Action != engine.ActionNone || again.State != state || again.MapID != report.MapID {
		n.t.Fatalf("%s: a second Sync: %s, action %q, map %d\n%s", r.Key, again.State, again.Action, again.MapID, again.Plan.String())
	}
	return report
}

// TestEveryType takes each sample to this kernel: there is one for every type of the API, and what it
// declares is there, and again nothing to do after it.
func TestEveryType(t *testing.T) {
	n := newNode(t)
	set := manifest.Read(manifest.Options{Paths: []string{"../../../config/samples", "../../../config/samples/types", "../../../config/samples/newer", "../../../config/samples/node"}})
	if len(set.Problems) > 0 {
		t.Fatal(set.Problems)
	}
	untested := everyType(t)
	slices.SortStableFunc(set.Manifests, func(a, b manifest.Manifest) int { return holdsMaps(a) - holdsMaps(b) })
	for _, m := range set.Manifests {
		r := compiled(t, m.Map)
		state, countable := v1alpha1.NodeMapReady, !r.Shape.IsArray() && !r.Shape.IsHidden() && !r.Shape.IsFilledAtRuntime()
		if m.Map.Spec.Type == v1alpha1.MapTypeProgArray {
			state, countable = v1alpha1.NodeMapPending, false // its programs aren't pinned
		}
		delete(untested, m.Map.Spec.Type)
		if isTooNew(t, r.Shape) {
			wantTooNew(t, r.Shape, n.Sync(t.Context(), r))
			continue
		}
		report := n.sync(r, state, engine.ActionCreated)
		if countable && (report.Entries == nil || *report.Entries != int64(r.Contents.Len)) {
			t.Errorf("%s holds %v entries, want %d", m.Name(), report.Entries, r.Contents.Len)
		}
		if report.Frozen != m.Map.Spec.Freeze {
			t.Errorf("%s: frozen %t", m.Name(), report.Frozen)
		}
	}
	for typ := range untested {
		t.Errorf("no sample is of type %s", typ)
	}
	for _, m := range slices.Backward(set.Manifests) {
		if r := n.Remove(t.Context(), revision.Key{Namespace: m.Map.Namespace, Name: m.Map.Name}); r.Err != nil {
			t.Error(r.Err)
		}
	}
	// The namespace's directory stays: loaders pin there, too.
	if left, err := os.ReadDir(n.bpffs + "/bpfmap/edge"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func holdsMaps(m manifest.Manifest) int {
	if m.Map.Spec.Inner != nil {
		return 1
	}
	return 0
}

// everyType are the types that the API offers.
func everyType(t *testing.T) map[v1alpha1.MapType]bool {
	t.Helper()
	types := map[v1alpha1.MapType]bool{}
	for _, m := range maptype.Offered() {
		types[v1alpha1.MapType(m.Name)] = true
	}
	if len(types) < 32 {
		t.Fatalf("%d types", len(types))
	}
	return types
}

// TestCapabilitiesOfEveryType makes a map of every type with the capabilities that agents have. Those that
// need NET_ADMIN say so, and what to set.
func TestCapabilitiesOfEveryType(t *testing.T) {
	byDefault := []sys.Capability{sys.CapBPF, sys.CapChown, sys.CapDACOverride}
	needNetAdmin := []v1alpha1.MapType{
		v1alpha1.MapTypeDevMap, v1alpha1.MapTypeDevMapHash, v1alpha1.MapTypeSockMap, v1alpha1.MapTypeSockHash, v1alpha1.MapTypeXSKMap,
	}
	for _, withNetAdmin := range []bool{false, true} {
		n := newNode(t)
		set := manifest.Read(manifest.Options{Paths: []string{"../../../config/samples", "../../../config/samples/types", "../../../config/samples/node"}})
		slices.SortStableFunc(set.Manifests, func(a, b manifest.Manifest) int { return holdsMaps(a) - holdsMaps(b) })
		capabilities := byDefault
		if withNetAdmin {
			capabilities = append(slices.Clone(byDefault), sys.CapNetAdmin)
		}
		bpftest.WithCapabilities(t, capabilities, func() {
			for _, m := range set.Manifests {
				r := compiled(t, m.Map)
				report := n.Sync(t.Context(), r)
				refused := !withNetAdmin && slices.Contains(needNetAdmin, r.Shape.Type)
				switch {
				case isTooNew(t, r.Shape):
					wantTooNew(t, r.Shape, report)
				case refused && (report.Reason != v1alpha1.NodeReasonNotPermitted || !strings.Contains(report.Message, "CAP_NET_ADMIN") ||
					!strings.Contains(report.Message, "agent.hostNetwork")):
					t.Errorf("%s (%s) without NET_ADMIN: %s: %s", m.Name(), r.Shape.Type, report.Reason, report.Message)
				case !refused && report.Err != nil:
					t.Errorf("%s (%s) with %v: %v", m.Name(), r.Shape.Type, capabilities, report.Err)
				}
			}
		})
	}
}

// TestFreezeEveryType freezes a map of every type, or is refused by the compiler with the reason.
func TestFreezeEveryType(t *testing.T) {
	n := newNode(t)
	set := manifest.Read(manifest.Options{Paths: []string{"../../../config/samples/types", "../../../config/samples/node"}})
	slices.SortStableFunc(set.Manifests, func(a, b manifest.Manifest) int { return holdsMaps(a) - holdsMaps(b) })
	refused := 0
	for _, m := range set.Manifests {
		m.Map.Spec.Freeze = true
		r, err := compile.Compile(m.Map)
		if err != nil {
			if !strings.Contains(err.Error(), "spec.freeze: the kernel does not freeze a map whose values hold a spin lock") {
				t.Errorf("%s: %v", m.Name(), err)
			}
			refused++
			continue
		}
		r.UID, r.Name = "uid", "name"
		report := n.Sync(t.Context(), r)
		if isTooNew(t, r.Shape) {
			wantTooNew(t, r.Shape, report)
			continue
		}
		if report.Err != nil || !report.Frozen {
			t.Errorf("%s (%s): frozen %t, %s", m.Name(), r.Shape.Type, report.Frozen, report.Message)
		}
	}
	if refused != 2 {
		t.Errorf("%d maps were refused, want the two with spin locks", refused)
	}
}

// TestSpinLock has the operator write a value while another process reads it: under the lock, nobody sees
// half of one. How many writes it takes to see that depends on the machine, so it is first tried without the lock,
// where a value of this size tears within moments, and then with the lock for twice as many writes.
func TestSpinLock(t *testing.T) {
	n := newNode(t)
	const (
		words      = 2048
		enoughTorn = 4
		mostWrites = 100_000
	)
	bucket := func(lock string, value uint64) *revision.Revision {
		all := strings.TrimSuffix(strings.Repeat(fmt.Sprint(value)+", ", words), ", ")
		return declare(t, "buckets"+lock, fmt.Sprintf(`{type: Array, value: {fields: [%s{name: words, type: u64, length: %d}]}, maxEntries: 1,
			entries: [{key: 0, value: {words: [%s]}}]}`, map[string]string{"lock": "{name: lock, type: spinLock}, ", "": ""}[lock], words, all))
	}
	writes := 0 // that tore enough values without the lock
	for _, lock := range []string{"", "lock"} {
		flags, wanted := bpf.Any, mostWrites
		if lock != "" {
			flags, wanted = bpf.Lock, 2*writes
		}
		r := bucket(lock, 1)
		n.sync(r, v1alpha1.NodeMapReady, engine.ActionCreated)
		m, err := bpf.GetPinned(n.pins.Path(r.Pin.Path), 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		var torn, reads atomic.Int64
		done := make(chan struct{})
		var readers sync.WaitGroup
		readers.Go(func() {
			value := make([]byte, m.ValueStride())
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := m.LookupElemFlags(make([]byte, 4), value, flags); err != nil {
					t.Error(err)
					return
				}
				at := len(value) - 8*words
				reads.Add(1)
				if binary.NativeEndian.Uint64(value[at:]) != binary.NativeEndian.Uint64(value[len(value)-8:]) {
					torn.Add(1)
				}
			}
		})
		a, b := bucket(lock, 1), bucket(lock, 2)
		i := 0
		for ; i < wanted && torn.Load() < enoughTorn; i++ {
			if report := n.Sync(t.Context(), []*revision.Revision{b, a}[i%2]); report.Err != nil || report.Action != engine.ActionUpdated {
				t.Fatalf("%s: %v", report.Action, report.Err)
			}
		}
		writes = i
		close(done)
		readers.Wait()
		if got := torn.Load(); (got > 0) != (flags == bpf.Any) {
			t.Errorf("with the flags %s, %d of %d reads are torn", flags, got, reads.Load())
		}
		t.Logf("with the flags %s, %d of %d reads are torn in %d writes", flags, torn.Load(), reads.Load(), writes)
	}
	// A map that somebody made without telling the kernel of the lock can't be managed with it.
	other := declare(t, "other", `{type: Hash, key: {type: u32}, value: {type: u64}, maxEntries: 4}`)
	n.sync(other, v1alpha1.NodeMapReady, engine.ActionCreated)
	locked := declare(t, "other", `{type: Hash, key: {type: u32}, value: {fields: [{name: lock, type: spinLock}, {name: count, type: u32}]}, maxEntries: 4,
		entries: [{key: 1, value: {count: 1}}]}`)
	n.stalls(locked, v1alpha1.NodeReasonSchemaMismatch, "value: lock: spinLock lock at byte 0 (4 bytes)")
}

// TestBTF lets the kernel tell the fields of a map by name, as bpftool asks for them.
func TestBTF(t *testing.T) {
	n := newNode(t)
	r := declare(t, "rules", `{type: LPMTrie, key: {type: ipv6Prefix}, maxEntries: 8, value: {fields: [{name: action, type: u8},
		{name: ports, type: be16, length: 4}, {name: owner, fields: [{name: name, type: string, size: 16}, {name: mac, type: mac}]}, {name: id, type: bytes, size: 3}]}}`)
	n.sync(r, v1alpha1.NodeMapReady, engine.ActionCreated)
	m, err := bpf.GetPinned(n.pins.Path(r.Pin.Path), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	info, err := m.Info()
	if err != nil {
		t.Fatal(err)
	}
	if info.BTFID == 0 || info.BTFKeyTypeID == 0 || info.BTFValueTypeID == 0 {
		t.Fatalf("BTF %d, key %d, value %d", info.BTFID, info.BTFKeyTypeID, info.BTFValueTypeID)
	}
	key, value, err := btfschema.FromKernel(info.BTFID, info.BTFKeyTypeID, info.BTFValueTypeID, true)
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(map[string]any{"key": key, "value": value})
	if err != nil {
		t.Fatal(err)
	}
	want := `key:
  type: ipv6Prefix
value:
  fields:
  - name: action
    type: u8
  - length: 4
    name: ports
    type: be16
  - fields:
    - name: name
      size: 16
      type: string
    - name: mac
      type: mac
    name: owner
  - name: id
    size: 3
    type: bytes
`
	if !bpftest.Since(t, 5, 16) { // no tags: the types of C are left
		want = strings.Replace(want, "      type: mac\n", "      size: 6\n      type: hex\n", 1)
		want = strings.Replace(want, "type: bytes", "type: hex", 1)
	}
	if got := string(text); got != want {
		t.Errorf("the kernel tells\n%s", got)
	}
}
