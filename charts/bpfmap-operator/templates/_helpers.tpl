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
{{- dict "app.kubernetes.io/name" (include "bpfmap-operator.name" .root) "app.kubernetes.io/instance" .root.Release.Name "app.kubernetes.io/component" .component | toYaml }}
{{- end }}

{{/* Labels and annotations of every object. What is said of one object wins over what is said of all. */}}
{{- define "bpfmap-operator.metadata" -}}
{{- $labels := dict "app.kubernetes.io/name" (include "bpfmap-operator.name" .root) "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" .root.Chart.AppVersion "app.kubernetes.io/managed-by" .root.Release.Service "app.kubernetes.io/part-of" "bpfmap-operator"
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_") }}
{{- with .component }}
{{- $_ := set $labels "app.kubernetes.io/component" . }}
{{- end -}}
labels:
  {{- merge $labels (default (dict) .labels) .root.Values.commonLabels | toYaml | nindent 2 }}
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
{{- required (printf "%s.serviceAccount.name: which account? With create: false the chart's roles go to an account that exists. Write default for the namespace's own, which every pod there has" .component) $account.name }}
{{- end }}
{{- end }}

{{/*
An image by its digest or else its tag. Called with (dict "root" $ "image" VALUES). global.imageRegistry takes the place of the
registry, which is what comes before the first slash if it looks like a host.
*/}}
{{- define "bpfmap-operator.imageOf" -}}
{{- $repository := .image.repository }}
{{- with (default (dict) .root.Values.global).imageRegistry }}
{{- $parts := splitList "/" $repository }}
{{- if and (gt (len $parts) 1) (or (eq (first $parts) "localhost") (regexMatch "[.:]" (first $parts))) }}
{{- $parts = rest $parts }}
{{- end }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) (join "/" $parts) }}
{{- end }}
{{- if .image.digest }}
{{- printf "%s@%s" $repository .image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .root.Chart.AppVersion .image.tag) }}
{{- end }}
{{- end }}

{{/* The image of the one binary. */}}
{{- define "bpfmap-operator.image" -}}
{{- include "bpfmap-operator.imageOf" (dict "root" . "image" .Values.image) }}
{{- end }}

{{/* Secrets to pull images with: the chart's and those of all charts, each once. */}}
{{- define "bpfmap-operator.pullSecrets" -}}
{{- $names := list }}
{{- range concat .Values.imagePullSecrets (default (list) (default (dict) .Values.global).imagePullSecrets) }}
{{- if kindIs "map" . }}
{{- $names = append $names .name }}
{{- else }}
{{- $names = append $names . }}
{{- end }}
{{- end }}
{{- with uniq $names }}
imagePullSecrets:
{{- range . }}
- name: {{ . | quote }}
{{- end }}
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
