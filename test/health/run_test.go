// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// render builds a kustomization, so that what is tested is what people get.
func render(t *testing.T, dir string, into any) {
	t.Helper()
	kubectl, err := controlplane.Tool("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), kubectl, "kustomize", dir).Output()
	if err != nil {
		t.Fatalf("render %s: %v", dir, err)
	}
	if err := yaml.UnmarshalStrict(out, into); err != nil {
		t.Fatalf("read what %s renders: %v", dir, err)
	}
}

// argoScripts are the Lua scripts by kind, from the ConfigMap.
func argoScripts(t *testing.T) map[string]string {
	t.Helper()
	var configMap struct {
		APIVersion, Kind string
		Metadata         struct {
			Name, Namespace string
			Labels          map[string]string
		}
		Data map[string]string
	}
	render(t, filepath.Join(controlplane.Root(), "config", "health", "argocd"), &configMap)
	if m := configMap.Metadata; m.Name != "argocd-cm" || m.Namespace != "argocd" {
		t.Errorf("the ConfigMap is %s/%s, Argo CD reads argocd/argocd-cm", m.Namespace, m.Name)
	}
	scripts := map[string]string{}
	for key, script := range configMap.Data {
		kind, found := strings.CutPrefix(key, "resource.customizations.health.bpfmap.io_")
		if !found {
			t.Errorf("unexpected key %s", key)
		}
		scripts[kind] = script
	}
	return scripts
}

// runLua evaluates a script as Argo CD does: with the libraries base and table alone, for a second.
func runLua(t *testing.T, script string, object map[string]any) (health, message string) {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", toLua(state, object))
	if err := state.DoString(script); err != nil {
		t.Fatalf("run the script: %v", err)
	}
	table, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		t.Fatalf("the script returns %s, want a table", state.Get(-1).Type())
	}
	return lua.LVAsString(table.RawGetString("status")), lua.LVAsString(table.RawGetString("message"))
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.NewTable()
		for _, member := range value {
			table.Append(toLua(state, member))
		}
		return table
	case map[string]any:
		table := state.NewTable()
		for name, member := range value {
			table.RawSetString(name, toLua(state, member))
		}
		return table
	}
	return lua.LNil
}

// expressions are an element of spec.healthCheckExprs.
type expressions struct {
	APIVersion, Kind            string
	InProgress, Failed, Current string
}

// fluxExpressions are those that the component gives to a Flux Kustomization, by kind.
func fluxExpressions(t *testing.T) map[string]expressions {
	t.Helper()
	dir := overlay(t, filepath.Join(controlplane.Root(), "config", "health", "flux"))
	var kustomization struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Path, Interval   string
			Wait             bool
			HealthCheckExprs []expressions
		}
	}
	render(t, dir, &kustomization)
	if kustomization.Metadata.Name != "apps" || kustomization.Spec.Path != "./apps" {
		t.Errorf("the component spoils the Kustomization: %+v", kustomization)
	}
	result := map[string]expressions{}
	for _, e := range kustomization.Spec.HealthCheckExprs {
		if e.APIVersion != "bpfmap.io/v1alpha1" {
			t.Errorf("%s has apiVersion %s", e.Kind, e.APIVersion)
		}
		result[e.Kind] = e
	}
	return result
}

// evaluate imitates Flux: generations first, then the expressions in the order of its RFC 0009, parsed
// but not type-checked.
func evaluate(t *testing.T, e expressions, object map[string]any) string {
	t.Helper()
	observed, found, _ := unstructured.NestedInt64(object, "status", "observedGeneration")
	if generation, _, _ := unstructured.NestedInt64(object, "metadata", "generation"); found && observed != generation {
		return inProgress
	}
	env, err := cel.NewEnv(cel.HomogeneousAggregateLiterals(), cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true), cel.OptionalTypes(), ext.Strings(), ext.Sets(), ext.Encoders())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ expression, verdict string }{
		{e.InProgress, inProgress}, {e.Failed, failed}, {e.Current, current},
	} {
		ast, issues := env.Parse(step.expression)
		if issues.Err() != nil {
			t.Fatalf("%s: %v", step.expression, issues.Err())
		}
		program, err := env.Program(ast)
		if err != nil {
			t.Fatal(err)
		}
		value, _, err := program.Eval(object)
		if err != nil {
			if _, hasStatus := object["status"]; hasStatus {
				t.Errorf("%s: %v", step.expression, err)
			}
			return waits
		}
		if value.Value() == true {
			return step.verdict
		}
	}
	return inProgress
}

// overlay is a folder with one Flux Kustomization and the component.
func overlay(t *testing.T, component string) string {
	t.Helper()
	dir := t.TempDir()
	relative, err := filepath.Rel(dir, component)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"kustomization.yaml": "resources: [apps.yaml]\ncomponents: [" + relative + "]\n",
		"apps.yaml": "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps}\n" +
			"spec: {path: ./apps, interval: 1h}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestArgoKeepsOtherKeys does what config/health/argocd says to do, to an argocd-cm that has keys of
// its own.
func TestArgoKeepsOtherKeys(t *testing.T) {
	plane := controlplane.New(t)
	kubeconfig, err := plane.Kubeconfig()
	if err != nil {
		t.Fatal(err)
	}
	program, err := controlplane.Tool("kubectl")
	if err != nil {
		t.Fatal(err)
	}
	kubectl := func(stdin string, args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append([]string{"--kubeconfig", kubeconfig}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	const existing = `
{apiVersion: v1, kind: Namespace, metadata: {name: argocd}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: argocd-cm, namespace: argocd, labels: {
  app.kubernetes.io/name: argocd-cm, app.kubernetes.io/part-of: argocd}}, data: {url: https://argocd.example.com}}
`
	kubectl(existing, "apply", "-f", "-")
	shown := exec.CommandContext(t.Context(), "bash", "-e", "-o", "pipefail", "-c", docs.ShownBy(t, "docs/howto/gitops.md").Next().Text)
	shown.Dir = controlplane.Root()
	shown.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	if out, err := shown.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got := kubectl("", "get", "configmap", "argocd-cm", "-n", "argocd", "-o", "jsonpath={.data}")
	for _, want := range []string{"https://argocd.example.com", "bpfmap.io_BPFMap", "bpfmap.io_BPFNodeState"} {
		if !strings.Contains(got, want) {
			t.Errorf("argocd-cm has no %s: %s", want, got)
		}
	}
}
