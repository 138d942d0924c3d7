// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/bpf/bpftest"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// named is a revision of another BPFMap than table.
func named(name string, r *revision.Revision) *revision.Revision {
	path, mapName := r.Pin.Path, r.Shape.Name
	r.Key = revision.Key{Namespace: key.Namespace, Name: name}
	r.Pin.Path, r.Shape.Name = strings.Replace(path, key.Name, name, 1), strings.Replace(mapName, key.Name, name, 1)
	return r
}

// inner is a map that outer takes.
func inner(t *testing.T, name, more string, entries ...string) *revision.Revision {
	t.Helper()
	return named(name, table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 8, "+more, entries...))
}

// outer is a HashOfMaps by u8.
func outer(t *testing.T, more string, entries ...string) *revision.Revision {
	t.Helper()
	return table(t, "{type: HashOfMaps, key: {type: u8}, inner: {type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 8}, maxEntries: 8, "+more, entries...)
}

// waiting syncs and wants entries that wait.
func (w *world) waiting(r *revision.Revision, action engine.Action, message string) {
	w.Helper()
	report := w.sync(r, v1alpha1.NodeMapPending, action)
	if report.Reason != v1alpha1.NodeReasonReferenceNotFound || !strings.Contains(report.Message, message) || report.Digest != "" {
		w.Fatalf("reason %s, digest %q, message %q, want %q in it", report.Reason, report.Digest, report.Message, message)
	}
}

func TestInnerMapsInAnyOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		o := outer(t, "", "1=blue", "2=green")
		w.waiting(o, engine.ActionCreated, "2 of 2 entries pending: map of BPFMap blue not found")
		w.holds(o, "")
		blue := w.ready(inner(t, "blue", "", "1=10"), engine.ActionCreated)
		w.waiting(o, engine.ActionUpdated, "1 of 2 entries pending: map of BPFMap green not found")
		w.holds(o, fmt.Sprintf("1=%d", blue.MapID))
		w.waiting(o, engine.ActionNone, "green")
		green := w.ready(inner(t, "green", "", "1=20"), engine.ActionCreated)
		w.ready(o, engine.ActionUpdated)
		w.holds(o, fmt.Sprintf("1=%d 2=%d", blue.MapID, green.MapID))

		// A replaced inner map takes its place; that is not drift.
		other := inner(t, "blue", "freeze: true, replacePolicy: Swap,", "1=11")
		w.ready(other, engine.ActionUpdated)
		other = inner(t, "blue", "freeze: true, replacePolicy: Swap,", "1=12")
		replaced := w.ready(other, engine.ActionReplaced)
		if replaced.MapID == blue.MapID {
			t.Fatal("the inner map is still the same")
		}
		if r := w.ready(o, engine.ActionUpdated); r.Drift != nil || r.DriftCount != 0 {
			t.Errorf("drift %+v, %d times", r.Drift, r.DriftCount)
		}
		w.holds(o, fmt.Sprintf("1=%d 2=%d", replaced.MapID, green.MapID))

		// What an inner map was deleted from stays until somebody says what is to be there.
		w.must(w.Remove(t.Context(), other.Key).Err)
		w.waiting(o, engine.ActionUpdated, "blue")
		w.holds(o, fmt.Sprintf("1=%d 2=%d", replaced.MapID, green.MapID))
		w.ready(outer(t, "", "2=green"), engine.ActionUpdated)
		w.holds(o, fmt.Sprintf("2=%d", green.MapID))
	})
}

func TestInnerMapsThatDiffer(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		o := outer(t, "", "1=wide")
		wide := named("wide", rev(t, "{type: Hash, key: {type: u8}, value: {type: u16}, maxEntries: 8, flags: [NoPrealloc]}"))
		w.ready(wide, engine.ActionCreated)
		r := w.sync(o, v1alpha1.NodeMapStalled, engine.ActionNone)
		for _, part := range []string{"BPFMap wide", "value size: have 2, want 1", "flags: have NoPrealloc, want none"} {
			if r.Reason != v1alpha1.NodeReasonInvalidReference || !strings.Contains(r.Message, part) {
				t.Errorf("%s: %s, want %q in it", r.Reason, r.Message, part)
			}
		}
		// The capacity of hashes may differ.
		large := named("wide", rev(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 100, replacePolicy: Swap}"))
		w.ready(large, engine.ActionReplaced)
		w.ready(o, engine.ActionCreated)

		nested := outer(t, "", "1=itself")
		nested = named("itself", nested)
		if r := w.Sync(t.Context(), nested); r.State != v1alpha1.NodeMapPending {
			t.Fatalf("%s: %s", r.State, r.Message)
		}
		o2 := named("over", outer(t, "", "1=itself"))
		if r := w.sync(o2, v1alpha1.NodeMapStalled, engine.ActionNone); !strings.Contains(r.Message, "type: have HashOfMaps, want Hash") {
			t.Errorf("a map of maps of maps: %s", r.Message)
		}
	})
}

// TestForeignInnerMap leaves alone what others put into a map of maps, and puts back what they took.
func TestForeignInnerMap(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		blue := w.ready(inner(t, "blue", ""), engine.ActionCreated)
		o := outer(t, "", "1=blue")
		w.ready(o, engine.ActionCreated)
		target, err := w.b.Resolve(t.Context(), key, v1alpha1.Reference{Type: v1alpha1.TypeMapRef, Name: "blue"})
		w.must(err)
		value := []byte{byte(target.Write), byte(target.Write >> 8), byte(target.Write >> 16), byte(target.Write >> 24)}
		m := w.open(o)
		w.must(m.Write(w.Context(), []byte{9}, value))
		w.must(m.Delete(w.Context(), []byte{1}))
		w.must(target.Close())
		if r := w.sync(o, v1alpha1.NodeMapReady, engine.ActionRepaired); r.Drift.Summary != "1 entry missing" {
			t.Errorf("drift %q", r.Drift.Summary)
		}
		w.holds(o, fmt.Sprintf("1=%d 9=%d", blue.MapID, blue.MapID))
		w.ready(outer(t, "syncPolicy: Mirror,", "1=blue"), engine.ActionUpdated)
		w.holds(o, fmt.Sprintf("1=%d", blue.MapID))
	})
}

// TestNamesOfTheNode resolves names in keys and values.
func TestNamesOfTheNode(t *testing.T) {
	b := enginetest.NewMemory()
	w := newWorld(t, b)
	eth := func(name string, index uint64) {
		b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeIfindex, Name: name}, index)
	}
	limits := table(t, "{type: Hash, key: {type: ifindex}, value: {fields: [{name: peer, type: ifindex}, {name: rate, type: u32}]}, maxEntries: 8",
		"eth0={peer: eth1, rate: 5}", "eth1={peer: eth0, rate: 6}")
	eth("eth1", 2)
	w.waiting(limits, engine.ActionCreated, "2 of 2 entries pending: ifindex eth0 not found")
	eth("eth0", 3)
	w.ready(limits, engine.ActionUpdated)
	w.holds(limits, "2={peer: 3, rate: 6} 3={peer: 2, rate: 5}")

	// Drift is told by the names that are known here.
	m := w.open(limits)
	w.must(m.Write(t.Context(), binary.NativeEndian.AppendUint32(nil, 2), binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint32(nil, 9), 6)))
	w.must(m.Close())
	want := []v1alpha1.DriftedEntry{{Key: "eth1", Declared: "{peer: eth0, rate: 6}", Found: "{peer: 9, rate: 6}"}}
	if diff := cmp.Diff(want, w.ready(limits, engine.ActionRepaired).Drift.Entries); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}

	// eth0 is recreated with another index: the old key goes, though its name is still declared.
	eth("eth0", 7)
	w.ready(limits, engine.ActionUpdated)
	w.holds(limits, "2={peer: 7, rate: 6} 7={peer: 2, rate: 5}")

	// It goes: the entry of eth1 keeps what it has, that of eth0 has no key any more.
	eth("eth0", 0)
	w.waiting(limits, engine.ActionUpdated, "ifindex eth0")
	w.holds(limits, "2={peer: 7, rate: 6}")

	// Two names for one interface.
	eth("eth0", 2)
	if r := w.sync(limits, v1alpha1.NodeMapStalled, engine.ActionNone); r.Reason != v1alpha1.NodeReasonInvalidReference {
		t.Errorf("%s: %s", r.Reason, r.Message)
	}
}

// TestNumbersInThePlaceOfNames writes numbers as they are, on a node that knows none of them.
func TestNumbersInThePlaceOfNames(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		limits := table(t, "{type: Hash, key: {type: ifindex}, value: {fields: [{name: peer, type: ifindex}, {name: group, type: cgroupID}]}, maxEntries: 8",
			`0={peer: 4294967295, group: "18446744073709551615"}`, `"2147483647"={peer: "010", group: 0}`)
		w.ready(limits, engine.ActionCreated)
		want := `0={peer: 4294967295, group: 18446744073709551615} 2147483647={peer: 10, group: 0}`
		w.holds(limits, want)
		w.ready(limits, engine.ActionNone)

		m := w.open(limits)
		w.must(m.Delete(w.Context(), []byte{0, 0, 0, 0}))
		if r := w.sync(limits, v1alpha1.NodeMapReady, engine.ActionRepaired); r.Drift.Summary != "1 entry missing" {
			t.Errorf("drift %q", r.Drift.Summary)
		}
		w.holds(limits, want)
	})
}

// TestUnreadableMaps writes again with each change what nobody can list.
func TestUnreadableMaps(t *testing.T) {
	b := enginetest.NewMemory()
	w := newWorld(t, b)
	b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeCgroup, Name: "/a"}, 11)
	groups := func(entries ...string) *revision.Revision {
		return table(t, "{type: CGroupArray, maxEntries: 4", entries...)
	}
	w.ready(groups("0=/a"), engine.ActionCreated)
	b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeCgroup, Name: "/a"}, 12)
	r := w.ready(groups("0=/a"), engine.ActionUpdated)
	if r.Plan.Changes.Update.Len() != 1 || r.Entries != nil {
		t.Errorf("plan %s", r.Plan.String())
	}
	b.SetLink(v1alpha1.Reference{Type: v1alpha1.TypeCgroup, Name: "/b"}, 13)
	r = w.ready(groups("1=/b"), engine.ActionUpdated)
	if r.Plan.Changes.Update.Len() != 1 || r.Plan.Changes.Deletes() != 1 {
		t.Errorf("plan %s", r.Plan.String())
	}
}

// TestBloomFilter adds what is missing; what was withdrawn stays until the filter is replaced. A kernel without the type
// says so.
func TestBloomFilter(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		filter := func(more string, values ...string) *revision.Revision {
			return table(t, "{type: BloomFilter, value: {type: u32}, maxEntries: 64, "+more, values...)
		}
		has := func(r *revision.Revision, value byte) bool {
			found, err := w.open(r).Contains(w.Context(), []byte{value, 0, 0, 0})
			w.must(err)
			return found
		}
		r := filter("", "1", "2")
		if _, inMemory := w.b.(*enginetest.Memory); !inMemory && !bpftest.Since(t, 5, 16) {
			if report := w.Sync(w.Context(), r); report.Reason != v1alpha1.NodeReasonNotSupported || !strings.Contains(report.Message, "it came with Linux 5.16") {
				t.Errorf("%s: %s", report.Reason, report.Message)
			}
			return
		}
		created := w.ready(r, engine.ActionCreated)
		w.ready(filter("", "2", "3"), engine.ActionUpdated)
		if !has(r, 1) || !has(r, 2) || !has(r, 3) || has(r, 200) {
			t.Error("want 1, 2 and 3")
		}
		larger := strings.Replace("{type: BloomFilter, value: {type: u32}, maxEntries: 64, hashFunctions: 3, replacePolicy: Swap", "64", "128", 1)
		replaced := w.ready(table(t, larger, "3"), engine.ActionReplaced)
		if replaced.MapID == created.MapID || has(r, 1) || !has(r, 3) {
			t.Errorf("map %d, was %d; want 3 alone", replaced.MapID, created.MapID)
		}
	})
}
