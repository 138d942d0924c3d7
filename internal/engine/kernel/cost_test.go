// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package kernel_test

import (
	"fmt"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/locked"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
)

// TestCostPerMap makes and removes maps beside many others: what one of them costs doesn't depend on how many
// there are.
func TestCostPerMap(t *testing.T) {
	steps := 0
	b, err := kernel.New(bpftest.BPFFS(t), kernel.Options{Pins: pinstore.Options{BeforeStep: func(string) error {
		steps++
		return nil
	}}})
	if err != nil {
		t.Fatal(err)
	}
	e := locked.New(engine.New(b, engine.Options{}), b.Lock)
	made := 0
	// cost is that of a map that is made, updated, and removed when there are that many others.
	cost := func(others int) (calls, changes float64) {
		t.Helper()
		create := func() {
			name := fmt.Sprintf("table-%d", made)
			made++
			r := e.Sync(t.Context(), declare(t, name, `{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 1, value: 1}]}`))
			if r.State != v1alpha1.NodeMapReady || r.Action != engine.ActionCreated {
				t.Fatalf("%s: %s %s: %s", name, r.State, r.Action, r.Message)
			}
		}
		for made < others {
			create()
		}
		const sample = 10
		startCalls, startSteps := bpf.SystemCalls(), steps
		for range sample {
			create()
			name := fmt.Sprintf("table-%d", made-1)
			rev := declare(t, name, `{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 4, entries: [{key: 2, value: 1}], pin: {path: moved/`+name+`}}`)
			if r := e.Sync(t.Context(), rev); r.State != v1alpha1.NodeMapReady || r.Action != engine.ActionUpdated {
				t.Fatalf("%s: %s %s: %s", name, r.State, r.Action, r.Message)
			}
			if r := e.Remove(t.Context(), rev.Key); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		return float64(bpf.SystemCalls()-startCalls) / sample, float64(steps-startSteps) / sample
	}
	fewCalls, fewSteps := cost(20)
	manyCalls, manySteps := cost(200)
	t.Logf("per map: %.1f bpf(2) calls and %.1f changes of the file system beside 20 others, %.1f and %.1f beside 200", fewCalls, fewSteps, manyCalls, manySteps)
	if manyCalls > 1.1*fewCalls || manySteps > 1.1*fewSteps {
		t.Errorf("what a map costs grows with the number of others")
	}
}
