// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestHelmLint(t *testing.T) {
	out, err := tool(t.Context(), "", "helm", "lint", "--strict", chartDir)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestAPIServerTakesEveryObject sends what both ways render, in several configurations, to a real
// API server that has the CRDs, with strict field validation.
func TestAPIServerTakesEveryObject(t *testing.T) {
	kubeconfig := apiServer(t)
	kubectl := func(stdin string, args ...string) (string, error) {
		return tool(t.Context(), stdin, "kubectl", append([]string{"--kubeconfig", kubeconfig}, args...)...)
	}
	if _, err := kubectl("", "create", "namespace", namespace); err != nil {
		t.Fatal(err)
	}
	manifests := map[string]string{
		"config/default":      kustomize(t),
		"chart with defaults": helmTemplate(t),
		"chart with everything": helmTemplate(t, "metrics.enabled=true", "metrics.dashboard.enabled=true", "metrics.perMap=5", "commonLabels.team=net",
			"commonAnnotations.note=n", "agent.allowedPinPrefixes.edge={xdp,tc/globals}", "controller.replicas=2",
			"imagePullSecrets[0].name=pull", "agent.podLabels.a=b", "controller.podAnnotations.c=d",
			"metrics.annotations.e=f", "image.digest=sha256:"+strings.Repeat("a", 64), "crds.keep=false",
			"rbac.aggregateToEdit=true", "agent.resources.limits.memory=1Gi",
			"networkPolicy.enabled=true", "networkPolicy.apiServerCIDRs={10.0.0.1/32,fd00::/64}",
			"networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.a=b",
			"controller.topologySpreadConstraints[0].maxSkew=1",
			"controller.topologySpreadConstraints[0].topologyKey=kubernetes.io/hostname",
			"controller.topologySpreadConstraints[0].whenUnsatisfiable=ScheduleAnyway",
			"agent.mountBPFFS.enabled=true", "agent.extraCapabilities={NET_ADMIN,PERFMON}"),
		"chart with little": helmTemplate(t, "crds.install=false", "rbac.create=false",
			"agent.serviceAccount.create=false", "controller.serviceAccount.create=false",
			"agent.serviceAccount.name=default", "controller.serviceAccount.name=default",
			"nodeStateAdmissionPolicy.enabled=false", "flowControl.enabled=false"),
	}
	for name, rendered := range manifests {
		t.Run(name, func(t *testing.T) {
			out, err := kubectl(rendered, "apply", "--dry-run=server", "--validate=strict", "-f", "-")
			if err != nil {
				t.Fatal(err)
			}
			want := len(parse(t, rendered))
			if got := strings.Count(out, "(server dry run)"); got != want {
				t.Errorf("the API server took %d objects of %d:\n%s", got, want, out)
			}
		})
	}
}

// TestBothWaysInstallTheSame compares every object of the chart with default values with config/default,
// but for the names of objects, which are each way's own.
func TestBothWaysInstallTheSame(t *testing.T) {
	chart := sameObjects(t, helmTemplate(t), kustomize(t))
	for _, want := range []string{
		"ClusterRole bpfmap-agent", "ClusterRole bpfmap-editor", "ClusterRoleBinding bpfmap-agent", "Role bpfmap-controller",
		"ServiceAccount bpfmap-agent", "Deployment bpfmap-controller", "DaemonSet bpfmap-agent",
		"ValidatingAdmissionPolicy bpfmap-agent", "ValidatingAdmissionPolicyBinding bpfmap-agent",
		"CustomResourceDefinition bpfmaps.bpfmap.io",
	} {
		if chart[want] == nil {
			t.Errorf("the chart has no %s", want)
		}
	}
}

// TestComponentsAreValues compares overlays of config/default with a component with the chart's values for the same.
func TestComponentsAreValues(t *testing.T) {
	for component, test := range map[string]struct {
		patches string
		values  []string
	}{
		"memlock": {values: []string{"agent.raiseMemlock=true"}},
		"secrets": {values: []string{"controller.sources.secrets.enabled=true"}},
		"sources": {
			patches: `
- target: {kind: Deployment, name: bpfmap-controller}
  patch: |
    - {op: add, path: /spec/template/spec/containers/0/args/-, value: "--allowed-source-hosts=lists.example.org"}
`,
			values: []string{"controller.sources.allowedHosts={lists.example.org}", "controller.sources.artifacts.enabled=true"},
		},
	} {
		t.Run(component, func(t *testing.T) {
			overlay := kustomizeWith(t, component, test.patches)
			sameObjects(t, helmTemplate(t, test.values...), overlay)
			if cmp.Equal(essence(t, kustomize(t)), essence(t, overlay)) {
				t.Error("the component changes nothing")
			}
		})
	}
}

// sameObjects compares what both ways make, and returns what the chart does.
func sameObjects(t *testing.T, chartManifests, configManifests string) map[string]any {
	t.Helper()
	chart, config := essence(t, chartManifests), essence(t, configManifests)
	if namespaces := config["Namespace bpfmap-system"]; namespaces == nil {
		t.Error("config/default makes no namespace")
	}
	// Helm has --create-namespace and hooks; kubectl has neither.
	delete(config, "Namespace bpfmap-system")
	maps.DeleteFunc(chart, func(key string, _ any) bool {
		name := strings.Fields(key)[1]
		return name == "bpfmap-test" || strings.HasPrefix(name, "bpfmap-uninstall")
	})
	names := maps.Clone(chart)
	maps.Copy(names, config)
	for name := range names {
		if diff := cmp.Diff(chart[name], config[name]); diff != "" {
			t.Errorf("%s differs (-chart +config):\n%s", name, diff)
		}
	}
	return chart
}

// essence is what has to be equal, by kind and name: all but names, labels and annotations of the
// object and its pods, the order of arguments, and what Kubernetes would default.
func essence(t *testing.T, manifests string) map[string]any {
	t.Helper()
	manifests = strings.ReplaceAll(manifests, "bpfmap-operator-", "bpfmap-")
	result := map[string]any{}
	for _, object := range parse(t, manifests) {
		key := object.GetKind() + " " + object.GetName()
		if in := object.GetNamespace(); in != "" && in != namespace {
			key += " in " + in
		}
		if result[key] != nil {
			t.Errorf("%s is rendered twice", key)
		}
		content := object.DeepCopy().Object
		delete(content, "metadata")
		// The built-in roles that a role goes into are labels.
		for label, value := range object.GetLabels() {
			if strings.HasPrefix(label, "rbac.authorization.k8s.io/") {
				content["label "+label] = value
			}
		}
		if pod, found, _ := unstructured.NestedMap(content, "spec", "template", "spec"); found {
			sortArgs(pod)
			spec := content["spec"].(map[string]any)
			delete(spec, "selector")
			spec["template"] = pod
		}
		content["namespace"] = object.GetNamespace()
		result[key] = content
	}
	return result
}

func sortArgs(podSpec map[string]any) {
	for _, container := range podSpec["containers"].([]any) {
		args := lastOfEach(container.(map[string]any)["args"].([]any))
		container.(map[string]any)["args"] = args
		slices.SortFunc(args[1:], func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	}
}

// lastOfEach leaves of flags of one name, but those that may be repeated, the one that counts.
func lastOfEach(args []any) []any {
	return slices.DeleteFunc(slices.Clone(args), func(arg any) bool {
		name, _, ok := strings.Cut(arg.(string), "=")
		at := slices.Index(args, arg)
		return ok && name == "--secret-sources" && slices.ContainsFunc(args[at+1:], func(later any) bool { return strings.HasPrefix(later.(string), name+"=") })
	})
}

// TestLeastPrivilege pins what docs/security.md promises, however the manifests are edited.
func TestLeastPrivilege(t *testing.T) {
	objects := parse(t, helmTemplate(t))
	type rights struct {
		Capabilities           map[string]any
		User                   any
		ReadOnlyRoot, Escalate any
		MemoryLimit            any
		Seccomp                any
	}
	of := func(kind, suffix string) rights {
		pod := at(t, find(t, objects, kind, suffix), "spec", "template", "spec").(map[string]any)
		container := pod["containers"].([]any)[0].(map[string]any)
		security := container["securityContext"].(map[string]any)
		limits, _ := container["resources"].(map[string]any)["limits"].(map[string]any)
		podSecurity := pod["securityContext"].(map[string]any)
		return rights{
			Capabilities: security["capabilities"].(map[string]any),
			User:         podSecurity["runAsUser"],
			ReadOnlyRoot: security["readOnlyRootFilesystem"],
			Escalate:     security["allowPrivilegeEscalation"],
			MemoryLimit:  limits["memory"],
			Seccomp:      podSecurity["seccompProfile"].(map[string]any)["type"],
		}
	}
	agent := rights{
		Capabilities: map[string]any{"drop": []any{"ALL"}, "add": []any{"BPF", "CHOWN", "DAC_OVERRIDE"}},
		User:         int64(0), ReadOnlyRoot: true, Escalate: false, Seccomp: "RuntimeDefault",
	}
	if diff := cmp.Diff(agent, of("DaemonSet", "-agent")); diff != "" {
		t.Errorf("rights of the agent (-want +got):\n%s", diff)
	}
	controller := rights{
		Capabilities: map[string]any{"drop": []any{"ALL"}},
		User:         int64(65532), ReadOnlyRoot: true, Escalate: false, Seccomp: "RuntimeDefault",
		MemoryLimit: "512Mi",
	}
	if diff := cmp.Diff(controller, of("Deployment", "-controller")); diff != "" {
		t.Errorf("rights of the controller (-want +got):\n%s", diff)
	}
}

// TestCapabilitiesAskedFor has the agent's capabilities beyond those that it always has.
func TestCapabilitiesAskedFor(t *testing.T) {
	for _, c := range []struct {
		set  string
		want []any
	}{
		{"agent.inventory.enabled=true", []any{"SYS_ADMIN"}},
		{"agent.verifySchemas.enabled=true", []any{"SYS_ADMIN"}},
		{"agent.usage.enabled=true", []any{"PERFMON"}},
		{"agent.usage.enabled=true,agent.extraCapabilities={PERFMON}", []any{"PERFMON"}},
		{"agent.raiseMemlock=true", []any{"SYS_RESOURCE"}},
		{"agent.raiseMemlock=true,agent.extraCapabilities={SYS_RESOURCE}", []any{"SYS_RESOURCE"}},
		{"agent.hostNetwork=true", []any{"NET_ADMIN"}},
	} {
		agent := find(t, parse(t, helmTemplate(t, c.set)), "DaemonSet", "-agent")
		container := at(t, agent, "spec", "template", "spec").(map[string]any)["containers"].([]any)[0].(map[string]any)
		added := container["securityContext"].(map[string]any)["capabilities"].(map[string]any)["add"]
		if diff := cmp.Diff(append([]any{"BPF", "CHOWN", "DAC_OVERRIDE"}, c.want...), added); diff != "" {
			t.Errorf("with %s (-want +got):\n%s", c.set, diff)
		}
	}
}

// TestPodSecurity has the API server judge the pods by the Pod Security Standards, as docs/security.md
// tells them.
func TestPodSecurity(t *testing.T) {
	kubeconfig := apiServer(t)
	levels := []string{"restricted", "baseline", "privileged"}
	for _, level := range levels {
		manifest := "{apiVersion: v1, kind: Namespace, metadata: {name: " + level + ", labels: {pod-security.kubernetes.io/enforce: " + level + "}}}"
		if _, err := tool(t.Context(), manifest, "kubectl", "--kubeconfig", kubeconfig, "apply", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
	objects := parse(t, helmTemplate(t))
	mounting := parse(t, helmTemplate(t, "agent.mountBPFFS.enabled=true"))
	for _, c := range []struct {
		name     string
		template any
		// passes is the strictest level that admits the pod.
		passes string
	}{
		{"controller", at(t, find(t, objects, "Deployment", "-controller"), "spec", "template"), "restricted"},
		{"test", find(t, objects, "Pod", "-test").Object, "restricted"},
		{"uninstall", at(t, find(t, objects, "Job", "-uninstall"), "spec", "template"), "restricted"},
		{"agent", at(t, find(t, objects, "DaemonSet", "-agent"), "spec", "template"), "privileged"},
		{"agent-that-mounts", at(t, find(t, mounting, "DaemonSet", "-agent"), "spec", "template"), "privileged"},
	} {
		pod := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": c.name}, "spec": c.template.(map[string]any)["spec"],
		}}
		manifest, err := pod.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		for i, level := range levels {
			_, err := tool(t.Context(), string(manifest), "kubectl", "--kubeconfig", kubeconfig,
				"apply", "--dry-run=server", "--namespace", level, "-f", "-")
			want := i >= slices.Index(levels, c.passes)
			if got := err == nil; got != want {
				t.Errorf("level %s admits the pod of %s: %t, want %t (%v)", level, c.name, got, want, err)
			}
			if err != nil && !strings.Contains(err.Error(), "violates PodSecurity") {
				t.Errorf("level %s refuses the pod of %s for another reason: %v", level, c.name, err)
			}
		}
	}
}

// TestUninstallHook comes after everything else is gone, its account and role first, and leaves nothing.
func TestUninstallHook(t *testing.T) {
	objects := parse(t, helmTemplate(t))
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding"} {
		if diff := cmp.Diff(find(t, objects, kind, "-uninstall").GetAnnotations(), find(t, objects, kind, "-uninstall-maps").GetAnnotations()); diff != "" {
			t.Errorf("annotations of the hook's %ss differ:\n%s", kind, diff)
		}
	}
	for kind, weight := range map[string]string{"ServiceAccount": "-1", "ClusterRole": "-1", "ClusterRoleBinding": "-1", "Job": ""} {
		want := map[string]string{"helm.sh/hook": "post-delete", "helm.sh/hook-delete-policy": "before-hook-creation,hook-succeeded,hook-failed"}
		if weight != "" {
			want["helm.sh/hook-weight"] = weight
		}
		if diff := cmp.Diff(want, find(t, objects, kind, "-uninstall").GetAnnotations()); diff != "" {
			t.Errorf("annotations of the hook's %s (-want +got):\n%s", kind, diff)
		}
	}
	job := find(t, objects, "Job", "-uninstall")
	pod := at(t, job, "spec", "template", "spec").(map[string]any)
	if account := find(t, objects, "ServiceAccount", "-uninstall").GetName(); pod["serviceAccountName"] != account {
		t.Errorf("the job's account is %v, want %s", pod["serviceAccountName"], account)
	}
	if args := pod["containers"].([]any)[0].(map[string]any)["args"].([]any); args[0] != "mark-removed" {
		t.Errorf("the job runs %v", args)
	}
	if at(t, job, "spec", "activeDeadlineSeconds") == nil {
		t.Error("the job may hang")
	}
}

// TestAgentsAreNamed: the controller looks at the DaemonSet that is installed beside it, whose pods have the label that
// it looks for.
func TestAgentsAreNamed(t *testing.T) {
	for way, manifests := range map[string]string{
		"chart": helmTemplate(t), "chart with a name": helmTemplate(t, "fullnameOverride=maps"), "config/default": kustomize(t),
	} {
		objects := parse(t, manifests)
		agents := find(t, objects, "DaemonSet", "-agent")
		pod := at(t, find(t, objects, "Deployment", "-controller"), "spec", "template", "spec").(map[string]any)
		args := pod["containers"].([]any)[0].(map[string]any)["args"].([]any)
		if want := "--agent-daemonset=" + agents.GetName(); !slices.Contains(args, any(want)) {
			t.Errorf("%s: the controller's arguments are %v, want %s", way, args, want)
		}
		if labels := at(t, agents, "spec", "template", "metadata", "labels").(map[string]any); labels["app.kubernetes.io/component"] != "agent" {
			t.Errorf("%s: the agents' pods have the labels %v", way, labels)
		}
	}
}

// TestAskedForOnly has what is rendered only in some configurations.
func TestAskedForOnly(t *testing.T) {
	for _, c := range []struct {
		kind string
		set  []string
		want int
	}{
		{"PodDisruptionBudget", nil, 0},
		{"PodDisruptionBudget", []string{"controller.replicas=2"}, 1},
		{"PodDisruptionBudget", []string{"controller.replicas=2", "controller.podDisruptionBudget.enabled=false"}, 0},
		{"NetworkPolicy", nil, 0},
		{"NetworkPolicy", []string{"networkPolicy.enabled=true"}, 4},
		{"ValidatingAdmissionPolicy", nil, 1},
		{"ValidatingAdmissionPolicyBinding", []string{"nodeStateAdmissionPolicy.enabled=false"}, 0},
		{"FlowSchema", nil, 1},
		{"FlowSchema", []string{"flowControl.enabled=false"}, 0},
		{"PriorityLevelConfiguration", []string{"flowControl.enabled=false"}, 0},
		{"Service", []string{"metrics.enabled=true"}, 2},
		{"ServiceMonitor", []string{"metrics.enabled=true"}, 0},
		{"PrometheusRule", []string{"metrics.enabled=true"}, 0},
		{"ConfigMap", []string{"metrics.enabled=true"}, 0},
		{"Job", nil, 1},
		{"Job", []string{"markRemoved.enabled=false"}, 0},
		{"Job", []string{"crds.keep=false"}, 0},
		{"Job", []string{"rbac.create=false"}, 0},
	} {
		var got int
		for _, object := range parse(t, helmTemplate(t, c.set...)) {
			if object.GetKind() == c.kind {
				got++
			}
		}
		if got != c.want {
			t.Errorf("with %v: %d objects of kind %s, want %d", c.set, got, c.kind, c.want)
		}
	}
	_, err := tool(t.Context(), "", "helm", "template", "x", chartDir, "--kube-version", "1.29.9")
	if err == nil || !strings.Contains(err.Error(), "nodeStateAdmissionPolicy.enabled needs Kubernetes 1.30") {
		t.Errorf("Kubernetes 1.29 with the policy: got %v, want a refusal that says what to do", err)
	}
	if _, err := tool(t.Context(), "", "helm", "template", "x", chartDir, "--kube-version", "1.29.9", "--set", "nodeStateAdmissionPolicy.enabled=false"); err != nil {
		t.Errorf("Kubernetes 1.29 without the policy: %v", err)
	}
}
