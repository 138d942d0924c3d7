// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"
	"errors"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// testCancelled makes every call with a context that has ended: each returns its error, and nothing changes.
func testCancelled(t *testing.T, b engine.Backend) {
	m := create(t, b, shape(v1alpha1.MapTypeHash, 1, 1, 4))
	must(t, m.Write(t.Context(), []byte{1}, []byte{10}))
	must(t, b.Publish(t.Context(), contractKey, m, contractPin))
	must(t, b.SaveRecord(t.Context(), &engine.Record{Key: contractKey, Pin: contractPin, MapID: idOf(t, m)}))
	filter, isKnown := createIfKnown(t, b, shape(v1alpha1.MapTypeBloomFilter, 0, 2, 64))
	if !isKnown {
		filter = m // asks the context first, whatever the type
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := contractPin
	other.Mode = 0o600
	for name, call := range map[string]func() error{
		"Open": func() error { _, err := b.Open(ctx, contractKey, &contractPin); return err },
		"Create": func() error {
			_, err := b.Create(ctx, &revision.Revision{Key: contractKey, Shape: shape(v1alpha1.MapTypeHash, 1, 1, 4)})
			return err
		},
		"Resolve": func() error {
			_, err := b.Resolve(ctx, contractKey, v1alpha1.Reference{Type: v1alpha1.TypeMapRef, Name: contractKey.Name})
			return err
		},
		"Publish":    func() error { return b.Publish(ctx, contractKey, m, other, idOf(t, m)) },
		"Unpin":      func() error { return b.Unpin(ctx, contractKey, contractPin.Path, idOf(t, m)) },
		"SaveRecord": func() error { return b.SaveRecord(ctx, &engine.Record{Key: contractKey, MapID: 99}) },
		"SaveKeys":   func() error { return b.SaveKeys(ctx, contractKey, 1, []byte{1}) },
		"Keys":       func() error { _, err := b.Keys(ctx, contractKey, 1); return err },
		"Owners":     func() error { _, _, err := b.Owners(ctx, contractKey, contractPin.Path, 0); return err },
		"Forget":     func() error { return b.Forget(ctx, contractKey) },
		"Records":    func() error { _, err := b.Records(ctx); return err },
		"Users":      func() error { _, err := b.Users(ctx, idOf(t, m)); return err },
		"Info":       func() error { _, err := m.Info(ctx); return err },
		"Read": func() error {
			_, err := m.Read(ctx, func(_, _ []byte) { t.Error("elements were read") })
			return err
		},
		"Write":    func() error { return m.Write(ctx, []byte{2}, []byte{20}) },
		"Add":      func() error { _, err := m.Add(ctx, []byte{2}, []byte{20}); return err },
		"Store":    func() error { _, err := m.Store(ctx, []byte{1}, []byte{20}, []byte{0xf0}); return err },
		"Delete":   func() error { return m.Delete(ctx, []byte{1}) },
		"Contains": func() error { _, err := filter.Contains(ctx, []byte{1, 2}); return err },
		"Freeze":   func() error { return m.Freeze(ctx) },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", name, err)
		}
	}
	if _, known := m.Count(ctx); known {
		t.Error("elements were counted")
	}
	s := openState(t, b, &contractPin)
	if idOf(t, s.Pinned) != idOf(t, m) || idOf(t, s.KeepAlive) != idOf(t, m) || s.Found != contractPin || s.Record == nil || s.Record.MapID != idOf(t, m) {
		t.Errorf("after cancelled calls: %+v, record %+v", s, s.Record)
	}
	if info, err := m.Info(t.Context()); err != nil || info.Frozen {
		t.Errorf("frozen %t, %v", info.Frozen, err)
	}
	wantElements(t, m, "01=0a")
}
