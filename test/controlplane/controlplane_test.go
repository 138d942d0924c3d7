// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

func clientFor(t *testing.T, c *rest.Config) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestControlPlane(t *testing.T) {
	cp := controlplane.New(t)
	client := clientFor(t, cp.Config())

	t.Run("serves the project's kinds", func(t *testing.T) {
		resources, err := client.Discovery().ServerResourcesForGroupVersion("bpfmap.io/v1alpha1")
		if err != nil {
			t.Fatal(err)
		}
		served := map[string]bool{}
		for _, r := range resources.APIResources {
			served[r.Name] = true
		}
		for _, name := range []string{"bpfmaps", "bpfmaprevisions", "bpfnodestates"} {
			if !served[name] {
				t.Errorf("resource %s is not served", name)
			}
		}
	})

	t.Run("a user without roles has no rights", func(t *testing.T) {
		config, err := cp.ConfigFor("nobody", "some-group")
		if err != nil {
			t.Fatal(err)
		}
		_, err = clientFor(t, config).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		if !apierrors.IsForbidden(err) {
			t.Fatalf("list nodes as nobody: got %v, want forbidden", err)
		}
	})

	t.Run("the API server comes back with its data", func(t *testing.T) {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "survivor"}}
		created, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		cp.StopAPIServer()
		gone, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := client.CoreV1().Nodes().Get(gone, node.Name, metav1.GetOptions{}); err == nil {
			t.Fatal("the API answers although its server is stopped")
		}
		if err := cp.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
		again, err := client.CoreV1().Nodes().Get(t.Context(), node.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if again.UID != created.UID {
			t.Errorf("node's UID is %s after the restart, was %s", again.UID, created.UID)
		}
	})

	t.Run("kubectl works with the kubeconfig", func(t *testing.T) {
		kubectl, err := controlplane.Tool("kubectl")
		if err != nil {
			t.Fatal(err)
		}
		kubeconfig, err := cp.Kubeconfig()
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.CommandContext(t.Context(), kubectl, "--kubeconfig", kubeconfig, "get", "crds", "-o", "name").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if !strings.Contains(string(out), "bpfmaps.bpfmap.io") {
			t.Errorf("kubectl get crds printed %q, want bpfmaps.bpfmap.io in it", out)
		}
	})
}

func TestStartNamesWhatIsMissing(t *testing.T) {
	t.Setenv(controlplane.AssetsEnv, t.TempDir())
	t.Setenv("PATH", t.TempDir())
	_, err := controlplane.Start(t.Context(), controlplane.Options{})
	if err == nil {
		t.Fatal("started without etcd")
	}
	for _, want := range []string{"etcd", "make test"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not mention %q", err, want)
		}
	}
}
