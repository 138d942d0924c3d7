// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package fetch

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// site is a real HTTP server whose answers a test changes.
type site struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	asked  []*http.Request
}

func newSite(t *testing.T, tls bool) *site {
	t.Helper()
	s := &site{answer: body("192.0.2.0/24\n")}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.answer
		s.asked = append(s.asked, r)
		s.mu.Unlock()
		answer(w, r)
	}))
	s.Config.ErrorLog = nil
	if tls {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *site) set(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

func (s *site) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.asked...)
}

// host is host:port, as allowed hosts are written.
func (s *site) host() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		panic(err)
	}
	return u.Host
}

func (s *site) ca() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// body answers with a text.
func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// files answers by the path, and 404 for others.
func files(all map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		text, ok := all[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, text)
	}
}

// objects are those of a namespace.
type objects struct {
	mu        sync.Mutex
	data      map[string]map[string][]byte
	artifacts map[string]Artifact
}

func (o *objects) Data(_ context.Context, kind, _, name string) (map[string][]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data[kind+"/"+name], nil
}

func (o *objects) set(name string, data map[string][]byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.data[name] = data
}

func (o *objects) Artifact(_ context.Context, namespace, kind, name string) (Artifact, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	a, ok := o.artifacts[kind+"/"+name]
	if !ok {
		return a, fmt.Errorf("%s %s does not exist in namespace %s", kind, name, namespace)
	}
	return a, nil
}

func (o *objects) publish(name string, a Artifact) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.artifacts == nil {
		o.artifacts = map[string]Artifact{}
	}
	o.artifacts[name] = a
}

// reader is who wants documents.
var reader = types.NamespacedName{Namespace: "edge", Name: "blocklist"}

// desk is a Fetcher that fetches when it is asked to.
type desk struct {
	*Fetcher
	t       *testing.T
	objects *objects
	changed chan []types.NamespacedName
	asks    int
}

// limits are small, so that tests don't take long.
func limits() Limits {
	l := DefaultLimits()
	l.Bytes, l.Archive, l.Files = 2<<20, 16<<20, 100
	return l
}

// newDesk allows the sites' hosts.
func newDesk(t *testing.T, change func(*Client), sites ...*site) *desk {
	t.Helper()
	var hosts []string
	for _, s := range sites {
		hosts = append(hosts, s.host())
	}
	local := []string{"127.0.0.0/8"}
	policy, err := NewPolicy("--allowed-source-hosts", hosts, local)
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, objects: &objects{data: map[string]map[string][]byte{}}, changed: make(chan []types.NamespacedName, 100)}
	c := &Client{Policy: policy, Artifacts: policy, Limits: limits(), UserAgent: "bpfmap-controller/test", Objects: d.objects}
	if change != nil {
		change(c)
	}
	d.start(c, t.TempDir())
	return d
}

// start runs a Fetcher on a folder, as a process that starts does.
func (d *desk) start(c *Client, dir string) {
	d.Fetcher = New(Settings{
		Client: c, Dir: dir, MaxBytes: DefaultSpool, MinInterval: time.Hour, // nothing happens that the test doesn't ask for
		Changed: func(names []types.NamespacedName) { d.changed <- names }, Log: func(err error) { d.t.Error(err) },
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	f := d.Fetcher
	go func() { done <- f.Run(ctx) }()
	d.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
	})
}

// attempt has a document fetched, and returns what is known then.
func (d *desk) attempt(s Spec) State {
	d.t.Helper()
	d.asks++
	d.mu.Lock()
	if doc := d.docs[s.ID()]; doc != nil {
		doc.record.Tried = doc.record.Tried.Add(-time.Hour) // it may be asked for again at once
	}
	d.mu.Unlock()
	d.Want(reader, []Spec{s}, fmt.Sprint(d.asks))
	select {
	case <-d.changed:
	case <-time.After(time.Minute):
		d.t.Fatal("nothing was fetched in a minute")
	}
	state, err := d.State(s.ID())
	if err != nil {
		d.t.Fatal(err)
	}
	return state
}

// text is the last good text.
func (d *desk) text(s Spec) string {
	d.t.Helper()
	state, err := d.State(s.ID())
	if err != nil {
		d.t.Fatal(err)
	}
	data, err := d.Read(s.ID(), state.Meta.Digest)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(data)
}

// good fetches a document that is as it should be.
func (d *desk) good(s Spec, want string) State {
	d.t.Helper()
	state := d.attempt(s)
	if state.Failure != "" || !state.Ready() {
		d.t.Fatalf("failed: %q", state.Failure)
	}
	if got := d.text(s); got != want {
		d.t.Fatalf("text is %.100q, want %.100q", got, want)
	}
	return state
}

func web(s *site, path string) Spec {
	return Spec{Namespace: "edge", HTTP: &v1alpha1.HTTPSource{URL: s.URL + path}}
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// hijack answers with bytes of the test's own.
func hijack(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, out, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_, _ = io.WriteString(out, text)
		_ = errors.Join(out.Flush(), conn.Close())
	}
}

func contains(text string, words ...string) bool {
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}
