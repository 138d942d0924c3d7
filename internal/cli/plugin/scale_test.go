// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// TestHundredNodes: a command asks for each kind of object once, whatever the number of nodes. How long it takes is logged.
func TestHundredNodes(t *testing.T) {
	const nodes, maps = 100, 20
	w := newWorld(t, nodes)
	m := w.declare("flags", blocklist)
	m.Status.Nodes = v1alpha1.NodeCounts{Desired: nodes, Ready: nodes - 1, Updated: nodes, Failed: 1}
	m.Status.ObservedGeneration = m.Generation
	m.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.NodeReasonMapFull, Message: "99 of 100 nodes ready", LastTransitionTime: metav1.Now()}}
	if err := w.Status().Update(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	for i, node := range w.nodes {
		state := &v1alpha1.BPFNodeState{ObjectMeta: metav1.ObjectMeta{Name: node}}
		if err := w.Create(t.Context(), state); err != nil {
			t.Fatal(err)
		}
		line := w.line(m, &v1alpha1.BPFMapRevision{ObjectMeta: metav1.ObjectMeta{Name: "flags-1"}}, node)
		if i == 42 {
			line.State, line.Reason, line.Message = v1alpha1.NodeMapFailed, v1alpha1.NodeReasonMapFull, "map is full"
		}
		state.Status.Maps = append(state.Status.Maps, line)
		for n := range maps {
			line.Name, line.State, line.Message = fmt.Sprintf("other-%02d", n), v1alpha1.NodeMapReady, ""
			state.Status.Maps = append(state.Status.Maps, line)
		}
		if err := w.Status().Update(t.Context(), state); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig, requests := counted(t)
	for _, args := range [][]string{{"status", "flags"}, {"why", "flags"}, {"why", "flags", w.nodes[42]}, {"status"}} {
		requests.Store(0)
		start := time.Now()
		r := runAs(t.Context(), t, kubeconfig, w.namespace, "", args...)
		t.Logf("%s: %s, %d requests", strings.Join(args, " "), time.Since(start).Round(time.Millisecond), requests.Load())
		r.wants(t, 0, "MapFull")
		if n := requests.Load(); n > 6 {
			t.Errorf("%v asked %d times", args, n)
		}
	}
	w.run("status", "flags").wants(t, 0, "Ready   InSync      99", "Failed  MapFull      1", w.nodes[42])
}

// counted is a kubeconfig for a proxy to the API server that counts requests.
func counted(t *testing.T) (kubeconfig string, requests *atomic.Int64) {
	t.Helper()
	cfg := plane.Config()
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(cfg.Host)
	if err != nil {
		t.Fatal(err)
	}
	requests = &atomic.Int64{}
	proxy := &httputil.ReverseProxy{Transport: transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, FlushInterval: -1}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	path := t.TempDir() + "/kubeconfig"
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: x\nclusters: [{name: x, cluster: {server: %s}}]\ncontexts: [{name: x, context: {cluster: x, user: x}}]\nusers: [{name: x, user: {}}]\n", server.URL)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, requests
}
