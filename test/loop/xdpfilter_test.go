// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/wire"
)

// filterIPv4 is xdp-filter's map of addresses: what to match in the low six bits of a value, and a counter above them.
const filterIPv4 = `
spec:
  type: PerCPUHash
  key: {type: ipv4}
  value:
    fields:
    - {name: mode, type: u64, bits: 6, flags: {src: 1, dst: 2, tcp: 4, udp: 8}}
    - {name: hits, type: u64, bits: 58, owner: Program}
  maxEntries: 10000
  adoptionPolicy: Adopt
  pin: {path: xdp-filter/filter_ipv4}
  nodeSelector: {world: NAMESPACE}
  entries:
  - {key: 10.77.0.11, value: {mode: [src]}}
`

// TestXDPFilterIsLoadedAgain: Debian's xdp-filter has its rules from a BPFMap. When it is unloaded and loaded again, which
// removes its maps and makes new ones, the agent puts the rules back at once; its resync is an hour away.
func TestXDPFilterIsLoadedAgain(t *testing.T) {
	const blocked, allowed = "10.77.0.11", "10.77.0.13"
	w := newWorld(t)
	n := newNode(t, w, true).start(t, "--allowed-pin-prefix", w.namespace+"=xdp-filter")
	m := wire.New(t, blocked, allowed)
	load := func() {
		t.Helper()
		m.Run(t, n.bpffs, "xdp-filter", "load", "--mode", "native", "--features", "ipv4", wire.Interface)
	}
	start := time.Now()
	took := func(what string) {
		t.Helper()
		t.Logf("%s: %s", what, time.Since(start).Round(time.Millisecond))
	}
	awaitBlocked := func() {
		t.Helper()
		await.Nil(t, limit, func() error {
			const packets = 10
			if got := m.Send(t, blocked, packets); got > 0 {
				return fmt.Errorf("%d of %d packets of a blocked address come through", got, packets)
			}
			return nil
		})
	}
	load()
	w.apply("filter-ipv4", filterIPv4)
	w.awaitReady("filter-ipv4")
	awaitBlocked()
	if got := m.Send(t, allowed, 20); got != 20 {
		t.Errorf("%d of 20 packets of an allowed address came through", got)
	}

	const restarts = 3
	for range restarts {
		start = time.Now()
		m.Run(t, n.bpffs, "xdp-filter", "unload", wire.Interface)
		took("xdp-filter unload")
		start = time.Now()
		load()
		took("xdp-filter load")
		start = time.Now()
		awaitBlocked()
		took("from then until the blocklist was back")
		w.awaitReady("filter-ipv4")
	}

	// The pin comes back without a load, too, and a load that comes later takes the map there, rules and all.
	m.Run(t, n.bpffs, "xdp-filter", "unload", wire.Interface)
	start = time.Now()
	await.Nil(t, limit, func() error {
		_, err := os.Lstat(filepath.Join(n.bpffs, "xdp-filter/filter_ipv4"))
		return err
	})
	took("from unload until the pin was back")
	load()
	if got := m.Send(t, blocked, 20); got != 0 {
		t.Errorf("%d of 20 packets of a blocked address came through after xdp-filter was loaded with our map", got)
	}
	w.awaitReady("filter-ipv4")

	// Its own tool goes on working, and whatever it does to the rule is undone.
	m.Run(t, n.bpffs, "xdp-filter", "ip", allowed, "--mode", "src")
	m.Run(t, n.bpffs, "xdp-filter", "ip", "--remove", allowed, "--mode", "src")
	object := &v1alpha1.BPFMap{}
	object.Namespace, object.Name = w.namespace, "filter-ipv4"
	if err := w.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	await.Nil(t, limit, func() error {
		if got := m.Send(t, blocked, 1); got != 1 {
			return errors.New("the address is still blocked after its BPFMap was deleted")
		}
		return nil
	})
	m.Run(t, n.bpffs, "xdp-filter", "ip", blocked, "--mode", "src")
	if got := m.Send(t, blocked, 5); got != 0 {
		t.Errorf("%d of 5 packets came through that xdp-filter blocks by hand after the BPFMap was deleted", got)
	}
}
