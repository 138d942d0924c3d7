// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
	"github.com/bpfmap-io/bpfmap-operator/internal/schema"
)

// TestMain leaves out the backends that BACKEND doesn't name: on another kernel, the one in memory is the same.
func TestMain(m *testing.M) {
	if only := os.Getenv("BACKEND"); only != "" {
		maps.DeleteFunc(backends, func(name string, _ func(*testing.T, pinstore.Options) engine.Backend) bool { return name != only })
	}
	bpftest.Main(m)
}

// stride is how far the moments lie apart at which a sequence of calls is cut off, fails or is interrupted: 1, or STRIDE
// where a machine is slow.
var stride = int(fromEnvironment("STRIDE", 1))

// fromEnvironment is a positive number that the environment may set.
func fromEnvironment(name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		panic(fmt.Sprintf("%s=%s: want a positive number", name, text))
	}
	return n
}

// backends makes each kind of backend.
var backends = map[string]func(t *testing.T, o pinstore.Options) engine.Backend{
	"memory": func(*testing.T, pinstore.Options) engine.Backend { return enginetest.NewMemory() },
	"kernel": func(t *testing.T, o pinstore.Options) engine.Backend {
		b, err := kernel.New(bpftest.BPFFS(t), kernel.Options{Pins: o})
		if err != nil {
			t.Fatal(err)
		}
		return b
	},
}

// onBoth runs a test on both backends.
func onBoth(t *testing.T, test func(t *testing.T, w *world)) {
	for name, newBackend := range backends {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t, newBackend(t, pinstore.Options{}))) })
	}
}

// incremental lets the engines of these tests write the difference of two revisions of any size unread;
// the second Sync of each then compares all.
const incremental = 1

// world is an engine and what is behind it.
type world struct {
	*testing.T
	*engine.Engine
	b engine.Backend
}

func newWorld(t *testing.T, b engine.Backend) *world {
	t.Helper()
	if m, ok := b.(*enginetest.Memory); ok {
		t.Cleanup(func() {
			if n := m.OpenHandles(); n != 0 {
				t.Errorf("%d handles are open", n)
			}
		})
	}
	return &world{t, engine.New(b, engine.Options{IncrementalThreshold: incremental}), b}
}

var key = revision.Key{Namespace: "edge", Name: "table"}

// rev compiles a spec. Fields that many tests share have defaults.
func rev(t *testing.T, spec string) *revision.Revision {
	t.Helper()
	m := &v1alpha1.BPFMap{}
	if err := yaml.UnmarshalStrict([]byte(spec), &m.Spec); err != nil {
		t.Fatalf("%v in\n%s", err, spec)
	}
	m.Namespace, m.Name = key.Namespace, key.Name
	r, err := compile.Compile(m)
	if err != nil {
		t.Fatal(err)
	}
	r.UID, r.Name, r.Number = "uid-1", "table-1", 1
	return r
}

// hash is a Hash of u8 by u8 with more fields and entries.
func hash(t *testing.T, more string, entries ...string) *revision.Revision {
	t.Helper()
	return table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 8, "+more, entries...)
}

// table is a spec in YAML's flow style, without the brace that closes it, with entries "key=value".
func table(t *testing.T, spec string, entries ...string) *revision.Revision {
	t.Helper()
	list := make([]string, len(entries))
	for i, e := range entries {
		k, v, keyed := strings.Cut(e, "=")
		if list[i] = fmt.Sprintf("{value: %s}", k); keyed {
			list[i] = fmt.Sprintf("{key: %s, value: %s}", k, v)
		}
	}
	return rev(t, strings.TrimSuffix(strings.TrimSpace(spec), ",")+", entries: ["+strings.Join(list, ", ")+"]}")
}

// sync syncs and wants a state.
func (w *world) sync(r *revision.Revision, state v1alpha1.NodeMapState, action engine.Action) engine.Report {
	w.Helper()
	report := w.Sync(w.Context(), r)
	if report.State != state || report.Action != action {
		w.Fatalf("Sync: state %s (%s: %s), action %q, want %s and %q\n%s", report.State, report.Reason, report.Message,
			report.Action, state, action, report.Plan.String())
	}
	if (report.Err != nil) != (state == v1alpha1.NodeMapFailed || state == v1alpha1.NodeMapStalled) {
		w.Errorf("state %s with the error %v", state, report.Err)
	}
	return report
}

func (w *world) ready(r *revision.Revision, action engine.Action) engine.Report {
	w.Helper()
	report := w.sync(r, v1alpha1.NodeMapReady, action)
	// What was brought to its revision stays there.
	if again := w.Sync(w.Context(), r); again.Action != engine.ActionNone || again.State != v1alpha1.NodeMapReady || again.MapID != report.MapID || again.Drift != nil {
		w.Fatalf("a second Sync: %+v", again)
	}
	return report
}

// open opens the map at the pin.
func (w *world) open(r *revision.Revision) engine.Map {
	w.Helper()
	s, err := w.b.Open(w.Context(), r.Key, &r.Pin)
	if err != nil {
		w.Fatal(err)
	}
	if s.KeepAlive != nil {
		w.must(s.KeepAlive.Close())
	}
	if s.Pinned == nil {
		return nil
	}
	w.Cleanup(func() { w.must(s.Pinned.Close()) })
	return s.Pinned
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// contents is what the map at the pin holds, "key=value" as the schema prints them, in order.
func (w *world) contents(r *revision.Revision) string {
	w.Helper()
	m := w.open(r)
	if m == nil {
		return "no map"
	}
	info, err := m.Info(w.Context())
	w.must(err)
	all := revision.Entries{KeySize: int(info.Shape.KeySize), ValueSize: int(info.Shape.ValueSize)}
	_, err = m.Read(w.Context(), func(keys, values []byte) {
		n := len(keys) / all.KeySize
		stride := len(values) / n
		for i := range n {
			all.Append(keys[i*all.KeySize:(i+1)*all.KeySize], values[i*stride:i*stride+all.ValueSize], false)
		}
	})
	w.must(err)
	sorted, _ := all.Sorted(info.Shape)
	var b strings.Builder
	for i := range sorted.Len {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(w.format(r.KeySchema, sorted.Key(i)) + "=" + w.format(&r.ValueSchema, sorted.Value(i)))
	}
	return b.String()
}

func (w *world) format(s *v1alpha1.Schema, b []byte) string {
	w.Helper()
	if s == nil {
		return fmt.Sprintf("%x", b)
	}
	layout, err := schema.New(s)
	w.must(err)
	return layout.Format(b)
}

func (w *world) holds(r *revision.Revision, want string) {
	w.Helper()
	if got := w.contents(r); got != want {
		w.Errorf("the kernel holds %q, want %q", got, want)
	}
}

// foreign makes a map as somebody else would and pins it.
func (w *world) foreign(r *revision.Revision, shape revision.Shape) engine.Map {
	w.Helper()
	other := revision.Key{Namespace: "somebody", Name: "else"}
	m, err := w.b.Create(w.Context(), &revision.Revision{Key: other, Shape: shape})
	w.must(err)
	w.Cleanup(func() { w.must(m.Close()) })
	w.must(enginetest.Intrude(w.Context(), w.b, other, m, r.Pin))
	return m
}

func (w *world) id(m engine.Map) uint32 {
	w.Helper()
	info, err := m.Info(w.Context())
	w.must(err)
	return info.ID
}
