// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/bpfmap-io/bpfmap-operator/api/v1alpha1"
)

// token is what the kubelet gave to a process's pod: what somebody has who takes the process over.
func token(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/root/var/run/secrets/kubernetes.io/serviceaccount/token")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// with is a client that has a token and nothing else.
func with(t *testing.T, token string) client.Client {
	t.Helper()
	c := rest.AnonymousClientConfig(config)
	c.BearerToken = token
	result, err := client.New(c, client.Options{Scheme: api.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// TestStolenToken tries with one agent's token, taken from its running pod, what only another's may.
func TestStolenToken(t *testing.T) {
	w := newWorld(t)
	w.make("blocklist", contents{1: 10})
	w.awaitReady("blocklist", 3)
	thief := with(t, token(t, nodes[0].agent(t)))
	write := func(name string) error {
		state := &v1alpha1.BPFNodeState{}
		if err := thief.Get(t.Context(), client.ObjectKey{Name: name}, state); err != nil {
			t.Fatal(err)
		}
		state.Status.KernelRelease = "stolen"
		return thief.Status().Update(t.Context(), state, client.DryRunAll)
	}
	// Its own: what is refused below is refused for the node's name.
	eventually(t, func() error {
		if err := write("node-1"); !apierrors.IsConflict(err) {
			if err != nil {
				t.Fatalf("node-1's token can't write node-1's state: %v", err)
			}
			return nil
		}
		return fmt.Errorf("node-1's state changes all the time")
	})
	err := write("node-2")
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), "on node node-1 tried to write the BPFNodeState of node node-2") {
		t.Errorf("node-1's token on node-2's state: %v, want the policy's refusal", err)
	}
	if err := thief.List(t.Context(), &corev1.SecretList{}); !apierrors.IsForbidden(err) {
		t.Errorf("node-1's token lists Secrets: %v", err)
	}
	if err := thief.List(t.Context(), &v1alpha1.BPFMapList{}); !apierrors.IsForbidden(err) {
		t.Errorf("node-1's token lists BPFMaps: %v", err)
	}
}

// TestMetricsNeedAToken asks each component for its metrics as anybody, as one of the components, and as
// who is bound to the role for it.
func TestMetricsNeedAToken(t *testing.T) {
	reinstall(t, "metrics.enabled=true")
	scraper := scraperToken(t)
	for component, metric := range map[string]string{"agent": "bpfmap_sync_total", "controller": "bpfmap_compile_duration_seconds"} {
		var pods corev1.PodList
		if err := api.List(t.Context(), &pods, client.InNamespace(system), client.MatchingLabels{"app.kubernetes.io/component": component}); err != nil {
			t.Fatal(err)
		}
		if len(pods.Items) == 0 {
			t.Fatalf("no pods of the %s", component)
		}
		w := newWorld(t)
		w.make("blocklist", contents{1: 10})
		w.awaitReady("blocklist", 3)
		for i := range pods.Items {
			pod := &pods.Items[i]
			address := net.JoinHostPort(pod.Status.PodIP, "8443")
			for who, c := range map[string]struct {
				token string
				want  int
			}{
				"nobody":           {"", http.StatusUnauthorized},
				"a made-up token":  {"made-up", http.StatusUnauthorized},
				"an agent's token": {token(t, nodes[0].agent(t)), http.StatusForbidden},
				"the scraper":      {scraper, http.StatusOK},
			} {
				status, body, err := scrape(t, "https://"+address+"/metrics", c.token)
				if err != nil {
					t.Fatalf("%s: %s: %v", pod.Name, who, err)
				}
				if status != c.want {
					t.Errorf("%s: %s got %d, want %d: %.200s", pod.Name, who, status, c.want, body)
				}
				if shown := strings.Contains(body, metric); shown != (c.want == http.StatusOK) {
					t.Errorf("%s: %s sees %s: %t", pod.Name, who, metric, shown)
				}
			}
			// Depending on who is faster, the answer is a refusal or a reset connection.
			if status, body, _ := scrape(t, "http://"+address+"/metrics", scraper); status == http.StatusOK {
				t.Errorf("%s: serves metrics without TLS: %.200s", pod.Name, body)
			}
		}
	}
}

// scraperToken is that of a service account which is bound to the chart's role for reading metrics.
func scraperToken(t *testing.T) string {
	t.Helper()
	w := newWorld(t)
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "prometheus"}}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "bpfmap-bpfmap-operator-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.namespace, Name: account.Name}},
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Create(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	if _, err := clients.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := clients.RbacV1().ClusterRoleBindings().Delete(context.Background(), binding.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	request, err := clients.CoreV1().ServiceAccounts(w.namespace).CreateToken(t.Context(), account.Name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

// scrape gets a page. The components' certificates are their own, which says nothing about who asks.
func scrape(t *testing.T, url, token string) (status int, body string, err error) {
	t.Helper()
	c := &http.Client{
		Timeout:   30 * time.Second,
		Transport: &http.Transport{Proxy: nil, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true},
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}
