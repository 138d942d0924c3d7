// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package pinstore_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

func pattern(n int) []byte {
	keys := make([]byte, n)
	for i := range keys {
		keys[i] = byte(i * 7 / 5)
	}
	return keys
}

// TestKeys reads back what was stored, around the bounds of the elements that it is stored in.
func TestKeys(t *testing.T) {
	s := pinstore.New(bpftest.BPFFS(t), pinstore.Options{})
	const around = 8 + sha256.Size
	for i, n := range []int{1, 1000, 1<<20 - around - 1, 1<<20 - around, 1<<20 - around + 1, 1 << 20, 3<<20 - around, 3<<20 + 5} {
		want := pattern(n)
		if err := s.SaveKeys(t.Context(), key, uint64(i+1), want); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Keys(t.Context(), key, uint64(i+1)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes come back as %d bytes, %v", n, len(got), err)
		}
	}
	if got, err := s.Keys(t.Context(), key, 0); got != nil || err != nil {
		t.Errorf("generation 0: %v, %v", got, err)
	}
	if err := s.SaveKeys(t.Context(), key, 0, []byte{1}); err == nil {
		t.Error("generation 0 was stored")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.SaveKeys(ctx, key, 99, pattern(10)); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if _, err := s.Keys(ctx, key, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// TestNamedKeysStay refuses to replace keys that the record names, and removes those that it doesn't.
func TestNamedKeysStay(t *testing.T) {
	s := pinstore.New(bpftest.BPFFS(t), pinstore.Options{})
	r := recordOf(key, 7, "a")
	r.Keys = ownership.KeyLog{KeySize: 1, Generation: 1, BaseLen: 2}
	r.PreviousKeys = ownership.KeyLog{KeySize: 1, Generation: 2, BaseLen: 2}
	for generation := uint64(1); generation <= 3; generation++ {
		if err := s.SaveKeys(t.Context(), key, generation, []byte{1, 2}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SaveRecord(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for generation := uint64(1); generation <= 2; generation++ {
		if err := s.SaveKeys(t.Context(), key, generation, []byte{3, 4}); err == nil {
			t.Errorf("generation %d was replaced under the record", generation)
		}
		if got, err := s.Keys(t.Context(), key, generation); err != nil || !bytes.Equal(got, []byte{1, 2}) {
			t.Errorf("generation %d: %v, %v", generation, got, err)
		}
	}
	if _, err := s.Keys(t.Context(), key, 3); !errors.Is(err, ownership.ErrNoBase) {
		t.Errorf("keys that no record names: %v", err)
	}
}

// TestForgedKeys aren't believed.
func TestForgedKeys(t *testing.T) {
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	if err := s.SaveKeys(t.Context(), key, 1, []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "bpfmap/_state/edge/a_table/keys_1")
	whole := binary.LittleEndian.AppendUint64(nil, 4)
	whole = append(whole, 1, 2, 3, 4)
	sum := sha256.Sum256(whole)
	whole = append(whole, sum[:]...)
	damaged := bytes.Clone(whole)
	damaged[9]++
	long := binary.LittleEndian.AppendUint64(nil, 1<<63)
	for name, test := range map[string]struct {
		value    []byte
		freeze   bool
		believed bool
	}{
		"whole": {whole, true, true}, "not frozen": {whole, false, false}, "damaged": {damaged, true, false},
		"cut short": {whole[:20], true, false}, "too long": {append(long, whole...), true, false}, "tiny": {[]byte{1}, true, false},
	} {
		m, err := bpf.Create(bpf.CreateOpts{Type: bpf.Array, KeySize: 4, ValueSize: uint32(len(test.value)), MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(m.UpdateElem(bpf.IndexKey(nil, 0), test.value, bpf.Any), os.Remove(at), m.Pin(at))
		if test.freeze {
			err = errors.Join(err, m.Freeze())
		}
		if err := errors.Join(err, m.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Keys(t.Context(), key, 1); (err == nil) != test.believed || err != nil && !errors.Is(err, ownership.ErrNoBase) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOneChangedKeyWritesLittle saves the record of a map with a million keys after one of them changed.
func TestOneChangedKeyWritesLittle(t *testing.T) {
	dir := bpftest.BPFFS(t)
	s := pinstore.New(dir, pinstore.Options{})
	keys := make([]byte, 0, 20<<20)
	for i := range 1_000_000 {
		keys = binary.BigEndian.AppendUint32(append(keys, make([]byte, 16)...), uint32(i))
	}
	r := recordOf(key, 7, "a")
	var base []byte
	r.Keys, base = ownership.NewKeyLog(20, r.NextGeneration(), keys)
	if err := errors.Join(s.SaveKeys(t.Context(), key, 1, base), s.SaveRecord(t.Context(), r)); err != nil {
		t.Fatal(err)
	}
	r.Keys = r.Keys.Remove(keys[:20]).Add(bytes.Repeat([]byte{9}, 20))
	before := bpf.SystemCalls()
	if err := s.SaveRecord(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	calls := bpf.SystemCalls() - before
	m, err := bpf.GetPinned(filepath.Join(dir, "bpfmap/_state/edge/a_table/record"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close() // only looked at
	if m.ValueSize() > 1000 || calls > 8 {
		t.Errorf("the record has %d bytes and took %d calls", m.ValueSize(), calls)
	}
	t.Logf("one changed key of a million: a record of %d bytes, %d bpf(2) calls", m.ValueSize(), calls)
	loaded, err := s.LoadRecord(key)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := s.Keys(t.Context(), key, loaded.Keys.Generation)
	if err != nil || loaded.Keys.CheckBase(stored) != nil || loaded.Keys.Has(stored, keys[:20]) || !loaded.Keys.Has(stored, keys[20:40]) {
		t.Errorf("%d bytes of stored keys, %v", len(stored), err)
	}
}
