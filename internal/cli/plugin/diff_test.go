// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
)

var errNotSeen = errors.New("the controller hasn't seen the newest spec")

func intOrString(n int32) *intstr.IntOrString { return new(intstr.FromInt32(n)) }

func bytesContain(text, word string) bool { return strings.Contains(text, word) }

const secretMap = `
spec:
  type: Hash
  key: {type: string, size: 32}
  value: {type: u8}
  maxEntries: 16
  nodeSelector: {world: WORLD}
  entriesFrom:
  - {secretRef: {name: rules, key: rules.csv}, format: CSV}
`

// manifestOf is the manifest of the map of secretMap, with one more entry.
func manifestOf(name, _, world string) string {
	return "apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: " + name + "}" + strings.ReplaceAll(secretMap, "WORLD", world) +
		"  entries: [{key: more, value: 2}]\n"
}

// TestDiff compares manifests with what nodes hold.
func TestDiff(t *testing.T) {
	w := newWorld(t, 2)
	w.control()
	feed := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "feed"}, Data: map[string]string{"list": "198.51.100.1\n"}}
	if err := w.Create(t.Context(), feed); err != nil {
		t.Fatal(err)
	}
	w.declare("flags", blocklist+"  entriesFrom: [{configMapRef: {name: feed, key: list}, format: Lines, value: {action: 3, rule: 3}}]\n")
	w.awaitRevision("flags", "flags-1")
	manifest := func(spec string) string {
		return "apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: flags}" + strings.ReplaceAll(spec, "WORLD", w.namespace)
	}
	diff := func(text string) result {
		return runAs(t.Context(), t, w.kubeconfig, w.namespace, text, "diff", "-f", "-")
	}
	from := "  entriesFrom: [{configMapRef: {name: feed, key: list}, format: Lines, value: {action: 3, rule: 3}}]\n"
	diff(manifest(blocklist+from)).wants(t, 0, "against flags-1, held by "+w.nodes[0]+", "+w.nodes[1], "no entry differs")
	changed := strings.Replace(blocklist, "rule: 7", "rule: 9", 1) + from
	diff(manifest(changed)).wants(t, 1, "  ~ 192.0.2.1: rule 7 → 9\n", "0 added, 1 changed, 0 removed")
	diff(manifest(strings.Replace(blocklist, "maxEntries: 16", "maxEntries: 32", 1)+from)).wants(t, 1, "  ! maxEntries: 16 → 32")
	// A ConfigMap among the manifests counts before the cluster's.
	diff(manifest(blocklist+from)+"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: feed}\ndata: {list: \"198.51.100.1\\n198.51.100.2\\n\"}\n").
		wants(t, 1, "  + 198.51.100.2 = {action: 3, rule: 3}\n")
	diff(manifest(strings.Replace(blocklist, "rule: 7", "rule: -7", 1))).wants(t, 2, "standard input", "spec.entries[0].value.rule")
	diff(strings.Replace(manifest(blocklist), "name: flags", "name: fresh", 1)).wants(t, 1, w.namespace+"/fresh: would be created", "+ 192.0.2.1 = {action: 1, rule: 7}")
	w.run("diff").wants(t, 2, "-f FILE is needed")

	// Two groups of nodes: each is compared with what it holds.
	w.edit(func(s *v1alpha1.BPFMapSpec) { s.Rollout.Partition = intOrString(1) })
	w.edit(addEntry)
	w.awaitMap("flags", func(m *v1alpha1.BPFMap) error {
		if r := m.Status.Rollout; r == nil || r.Reason != "PartitionReached" || r.Revision != "flags-2" {
			return fmt.Errorf("rollout is %+v", r)
		}
		return nil
	})
	w.run("rollout", "status", "flags").wants(t, 0, "PartitionReached")
	diff(manifest(blocklist+from)).wants(t, 1, "against flags-2, held by ", "  - 192.0.2.3 = {action: 2, rule: 9}\n", "against flags-1, held by ", "no entry differs")
}

// TestDiffOfFetchedSources takes what they brought from the newest revision where it can be told, and says so; and says why
// elsewhere.
func TestDiffOfFetchedSources(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "198.51.100.1\n198.51.100.2\n")
	}))
	defer server.Close()
	w := newWorld(t, 1)
	w.controlFetching(cluster.FetchOptions{AllowedHosts: []string{strings.TrimPrefix(server.URL, "http://")}, AllowedNetworks: []string{"127.0.0.0/8"}, CacheDir: t.TempDir()})
	from := "  entriesFrom: [{http: {url: \"" + server.URL + "/list\"}, format: Lines, value: {action: 3, rule: 3}}]\n"
	w.declare("flags", blocklist+from)
	w.awaitRevision("flags", "flags-1")
	diff := func(spec string, args ...string) result {
		text := "apiVersion: bpfmap.io/v1alpha1\nkind: BPFMap\nmetadata: {name: flags}" + strings.ReplaceAll(spec, "WORLD", w.namespace)
		return runAs(t.Context(), t, w.kubeconfig, w.namespace, text, append([]string{"diff", "-f", "-"}, args...)...)
	}
	said := "with 2 entries of " + server.URL + "/list as revision flags-1 has them: what is fetched next isn't known here"
	diff(blocklist+from).wants(t, 0, said, "no entry differs")
	changed := strings.Replace(blocklist, "rule: 7", "rule: 9", 1)
	diff(changed+from).wants(t, 1, said, "  ~ 192.0.2.1: rule 7 → 9\n  0 added, 1 changed, 0 removed")
	// An entry of the manifest's own that goes isn't taken for one that was fetched.
	fewer := strings.Replace(blocklist, "  - {key: 192.0.2.2, value: {action: 1, rule: 8}}\n", "", 1)
	diff(fewer+from).wants(t, 1, said, "  - 192.0.2.2 = {action: 1, rule: 8}\n  0 added, 0 changed, 1 removed")
	r := diff(changed+from, "-o", "json")
	r.wants(t, 1, `"fetched": {`, `"revision": "flags-1"`, `"entries": 2`, `"change": "changed"`)
	if !json.Valid([]byte(r.out)) {
		t.Errorf("no JSON: %s", r.out)
	}
	diff(strings.Replace(blocklist, "maxEntries: 16", "maxEntries: 3", 1)+from).wants(t, 2, "4 entries, with the 2 that "+server.URL+"/list brought by revision flags-1, are more than maxEntries 3")
	diff(blocklist+strings.Replace(from, "/list", "/other", 1)).wants(t, 2, "/other: only the controller knows what is fetched", "the cluster's BPFMap has other fetched sources")
	diff(strings.Replace(blocklist, "type: u32", "type: u64", 1)+from).wants(t, 2, "the type, keys or values of the cluster's BPFMap are others")
	diff(blocklist).wants(t, 1, "  - 198.51.100.1 = {action: 3, rule: 3}\n  - 198.51.100.2 = {action: 3, rule: 3}\n  0 added, 0 changed, 2 removed")
}
