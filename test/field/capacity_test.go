// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"path/filepath"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/wire"
)

// TestXDPFilterCapacity: counters move to a larger map. xdp-filter's own load takes no map of another capacity, but its
// program does.
func TestXDPFilterCapacity(t *testing.T) {
	m := xdpFilter(t)
	m.run("xdp-filter", "ip", byHand, "--mode", "src")
	m.apply(rules4(capacity, blocks), "adopted")
	m.wantReceived("adopted", blocked, 20, 0)
	m.wantReceived("adopted", byHand, 5, 0)

	larger := rules4("maxEntries: 20000\n  replacePolicy: Swap", blocks)
	m.apply(larger, "replaced")
	want := map[string]rule{blocked: {"src", 20}, byHand: {"src", 5}}
	m.wantStatus("replaced by a larger map", larger, want)

	m.run("xdp-filter", "unload", wire.Interface)
	m.apply(larger, "repaired")
	if out, err := m.Try(t, m.bpffs, "xdp-filter", "load", "--features", "ipv4,ipv6,udp", wire.Interface); err == nil {
		t.Errorf("xdp-filter load takes a map of another capacity: %s", out)
	}
	objects, err := filepath.Glob("/usr/lib/*/bpf/xdpfilt_alw_all.o")
	if err != nil || len(objects) != 1 {
		t.Fatalf("xdp-filter's program is in %v (%v)", objects, err)
	}
	m.run("bpftool", "prog", "load", objects[0], "/sys/fs/bpf/program", "type", "xdp",
		"map", "name", "filter_ipv4", "pinned", "/sys/fs/bpf/xdp-filter/filter_ipv4")
	m.run("bpftool", "net", "attach", "xdpdrv", "pinned", "/sys/fs/bpf/program", "dev", wire.Interface)
	m.wantReceived("the program was loaded with the larger map", blocked, 5, 0)
	m.wantReceived("the program was loaded with the larger map", byHand, 2, 0)
	for address, hits := range map[string]int{blocked: 25, byHand: 7} {
		if r := m.sum(m.dump(larger)[address]); r.hits != hits {
			t.Errorf("%s has %v, want %d hits", address, r, hits)
		}
	}
}
