// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

var (
	maps       = schema.GroupVersionResource{Group: "bpfmap.io", Version: "v1alpha1", Resource: "bpfmaps"}
	revisions  = schema.GroupVersionResource{Group: "bpfmap.io", Version: "v1alpha1", Resource: "bpfmaprevisions"}
	chunks     = schema.GroupVersionResource{Group: "bpfmap.io", Version: "v1alpha1", Resource: "bpfmapchunks"}
	nodeStates = schema.GroupVersionResource{Group: "bpfmap.io", Version: "v1alpha1", Resource: "bpfnodestates"}
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	pods       = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	nodes      = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}
	accounts   = schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}
	coreEvents = schema.GroupVersionResource{Version: "v1", Resource: "events"}
	events     = schema.GroupVersionResource{Group: "events.k8s.io", Version: "v1", Resource: "events"}
	leases     = schema.GroupVersionResource{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}
	crbs       = schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"}
	policies   = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"}
	crds       = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	daemonSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "daemonsets"}
)

type outcome string

const (
	works     outcome = "works"
	forbidden outcome = "is forbidden by RBAC"
	denied    outcome = "is denied by the policy"
)

// attempt is one request. Its target is "namespace/name", "/name" or, for the rest, a namespace.
type attempt struct {
	as       string
	verb     string
	resource schema.GroupVersionResource
	target   string
	sub      string
	want     outcome
	// body is the object to create or the patch; update sends back what is there.
	body string
}

const event = `{apiVersion: events.k8s.io/v1, kind: Event, metadata: {name: %s, namespace: default},
  eventTime: "2026-01-02T03:04:05.000000Z", action: Sync, reason: Synced, type: Normal,
  reportingController: bpfmap.io/test, reportingInstance: test, regarding: {kind: Node, name: node-a}}`

// The attempts run in this order; some build on the one before.
var attempts = []attempt{
	// What an agent does.
	{"agent-a", "list", revisions, "", "", works, ""},
	{"agent-a", "watch", revisions, "", "", works, ""},
	{"agent-a", "get", nodes, "/node-a", "", works, ""},
	{"agent-a", "create", nodeStates, "/node-a", "", works, ""},
	{"agent-a", "watch", nodeStates, "", "", works, ""},
	{"agent-a", "update", nodeStates, "/node-a", "status", works, ""},
	{"agent-a", "create", events, "default/a", "", works, fmt.Sprintf(event, "a")},
	{"agent-a", "patch", events, "default/a", "", works, `{"series":{"count":2,"lastObservedTime":"2026-01-02T03:04:06.000000Z"}}`},

	// Another node's state, and tokens of other kinds.
	{"agent-a", "create", nodeStates, "/node-c", "", denied, ""},
	{"agent-a", "update", nodeStates, "/node-b", "status", denied, ""},
	{"agent-b", "update", nodeStates, "/node-b", "status", works, ""},
	{"agent-b", "update", nodeStates, "/node-a", "status", denied, ""},
	{"agent without node", "update", nodeStates, "/node-a", "status", denied, ""},
	{"agent without node", "create", nodeStates, "/node-c", "", denied, ""},
	{"agent with certificate", "update", nodeStates, "/node-a", "status", denied, ""},
	{"administrator", "update", nodeStates, "/node-a", "status", works, ""},
	{"somebody", "update", nodeStates, "/node-a", "status", works, ""},
	{"somebody", "create", nodeStates, "/node-c", "", works, ""},

	// What who takes over an agent would want.
	{"agent-a", "get", secrets, namespace + "/secret", "", forbidden, ""},
	{"agent-a", "list", secrets, "", "", forbidden, ""},
	{"agent-a", "get", configMaps, namespace + "/config", "", forbidden, ""},
	{"agent-a", "list", configMaps, "", "", forbidden, ""},
	{"agent-a", "get", maps, "default/colours", "", forbidden, ""},
	{"agent-a", "list", maps, "", "", forbidden, ""},
	{"agent-a", "create", maps, "default/mine", "", forbidden, ""},
	{"agent-a", "patch", maps, "default/colours", "", forbidden, `{}`},
	{"agent-a", "patch", maps, "default/colours", "status", forbidden, `{}`},
	{"agent-a", "delete", maps, "default/colours", "", forbidden, ""},
	{"agent-a", "create", revisions, "default/mine-1", "", forbidden, ""},
	{"agent-a", "update", revisions, "default/colours-1", "", forbidden, ""},
	{"agent-a", "patch", revisions, "default/colours-1", "", forbidden, `{}`},
	{"agent-a", "delete", revisions, "default/colours-1", "", forbidden, ""},
	{"agent-a", "get", secrets, "default/of-others", "", forbidden, ""},
	{"agent-a", "list", chunks, "", "", forbidden, ""},
	{"agent-a", "create", chunks, "default/mine", "", forbidden, ""},
	{"agent-a", "delete", chunks, "default/mine", "", forbidden, ""},
	{"agent-a", "delete", nodeStates, "/node-a", "", forbidden, ""},
	{"agent-a", "delete", nodeStates, "/node-b", "", forbidden, ""},
	{"agent-a", "update", nodeStates, "/node-a", "", forbidden, ""},
	{"agent-a", "patch", nodeStates, "/node-a", "", forbidden, `{}`},
	{"agent-a", "patch", nodeStates, "/node-a", "status", forbidden, `{}`},
	{"agent-a", "patch", nodes, "/node-a", "", forbidden, `{}`},
	{"agent-a", "patch", nodes, "/node-a", "status", forbidden, `{}`},
	{"agent-a", "get", nodes, "/node-a", "proxy", forbidden, ""},
	{"agent-a", "list", pods, "", "", forbidden, ""},
	{"agent-a", "create", pods, namespace + "/mine", "", forbidden, ""},
	{"agent-a", "create", pods, namespace + "/agent-a", "exec", forbidden, ""},
	{"agent-a", "create", accounts, namespace + "/" + agentAccount, "token", forbidden, ""},
	{"agent-a", "create", crbs, "/mine", "", forbidden, ""},
	{"agent-a", "delete", policies, "/" + agentAccount, "", forbidden, ""},
	{"agent-a", "patch", daemonSets, namespace + "/" + agentAccount, "", forbidden, `{}`},
	{"agent-a", "create", leases, namespace + "/mine", "", forbidden, ""},
	{"agent-a", "delete", events, "default/a", "", forbidden, ""},

	// What the controller does.
	{"controller", "list", maps, "", "", works, ""},
	{"controller", "patch", maps, "default/colours", "status", works, `{"status":{"pinPath":"p"}}`},
	{"controller", "list", nodes, "", "", works, ""},
	{"controller", "watch", chunks, "", "", works, ""},
	{"controller", "get", secrets, namespace + "/secret", "", works, ""},
	{"controller", "watch", secrets, "", "", works, ""},
	{"controller", "get", configMaps, namespace + "/config", "", works, ""},
	{"controller", "watch", configMaps, "", "", works, ""},
	{"controller", "watch", nodeStates, "", "", works, ""},
	{"controller", "patch", nodeStates, "/node-a", "status", works, `{"status":{"bootID":"b"}}`},
	{"controller", "list", pods, namespace, "", works, ""},
	{"controller", "watch", pods, namespace, "", works, ""},
	{"controller", "watch", daemonSets, namespace, "", works, ""},
	{"controller", "create", revisions, "default/colours-2", "", works, "{apiVersion: bpfmap.io/v1alpha1, " +
		"kind: BPFMapRevision, metadata: {name: colours-2, namespace: default}, " +
		"spec: {mapName: colours, mapUID: u, number: 2, " + revisionSpec + "}}"},
	{"controller", "patch", revisions, "default/colours-2", "", works, `{"metadata":{"labels":{"bpfmap.io/active":"true"}}}`},
	{"controller", "delete", revisions, "default/colours-2", "", works, ""},
	{"controller", "create", events, "default/c", "", works, fmt.Sprintf(event, "c")},
	{"controller", "create", leases, namespace + "/leader", "", works, ""},
	{"controller", "get", leases, namespace + "/leader", "", works, ""},
	{"controller", "update", leases, namespace + "/leader", "", works, ""},

	// What it must not.
	{"controller", "create", secrets, namespace + "/mine", "", forbidden, ""},
	{"controller", "update", secrets, namespace + "/secret", "", forbidden, ""},
	{"controller", "patch", secrets, namespace + "/secret", "", forbidden, `{}`},
	{"controller", "delete", secrets, namespace + "/secret", "", forbidden, ""},
	{"controller", "create", configMaps, namespace + "/mine", "", forbidden, ""},
	{"controller", "update", configMaps, namespace + "/config", "", forbidden, ""},
	{"controller", "patch", configMaps, namespace + "/config", "", forbidden, `{}`},
	{"controller", "delete", configMaps, namespace + "/config", "", forbidden, ""},
	{"controller", "create", pods, namespace + "/agent-a", "exec", forbidden, ""},
	{"controller", "create", pods, namespace + "/mine", "", forbidden, ""},
	{"controller", "list", pods, "", "", forbidden, ""},
	{"controller", "list", pods, "default", "", forbidden, ""},
	{"controller", "delete", pods, namespace + "/agent-a", "", forbidden, ""},
	{"controller", "list", daemonSets, "", "", forbidden, ""},
	{"controller", "create", nodeStates, "/node-d", "", forbidden, ""},
	{"controller", "update", nodeStates, "/node-a", "status", forbidden, ""},
	{"controller", "patch", nodeStates, "/node-a", "", forbidden, `{}`},
	{"controller", "delete", nodeStates, "/node-a", "", forbidden, ""},
	{"controller", "update", maps, "default/colours", "", forbidden, ""},
	{"controller", "patch", maps, "default/colours", "", forbidden, `{}`},
	{"controller", "create", maps, "default/mine", "", forbidden, ""},
	{"controller", "delete", maps, "default/colours", "", forbidden, ""},
	{"controller", "update", revisions, "default/colours-1", "", forbidden, ""},
	{"controller", "patch", nodes, "/node-a", "", forbidden, `{}`},
	{"controller", "create", accounts, namespace + "/" + agentAccount, "token", forbidden, ""},
	{"controller", "create", crbs, "/mine", "", forbidden, ""},
	{"controller", "patch", crds, "/bpfmaps.bpfmap.io", "", forbidden, `{}`},
	{"controller", "delete", policies, "/" + agentAccount, "", forbidden, ""},
	{"controller", "patch", daemonSets, namespace + "/" + agentAccount, "", forbidden, `{}`},
	{"controller", "create", leases, "default/leader", "", forbidden, ""},
	{"controller", "create", coreEvents, "default/c", "", forbidden, ""},
}

func TestRights(t *testing.T) {
	w := newWorld(t)
	certificate, err := w.plane.ConfigFor("system:serviceaccount:" + namespace + ":" + agentAccount)
	if err != nil {
		t.Fatal(err)
	}
	clients := map[string]dynamic.Interface{
		"agent-a":                w.client(t, w.account(t, agentAccount, w.inPod(t, "agent-a"))),
		"agent-b":                w.client(t, w.account(t, agentAccount, w.onNode(t, "node-b"))),
		"agent without node":     w.client(t, w.account(t, agentAccount, nil)),
		"agent with certificate": w.client(t, certificate),
		"controller":             w.client(t, w.account(t, controllerAccount, nil)),
		"somebody":               w.client(t, w.account(t, "somebody", nil)),
		"administrator":          w.admin,
	}
	for _, a := range attempts {
		resource := strings.Trim(a.resource.Resource+"/"+a.sub, "/")
		name := strings.Join(strings.Fields(a.as+" "+a.verb+" "+resource+" "+a.target), " ")
		t.Run(name, func(t *testing.T) {
			err := w.try(t.Context(), clients[a.as], a)
			var got outcome
			switch {
			case err == nil:
				got = works
			case isPolicy(err):
				got = denied
			case isRBAC(err):
				got = forbidden
			}
			if got != a.want {
				t.Fatalf("%s %s, want that it %s; answer: %v", name, got, a.want, err)
			}
			if a.want == denied {
				for _, want := range []string{"system:serviceaccount:" + namespace + ":" + agentAccount, strings.TrimPrefix(a.target, "/")} {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the answer doesn't say who tried what: no %q in %v", want, err)
					}
				}
			}
		})
	}
}

// try sends the request of a. What an update sends back is read with the administrator's rights.
func (w *world) try(ctx context.Context, client dynamic.Interface, a attempt) error {
	ns, name, _ := strings.Cut(a.target, "/")
	on := func(c dynamic.Interface) dynamic.ResourceInterface {
		if ns == "" {
			return c.Resource(a.resource)
		}
		return c.Resource(a.resource).Namespace(ns)
	}
	var subs []string
	if a.sub != "" {
		subs = []string{a.sub}
	}
	switch a.verb {
	case "get":
		_, err := on(client).Get(ctx, name, metav1.GetOptions{}, subs...)
		return err
	case "list":
		_, err := on(client).List(ctx, metav1.ListOptions{})
		return err
	case "watch":
		watch, err := on(client).Watch(ctx, metav1.ListOptions{})
		if err == nil {
			watch.Stop()
		}
		return err
	case "create":
		o := object(a.resource.GroupVersion().String(), kinds[a.resource.Resource], ns, name)
		if a.body != "" {
			o = &unstructured.Unstructured{}
			if err := yaml.Unmarshal([]byte(a.body), &o.Object); err != nil {
				return err
			}
		}
		_, err := on(client).Create(ctx, o, metav1.CreateOptions{}, subs...)
		return err
	case "update":
		o, err := on(w.admin).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("prepare the update: %w", err)
		}
		if a.sub == "status" {
			o.Object["status"] = map[string]any{"bootID": a.as}
		}
		_, err = on(client).Update(ctx, o, metav1.UpdateOptions{}, subs...)
		return err
	case "patch":
		_, err := on(client).Patch(ctx, name, types.MergePatchType, []byte(a.body), metav1.PatchOptions{}, subs...)
		return err
	case "delete":
		return on(client).Delete(ctx, name, metav1.DeleteOptions{})
	}
	return fmt.Errorf("unknown verb %q", a.verb)
}

// kinds are those of the objects that attempts create without a body.
var kinds = map[string]string{
	"bpfmapchunks": "BPFMapChunk", "bpfmaps": "BPFMap", "bpfmaprevisions": "BPFMapRevision", "bpfnodestates": "BPFNodeState", "pods": "Pod",
	"secrets": "Secret", "configmaps": "ConfigMap", "serviceaccounts": "TokenRequest", "leases": "Lease",
	"events": "Event", "clusterrolebindings": "ClusterRoleBinding",
}
