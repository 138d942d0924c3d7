// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// generated is the schema of one of this tree's CRDs.
func generated(t *testing.T, plural string) *spec.Schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(controlplane.Root(), "config/crd/bases/bpfmap.io_"+plural+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema json.RawMessage `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	schema := &spec.Schema{}
	if err := json.Unmarshal(crd.Spec.Versions[0].Schema.OpenAPIV3Schema, schema); err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestMissingFields(t *testing.T) {
	for plural, kind := range map[string]any{
		"bpfmaps": v1alpha1.BPFMap{}, "bpfmaprevisions": v1alpha1.BPFMapRevision{},
		"bpfmapchunks": v1alpha1.BPFMapChunk{}, "bpfnodestates": v1alpha1.BPFNodeState{},
	} {
		if missing := missingFields(reflect.TypeOf(kind), generated(t, plural)); len(missing) > 0 {
			t.Errorf("the CRD that was made from the type lacks %v", missing)
		}
	}
	older := generated(t, "bpfmaps")
	declared, status := older.Properties["spec"], older.Properties["status"]
	delete(declared.Properties, "entriesFrom")
	rollout := declared.Properties["rollout"]
	delete(rollout.Properties, "partition")
	conditions := status.Properties["conditions"]
	delete(conditions.Items.Schema.Properties, "observedGeneration")
	value := declared.Properties["value"]
	fields := value.Properties["fields"]
	delete(fields.Items.Schema.Properties, "packed")
	want := []string{"spec.value.fields.packed", "spec.entriesFrom", "spec.rollout.partition", "status.conditions.observedGeneration"}
	got := missingFields(reflect.TypeFor[v1alpha1.BPFMap](), older)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
