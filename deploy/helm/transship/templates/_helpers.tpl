{{- define "transship.name" -}}
{{- if contains "transship" .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-transship" .Release.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "transship.selector" -}}
app.kubernetes.io/name: transship
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "transship.labels" -}}
{{ include "transship.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
