// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// fed is a map of three sources: a ConfigMap, a Secret, and whatever the teams contribute.
const fed = `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: 64
  entriesFrom:
  - {configMapRef: {name: feed, key: drop.txt}, format: Lines, value: 1}
  - {secretRef: {name: rules, key: rules.csv}, format: CSV}
  - {configMapSelector: {matchLabels: {blocklist: team}}, format: YAML}
`

func (w *world) configMap(name string, labels map[string]string, data map[string]string) *corev1.ConfigMap {
	w.t.Helper()
	c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name, Labels: labels}, Data: data}
	if err := w.Create(w.t.Context(), c); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) update(o client.Object) {
	w.t.Helper()
	if err := w.Update(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

// awaitEntries waits until a BPFMap's newest revision has the wanted number of entries.
func (w *world) awaitEntries(name string, want int64) *v1alpha1.BPFMap {
	w.t.Helper()
	var m *v1alpha1.BPFMap
	await.Nil(w.t, limit, func() (err error) {
		if m, err = w.get(name); err != nil {
			return err
		}
		if m.Status.Entries == nil || *m.Status.Entries != want {
			return fmt.Errorf("entries are %v, want %d; conditions %v", m.Status.Entries, want, m.Status.Conditions)
		}
		return nil
	})
	return m
}

// awaitMessage waits until the blocklist's condition Accepted is False and says all words.
func (w *world) awaitMessage(words ...string) *v1alpha1.BPFMap {
	w.t.Helper()
	var m *v1alpha1.BPFMap
	await.Nil(w.t, limit, func() (err error) {
		if m, err = w.get("blocklist"); err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionAccepted)
		for _, word := range words {
			if c == nil || c.Status != metav1.ConditionFalse || !strings.Contains(c.Message, word) {
				return fmt.Errorf("condition Accepted is %+v, want False with %q", c, word)
			}
		}
		return nil
	})
	return m
}

func TestSources(t *testing.T) {
	w := newWorld(t)
	w.create("blocklist", fed)
	w.awaitMessage("ConfigMap feed does not exist in namespace", "Secret rules does not exist in namespace", "ConfigMaps with blocklist=team")

	feed := w.configMap("feed", nil, map[string]string{"drop.txt": "192.0.2.0/24\n198.51.100.0/24\n"})
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "rules"},
		StringData: map[string]string{"rules.csv": "key,value\n203.0.113.0/24,7\n"},
	}
	if err := w.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	team := w.configMap("team-a", map[string]string{"blocklist": "team"}, map[string]string{"a": "- {key: 10.0.0.0/8, value: 3}\n"})
	w.awaitEntries("blocklist", 4)
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": true})

	// Another team joins, a feed changes, and a change that changes nothing makes no revision.
	w.configMap("team-b", map[string]string{"blocklist": "team"}, map[string]string{"b": "- {key: 11.0.0.0/8, value: 3}\n"})
	w.awaitEntries("blocklist", 5)
	feed.Data["drop.txt"] += "# only a comment\n"
	w.update(feed)
	feed.Data["drop.txt"] += "100.64.0.0/10\n"
	w.update(feed)
	m := w.awaitEntries("blocklist", 6)
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-1": false, "blocklist-2": false, "blocklist-3": true})

	// One bad line in many keeps the last good revision everywhere.
	good := m.Status.UpdateRevision
	feed.Data["drop.txt"] += "100.64.0.0/33\n"
	w.update(feed)
	m = w.awaitMessage("ConfigMap feed, key drop.txt", "line 5", "100.64.0.0/33", "the nodes keep revision "+good)
	if m.Status.UpdateRevision != good {
		t.Errorf("revision %s, want %s", m.Status.UpdateRevision, good)
	}
	// A source that is deleted under a running map, too.
	if err := w.Delete(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	w.awaitMessage("ConfigMap feed does not exist", good)

	// It comes back gzipped.
	feed = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "feed"}, BinaryData: map[string][]byte{"drop.txt": zip(t, "192.0.2.0/24\n")}}
	if err := w.Create(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	w.awaitEntries("blocklist", 4)
	w.awaitCondition("blocklist", v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted)

	// The same key twice names both places.
	team.Data["a"] = "- {key: 192.0.2.0/24, value: 3}\n"
	w.update(team)
	w.awaitMessage("spec.entriesFrom[2] (ConfigMap team-a, key a) line 1: is the same key as spec.entriesFrom[0] (ConfigMap feed, key drop.txt) line 1")
	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.ConflictPolicy = v1alpha1.ConflictFirst })
	w.awaitEntries("blocklist", 3)

	// A relabelled ConfigMap drops out, and an emptied one is refused.
	team.Labels = nil
	w.update(team)
	w.awaitEntries("blocklist", 3)
	secret.StringData = map[string]string{"rules.csv": "key,value\n"}
	w.update(secret)
	w.awaitMessage("Secret rules, key rules.csv", "spec.allowEmptySources")
	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.AllowEmptySources = true })
	w.awaitEntries("blocklist", 2)
}

func zip(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestChunks makes a map of many entries, changes one, and loses chunks.
func TestChunks(t *testing.T) {
	w := newWorld(t)
	var lines strings.Builder
	for i := range 40000 {
		fmt.Fprintf(&lines, "10.%d.%d.0/24\n", i/256, i%256)
	}
	feed := w.configMap("feed", nil, map[string]string{"drop.txt": lines.String()})
	w.create("large", `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u64}
  maxEntries: 100000
  entriesFrom: [{configMapRef: {name: feed, key: drop.txt}, format: Lines, value: 1}]
`)
	w.awaitEntries("large", 40000)
	first := w.chunks("large-1")
	if len(first) < 4 {
		t.Fatalf("%d chunks", len(first))
	}
	feed.Data["drop.txt"] += "192.0.2.0/24\n"
	w.update(feed)
	w.awaitEntries("large", 40001)
	second := w.chunks("large-2")
	shared := 0
	for name := range second {
		if first[name] {
			shared++
		}
	}
	if shared != len(first)-1 || len(second) != len(first) {
		t.Errorf("%d of %d chunks are shared, want all but one", shared, len(second))
	}
	w.awaitChunks(len(first) + 1) // the history still names the old one

	// What somebody deletes comes back, and what nobody names goes.
	for name := range second {
		if err := w.Delete(t.Context(), &v1alpha1.BPFMapChunk{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}); err != nil {
			t.Fatal(err)
		}
		break
	}
	w.awaitChunks(len(first) + 1)
	for i := range history + 1 {
		feed.Data["drop.txt"] += fmt.Sprintf("192.0.%d.0/24\n", 100+i)
		w.update(feed)
		w.awaitEntries("large", int64(40002+i))
	}
	m, err := w.get("large")
	if err != nil {
		t.Fatal(err)
	}
	w.awaitChunks(len(w.chunks(m.Status.UpdateRevision)) + history)
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.awaitChunks(0)
}

// chunks are the chunks that a revision names; all must be there.
func (w *world) chunks(name string) map[string]bool {
	w.t.Helper()
	rev := &v1alpha1.BPFMapRevision{}
	if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: name}, rev); err != nil {
		w.t.Fatal(err)
	}
	set := map[string]bool{}
	for _, chunk := range rev.Spec.Chunks {
		if err := w.Get(w.t.Context(), client.ObjectKey{Namespace: w.namespace, Name: chunk}, &v1alpha1.BPFMapChunk{}); err != nil {
			w.t.Error(err)
		}
		set[chunk] = true
	}
	return set
}

func (w *world) awaitChunks(want int) {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		var list v1alpha1.BPFMapChunkList
		if err := w.List(w.t.Context(), &list, client.InNamespace(w.namespace)); err != nil {
			return err
		}
		if len(list.Items) != want {
			return fmt.Errorf("%d chunks, want %d", len(list.Items), want)
		}
		return nil
	})
}
