// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package ownership_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func sample() *ownership.Record {
	return &ownership.Record{
		Key: revision.Key{Namespace: "edge", Name: "table"}, UID: "u", Revision: "table-3", Digest: "sha256:00", Applied: "f",
		MapID: 7, PreviousMapID: 6, Pin: revision.Pin{Path: "bpfmap/edge/table", Mode: 0o640, GID: 2000}, PreviousPaths: []string{"globals/table"},
		EarlierMaps: []uint32{5}, Replaced: []uint32{6, 5},
		Deletion: v1alpha1.DeletionRetain, DriftCount: 3, DriftReported: true,
		KeySchema: &v1alpha1.Schema{Type: v1alpha1.TypeU32}, ValueSchema: v1alpha1.Schema{Type: v1alpha1.TypeU8},
		Keys:         ownership.KeyLog{KeySize: 4, Generation: 3, BaseLen: 9, Added: []byte{1, 2, 3, 4, 5, 6, 7, 8}, Removed: []byte{9, 9, 9, 9}},
		PreviousKeys: ownership.KeyLog{KeySize: 2, Added: []byte{0, 1}},
	}
}

func encoded(t testing.TB, r *ownership.Record) []byte {
	t.Helper()
	b, err := ownership.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	got, err := ownership.Decode(append(encoded(t, want), 0, 0, 0)) // a map's value may be padded
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestDamage changes every byte and cuts at every length: no damaged record is believed.
func TestDamage(t *testing.T) {
	for _, b := range [][]byte{encoded(t, sample()), encoded1(`{"key":{"Namespace":"edge","Name":"table"},"mapID":7}`, []byte{1, 2, 3, 4})} {
		if _, err := ownership.Decode(b); err != nil {
			t.Fatal(err)
		}
		for i := range b {
			damaged := append([]byte(nil), b...)
			damaged[i] ^= 0x40
			if _, err := ownership.Decode(damaged); err == nil {
				t.Errorf("byte %d was changed, and the record is believed", i)
			}
			if _, err := ownership.Decode(b[:i]); err == nil {
				t.Errorf("the record was cut at %d bytes, and is believed", i)
			}
		}
	}
}

// encoded1 is the binary form of version 1.
func encoded1(text string, keys []byte) []byte {
	b := []byte{1, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(keys)))
	b = append(append(b, text...), keys...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// TestVersion1 reads a record that an earlier release wrote: the map keeps its id, and its keys are known.
func TestVersion1(t *testing.T) {
	const text = `{"key":{"Namespace":"edge","Name":"table"},"uid":"u","digest":"d","applied":"f","mapID":7,` +
		`"pin":{"Path":"bpfmap/edge/table","Mode":416},"earlierMaps":[3,0,3,0],"previousKeys":"AQI=","deletion":"Delete",` +
		`"keySchema":{"fields":[{"name":"a","type":"u16"},{"name":"b","type":"u8"}]},"valueSchema":{"type":"u8"}}`
	keys := []byte{2, 0, 0, 0, 1, 0, 9, 0, 3, 0, 0, 0} // three keys of 4 bytes, in another order
	got, err := ownership.Decode(encoded1(text, keys))
	if err != nil {
		t.Fatal(err)
	}
	want := ownership.KeyLog{KeySize: 4, Added: []byte{1, 0, 9, 0, 2, 0, 0, 0, 3, 0, 0, 0}}
	if diff := cmp.Diff(want, got.Keys); diff != "" || got.MapID != 7 || got.Applied != "f" || got.PreviousKeys.LogBytes() != 0 {
		t.Errorf("%+v\n(-want +got)\n%s", got, diff)
	}
	if len(got.EarlierMaps) != 1 {
		t.Errorf("earlier maps %v", got.EarlierMaps)
	}
	encoded(t, got) // it can be saved
	if _, err := ownership.Decode(encoded1(text, keys[:7])); err == nil {
		t.Error("half a key is believed")
	}
}

// TestBounds refuses records that would grow without end.
func TestBounds(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(*ownership.Record)
		want  string
	}{
		"log":       {func(r *ownership.Record) { r.Keys.Added = numbered(20000) }, "80004 bytes of changed keys are more than 65536"},
		"text":      {func(r *ownership.Record) { r.Linked = strings.Repeat("x", 3<<20) }, "more than 2097152"},
		"zero":      {func(r *ownership.Record) { r.EarlierMaps = []uint32{1, 0} }, "earlierMaps has 2 ids"},
		"duplicate": {func(r *ownership.Record) { r.Replaced = []uint32{1, 1} }, "replaced has 2 ids"},
		"many":      {func(r *ownership.Record) { r.Replaced = []uint32{1, 2, 3, 4, 5} }, "more than 4"},
		"paths":     {func(r *ownership.Record) { r.PreviousPaths = []string{"a", "a"} }, "previousPaths has 2 paths"},
		"unsorted":  {func(r *ownership.Record) { r.Keys.Added = []byte{2, 0, 0, 0, 1, 0, 0, 0} }, "not sorted"},
		"both":      {func(r *ownership.Record) { r.Keys.Removed = r.Keys.Added }, "both added and removed"},
	} {
		r := sample()
		test.spoil(r)
		if _, err := ownership.Encode(r); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

// TestRetriesDontGrowTheRecord fails a thousand times while a pin moves, each time with a new map.
func TestRetriesDontGrowTheRecord(t *testing.T) {
	for name, kept := range map[string]uint32{"the first map is kept": 1, "nothing is kept": 0} {
		rec := &ownership.Record{MapID: 1, Pin: revision.Pin{Path: "a"}, Deletion: v1alpha1.DeletionDelete}
		var size int
		for try := range 1000 {
			next := &ownership.Record{MapID: uint32(try + 2), PreviousMapID: kept, Pin: revision.Pin{Path: "b"}, Deletion: v1alpha1.DeletionDelete}
			next.Follow(rec, kept)
			next.Replace(uint32(try))
			rec = next
			if size = len(encoded(t, rec)); size > 2000 {
				t.Fatalf("%s: after %d tries the record has %d bytes", name, try+1, size)
			}
		}
		if len(rec.PreviousPaths) != 1 || rec.PreviousPaths[0] != "a" || len(rec.EarlierMaps) == 0 || rec.EarlierMaps[0] != 1 {
			t.Errorf("%s: the record knows %v with maps %v, want a with map 1", name, rec.PreviousPaths, rec.EarlierMaps)
		}
		if kept == 1 && len(rec.EarlierMaps) != 1 {
			t.Errorf("%s: maps %v were never pinned", name, rec.EarlierMaps)
		}
	}
}

// TestEarlierMaps are those that may be at the earlier pins: neither none, nor the map that is ours now, whose
// pin would be taken for an earlier one.
func TestEarlierMaps(t *testing.T) {
	former := &ownership.Record{MapID: 3, PreviousMapID: 2, EarlierMaps: []uint32{1, 3}, PreviousPaths: []string{"a"}, Pin: revision.Pin{Path: "b"}}
	for name, c := range map[string]struct {
		id, kept uint32
		path     string
		want     []uint32
	}{
		"a pin moves again":                      {id: 3, kept: 3, path: "c", want: []uint32{1, 2}},
		"another map comes":                      {id: 4, kept: 3, path: "b", want: []uint32{1, 3, 2}},
		"the predecessor is still kept":          {id: 4, kept: 2, path: "c", want: []uint32{1, 3, 2}},
		"nothing is kept":                        {id: 4, path: "c", want: []uint32{1, 3, 2}},
		"back to the earlier pin, another to go": {id: 2, kept: 2, path: "a", want: []uint32{1, 3}},
	} {
		next := &ownership.Record{MapID: c.id, Pin: revision.Pin{Path: c.path}}
		next.Follow(former, c.kept)
		if !slices.Equal(next.EarlierMaps, c.want) {
			t.Errorf("%s: %v, want %v", name, next.EarlierMaps, c.want)
		}
	}
	first := &ownership.Record{MapID: 4, Pin: revision.Pin{Path: "b"}}
	first.Follow(&ownership.Record{MapID: 3, Pin: revision.Pin{Path: "b"}}, 3)
	if first.EarlierMaps != nil || first.PreviousPaths != nil {
		t.Errorf("without an earlier pin: %v at %v", first.EarlierMaps, first.PreviousPaths)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encoded(f, sample()))
	f.Add(encoded1(`{"mapID":7}`, []byte{1, 2, 3, 4}))
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Add(bytes.Repeat([]byte{2}, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ownership.Decode(b)
		if err != nil || r.Keys.IsDue() {
			return
		}
		again, err := ownership.Decode(encoded(t, r))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r.Keys, again.Keys); diff != "" || r.Key != again.Key || r.MapID != again.MapID {
			t.Errorf("(-first +second)\n%s", diff)
		}
	})
}
