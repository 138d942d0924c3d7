// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"path/filepath"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"

	corev1 "k8s.io/api/core/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestRevisions shows and compares what revisions hold.
func TestRevisions(t *testing.T) {
	w := newWorld(t, 1)
	w.control()
	w.declare("flags", blocklist)
	w.awaitRevision("flags", "flags-1")
	w.edit(addEntry)
	w.edit(func(s *v1alpha1.BPFMapSpec) {
		s.Entries[0].Value.Raw = []byte(`{"action": 1, "rule": 70}`)
		s.Entries = s.Entries[0:1:1]
		addEntry(s)
	})
	w.awaitMap("flags", func(*v1alpha1.BPFMap) error { return nil })
	w.awaitRevision("flags", w.newest("flags"))

	w.run("revision", "show", "flags", "--revision", "1").wants(t, 0, "revision flags-1 of BPFMap "+w.namespace+"/flags, number 1",
		"192.0.2.1 = {action: 1, rule: 7}\n192.0.2.2 = {action: 1, rule: 8}\n")
	w.run("revision", "show", "flags-1", "-o", "yaml").wants(t, 0, `entries:
- {"key": "192.0.2.1", "value": {"action":1,"rule":7}}
- {"key": "192.0.2.2", "value": {"action":1,"rule":8}}
`)
	w.run("revision", "show", "flags-1", "--limit", "1").wants(t, 0, "192.0.2.1 = ", "and 1 more entry: --offset 1 shows the next")
	w.run("revision", "show", "flags-1", "--offset", "1").wants(t, 0, "192.0.2.2 = ")
	w.run("revision", "show", "nothing").wants(t, 1, "there is neither a BPFMapRevision nor a BPFMap nothing in namespace "+w.namespace)

	w.run("revision", "diff", "flags-1", w.newest("flags")).wants(t, 1,
		"  ~ 192.0.2.1: rule 7 → 70\n  - 192.0.2.2 = {action: 1, rule: 8}\n  + 192.0.2.3 = {action: 2, rule: 9}\n", "1 added, 1 changed, 1 removed")
	w.run("revision", "diff", "--map", "flags", "1", "1").wants(t, 0, "no entry differs")
	w.run("revision", "diff", "flags-1", "flags-99").wants(t, 2, "there is no BPFMapRevision flags-99 in namespace "+w.namespace)
}

func (w *world) newest(name string) string {
	var newest string
	w.awaitMap(name, func(m *v1alpha1.BPFMap) error {
		if m.Status.ObservedGeneration != m.Generation {
			return errNotSeen
		}
		newest = m.Status.UpdateRevision
		return nil
	})
	return newest
}

// TestRights: who may not read revisions, or nodes' states, is told which right that is, and which role has it.
func TestRights(t *testing.T) {
	w := newWorld(t, 1)
	w.control()
	w.declare("flags", blocklist)
	w.awaitRevision("flags", "flags-1")
	if err := plane.Apply(t.Context(), filepath.Join(controlplane.Root(), "config/rbac/user_roles.yaml")); err != nil {
		t.Fatal(err)
	}
	bind := func(user, role string) string {
		b := &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: user + "-" + role},
			Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		}
		if err := w.Create(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		return kubeconfigOf(t, user)
	}
	editor := bind("editor-of-"+w.namespace, "bpfmap-editor")
	run := func(args ...string) result { return runAs(t.Context(), t, editor, w.namespace, "", args...) }
	run("status", "flags").wants(t, 0, "Ready", w.nodes[0])
	run("rollout", "pause", "flags").wants(t, 0, "paused")
	run("rollout", "status", "flags").wants(t, 0, "rolled out")
	run("why", "flags", w.nodes[0]).wants(t, 0, "Not looked at:", "the right to list bpfmaprevisions.bpfmap.io in namespace "+w.namespace, "nodes", "cluster role \"…-node-viewer\"")
	const lacks = "needs the right to list bpfmaprevisions.bpfmap.io in namespace "
	run("rollout", "history", "flags").wants(t, 1, lacks+w.namespace, "cluster role \"…-revision-viewer\" has")
	run("rollout", "undo", "flags").wants(t, 1, lacks)
	run("revision", "show", "flags-1").wants(t, 1, "needs the right to get bpfmaprevisions.bpfmap.io", "\"…-revision-viewer\"")
	run("revision", "diff", "flags-1", "flags-1").wants(t, 2, "\"…-revision-viewer\"")
	run("status", "-A").wants(t, 1, "needs the right to list bpfmaps.bpfmap.io", "\"…-viewer\"")

	bind("editor-of-"+w.namespace, "bpfmap-revision-viewer")
	run("revision", "show", "flags-1").wants(t, 0, "192.0.2.1 = {action: 1, rule: 7}")

	viewer := bind("viewer-of-"+w.namespace, "bpfmap-viewer")
	runAs(t.Context(), t, viewer, w.namespace, "", "rollout", "pause", "flags").wants(t, 0, "already paused")
	runAs(t.Context(), t, viewer, w.namespace, "", "rollout", "resume", "flags").wants(t, 1, "changing a rollout needs the right to patch bpfmaps.bpfmap.io", "\"…-editor\"")
}

// TestSecretsAreNotShown: nothing of a map with entries from a Secret, unless it is asked for.
func TestSecretsAreNotShown(t *testing.T) {
	w := newWorld(t, 1)
	w.control()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "rules"}, StringData: map[string]string{"rules.csv": "key,value\n" + canary + ",1\n"}}
	if err := w.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.declare("words", secretMap)
	w.awaitRevision("words", "words-1")
	hidden := func(r result) {
		t.Helper()
		if bytesContain(r.out+r.errOut, canary) {
			t.Errorf("it shows what is in a Secret:\n%s%s", r.out, r.errOut)
		}
	}
	r := w.run("revision", "show", "words-1")
	r.wants(t, 0, "1 entry from a Secret: not shown")
	hidden(r)
	r = w.run("revision", "show", "words-1", "-o", "yaml")
	r.wants(t, 1, "--show-sensitive")
	hidden(r)
	w.run("revision", "show", "words-1", "--show-sensitive").wants(t, 0, canary)

	secret.StringData = map[string]string{"rules.csv": "key,value\nother" + canary + ",1\n"}
	if err := w.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.awaitRevision("words", "words-2")
	r = w.run("revision", "diff", "words-1", "words-2")
	r.wants(t, 1, "1 added, 0 changed, 1 removed", "come from a Secret and are not shown")
	hidden(r)
	r = runAs(t.Context(), t, w.kubeconfig, w.namespace, manifestOf("words", "Secret", w.namespace), "diff", "-f", "-")
	r.wants(t, 1, "1 added, 0 changed, 0 removed", "against words-2, held by "+w.nodes[0])
	hidden(r)
}
