// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package apiservertest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/cluster"
	"github.com/bpfmap-io/bpfmap-operator/internal/controller/process"
	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// site is a real HTTP server whose answers a test changes.
type site struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int
}

func newSite(t testing.TB) *site {
	s := &site{answer: http.NotFound}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.answer
		s.asked++
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) set(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

func (s *site) current() http.HandlerFunc {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answer
}

func (s *site) publish(text string) {
	s.set(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

func (s *site) host() string { return strings.TrimPrefix(s.URL, "http://") }

// fetching lets a world's controller fetch from a site.
func fetching(t testing.TB, s *site) func(*cluster.Options) {
	dir := t.TempDir()
	return func(o *cluster.Options) {
		o.Fetch = cluster.FetchOptions{
			AllowedHosts: []string{s.host()}, AllowedNetworks: []string{"127.0.0.0/8"}, CacheDir: dir,
			MinInterval: time.Hour, // nothing is fetched again that the test doesn't ask for
			Artifacts:   true, ArtifactHosts: []string{s.host()},
		}
	}
}

// fetchAgain asks for a fetch by the annotation.
func (w *world) fetchAgain(name string) {
	w.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationFetchRequestedAt, time.Now().Format(time.RFC3339Nano))
	m := &v1alpha1.BPFMap{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	if err := w.Patch(w.t.Context(), m, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		w.t.Fatal(err)
	}
}

// awaitStatus waits for a condition's status of the BPFMap blocklist, and for words of its message.
func (w *world) awaitStatus(condition string, want metav1.ConditionStatus, words ...string) *v1alpha1.BPFMap {
	w.t.Helper()
	var m *v1alpha1.BPFMap
	await.Nil(w.t, limit, func() (err error) {
		if m, err = w.get("blocklist"); err != nil {
			return err
		}
		c := meta.FindStatusCondition(m.Status.Conditions, condition)
		if c == nil || c.Status != want {
			return fmt.Errorf("condition %s is %+v, want %s; %+v", condition, c, want, m.Status.Conditions)
		}
		for _, word := range words {
			if !strings.Contains(c.Message, word) {
				return fmt.Errorf("condition %s says %q, want %q", condition, c.Message, word)
			}
		}
		return nil
	})
	return m
}

const fetchedMap = `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: 64
  entriesFrom: [{http: {url: %q}, format: Lines, value: 1}]
`

// TestHTTPSource takes a feed through the ways in which a server fails: the revision stays, and why and since when is
// told.
func TestHTTPSource(t *testing.T) {
	s := newSite(t)
	w := newIdleWorld(t)
	w.options = fetching(t, s)
	w.start()
	w.create("blocklist", fmt.Sprintf(fetchedMap, s.URL+"/drop.txt?key=secret"))
	w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionUnknown, "could not be fetched since", "404 Not Found")
	m := w.awaitStatus(v1alpha1.ConditionReconciling, metav1.ConditionTrue)
	if len(w.revisions("blocklist")) != 0 || m.Status.Entries != nil {
		t.Fatalf("there are revisions %v of what was never fetched", w.revisions("blocklist"))
	}
	s.publish("192.0.2.0/24\n198.51.100.0/24\n")
	w.fetchAgain("blocklist")
	m = w.awaitEntries("blocklist", 2)
	w.awaitStatus(v1alpha1.ConditionSourcesFresh, metav1.ConditionTrue)
	if len(m.Status.Sources) != 1 || m.Status.Sources[0].LastGoodTime == nil || !strings.HasPrefix(m.Status.Sources[0].Digest, "sha256:") {
		t.Errorf("status.sources is %+v", m.Status.Sources)
	}

	for name, answer := range map[string]http.HandlerFunc{
		"HTML page":       func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>Sorry</html>") },
		"500 Internal":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"169.254.169.254": http.RedirectHandler("http://169.254.169.254/latest/meta-data", http.StatusFound).ServeHTTP,
		"at most 67108864": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(int64(2)<<30))
			w.WriteHeader(http.StatusOK)
		},
	} {
		s.set(answer)
		w.fetchAgain("blocklist")
		m = w.awaitStatus(v1alpha1.ConditionSourcesFresh, metav1.ConditionFalse, "spec.entriesFrom[0] ("+s.URL+"/drop.txt?…) could not be fetched since", name, "last good contents of")
		w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionTrue, name, "last good contents")
		text := fmt.Sprint(m.Status.Conditions, m.Status.Sources)
		if *m.Status.Entries != 2 || m.Status.UpdateRevision != "blocklist-1" || strings.Contains(text, "key=secret") || !strings.Contains(m.Status.Sources[0].Message, name) {
			t.Errorf("%s: %d entries of %s, %s", name, *m.Status.Entries, m.Status.UpdateRevision, text)
		}
	}
	w.awaitEvent("blocklist", v1alpha1.ReasonFetchFailed)

	// A new controller knows the last good contents, and since when they are no newer ones.
	w.stop()
	before := meta.FindStatusCondition(m.Status.Conditions, v1alpha1.ConditionSourcesFresh).Message
	w.start()
	w.edit("blocklist", func(spec *v1alpha1.BPFMapSpec) { spec.MaxEntries = 65 }) // the contents are needed for that
	await.Nil(t, limit, func() error {
		if n := len(w.revisions("blocklist")); n != 2 {
			return fmt.Errorf("%d revisions", n)
		}
		return nil
	})
	since := strings.SplitN(strings.SplitN(before, "since ", 2)[1], ":", 2)[0]
	w.awaitStatus(v1alpha1.ConditionSourcesFresh, metav1.ConditionFalse, "since "+since)

	// What is wrong in the text keeps the revision, too; then everything is well again.
	s.publish("no prefix\n")
	w.fetchAgain("blocklist")
	w.awaitMessage("line 1", "the nodes keep revision blocklist-2")
	s.publish("192.0.2.0/24\n198.51.100.0/24\n203.0.113.0/24\n")
	w.fetchAgain("blocklist")
	w.awaitEntries("blocklist", 3)
	w.awaitStatus(v1alpha1.ConditionSourcesFresh, metav1.ConditionTrue)
}

// TestTooManyLines: a feed that has become far larger than its map is refused.
func TestTooManyLines(t *testing.T) {
	s := newSite(t)
	w := newIdleWorld(t)
	w.options = fetching(t, s)
	w.start()
	s.publish("10.0.0.0/8\n")
	w.create("blocklist", fmt.Sprintf(fetchedMap, s.URL+"/drop.txt"))
	w.awaitEntries("blocklist", 1)
	s.set(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3_000_000 {
			if _, err := fmt.Fprintf(w, "%d.%d.%d.0/24\n", 1+i>>16, i>>8&255, i&255); err != nil {
				return
			}
		}
	})
	w.fetchAgain("blocklist")
	w.awaitMessage("spec.maxEntries: 64 is less than the number of entries", "the nodes keep revision blocklist-1")
}

// TestSourcesThatAreNotAllowed: without the administrator's leave nothing is asked for.
func TestSourcesThatAreNotAllowed(t *testing.T) {
	s := newSite(t)
	s.publish("10.0.0.0/8\n")
	w := newWorld(t)
	w.create("blocklist", fmt.Sprintf(fetchedMap, s.URL+"/drop.txt"))
	w.awaitMessage("host "+s.host()+" is not allowed", "--allowed-source-hosts", "controller.sources.allowedHosts", "which allows none")
	w.edit("blocklist", func(spec *v1alpha1.BPFMapSpec) {
		spec.EntriesFrom[0].HTTP = nil
		spec.EntriesFrom[0].Artifact = &v1alpha1.ArtifactSource{Kind: "Bucket", Name: "feeds", Path: "drop.txt"}
	})
	w.awaitMessage("--artifact-sources", "controller.sources.artifacts.enabled")
	w.edit("blocklist", func(spec *v1alpha1.BPFMapSpec) {
		spec.EntriesFrom[0].Artifact = nil
		spec.EntriesFrom[0].File = &v1alpha1.FileSource{Path: "/etc/passwd"}
	})
	w.awaitMessage("file source is for the command line")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != 0 {
		t.Errorf("the server was asked %d times", s.asked)
	}
}

// TestSecretOfASource: a Secret that comes or changes has the source fetched with it.
func TestSecretOfASource(t *testing.T) {
	s := newSite(t)
	s.set(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != "right" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "10.0.0.0/8\n")
	})
	w := newIdleWorld(t)
	w.options = fetching(t, s)
	w.start()
	w.create("blocklist", strings.Replace(fmt.Sprintf(fetchedMap, s.URL+"/drop.txt"), "http: {", "http: {secretRef: {name: login}, ", 1))
	w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionUnknown, "Secret login does not exist")
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "login"},
		StringData: map[string]string{"username": "me", "password": "wrong"},
	}
	if err := w.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionUnknown, "401 Unauthorized")
	secret.StringData = map[string]string{"password": "right"}
	w.update(secret)
	w.awaitEntries("blocklist", 1)
}

const fluxCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gitrepositories.source.toolkit.fluxcd.io}
spec:
  group: source.toolkit.fluxcd.io
  names: {kind: GitRepository, listKind: GitRepositoryList, plural: gitrepositories, singular: gitrepository}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
    subresources: {status: {}}
`

// installFlux serves the kind GitRepository, which the controller may read.
func (w *world) installFlux() {
	w.t.Helper()
	restricted(w.t)
	crd := filepath.Join(w.t.TempDir(), "crd.yaml")
	if err := os.WriteFile(crd, []byte(fluxCRD), 0o600); err != nil {
		w.t.Fatal(err)
	}
	root := controlplane.Root()
	err := plane.Apply(w.t.Context(), filepath.Join(root, "config/sources/flux_role.yaml"), filepath.Join(root, "config/sources/flux_role_binding.yaml"), crd)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.removeFlux)
}

// removeFlux leaves the API server as it was, for tests of one without Flux.
func (w *world) removeFlux() {
	ctx := context.Background()
	crd := &unstructured.Unstructured{}
	crd.SetAPIVersion("apiextensions.k8s.io/v1")
	crd.SetKind("CustomResourceDefinition")
	crd.SetName("gitrepositories.source.toolkit.fluxcd.io")
	if err := client.IgnoreNotFound(w.Delete(ctx, crd)); err != nil {
		w.t.Error(err)
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(process.FluxSources.WithKind("GitRepositoryList"))
	deadline := time.Now().Add(limit)
	for w.List(ctx, list) == nil {
		if time.Now().After(deadline) {
			w.t.Error("the kind GitRepository is still served")
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func repositoryNamed(namespace, name string) *unstructured.Unstructured {
	repository := &unstructured.Unstructured{}
	repository.SetGroupVersionKind(process.FluxSources.WithKind("GitRepository"))
	repository.SetNamespace(namespace)
	repository.SetName(name)
	return repository
}

// createRepository makes a GitRepository with an artifact, which a site has from then on at a path of its own.
func (w *world) createRepository(name string, s *site, archive string) {
	w.t.Helper()
	path := "/gitrepository/" + name + "/1.tar.gz"
	before := s.current()
	s.set(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != path {
			before(rw, r)
			return
		}
		_, _ = io.WriteString(rw, archive)
	})
	repository := repositoryNamed(w.namespace, name)
	if err := w.Create(w.t.Context(), repository); err != nil {
		w.t.Fatal(err)
	}
	err := unstructured.SetNestedMap(repository.Object, map[string]any{
		"url": s.URL + path, "digest": "sha256:" + sumOf(archive), "revision": "main@sha1:1", "size": int64(len(archive)),
	}, "status", "artifact")
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Status().Update(w.t.Context(), repository); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) deleteRepository(name string) {
	w.t.Helper()
	if err := w.Delete(w.t.Context(), repositoryNamed(w.namespace, name)); err != nil {
		w.t.Fatal(err)
	}
}

// TestArtifactSource: Flux isn't installed, then it is, then its object has an artifact, another one, a wrong one, and is
// gone.
func TestArtifactSource(t *testing.T) {
	s := newSite(t)
	w := newIdleWorld(t)
	w.options = fetching(t, s)
	restricted(t)
	root := controlplane.Root() // the right alone: the kind comes later
	err := plane.Apply(t.Context(), filepath.Join(root, "config/sources/flux_role.yaml"), filepath.Join(root, "config/sources/flux_role_binding.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	w.create("blocklist", `
spec:
  type: LPMTrie
  key: {type: ipv4Prefix}
  value: {type: u32}
  maxEntries: 64
  entriesFrom: [{artifact: {kind: GitRepository, name: feeds, path: lists/drop.txt}, format: Lines, value: 1}]
`)
	w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionUnknown, "this cluster has no kind GitRepository", "Flux is not installed")
	w.installFlux()
	w.fetchAgain("blocklist")
	w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionUnknown, "GitRepository feeds does not exist in namespace")

	repository := &unstructured.Unstructured{}
	repository.SetGroupVersionKind(process.FluxSources.WithKind("GitRepository"))
	repository.SetNamespace(w.namespace)
	repository.SetName("feeds")
	if err := w.Create(t.Context(), repository); err != nil {
		t.Fatal(err)
	}
	w.fetchAgain("blocklist")
	w.awaitStatus(v1alpha1.ConditionAccepted, metav1.ConditionUnknown, "GitRepository feeds has no artifact yet")
	publish := func(archive, digest string) {
		s.publish(archive)
		err := unstructured.SetNestedMap(repository.Object, map[string]any{
			"url": s.URL + "/gitrepository/feeds/1.tar.gz", "digest": "sha256:" + digest, "revision": "main@sha1:1", "size": int64(len(archive)),
			"lastUpdateTime": "2026-01-01T00:00:00Z", "path": "gitrepository/feeds/1.tar.gz",
		}, "status", "artifact")
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Status().Update(t.Context(), repository); err != nil {
			t.Fatal(err)
		}
		w.fetchAgain("blocklist")
	}
	first := archived(t, "lists/drop.txt", "10.0.0.0/8\n")
	publish(first, sumOf(first))
	w.awaitEntries("blocklist", 1)
	second := archived(t, "lists/drop.txt", "10.0.0.0/8\n192.0.2.0/24\n")
	publish(second, sumOf(second))
	w.awaitEntries("blocklist", 2)
	publish(first, sumOf("else"))
	w.awaitStatus(v1alpha1.ConditionSourcesFresh, metav1.ConditionFalse, "the artifact's checksum is")
	if err := w.Delete(t.Context(), repository); err != nil {
		t.Fatal(err)
	}
	w.fetchAgain("blocklist")
	m := w.awaitStatus(v1alpha1.ConditionSourcesFresh, metav1.ConditionFalse, "GitRepository feeds does not exist", "last good contents")
	if *m.Status.Entries != 2 || m.Status.UpdateRevision != "blocklist-2" {
		t.Errorf("%d entries of %s", *m.Status.Entries, m.Status.UpdateRevision)
	}
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func archived(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	a := tar.NewWriter(z)
	if err := a.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(a, text); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
