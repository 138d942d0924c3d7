// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// TestGeneratedNames lets kustomize generate a ConfigMap and a Secret: their names arrive in a BPFMap's entriesFrom by
// config/kustomize/namereference.yaml, and don't without it.
func TestGeneratedNames(t *testing.T) {
	reference, err := os.ReadFile(filepath.Join(controlplane.Root(), "config", "kustomize", "namereference.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	shown := docs.ShownBy(t, "docs/feeds.md").Next().Text
	for _, withReference := range []bool{true, false} {
		dir := t.TempDir()
		kustomization := "resources: [map.yaml]\nsecretGenerator: [{name: private, files: [drop.txt]}]\n" + shown
		if !withReference {
			kustomization = strings.Replace(kustomization, "configurations: [namereference.yaml]\n", "", 1)
		}
		for name, text := range map[string]string{
			"kustomization.yaml": kustomization, "namereference.yaml": string(reference), "drop.txt": "192.0.2.0/24\n",
			"map.yaml": `apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: blocklist}
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u8}
  maxEntries: 16
  entriesFrom:
  - {configMapRef: {name: feed, key: drop.txt}, format: Lines, value: 1}
  - {secretRef: {name: private, key: drop.txt}, format: Lines, value: 1}
  - {configMapRef: {name: other, key: drop.txt}, format: Lines, value: 1}
`,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := tool(t.Context(), "", "kubectl", "kustomize", dir)
		if err != nil {
			t.Fatal(err)
		}
		objects := parse(t, out)
		want := []string{"feed", "private", "other"}
		if withReference {
			want = []string{generated(t, objects, "ConfigMap", "feed-"), generated(t, objects, "Secret", "private-"), "other"}
		}
		elements := at(t, find(t, objects, "BPFMap", "blocklist"), "spec", "entriesFrom").([]any)
		for i, field := range []string{"configMapRef", "secretRef", "configMapRef"} {
			if got := elements[i].(map[string]any)[field].(map[string]any)["name"]; got != want[i] {
				t.Errorf("with namereference.yaml %v: spec.entriesFrom[%d] names %v, want %s", withReference, i, got, want[i])
			}
		}
	}
}

// generated is the name that kustomize made of one, with a hash behind it.
func generated(t *testing.T, objects []*unstructured.Unstructured, kind, prefix string) string {
	t.Helper()
	name := find(t, objects, kind, "").GetName()
	if hash, ok := strings.CutPrefix(name, prefix); !ok || hash == "" {
		t.Fatalf("kustomize names the %s %s, want %s and a hash", kind, name, prefix)
	}
	return name
}

// TestMovedNamespace moves config/default, alone and with components, as docs/operations.md says: nothing stays behind but what
// has to, the admission policy is about the account where it is now, and a real API server takes every object.
func TestMovedNamespace(t *testing.T) {
	shown := docs.ShownBy(t, "docs/operations.md")
	overlay, ofComponents, ofCertificates := shown.Next().Text, shown.Next().Text, shown.Next().Text
	kubeconfig := apiServer(t)
	if _, err := tool(t.Context(), "", "kubectl", "--kubeconfig", kubeconfig, "create", "namespace", "maps"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		components []string
		more       string
		inSystem   int // objects in kube-system
	}{
		{nil, "", 0},
		{[]string{"contents", "memlock", "secrets", "sources"}, ofComponents, 2},
		{[]string{"contents", "monitoring"}, ofComponents, 2},
		{[]string{"contents", "podmonitors"}, ofComponents, 2},
		{[]string{"contents", "metricstls"}, ofComponents + ofCertificates, 2},
	} {
		t.Run(strings.Join(c.components, ","), func(t *testing.T) {
			moved := moveTo(t, overlay+c.more, c.components)
			checkMoved(t, parse(t, moved), c.inSystem)
			if strings.Contains(moved, "monitoring.coreos.com/") {
				return // which this API server doesn't know
			}
			if _, err := tool(t.Context(), moved, "kubectl", "--kubeconfig", kubeconfig, "apply", "--dry-run=server", "--validate=strict", "-f", "-"); err != nil {
				t.Error(err)
			}
		})
	}
}

// moveTo renders an overlay over config/default of this tree, with components.
func moveTo(t *testing.T, overlay string, components []string) string {
	t.Helper()
	dir := t.TempDir()
	base, err := filepath.Rel(dir, configDir)
	if err != nil {
		t.Fatal(err)
	}
	overlay = regexp.MustCompile(`resources: \[.*\]`).ReplaceAllString(overlay, "resources: ["+base+"]")
	for i, name := range components {
		if i == 0 {
			overlay += "components:\n"
		}
		overlay += "- " + filepath.Join(base, "..", name) + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := tool(t.Context(), "", "kubectl", "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func checkMoved(t *testing.T, objects []*unstructured.Unstructured, inSystem int) {
	t.Helper()
	for _, object := range objects {
		text, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), namespace) {
			t.Errorf("%s %s still names %s", object.GetKind(), object.GetName(), namespace)
		}
		if object.GetNamespace() == "kube-system" {
			inSystem--
		}
	}
	if inSystem != 0 {
		t.Errorf("%d objects more should be in kube-system", inSystem)
	}
	policy := find(t, objects, "ValidatingAdmissionPolicy", "bpfmap-agent")
	condition := at(t, policy, "spec", "matchConditions").([]any)[0].(map[string]any)["expression"].(string)
	if !strings.HasSuffix(condition, "'system:serviceaccount:maps:bpfmap-agent'") {
		t.Errorf("the policy is about %s", condition)
	}
}

// TestWatchedNamespacesByOverlay compares the overlay of docs/watch-namespaces.md with the chart's value for the same.
func TestWatchedNamespacesByOverlay(t *testing.T) {
	shown := docs.ShownBy(t, "docs/watch-namespaces.md")
	overlay, team := shown.Next().Text, shown.Next().Text
	dir := t.TempDir()
	write := func(folder, text string) {
		t.Helper()
		path := filepath.Join(dir, folder)
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
		config, err := filepath.Rel(path, filepath.Join(controlplane.Root(), "config"))
		if err != nil {
			t.Fatal(err)
		}
		text = regexp.MustCompile(`https://github.com/bpfmap-io/bpfmap-operator/config/([a-z/]+)\?ref=main`).ReplaceAllString(text, config+"/$1")
		if err := os.WriteFile(filepath.Join(path, "kustomization.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".", overlay)
	write("team-a", team)
	write("team-b", strings.ReplaceAll(team, "team-a", "team-b"))
	out, err := tool(t.Context(), "", "kubectl", "kustomize", dir)
	if err != nil {
		t.Fatal(err)
	}
	sameObjects(t, helmTemplate(t, "watchNamespaces={team-a,team-b}"), out)
}

// TestMapOfHelmTest is in a namespace that is watched, with the role for it.
func TestMapOfHelmTest(t *testing.T) {
	for watched, want := range map[string]string{"": namespace, "watchNamespaces={team-a,team-b}": "team-a", "watchNamespaces={team-a," + namespace + "}": namespace} {
		objects := parse(t, helmTemplate(t, strings.Fields(watched)...))
		for _, kind := range []string{"BPFMap", "Role", "RoleBinding"} {
			if in := find(t, objects, kind, "-test").GetNamespace(); in != want {
				t.Errorf("%s: the %s of helm test is in %s, want %s", watched, kind, in, want)
			}
		}
		pod := find(t, objects, "Pod", "-test")
		args := at(t, pod, "spec", "containers").([]any)[0].(map[string]any)["args"].([]any)
		if pod.GetNamespace() != namespace || !slices.Contains(args, any("--namespace="+want)) {
			t.Errorf("%s: the pod of helm test is in %s and runs %v, want to look in %s", watched, pod.GetNamespace(), args, want)
		}
	}
}
