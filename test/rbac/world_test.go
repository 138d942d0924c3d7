// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/bpfmap-io/bpfmap-operator/test/await"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

const (
	namespace         = "bpfmap-system"
	agentAccount      = "bpfmap-operator-agent"
	controllerAccount = "bpfmap-operator-controller"
)

// helmTemplate renders the chart as one installs it, without its hooks.
func helmTemplate(t *testing.T, set ...string) string {
	t.Helper()
	args := []string{"--no-hooks"}
	for _, value := range set {
		args = append(args, "--set", value)
	}
	return helmRender(t, args...)
}

// helmRender renders the chart.
func helmRender(t *testing.T, args ...string) string {
	t.Helper()
	out, err := controlplane.RenderChart(t.Context(), "bpfmap-operator", namespace, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// world is a control plane with the chart, two nodes with an agent's pod each, and things to steal.
type world struct {
	plane *controlplane.ControlPlane
	kube  kubernetes.Interface
	admin dynamic.Interface
}

func newWorld(t *testing.T) *world {
	t.Helper()
	plane, err := controlplane.Start(t.Context(), controlplane.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	rendered := filepath.Join(t.TempDir(), "chart.yaml")
	if err := os.WriteFile(rendered, []byte(helmTemplate(t, "controller.sources.secrets.enabled=true")), 0o600); err != nil {
		t.Fatal(err)
	}
	ground := filepath.Join(t.TempDir(), "ground.yaml")
	if err := os.WriteFile(ground, []byte(groundYAML), 0o600); err != nil {
		t.Fatal(err)
	}
	system := filepath.Join(controlplane.Root(), "config", "default", "namespace.yaml")
	if err := plane.Apply(t.Context(), system, rendered, ground); err != nil {
		t.Fatal(err)
	}
	w := &world{plane: plane}
	if w.kube, err = kubernetes.NewForConfig(plane.Config()); err != nil {
		t.Fatal(err)
	}
	w.admin = w.client(t, plane.Config())
	w.awaitPolicy(t)
	return w
}

// groundYAML is what the attempts below meet.
const groundYAML = `
apiVersion: v1
kind: Node
metadata: {name: node-a}
---
apiVersion: v1
kind: Node
metadata: {name: node-b}
---
apiVersion: v1
kind: Pod
metadata: {name: agent-a, namespace: bpfmap-system}
spec:
  nodeName: node-a
  serviceAccountName: bpfmap-operator-agent
  containers: [{name: agent, image: none}]
---
apiVersion: v1
kind: Secret
metadata: {name: secret, namespace: bpfmap-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: config, namespace: bpfmap-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: somebody, namespace: bpfmap-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: somebody}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: somebody, namespace: bpfmap-system}]
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFNodeState
metadata: {name: node-b}
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMap
metadata: {name: colours, namespace: default}
spec:
  type: Array
  maxEntries: 1
  value: {fields: [{name: red, type: u32}]}
---
apiVersion: bpfmap.io/v1alpha1
kind: BPFMapRevision
metadata: {name: colours-1, namespace: default}
spec: {mapName: colours, mapUID: u, number: 1, ` + revisionSpec + `}
`

const revisionSpec = `type: Array, keySize: 4, valueSize: 4, maxEntries: 1, entryCount: 0, digest: d,
  value: {fields: [{name: red, type: u32}]}, pin: {path: bpfmap/default/colours}, syncPolicy: Merge,
  deletionPolicy: Delete, driftPolicy: Repair, replacePolicy: Never`

// account returns the configuration of who holds a token and nothing else.
func (w *world) account(t *testing.T, name string, bound *authenticationv1.BoundObjectReference) *rest.Config {
	t.Helper()
	config, err := w.plane.ConfigWithToken(t.Context(), namespace, name, bound)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// inPod binds a token to a pod, as the kubelet does.
func (w *world) inPod(t *testing.T, name string) *authenticationv1.BoundObjectReference {
	t.Helper()
	pod, err := w.kube.CoreV1().Pods(namespace).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: name, UID: pod.UID}
}

func (w *world) onNode(t *testing.T, name string) *authenticationv1.BoundObjectReference {
	t.Helper()
	node, err := w.kube.CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Node", Name: name, UID: node.UID}
}

func (w *world) client(t *testing.T, config *rest.Config) dynamic.Interface {
	t.Helper()
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// awaitPolicy waits until the API server enforces the admission policy, which it reads by a watch.
func (w *world) awaitPolicy(t *testing.T) {
	t.Helper()
	agent := w.client(t, w.account(t, agentAccount, nil))
	probe := object("bpfmap.io/v1alpha1", "BPFNodeState", "", "probe")
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		options := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
		_, err := agent.Resource(nodeStates).Create(t.Context(), probe, options)
		if isPolicy(err) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the admission policy isn't enforced; last answer: %v", err)
		}
	}
}

func isPolicy(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "ValidatingAdmissionPolicy '"+agentAccount+"'")
}

func isRBAC(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot ")
}

func object(apiVersion, kind, ns, name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion(apiVersion)
	u.SetKind(kind)
	u.SetNamespace(ns)
	u.SetName(name)
	return u
}

// TestTokensNameTheNode tells a policy that can't work from one that is wrong.
func TestTokensNameTheNode(t *testing.T) {
	w := newWorld(t)
	const key = "authentication.kubernetes.io/node-name"
	for _, c := range []struct {
		name  string
		bound *authenticationv1.BoundObjectReference
		want  string
	}{
		{"bound to a pod", w.inPod(t, "agent-a"), "node-a"},
		{"bound to a node", w.onNode(t, "node-b"), "node-b"},
		{"not bound", nil, ""},
	} {
		client, err := kubernetes.NewForConfig(w.account(t, agentAccount, c.bound))
		if err != nil {
			t.Fatal(err)
		}
		review, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(),
			&authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		user := review.Status.UserInfo
		if got := strings.Join(user.Extra[key], ","); got != c.want {
			t.Errorf("token %s: %s is %q, want %q", c.name, key, got, c.want)
		}
		if want := "system:serviceaccount:" + namespace + ":" + agentAccount; user.Username != want {
			t.Errorf("token %s: user %s, want %s", c.name, user.Username, want)
		}
	}
	// The pod's token is worthless once the pod is gone, so a stolen one doesn't outlive it.
	config := w.account(t, agentAccount, w.inPod(t, "agent-a"))
	var now int64
	options := metav1.DeleteOptions{GracePeriodSeconds: &now}
	if err := w.kube.CoreV1().Pods(namespace).Delete(t.Context(), "agent-a", options); err != nil {
		t.Fatal(err)
	}
	await.Nil(t, time.Minute, func() error { // the API server learns of it by its own watch
		_, err := w.client(t, config).Resource(revisions).List(t.Context(), metav1.ListOptions{})
		switch {
		case apierrors.IsUnauthorized(err):
			return nil
		case err != nil:
			return fmt.Errorf("list revisions with the token of a deleted pod: %w", err)
		}
		return errors.New("the token of a deleted pod still works")
	})
}
