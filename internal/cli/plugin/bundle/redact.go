// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package bundle

import (
	"regexp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// maxEntries is how many inline entries of a BPFMap are kept.
const maxEntries = 100

// redacted stands in the place of what was taken out.
const redacted = "REDACTED"

// rules take credentials out of any text: the names and passwords of URLs, and their queries, tokens, and what follows a
// word for a credential.
var rules = []struct {
	find *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://)[^/\s"'<>@]+@`), "${1}" + redacted + "@"},
	{regexp.MustCompile(`(https?://[^\s"'<>?]+\?)[^\s"'<>]+`), "${1}" + redacted},
	{regexp.MustCompile(`(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`), "${1} " + redacted},
	{regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*`), redacted},
	{regexp.MustCompile(`(?i)((?:password|passwd|token|api[-_]?key|secret[-_]?key|authorization|credentials?)["']?[ \t]*[:=][ \t]*)("[^"\n]*"|'[^'\n]*'|[^\s,;"'}\]]+)`), "${1}" + redacted},
	{regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\z)`), redacted},
}

// Scrub takes credentials out of a text.
func Scrub(text []byte) []byte {
	for _, r := range rules {
		text = r.find.ReplaceAll(text, []byte(r.with))
	}
	return text
}

// bare is an object's metadata without what repeats its contents: annotations of kubectl apply, and who manages fields.
func bare(m *metav1.ObjectMeta) {
	m.ManagedFields = nil
	for name := range m.Annotations {
		if name == corev1.LastAppliedConfigAnnotation || len(m.Annotations[name]) > maxAnnotation {
			m.Annotations[name] = redacted
		}
	}
}

// maxAnnotation is the length in bytes from which annotations aren't kept.
const maxAnnotation = 1024

// readsSecrets says whether entries of a map come from Secrets.
func readsSecrets(m *v1alpha1.BPFMap) bool {
	return slices.ContainsFunc(m.Spec.EntriesFrom, func(from v1alpha1.EntrySource) bool {
		return from.SecretRef != nil || (from.HTTP != nil && from.HTTP.SecretRef != nil)
	})
}

// key names a BPFMap.
type key struct{ namespace, name string }

// sensitive are the maps that have, or had, entries from Secrets.
func sensitive(maps []v1alpha1.BPFMap, revisions []v1alpha1.BPFMapRevision) map[key]bool {
	found := map[key]bool{}
	for i := range maps {
		if readsSecrets(&maps[i]) {
			found[key{maps[i].Namespace, maps[i].Name}] = true
		}
	}
	for i := range revisions {
		if r := &revisions[i]; r.Spec.Sensitive {
			found[key{r.Namespace, r.Spec.MapName}] = true
		}
	}
	return found
}

// redactMap takes out entries: all of a map with entries from Secrets, and those beyond the first ones of others.
func redactMap(m *v1alpha1.BPFMap, isSensitive bool) (left int) {
	bare(&m.ObjectMeta)
	left = len(m.Spec.Entries)
	if isSensitive {
		m.Spec.Entries = nil
		for i := range m.Spec.EntriesFrom {
			m.Spec.EntriesFrom[i].Value = nil
		}
		for i := range m.Status.Sources {
			for j := range m.Status.Sources[i].LeftOut {
				m.Status.Sources[i].LeftOut[j].Examples = nil
			}
		}
	}
	m.Spec.Entries = m.Spec.Entries[:min(len(m.Spec.Entries), maxEntries)]
	return left - len(m.Spec.Entries)
}

// redactRevision takes out what a revision holds.
func redactRevision(r *v1alpha1.BPFMapRevision) {
	bare(&r.ObjectMeta)
	r.Spec.Entries, r.Spec.Chunks = nil, nil
	if r.Spec.Sensitive {
		r.Spec.References = nil
	}
}

// redactState takes out entries that differed, of maps with entries from Secrets.
func redactState(s *v1alpha1.BPFNodeState, isSensitive map[key]bool) {
	bare(&s.ObjectMeta)
	for i := range s.Status.Maps {
		if m := &s.Status.Maps[i]; isSensitive[key{m.Namespace, m.Name}] {
			m.DriftedEntries = nil
		}
	}
}

// redactPod takes out the values of environment variables.
func redactPod(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			for j := range containers[i].Env {
				if e := &containers[i].Env[j]; e.Value != "" {
					e.Value = redacted
				}
			}
		}
	}
}
