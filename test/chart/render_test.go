// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

const namespace = "bpfmap-system"

var (
	chartDir  = filepath.Join(controlplane.Root(), "charts", "bpfmap-operator")
	configDir = filepath.Join(controlplane.Root(), "config", "default")
)

// tool runs helm or kubectl and returns stdout, and stderr as the error.
func tool(ctx context.Context, stdin, name string, args ...string) (string, error) {
	path, err := controlplane.Tool(name)
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), errors.Join(err, errors.New(stderr.String()))
	}
	return stdout.String(), nil
}

// rendered is what helmTemplate rendered, by its values: Helm takes a moment for each.
var rendered = map[string]string{}

// helmTemplate renders the chart with the given --set values.
func helmTemplate(t *testing.T, set ...string) string {
	t.Helper()
	key := strings.Join(set, "\n")
	if out, ok := rendered[key]; ok {
		return out
	}
	args := []string{"template", "bpfmap-operator", chartDir, "--namespace", namespace}
	for _, value := range set {
		args = append(args, "--set", value)
	}
	out, err := tool(t.Context(), "", "helm", args...)
	if err != nil {
		t.Fatalf("render the chart: %v", err)
	}
	rendered[key] = out
	return out
}

// kustomize renders config/default.
func kustomize(t *testing.T) string {
	t.Helper()
	out, err := tool(t.Context(), "", "kubectl", "kustomize", configDir)
	if err != nil {
		t.Fatalf("render config/default: %v", err)
	}
	return out
}

// kustomizeWith renders an overlay of config/default with a component and, if there are any, patches of its own.
func kustomizeWith(t *testing.T, component, patches string) string {
	t.Helper()
	overlay := "resources: [../default]\ncomponents: [../" + component + "]\n"
	if patches != "" {
		overlay += "patches:" + patches
	}
	return kustomizeOverlay(t, overlay)
}

// kustomizeOverlay renders a kustomization that is meant for a folder of config.
func kustomizeOverlay(t *testing.T, overlay string) string {
	t.Helper()
	dir := t.TempDir()
	config, err := filepath.Rel(dir, filepath.Join(controlplane.Root(), "config"))
	if err != nil {
		t.Fatal(err)
	}
	overlay = strings.ReplaceAll(overlay, "[../", "["+config+"/")
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(overlay), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := tool(t.Context(), "", "kubectl", "kustomize", dir)
	if err != nil {
		t.Fatalf("render %s: %v", overlay, err)
	}
	return out
}

func parse(t *testing.T, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects
		case err != nil:
			t.Fatalf("parse manifests: %v", err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

// find returns the only object of a kind whose name ends in suffix.
func find(t *testing.T, objects []*unstructured.Unstructured, kind, suffix string) *unstructured.Unstructured {
	t.Helper()
	var found []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() == kind && strings.HasSuffix(object.GetName(), suffix) {
			found = append(found, object)
		}
	}
	if len(found) != 1 {
		t.Fatalf("found %d objects of kind %s with name *%s, want 1", len(found), kind, suffix)
	}
	return found[0]
}

// at returns the value at a path of fields.
func at(t *testing.T, object *unstructured.Unstructured, fields ...string) any {
	t.Helper()
	value, found, err := unstructured.NestedFieldNoCopy(object.Object, fields...)
	if err != nil || !found {
		t.Fatalf("%s %s has no %s (%v)", object.GetKind(), object.GetName(), strings.Join(fields, "."), err)
	}
	return value
}
