{{- define "kikuai.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "kikuai.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "kikuai.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "kikuai.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kikuai.selector" -}}
app.kubernetes.io/name: {{ include "kikuai.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kikuai.labels" -}}
{{ include "kikuai.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "kikuai.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What stands for a whole number must not become 2.097152e+07. */}}
{{- define "kikuai.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* The settings that are no secrets, for the server and for kikuai webhook set. */}}
{{- define "kikuai.config" -}}
{{- range $name, $value := .Values.config }}
- name: {{ $name }}
  value: {{ include "kikuai.text" $value | quote }}
{{- end }}
{{- end -}}

{{/* How many seconds a pod may take to stop. 25 are for what follows the drain: calls
that the drain has ended are settled and told so, holds released, events recorded. */}}
{{- define "kikuai.grace" -}}
{{- $least := add .Values.shutdown.preStopSeconds .Values.shutdown.drainSeconds 25 -}}
{{- if .Values.shutdown.graceSeconds -}}
{{- int .Values.shutdown.graceSeconds -}}
{{- else -}}
{{- $least -}}
{{- end -}}
{{- end -}}

{{/* Nine tenths of the memory limit, in bytes: what the collector keeps the heap under. */}}
{{- define "kikuai.heap" -}}
{{- $limit := dig "limits" "memory" "" .Values.resources -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $limit -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- mulf (float64 $number) (get $units (trimPrefix $number $limit)) 0.9 | floor | int64 -}}
{{- end -}}

{{- define "kikuai.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "kikuai.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "kikuai.pull" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The Secrets in use: a list of name and keys. */}}
{{- define "kikuai.secrets" -}}
{{- toYaml (prepend .Values.extraSecrets .Values.secret) -}}
{{- end -}}

{{/* For a list of Secrets, the variables that name their files, and the volume. */}}
{{- define "kikuai.secretEnv" -}}
{{- range . }}
{{- range .keys }}
- name: {{ . }}_FILE
  value: /run/secrets/kikuai/{{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "kikuai.secretVolume" -}}
name: secrets
projected:
  defaultMode: 0440
  sources:
    {{- range . }}
    - secret:
        name: {{ .name }}
        items:
          {{- range .keys }}
          - {key: {{ . }}, path: {{ . }}}
          {{- end }}
    {{- end }}
{{- end -}}
