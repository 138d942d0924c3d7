// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bpfmap-io/bpfmap-operator/internal/bpf"
	"github.com/bpfmap-io/bpfmap-operator/internal/maptype"
	"github.com/bpfmap-io/bpfmap-operator/test/controlplane"
)

// everyFlag are values by which each component gets every flag that the chart can set.
var everyFlag = []string{
	"metrics.enabled=true", "metrics.tls.secretName=s", "agent.contents.enabled=true", "agent.inventory.enabled=true", "agent.memoryLimit=1Gi",
	"agent.namespaceMemoryLimits.a=1Gi", "agent.namespaceMapLimits.a=1", "agent.allowedPinPrefixes.a={b}", "agent.disabledFeatures={LPMTrie}",
	"controller.maxStoredBytesPerMap=1Gi", "controller.maxStoredBytesPerNamespace=1Gi", "controller.sources.allowedHosts={a.example}",
	"controller.sources.allowedNetworks={10.0.0.0/8}", "controller.sources.proxy=http://p.example", "controller.sources.artifacts.enabled=true",
	"controller.sources.artifacts.hosts={b.example}", "watchNamespaces={a}",
}

// TestFlagsOfValues: extraArgs can't repeat a flag that the chart sets, and the list of these has nothing else but what the chart
// says by the environment.
func TestFlagsOfValues(t *testing.T) {
	list, err := os.ReadFile(filepath.Join(chartDir, "templates", "_checks.tpl"))
	if err != nil {
		t.Fatal(err)
	}
	objects := parse(t, helmTemplate(t, everyFlag...))
	reference, err := os.ReadFile(filepath.Join(controlplane.Root(), "docs", "reference", "cli.md"))
	if err != nil {
		t.Fatal(err)
	}
	byEnvironment := []string{"--host-root", "--cgroup-root", "--pod-name", "--pod-namespace"}
	set := map[string]bool{}
	for component, kind := range map[string]string{"controller": "Deployment", "agent": "DaemonSet"} {
		container := at(t, find(t, objects, kind, "-"+component), "spec", "template", "spec", "containers").([]any)[0].(map[string]any)
		for _, arg := range container["args"].([]any)[1:] {
			name, _, _ := strings.Cut(arg.(string), "=")
			if set[name] {
				continue
			}
			set[name] = true
			if !strings.Contains(string(list), "\n  "+strings.TrimPrefix(name, "--")+": ") {
				t.Errorf("%s.extraArgs may repeat %s", component, name)
			}
		}
	}
	for _, match := range regexp.MustCompile(`(?m)^  ([a-z-]+): `).FindAllStringSubmatch(string(list), -1) {
		name := "--" + match[1]
		if !set[name] && !slices.Contains(byEnvironment, name) {
			t.Errorf("the chart never sets %s", name)
		}
		if !regexp.MustCompile(`\n +` + name + `\b`).Match(reference) {
			t.Errorf("no command has %s", name)
		}
	}
}

// TestEnumsOfTheSchema compares lists of values.schema.json with the tables that they are of.
func TestEnumsOfTheSchema(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Agent struct {
				Properties struct {
					DisabledFeatures struct {
						Items struct{ Enum []string }
					} `json:"disabledFeatures"`
				}
			}
		}
	}
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	features := schema.Properties.Agent.Properties.DisabledFeatures.Items.Enum
	t.Cleanup(func() { _ = bpf.Disable() })
	if err := bpf.Disable(features...); err != nil {
		t.Errorf("agent.disabledFeatures: %v", err)
	}
	for _, known := range maptype.All() {
		if known.Number != 0 && !slices.Contains(features, known.Name) {
			t.Errorf("agent.disabledFeatures doesn't know %s", known.Name)
		}
	}
}

// TestLabelsOnce: what is said of one object wins over what is said of all, and no key is there twice.
func TestLabelsOnce(t *testing.T) {
	manifests := helmTemplate(t, "commonLabels.x=all", "agent.podLabels.x=agent", "nameOverride=0123", "metrics.enabled=true",
		"metrics.dashboard.enabled=true", "metrics.dashboard.labels.x=dashboard", "metrics.prometheusRule.enabled=true")
	objects := parse(t, manifests) // refuses a key that is there twice
	agent := find(t, objects, "DaemonSet", "-agent")
	labels := at(t, agent, "spec", "template", "metadata", "labels").(map[string]any)
	for key, value := range at(t, agent, "spec", "selector", "matchLabels").(map[string]any) {
		if labels[key] != value {
			t.Errorf("pods have %s=%v, the selector wants %v", key, labels[key], value)
		}
	}
	for what, got := range map[string]any{"agent": labels["x"], "all": agent.GetLabels()["x"], "dashboard": find(t, objects, "ConfigMap", "-dashboard").GetLabels()["x"]} {
		if got != what {
			t.Errorf("the label x is %v, want %s", got, what)
		}
	}
	if name := agent.GetLabels()["app.kubernetes.io/name"]; name != "0123" {
		t.Errorf("the label of the name is %q", name)
	}
}

// TestImages: a registry for all images, and digests for each.
func TestImages(t *testing.T) {
	digest := "sha256:" + strings.Repeat("a", 64)
	images := func(set ...string) (all []string) {
		for _, m := range regexp.MustCompile(`(?m)^ +image: "?([^"\n]*)"?$`).FindAllStringSubmatch(helmTemplate(t, append(set, "agent.mountBPFFS.enabled=true")...), -1) {
			all = append(all, m[1])
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	for _, c := range []struct{ set, want []string }{
		{nil, []string{"docker.io/library/busybox:1.37", "ghcr.io/bpfmap-io/bpfmap-operator:0.1.0"}},
		{[]string{"global.imageRegistry=mirror.example:5000/x/"}, []string{"mirror.example:5000/x/bpfmap-io/bpfmap-operator:0.1.0", "mirror.example:5000/x/library/busybox:1.37"}},
		{[]string{"global.imageRegistry=m.example", "image.repository=own/image"}, []string{"m.example/library/busybox:1.37", "m.example/own/image:0.1.0"}},
		{[]string{"image.digest=" + digest, "agent.mountBPFFS.image.digest=" + digest}, []string{"docker.io/library/busybox@" + digest, "ghcr.io/bpfmap-io/bpfmap-operator@" + digest}},
	} {
		if diff := cmp.Diff(c.want, images(c.set...)); diff != "" {
			t.Errorf("images with %v (-want +got):\n%s", c.set, diff)
		}
	}
}

// TestExtraObjects are maps or texts, and both may use templates.
func TestExtraObjects(t *testing.T) {
	values := filepath.Join(t.TempDir(), "values.yaml")
	text := `extraObjects:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-map"}}
- |
  apiVersion: v1
  kind: ConfigMap
  metadata:
    name: {{ include "bpfmap-operator.fullname" . }}-text
`
	if err := os.WriteFile(values, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := tool(t.Context(), "", "helm", "template", "r", chartDir, "--values", values)
	if err != nil {
		t.Fatal(err)
	}
	objects := parse(t, out)
	find(t, objects, "ConfigMap", "r-map")
	find(t, objects, "ConfigMap", "r-bpfmap-operator-text")
}

// TestAppArmorOfOldClusters: before Kubernetes 1.30 the field isn't there, and would be dropped without a word.
func TestAppArmorOfOldClusters(t *testing.T) {
	_, err := tool(t.Context(), "", "helm", "template", "x", chartDir, "--kube-version", "1.29.9", "--set",
		"nodeStateAdmissionPolicy.enabled=false,agent.podSecurityContext.appArmorProfile.type=Unconfined")
	if err == nil || !strings.Contains(err.Error(), "agent.podSecurityContext.appArmorProfile needs Kubernetes 1.30") {
		t.Errorf("got %v", err)
	}
}

// TestMountedBPFFS runs what the init container of agent.mountBPFFS runs, in a mount namespace of its own.
func TestMountedBPFFS(t *testing.T) {
	for _, c := range []struct{ set, want string }{
		{"agent.mountBPFFS.group=null", "1700 0 bpf_fs rw,nosuid,nodev,noexec,relatime,mode=700"},
		{"agent.mountBPFFS.group=2000", "750 2000 bpf_fs rw,nosuid,nodev,noexec,relatime"},
	} {
		agent := find(t, parse(t, helmTemplate(t, "agent.mountBPFFS.enabled=true", c.set)), "DaemonSet", "-agent")
		container := at(t, agent, "spec", "template", "spec", "initContainers").([]any)[0].(map[string]any)
		command := container["command"].([]any)
		if command[3] != "/host/sys/fs/bpf" {
			t.Errorf("it mounts at %v", command[3])
		}
		dir := t.TempDir()
		script := command[2].(string)
		// Twice: a node that has one is left alone.
		look := "sh -ec \"$1\" \"$0\"\nsh -ec \"$1\" \"$0\"\n" + `echo $(stat -c '%a %g' "$0") $(stat -f -c %T "$0") $(grep -F " $0 bpf " /proc/mounts | cut -d' ' -f4)`
		out, err := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-ec", look, dir, script).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got := strings.TrimSpace(string(out)); !strings.HasPrefix(got, c.want) {
			t.Errorf("with %s: %q, want %q", c.set, got, c.want)
		}
	}
}

// TestOneInstallation: a second release is refused while another one's agents are there, its own are none.
func TestOneInstallation(t *testing.T) {
	kubeconfig := apiServer(t)
	agents := `apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: x-agent
  namespace: default
  labels: {app.kubernetes.io/part-of: bpfmap-operator, app.kubernetes.io/component: agent, app.kubernetes.io/instance: first}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}
`
	if _, err := tool(t.Context(), agents, "kubectl", "--kubeconfig", kubeconfig, "apply", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	render := func(release string) error {
		_, err := tool(t.Context(), "", "helm", "--kubeconfig", kubeconfig, "template", release, chartDir, "--namespace", "default", "--dry-run=server", "--set", "crds.install=false")
		return err
	}
	if err := render("second"); err == nil || !strings.Contains(err.Error(), "the DaemonSet default/x-agent is of another installation of bpfmap-operator (release first)") {
		t.Errorf("a second release: %v", err)
	}
	if err := render("first"); err != nil {
		t.Errorf("the same release again: %v", err)
	}
}
