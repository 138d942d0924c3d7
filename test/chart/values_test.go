// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestValuesAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"agent.memory=1Gi":                                "memory",
		"agent.memoryLimit=a lot":                         "memoryLimit",
		"agent.memoryLimit=0":                             "memoryLimit",
		"controller.maxStoredBytesPerMap=0":               "maxStoredBytesPerMap",
		"controller.maxStoredBytesPerNamespace=none":      "maxStoredBytesPerNamespace",
		"agent.namespaceMemoryLimits.Edge=1Gi":            "Edge",
		"agent.namespaceMemoryLimits.edge=-1Gi":           "namespaceMemoryLimits",
		"agent.namespaceMapLimits.edge=0":                 "namespaceMapLimits",
		"agent.mountBPFFS=true":                           "mountBPFFS",
		"agent.extraCapabilities={CAP_NET_ADMIN}":         "extraCapabilities",
		"agent.extraCapabilities={ALL}":                   "extraCapabilities",
		"agent.affinity.nodeAfinity.x=y":                  "affinity",
		"controller.topologySpreadConstraints[0].skew=1":  "topologySpreadConstraints",
		"controller.podDisruptionBudget.maxUnavailable=0": "maxUnavailable",
		"flowControl.concurrencyShares=0":                 "concurrencyShares",
		"log.level=verbose":                               "level",
		"image.digest=latest":                             "digest",
		"agent.resyncPeriod=often":                        "resyncPeriod",
		"agent.disabledFeatures={LPMTrie,Batch=off}":      "disabledFeatures",
		"agent.bpffs.path=sys/fs/bpf":                     "path",
		"agent.allowedPinPrefixes.a={/}":                  "allowedPinPrefixes",
		"metrics.port=8081":                               "port",
		"metrics.perMap=-1":                               "perMap",
		"metrics.serviceMonitor.interval=often":           "interval",
		"metrics.contentSeries=-1":                        "contentSeries",
		"metrics.podMonitor.interval=often":               "interval",
		"metrics.podMonitor.tokenSecret.file=x":           "file",
		"controller.sources.allowedHosts={https://a}":     "allowedHosts",
		"controller.sources.allowedNetworks={10.0.0.1}":   "allowedNetworks",
		"controller.sources.cacheSize=lots":               "cacheSize",
		"controller.sources.proxy=me:pw@proxy":            "proxy",
		"networkPolicy.apiServerCIDRs={10.0.0.1}":         "apiServerCIDRs",
		"networkPolicy.metricsFrom[0].pods=x":             "metricsFrom",
	} {
		_, err := tool(t.Context(), "", "helm", "template", "x", chartDir, "--set", set)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: got error %v, want one that names %s", set, err, want)
		}
	}
}

// uses has for every value a setting that must change what is rendered, after the settings that it
// needs to matter. A value may be set as a whole, where values.yaml describes it as a whole.
var uses = map[string][]string{
	"nameOverride":                                  {"nameOverride=n"},
	"fullnameOverride":                              {"fullnameOverride=n"},
	"image.repository":                              {"image.repository=n"},
	"image.tag":                                     {"image.tag=n"},
	"image.digest":                                  {"image.digest=sha256:" + strings.Repeat("a", 64)},
	"image.pullPolicy":                              {"image.pullPolicy=Never"},
	"imagePullSecrets":                              {"imagePullSecrets[0].name=n"},
	"commonLabels":                                  {"commonLabels.a=b"},
	"commonAnnotations":                             {"commonAnnotations.a=b"},
	"crds.install":                                  {"crds.install=false"},
	"crds.keep":                                     {"crds.keep=false"},
	"rbac.create":                                   {"rbac.create=false"},
	"rbac.aggregateToView":                          {"rbac.aggregateToView=false"},
	"rbac.aggregateToEdit":                          {"rbac.aggregateToEdit=true"},
	"nodeStateAdmissionPolicy.enabled":              {"nodeStateAdmissionPolicy.enabled=false"},
	"markRemoved.enabled":                           {"markRemoved.enabled=false"},
	"flowControl.enabled":                           {"flowControl.enabled=false"},
	"flowControl.concurrencyShares":                 {"flowControl.concurrencyShares=60"},
	"log.level":                                     {"log.level=debug"},
	"log.format":                                    {"log.format=text"},
	"metrics.enabled":                               {"metrics.enabled=true"},
	"metrics.port":                                  {"metrics.enabled=true", "metrics.port=9999"},
	"metrics.secure":                                {"metrics.enabled=true", "metrics.secure=false"},
	"metrics.annotations":                           {"metrics.enabled=true", "metrics.annotations.a=b"},
	"metrics.perMap":                                {"metrics.enabled=true", "metrics.perMap=0"},
	"metrics.contentSeries":                         {"metrics.enabled=true", "metrics.contentSeries=0"},
	"metrics.podMonitor.enabled":                    {"metrics.enabled=true", "metrics.podMonitor.enabled=true"},
	"metrics.podMonitor.labels":                     {"metrics.enabled=true", "metrics.podMonitor.enabled=true", "metrics.podMonitor.labels.a=b"},
	"metrics.podMonitor.interval":                   {"metrics.enabled=true", "metrics.podMonitor.enabled=true", "metrics.podMonitor.interval=30s"},
	"metrics.podMonitor.tokenSecret":                {"metrics.enabled=true", "metrics.podMonitor.enabled=true", "metrics.podMonitor.tokenSecret.name=t,metrics.podMonitor.tokenSecret.key=token"},
	"metrics.serviceMonitor.enabled":                {"metrics.enabled=true", "metrics.serviceMonitor.enabled=true"},
	"metrics.serviceMonitor.labels":                 {"metrics.enabled=true", "metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.labels.a=b"},
	"metrics.serviceMonitor.interval":               {"metrics.enabled=true", "metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.interval=30s"},
	"metrics.prometheusRule.enabled":                {"metrics.prometheusRule.enabled=true"},
	"metrics.prometheusRule.labels":                 {"metrics.prometheusRule.enabled=true", "metrics.prometheusRule.labels.a=b"},
	"metrics.dashboard.enabled":                     {"metrics.dashboard.enabled=true"},
	"metrics.dashboard.labels":                      {"metrics.dashboard.enabled=true", "metrics.dashboard.labels.a=b"},
	"networkPolicy.enabled":                         {"networkPolicy.enabled=true"},
	"networkPolicy.apiServerPorts":                  {"networkPolicy.enabled=true", "networkPolicy.apiServerPorts={7443}"},
	"networkPolicy.apiServerCIDRs":                  {"networkPolicy.enabled=true", "networkPolicy.apiServerCIDRs={10.0.0.1/32}"},
	"networkPolicy.metricsFrom":                     {"metrics.enabled=true", "networkPolicy.enabled=true", "networkPolicy.metricsFrom[0].ipBlock.cidr=10.0.0.0/8"},
	"controller.replicas":                           {"controller.replicas=3"},
	"networkPolicy.sourcePorts":                     {"networkPolicy.enabled=true", "controller.sources.artifacts.enabled=true", "networkPolicy.sourcePorts={8443}"},
	"controller.sources.allowedHosts":               {"controller.sources.allowedHosts={lists.example.org,*.example.net:8443}"},
	"controller.sources.allowedNetworks":            {"controller.sources.allowedNetworks={10.1.0.0/16}"},
	"controller.sources.minInterval":                {"controller.sources.artifacts.enabled=true", "controller.sources.minInterval=5m"},
	"controller.sources.cacheSize":                  {"controller.sources.artifacts.enabled=true", "controller.sources.cacheSize=1Gi"},
	"controller.sources.proxy":                      {"controller.sources.proxy=http://proxy.example:3128"},
	"controller.sources.artifacts.enabled":          {"controller.sources.artifacts.enabled=true"},
	"controller.sources.artifacts.hosts":            {"controller.sources.artifacts.enabled=true", "controller.sources.artifacts.hosts={flux.example}"},
	"controller.maxStoredBytesPerMap":               {"controller.maxStoredBytesPerMap=128Mi"},
	"controller.maxStoredBytesPerNamespace":         {"controller.maxStoredBytesPerNamespace=1Gi"},
	"controller.podDisruptionBudget.enabled":        {"controller.replicas=3", "controller.podDisruptionBudget.enabled=false"},
	"controller.podDisruptionBudget.maxUnavailable": {"controller.replicas=3", "controller.podDisruptionBudget.maxUnavailable=2"},
	"controller.topologySpreadConstraints": {"controller.topologySpreadConstraints[0].maxSkew=1,controller.topologySpreadConstraints[0].topologyKey=z," +
		"controller.topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule"},
	"agent.bpffs.path":            {"agent.bpffs.path=/run/bpf"},
	"agent.bpffs.mountFrom":       {"agent.bpffs.mountFrom=/sys/fs/bpf"},
	"agent.mountBPFFS.enabled":    {"agent.mountBPFFS.enabled=true"},
	"agent.mountBPFFS.image":      {"agent.mountBPFFS.enabled=true", "agent.mountBPFFS.image=n"},
	"agent.inventory.enabled":     {"agent.inventory.enabled=true"},
	"agent.verifySchemas.enabled": {"agent.verifySchemas.enabled=true"},
	"agent.usage.enabled":         {"agent.usage.enabled=true"},
	"agent.contents.enabled":      {"agent.contents.enabled=true"},
	"agent.contents.port":         {"agent.contents.enabled=true", "agent.contents.port=9444"},
	"agent.raiseMemlock":          {"agent.raiseMemlock=true"},
	"agent.hostNetwork":           {"agent.hostNetwork=true"},
	"agent.cgroups.enabled":       {"agent.cgroups.enabled=true"},
	"agent.cgroups.path":          {"agent.cgroups.enabled=true", "agent.cgroups.path=/cgroup2"},
	"agent.disabledFeatures":      {"agent.disabledFeatures={LPMTrie}"},
	"agent.extraCapabilities":     {"agent.extraCapabilities={NET_ADMIN}"},
	"agent.resyncPeriod":          {"agent.resyncPeriod=1m"},
	"agent.allowedPinPrefixes":    {"agent.allowedPinPrefixes.a={b}"},

	"agent.memoryLimit":           {"agent.memoryLimit=2Gi"},
	"agent.namespaceMemoryLimits": {"agent.namespaceMemoryLimits.*=256Mi"},
	"agent.namespaceMapLimits":    {"agent.namespaceMapLimits.*=10"},
	"agent.maxUnavailable":        {"agent.maxUnavailable=1"},
}

// usesOf adds what both components have.
func usesOf(path string) []string {
	component, value, _ := strings.Cut(path, ".")
	if set := common[value]; set != "" && (component == "controller" || component == "agent") {
		return []string{component + "." + set}
	}
	return uses[path]
}

var common = map[string]string{
	"serviceAccount.create": "serviceAccount.create=false", "serviceAccount.name": "serviceAccount.name=n",
	"serviceAccount.annotations": "serviceAccount.annotations.a=b", "resources": "resources.requests.cpu=7",
	"podLabels": "podLabels.a=b", "podAnnotations": "podAnnotations.a=b", "nodeSelector": "nodeSelector.a=b",
	"tolerations": "tolerations[0].key=a", "affinity": "affinity.nodeAffinity.a=b", "priorityClassName": "priorityClassName=n",
}

// TestEveryValueIsUsed renders the chart once for each value: it must change an object.
func TestEveryValueIsUsed(t *testing.T) {
	unseen := map[string]bool{}
	for path := range uses {
		unseen[path] = true
	}
	walkValues(t, func(path string, _ *yaml.Node) bool {
		set := usesOf(path)
		if set == nil {
			return false
		}
		delete(unseen, path)
		t.Run(path, func(t *testing.T) {
			if before, after := helmTemplate(t, set[:len(set)-1]...), helmTemplate(t, set...); before == after {
				t.Errorf("%s changes nothing", set[len(set)-1])
			}
		})
		return true
	}, func(path string) { t.Errorf("values.yaml: no test says what %s changes", path) })
	for path := range unseen {
		t.Errorf("values.yaml has no %s", path)
	}
}

// TestEveryValueIsDocumented wants a comment "# -- ..." above each value, or above a group of values
// as a whole.
func TestEveryValueIsDocumented(t *testing.T) {
	walkValues(t, func(_ string, key *yaml.Node) bool {
		return slices.ContainsFunc(strings.Split(key.HeadComment, "\n"), func(line string) bool { return strings.HasPrefix(line, "# -- ") })
	}, func(path string) { t.Errorf("values.yaml: %s has no comment \"# -- ...\"", path) })
}

// walkValues calls leaf for every value, groups before their members, until it returns true; missing
// gets the paths for which it never did.
func walkValues(t *testing.T, leaf func(path string, key *yaml.Node) bool, missing func(path string)) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(chartDir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, group *yaml.Node)
	walk = func(path string, group *yaml.Node) {
		for i := 0; i < len(group.Content); i += 2 {
			key, value := group.Content[i], group.Content[i+1]
			switch name := path + key.Value; {
			case leaf(name, key):
			case value.Kind == yaml.MappingNode && len(value.Content) > 0:
				walk(name+".", value)
			default:
				missing(name)
			}
		}
	}
	walk("", document.Content[0])
}

// TestSchemaKnowsExactlyTheValues compares values.yaml and values.schema.json, and wants the schema to
// refuse what it doesn't know.
func TestSchemaKnowsExactlyTheValues(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(chartDir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(content, &schema); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{"global": true}
	walkValues(t, func(path string, _ *yaml.Node) bool {
		for parts := strings.Split(path, "."); len(parts) > 0; parts = parts[:len(parts)-1] {
			have[strings.Join(parts, ".")] = true
		}
		return usesOf(path) != nil
	}, func(string) {})
	known := map[string]bool{}
	var properties func(path string, node map[string]any)
	properties = func(path string, node map[string]any) {
		if ref, isRef := node["$ref"].(string); isRef {
			node = schema["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		}
		if known[path] = true; usesOf(path) != nil {
			return
		}
		members, _ := node["properties"].(map[string]any)
		for name, member := range members {
			properties(strings.TrimPrefix(path+"."+name, "."), member.(map[string]any))
		}
	}
	properties("", schema)
	delete(known, "")
	for path := range have {
		if !known[path] {
			t.Errorf("values.schema.json doesn't know %s", path)
		}
	}
	for path := range known {
		if !have[path] {
			t.Errorf("values.yaml doesn't have %s", path)
		}
	}
	checkClosed(t, "", schema)
}

// open are the schemas that let everything pass, on purpose.
var open = []string{"/properties/global", "/$defs/kubernetes"}

// checkClosed wants each object's schema to say what else it may have: nothing, or what kind.
func checkClosed(t *testing.T, path string, node any) {
	t.Helper()
	switch node := node.(type) {
	case []any:
		for _, member := range node {
			checkClosed(t, path, member)
		}
	case map[string]any:
		if node["type"] == "object" {
			more, said := node["additionalProperties"]
			if !said || (more == true && !slices.Contains(open, path)) {
				t.Errorf("values.schema.json%s admits unknown properties", path)
			}
		}
		for name, member := range node {
			checkClosed(t, path+"/"+name, member)
		}
	}
}
