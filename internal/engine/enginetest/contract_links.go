// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func testBloom(t *testing.T, b engine.Backend) {
	m, isKnown := createIfKnown(t, b, shape(v1alpha1.MapTypeBloomFilter, 0, 2, 64))
	if !isKnown {
		return
	}
	must(t, m.Write(t.Context(), nil, []byte{1, 2, 3, 4}))
	for value, want := range map[string]bool{"\x01\x02": true, "\x03\x04": true, "\x02\x03": false} {
		if got, err := m.Contains(t.Context(), []byte(value)); err != nil || got != want {
			t.Errorf("the filter contains %x: %t, %v", value, got, err)
		}
	}
	_, err := m.Read(t.Context(), func(_, _ []byte) { t.Error("a filter was read") })
	wantReason(t, err, v1alpha1.NodeReasonNotSupported)
	must(t, m.Freeze(t.Context()))
	wantReason(t, m.Write(t.Context(), nil, []byte{5, 6}), v1alpha1.NodeReasonFrozen)
}

// testMapOfMaps links to a map by its BPFMap: what is written isn't what is read.
func testMapOfMaps(t *testing.T, b engine.Backend) {
	link := v1alpha1.Reference{Type: v1alpha1.TypeMapRef, Name: contractKey.Name}
	if _, err := b.Resolve(t.Context(), contractKey, link); !errors.Is(err, engine.ErrAbsent) {
		t.Errorf("link to a map that isn't there: %v", err)
	}
	inner := shape(v1alpha1.MapTypeHash, 1, 1, 4)
	m := create(t, b, inner)
	must(t, b.Publish(t.Context(), contractKey, m, contractPin))
	target, err := b.Resolve(t.Context(), contractKey, link)
	must(t, err)
	if target.Read != uint64(idOf(t, m)) || target.Shape == nil || len(inner.Differences(*target.Shape)) > 0 {
		t.Errorf("the link stands for %+v, want map %d of the shape %+v", target, idOf(t, m), inner)
	}
	if _, err := b.Resolve(t.Context(), revision.Key{Namespace: "other", Name: "table"}, link); !errors.Is(err, engine.ErrAbsent) {
		t.Errorf("link to a map of another namespace: %v", err)
	}
	outer := shape(v1alpha1.MapTypeHashOfMaps, 1, 4, 4)
	outer.Inner = &inner
	o := create(t, b, outer)
	must(t, o.Write(t.Context(), []byte{7}, binary.NativeEndian.AppendUint32(nil, uint32(target.Write))))
	must(t, target.Close())
	wantElements(t, o, "07="+hex.EncodeToString(binary.NativeEndian.AppendUint32(nil, uint32(target.Read))))
	must(t, o.Delete(t.Context(), []byte{7, 8}))
	wantElements(t, o)
}

// testRuntime makes maps that start empty.
func testRuntime(t *testing.T, b engine.Backend) {
	ring := create(t, b, shape(v1alpha1.MapTypeRingBuf, 0, 0, 1<<16))
	_, err := ring.Read(t.Context(), func(_, _ []byte) { t.Error("a ring buffer was read") })
	wantReason(t, err, v1alpha1.NodeReasonNotSupported)
	must(t, ring.Freeze(t.Context()))
	wantElements(t, create(t, b, shape(v1alpha1.MapTypeSockMap, 4, 8, 4)))
	wantElements(t, create(t, b, shape(v1alpha1.MapTypeStackTrace, 4, 16, 4)))
}
