// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package maptype_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
)

var update = flag.Bool("update", false, "write the table of behaviours into the documentation")

const (
	differences = "../../docs/kernel-differences.md"
	begin, end  = "<!-- behaviours: begin (go test ./internal/maptype -update) -->\n", "<!-- behaviours: end -->\n"
)

// TestDocumentedBehaviours holds the table in the documentation to ours.
func TestDocumentedBehaviours(t *testing.T) {
	text, err := os.ReadFile(differences)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, foundEnd := strings.Cut(rest, end)
	if !found || !foundEnd {
		t.Fatalf("%s has no table of behaviours", differences)
	}
	var table strings.Builder
	table.WriteString("| Since | Before | Since then | What that means |\n|---|---|---|---|\n")
	for _, b := range maptype.Behaviours() {
		since := strings.TrimPrefix(b.Since.String(), "Linux ")
		if b.Carried {
			since += " *"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", since, b.Before, b.After, b.Means)
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(differences, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) {
		t.Errorf("%s is out of date: go test ./internal/maptype -update", differences)
	}
}

// TestBehaviourOn looks at both sides of a release.
func TestBehaviourOn(t *testing.T) {
	for _, b := range maptype.Behaviours() {
		older := maptype.Kernel{Major: b.Since.Major, Minor: b.Since.Minor - 1}
		if after, certain := b.On(older); after || certain == b.Carried {
			t.Errorf("%s on %s: %t, certain %t", b.Name, older, after, certain)
		}
		for _, k := range []maptype.Kernel{b.Since, {Major: b.Since.Major + 1}} {
			if after, certain := b.On(k); !after || !certain {
				t.Errorf("%s on %s: %t, certain %t", b.Name, k, after, certain)
			}
		}
		if b.Before == "" || b.After == "" || b.Means == "" {
			t.Errorf("%s doesn't say what it is", b.Name)
		}
	}
}

// TestOpSince looks at commands that types got later.
func TestOpSince(t *testing.T) {
	for _, c := range []struct {
		name string
		op   maptype.Ops
		want maptype.Kernel
	}{
		{"Hash", maptype.LookupAndDelete, maptype.Kernel{Major: 5, Minor: 14}},
		{"Hash", maptype.UpdateBatch, maptype.Kernel{Major: 3, Minor: 19}},
		{"Queue", maptype.LookupAndDelete, maptype.Kernel{Major: 4, Minor: 20}},
		{"LPMTrie", maptype.DeleteBatch, maptype.Kernel{Major: 5, Minor: 13}},
		{"HashOfMaps", maptype.LookupAndDeleteBatch, maptype.Kernel{Major: 5, Minor: 19}},
		{"StackTrace", maptype.LookupAndDelete, maptype.Kernel{Major: 6, Minor: 18}},
	} {
		typ := maptype.ByName(c.name)
		if got := typ.OpSince(c.op); got != c.want {
			t.Errorf("%s, %b: %s, want %s", c.name, c.op, got, c.want)
		}
		older := maptype.Kernel{Major: c.want.Major, Minor: c.want.Minor - 1}
		if typ.OpsOn(older).Has(c.op) || !typ.OpsOn(c.want).Has(c.op) || typ.OpsOn(c.want)&^typ.Ops != 0 {
			t.Errorf("%s, %b: commands of %s are %b, of %s %b", c.name, c.op, older, typ.OpsOn(older), c.want, typ.OpsOn(c.want))
		}
	}
}
