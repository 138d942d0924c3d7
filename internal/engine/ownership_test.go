// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/engine"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func TestRetain(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "deletionPolicy: Retain,", "1=10")
		id := w.ready(r, engine.ActionCreated).MapID
		if removed := w.Remove(t.Context(), key); removed.Action != engine.ActionRetained {
			t.Errorf("%+v", removed)
		}
		w.holds(r, "1=10")
		if report := w.ready(hash(t, "", "2=20"), engine.ActionAdopted); report.MapID != id {
			t.Errorf("adopted map %d, want %d", report.MapID, id)
		}
		w.holds(r, "1=10 2=20")
	})
}

func TestMovedPin(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		old := hash(t, "", "1=10")
		id := w.ready(old, engine.ActionCreated).MapID
		moved := hash(t, "pin: {path: globals/table, mode: '0644'},", "1=10")
		if report := w.ready(moved, engine.ActionUpdated); report.MapID != id || report.Drift != nil {
			t.Errorf("%+v", report)
		}
		w.holds(old, "no map")
		w.holds(moved, "1=10")
	})
}

func TestPinOfAnotherMap(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		w.ready(hash(t, "", "1=10"), engine.ActionCreated)
		r := hash(t, "", "1=11")
		r.Key.Name = "thief"
		report := w.sync(r, failed, engine.ActionNone)
		if report.Reason != v1alpha1.NodeReasonPinConflict || !strings.Contains(report.Message, "edge/table") {
			t.Errorf("%s: %s", report.Reason, report.Message)
		}
		w.holds(r, "1=10")
	})
}

func TestForbiddenPin(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		e := engine.New(w.b, engine.Options{AllowPin: func(k revision.Key, path string) error {
			return fmt.Errorf("%s may not pin at %s", k, path)
		}})
		report := e.Sync(t.Context(), hash(t, "pin: {path: globals/table},", "1=10"))
		if report.State != stalled || report.Reason != v1alpha1.NodeReasonPinNotAllowed || !strings.Contains(report.Message, "globals/table") {
			t.Errorf("%+v", report)
		}
	})
}

func TestFullByForeignEntries(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "", "1=10")
		w.ready(r, engine.ActionCreated)
		w.must(w.open(r).Write(w.Context(), []byte{11, 12, 13, 14, 15, 16, 17}, make([]byte, 7)))
		report := w.sync(hash(t, "", "1=10", "2=20"), failed, engine.ActionNone)
		if report.Reason != v1alpha1.NodeReasonMapFull {
			t.Errorf("%s: %s", report.Reason, report.Message)
		}
		// In place of what it gives up, the map has room.
		w.ready(hash(t, "", "2=20"), engine.ActionUpdated)
	})
}

func TestSwapMovesForeignEntries(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		first := hash(t, "", "1=10", "2=20")
		id := w.ready(first, engine.ActionCreated).MapID
		w.must(w.open(first).Write(w.Context(), []byte{9}, []byte{90}))
		bigger := table(t, "{type: Hash, key: {type: u8}, value: {type: u8}, maxEntries: 16, replacePolicy: Swap, ", "1=11")
		report := w.ready(bigger, engine.ActionReplaced)
		if report.MapID == id || !strings.Contains(report.Message, "1 element moved over") {
			t.Errorf("%+v", report)
		}
		w.holds(bigger, "1=11 9=90")
		wider := table(t, "{type: Hash, key: {type: u8}, value: {type: u16}, maxEntries: 16, replacePolicy: Swap, ", "1=11")
		if report := w.sync(wider, stalled, engine.ActionNone); !strings.Contains(report.Message, "without losing contents") {
			t.Errorf("%s", report.Message)
		}
		w.holds(bigger, "1=11 9=90")
		mirrored := table(t, "{type: Hash, key: {type: u8}, value: {type: u16}, maxEntries: 16, replacePolicy: Swap, syncPolicy: Mirror, ", "1=300")
		w.ready(mirrored, engine.ActionReplaced)
		w.holds(mirrored, "1=300")
	})
}

func TestPlanChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		r := hash(t, "freeze: true,", "1=10")
		p, err := w.Plan(t.Context(), r)
		w.must(err)
		if want := "edge/table: create: 1 entry missing\n  + 01 = 0a\n  freeze\n  pin\n"; p.String() != want {
			t.Errorf("plan\n%s want\n%s", p.String(), want)
		}
		w.holds(r, "no map")
		w.ready(r, engine.ActionCreated)
		if p, err = w.Plan(t.Context(), r); err != nil || !p.IsEmpty() || p.String() != "edge/table: in sync\n" {
			t.Errorf("plan %q, %v", p.String(), err)
		}
	})
}

func TestLocalAndClusterLeaveEachOtherAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, w *world) {
		local := engine.New(w.b, engine.Options{Local: true})
		mine := hash(t, "", "1=10")
		mine.UID = ""
		if report := local.Sync(t.Context(), mine); report.Action != engine.ActionCreated {
			t.Errorf("%+v", report)
		}
		if report := w.Remove(t.Context(), key); report.Action != engine.ActionNone || report.Err != nil {
			t.Errorf("the agent removed a local map: %+v", report)
		}
		w.holds(mine, "1=10")
		clustered := hash(t, "", "2=20")
		w.ready(clustered, engine.ActionUpdated) // declared in the cluster, too: that wins
		for _, report := range []engine.Report{local.Sync(t.Context(), mine), local.Remove(t.Context(), key)} {
			if report.State != failed || report.Reason != v1alpha1.NodeReasonPinConflict || !strings.Contains(report.Message, "uid-1") {
				t.Errorf("local work on a cluster's map: %+v", report)
			}
		}
		w.holds(clustered, "2=20")
	})
}

func TestPinPrefixes(t *testing.T) {
	p, err := engine.ParsePinPrefixes([]string{"edge=xdp/", "edge=tc/globals", "*=shared"})
	if err != nil {
		t.Fatal(err)
	}
	for pin, want := range map[string]bool{
		"bpfmap/edge/table": true, "bpfmap/edge/deep/table": true, "xdp/table": true, "tc/globals/table": true,
		"shared/x": true, "xdpx/table": false, "tc/table": false, "bpfmap/other/table": false, "table": false, "bpfmap/edgetable": false,
	} {
		if err := p.Allow(key, pin); (err == nil) != want {
			t.Errorf("pin %s: %v, want allowed %t", pin, err, want)
		}
	}
	if p.Allow(revision.Key{Namespace: "other", Name: "x"}, "xdp/x") == nil {
		t.Error("a prefix of one namespace works for another")
	}
	for _, bad := range []string{"", "edge", "edge=", "=xdp", "edge=/xdp", "edge=../xdp", "edge=a/../b"} {
		if _, err := engine.ParsePinPrefixes([]string{bad}); err == nil {
			t.Errorf("prefix %q was taken", bad)
		}
	}
	// Whoever is refused is told which places there are.
	for prefixes, want := range map[*engine.PinPrefixes]string{
		{}: "is not below bpfmap/edge, and agents allow namespace edge no other place by default: ",
		{"edge": {"tc/globals"}, "shop": {"shop"}, engine.AnyNamespace: {"xdp", "tc/globals"}}: "agents allow namespace edge no other place but tc/globals, xdp: ",
	} {
		key := revision.Key{Namespace: "edge", Name: "m"}
		for _, pin := range []string{"elsewhere/m", "m"} {
			want := want
			if pin == "m" {
				want = strings.Replace(strings.TrimSuffix(want, ": "), ", and agents", ", agents", 1)
			}
			if err := prefixes.Allow(key, pin); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("pin %s: %v, want %q", pin, err, want)
			}
		}
	}
}
