// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"errors"
	"io"
	stdmaps "maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// reasons has every single right that the components' roles grant: role, resource, verb. A new right
// has to be argued for here, in docs/security.md and beside the code that needs it.
var reasons = map[string]string{
	"ClusterRole controller-maps: bpfmap.io/bpfmaprevisions/status patch":        "how far a rollout goes",
	"ClusterRole agent-maps: bpfmap.io/bpfmapchunks get":                         "the parts of large revisions, by name",
	"ClusterRole controller-maps: bpfmap.io/bpfmapchunks create":                 "compile large sets",
	"ClusterRole controller-maps: bpfmap.io/bpfmapchunks delete":                 "collect those that no revision names",
	"ClusterRole controller-maps: bpfmap.io/bpfmapchunks get":                    "the watch's resync",
	"ClusterRole controller-maps: bpfmap.io/bpfmapchunks list":                   "the watch's start, metadata alone",
	"ClusterRole controller-maps: bpfmap.io/bpfmapchunks watch":                  "somebody else deleted one",
	"ClusterRole agent-maps: bpfmap.io/bpfmaprevisions get":                      "what to load, after an event of it",
	"ClusterRole agent-maps: bpfmap.io/bpfmaprevisions list":                     "the watch's start",
	"ClusterRole agent-maps: bpfmap.io/bpfmaprevisions watch":                    "what to load, without polling",
	"ClusterRole agent: bpfmap.io/bpfnodestates create":                          "the first report of a node",
	"ClusterRole agent: bpfmap.io/bpfnodestates get":                             "its own state, to compare with",
	"ClusterRole agent: bpfmap.io/bpfnodestates list":                            "the watch's start",
	"ClusterRole agent: bpfmap.io/bpfnodestates watch":                           "somebody else changed or deleted it",
	"ClusterRole agent: bpfmap.io/bpfnodestates/status update":                   "the report; the policy holds it to its node",
	"ClusterRole agent-maps: events.k8s.io/events create":                        "what people should notice",
	"ClusterRole agent-maps: events.k8s.io/events patch":                         "counts repetitions",
	"ClusterRole agent: nodes get":                                               "the UID for the owner reference of its state",
	"ClusterRole agent: nodes list":                                              "the watch's start",
	"ClusterRole agent: nodes watch":                                             "its own labels, for nodeSelector",
	"ClusterRole controller-maps: bpfmap.io/bpfmaprevisions create":              "compile",
	"ClusterRole controller-maps: bpfmap.io/bpfmaprevisions delete":              "collect history",
	"ClusterRole controller-maps: bpfmap.io/bpfmaprevisions get":                 "the newest revision",
	"ClusterRole controller-maps: bpfmap.io/bpfmaprevisions list":                "the watch's start",
	"ClusterRole controller-maps: bpfmap.io/bpfmaprevisions patch":               "the label active; the spec is immutable",
	"ClusterRole controller-maps: bpfmap.io/bpfmaprevisions watch":               "somebody else deleted one",
	"ClusterRole controller-maps: bpfmap.io/bpfmaps get":                         "what people declare",
	"ClusterRole controller-maps: bpfmap.io/bpfmaps list":                        "the watch's start",
	"ClusterRole controller-maps: bpfmap.io/bpfmaps watch":                       "what people declare, without polling",
	"ClusterRole controller-maps: bpfmap.io/bpfmaps/status patch":                "the aggregate",
	"ClusterRole controller: bpfmap.io/bpfnodestates get":                        "what the agents report",
	"ClusterRole controller: bpfmap.io/bpfnodestates list":                       "the watch's start",
	"ClusterRole controller: bpfmap.io/bpfnodestates watch":                      "what the agents report, without polling",
	"ClusterRole controller: bpfmap.io/bpfnodestates/status patch":               "the condition Ready: whether node and agent are alive",
	"Role controller: pods get":                                                  "the watch's resync, own namespace",
	"Role controller: pods list":                                                 "the watch's start, agents' pods alone",
	"Role controller: pods watch":                                                "whether a node's agent is ready",
	"Role controller: apps/daemonsets get":                                       "the watch's resync, own namespace",
	"Role controller: apps/daemonsets list":                                      "the watch's start, the agents' one alone",
	"Role controller: apps/daemonsets watch":                                     "on which nodes agents are to run",
	"ClusterRole controller-maps: events.k8s.io/events create":                   "what people should notice",
	"ClusterRole controller-maps: events.k8s.io/events patch":                    "counts repetitions",
	"ClusterRole controller: nodes get":                                          "labels, for nodeSelector",
	"ClusterRole controller: nodes list":                                         "the watch's start",
	"ClusterRole controller: nodes watch":                                        "nodes that come and go",
	"ClusterRole controller-maps: configmaps get":                                "sources of entries, by name",
	"ClusterRole controller-maps: configmaps list":                               "sources by selector; the watch's start",
	"ClusterRole controller-maps: configmaps watch":                              "a source changed; metadata alone",
	"ClusterRole controller-secrets: secrets get":                                "sources of entries, by name; RBAC can't tell which ones, with controller.sources.secrets.enabled",
	"ClusterRole controller-secrets: secrets list":                               "the watch's start; RBAC has no right to metadata alone, with controller.sources.secrets.enabled",
	"ClusterRole controller-secrets: secrets watch":                              "a source changed; metadata alone, with controller.sources.secrets.enabled",
	"Role controller: coordination.k8s.io/leases create":                         "leader election, own namespace",
	"Role controller: coordination.k8s.io/leases get":                            "leader election, own namespace",
	"Role controller: coordination.k8s.io/leases update":                         "leader election, own namespace",
	"Role controller: events create":                                             "the leader's announcement, own namespace",
	"Role controller: events patch":                                              "counts repetitions",
	"ClusterRole namespaces: namespaces get":                                     "whether a watched namespace exists, with watchNamespaces and of these alone",
	"ClusterRole metrics-auth: authentication.k8s.io/tokenreviews create":        "who scrapes, with metrics.secure",
	"ClusterRole metrics-auth: authorization.k8s.io/subjectaccessreviews create": "whether it may, with metrics.secure",

	"ClusterRole contents-auth: authentication.k8s.io/tokenreviews create":        "who reads contents, with agent.contents.enabled",
	"ClusterRole contents-auth: authorization.k8s.io/subjectaccessreviews create": "what they may read, with agent.contents.enabled",
	"Role contents-auth: configmaps get":                                          "the authorities of client certificates; one of kube-system alone",
}

// TestEveryRightHasAReason finds the roles through the bindings, so that one more role counts, too.
func TestEveryRightHasAReason(t *testing.T) {
	granted := map[string]bool{}
	watched := "watchNamespaces={team-a,team-b}"
	for _, right := range rights(t, helmTemplate(t, append([]string{watched}, everyRight...)...)) {
		granted[right] = true
		if reasons[right] == "" {
			t.Errorf("%q has no reason", right)
		}
		if strings.Contains(right, "*") {
			t.Errorf("%q is a wildcard", right)
		}
	}
	for _, right := range slices.Sorted(stdmaps.Keys(reasons)) {
		if !granted[right] {
			t.Errorf("%q has a reason but no role grants it", right)
		}
	}
}

// everyRight are values by which the components get all rights that they may have.
var everyRight = []string{"metrics.enabled=true", "metrics.secure=true", "agent.contents.enabled=true", "controller.sources.secrets.enabled=true"}

// ofTheCluster are the resources that are in no namespace.
var ofTheCluster = []string{"nodes", "namespaces", "bpfnodestates", "bpfnodestates/status", "tokenreviews", "subjectaccessreviews"}

// TestWatchedNamespaces compares who is bound to which roles with watchNamespaces and without: what is in namespaces of BPFMaps
// is bound in those that are listed, to the same accounts, and nowhere else.
func TestWatchedNamespaces(t *testing.T) {
	values := append([]string{"controller.sources.artifacts.enabled=true"}, everyRight...)
	all, some := parseRoles(t, helmTemplate(t, values...)), parseRoles(t, helmTemplate(t, append([]string{"watchNamespaces={team-a,team-b}"}, values...)...))
	for _, b := range some.bindings {
		if b.Kind != "ClusterRoleBinding" {
			continue
		}
		for _, rule := range some.rules[b.RoleRef.Kind+" "+b.RoleRef.Name] {
			for _, resource := range rule.Resources {
				if !slices.Contains(ofTheCluster, resource) {
					t.Errorf("%s grants %s in all namespaces", b.Name, resource)
				}
			}
		}
	}
	for _, b := range all.bindings {
		if b.Kind != "ClusterRoleBinding" || slices.ContainsFunc(some.bindings, func(o roleLike) bool { return o.Kind == b.Kind && o.Name == b.Name }) {
			continue
		}
		for _, team := range []string{"team-a", "team-b"} {
			if !slices.ContainsFunc(some.bindings, func(o roleLike) bool {
				return o.Kind == "RoleBinding" && o.Namespace == team && o.RoleRef == b.RoleRef && reflect.DeepEqual(o.Subjects, b.Subjects)
			}) {
				t.Errorf("%s is bound in all namespaces by default, and not in %s", b.RoleRef.Name, team)
			}
		}
	}
	for role, rules := range all.rules {
		if !reflect.DeepEqual(some.rules[role], rules) {
			t.Errorf("%s grants something else with watchNamespaces", role)
		}
	}
}

// roles are what manifests say of roles and who has them.
type roles struct {
	rules    map[string][]rbacv1.PolicyRule // by kind and name
	bindings []roleLike
}

type roleLike struct {
	rbacv1.Role
	RoleRef  rbacv1.RoleRef   `json:"roleRef"`
	Subjects []rbacv1.Subject `json:"subjects"`
}

func parseRoles(t *testing.T, manifests string) roles {
	t.Helper()
	r := roles{rules: map[string][]rbacv1.PolicyRule{}}
	for decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(manifests), 4096); ; {
		var o roleLike
		err := decoder.Decode(&o)
		switch {
		case errors.Is(err, io.EOF):
			return r
		case err != nil:
			t.Fatal(err)
		case o.Kind == "ClusterRole" || o.Kind == "Role":
			r.rules[o.Kind+" "+o.Name] = o.Rules
		case o.Kind == "ClusterRoleBinding" || o.Kind == "RoleBinding":
			r.bindings = append(r.bindings, o)
		}
	}
}

// rights are those of every role that is bound to a service account.
func rights(t *testing.T, manifests string) []string {
	t.Helper()
	all, bound := parseRoles(t, manifests), map[string]bool{}
	for _, b := range all.bindings {
		for _, subject := range b.Subjects {
			if subject.Kind != "ServiceAccount" || subject.Namespace != namespace {
				t.Errorf("%s %s has the subject %+v, want the components' accounts alone", b.Kind, b.Name, subject)
			}
		}
		bound[b.RoleRef.Kind+" "+b.RoleRef.Name] = true
	}
	var result []string
	for role := range bound {
		rules, rendered := all.rules[role]
		if !rendered {
			t.Errorf("%s is bound but not part of the chart", role)
		}
		for _, rule := range rules {
			result = append(result, expand(strings.Replace(role, "bpfmap-operator-", "", 1), rule)...)
		}
	}
	return result
}

func expand(role string, rule rbacv1.PolicyRule) []string {
	var result []string
	for _, verb := range rule.Verbs {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				result = append(result, role+": "+strings.TrimPrefix(group+"/"+resource, "/")+" "+verb)
			}
		}
		for _, url := range rule.NonResourceURLs {
			result = append(result, role+": "+url+" "+verb)
		}
	}
	return result
}
