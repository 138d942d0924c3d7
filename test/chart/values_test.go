// Copyright The bpfmap-operator Authors.
// SPDX-License-Identifier: Apache-2.0

package chart_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestValuesAreChecked(t *testing.T) {
	for set, want := range map[string]string{
		"agent.memory=1Gi":                                             "memory",
		"agent.memoryLimit=a lot":                                      "memoryLimit",
		"agent.memoryLimit=0":                                          "memoryLimit",
		"agent.memoryLimit=101%":                                       "memoryLimit",
		"agent.namespaceMapLimits.edge=all":                            "namespaceMapLimits",
		"controller.maxStoredBytesPerMap=0":                            "maxStoredBytesPerMap",
		"controller.maxStoredBytesPerNamespace=none":                   "maxStoredBytesPerNamespace",
		"agent.namespaceMemoryLimits.Edge=1Gi":                         "Edge",
		"agent.namespaceMemoryLimits.edge=-1Gi":                        "namespaceMemoryLimits",
		"agent.namespaceMapLimits.edge=0":                              "namespaceMapLimits",
		"agent.mountBPFFS=true":                                        "mountBPFFS",
		"agent.extraCapabilities={CAP_NET_ADMIN}":                      "extraCapabilities",
		"agent.extraCapabilities={ALL}":                                "extraCapabilities",
		"agent.affinity.nodeAfinity.x=y":                               "affinity",
		"controller.topologySpreadConstraints[0].skew=1":               "topologySpreadConstraints",
		"controller.podDisruptionBudget.maxUnavailable=0":              "maxUnavailable",
		"flowControl.concurrencyShares=0":                              "concurrencyShares",
		"log.level=verbose":                                            "level",
		"image.digest=latest":                                          "digest",
		"agent.resyncPeriod=often":                                     "resyncPeriod",
		"agent.disabledFeatures={LPMTrie,Batch=off}":                   "disabledFeatures",
		"agent.bpffs.path=sys/fs/bpf":                                  "path",
		"agent.bpffs.path=/sys/fs/../bpf":                              "path",
		"agent.bpffs.path=/sys/fs/bpf #x":                              "path",
		"agent.bpffs.mountFrom=/sys/./fs":                              "mountFrom",
		"agent.cgroups.path=/sys/fs/cgroup x":                          "path",
		"agent.extraCapabilities={NOSUCH}":                             "extraCapabilities",
		"agent.disabledFeatures={Foo}":                                 "disabledFeatures",
		"agent.allowedPinPrefixes.edge={bpfmap}":                       "allowedPinPrefixes",
		"agent.allowedPinPrefixes.edge={bpfmap/_state}":                "allowedPinPrefixes",
		"agent.allowedPinPrefixes.Edge={xdp}":                          "Edge",
		"agent.mountBPFFS.image=busybox":                               "image",
		"agent.mountBPFFS.group=0":                                     "group",
		"nameOverride=Upper":                                           "nameOverride",
		"fullnameOverride=1a":                                          "fullnameOverride",
		"commonLabels.a=b c":                                           "commonLabels",
		"agent.podLabels.a/b/c=d":                                      "a/b/c",
		"agent.serviceAccount.create=false":                            "agent.serviceAccount.name: which account?",
		"controller.serviceAccount.create=false":                       "controller.serviceAccount.name: which account?",
		"agent.podSecurityContext.runAsNonRoot=true":                   "runAsNonRoot",
		"agent.podSecurityContext.runAsUser=1000":                      "runAsUser",
		"agent.podSecurityContext.runAsUser=null":                      "runAsUser",
		"agent.securityContext.capabilities.add={BPF}":                 "capabilities",
		"agent.securityContext.privileged=true":                        "allowPrivilegeEscalation: true",
		"controller.podSecurityContext.runAsUser=0":                    "runAsUser",
		"agent.podSecurityContext.seccompProfile.type=No":              "seccompProfile",
		"agent.extraArgs={concurrency}":                                "extraArgs",
		"agent.extraArgs={--bpffs=/x}":                                 "agent.extraArgs: --bpffs is set by agent.bpffs.path",
		"agent.extraArgs={--inventory}":                                "agent.extraArgs: --inventory is set by agent.inventory.enabled",
		"controller.extraArgs={--health-probe-bind-address=:1}":        "--health-probe-bind-address is set by controller.healthPort",
		"agent.extraEnv[0].name=NODE_NAME":                             "agent.extraEnv: the name NODE_NAME is the chart's own",
		"agent.extraVolumes[0].name=bpffs":                             "agent.extraVolumes: the name bpffs is the chart's own",
		`commonLabels.app\.kubernetes\.io/name=x`:                      "commonLabels: the label app.kubernetes.io/name is set by the chart",
		`agent.podLabels.app\.kubernetes\.io/component=x`:              "agent.podLabels: the label app.kubernetes.io/component is set by the chart",
		"agent.livenessProbe.httpGet.path=/x":                          "livenessProbe",
		"metrics.tls.secretName=s":                                     "metrics.tls needs metrics.enabled: true",
		"metrics.enabled=true,metrics.tls.certificate.enabled=true":    "metrics.tls.certificate.issuerRef.name",
		"metrics.enabled=true,metrics.port=9000,agent.healthPort=9000": "metrics.port and agent.healthPort are both 9000",
		"agent.contents.enabled=true,agent.contents.port=8081":         "agent.contents.port and agent.healthPort are both 8081",
		"agent.hostNetwork=true,agent.healthPort=10250":                "agent.healthPort is 10250, which with agent.hostNetwork is a port of the node, and the kubelet's",
		"global.imageRegistry=https://x":                               "imageRegistry",
		"agent.allowedPinPrefixes.a={/}":                               "allowedPinPrefixes",
		"metrics.enabled=true,metrics.port=8081":                       "metrics.port and controller.healthPort are both 8081",
		"metrics.perMap=-1":                                            "perMap",
		"metrics.serviceMonitor.interval=often":                        "interval",
		"metrics.contentSeries=-1":                                     "contentSeries",
		"metrics.podMonitor.interval=often":                            "interval",
		"metrics.podMonitor.tokenSecret.file=x":                        "file",
		"watchNamespaces={Team-A}":                                     "watchNamespaces",
		"watchNamespaces={a,a}":                                        "watchNamespaces",
		"watchNamespaces={a.b}":                                        "watchNamespaces",
		"watchNamespaces=a":                                            "watchNamespaces",
		"watchNamespaces[100]=a":                                       "watchNamespaces",
		"agent.extraArgs={--watch-namespaces=a}":                       "agent.extraArgs: --watch-namespaces is set by watchNamespaces",
		"controller.sources.allowedHosts={https://a}":                  "allowedHosts",
		"controller.sources.allowedNetworks={10.0.0.1}":                "allowedNetworks",
		"controller.sources.cacheSize=lots":                            "cacheSize",
		"controller.sources.proxy=me:pw@proxy":                         "proxy",
		"networkPolicy.apiServerCIDRs={10.0.0.1}":                      "apiServerCIDRs",
		"networkPolicy.metricsFrom[0].pods=x":                          "metricsFrom",
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
	"agent.virtualNodes":                            {"agent.virtualNodes=true"},
	"global.imageRegistry":                          {"global.imageRegistry=mirror.example:5000"},
	"global.imagePullSecrets":                       {"global.imagePullSecrets={n}"},
	"extraObjects":                                  {"extraObjects[0].apiVersion=v1,extraObjects[0].kind=ConfigMap,extraObjects[0].metadata.name=extra"},
	"metrics.tls.secretName":                        {"metrics.enabled=true", "metrics.tls.secretName=n"},
	"metrics.tls.caKey":                             {"metrics.enabled=true", "metrics.serviceMonitor.enabled=true", "metrics.tls.secretName=n", "metrics.tls.caKey=root.pem"},
	"metrics.tls.serverName":                        {"metrics.enabled=true", "metrics.serviceMonitor.enabled=true", "metrics.tls.secretName=n", "metrics.tls.serverName=metrics.example"},
	"metrics.tls.certificate.enabled":               {"metrics.enabled=true", "metrics.tls.certificate.issuerRef.name=i", "metrics.tls.certificate.enabled=true"},
	"metrics.tls.certificate.issuerRef":             {"metrics.enabled=true", "metrics.tls.certificate.enabled=true,metrics.tls.certificate.issuerRef.name=i", "metrics.tls.certificate.issuerRef.kind=ClusterIssuer"},
	"metrics.tls.certificate.duration":              {"metrics.enabled=true", "metrics.tls.certificate.enabled=true,metrics.tls.certificate.issuerRef.name=i", "metrics.tls.certificate.duration=720h"},
	"metrics.tls.certificate.renewBefore":           {"metrics.enabled=true", "metrics.tls.certificate.enabled=true,metrics.tls.certificate.issuerRef.name=i", "metrics.tls.certificate.renewBefore=240h"},
	"controller.sources.secrets.enabled":            {"controller.sources.secrets.enabled=true"},
	"controller.strategy":                           {"controller.strategy.type=Recreate"},
	"agent.updateStrategy":                          {"agent.updateStrategy=OnDelete"},
	"agent.mountBPFFS.group":                        {"agent.mountBPFFS.enabled=true", "agent.mountBPFFS.group=2000"},
	"agent.mountBPFFS.image.repository":             {"agent.mountBPFFS.enabled=true", "agent.mountBPFFS.image.repository=n"},
	"agent.mountBPFFS.image.tag":                    {"agent.mountBPFFS.enabled=true", "agent.mountBPFFS.image.tag=n"},
	"agent.mountBPFFS.image.digest":                 {"agent.mountBPFFS.enabled=true", "agent.mountBPFFS.image.digest=sha256:" + strings.Repeat("a", 64)},
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
	"watchNamespaces":                               {"watchNamespaces={default,kube-public}"},
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
		return []string{component + "." + strings.ReplaceAll(set, "@", component)}
	}
	return uses[path]
}

// common are values that both components have; each setting is below the component.
var common = map[string]string{
	"serviceAccount.create": "serviceAccount.create=false,@.serviceAccount.name=n", "serviceAccount.name": "serviceAccount.name=n",
	"serviceAccount.annotations": "serviceAccount.annotations.a=b", "serviceAccount.labels": "serviceAccount.labels.a=b",
	"serviceAccount.automount": "serviceAccount.automount=false", "resources": "resources.requests.cpu=7",
	"podLabels": "podLabels.a=b", "podAnnotations": "podAnnotations.a=b", "nodeSelector": "nodeSelector.a=b",
	"tolerations": "tolerations[0].key=a", "affinity": "affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight=1,@.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].podAffinityTerm.topologyKey=z", "priorityClassName": "priorityClassName=system-cluster-critical",
	"extraArgs": "extraArgs={--concurrency=8}", "extraEnv": "extraEnv[0].name=HTTPS_PROXY,@.extraEnv[0].value=http://proxy.example",
	"extraVolumes":      "extraVolumes[0].name=extra,@.extraVolumes[0].emptyDir.sizeLimit=1Mi",
	"extraVolumeMounts": "extraVolumes[0].name=extra,@.extraVolumes[0].emptyDir.sizeLimit=1Mi,@.extraVolumeMounts[0].name=extra,@.extraVolumeMounts[0].mountPath=/extra",
	"healthPort":        "healthPort=9081", "livenessProbe": "livenessProbe.failureThreshold=9", "readinessProbe": "readinessProbe.timeoutSeconds=9",
	"runtimeClassName": "runtimeClassName=n", "dnsConfig": "dnsConfig.nameservers={192.0.2.53}", "revisionHistoryLimit": "revisionHistoryLimit=3",
	"podSecurityContext": "podSecurityContext.appArmorProfile.type=Unconfined", "securityContext": "securityContext.seLinuxOptions.type=spc_t",
}

// TestEveryValueIsUsed renders the chart once for each value: it must change an object, and a real API server must take what it
// changes, with strict field validation.
func TestEveryValueIsUsed(t *testing.T) {
	unseen, changed := map[string]bool{}, map[string]*unstructured.Unstructured{}
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
			before, after := helmTemplate(t, set[:len(set)-1]...), helmTemplate(t, set...)
			if before == after {
				t.Errorf("%s changes nothing", set[len(set)-1])
			}
			were := objects(t, before)
			for text, object := range objects(t, after) {
				if were[text] == nil {
					changed[text] = object
				}
			}
		})
		return true
	}, func(path string) { t.Errorf("values.yaml: no test says what %s changes", path) })
	for path := range unseen {
		t.Errorf("values.yaml has no %s", path)
	}
	dryRun(t, slices.Collect(maps.Values(changed)))
}

// objects are those of manifests, by their text.
func objects(t *testing.T, manifests string) map[string]*unstructured.Unstructured {
	t.Helper()
	all := map[string]*unstructured.Unstructured{}
	for _, o := range parse(t, manifests) {
		text, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		all[string(text)] = o
	}
	return all
}

// dryRun sends objects to a real API server, but those of kinds that other operators bring.
func dryRun(t *testing.T, all []*unstructured.Unstructured) {
	t.Helper()
	kubeconfig := apiServer(t)
	var list []string
	for _, o := range all {
		if group := o.GroupVersionKind().Group; group == "monitoring.coreos.com" || group == "cert-manager.io" {
			continue
		}
		if o.GetNamespace() == namespace {
			o.SetNamespace("default")
		}
		text, err := o.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	out, err := tool(t.Context(), strings.Join(list, "\n---\n"), "kubectl", "--kubeconfig", kubeconfig, "apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-")
	if err != nil {
		t.Error(err)
	}
	if got := strings.Count(out, "(server dry run)"); got != len(list) {
		t.Errorf("the API server took %d objects of %d", got, len(list))
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
var open = []string{"/properties/global", "/$defs/kubernetes", "/$defs/named"}

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
