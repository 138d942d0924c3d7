// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

func TestHelmLint(t *testing.T) {
	out, err := tool(t.Context(), "", "helm", "lint", "--strict", chartDir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestAPIServerTakesEveryObject sends what both ways render, in several configurations, to a real
// API server that has the CRDs, with strict field validation.
func TestAPIServerTakesEveryObject(t *testing.T) {
	cp := controlplane.New(t)
	kubeconfig, err := cp.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	kubectl := func(stdin string, args ...string) (string, error) {
		return tool(t.Context(), stdin, "kubectl", append([]string{"--kubeconfig", kubeconfig}, args...)...)
	}
	if _, err := kubectl("", "create", "namespace", namespace); err != nil {
		t.Fatal(err)
	}
	manifests := map[string]string{
		"config/default":      kustomize(t),
		"chart with defaults": helmTemplate(t),
		"chart with everything": helmTemplate(t, "metrics.enabled=true", "commonLabels.team=net",
			"commonAnnotations.note=n", "agent.allowedPinPrefixes.edge={xdp,tc/globals}", "controller.replicas=2",
			"imagePullSecrets[0].name=pull", "agent.podLabels.a=b", "controller.podAnnotations.c=d",
			"metrics.annotations.e=f", "image.digest=sha256:"+strings.Repeat("a", 64), "crds.keep=false",
			"rbac.aggregateToEdit=true", "agent.resources.limits.memory=1Gi"),
		"chart with little": helmTemplate(t, "crds.install=false", "rbac.create=false",
			"agent.serviceAccount.create=false", "controller.serviceAccount.create=false"),
	}
	for name, rendered := range manifests {
		t.Run(name, func(t *testing.T) {
			out, err := kubectl(rendered, "apply", "--dry-run=server", "--validate=strict", "-f", "-")
			if err != nil {
				t.Fatal(err)
			}
			want := len(parse(t, rendered))
			if got := strings.Count(out, "(server dry run)"); got != want {
				t.Errorf("the API server took %d objects of %d:\n%s", got, want, out)
			}
		})
	}
}

// TestBothWaysGrantTheSame compares what matters for security.
func TestBothWaysGrantTheSame(t *testing.T) {
	chart, config := parse(t, helmTemplate(t)), parse(t, kustomize(t))
	pod := []string{"spec", "template", "spec"}
	for _, c := range []struct{ kind, suffix string }{
		{"ClusterRole", "-controller"},
		{"ClusterRole", "-agent"},
		{"ClusterRole", "-viewer"},
		{"ClusterRole", "-editor"},
		{"Role", "-controller"},
	} {
		a, b := find(t, chart, c.kind, c.suffix), find(t, config, c.kind, c.suffix)
		if diff := cmp.Diff(at(t, a, "rules"), at(t, b, "rules")); diff != "" {
			t.Errorf("rules of %s *%s differ (-chart +config):\n%s", c.kind, c.suffix, diff)
		}
	}
	for _, c := range []struct{ kind, suffix string }{
		{"Deployment", "-controller"},
		{"DaemonSet", "-agent"},
	} {
		a, b := find(t, chart, c.kind, c.suffix), find(t, config, c.kind, c.suffix)
		specA, specB := at(t, a, pod...).(map[string]any), at(t, b, pod...).(map[string]any)
		// The image's version and the names of the service accounts are each way's own.
		for _, spec := range []map[string]any{specA, specB} {
			delete(spec, "serviceAccountName")
			for _, container := range spec["containers"].([]any) {
				delete(container.(map[string]any), "image")
			}
		}
		sortArgs(specA)
		sortArgs(specB)
		if diff := cmp.Diff(specA, specB); diff != "" {
			t.Errorf("pods of %s *%s differ (-chart +config):\n%s", c.kind, c.suffix, diff)
		}
	}
}

func sortArgs(podSpec map[string]any) {
	for _, container := range podSpec["containers"].([]any) {
		args := container.(map[string]any)["args"].([]any)
		slices.SortFunc(args[1:], func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	}
}

// TestLeastPrivilege pins what docs/security.md promises, whoever edits the manifests.
func TestLeastPrivilege(t *testing.T) {
	objects := parse(t, helmTemplate(t))
	type rights struct {
		Capabilities           map[string]any
		User                   any
		ReadOnlyRoot, Escalate any
		MemoryLimit            any
		Seccomp                any
	}
	of := func(kind, suffix string) rights {
		pod := at(t, find(t, objects, kind, suffix), "spec", "template", "spec").(map[string]any)
		container := pod["containers"].([]any)[0].(map[string]any)
		security := container["securityContext"].(map[string]any)
		limits, _ := container["resources"].(map[string]any)["limits"].(map[string]any)
		podSecurity := pod["securityContext"].(map[string]any)
		return rights{
			Capabilities: security["capabilities"].(map[string]any),
			User:         podSecurity["runAsUser"],
			ReadOnlyRoot: security["readOnlyRootFilesystem"],
			Escalate:     security["allowPrivilegeEscalation"],
			MemoryLimit:  limits["memory"],
			Seccomp:      podSecurity["seccompProfile"].(map[string]any)["type"],
		}
	}
	agent := rights{
		Capabilities: map[string]any{"drop": []any{"ALL"}, "add": []any{"BPF", "CHOWN", "DAC_OVERRIDE"}},
		User:         int64(0), ReadOnlyRoot: true, Escalate: false, Seccomp: "RuntimeDefault",
	}
	if diff := cmp.Diff(agent, of("DaemonSet", "-agent")); diff != "" {
		t.Errorf("rights of the agent (-want +got):\n%s", diff)
	}
	controller := rights{
		Capabilities: map[string]any{"drop": []any{"ALL"}},
		User:         int64(65532), ReadOnlyRoot: true, Escalate: false, Seccomp: "RuntimeDefault",
		MemoryLimit: "512Mi",
	}
	if diff := cmp.Diff(controller, of("Deployment", "-controller")); diff != "" {
		t.Errorf("rights of the controller (-want +got):\n%s", diff)
	}
}

func TestValuesAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"agent.memoryLimit=1Gi":          "memoryLimit",
		"log.level=verbose":              "level",
		"image.digest=latest":            "digest",
		"agent.resyncPeriod=often":       "resyncPeriod",
		"agent.bpffs.path=sys/fs/bpf":    "path",
		"agent.allowedPinPrefixes.a={/}": "allowedPinPrefixes",
		"metrics.port=8081":              "port",
	} {
		_, err := tool(t.Context(), "", "helm", "template", "x", chartDir, "--set", set)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: got error %v, want one that names %s", set, err, want)
		}
	}
}

// TestEveryValueIsDocumented wants a comment "# -- ..." above each value that the schema knows.
func TestEveryValueIsDocumented(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(content, &values); err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	var inComment bool
	for _, line := range strings.Split(string(content), "\n") {
		text := strings.TrimSpace(line)
		if strings.HasPrefix(text, "#") {
			inComment = inComment || strings.HasPrefix(text, "# -- ")
			continue
		}
		if name, _, isKey := strings.Cut(text, ":"); isKey && inComment {
			documented[name] = true
		}
		inComment = false
	}
	var check func(path string, values map[string]any)
	check = func(path string, values map[string]any) {
		for name, value := range values {
			group, isGroup := value.(map[string]any)
			switch {
			case documented[name]:
			case isGroup && len(group) > 0:
				check(path+name+".", group)
			default:
				t.Errorf("values.yaml: %s%s has no comment \"# -- ...\"", path, name)
			}
		}
	}
	check("", values)
}
