// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package advice_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/advice"
)

var update = flag.Bool("update", false, "write docs/reasons.md")

// reason is a constant of the API, or of package rollout.
type reason struct{ constant, file, value string }

// reasons are the constants of a package whose names match, by the source: a new one has no other list.
func reasons(t *testing.T, dir string, matches func(name, typ string) bool) (all []reason) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				typ := ""
				if id, ok := v.Type.(*ast.Ident); ok {
					typ = id.Name
				}
				for i, name := range v.Names {
					if !matches(name.Name, typ) {
						continue
					}
					value, err := strconv.Unquote(v.Values[i].(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, reason{name.Name, filepath.Base(file), value})
				}
			}
		}
	}
	return all
}

const api = "../../api/v1alpha1"

// TestEveryReasonHasAdvice: a reason that is added to the API needs a line here.
func TestEveryReasonHasAdvice(t *testing.T) {
	scopeOf := func(r reason) advice.Scope {
		switch {
		case strings.HasPrefix(r.constant, "NodeReason"):
			return advice.Node
		case r.file == "nodestate_types.go":
			return advice.NodeState
		}
		return advice.Map
	}
	found := reasons(t, api, func(name, _ string) bool {
		return strings.HasPrefix(name, "Reason") || strings.HasPrefix(name, "NodeReason")
	})
	if len(found) < 60 {
		t.Fatalf("only %d reasons found in %s", len(found), api)
	}
	seen := map[advice.Scope]map[string]bool{}
	note := func(scope advice.Scope, value, where string) {
		if seen[scope] == nil {
			seen[scope] = map[string]bool{}
		}
		seen[scope][value] = true
		if _, ok := advice.For(scope, value); !ok {
			t.Errorf("%s (%s) has no advice of scope %q", value, where, scope)
		}
	}
	for _, r := range found {
		note(scopeOf(r), r.value, r.constant)
	}
	for _, r := range reasons(t, "../rollout", func(_, typ string) bool { return typ == "Reason" }) {
		note(advice.Rollout, r.value, "rollout."+r.constant)
	}
	note(advice.Node, "Pending", "what a BPFMap's status says of nodes that wait")
	note(advice.NodeState, "OperatorRemoved", "what is said after an uninstallation")
	for _, a := range advice.All() {
		if !seen[a.Scope][a.Reason] {
			t.Errorf("there is advice for %s of scope %q, which no reason has", a.Reason, a.Scope)
		}
	}
}

// TestAdviceIsWellFormed: once each, a sentence without a full stop, and something to do unless all is well.
func TestAdviceIsWellFormed(t *testing.T) {
	fine := []string{"Ready", "ReconcileSucceeded", "NotStalled", "Accepted", "InSync", "InUse", "MetricsServed", "Fetched", "RolledOut", "NodeReady"}
	seen := map[string]bool{}
	for _, a := range advice.All() {
		id := string(a.Scope) + " " + a.Reason
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		if a.Means == "" || strings.HasSuffix(a.Means, ".") || strings.HasSuffix(a.Do, ".") {
			t.Errorf("%s: %q, %q", id, a.Means, a.Do)
		}
		if isFine := slices.Contains(fine, a.Reason); isFine != (a.Do == "") {
			t.Errorf("%s: what to do is %q", id, a.Do)
		}
	}
}

const page = "../../docs/reasons.md"

// TestPage holds the documentation to the table.
func TestPage(t *testing.T) {
	got := render()
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is not what internal/advice says: go test ./internal/advice -update\n%s", page, diff)
	}
}

func render() string {
	var b strings.Builder
	b.WriteString(`# Reasons, and what to do

Every ` + "`reason`" + ` in a status, what it means, and what to do next. ` + "`kubectl bpfmap status MAP`" + ` prints the lines that apply, and ` + "`kubectl bpfmap why MAP [NODE]`" + ` the causes behind them ([kubectl plugin](kubectl-plugin.md)). This page is made from the table that both use: ` + "`go test ./internal/advice -update`" + `.
`)
	for _, scope := range advice.Scopes() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n| reason | it means | what to do |\n|---|---|---|\n", title(scope), intro(scope))
		for _, a := range advice.All() {
			if a.Scope != scope {
				continue
			}
			do := a.Do
			if do == "" {
				do = "nothing"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", a.Reason, a.Means, do)
		}
	}
	return b.String()
}

func title(s advice.Scope) string {
	return map[advice.Scope]string{advice.Map: "Conditions of a BPFMap", advice.Rollout: "Rollouts", advice.Node: "A map on a node", advice.NodeState: "Conditions of a node"}[s]
}

func intro(s advice.Scope) string {
	return map[advice.Scope]string{
		advice.Map:       "In `status.conditions` of a BPFMap. The STATUS of `kubectl get bpfmaps` is the reason of Ready, which may also be one of [a map on a node](#a-map-on-a-node).",
		advice.Rollout:   "In `status.rollout.reason` of a BPFMap.",
		advice.Node:      "In `status.nodeStates` of a BPFMap and `status.maps` of a BPFNodeState.",
		advice.NodeState: "In `status.conditions` of a BPFNodeState, and for nodes that nothing is known of in `status.nodeStates` of a BPFMap.",
	}[s]
}
