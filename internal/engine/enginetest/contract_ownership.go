// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// numbered are n packed keys of 4 bytes in bytewise order.
func numbered(n int) []byte {
	keys := make([]byte, 0, 4*n)
	for i := range n {
		keys = binary.BigEndian.AppendUint32(keys, uint32(i))
	}
	return keys
}

// testKeys stores keys, names them in a record, and changes a few of them.
func testKeys(t *testing.T, b engine.Backend) {
	rec := &engine.Record{Key: contractKey, MapID: 7, Pin: contractPin}
	var base []byte
	rec.Keys, base = ownership.NewKeyLog(4, rec.NextGeneration(), numbered(300_000))
	must(t, b.SaveKeys(t.Context(), contractKey, rec.Keys.Generation, base))
	must(t, b.SaveRecord(t.Context(), rec))
	rec.Keys = rec.Keys.Remove(numbered(1)).Add([]byte{255, 0, 0, 0})
	must(t, b.SaveRecord(t.Context(), rec))
	loaded := openState(t, b, nil).Record
	stored, err := b.Keys(t.Context(), contractKey, loaded.Keys.Generation)
	must(t, err)
	must(t, loaded.Keys.CheckBase(stored))
	want := slices.Concat(numbered(300_000)[4:], []byte{255, 0, 0, 0})
	if got := loaded.Keys.Packed(stored); !bytes.Equal(got, want) {
		t.Errorf("%d keys, want %d", len(got)/4, len(want)/4)
	}
	// A new base takes over, and the former one goes with the record that named it.
	former := rec.Keys.Generation
	rec.Keys, base = ownership.NewKeyLog(4, rec.NextGeneration(), want)
	must(t, b.SaveKeys(t.Context(), contractKey, rec.Keys.Generation, base))
	if _, err := b.Keys(t.Context(), contractKey, former); err != nil {
		t.Errorf("the base of the present record: %v", err)
	}
	must(t, b.SaveRecord(t.Context(), rec))
	if _, err := b.Keys(t.Context(), contractKey, former); !errors.Is(err, ownership.ErrNoBase) {
		t.Errorf("a base that no record names: %v", err)
	}
	if keys, err := b.Keys(t.Context(), contractKey, 0); len(keys) != 0 || err != nil {
		t.Errorf("generation 0: %d bytes, %v", len(keys), err)
	}
	must(t, b.Forget(t.Context(), contractKey))
	if _, err := b.Keys(t.Context(), contractKey, rec.Keys.Generation); !errors.Is(err, ownership.ErrNoBase) {
		t.Errorf("keys after Forget: %v", err)
	}
}

func wantOwners(t *testing.T, b engine.Backend, asks revision.Key, path string, id uint32, ofPin, ofMap *revision.Key) {
	t.Helper()
	gotPin, gotMap, err := b.Owners(t.Context(), asks, path, id)
	must(t, err)
	if fmt.Sprint(gotPin) != fmt.Sprint(ofPin) || fmt.Sprint(gotMap) != fmt.Sprint(ofMap) {
		t.Errorf("%s asks: pin %q belongs to %v, map %d to %v, want %v and %v", asks, path, gotPin, id, gotMap, ofPin, ofMap)
	}
}

// testOwners claims pins and maps by records, moves them, and gives them up.
func testOwners(t *testing.T, b engine.Backend) {
	one, two := contractKey, revision.Key{Namespace: "team", Name: "table"}
	wantOwners(t, b, two, "a", 7, nil, nil)
	rec := &engine.Record{Key: one, MapID: 7, PreviousMapID: 6, Pin: revision.Pin{Path: "b"}, PreviousPaths: []string{"a"}}
	must(t, b.SaveRecord(t.Context(), rec))
	for _, path := range []string{"a", "b"} {
		for _, id := range []uint32{6, 7} {
			wantOwners(t, b, two, path, id, &one, &one)
			wantOwners(t, b, one, path, id, nil, nil)
		}
	}
	wantOwners(t, b, two, "c", 8, nil, nil)
	wantOwners(t, b, two, "", 0, nil, nil)
	for _, taken := range []*engine.Record{
		{Key: two, MapID: 8, Pin: revision.Pin{Path: "a"}}, {Key: two, MapID: 8, Pin: revision.Pin{Path: "c"}, PreviousPaths: []string{"b"}},
		{Key: two, MapID: 7, Pin: revision.Pin{Path: "c"}}, {Key: two, MapID: 8, PreviousMapID: 6, Pin: revision.Pin{Path: "c"}},
	} {
		wantReason(t, b.SaveRecord(t.Context(), taken), v1alpha1.NodeReasonPinConflict)
		wantOwners(t, b, one, "c", 8, nil, nil)
	}
	rec.PreviousPaths, rec.PreviousMapID = nil, 0
	must(t, b.SaveRecord(t.Context(), rec))
	must(t, b.SaveRecord(t.Context(), &engine.Record{Key: two, MapID: 6, Pin: revision.Pin{Path: "a"}}))
	wantOwners(t, b, one, "a", 6, &two, &two)
	must(t, b.Forget(t.Context(), one))
	wantOwners(t, b, two, "b", 7, nil, nil)
	must(t, b.SaveRecord(t.Context(), &engine.Record{Key: two, MapID: 7, Pin: revision.Pin{Path: "b"}}))
}

// testRecordBounds refuses records that would grow with each try.
func testRecordBounds(t *testing.T, b engine.Backend) {
	for _, rec := range []*engine.Record{
		{Key: contractKey, Keys: ownership.KeyLog{KeySize: 4, Added: numbered(20_000)}},
		{Key: contractKey, EarlierMaps: []uint32{3, 3}},
		{Key: contractKey, EarlierMaps: []uint32{3, 0}},
	} {
		if err := b.SaveRecord(t.Context(), rec); err == nil {
			t.Errorf("a record with %d bytes of changed keys and the earlier maps %v was saved", rec.Keys.LogBytes(), rec.EarlierMaps)
		}
	}
	if r := openState(t, b, nil).Record; r != nil {
		t.Errorf("there is a record: %+v", r)
	}
}

// testStrangers lets a stranger's map be where no map was expected, or another one.
func testStrangers(t *testing.T, b engine.Backend) {
	expected, theirs, ours := create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 2)), create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 2)), create(t, b, shape(v1alpha1.MapTypeHash, 4, 4, 2))
	must(t, Intrude(t.Context(), b, revision.Key{Namespace: "somebody", Name: "else"}, theirs, contractPin))
	for _, replaces := range [][]uint32{nil, {idOf(t, expected)}, {0}} {
		err := b.Publish(t.Context(), contractKey, ours, contractPin, replaces...)
		wantReason(t, err, v1alpha1.NodeReasonPinConflict)
		if want := fmt.Sprintf("map %d", idOf(t, theirs)); err == nil || !bytes.Contains([]byte(err.Error()), []byte(want)) {
			t.Errorf("%v, want it to name %s", err, want)
		}
		must(t, b.Unpin(t.Context(), contractKey, contractPin.Path, append(replaces, idOf(t, ours))...))
		if s := openState(t, b, &contractPin); idOf(t, s.Pinned) != idOf(t, theirs) {
			t.Errorf("map %d is at the pin, want %d", idOf(t, s.Pinned), idOf(t, theirs))
		}
	}
	must(t, b.Publish(t.Context(), contractKey, ours, contractPin, idOf(t, expected), idOf(t, theirs)))
	if s := openState(t, b, &contractPin); idOf(t, s.Pinned) != idOf(t, ours) {
		t.Errorf("map %d is at the pin, want %d", idOf(t, s.Pinned), idOf(t, ours))
	}
}
