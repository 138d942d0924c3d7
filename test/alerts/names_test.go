// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package alerts_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/internal/metrics"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// others are the metrics of the libraries that alerts and dashboard name. That they exist shows where the
// alerts fire and the panels have data.
var others = []string{
	"controller_runtime_reconcile_errors_total", "controller_runtime_reconcile_total", "leader_election_master_status",
}

var words = regexp.MustCompile(`\b[a-z]+(_[a-z]+)+\b`)

// unknownNames are the words of a query that look like a metric's name and aren't one.
func unknownNames(query string) (unknown []string) {
	known := map[string]bool{}
	for _, m := range metrics.Table() {
		known[m.Name] = true
		for _, label := range m.Labels {
			known[label] = true
		}
		if m.Type == "histogram" {
			known[m.Name+"_bucket"] = true
		}
	}
	for _, name := range append(others, "histogram_quantile", "rolled_back", "__rate_interval", "rate_interval", "label_values", "group_left") {
		known[name] = true
	}
	for _, word := range words.FindAllString(query, -1) {
		if !known[word] {
			unknown = append(unknown, word)
		}
	}
	return unknown
}

// TestRulesAreComplete wants every alert to name metrics that exist, and to say how long, how bad, what, and
// what to do: in a section of docs/operations.md.
func TestRulesAreComplete(t *testing.T) {
	rules, text, err := readRules()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	const runbooks = "https://github.com/bpfmap-io/bpfmap-operator/blob/main/docs/operations.md#"
	documented := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^### (BPFMap\w+)$`).FindAllStringSubmatch(string(page), -1) {
		documented[heading[1]] = true
	}
	for _, r := range rules {
		if unknown := unknownNames(r.Expr); unknown != nil {
			t.Errorf("%s names %v, which nobody serves", r.Alert, unknown)
		}
		if r.For == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks for, summary or description", r.Alert)
		}
		if s := r.Labels["severity"]; s != "critical" && s != "warning" && s != "info" {
			t.Errorf("%s has the severity %q", r.Alert, s)
		}
		if want := runbooks + strings.ToLower(r.Alert); r.Annotations["runbook_url"] != want {
			t.Errorf("%s has the runbook %q, want %q", r.Alert, r.Annotations["runbook_url"], want)
		}
		if !documented[r.Alert] {
			t.Errorf("docs/operations.md has no section %s", r.Alert)
		}
		delete(documented, r.Alert)
	}
	for alert := range documented {
		t.Errorf("docs/operations.md describes %s, which isn't an alert", alert)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", "--lint-fatal", file)
}

// promtool runs Prometheus' own checks.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("%v (hack/packages.sh prometheus:prometheus)", err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// TestDashboardNamesWhatExists looks for metrics that nobody serves.
func TestDashboardNamesWhatExists(t *testing.T) {
	queries := readDashboard(t).queries()
	if len(queries) < 20 {
		t.Errorf("only %d queries", len(queries))
	}
	used := ""
	for _, q := range queries {
		used += q.expr + "\n"
		if unknown := unknownNames(q.expr); unknown != nil {
			t.Errorf("panel %q names %v, which nobody serves", q.panel, unknown)
		}
	}
	rules, _, err := readRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		used += r.Expr + "\n"
	}
	for _, m := range metrics.Table() {
		if !regexp.MustCompile(`\b` + m.Name + `(_bucket)?\b`).MatchString(used) {
			t.Logf("no alert and no panel shows %s", m.Name)
		}
	}
}

// ours matches names of this project's own metrics: what contents become is named by BPFMaps.
var ours = regexp.MustCompile(`\bbpfmap_(?:build|bpf|chunk|cluster|compile|drift|node|source|status|sync)_[a-z_]*[a-z]\b`)

// TestTextsNameWhatExists looks for metrics that nobody serves in what people read about them.
func TestTextsNameWhatExists(t *testing.T) {
	known := map[string]bool{}
	for _, m := range metrics.Table() {
		known[m.Name] = true
	}
	found := 0
	for _, folder := range []string{"api", "docs", "charts", "config"} {
		err := filepath.WalkDir(filepath.Join(controlplane.Root(), folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, name := range ours.FindAllString(string(text), -1) {
				found++
				if !known[strings.TrimSuffix(name, "_bucket")] {
					t.Errorf("%s names %s, which nobody serves", path, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 100 {
		t.Errorf("only %d names", found)
	}
}
