// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package loop_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// TestHelmTest does what helm test does: it makes the chart's BPFMap, and runs the command of the chart's pod with the rights of
// its account and no others. Without the map the command fails.
func TestHelmTest(t *testing.T) {
	w := newWorld(t)
	newNode(t, w, true).start(t)
	out, err := controlplane.RenderChart(t.Context(), "r", w.namespace, "--show-only", "templates/tests/map.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var pod corev1.Pod
	dir := t.TempDir()
	var objects []string
	for document := range strings.SplitSeq(out, "\n---\n") {
		if strings.Contains(document, "\nkind: Pod\n") {
			if err := yaml.UnmarshalStrict([]byte(document), &pod); err != nil {
				t.Fatal(err)
			}
			continue
		}
		objects = append(objects, document)
	}
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	split := len(objects) - 1 // the BPFMap is the last one
	if err := plane.Apply(t.Context(), write("rights.yaml", strings.Join(objects[:split], "\n---\n"))); err != nil {
		t.Fatal(err)
	}
	config, err := plane.ConfigFor("system:serviceaccount:" + w.namespace + ":" + pod.Spec.ServiceAccountName)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := plane.WriteKubeconfig(kubeconfig, config); err != nil {
		t.Fatal(err)
	}
	run := func() (string, error) {
		args := slices.Concat(pod.Spec.Containers[0].Args, []string{"--kubeconfig=" + kubeconfig})
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		return string(out), err
	}
	if out, err := run(); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("without the map: %v\n%s", err, out)
	}
	if err := plane.Apply(t.Context(), write("map.yaml", objects[split])); err != nil {
		t.Fatal(err)
	}
	if out, err := run(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// It is on every node, those of other tests, too: Helm deletes it after the test.
	if err := w.DeleteAllOf(t.Context(), &v1alpha1.BPFMap{}, client.InNamespace(w.namespace)); err != nil {
		t.Fatal(err)
	}
	await.Nil(t, limit, func() error {
		left := &v1alpha1.BPFMapRevisionList{}
		if err := w.List(t.Context(), left, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		if len(left.Items) > 0 {
			return fmt.Errorf("%d revisions are left", len(left.Items))
		}
		return nil
	})
}
