// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// unpack is the files of an archive, by their names below its one folder.
func unpack(t *testing.T, archive io.Reader) map[string]string {
	t.Helper()
	zipped, err := gzip.NewReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		files[name] = string(b)
	}
}

// TestSupportBundle puts a canary into every place where credentials and contents of Secrets may be, and looks for it.
func TestSupportBundle(t *testing.T) {
	w := newWorld(t, 2)
	w.control()
	ctx := t.Context()
	w.agents(func(string) bool { return true })
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "rules"}, StringData: map[string]string{"rules.csv": "key,value\n" + canary + ",1\n"}}
	if err := w.Create(ctx, secret); err != nil {
		t.Fatal(err)
	}
	w.declare("flags", blocklist)
	m := w.declare("words", secretMap+"  entries: [{key: "+canary+"2, value: 2}]\n")
	m.Annotations = map[string]string{corev1.LastAppliedConfigAnnotation: `{"spec": "` + canary + `"}`}
	if err := w.Update(ctx, m); err != nil {
		t.Fatal(err)
	}
	w.declare("fetched", strings.Replace(secretMap, "{secretRef: {name: rules, key: rules.csv}, format: CSV}", "{http: {url: 'https://feeds.example.test/list?key="+canary+"'}, format: CSV}", 1))
	w.awaitRevision("flags", "flags-1")
	w.awaitRevision("words", "words-1")
	line := w.line(w.get("words"), &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Name: "words-1"}}, w.nodes[0])
	line.Drifted, line.DriftedEntries = true, []v1alpha1.DriftedEntry{{Key: canary, Found: "1"}}
	if err := w.report(w.nodes[0], line); err != nil {
		t.Fatal(err)
	}
	event := &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, GenerateName: "e-"}, Type: "Warning", Reason: "Odd",
		InvolvedObject: corev1.ObjectReference{Kind: "BPFMap", Namespace: w.namespace, Name: "flags"},
		Message:        "fetch https://user:" + canary + "@feeds.example.test/x failed with Authorization: Bearer " + canary + canary,
	}
	if err := w.Create(ctx, event); err != nil {
		t.Fatal(err)
	}

	file := filepath.Join(t.TempDir(), "bundle.tar.gz")
	w.run("support-bundle", "-o", file).wants(t, 0, "Wrote "+file)
	archive, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, %v", info.Mode(), err)
	}
	files := unpack(t, bytes.NewReader(archive))
	for name, text := range files {
		if strings.Contains(text, canary) {
			t.Errorf("%s has what is secret:\n%s", name, text)
		}
	}
	for name, want := range map[string]string{
		"README.txt":                                                      "What is not in it: Secrets",
		"versions.txt":                                                    "plugin: dev\nkubernetes: v1.",
		"bpfmaps/" + w.namespace + "/flags.yaml":                          "key: 192.0.2.1",
		"bpfmaps/" + w.namespace + "/words.yaml":                          "secretRef:",
		"bpfmaps/" + w.namespace + "/words.note.txt":                      "1 entry is left out",
		"bpfmaps/" + w.namespace + "/fetched.yaml":                        "https://feeds.example.test/list?REDACTED",
		"bpfmaprevisions/" + w.namespace + "/words-1.yaml":                "digest: sha256:",
		"bpfnodestates/" + w.nodes[0] + ".yaml":                           "revision: words-1",
		"operator/daemonsets/" + w.namespace + "/agent.yaml":              "image: example.test/bpfmap:1",
		"operator/pods/" + w.namespace + "/agent-" + w.nodes[0] + ".yaml": "nodeName: " + w.nodes[0],
		"events.txt": "https://REDACTED@feeds.example.test/x",
	} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s lacks %q:\n%s", name, want, files[name])
		}
	}
	w.run("support-bundle", "-o", file).wants(t, 1, "file exists")

	// Without rights there is a bundle, too, which says what it lacks.
	nobody := kubeconfigOf(t, "nobody")
	r := runAs(ctx, t, nobody, w.namespace, "", "support-bundle", "-o", "-")
	r.wants(t, 0)
	if missing := unpack(t, strings.NewReader(r.out))["missing.txt"]; !strings.Contains(missing, "the right to list bpfmaps.bpfmap.io") || !strings.Contains(missing, "events") {
		t.Errorf("missing.txt is %q", missing)
	}
}
