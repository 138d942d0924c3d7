// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/ownership"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// stuck is a backend that can't remove pins.
type stuck struct{ engine.Backend }

func (stuck) Unpin(context.Context, revision.Key, string, ...uint32) error {
	return errors.New("the pin can't be removed")
}

// TestRetriesDontGrowTheRecord tries a hundred times to move a pin.
func TestRetriesDontGrowTheRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old := hash(t, "", "1=10")
		w.ready(old, engine.ActionCreated)
		moved := hash(t, "pin: {path: globals/table},", "1=10")
		e := engine.New(stuck{w.b}, engine.Options{})
		var sizes [2]int
		for try := range 100 {
			if r := e.Sync(t.Context(), moved); r.Err == nil {
				t.Fatalf("%+v", r)
			}
			if try != 10 && try != 99 {
				continue
			}
			records, err := w.Records(t.Context())
			w.must(err)
			text, err := ownership.Encode(&records[0])
			w.must(err)
			if try == 10 {
				sizes[0] = len(text)
			} else {
				sizes[1] = len(text)
			}
		}
		if sizes[1] > sizes[0]+8 { // a longer drift count
			t.Errorf("the record has %d bytes after 11 tries, and %d after 100", sizes[0], sizes[1])
		}
		w.ready(moved, engine.ActionUpdated)
		w.holds(old, "no map")
	})
}
