{{/*
Binds a role to a service account of the release, in the namespace "in" or, without one, in the whole cluster. Called with
(dict "root" $ "component" "agent" "kind" KIND-OF-ROLE "name" NAME "account" NAME), and with "metadata" for other annotations.
*/}}
{{- define "bpfmap-operator.binding" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ empty .in | ternary "ClusterRoleBinding" "RoleBinding" }}
metadata:
  name: {{ .name }}
  {{- with .in }}
  namespace: {{ . | quote }}
  {{- end }}
  {{- include "bpfmap-operator.metadata" (default (dict "root" .root "component" .component) .metadata) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ .account | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
{{- end }}

{{/* Binds a cluster role where BPFMaps are managed: in each of watchNamespaces, or in all namespaces. */}}
{{- define "bpfmap-operator.bindingsOfMaps" }}
{{- range default (list "") .root.Values.watchNamespaces }}
{{- include "bpfmap-operator.binding" (merge (dict "in" .) $) }}
{{- end }}
{{- end }}

{{/* The namespace of the map of helm test: the release's, or the first one that is watched. */}}
{{- define "bpfmap-operator.testNamespace" -}}
{{- $watched := .Values.watchNamespaces }}
{{- if or (empty $watched) (has .Release.Namespace $watched) }}
{{- .Release.Namespace }}
{{- else }}
{{- first $watched }}
{{- end }}
{{- end }}
