// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
)

// TestWithoutSecrets: a controller that may read no Secrets says so of every BPFMap that names one, makes no revision of it, and
// asks the API server for none.
func TestWithoutSecrets(t *testing.T) {
	s := newSite(t)
	s.publish("192.0.2.1\n")
	w := newIdleWorld(t)
	w.options = func(o *cluster.Options) {
		fetching(t, s)(o)
		o.Secrets = false
	}
	w.start()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "list"}, StringData: map[string]string{"l": "1\n"}}
	if err := w.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	const why = "the administrator has to set the chart value controller.sources.secrets.enabled"
	w.create("blocklist", `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: 64
  entriesFrom: [{secretRef: {name: list, key: l}, format: Lines, value: 1}]
`)
	m := w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionFalse, "spec.entriesFrom[0]", "Secret list", why)
	if m.Status.UpdateRevision != "" {
		t.Errorf("it made revision %s", m.Status.UpdateRevision)
	}
	w.edit("blocklist", func(spec *v1alpha1.BPFMapSpec) {
		spec.EntriesFrom[0].SecretRef = nil
		spec.EntriesFrom[0].HTTP = &v1alpha1.HTTPSource{URL: s.URL + "/drop.txt", SecretRef: &v1alpha1.FetchSecretRef{Name: "list"}}
	})
	w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionFalse, "it needs Secret list", why)
}
