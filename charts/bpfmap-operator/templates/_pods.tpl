{{/* Arguments that both components take. Called with (dict "root" $ "component" "agent"), like most below. */}}
{{- define "bpfmap-operator.commonArgs" -}}
{{- $metrics := .root.Values.metrics }}
{{- $values := index .root.Values .component -}}
- --health-probe-bind-address=:{{ int $values.healthPort }}
{{- if $metrics.enabled }}
- --metrics-bind-address=:{{ int $metrics.port }}
- --metrics-secure={{ $metrics.secure }}
- --metrics-per-map={{ int $metrics.perMap }}
{{- if include "bpfmap-operator.metricsSecret" .root }}
- --metrics-cert-dir=/etc/bpfmap/metrics-tls
{{- end }}
{{- else }}
- --metrics-bind-address=0
{{- end }}
{{- with .root.Values.watchNamespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
- --log-level={{ .root.Values.log.level }}
- --log-format={{ .root.Values.log.format }}
{{- range $values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Ports and probes that both components have. */}}
{{- define "bpfmap-operator.portsAndProbes" -}}
{{- $values := index .root.Values .component }}
ports:
- name: health
  containerPort: {{ int $values.healthPort }}
{{- if .root.Values.metrics.enabled }}
- name: metrics
  containerPort: {{ int .root.Values.metrics.port }}
{{- end }}
livenessProbe:
  httpGet: {path: /healthz, port: health}
  {{- with $values.livenessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
readinessProbe:
  httpGet: {path: /readyz, port: health}
  {{- with $values.readinessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
# What a process says last is why it ended.
terminationMessagePolicy: FallbackToLogsOnError
{{- end }}

{{/* Where pods of a component may run, and with which priority. Called with its values. */}}
{{- define "bpfmap-operator.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "bpfmap-operator.affinity" . | fromYaml }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The affinity of a component's values. The terms of an agent's are alternatives: to each is added what leaves out virtual
nodes, but to an empty one, which matches no node. */}}
{{- define "bpfmap-operator.affinity" -}}
{{- $affinity := deepCopy (.affinity | default dict) }}
{{- if and (hasKey . "virtualNodes") (not .virtualNodes) }}
{{- $real := list
  (dict "key" "type" "operator" "NotIn" "values" (list "virtual-kubelet"))
  (dict "key" "eks.amazonaws.com/compute-type" "operator" "NotIn" "values" (list "fargate")) }}
{{- $nodes := $affinity.nodeAffinity | default dict }}
{{- $required := $nodes.requiredDuringSchedulingIgnoredDuringExecution | default dict }}
{{- $terms := list }}
{{- range $required.nodeSelectorTerms }}
{{- if . }}
{{- $terms = append $terms (set . "matchExpressions" (concat (.matchExpressions | default list) $real)) }}
{{- else }}
{{- $terms = append $terms . }}
{{- end }}
{{- end }}
{{- $required = set $required "nodeSelectorTerms" ($terms | default (list (dict "matchExpressions" $real))) }}
{{- $affinity = set $affinity "nodeAffinity" (set $nodes "requiredDuringSchedulingIgnoredDuringExecution" $required) }}
{{- end }}
{{- toYaml $affinity }}
{{- end }}

{{/* What else both components' pods have. */}}
{{- define "bpfmap-operator.podSettings" -}}
{{- $values := index .root.Values .component }}
serviceAccountName: {{ include "bpfmap-operator.serviceAccountName" . | quote }}
automountServiceAccountToken: {{ $values.serviceAccount.automount }}
{{- include "bpfmap-operator.pullSecrets" .root }}
{{ include "bpfmap-operator.scheduling" $values | trim }}
# Other Services' addresses are no business of these processes.
enableServiceLinks: false
{{- with $values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- with $values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
{{- end }}

{{/* Metadata of a component's pods. */}}
{{- define "bpfmap-operator.podMetadata" -}}
{{- $values := index .root.Values .component -}}
labels:
  {{- merge (include "bpfmap-operator.selectorLabels" . | fromYaml) $values.podLabels .root.Values.commonLabels | toYaml | nindent 2 }}
annotations:
  {{- merge (dict) $values.podAnnotations (dict "kubectl.kubernetes.io/default-container" .component) | toYaml | nindent 2 }}
{{- end }}

{{/* Variables that a component's values add to its own. */}}
{{- define "bpfmap-operator.extraEnv" -}}
{{- with (index .root.Values .component).extraEnv }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* The mounts and volumes of a component that aren't its own: the certificate of its metrics, and what its values add. */}}
{{- define "bpfmap-operator.extraVolumeMounts" -}}
{{- if include "bpfmap-operator.metricsSecret" .root }}
- name: metrics-tls
  mountPath: /etc/bpfmap/metrics-tls
  readOnly: true
{{- end }}
{{- with (index .root.Values .component).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "bpfmap-operator.extraVolumes" -}}
{{- with include "bpfmap-operator.metricsSecret" .root }}
- name: metrics-tls
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- with (index .root.Values .component).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The Secret with the certificate of the metrics; empty if the processes make their own. Called with the root. */}}
{{- define "bpfmap-operator.metricsSecret" -}}
{{- if and .Values.metrics.enabled .Values.metrics.secure }}
{{- if .Values.metrics.tls.certificate.enabled }}
{{- default (printf "%s-metrics-tls" (include "bpfmap-operator.fullname" .)) .Values.metrics.tls.secretName }}
{{- else }}
{{- .Values.metrics.tls.secretName }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name that the certificate is for. */}}
{{- define "bpfmap-operator.metricsServerName" -}}
{{- default (printf "%s-metrics.%s.svc" (include "bpfmap-operator.componentName" .) .root.Release.Namespace) .root.Values.metrics.tls.serverName }}
{{- end }}

{{/* tlsConfig of a ServiceMonitor and a PodMonitor. */}}
{{- define "bpfmap-operator.metricsTLSConfig" -}}
{{- $secret := include "bpfmap-operator.metricsSecret" .root }}
{{- if $secret }}
tlsConfig:
  serverName: {{ include "bpfmap-operator.metricsServerName" . | quote }}
  {{- with .root.Values.metrics.tls.caKey }}
  ca:
    secret: {name: {{ $secret | quote }}, key: {{ . | quote }}}
  {{- end }}
{{- else }}
# The certificate is the process's own; the token is what is checked.
tlsConfig: {insecureSkipVerify: true}
{{- end }}
{{- end }}
