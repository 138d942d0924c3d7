{{/* What is refused by name, because the API server or a pod would refuse it later and say less. Renders nothing. */}}
{{- define "bpfmap-operator.checks" -}}
{{- include "bpfmap-operator.checkLabels" (dict "path" "commonLabels" "labels" .Values.commonLabels) }}
{{- range $component := list "controller" "agent" }}
{{- $values := index $.Values $component }}
{{- include "bpfmap-operator.checkLabels" (dict "path" (printf "%s.podLabels" $component) "labels" $values.podLabels) }}
{{- include "bpfmap-operator.checkArgs" (dict "component" $component "args" $values.extraArgs) }}
{{- include "bpfmap-operator.checkNames" (dict "path" (printf "%s.extraEnv" $component) "list" $values.extraEnv
  "own" (list "NODE_NAME" "POD_NAME" "POD_NAMESPACE" "BPFMAP_HOST_ROOT" "BPFMAP_CGROUP_ROOT")) }}
{{- include "bpfmap-operator.checkNames" (dict "path" (printf "%s.extraVolumes" $component) "list" $values.extraVolumes
  "own" (list "bpffs" "nothing" "cgroups" "sources" "metrics-tls")) }}
{{- include "bpfmap-operator.checkSecurity" (dict "root" $ "component" $component) }}
{{- end }}
{{- include "bpfmap-operator.checkPorts" . }}
{{- include "bpfmap-operator.checkMetrics" . }}
{{- include "bpfmap-operator.checkAlone" . }}
{{- end }}

{{/* Labels that the chart sets: two of one name, or one that doesn't say what the selectors look for, find nothing. */}}
{{- define "bpfmap-operator.checkLabels" -}}
{{- range $key := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version"
  "app.kubernetes.io/managed-by" "app.kubernetes.io/part-of" "helm.sh/chart" }}
{{- if hasKey $.labels $key }}
{{- fail (printf "%s: the label %s is set by the chart (nameOverride and the release's name change what it says)" $.path $key) }}
{{- end }}
{{- end }}
{{- end }}

{{/* By which value a flag is set, as YAML. A flag that isn't here is free for extraArgs. */}}
{{- define "bpfmap-operator.flags" -}}
both:
  health-probe-bind-address: healthPort
  metrics-bind-address: metrics.enabled and metrics.port
  metrics-secure: metrics.secure
  metrics-per-map: metrics.perMap
  watch-namespaces: watchNamespaces
  metrics-cert-dir: metrics.tls
  log-level: log.level
  log-format: log.format
controller:
  leader-elect: the chart, always
  agent-daemonset: the chart, always
  secret-sources: controller.sources.secrets.enabled
  max-stored-bytes-per-map: controller.maxStoredBytesPerMap
  max-stored-bytes-per-namespace: controller.maxStoredBytesPerNamespace
  allowed-source-hosts: controller.sources.allowedHosts
  allowed-source-networks: controller.sources.allowedNetworks
  min-source-interval: controller.sources.minInterval
  source-cache-dir: the chart, with controller.sources
  source-cache-size: controller.sources.cacheSize
  source-proxy: controller.sources.proxy
  artifact-sources: controller.sources.artifacts.enabled
  artifact-hosts: controller.sources.artifacts.hosts
agent:
  node-name: the chart, always
  host-root: the chart, always
  bpffs: agent.bpffs.path
  cgroup-root: agent.cgroups.path
  resync-period: agent.resyncPeriod
  host-network: agent.hostNetwork
  allowed-pin-prefix: agent.allowedPinPrefixes
  disable-features: agent.disabledFeatures
  memory-limit: agent.memoryLimit
  namespace-memory-limit: agent.namespaceMemoryLimits
  namespace-map-limit: agent.namespaceMapLimits
  inventory: agent.inventory.enabled
  contents-bind-address: agent.contents.enabled and agent.contents.port
  pod-name: the chart, always
  pod-namespace: the chart, always
  metrics-content-series: metrics.contentSeries
{{- end }}

{{- define "bpfmap-operator.checkArgs" -}}
{{- $flags := include "bpfmap-operator.flags" . | fromYaml }}
{{- $own := merge (dict) $flags.both (index $flags .component) }}
{{- range .args }}
{{- $flag := . | trimPrefix "--" | splitList "=" | first }}
{{- if hasKey $own $flag }}
{{- fail (printf "%s.extraArgs: --%s is set by %s" $.component $flag (index $own $flag | replace "healthPort" (printf "%s.healthPort" $.component))) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Elements of a list that have a name: each once, and none of the chart's own. */}}
{{- define "bpfmap-operator.checkNames" -}}
{{- $seen := dict }}
{{- range .list }}
{{- if has .name $.own }}
{{- fail (printf "%s: the name %s is the chart's own" $.path .name) }}
{{- end }}
{{- if hasKey $seen .name }}
{{- fail (printf "%s: the name %s is there twice" $.path .name) }}
{{- end }}
{{- $_ := set $seen .name true }}
{{- end }}
{{- end }}

{{- define "bpfmap-operator.checkSecurity" -}}
{{- $values := index .root.Values .component }}
{{- if and $values.securityContext.privileged (eq (toString $values.securityContext.allowPrivilegeEscalation) "false") }}
{{- fail (printf "%s.securityContext: privileged: true needs allowPrivilegeEscalation: true, too" .component) }}
{{- end }}
{{- if semverCompare "<1.30-0" .root.Capabilities.KubeVersion.Version }}
{{- range $field := list "podSecurityContext" "securityContext" }}
{{- if hasKey (index $values $field) "appArmorProfile" }}
{{- fail (printf "%s.%s.appArmorProfile needs Kubernetes 1.30 or newer, this is %s: use %s.podAnnotations with the key container.apparmor.security.beta.kubernetes.io/%s"
  $.component $field $.root.Capabilities.KubeVersion.Version $.component $.component) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Ports of one pod, and with hostNetwork of the node, must differ. */}}
{{- define "bpfmap-operator.checkPorts" -}}
{{- $metrics := .Values.metrics }}
{{- range $component := list "controller" "agent" }}
{{- $values := index $.Values $component }}
{{- if and $metrics.enabled (eq (int $metrics.port) (int $values.healthPort)) }}
{{- fail (printf "metrics.port and %s.healthPort are both %d: a pod has one of each" $component (int $metrics.port)) }}
{{- end }}
{{- end }}
{{- $agent := .Values.agent }}
{{- if $agent.contents.enabled }}
{{- range $name, $port := dict "agent.healthPort" $agent.healthPort "metrics.port" (ternary $metrics.port 0 $metrics.enabled) }}
{{- if eq (int $port) (int $agent.contents.port) }}
{{- fail (printf "agent.contents.port and %s are both %d: a pod has one of each" $name (int $port)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $agent.hostNetwork }}
{{- $taken := dict "2379" "etcd" "2380" "etcd" "6443" "the API server" "10248" "the kubelet" "10249" "kube-proxy" "10250" "the kubelet" "10255" "the kubelet"
  "10256" "kube-proxy" "10257" "kube-controller-manager" "10259" "kube-scheduler" }}
{{- range $name, $port := dict "agent.healthPort" $agent.healthPort "metrics.port" (ternary $metrics.port 0 $metrics.enabled)
  "agent.contents.port" (ternary $agent.contents.port 0 $agent.contents.enabled) }}
{{- with index $taken (toString (int $port)) }}
{{- fail (printf "%s is %d, which with agent.hostNetwork is a port of the node, and %s's" $name (int $port) .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "bpfmap-operator.checkMetrics" -}}
{{- $tls := .Values.metrics.tls }}
{{- if and (or $tls.secretName $tls.certificate.enabled) (not (and .Values.metrics.enabled .Values.metrics.secure)) }}
{{- fail "metrics.tls needs metrics.enabled: true and metrics.secure: true" }}
{{- end }}
{{- if and $tls.certificate.enabled (not $tls.certificate.issuerRef.name) }}
{{- fail "metrics.tls.certificate.enabled needs metrics.tls.certificate.issuerRef.name, the Issuer or ClusterIssuer of cert-manager" }}
{{- end }}
{{- end }}

{{/*
Another release, or config/default, in the same cluster: two controllers would write one status, and two agents of a node one
BPFNodeState. lookup finds nothing where the chart is rendered without a cluster.
*/}}
{{- define "bpfmap-operator.checkAlone" -}}
{{- range (lookup "apps/v1" "DaemonSet" "" "").items }}
{{- $labels := default (dict) .metadata.labels }}
{{- if and (eq (get $labels "app.kubernetes.io/part-of") "bpfmap-operator") (eq (get $labels "app.kubernetes.io/component") "agent") }}
{{- if not (and (eq .metadata.namespace $.Release.Namespace) (eq (get $labels "app.kubernetes.io/instance") $.Release.Name)) }}
{{- fail (printf "the DaemonSet %s/%s is of another installation of bpfmap-operator (%s): a cluster has one. Uninstall that one first; maps and BPFMaps stay"
  .metadata.namespace .metadata.name (ternary (printf "release %s" (get $labels "app.kubernetes.io/instance")) "not by Helm" (hasKey $labels "app.kubernetes.io/instance"))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
