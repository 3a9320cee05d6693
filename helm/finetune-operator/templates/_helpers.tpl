{{- /* Name of everything in this release. */ -}}
{{- define "finetune-operator.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Labels by which the Deployment knows its pod; they can never change. */ -}}
{{- define "finetune-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "finetune-operator.labels" -}}
{{ include "finetune-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- /* The chart's labels and those of a value, which may not bend them: dict "chart" . "value" NAME "more" LABELS. */ -}}
{{- define "finetune-operator.labelsAnd" -}}
{{- $own := include "finetune-operator.labels" .chart | fromYaml -}}
{{- range $label := keys .more | sortAlpha -}}
{{- if hasKey $own $label -}}
{{- fail (printf "%s: the chart itself sets the label %s. Leave it out." $.value $label) -}}
{{- end -}}
{{- end -}}
{{- toYaml (merge $own .more) -}}
{{- end -}}
