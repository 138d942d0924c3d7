// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// TestAPIServerTakesTheSamples keeps config/samples true to the CRDs: every field is known and every
// rule holds.
func TestAPIServerTakesTheSamples(t *testing.T) {
	cp := controlplane.New(t)
	kubeconfig, err := cp.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"samples", "samples/types", "samples/newer", "samples/node", "samples/feeds", "samples/fetched"} {
		samples := filepath.Join(controlplane.Root(), "config", folder)
		rendered, err := tool(t.Context(), "", "kubectl", "kustomize", samples)
		if err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(samples, "*.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		objects := parse(t, rendered)
		if want := len(files); len(objects) < want {
			t.Errorf("%s: Kustomization lists %d objects, the folder has %d files", folder, len(objects), want)
		}
		// Not a dry run: the namespace has to be there for the maps.
		out, err := tool(t.Context(), rendered, "kubectl", "--kubeconfig", kubeconfig, "apply", "--validate=strict", "-f", "-")
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(out, " created"); got != len(objects) {
			t.Errorf("%s: created %d of %d objects:\n%s", folder, got, len(objects), out)
		}
	}
}

// TestSamplesByFolder does what people type: the folder's own file for kustomize isn't in the way, and the namespace of the
// samples comes first.
func TestSamplesByFolder(t *testing.T) {
	cp := controlplane.New(t)
	kubeconfig, err := cp.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"samples", "samples/types", "samples/newer", "samples/node", "samples/feeds", "samples/fetched", "samples/feed"} {
		_, err := tool(t.Context(), "", "kubectl", "--kubeconfig", kubeconfig, "apply", "--server-side", "-f", filepath.Join(controlplane.Root(), "config", folder))
		if err != nil {
			t.Errorf("kubectl apply -f config/%s: %v", folder, err)
		}
	}
}

// TestNotes sends the BPFMap that NOTES.txt tells people to apply, and compares what it calls things
// with what the chart installs.
func TestNotes(t *testing.T) {
	cp := controlplane.New(t)
	kubeconfig, err := cp.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	notes, err := tool(t.Context(), "", "helm", "install", "bpfmap-operator", chartDir, "--namespace", namespace, "--dry-run=client",
		"--kubeconfig", kubeconfig, "--set", "crds.install=false")
	if err != nil {
		t.Fatal(err)
	}
	_, notes, found := strings.Cut(notes, "NOTES:\n")
	_, rest, started := strings.Cut(notes, "<<'EOF'\n")
	manifest, _, ended := strings.Cut(rest, "   EOF\n")
	if !found || !started || !ended {
		t.Fatalf("no manifest between <<'EOF' and EOF in:\n%s", notes)
	}
	manifest = strings.ReplaceAll("\n"+manifest, "\n   ", "\n")
	if _, err := tool(t.Context(), manifest, "kubectl", "--kubeconfig", kubeconfig, "apply", "--validate=strict", "-f", "-"); err != nil {
		t.Errorf("%v\n%s", err, manifest)
	}
	objects := parse(t, helmTemplate(t))
	for kind, suffix := range map[string]string{"Deployment": "-controller", "DaemonSet": "-agent", "ClusterRole": "-editor"} {
		if name := find(t, objects, kind, suffix).GetName(); !strings.Contains(notes, name) {
			t.Errorf("NOTES.txt doesn't name %s %s", kind, name)
		}
	}
}
