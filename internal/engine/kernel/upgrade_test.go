// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

// earlier turns a map's state into what an earlier release leaves: a record of version 1 with all keys in it,
// and neither claims nor stored keys.
func earlier(t *testing.T, dir, name string, keys []byte) {
	t.Helper()
	state := filepath.Join(dir, "bpfmap/_state/edge", name)
	records, err := pinstore.New(dir, pinstore.Options{}).Records()
	if err != nil || len(records) != 1 {
		t.Fatalf("%d records, %v", len(records), err)
	}
	text, err := json.Marshal(records[0])
	if err != nil {
		t.Fatal(err)
	}
	b := []byte{1, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(keys)))
	b = append(append(b, text...), keys...)
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, Name: "bpfmap_record", KeySize: 4, ValueSize: uint32(len(b)), MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close() // only written here
	all, err := filepath.Glob(filepath.Join(state, "*_*"))
	for _, path := range append(all, filepath.Join(state, "record"), filepath.Join(dir, "bpfmap/_state/_owners")) {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err := errors.Join(err, m.UpdateElem(bpf.IndexKey(nil, 0), b, bpf.Any), m.Freeze(), m.Pin(filepath.Join(state, "record"))); err != nil {
		t.Fatal(err)
	}
}

// TestRecordOfAnEarlierRelease keeps the map, and knows which keys were declared.
func TestRecordOfAnEarlierRelease(t *testing.T) {
	dir := bpftest.BPFFS(t)
	b, err := kernel.New(dir, kernel.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := locked.New(engine.New(b, engine.Options{}), b.Lock)
	const spec = `{type: Hash, key: {type: u16}, value: {type: u8}, maxEntries: 40000, entries: [`
	first := declare(t, "table", spec+`{key: 1, value: 1}, {key: 2, value: 2}]}`)
	made := e.Sync(t.Context(), first)
	// Many of the recorded keys aren't in the map any more: the log is too long for a record.
	keys := []byte{2, 0, 1, 0}
	for i := range uint16(39000) {
		keys = binary.NativeEndian.AppendUint16(keys, i+3)
	}
	earlier(t, dir, "table", keys)
	if ofPin, ofMap, err := b.Owners(t.Context(), declare(t, "thief", spec+`]}`).Key, first.Pin.Path, made.MapID); err != nil || ofPin == nil || ofMap == nil {
		t.Errorf("pin of %v, map of %v, %v", ofPin, ofMap, err)
	}
	if r := e.Sync(t.Context(), first); r.State != v1alpha1.NodeMapReady || r.Action != engine.ActionNone || r.MapID != made.MapID {
		t.Errorf("the same revision: %s %s map %d, was %d: %s", r.State, r.Action, r.MapID, made.MapID, r.Message)
	}
	second := declare(t, "table", spec+`{key: 2, value: 2}, {key: 3, value: 3}]}`)
	if r := e.Sync(t.Context(), second); r.State != v1alpha1.NodeMapReady || r.Action != engine.ActionUpdated || r.MapID != made.MapID || r.Entries == nil || *r.Entries != 2 {
		t.Errorf("another revision: %s %s map %d, was %d, %v entries: %s", r.State, r.Action, r.MapID, made.MapID, r.Entries, r.Message)
	}
	records, err := b.Records(t.Context())
	if err != nil || len(records) != 1 || records[0].Keys.LogBytes() > 8 || records[0].Keys.KeySize != 2 {
		t.Errorf("%+v, %v", records, err)
	}
}
