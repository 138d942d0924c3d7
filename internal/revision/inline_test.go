// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package revision

import (
	"encoding/binary"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// tableOf is a revision of n entries of 16 bytes.
func tableOf(t *testing.T, n int, selector map[string]string) *Revision {
	t.Helper()
	r := &Revision{
		Key: Key{Namespace: "edge", Name: "table"}, Name: "table-1", Number: 1, NodeSelector: selector,
		Shape: Shape{Type: v1alpha1.MapTypeHash, KeySize: 8, ValueSize: 8, MaxEntries: 4096},
		Pin:   Pin{Path: "bpfmap/edge/table", Mode: 0o600},
	}
	entries := Entries{KeySize: 8, ValueSize: 8}
	for i := range n {
		k := binary.BigEndian.AppendUint64(nil, uint64(i))
		entries.Append(k, k, false)
	}
	var err error
	if r.Contents, err = NewContents(r.Shape, &entries); err != nil {
		t.Fatal(err)
	}
	r.Digest = r.ContentDigest()
	return r
}

// TestWhereEntriesAre keeps contents out of what every agent receives.
func TestWhereEntriesAre(t *testing.T) {
	some := map[string]string{"role": "edge"}
	fits := (v1alpha1.MaxInlineEntriesBytes - packHeader) / 16
	for _, c := range []struct {
		what     string
		entries  int
		selector map[string]string
		inline   bool
	}{
		{"as many as fit", fits, nil, true},
		{"one more", fits + 1, nil, false},
		{"one, for some nodes", 1, some, false},
		{"none, for some nodes", 0, some, true},
	} {
		object, parts := ToObjects(tableOf(t, c.entries, c.selector))
		if inline := len(object.Spec.Entries) > 0; inline != c.inline || inline == (len(object.Spec.Chunks) > 0) || len(parts) != len(object.Spec.Chunks) {
			t.Errorf("%s: %d bytes inline, %d chunks, %d parts", c.what, len(object.Spec.Entries), len(object.Spec.Chunks), len(parts))
		}
		if _, err := FromObject(object, parts); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// TestRestore goes back to revisions of an earlier controller, which holds up to 16 KiB inline.
func TestRestore(t *testing.T) {
	for _, c := range []struct {
		what     string
		entries  int
		selector map[string]string
		moves    bool
	}{
		{"few", 3, nil, false},
		{"as many as ever were inline", 1000, nil, true},
		{"for some nodes", 3, map[string]string{"role": "edge"}, true},
	} {
		r := tableOf(t, c.entries, c.selector)
		object := ToObject(r)
		object.Spec.Entries = r.Contents.Parts()[0].Packed
		parts, err := Restore(object)
		if err != nil {
			t.Fatal(err)
		}
		if moved := len(parts) > 0; moved != c.moves || moved != (len(object.Spec.Entries) == 0) {
			t.Errorf("%s: %d parts, %d bytes inline", c.what, len(parts), len(object.Spec.Entries))
		}
		again, err := FromObject(object, parts)
		if err != nil || again.Digest != r.Digest {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}
