// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// RunContract holds a Backend to what engine.Backend and engine.Map say. newBackend makes an empty one
// for each test.
func RunContract(t *testing.T, newBackend func(*testing.T) engine.Backend) {
	for name, test := range map[string]func(*testing.T, engine.Backend){
		"Publish":   testPublish,
		"Over":      testPublishOver,
		"Unpin":     testUnpin,
		"Records":   testRecords,
		"Hash":      testHash,
		"LRU":       testLRU,
		"LPM":       testLPM,
		"Array":     testArray,
		"PerCPU":    testPerCPU,
		"Keyless":   testKeyless,
		"Freeze":    testFreeze,
		"Forgotten": testForgotten,
		"Bloom":     testBloom,
		"MapOfMaps": testMapOfMaps,
		"Runtime":   testRuntime,
		"Cancelled": testCancelled,
		"Keys":      testKeys,
		"Owners":    testOwners,
		"Bounds":    testRecordBounds,
		"Strangers": testStrangers,
		"Add":       testAdd,
		"AddFull":   testAddFull,
		"Store":     testStore,
		"StoreEach": testStoreEach,
	} {
		t.Run(name, func(t *testing.T) { test(t, newBackend(t)) })
	}
}

var (
	contractKey = revision.Key{Namespace: "edge", Name: "table"}
	contractPin = revision.Pin{Path: "bpfmap/edge/table", Mode: 0o640}
)

func shape(typ v1alpha1.MapType, key, value, entries uint32) revision.Shape {
	s := revision.Shape{Type: typ, KeySize: key, ValueSize: value, MaxEntries: entries, Name: "contract"}
	if typ == v1alpha1.MapTypeLPMTrie {
		s.Flags = []v1alpha1.MapFlag{v1alpha1.FlagNoPrealloc}
	}
	return s
}

func create(t *testing.T, b engine.Backend, s revision.Shape) engine.Map {
	t.Helper()
	m, err := b.Create(t.Context(), &revision.Revision{Key: contractKey, Shape: s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, m.Close()) })
	info, err := m.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.ID == 0 || info.Frozen || len(s.Differences(info.Shape)) > 0 || info.Shape.Name != s.Name {
		t.Fatalf("created %+v, want the shape %+v", info, s)
	}
	return m
}

// createIfKnown is create for a type that not every kernel has: one without it says which one is needed.
func createIfKnown(t *testing.T, b engine.Backend, s revision.Shape) (m engine.Map, isKnown bool) {
	t.Helper()
	since := maptype.ByName(string(s.Type)).Since
	if _, isMemory := b.(*Memory); isMemory || !bpftest.Kernel(t).Before(since) {
		return create(t, b, s), true
	}
	_, err := b.Create(t.Context(), &revision.Revision{Key: contractKey, Shape: s})
	wantReason(t, err, v1alpha1.NodeReasonNotSupported)
	if err == nil || !strings.Contains(err.Error(), since.String()) {
		t.Errorf("error %v doesn't name %s", err, since)
	}
	return nil, false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantReason(t *testing.T, err error, reason string) {
	t.Helper()
	var r engine.Reasoner
	if !errors.As(err, &r) || r.Reason() != reason {
		t.Errorf("error %v, want one with the reason %s", err, reason)
	}
}

// elements are what a map holds, as sorted "key=value" in hex.
func elements(t *testing.T, m engine.Map) []string {
	t.Helper()
	info, err := m.Info(t.Context())
	must(t, err)
	var all []string
	complete, err := m.Read(t.Context(), func(keys, values []byte) {
		size := int(info.Shape.KeySize)
		n := len(keys) / size
		for i := range n {
			v := len(values) / n
			all = append(all, hex.EncodeToString(keys[i*size:(i+1)*size])+"="+hex.EncodeToString(values[i*v:(i+1)*v]))
		}
	})
	if err != nil || !complete {
		t.Errorf("read: complete %t, %v", complete, err)
	}
	if n, known := m.Count(t.Context()); known && n != int64(len(all)) {
		t.Errorf("the map counts %d elements, and holds %d", n, len(all))
	}
	slices.Sort(all)
	return all
}

func wantElements(t *testing.T, m engine.Map, want ...string) {
	t.Helper()
	if got := elements(t, m); !slices.Equal(got, want) {
		t.Errorf("the map holds %v, want %v", got, want)
	}
}

func openState(t *testing.T, b engine.Backend, pin *revision.Pin) *engine.State {
	t.Helper()
	s, err := b.Open(t.Context(), contractKey, pin)
	must(t, err)
	t.Cleanup(func() {
		for _, m := range []engine.Map{s.Pinned, s.KeepAlive} {
			if m != nil {
				must(t, m.Close())
			}
		}
	})
	return s
}

func idOf(t *testing.T, m engine.Map) uint32 {
	t.Helper()
	if m == nil {
		return 0
	}
	info, err := m.Info(t.Context())
	must(t, err)
	return info.ID
}

func testPublish(t *testing.T, b engine.Backend) {
	if s := openState(t, b, &contractPin); s.Pinned != nil || s.KeepAlive != nil || s.Record != nil || s.Found != (revision.Pin{}) || s.PinPath == "" {
		t.Errorf("an empty backend shows %+v", s)
	}
	m := create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 2))
	if s := openState(t, b, &contractPin); s.Pinned != nil {
		t.Error("a map is pinned before it is published")
	}
	must(t, b.Publish(t.Context(), contractKey, m, contractPin))
	for range 2 {
		s := openState(t, b, &contractPin)
		if idOf(t, s.Pinned) != idOf(t, m) || idOf(t, s.KeepAlive) != idOf(t, m) || s.Found != contractPin {
			t.Errorf("published map %d at %+v, see pinned %d, keep-alive %d, pin %+v", idOf(t, m), contractPin, idOf(t, s.Pinned), idOf(t, s.KeepAlive), s.Found)
		}
		must(t, b.Publish(t.Context(), contractKey, m, contractPin)) // again is no error
	}
	changed := contractPin
	changed.Mode, changed.GID = 0o600, 2000
	must(t, b.Publish(t.Context(), contractKey, m, changed))
	if s := openState(t, b, &contractPin); s.Found != changed || idOf(t, s.Pinned) != idOf(t, m) {
		t.Error("publishing again didn't change mode and group")
	}
	if s := openState(t, b, nil); s.Pinned != nil || s.KeepAlive == nil {
		t.Errorf("without a pin: %+v, want the keep-alive map alone", s)
	}
}

func testPublishOver(t *testing.T, b engine.Backend) {
	first, second := create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 2)), create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 2))
	must(t, b.Publish(t.Context(), contractKey, first, contractPin))
	wantReason(t, b.Publish(t.Context(), contractKey, second, contractPin), v1alpha1.NodeReasonPinConflict)
	if s := openState(t, b, &contractPin); idOf(t, s.Pinned) != idOf(t, first) {
		t.Error("the pin was taken without permission")
	}
	must(t, b.Publish(t.Context(), contractKey, second, contractPin, idOf(t, first)))
	if s := openState(t, b, &contractPin); idOf(t, s.Pinned) != idOf(t, second) || idOf(t, s.KeepAlive) != idOf(t, second) {
		t.Error("the second map isn't at both pins")
	}
}

func testUnpin(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 2))
	must(t, b.Publish(t.Context(), contractKey, m, contractPin))
	must(t, b.Unpin(t.Context(), contractKey, contractPin.Path, idOf(t, m)+1))
	if s := openState(t, b, &contractPin); s.Pinned == nil {
		t.Error("the pin of another map was removed")
	}
	must(t, b.Unpin(t.Context(), contractKey, contractPin.Path, 0, idOf(t, m)))
	must(t, b.Unpin(t.Context(), contractKey, contractPin.Path, idOf(t, m)))
	if s := openState(t, b, &contractPin); s.Pinned != nil || s.KeepAlive == nil {
		t.Error("the pin is still there, or the second one isn't")
	}
}

func testRecords(t *testing.T, b engine.Backend) {
	var want []engine.Record
	for i, name := range []string{"a", "b.c", "table"} {
		keys, _ := ownership.NewKeyLog(4, 1, []byte{1, 2, 3, 4, 5, 6, 7, 8})
		r := engine.Record{Key: revision.Key{Namespace: "edge", Name: name}, MapID: uint32(5 + i), Pin: revision.Pin{Path: "bpfmap/edge/" + name}, Keys: keys}
		must(t, b.SaveRecord(t.Context(), &r))
		r.Applied = "now"
		must(t, b.SaveRecord(t.Context(), &r))
		want = append(want, r)
	}
	got, err := b.Records(t.Context())
	must(t, err)
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i].Key != want[i].Key || got[i].Applied != "now" || !bytes.Equal(got[i].Keys.Packed(nil), want[i].Keys.Packed(nil)) {
			t.Errorf("record %d is of %s (applied %q, %d bytes of keys)", i, got[i].Key, got[i].Applied, got[i].Keys.LogBytes())
		}
	}
	if s := openState(t, b, nil); s.Record == nil || s.Record.MapID != 7 {
		t.Errorf("the record is %+v", s.Record)
	}
}

func testForgotten(t *testing.T, b engine.Backend) {
	must(t, b.Forget(t.Context(), contractKey)) // nothing there is no error
	m := create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 2))
	must(t, b.SaveRecord(t.Context(), &engine.Record{Key: contractKey, Pin: contractPin}))
	must(t, b.Publish(t.Context(), contractKey, m, contractPin))
	must(t, b.Forget(t.Context(), contractKey))
	if s := openState(t, b, &contractPin); s.Record != nil || s.KeepAlive != nil || s.Pinned == nil {
		t.Errorf("after Forget: %+v, want the pin alone", s)
	}
}
