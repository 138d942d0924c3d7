// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package quota_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/bpfmap-io/bpfmap-operator/internal/quota"
	"github.com/bpfmap-io/bpfmap-operator/internal/revision"
)

func TestParse(t *testing.T) {
	l, err := quota.Parse("2Gi", []string{"edge=256Mi", "*=1M"}, []string{"*=3"})
	if err != nil || l.Node != 2<<30 || l.Memory["edge"] != 256<<20 || l.Memory["*"] != 1_000_000 || l.Maps["*"] != 3 {
		t.Errorf("%+v, %v", l, err)
	}
	for _, bad := range []struct {
		node         string
		memory, maps string
	}{{node: "much"}, {node: "0"}, {node: "-1Gi"}, {memory: "256Mi"}, {memory: "=1Mi"}, {memory: "a=x"}, {maps: "a=0"}, {maps: "a=1Mi"}} {
		lists := [2][]string{}
		for i, text := range []string{bad.memory, bad.maps} {
			if text != "" {
				lists[i] = []string{text}
			}
		}
		if l, err := quota.Parse(bad.node, lists[0], lists[1]); err == nil {
			t.Errorf("%+v was taken: %+v", bad, l)
		}
	}
	if _, err := quota.Parse("", []string{"a=1", "a=2"}, nil); err == nil {
		t.Error("two limits of one namespace were taken")
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
