// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package compile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/compile"
	"github.com/bpfmap-io/bpfmap-operator/test/golden"
)

const feeds = "../../config/samples/feeds"

// TestPublishedFeeds compiles an excerpt in the format of each published feed.
func TestPublishedFeeds(t *testing.T) {
	files, err := filepath.Glob(feeds + "/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	listed, err := os.ReadFile(feeds + "/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		base := filepath.Base(file)
		if base == "kustomization.yaml" {
			continue
		}
		if !strings.Contains(string(listed), "- "+base+"\n") {
			t.Errorf("%s is not in kustomization.yaml", base)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		golden.Equal(t, filepath.Join("testdata/feeds", strings.TrimSuffix(base, ".yaml")+".golden"), compiledFeed(t, string(text)))
	}
}

// compiledFeed are the entries of a BPFMap behind the ConfigMap that it reads, or what is wrong.
func compiledFeed(t *testing.T, text string) string {
	t.Helper()
	first, second, _ := strings.Cut(text, "\n---\n")
	var data corev1.ConfigMap
	var m v1alpha1.BPFMap
	if err := yaml.UnmarshalStrict([]byte(first), &data); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(second), &m); err != nil {
		t.Fatal(err)
	}
	var sources []compile.Source
	for i, from := range m.Spec.EntriesFrom {
		content, ok := data.Data[from.ConfigMapRef.Key]
		if !ok {
			t.Fatalf("%s has no key %s", data.Name, from.ConfigMapRef.Key)
		}
		sources = append(sources, compile.Source{Index: i, Name: from.ConfigMapRef.Key, Load: func() ([]byte, error) { return []byte(content), nil }})
	}
	return entriesOf(t, &m, sources)
}

// entriesOf are the entries of a map, one a line, or the problems.
func entriesOf(t *testing.T, m *v1alpha1.BPFMap, sources []compile.Source) string {
	t.Helper()
	rev, err := compile.With(m, sources, nil)
	if err != nil {
		return err.Error() + "\n"
	}
	key, value := layouts(t, rev.KeySchema, &rev.ValueSchema)
	var b strings.Builder
	for i := range rev.Contents.InOrder(rev.Shape) {
		fmt.Fprintf(&b, "%s: %s\n", key.Format(rev.Contents.Key(i)), value.Format(rev.Contents.Value(i)))
	}
	return b.String()
}
