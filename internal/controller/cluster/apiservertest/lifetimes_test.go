// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/sighting"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
)

// living is a map of two sources with lifetimes, and one without.
const living = `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: 300000
  entriesFrom:
  - {configMapRef: {name: feed, key: drop.txt}, format: Lines, value: 1, expireAfter: 24h}
  - {configMapRef: {name: other, key: drop.txt}, format: Lines, value: 1, expireAfter: 48h}
  - {configMapRef: {name: fixed, key: drop.txt}, format: Lines, value: 1}
`

// sightings are the chunks of a BPFMap's sightings by name: the root of the highest number, and all.
func (w *world) sightings() (root *v1alpha1.BPFMapChunk, all map[string]*v1alpha1.BPFMapChunk) {
	w.t.Helper()
	var list v1alpha1.BPFMapChunkList
	labels := client.MatchingLabels{v1alpha1.LabelSightings: "true", v1alpha1.LabelMap: "blocklist"}
	if err := w.List(w.t.Context(), &list, client.InNamespace(w.namespace), labels); err != nil {
		w.t.Fatal(err)
	}
	all = map[string]*v1alpha1.BPFMapChunk{}
	highest := 0
	for i := range list.Items {
		chunk := &list.Items[i]
		all[chunk.Name] = chunk
		if n, err := strconv.Atoi(strings.TrimPrefix(chunk.Name, "blocklist-seen-")); err == nil && n > highest {
			highest, root = n, chunk
		}
	}
	return root, all
}

// awaitSightings waits until keys are remembered, in this many chunks.
func (w *world) awaitSightings(keys int64, chunks int) *v1alpha1.BPFMapChunk {
	w.t.Helper()
	var root *v1alpha1.BPFMapChunk
	await.Nil(w.t, limit, func() error {
		var all map[string]*v1alpha1.BPFMapChunk
		root, all = w.sightings()
		if root == nil || root.EntryCount != keys || len(all) != chunks {
			return fmt.Errorf("%d chunks with root %v, want %d with %d keys", len(all), root, chunks, keys)
		}
		return nil
	})
	return root
}

// age lets time pass for what is remembered while no controller is at work.
func (w *world) age(by time.Duration) {
	w.t.Helper()
	root, _ := w.sightings()
	parts, table, err := sighting.Unpack(root.Entries)
	if err != nil || len(parts) > 0 {
		w.t.Fatalf("%d parts, %v", len(parts), err)
	}
	for i := range table {
		if table[i].Time != sighting.Over {
			table[i].Time -= uint32(by.Seconds())
		}
	}
	n, err := strconv.Atoi(strings.TrimPrefix(root.Name, "blocklist-seen-"))
	if err != nil {
		w.t.Fatal(err)
	}
	next := &v1alpha1.BPFMapChunk{EntryCount: root.EntryCount}
	next.ObjectMeta = metav1.ObjectMeta{
		Namespace: root.Namespace, Name: fmt.Sprintf("blocklist-seen-%d", n+1), Labels: root.Labels, Annotations: root.Annotations, OwnerReferences: root.OwnerReferences,
	}
	next.Entries, _, _ = table.Pack(uint64(n+1), nil)
	if err := w.Create(w.t.Context(), next); err != nil {
		w.t.Fatal(err)
	}
}

// restart lets time pass between two controllers.
func (w *world) restart(by time.Duration) {
	w.t.Helper()
	w.stop()
	w.age(by)
	w.start()
}

func TestLifetimes(t *testing.T) {
	w := newWorld(t)
	feed := w.configMap("feed", nil, map[string]string{"drop.txt": "192.0.2.0/24\n198.51.100.0/24\n"})
	w.configMap("other", nil, map[string]string{"drop.txt": "192.0.2.0/24\n"})
	w.configMap("fixed", nil, map[string]string{"drop.txt": "203.0.113.0/24\n"})
	m := w.create("blocklist", living)
	w.awaitEntries("blocklist", 3)
	root := w.awaitSightings(3, 1)
	if !metav1.IsControlledBy(root, m) || root.Name != "blocklist-seen-1" {
		t.Errorf("the sightings are %s of %+v", root.Name, root.OwnerReferences)
	}

	// A controller that has just started goes by what the one before it saw.
	w.restart(23 * time.Hour)
	feed.Data["drop.txt"] += "10.0.0.0/8\n"
	w.update(feed)
	m = w.awaitEntries("blocklist", 4)
	next := m.Status.Sources[0].NextExpiryTime
	if next == nil || time.Until(next.Time) < time.Minute || time.Until(next.Time) > time.Hour+time.Minute {
		t.Errorf("the next entry expires at %v", next)
	}
	w.awaitSightings(4, 1)
	w.restart(2 * time.Hour)
	w.awaitEntries("blocklist", 3) // the other source holds one of the two
	await.Nil(t, limit, func() error {
		m, err := w.get("blocklist")
		if err != nil {
			return err
		}
		if s := m.Status.Sources; len(s) != 3 || s[0].Entries != 1 || len(s[0].LeftOut) != 1 || s[0].LeftOut[0].Reason != v1alpha1.LeftOutExpired || s[0].LeftOut[0].Count != 2 {
			return fmt.Errorf("sources are %+v", s)
		}
		return nil
	})
	w.restart(24 * time.Hour)
	w.awaitEntries("blocklist", 1)
	w.awaitRevisions("blocklist", map[string]bool{"blocklist-2": false, "blocklist-3": false, "blocklist-4": true})

	// An entry goes while the controller is at work, and what the source holds anew is new.
	feed.Data["drop.txt"] = "198.51.100.0/24\n100.64.0.0/10\n"
	w.update(feed)
	w.awaitEntries("blocklist", 2)
	feed.Data["drop.txt"] += "10.0.0.0/8\n"
	w.update(feed)
	w.awaitEntries("blocklist", 3)
	w.restart(24*time.Hour - 8*time.Second)
	w.awaitEntries("blocklist", 1)
	w.awaitSightings(4, 1)

	// Contents that are refused change nothing of it, and without lifetimes it goes.
	root = w.awaitSightings(4, 1)
	feed.Data["drop.txt"] = "172.16.0.0/12\nbad\n"
	w.update(feed)
	w.awaitMessage("line 2")
	if again, _ := w.sightings(); again.Name != root.Name {
		t.Errorf("what was refused was seen: sightings are %s, were %s", again.Name, root.Name)
	}
	feed.Data["drop.txt"] = "172.16.0.0/12\n"
	w.update(feed)
	w.awaitEntries("blocklist", 2)
	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.EntriesFrom[0].ExpireAfter.Duration = 0 })
	w.awaitSightings(1, 1)
	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.EntriesFrom[1].ExpireAfter.Duration = 0 })
	w.awaitEntries("blocklist", 3)
	w.awaitNoSightings()
	w.edit("blocklist", func(s *v1alpha1.BPFMapSpec) { s.EntriesFrom[1].ExpireAfter.Duration = time.Hour })
	w.awaitSightings(1, 1)
	if err := w.Delete(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	w.awaitNoSightings()
}

func (w *world) awaitNoSightings() {
	w.t.Helper()
	await.Nil(w.t, limit, func() error {
		if _, all := w.sightings(); len(all) > 0 {
			return fmt.Errorf("there are %d chunks of sightings", len(all))
		}
		return nil
	})
}

// TestManyLifetimes remembers more keys than one object has room for, up to the bound.
func TestManyLifetimes(t *testing.T) {
	w := newWorld(t)
	lines := func(n int) []byte {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
		}
		return zip(t, b.String())
	}
	feed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "feed"}, BinaryData: map[string][]byte{"drop.txt": lines(20_000)}}
	if err := w.Create(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	w.create("blocklist", strings.Join(strings.Split(living, "\n")[:8], "\n")+"\n")
	w.awaitEntries("blocklist", 20_000)
	w.awaitSightings(20_000, 7)
	_, before := w.sightings()
	w.stop()
	w.start()
	feed.BinaryData["drop.txt"] = lines(20_001)
	w.update(feed)
	w.awaitEntries("blocklist", 20_001)
	w.awaitSightings(20_001, 7)
	_, after := w.sightings()
	for name := range after {
		if before[name] != nil {
			delete(after, name)
		}
	}
	if len(after) != 2 {
		t.Errorf("one more key writes %d chunks, want the root and one part", len(after))
	}

	feed.BinaryData["drop.txt"] = lines(sighting.Max + 1)
	w.update(feed)
	m := w.awaitMessage("spec.entriesFrom[0] (ConfigMap feed, key drop.txt): expireAfter 24h0m0s", "more than 262144 keys", "the nodes keep revision blocklist-2")
	if m.Status.Sources[0].Message == "" || m.Status.Sources[0].Entries != 20_001 {
		t.Errorf("sources are %+v", m.Status.Sources)
	}
	w.awaitSightings(20_001, 7)
	feed.BinaryData["drop.txt"] = lines(sighting.Max)
	w.update(feed)
	w.awaitEntries("blocklist", sighting.Max)
	root, all := w.sightings()
	parts, _, err := sighting.Unpack(root.Entries)
	if err != nil || len(parts) != len(all)-1 || !slices.IsSortedFunc(parts, func(a, b sighting.Part) int { return int(a.First>>1) - int(b.First>>1) }) {
		t.Errorf("%d parts in %d chunks, %v", len(parts), len(all), err)
	}
}
