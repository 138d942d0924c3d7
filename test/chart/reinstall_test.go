// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// TestReinstall installs, uninstalls and installs under another name: the CRDs and BPFMaps that stayed become the new
// release's, by the command that the page shows.
func TestReinstall(t *testing.T) {
	plane, err := controlplane.Start(t.Context(), controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	kubeconfig, err := plane.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) error {
		_, err := tool(t.Context(), "", name, append([]string{"--kubeconfig", kubeconfig}, args...)...)
		return err
	}
	install := []string{"install", "first", chartDir, "--namespace", namespace, "--create-namespace", "--no-hooks"}
	if err := run("helm", install...); err != nil {
		t.Fatal(err)
	}
	if err := run("kubectl", "apply", "-f", controlplane.Root()+"/config/samples/00-namespace.yaml", "-f", controlplane.Root()+"/config/samples/lpmtrie-blocklist.yaml"); err != nil {
		t.Fatal(err)
	}
	install[1] = "bpfmap"
	if err := run("helm", install...); err == nil || !strings.Contains(err.Error(), "another installation") {
		t.Errorf("two releases beside each other: %v", err)
	}
	if err := run("helm", "uninstall", "first", "--namespace", namespace, "--no-hooks"); err != nil {
		t.Fatal(err)
	}
	if err := run("helm", install...); err == nil || !strings.Contains(err.Error(), "invalid ownership metadata") {
		t.Errorf("under another name: %v", err)
	}
	shown := strings.Fields(docs.ShownBy(t, "docs/upgrade.md").Next().Text)
	if len(shown) < 4 || shown[0] != "helm" || shown[3] != "charts/bpfmap-operator" {
		t.Fatalf("the page shows %q", shown)
	}
	shown[3] = chartDir
	if err := run("helm", append(shown[1:], "--no-hooks")...); err != nil {
		t.Errorf("as the page shows: %v", err)
	}
	if err := run("kubectl", "get", "--namespace", "edge", "bpfmap", "blocklist"); err != nil {
		t.Errorf("the BPFMap that was there: %v", err)
	}
}
