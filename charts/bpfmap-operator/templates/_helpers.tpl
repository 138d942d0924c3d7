{{- define "bpfmap-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "bpfmap-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "bpfmap-operator.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{/* The name of a component's objects. Called with (dict "root" $ "component" "agent"). */}}
{{- define "bpfmap-operator.componentName" -}}
{{- printf "%s-%s" (include "bpfmap-operator.fullname" .root) .component }}
{{- end }}

{{/* What selects a component's pods; never changes within a release. */}}
{{- define "bpfmap-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bpfmap-operator.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels and annotations of every object. */}}
{{- define "bpfmap-operator.metadata" -}}
labels:
  app.kubernetes.io/name: {{ include "bpfmap-operator.name" .root }}
  app.kubernetes.io/instance: {{ .root.Release.Name }}
  {{- with .component }}
  app.kubernetes.io/component: {{ . }}
  {{- end }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  app.kubernetes.io/part-of: bpfmap-operator
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "bpfmap-operator.serviceAccountName" -}}
{{- $account := (index .root.Values .component).serviceAccount }}
{{- if $account.create }}
{{- default (include "bpfmap-operator.componentName" .) $account.name }}
{{- else }}
{{- default "default" $account.name }}
{{- end }}
{{- end }}

{{- define "bpfmap-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* Arguments that both components take. */}}
{{- define "bpfmap-operator.commonArgs" -}}
- --health-probe-bind-address=:8081
{{- if .Values.metrics.enabled }}
- --metrics-bind-address=:{{ .Values.metrics.port }}
- --metrics-secure={{ .Values.metrics.secure }}
{{- else }}
- --metrics-bind-address=0
{{- end }}
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
{{- end }}

{{/* Ports and probes that both components have. */}}
{{- define "bpfmap-operator.portsAndProbes" -}}
ports:
- name: health
  containerPort: 8081
{{- if .Values.metrics.enabled }}
- name: metrics
  containerPort: {{ .Values.metrics.port }}
{{- end }}
livenessProbe:
  httpGet: {path: /healthz, port: health}
  initialDelaySeconds: 10
  periodSeconds: 20
readinessProbe:
  httpGet: {path: /readyz, port: health}
  periodSeconds: 5
{{- end }}

{{/* Where pods of a component may run, and with which priority. Called with its values. */}}
{{- define "bpfmap-operator.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Metadata of a component's pods. */}}
{{- define "bpfmap-operator.podMetadata" -}}
{{- $values := index .root.Values .component -}}
labels:
  {{- include "bpfmap-operator.selectorLabels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .root.Values.commonLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  kubectl.kubernetes.io/default-container: {{ .component }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- /* The folder of the node that the agents get, with the BPF file system in it or at it. */}}
{{- define "bpfmap-operator.bpffsMountFrom" -}}
{{- $path := .Values.agent.bpffs.path -}}
{{- $from := .Values.agent.bpffs.mountFrom | default (ternary "/sys/fs" $path (hasPrefix "/sys/fs/" $path)) -}}
{{- if not (or (eq $from $path) (hasPrefix (printf "%s/" $from) $path)) -}}
{{- fail (printf "agent.bpffs.mountFrom is %q: it must be agent.bpffs.path (%s) or a folder above it, other than \"/\"" $from $path) -}}
{{- end -}}
{{- $from -}}
{{- end -}}
