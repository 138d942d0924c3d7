// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/test/docs"
)

// documents are the documents of a block of YAML.
func documents(text string) (all []map[string]any, err error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		var object map[string]any
		if err := yaml.UnmarshalStrict(document, &object); err != nil {
			return nil, err
		}
		if object != nil {
			all = append(all, object)
		}
	}
}

// elsewhere are errors of bpfmap validate about objects that a block refers to and doesn't show.
var elsewhere = regexp.MustCompile(`does not exist in namespace .* among the manifests|--offline`)

// manifests is what is wrong with a block of complete manifests.
func manifests(t *testing.T, b docs.Block) string {
	t.Helper()
	objects, err := documents(b.Text)
	if err != nil {
		return err.Error()
	}
	if len(objects) == 0 {
		return "no manifest, and no mark"
	}
	maps := false
	for _, object := range objects {
		var problem string
		switch kind, version := object["kind"], object["apiVersion"]; {
		case kind == nil || version == nil:
			return "is a part of a manifest: mark it with what it is part of (test/docs/doc.go)"
		case version == "bpfmap.io/v1alpha1" && kind == "BPFMap":
			maps = true
			problem = conforms(schema(t), object)
		default:
			problem = decode(object, b.Mark.Verb == "file")
		}
		if problem != "" {
			return problem
		}
	}
	if !maps {
		return ""
	}
	file := filepath.Join(t.TempDir(), "block.yaml")
	if err := os.WriteFile(file, []byte(b.Text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), bpfmap, "validate", "--offline", "-f", file).CombinedOutput()
	if err == nil {
		return ""
	}
	for line := range strings.Lines(string(out)) {
		if strings.HasPrefix(line, "Error: ") && !elsewhere.MatchString(line) {
			return line
		}
	}
	return ""
}

// decode reads an object of Kubernetes itself, strictly. Other kinds are for the tools that a page's commands run, if used
// says that they do.
func decode(object map[string]any, used bool) string {
	text, err := json.Marshal(object)
	if err != nil {
		return err.Error()
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	if _, _, err := decoder.Decode(text, nil, nil); runtime.IsNotRegisteredError(err) {
		if used {
			return ""
		}
		return fmt.Sprintf("%v isn't a kind of Kubernetes itself: it needs a mark", object["kind"])
	} else if err != nil {
		return err.Error()
	}
	return ""
}

// schema is the JSON schema that editors use.
func schema(t *testing.T) *spec.Schema {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config/jsonschema/bpfmap_v1alpha1.json"))
	if err != nil {
		t.Fatal(err)
	}
	s := &spec.Schema{}
	if err := json.Unmarshal(text, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func conforms(s *spec.Schema, object any) string {
	if err := validate.NewSchemaValidator(s, nil, "", strfmt.Default).Validate(object).AsError(); err != nil {
		return err.Error()
	}
	return ""
}

// fragment holds a part of a BPFMap to that part of its schema; fields that aren't shown may be required.
func fragment(t *testing.T, b docs.Block) string {
	t.Helper()
	s := schema(t)
	names := strings.Split(b.Mark.Argument, ".")
	if names[0] != "BPFMap" {
		return "what it is part of begins with BPFMap"
	}
	for _, name := range names[1:] {
		name, element := strings.CutSuffix(name, "[]")
		below, ok := s.Properties[name]
		if !ok {
			return "a BPFMap has no " + b.Mark.Argument
		}
		s = &below
		if element {
			s = s.Items.Schema
		}
	}
	optional(s)
	objects, err := documents(b.Text)
	if err != nil {
		return err.Error()
	}
	if len(objects) == 0 {
		return "is empty"
	}
	for _, object := range objects {
		if problem := conforms(s, object); problem != "" {
			return problem
		}
	}
	return ""
}

// optional lets every field of a schema be missing.
func optional(s *spec.Schema) {
	s.Required = nil
	for name, below := range s.Properties {
		optional(&below)
		s.Properties[name] = below
	}
	if s.Items != nil && s.Items.Schema != nil {
		optional(s.Items.Schema)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		optional(s.AdditionalProperties.Schema)
	}
}

// TestSamplesConform holds every sample to the schema that editors use, and each with one mistake doesn't.
func TestSamplesConform(t *testing.T) {
	s, checked := schema(t), 0
	err := filepath.WalkDir(filepath.Join(root, "config/samples"), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		objects, err := documents(string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, object := range objects {
			if object["kind"] != "BPFMap" {
				continue
			}
			checked++
			if problem := conforms(s, object); problem != "" {
				t.Errorf("%s: %s", path, problem)
			}
			object["spec"].(map[string]any)["maxEntires"] = int64(1)
			if conforms(s, object) == "" {
				t.Errorf("%s: the schema takes the field maxEntires", path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked < 60 {
		t.Errorf("%d samples are BPFMaps: there are more", checked)
	}
}
