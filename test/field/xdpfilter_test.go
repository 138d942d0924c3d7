// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/sys"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/kernel"
	manifests "github.com/bpfmap-io/bpfmap-operator/internal/manifest"
	"github.com/bpfmap-io/bpfmap-operator/test/wire"
)

// Clients of xdp-filter: two whom the declaration blocks, one whom a person blocks by hand, and one whom nobody does.
const (
	blocked  = "10.77.0.11"
	blocked6 = "fd77::11"
	byHand   = "10.77.0.12"
	allowed  = "10.77.0.13"
	later    = "10.77.0.14"
)

// xdpFilter is a machine with xdp-filter at its interface.
func xdpFilter(t *testing.T) *machine {
	m := onWire(t, blocked, blocked6, byHand, allowed, later)
	m.load()
	return m
}

func (m *machine) load() {
	m.Helper()
	m.run("xdp-filter", "load", "--mode", "native", "--features", "ipv4,ipv6,udp", wire.Interface)
}

// rules4 declares xdp-filter's map of addresses: its program keeps what to match in the low six bits of a value, and
// counts above them. Each entry is a line such as "{key: 10.77.0.11, value: {mode: [src]}}".
func rules4(spec string, entries ...string) string {
	return `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: filter-ipv4}
spec:
  type: PerCPUHash
  key: {type: ipv4}
  value:
    fields:
    - {name: mode, type: u64, bits: 6, flags: {src: 1, dst: 2, tcp: 4, udp: 8}}
    - {name: hits, type: u64, bits: 58, owner: Program}
  adoptionPolicy: Adopt
  pin: {path: xdp-filter/filter_ipv4}
  ` + spec + `
  entries:
  - ` + strings.Join(entries, "\n  - ") + "\n"
}

const (
	capacity  = "maxEntries: 10000"
	blocks    = "{key: 10.77.0.11, value: {mode: [src]}}"
	blocksDst = "{key: 10.77.0.11, value: {mode: [src, dst]}}"
	blocks2   = "{key: 10.77.0.14, value: {mode: [src]}}"
)

// others are the maps of xdp-filter for IPv6 addresses and for ports, which its program indexes in network order.
const others = `---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: filter-ipv6}
spec:
  type: PerCPUHash
  key: {type: ipv6}
  value:
    fields:
    - {name: mode, type: u64, bits: 6, flags: {src: 1, dst: 2, tcp: 4, udp: 8}}
    - {name: hits, type: u64, bits: 58, owner: Program}
  adoptionPolicy: Adopt
  pin: {path: xdp-filter/filter_ipv6}
  maxEntries: 10000
  entries:
  - {key: "fd77::11", value: {mode: [src]}}
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {namespace: edge, name: filter-ports}
spec:
  type: PerCPUArray
  key: {type: be16}
  value:
    fields:
    - {name: mode, type: u64, bits: 6, flags: {src: 1, dst: 2, tcp: 4, udp: 8}}
    - {name: hits, type: u64, bits: 58, owner: Program}
  adoptionPolicy: Adopt
  pin: {path: xdp-filter/filter_ports}
  maxEntries: 65536
  entries:
  - {key: 9999, value: {mode: [dst, udp]}}
`

// rule is a line of xdp-filter's status.
type rule struct {
	mode string
	hits int
}

// status are xdp-filter's rules by address or port.
func (m *machine) status() map[string]rule {
	m.Helper()
	out := m.run("xdp-filter", "status")
	rules := map[string]rule{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 3 {
			if hits, err := strconv.Atoi(f[2]); err == nil {
				rules[f[0]] = rule{f[1], hits}
			}
		}
	}
	return rules
}

// wantStatus compares xdp-filter's rules, and what bpfmap reads of its map of IPv4 addresses.
func (m *machine) wantStatus(when, manifest string, want map[string]rule) {
	m.Helper()
	got := m.status()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		m.Errorf("%s: xdp-filter's status is %v, want %v", when, got, want)
	}
	for address, cpus := range m.dump(manifest) {
		if r := m.sum(cpus); r != got[address] {
			m.Errorf("%s: bpfmap reads %v of %s, xdp-filter %v", when, r, address, got[address])
		}
	}
}

// sum adds up the CPUs' hits of a value of rules4.
func (m *machine) sum(cpus []any) (r rule) {
	m.Helper()
	for _, cpu := range cpus {
		f := cpu.(map[string]any)
		r.hits += int(number(m, f["hits"]))
		r.mode = strings.Trim(strings.ReplaceAll(fmt.Sprint(f["mode"]), " ", ","), "[]")
	}
	return r
}

// wantReceived sends packets and compares how many come through.
func (m *machine) wantReceived(when, from string, sent, want int) {
	m.Helper()
	if got := m.Send(m, from, sent); got != want {
		m.Errorf("%s: %d of %d packets from %s came through, want %d", when, got, sent, from, want)
	}
}

// resync compares a manifest's maps with the kernel as an agent does, with the agent's capabilities.
func (m *machine) resync(manifest string) {
	m.Helper()
	set := manifests.Read(manifests.Options{Paths: []string{m.write("resync", manifest)}})
	for _, p := range set.Problems {
		m.Fatal(p)
	}
	bpftest.WithCapabilities(m, []sys.Capability{sys.CapBPF, sys.CapChown, sys.CapDACOverride}, func() {
		backend, err := kernel.New(m.bpffs, kernel.Options{})
		if err != nil {
			m.Error(err)
			return
		}
		e := engine.New(backend, engine.Options{Local: true})
		for _, manifest := range set.Manifests {
			rev, err := compile.Compile(manifest.Map)
			if err != nil {
				m.Error(err)
				return
			}
			if r := e.Sync(m.Context(), rev); r.Err != nil || r.Action != engine.ActionNone {
				m.Errorf("a resync of %s did %q: %v\n%s", rev.Key, r.Action, r.Err, r.Plan.String())
			}
		}
	})
}

// TestXDPFilter: xdp-filter has its rules from BPFMaps, beside some by hand, and keeps its counters whatever is
// declared and repaired.
func TestXDPFilter(t *testing.T) {
	m := xdpFilter(t)
	m.run("xdp-filter", "ip", byHand, "--mode", "src")
	declared := rules4(capacity, blocks)
	m.apply(declared+others, "adopted")

	m.wantReceived("adopted", blocked, 20, 0)
	m.wantReceived("adopted", blocked6, 30, 0)
	m.wantReceived("adopted", byHand, 5, 0)
	m.wantReceived("adopted", allowed, 20, 20)
	if got := m.SendTo(t, allowed, wire.Other, 7); got != 0 {
		t.Errorf("%d packets came through at a port that is blocked", got)
	}
	want := map[string]rule{blocked: {"src", 20}, blocked6: {"src", 30}, byHand: {"src", 5}, "9999": {"dst,udp", 7}}
	m.wantStatus("adopted", declared, want)

	for range 3 {
		m.apply(declared+others, "unchanged")
		m.resync(declared + others)
	}
	m.wantStatus("after resyncs", declared, want)

	declared = rules4(capacity, blocks, blocks2)
	m.apply(declared, "configured")
	want[later] = rule{"src", 0}
	m.wantStatus("another entry was added", declared, want)
	m.wantReceived("another entry was added", later, 3, 0)
	declared = rules4(capacity, blocks)
	m.apply(declared, "configured")
	delete(want, later)
	m.wantStatus("it was taken out again", declared, want)
	m.wantReceived("it was taken out again", later, 3, 3)

	m.run("xdp-filter", "ip", "--remove", byHand, "--mode", "src")
	delete(want, byHand)
	m.wantStatus("a rule by hand was removed", declared, want)
	m.run("xdp-filter", "ip", "--remove", blocked, "--mode", "src")
	m.wantReceived("a declared rule was removed by hand", blocked, 4, 4)
	m.apply(declared, "repaired")
	want[blocked] = rule{"src", 0}
	m.wantStatus("it was repaired", declared, want)
	m.wantReceived("it was repaired", blocked, 4, 0)
}

// TestXDPFilterCountsMeanwhile changes the bits beside a counter, and applies what doesn't change, while packets are
// counted: not one is lost, and not one comes through.
func TestXDPFilterCountsMeanwhile(t *testing.T) {
	m := xdpFilter(t)
	m.apply(rules4(capacity, blocks), "adopted")
	stop := m.Pour(t, blocked)
	const rounds = 5
	for range rounds {
		m.apply(rules4(capacity, blocksDst), "configured")
		m.apply(rules4(capacity, blocks, blocks2), "configured")
		m.apply(rules4(capacity, blocks, blocks2), "unchanged")
		m.apply(rules4(capacity, blocks), "configured")
	}
	c := stop()
	if c.Received != 0 {
		t.Errorf("%v packets of a blocked address came through", c)
	}
	m.wantStatus("after a stream of packets", rules4(capacity, blocks), map[string]rule{blocked: {"src", c.Sent}})
	t.Logf("%d packets were counted during %d changes", c.Sent, 3*rounds)
}

// TestXDPFilterGivenBack: a BPFMap that is deleted takes its rules with it, and nothing else.
func TestXDPFilterGivenBack(t *testing.T) {
	m := xdpFilter(t)
	m.run("xdp-filter", "ip", byHand, "--mode", "src")
	declared := rules4(capacity, blocks)
	m.apply(declared+others, "adopted")
	m.wantReceived("adopted", byHand, 5, 0)
	m.bpfmap("delete", declared+others)

	got := m.status()
	if want := (map[string]rule{byHand: {"src", 5}}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("after the BPFMaps were deleted xdp-filter's status is %v, want %v", got, want)
	}
	for _, client := range []string{blocked, blocked6} {
		m.wantReceived("deleted", client, 20, 20)
	}
	m.wantReceived("deleted", byHand, 5, 0)
	m.run("xdp-filter", "ip", blocked, "--mode", "src")
	m.wantReceived("blocked by hand", blocked, 5, 0)
	m.run("xdp-filter", "ip", "--remove", byHand, "--mode", "src")
	m.wantReceived("removed by hand", byHand, 5, 5)
	m.run("xdp-filter", "unload", wire.Interface)
	m.load()
	m.wantReceived("loaded again", blocked, 5, 5)
}

// TestXDPFilterLoadedAgain: unload takes the pins, and load makes new maps or takes ours, depending on who is first.
func TestXDPFilterLoadedAgain(t *testing.T) {
	m := xdpFilter(t)
	declared := rules4(capacity, blocks)
	m.apply(declared, "adopted")
	m.wantReceived("adopted", blocked, 20, 0)

	m.run("xdp-filter", "unload", wire.Interface)
	m.wantReceived("unloaded", blocked, 20, 20)
	m.apply(declared, "repaired")
	m.load()
	m.wantReceived("the map was put back before it was loaded", blocked, 5, 0)
	m.wantStatus("the map was put back before it was loaded", declared, map[string]rule{blocked: {"src", 25}})

	m.run("xdp-filter", "unload", wire.Interface)
	m.load()
	m.wantReceived("loaded with maps of its own", blocked, 20, 20)
	m.apply(declared, "adopted")
	m.wantReceived("adopted again", blocked, 6, 0)
	m.wantStatus("adopted again", declared, map[string]rule{blocked: {"src", 6}})
}
