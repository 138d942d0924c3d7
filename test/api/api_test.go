// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

var (
	api client.Client
)

const namespace = "api-test"

func TestMain(m *testing.M) {
	process.UseLogger(logr.Discard())
	plane, err := controlplane.Start(context.Background(), controlplane.Options{CRDs: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	scheme := process.Scheme()
	err = corev1.AddToScheme(scheme)
	if err == nil {
		api, err = client.New(plane.Config(), client.Options{Scheme: scheme})
	}
	if err == nil {
		err = api.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	code := 1
	if err == nil {
		code = m.Run()
	}
	if err := errors.Join(err, plane.Stop()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// object reads a manifest without any type of ours, as kubectl does.
func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &u.Object); err != nil {
		t.Fatal(err)
	}
	u.SetNamespace(namespace)
	return u
}

// strict refuses unknown fields, as kubectl's default does, and stores nothing.
var strict = []client.CreateOption{client.FieldValidation(metav1.FieldValidationStrict), client.DryRunAll}

// TestManifestsOfTheCompiler hands the compiler's good and bad manifests to the API server. The golden
// file holds what it says: each bad one is refused here or, as "left to the compiler", there.
func TestManifestsOfTheCompiler(t *testing.T) {
	for _, kind := range []string{"good", "bad"} {
		var got strings.Builder
		files, err := filepath.Glob("../../internal/compile/testdata/" + kind + "/*.yaml")
		if err != nil || len(files) < 10 {
			t.Fatalf("%d manifests, %v", len(files), err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			said := "accepted"
			if kind == "bad" {
				said = "left to the compiler"
			}
			if err := api.Create(t.Context(), object(t, string(text)), strict...); err != nil {
				said = err.Error()
			}
			fmt.Fprintf(&got, "%s: %s\n", strings.TrimSuffix(filepath.Base(file), ".yaml"), said)
		}
		golden.Equal(t, "testdata/"+kind+".golden", got.String())
	}
}

const table = `
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: table}
spec:
  type: Hash
  key: {type: u32}
  value: {type: u8}
  maxEntries: 4
  entries: [{key: 1, value: 2}]
`

// TestChanges says which fields of an existing BPFMap may change.
func TestChanges(t *testing.T) {
	for _, c := range []struct{ name, from, to, refusal string }{
		{"entries", "value: 2", "value: 3", ""},
		{"maxEntries", "maxEntries: 4", "maxEntries: 8", ""},
		{"fewer than there are", "maxEntries: 4", "maxEntries: 0", "maxEntries"},
		{"type of a map without a revision", "type: Hash", "type: LRUHash", ""},
		{"type with Swap", "type: Hash", "type: LRUHash\n  replacePolicy: Swap", ""},
		// Whether a schema has another layout is not for a rule to say: nodes compare it with the map that they have.
		{"key", "key: {type: u32}", "key: {type: u64}", ""},
		{"value", "value: {type: u8}", "value: {type: u16}", ""},
		{"field renamed", "value: {type: u8}", "value: {fields: [{name: action, type: u8}]}", ""},
		{"freeze", "maxEntries: 4", "maxEntries: 4\n  freeze: true", ""},
		{"unknown field", "maxEntries: 4", "maxEntries: 4\n  freese: true", `unknown field "spec.freese"`},
		{"unknown policy", "maxEntries: 4", "maxEntries: 4\n  syncPolicy: mirror", `Unsupported value: "mirror"`},
		{"more entries than room", "entries: [", "entries: [{key: 2, value: 1}, {key: 3, value: 1}, {key: 4, value: 1}, {key: 5, value: 1}, ", "entries holds 5 elements, more than maxEntries 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := object(t, table)
			if err := api.Create(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := api.Delete(context.Background(), old); err != nil {
					t.Error(err)
				}
			})
			if !strings.Contains(table, c.from) {
				t.Fatalf("nothing to change: %q", c.from)
			}
			changed := object(t, strings.Replace(table, c.from, c.to, 1))
			changed.SetResourceVersion(old.GetResourceVersion())
			err := api.Update(t.Context(), changed, client.FieldValidation(metav1.FieldValidationStrict))
			switch {
			case c.refusal == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.refusal != "" && (err == nil || !strings.Contains(err.Error(), c.refusal)):
				t.Errorf("error %v, want one that says %q", err, c.refusal)
			}
		})
	}
}

// TestTypeChangesBeforeTheFirstRevision: a map that no node ever had may get another type, and one that nodes may have not.
func TestTypeChangesBeforeTheFirstRevision(t *testing.T) {
	m := object(t, table)
	if err := api.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Delete(context.Background(), m); err != nil {
			t.Error(err)
		}
	})
	become := func(typ string) error {
		if err := unstructured.SetNestedField(m.Object, typ, "spec", "type"); err != nil {
			t.Fatal(err)
		}
		// A client can't make a revision be gone: the status is that of the stored object.
		unstructured.RemoveNestedField(m.Object, "status", "updateRevision")
		return api.Update(t.Context(), m)
	}
	report := func(status map[string]any) {
		t.Helper()
		m.Object["status"] = status
		if err := api.Status().Update(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := become("LRUHash"); err != nil {
		t.Errorf("without a status: %v", err)
	}
	report(map[string]any{"observedGeneration": m.GetGeneration(), "conditions": []any{}})
	if err := become("PerCPUHash"); err != nil {
		t.Errorf("without a revision: %v", err)
	}
	report(map[string]any{"observedGeneration": m.GetGeneration(), "updateRevision": "table-1"})
	const refusal = "spec.type is immutable while replacePolicy is Never"
	if err := become("Hash"); err == nil || !strings.Contains(err.Error(), refusal) {
		t.Errorf("with a revision: %v, want %q", err, refusal)
	}
}

// TestRevisionIsImmutable refuses every change of a revision's spec.
func TestRevisionIsImmutable(t *testing.T) {
	rev := object(t, `
apiVersion: bpfmap.io/v1alpha1
kind: BPFMapRevision
metadata: {name: table-1}
spec:
  mapName: table
  mapUID: u
  number: 1
  type: Hash
  keySize: 4
  valueSize: 1
  maxEntries: 4
  value: {type: u8}
  syncPolicy: Merge
  driftPolicy: Repair
  replacePolicy: Never
  deletionPolicy: Delete
  pin: {path: bpfmap/api-test/table}
  digest: "sha256:00"
  entryCount: 0
  entries: "AQ+/"
`)
	if err := api.Create(t.Context(), rev); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := api.Delete(context.Background(), rev); err != nil {
			t.Error(err)
		}
	}()
	rev.SetLabels(map[string]string{"bpfmap.io/active": "true"})
	if err := api.Update(t.Context(), rev); err != nil {
		t.Errorf("labels: %v", err)
	}
	changed := rev.DeepCopy()
	if err := unstructured.SetNestedField(changed.Object, "AQ++", "spec", "entries"); err != nil {
		t.Fatal(err)
	}
	if err := api.Update(t.Context(), changed); err == nil || !strings.Contains(err.Error(), "a revision is immutable") {
		t.Errorf("entries: %v", err)
	}
}
