// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine/enginetest"
	"github.com/bpfmap-io/bpfmap-operator/internal/pinstore"
	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

// firewall are three maps of one program, with values of a type.
func firewall(t *testing.T, value string) []engine.Member {
	t.Helper()
	var members []engine.Member
	for i, name := range []string{"block4", "block6", "ports"} {
		spec := fmt.Sprintf("{type: Hash, key: {type: u8}, value: {type: %s}, maxEntries: 8, group: xdp-firewall, replacePolicy: Swap,", value)
		r := named(name, table(t, spec, fmt.Sprintf("1=%d", 10+i)))
		members = append(members, engine.Member{Key: r.Key, Rev: r})
	}
	return members
}

// make makes the maps of a group and returns their ids.
func (w *world) make(members []engine.Member) (ids []uint32) {
	w.Helper()
	for _, m := range members {
		r, alone := w.SyncMember(w.Context(), m.Rev)
		if !alone || r.State != ready || r.Action != engine.ActionCreated {
			w.Fatalf("%s: %s (%s), %q, alone %t", m.Key, r.State, r.Message, r.Action, alone)
		}
		ids = append(ids, r.MapID)
	}
	return ids
}

// stays checks that no map of a group changed.
func (w *world) stays(members []engine.Member, ids []uint32) {
	w.Helper()
	for i, m := range members {
		if id := w.id(w.open(m.Rev)); id != ids[i] {
			w.Errorf("%s is map %d, was %d", m.Key.Name, id, ids[i])
		}
	}
}

// together checks that all maps of a group are those of one declaration.
func (w *world) together(members []engine.Member) {
	w.Helper()
	for i, m := range members {
		w.holds(m.Rev, fmt.Sprintf("1=%d", 10+i))
		r, alone := w.SyncMember(w.Context(), m.Rev)
		if !alone || r.State != ready || r.Action != engine.ActionNone {
			w.Errorf("%s afterwards: %s (%s), %q, alone %t", m.Key.Name, r.State, r.Message, r.Action, alone)
		}
	}
}

// goOn does what an agent does for each map of a group.
func (w *world) goOn(members []engine.Member) {
	w.Helper()
	for _, m := range members {
		if _, alone := w.SyncMember(w.Context(), m.Rev); !alone {
			w.SyncGroup(w.Context(), members)
		}
	}
}

// wantReport looks for a member's report.
func wantReport(t *testing.T, reports []engine.Report, name string, state v1alpha1.NodeMapState, reason, message string) {
	t.Helper()
	for _, r := range reports {
		if r.Key.Name != name {
			continue
		}
		if r.State != state || r.Reason != reason || !strings.Contains(r.Message, message) {
			t.Errorf("%s: %s, %s, %q; want %s, %s, and %q", name, r.State, r.Reason, r.Message, state, reason, message)
		}
		return
	}
	t.Errorf("no report on %s", name)
}

// TestGroupAllOrNone is a new struct for three maps of a program, of which one holds an element of another.
func TestGroupAllOrNone(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old, next := firewall(t, "u8"), firewall(t, "u16")
		ids := w.make(old)
		block4 := w.open(old[0].Rev)
		w.must(block4.Write(t.Context(), []byte{9}, []byte{90}))
		for _, m := range next[1:] {
			if r, alone := w.SyncMember(t.Context(), m.Rev); alone {
				t.Fatalf("%s was replaced alone: %+v", m.Key, r)
			}
		}
		if r, alone := w.SyncMember(t.Context(), next[0].Rev); !alone || r.Reason != v1alpha1.NodeReasonIncompatible {
			t.Errorf("block4 alone: %t, %s", alone, r.Reason)
		}
		reports := w.SyncGroup(t.Context(), next)
		wantReport(t, reports, "block4", v1alpha1.NodeMapStalled, v1alpha1.NodeReasonIncompatible, "have other sizes")
		for _, name := range []string{"block6", "ports"} {
			wantReport(t, reports, name, v1alpha1.NodeMapStalled, v1alpha1.NodeReasonGroupStalled, "waits for BPFMap block4 (Incompatible: ")
		}
		w.stays(old, ids)

		// Contents don't wait for the others.
		more := named("ports", table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 8, group: xdp-firewall,", "1=12", "2=20"))
		if r, alone := w.SyncMember(t.Context(), more); !alone || r.State != ready || r.Action != engine.ActionUpdated {
			t.Errorf("other contents: %+v", r)
		}

		w.must(block4.Delete(t.Context(), []byte{9}))
		for _, r := range w.SyncGroup(t.Context(), next) {
			if r.State != ready || r.Action != engine.ActionReplaced || !strings.Contains(r.Message, "together with 2 other maps of group xdp-firewall") {
				t.Errorf("%s: %s, %s, %q", r.Key, r.State, r.Action, r.Message)
			}
		}
		w.together(next)
	})
}

// TestGroupWaits is a group of which one revision isn't there.
func TestGroupWaits(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old, next := firewall(t, "u8"), firewall(t, "u16")
		ids := w.make(old)
		missing := engine.Member{Key: next[2].Key, Missing: "its revision with the new layout has not arrived"}
		reports := w.SyncGroup(t.Context(), []engine.Member{next[0], next[1], missing})
		for _, name := range []string{"block4", "block6"} {
			wantReport(t, reports, name, v1alpha1.NodeMapPending, v1alpha1.NodeReasonWaitsForGroup, "BPFMap ports (its revision with the new layout has not arrived)")
		}
		w.stays(old, ids)
	})
}

// TestGroupOfOneReplacement replaces one map while the others can stay.
func TestGroupOfOneReplacement(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		members := firewall(t, "u8")
		ids := w.make(members)
		wider := firewall(t, "u16")
		members[1] = wider[1]
		reports := w.SyncGroup(t.Context(), members)
		if len(reports) != 1 || reports[0].Key.Name != "block6" || reports[0].Action != engine.ActionReplaced {
			t.Fatalf("reports: %+v", reports)
		}
		w.together(members)
		w.stays(append(members[:1:1], members[2]), []uint32{ids[0], ids[2]})
	})
}

// TestGroupCarriesOver makes larger maps, which get the elements of others, too.
func TestGroupCarriesOver(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old := firewall(t, "u8")
		w.make(old)
		w.must(w.open(old[0].Rev).Write(t.Context(), []byte{9}, []byte{90}))
		var next []engine.Member
		for i, m := range old {
			r := named(m.Key.Name, table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 16, group: xdp-firewall, replacePolicy: Swap,", fmt.Sprintf("1=%d", 20+i)))
			next = append(next, engine.Member{Key: m.Key, Rev: r})
		}
		for _, r := range w.SyncGroup(t.Context(), next) {
			if r.State != ready || r.Action != engine.ActionReplaced {
				t.Errorf("%s: %s (%s)", r.Key, r.State, r.Message)
			}
		}
		w.holds(next[0].Rev, "1=20 9=90")
		w.holds(next[2].Rev, "1=22")
	})
}

// nested are an inner map and a map of maps that holds it.
func nested(t *testing.T, value, n string) []engine.Member {
	t.Helper()
	in := named("zone", table(t, "{type: Hash, key: {type: u8}, value: {type: "+value+"}, maxEntries: 8, group: zones, replacePolicy: Swap,", "1="+n))
	out := table(t, "{type: HashOfMaps, key: {type: u8}, inner: {type: Hash, key: {type: u8}, value: {type: "+value+"}, maxEntries: 8}, maxEntries: 8, group: zones, replacePolicy: Swap,", "7=zone")
	return []engine.Member{{Key: out.Key, Rev: out}, {Key: in.Key, Rev: in}}
}

// TestGroupOfInnerAndOuter replaces an inner map by one that the outer map doesn't take, with the outer map.
func TestGroupOfInnerAndOuter(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old := nested(t, "u8", "10")
		in := w.ready(old[1].Rev, engine.ActionCreated)
		out := w.ready(old[0].Rev, engine.ActionCreated)
		next := nested(t, "u32", "70000")
		for _, m := range next {
			if r, alone := w.SyncMember(t.Context(), m.Rev); alone {
				t.Fatalf("%s alone: %+v", m.Key, r)
			}
		}
		w.must(w.open(old[1].Rev).Write(t.Context(), []byte{9}, []byte{90}))
		reports := w.SyncGroup(t.Context(), next)
		wantReport(t, reports, "zone", v1alpha1.NodeMapStalled, v1alpha1.NodeReasonIncompatible, "other sizes")
		w.stays(old, []uint32{out.MapID, in.MapID})

		w.must(w.open(old[1].Rev).Delete(t.Context(), []byte{9}))
		reports = w.SyncGroup(t.Context(), next)
		for _, name := range []string{"zone", "table"} {
			wantReport(t, reports, name, ready, v1alpha1.NodeReasonInSync, "together with 1 other map of group zones")
		}
		now := w.id(w.open(next[1].Rev))
		w.holds(next[0].Rev, fmt.Sprintf("7=%d", now))
		w.holds(next[1].Rev, "1=70000")
		for _, m := range next {
			if r := w.Sync(t.Context(), m.Rev); r.State != ready || r.Action != engine.ActionNone {
				t.Errorf("%s afterwards: %s (%s), %q", m.Key, r.State, r.Message, r.Action)
			}
		}
	})
}

// TestOuterNeedsAnotherInner says what another spec.inner needs, as the kernel refuses the maps otherwise.
func TestOuterNeedsAnotherInner(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old := nested(t, "u8", "10")
		w.ready(old[1].Rev, engine.ActionCreated)
		w.ready(old[0].Rev, engine.ActionCreated)
		empty := table(t, "{type: HashOfMaps, key: {type: u8}, inner: {type: Hash, key: {type: u8}, value: {type: u32}, maxEntries: 8}, maxEntries: 8,")
		r := w.sync(empty, v1alpha1.NodeMapStalled, engine.ActionNone)
		if !strings.Contains(r.Message, "inner value size: have 1, want 4") {
			t.Error(r.Message)
		}
	})
}

// TestGroupCrashes cuts the replacement of a group off after each change, and lets a new process go on.
func TestGroupCrashes(t *testing.T) {
	for name, newBackend := range backends {
		t.Run(name, func(t *testing.T) {
			met := true
			for step := 0; met; step += stride {
				t.Run(fmt.Sprint("step ", step), func(t *testing.T) {
					w := newWorld(t, newBackend(t, pinstore.Options{}))
					w.make(firewall(t, "u8"))
					next := firewall(t, "u16")
					dying := &enginetest.Faulty{Backend: w.b, Fault: enginetest.Crash(step)}
					engine.New(dying, engine.Options{}).SyncGroup(t.Context(), next)
					met = dying.Hit() != ""
					w.goOn(next)
					w.together(next)
				})
			}
		})
	}
}

// TestGroupFaults lets each call fail once. What fails before the first map is exchanged leaves all as they were.
func TestGroupFaults(t *testing.T) {
	for name, newBackend := range backends {
		for _, kind := range []enginetest.FaultKind{enginetest.Refused, enginetest.Partial, enginetest.Cancelled} {
			t.Run(name+"/"+kind.String(), func(t *testing.T) {
				for call := 0; faultyGroup(t, newBackend(t, pinstore.Options{}), kind, call); call += stride {
				}
			})
		}
	}
}

func faultyGroup(t *testing.T, b engine.Backend, kind enginetest.FaultKind, call int) (met bool) {
	t.Helper()
	t.Run(fmt.Sprint("call ", call), func(t *testing.T) {
		w := newWorld(t, b)
		old, next := firewall(t, "u8"), firewall(t, "u16")
		ids := w.make(old)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		published := 0
		faulty := &enginetest.Faulty{Backend: b, Fault: enginetest.Fault{Call: call, Kind: kind, Err: errors.New("broken"), Cancel: cancel}}
		faulty.Before = func(name string, _ engine.Map) {
			if name == "Publish" {
				published++
			}
		}
		reports := engine.New(faulty, engine.Options{}).SyncGroup(ctx, next)
		met = faulty.Hit() != ""
		firstFailed := faulty.Hit() == "Publish" && published == 1 && kind != enginetest.Cancelled
		if met && (published == 0 || firstFailed) {
			w.stays(old, ids)
			for _, r := range reports {
				if r.Err == nil {
					t.Errorf("%s: %s (%s) after %s failed", r.Key, r.State, r.Message, faulty.Hit())
				}
			}
		}
		w.goOn(next)
		w.together(next)
	})
	return met
}

// settled notes what a map takes in the end.
type settled struct {
	promises
	bytes int64
}

func (s *settled) Settle(_ revision.Key, bytes int64) { s.bytes = bytes }

// TestGroupQuota refuses new maps that have no room all together, though each alone has.
func TestGroupQuota(t *testing.T) {
	old, next := firewall(t, "u8"), firewall(t, "u16")
	p := &settled{}
	engine.New(enginetest.NewMemory(), engine.Options{Quota: p}).Sync(t.Context(), next[0].Rev)
	room := 3*p.bytes + p.reserved + p.reserved/2 // for all three, and a new one beside one of them
	ledger := quota.New(quota.Limits{Node: room}, quota.Sources{
		Usage: func(context.Context) (all []quota.Use, _ error) {
			for _, m := range old {
				all = append(all, quota.Use{Key: m.Key, Bytes: p.bytes})
			}
			return all, nil
		},
		UsageOf: func(context.Context, revision.Key) (int64, bool, error) { return p.bytes, true, nil },
	})
	w := newWorld(t, enginetest.NewMemory())
	w.Engine = engine.New(w.b, engine.Options{Quota: ledger})
	ids := w.make(old)
	reports := w.SyncGroup(t.Context(), next)
	wantReport(t, reports, "block4", v1alpha1.NodeMapStalled, v1alpha1.NodeReasonGroupStalled, "waits for BPFMap block6 (QuotaExceeded: ")
	w.stays(old, ids)
	if reports := w.SyncGroup(t.Context(), []engine.Member{old[0], old[1], next[2]}); len(reports) != 1 || reports[0].Action != engine.ActionReplaced {
		t.Errorf("one alone: %+v", reports)
	}
}
