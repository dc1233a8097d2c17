{{- define "ringline.name" -}}{{ .Release.Name }}{{- end }}

{{- define "ringline.labels" -}}
app.kubernetes.io/name: ringline
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "ringline.selector" -}}
app.kubernetes.io/name: ringline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Kinds of workers: with some for webhooks only, the others do all but webhooks. */}}
{{- define "ringline.workers" -}}
{{ gt (int .Values.webhooks.replicas) 0 | ternary (list "worker" "webhooks") (list "worker") | toYaml }}
{{- end }}

{{- define "ringline.only" -}}
{{- if .root.Values.webhooks.replicas }}, --only, {{ eq .component "worker" | ternary "pushes" "webhooks" }}{{ end }}
{{- end }}

{{- define "ringline.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "ringline.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "ringline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- define "ringline.environment" -}}
- name: RINGLINE_PUBLIC_URL
  value: {{ .Values.publicUrl | quote }}
{{- range $name, $value := .Values.settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "ringline.pod" -}}
serviceAccountName: {{ include "ringline.name" . }}
automountServiceAccountToken: false
securityContext: {{- include "ringline.podSecurity" . | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "ringline.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ ternary "topology.kubernetes.io/zone" "kubernetes.io/hostname" .root.Values.spreadOverZones }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "ringline.selector" . | nindent 8 }}
{{- end }}
