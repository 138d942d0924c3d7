// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package quota_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func TestParse(t *testing.T) {
	const total = 8 << 30
	type lists = []string
	for _, c := range []struct {
		node         string
		memory, maps lists
		want         quota.Limits
	}{
		{"2Gi", lists{"edge=256Mi", "*=1M"}, lists{"*=3"}, quota.Limits{Node: 2 << 30, Memory: map[string]int64{"edge": 256 << 20, "*": 1_000_000}, Maps: map[string]int64{"*": 3}}},
		{"", nil, nil, quota.Limits{Node: 2 << 30, Memory: map[string]int64{"*": 512 << 20}, Maps: map[string]int64{"*": 200}}},
		{"50%", lists{"edge=1Gi"}, lists{"edge=9"}, quota.Limits{Node: 4 << 30, Memory: map[string]int64{"edge": 1 << 30, "*": 512 << 20}, Maps: map[string]int64{"edge": 9, "*": 200}}},
		{"none", lists{"*=none"}, lists{"edge=none"}, quota.Limits{Memory: map[string]int64{"*": 0}, Maps: map[string]int64{"edge": 0, "*": 200}}},
	} {
		got, err := quota.Parse(c.node, c.memory, c.maps, total)
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%+v: %v (-want +got)\n%s", c, err, diff)
		}
	}
	for _, bad := range []struct {
		node         string
		memory, maps lists
	}{
		{node: "much"}, {node: "0"}, {node: "-1Gi"}, {node: "0%"}, {node: "101%"}, {node: "half%"}, {memory: lists{"256Mi"}}, {memory: lists{"=1Mi"}},
		{memory: lists{"a=x"}}, {memory: lists{"a=5%"}}, {maps: lists{"a=0"}}, {maps: lists{"a=1Mi"}}, {memory: lists{"a=1", "a=2"}},
	} {
		if l, err := quota.Parse(bad.node, bad.memory, bad.maps, total); err == nil {
			t.Errorf("%+v was taken: %+v", bad, l)
		}
	}
}

func key(name string) revision.Key { return revision.Key{Namespace: "edge", Name: name} }

// TestLedger: a promise counts until it is settled, what nobody knows is measured, and refusals are by fresh
// figures.
func TestLedger(t *testing.T) { synctest.Test(t, testLedger) }

func testLedger(t *testing.T) {
	var uses []quota.Use
	measured := 0
	var broken error
	l := quota.New(quota.Limits{Node: 100}, quota.Sources{Usage: func(context.Context) ([]quota.Use, error) {
		measured++
		return uses, broken
	}})
	ask := func(name string, bytes int64) bool {
		t.Helper()
		err := l.Reserve(t.Context(), quota.Request{Key: key(name), Bytes: bytes, IsNew: true})
		if refusal := (*quota.Refusal)(nil); err != nil && !errors.As(err, &refusal) {
			t.Fatal(err)
		}
		return err == nil
	}
	if !ask("a", 60) || ask("b", 60) {
		t.Error("a promise doesn't count")
	}
	l.Settle(key("a"), 50) // less than promised: b may try again
	uses = []quota.Use{{Key: key("a"), Bytes: 50}}
	if again := l.Unblocked(); len(again) != 1 || again[0] != key("b") || !ask("b", 50) {
		t.Errorf("%v are called", again)
	}
	l.Invalidate(key("b")) // it failed
	before := measured
	if !ask("c", 50) || measured != before+1 {
		t.Error("what nobody knows isn't measured")
	}
	l.Settle(key("c"), 50)
	uses = nil // somebody removed all of it
	if !ask("d", 100) {
		t.Error("refused by old figures")
	}
	l.Invalidate(key("d"))
	broken = errors.New("no kernel")
	if err := l.Reserve(t.Context(), quota.Request{Key: key("e"), Bytes: 1}); err == nil || !strings.Contains(err.Error(), "no kernel") {
		t.Errorf("without figures: %v", err)
	}
	if err := l.Reserve(t.Context(), quota.Request{Key: key("e")}); err != nil {
		t.Errorf("a map that asks for nothing: %v", err)
	}
}
