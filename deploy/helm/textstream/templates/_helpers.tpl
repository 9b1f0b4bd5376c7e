{{- define "textstream.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "textstream.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "textstream.labels" -}}
{{ include "textstream.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "textstream.kind" -}}
{{ ternary "StatefulSet" "Deployment" .Values.staticMembership }}
{{- end -}}

{{/* The value of a setting, as JSON: what the values say, else the program's default. (list $ "section" "name") */}}
{{- define "textstream.setting" -}}
{{- $root := index . 0 -}}
{{- $section := index . 1 -}}
{{- $name := index . 2 -}}
{{- $defaults := $root.Files.Get "settings.json" | fromJson -}}
{{- $given := get (get $root.Values.settings $section | default dict) $name -}}
{{- if or (kindIs "invalid" $given) (and (kindIs "string" $given) (eq $given "")) -}}
{{ get (get $defaults $section) $name | toJson }}
{{- else -}}
{{ $given | toJson }}
{{- end -}}
{{- end -}}

{{/* How to ask a worker at a path. A kubelet shows no certificate: where the port asks for one, that it listens is all that is known. */}}
{{- define "textstream.probe" -}}
{{- $root := index . 0 -}}
{{- if ne (include "textstream.setting" (list $root "observe" "http_client_ca")) "\"\"" -}}
tcpSocket: {port: http}
{{- else if ne (include "textstream.setting" (list $root "observe" "http_certificate")) "\"\"" -}}
httpGet: {path: {{ index . 1 }}, port: http, scheme: HTTPS}
{{- else -}}
httpGet: {path: {{ index . 1 }}, port: http}
{{- end -}}
{{- end -}}

{{/* The ports of the brokers: those that the values name, else those of settings.kafka.bootstrap_servers. */}}
{{- define "textstream.kafkaPorts" -}}
{{- $ports := .Values.networkPolicy.kafkaPorts -}}
{{- if not $ports -}}
{{- range splitList "," .Values.settings.kafka.bootstrap_servers -}}
{{- $ports = append $ports (regexFind "[0-9]+$" (trim .) | default "9092" | int) -}}
{{- end -}}
{{- end -}}
{{ $ports | uniq | toJson }}
{{- end -}}

{{/* 15 s more than the drain, to flush what was scored last, commit and leave the group. */}}
{{- define "textstream.graceSeconds" -}}
{{ add (include "textstream.setting" (list . "delivery" "drain_timeout_s") | float64 | ceil) 15 }}
{{- end -}}

{{/* The settings as variables. Kubernetes expands $(NAME): a dollar of ours is doubled. */}}
{{- define "textstream.environment" -}}
{{- range $section, $named := .Values.settings }}
{{- range $name, $value := $named }}
{{- if not (kindIs "invalid" $value) }}
{{- $text := $value }}
{{- if kindIs "slice" $value }}
{{- $text = join "," $value }}
{{- else if not (kindIs "string" $value) }}
{{- $text = toJson $value }}
{{- end }}
- name: {{ printf "TEXTSTREAM_%s_%s" $section $name | upper }}
  value: {{ $text | replace "$" "$$" | toJson }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "textstream.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default (printf "%s%s" $.Chart.AppVersion (ternary "-cuda" "" $.Values.gpu.enabled)) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A file of the chart, with links to the runbook that is served. */}}
{{- define "textstream.linked" -}}
{{- $root := index . 0 -}}
{{ $root.Files.Get (index . 1) | replace "deploy/RUNBOOK.md" ($root.Values.runbookUrl | default "deploy/RUNBOOK.md") }}
{{- end -}}

{{/* What the schema cannot say: values that contradict each other. */}}
{{- define "textstream.refuse" -}}
{{- $kafka := get .Values.settings "kafka" | default dict -}}
{{- if get $kafka "group_instance_id" -}}
{{- fail "settings.kafka.group_instance_id would be the same in every pod: set staticMembership, which takes each pod's name" -}}
{{- end -}}
{{- if and .Values.credentials.kafkaClient.name (get $kafka "client") -}}
{{- fail "credentials.kafkaClient stands for the whole of settings.kafka.client: set one of them" -}}
{{- end -}}
{{- if and .Values.keda.enabled (gt (int .Values.keda.minReplicas) (int .Values.keda.maxReplicas)) -}}
{{- fail "keda.minReplicas is more than keda.maxReplicas" -}}
{{- end -}}
{{- if eq (include "textstream.setting" (list . "observe" "http_port")) "0" -}}
{{- fail "settings.observe.http_port = 0 takes a free port, which no probe knows: name one" -}}
{{- end -}}
{{- end -}}
