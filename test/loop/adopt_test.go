// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
)

// load does what a program's loader does: it pins a new map with one element, for its own group alone.
func load(t testing.TB, pin string, k, v uint32) {
	t.Helper()
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Hash, Name: "theirs", KeySize: 4, ValueSize: 4, MaxEntries: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	key, value := binary.BigEndian.AppendUint32(nil, k), binary.NativeEndian.AppendUint32(nil, v)
	if err := m.UpdateElem(key, value, bpf.Any); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(pin), 0o755); err != nil {
		t.Fatal(err)
	}
	aside := pin + "-loading"
	if err := m.Pin(aside); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(aside, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(aside, pin); err != nil {
		t.Fatal(err)
	}
}

func wantMode(t testing.TB, pin string) {
	t.Helper()
	if st, err := os.Stat(pin); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("the pin of the program: %v, %v", st, err)
	}
}

// TestAdoptAndGiveBack: a program's map is filled while it is declared, also after the program was started again, and is
// as the program left it once the BPFMap is deleted.
func TestAdoptAndGiveBack(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true).start(t)
	load(t, n.pin("blocklist"), 99, 990)
	first := n.id(t, "blocklist")
	m := w.apply("blocklist", blocklist)
	w.awaitReady("blocklist")
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20, 99: 990})
	wantMode(t, n.pin("blocklist"))
	state := &v1alpha1.BPFNodeState{}
	if err := w.Get(t.Context(), types.NamespacedName{Name: n.name}, state); err != nil {
		t.Fatal(err)
	}
	if maps := state.Status.Maps; len(maps) != 1 || maps[0].Origin != v1alpha1.OriginAdopted || maps[0].MapID != int64(first) {
		t.Errorf("the node reports %+v, want map %d, Adopted", maps, first)
	}

	load(t, n.pin("blocklist"), 98, 980)
	n.awaitContents(t, "blocklist", contents{1: 10, 2: 20, 98: 980})

	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.awaitGone(n.name)
	n.awaitContents(t, "blocklist", contents{98: 980})
	wantMode(t, n.pin("blocklist"))
}

// TestAdoptElsewhere: a prefix that the administrator allows isn't a licence to take over what is there, and a node that
// isn't selected any more gives it back.
func TestAdoptElsewhere(t *testing.T) {
	w := newWorld(t)
	n := newNode(t, w, true)
	pin := filepath.Join(n.bpffs, "globals/blocklist")
	load(t, pin, 99, 990)
	n.start(t, "--allowed-pin-prefix", w.namespace+"=globals")
	w.apply("blocklist", blocklist+"  allowNoNodes: true\n  pin: {path: globals/blocklist}\n")
	w.awaitCondition("blocklist", v1alpha1.ConditionReady, v1alpha1.NodeReasonAdoptionNotAllowed)

	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.AdoptionPolicy = v1alpha1.AdoptionAdopt })
	w.awaitReady("blocklist")
	relabel(t, w, n.name, map[string]string{"world": "another"})
	if note := w.awaitEvent("blocklist", "GivenBack"); !strings.Contains(note, "gave back map") || !strings.Contains(note, "2 declared entries taken out") {
		t.Errorf("the event says %q", note)
	}
	wantMode(t, pin)
}
