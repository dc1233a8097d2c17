{{/* Of all resources: the release's, made fit for a service, which takes no dot and begins with a letter. */}}
{{- define "ringline.name" -}}
{{- $name := .Release.Name | replace "." "-" }}
{{- regexMatch "^[a-z]" $name | ternary $name (printf "ringline-%s" $name | trunc 53 | trimSuffix "-") }}
{{- end }}

{{- define "ringline.labels" -}}
app.kubernetes.io/name: ringline
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "ringline.selector" -}}
app.kubernetes.io/name: ringline
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Kinds of workers: with some for webhooks only, the others do all but webhooks. */}}
{{- define "ringline.workers" -}}
{{ gt (int .Values.webhooks.replicas) 0 | ternary (list "worker" "webhooks") (list "worker") | toYaml }}
{{- end }}

{{- define "ringline.only" -}}
{{- if gt (int .root.Values.webhooks.replicas) 0 }}, --only, {{ eq .component "worker" | ternary "pushes" "webhooks" }}{{ end }}
{{- end }}

{{- define "ringline.image" -}}
{{- with .Values.image }}
{{- $tagged := printf "%s:%s" .repository (.tag | default $.Chart.AppVersion | include "ringline.text") }}
{{- empty .digest | ternary $tagged (printf "%s@%s" .repository .digest) | quote }}
{{- end }}
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

{{/* A value as text: a large number has its digits, and a list commas. */}}
{{- define "ringline.text" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if and (kindIs "float64" .) (eq (floor .) .) }}{{ printf "%.0f" . }}
{{- else if kindIs "map" . }}{{ fail "a setting is a text, a number or a list, and no map" }}
{{- else }}{{ . }}
{{- end }}
{{- end }}

{{- define "ringline.secrets" -}}
{{ list "RINGLINE_DATABASE_URL" "RINGLINE_REDIS_URL" "RINGLINE_BROKER_URL" "RINGLINE_SECRET_KEY" "RINGLINE_METRICS_TOKEN" | toYaml }}
{{- end }}

{{/* `own` settings of a part are not to be changed; those of the values go before our own defaults. */}}
{{- define "ringline.environment" -}}
{{- range $name := include "ringline.secrets" . | fromYamlArray }}
{{- if hasKey $.root.Values.settings $name }}{{ fail (printf "%s is a secret, and no setting: it belongs into the secret %v" $name $.root.Values.secretName) }}{{ end }}
{{- end }}
{{- $defaults := dict "RINGLINE_PUBLIC_URL" .root.Values.publicUrl -}}
{{- range $name, $value := merge (dict) (.own | default dict) .root.Values.settings (.defaults | default dict) $defaults }}
{{- if not (kindIs "invalid" $value) }}
- name: {{ $name }}
  value: {{ include "ringline.text" $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where a pod may run, and what it may see. */}}
{{- define "ringline.place" -}}
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

{{- define "ringline.volumes" -}}
- name: tmp
  emptyDir: { medium: Memory, sizeLimit: 64Mi }
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "ringline.mounts" -}}
- { name: tmp, mountPath: /tmp }
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A budget for a part of one pod would keep its node from ever being drained. */}}
{{- define "ringline.budget" -}}
{{- $part := get .root.Values .component }}
{{- $many := or (dig "autoscaling" "enabled" false $part) (gt (int $part.replicas) 1) }}
{{- if and $many $part.disruptionBudget }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "ringline.name" .root }}-{{ .component }}
  labels: {{- include "ringline.labels" .root | nindent 4 }}
spec:
  {{- with $part.disruptionBudget }}
  {{- if kindIs "invalid" .maxUnavailable }}
  minAvailable: {{ .minAvailable }}
  {{- else }}
  maxUnavailable: {{ .maxUnavailable }}
  {{- end }}
  {{- end }}
  selector:
    matchLabels: {{- include "ringline.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{- define "ringline.pod" -}}
serviceAccountName: {{ include "ringline.name" . | quote }}
{{ include "ringline.place" . }}
{{- end }}

{{- define "ringline.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: {{ ternary "topology.kubernetes.io/zone" "kubernetes.io/hostname" .root.Values.spreadOverZones }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "ringline.selector" . | nindent 8 }}
{{- end }}
