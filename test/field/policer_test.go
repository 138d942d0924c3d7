// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package field_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/clang"
)

// TestLayoutOfAPolicer holds a declaration to a struct as loxilb has it: what is configured, a lock, and what the
// program keeps.
func TestLayoutOfAPolicer(t *testing.T) {
	m := newMachine(t)
	object := clang.BPF(t, "testdata/policer.bpf.c")
	text, err := os.ReadFile("testdata/policer.yaml")
	if err != nil {
		t.Fatal(err)
	}
	declared := func(rate int) string { return strings.ReplaceAll(string(text), "RATE", fmt.Sprint(rate)) }
	if out := m.valid(declared(1250), object); !strings.Contains(out, "it fits map ") {
		t.Errorf("validate says %q", out)
	}
	m.apply(declared(1250), "created")
	state := func() (f map[string]any) {
		t.Helper()
		return m.dump(declared(1250))["1"][0].(map[string]any)["pol"].(map[string]any)
	}
	const runs = 1000
	if _, err := m.runner(object, "police", "policers").run(runs); err != nil {
		t.Fatal(err)
	}
	before := state()
	m.apply(declared(1250), "unchanged")
	m.resync(declared(1250))
	m.apply(declared(2500), "configured")
	after := state()
	for _, name := range []string{"committed_tokens", "excess_tokens", "committed_at", "excess_at", "counts"} {
		if fmt.Sprint(after[name]) != fmt.Sprint(before[name]) {
			t.Errorf("%s is %v after what is declared changed, was %v", name, after[name], before[name])
		}
	}
	counts := after["counts"].(map[string]any)
	if passed, dropped := number(t, counts["passed"]), number(t, counts["dropped"]); passed+dropped != runs || passed == 0 || dropped == 0 {
		t.Errorf("%d packets passed and %d were dropped, of %d", passed, dropped, runs)
	}
	if number(t, after["committed_rate"]) != 2500 {
		t.Errorf("the declared rate isn't there: %v", after)
	}
}
