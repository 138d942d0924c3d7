// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/record"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func sample() *record.Record {
	return &record.Record{
		Key: revision.Key{Namespace: "edge", Name: "table"}, UID: "u", Revision: "table-3", Digest: "sha256:00", Applied: "f",
		MapID: 7, PreviousMapID: 6, Pin: revision.Pin{Path: "bpfmap/edge/table", Mode: 0o640, GID: 2000}, PreviousPaths: []string{"globals/table"},
		Deletion: v1alpha1.DeletionRetain, DriftCount: 3, DriftReported: true,
		KeySchema: &v1alpha1.Schema{Type: v1alpha1.TypeU32}, ValueSchema: v1alpha1.Schema{Type: v1alpha1.TypeU8},
		Keys: []byte{1, 2, 3, 4, 5, 6, 7, 8},
	}
}

func TestRoundTrip(t *testing.T) {
	want := sample()
	b, err := record.Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := record.Decode(append(b, 0, 0, 0)) // a map's value may be padded
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestDamage changes every byte and cuts at every length: no damaged record is believed.
func TestDamage(t *testing.T) {
	b, err := record.Encode(sample())
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		damaged := append([]byte(nil), b...)
		damaged[i] ^= 0x40
		if _, err := record.Decode(damaged); err == nil {
			t.Errorf("byte %d was changed, and the record is believed", i)
		}
		if _, err := record.Decode(b[:i]); err == nil {
			t.Errorf("the record was cut at %d bytes, and is believed", i)
		}
	}
}

func FuzzDecode(f *testing.F) {
	b, err := record.Encode(sample())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255})
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = record.Decode(b) }) // must not panic
}
