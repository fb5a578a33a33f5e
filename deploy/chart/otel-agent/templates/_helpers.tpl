{{/* Whether the backend is reached by OTLP over HTTP: empty for gRPC. */}}
{{- define "otel-agent.overHttp" -}}
{{- if or (hasPrefix "http://" .Values.backend.endpoint) (hasPrefix "https://" .Values.backend.endpoint) -}}yes{{- end -}}
{{- end -}}

{{/* The port of the backend. */}}
{{- define "otel-agent.backendPort" -}}
{{- $authority := regexReplaceAll "^([a-z]+://)?([^/]*).*$" .Values.backend.endpoint "${2}" -}}
{{- $usual := ternary "443" "80" (hasPrefix "https://" .Values.backend.endpoint) -}}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $authority) | default $usual -}}
{{- end -}}

{{/* An amount such as 1Gi in bytes. */}}
{{- define "otel-agent.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := regexFind "[A-Za-z]*$" . -}}
{{- mulf (trimSuffix $unit . | float64) (get $units $unit) | ceil | int64 -}}
{{- end -}}

{{/* An amount such as 500m or 1Gi in thousandths. */}}
{{- define "otel-agent.thousandths" -}}
{{- if hasSuffix "m" . -}}
{{- trimSuffix "m" . | float64 | ceil | int64 -}}
{{- else if regexMatch "^[0-9.]+$" . -}}
{{- mulf (float64 .) 1000 | ceil | int64 -}}
{{- else -}}
{{- mul (include "otel-agent.bytes" . | int64) 1000 -}}
{{- end -}}
{{- end -}}

{{/* An amount as a text: people write a number for whole CPUs, as Kubernetes lets them. */}}
{{- define "otel-agent.amount" -}}
{{- if kindIs "string" . -}}{{ . }}
{{- else if eq (float64 .) (floor .) -}}{{ int64 . }}
{{- else -}}{{ toString . }}
{{- end -}}
{{- end -}}

{{/* Amounts by name, each as a text. */}}
{{- define "otel-agent.amounts" -}}
{{- $texts := dict -}}
{{- range $name, $amount := . -}}{{- $_ := set $texts $name (include "otel-agent.amount" $amount) -}}{{- end -}}
{{- toJson $texts -}}
{{- end -}}

{{/* CPU or memory of the container, as it was written or as the profile has it. */}}
{{- define "otel-agent.figure" -}}
{{- $values := (index . 0).Values -}}
{{- $figures := dict "low" (dict "requests" (dict "cpu" "50m" "memory" "64Mi") "limits" (dict "cpu" "200m" "memory" "256Mi")) "default" (dict "requests" (dict "cpu" "100m" "memory" "128Mi") "limits" (dict "cpu" "500m" "memory" "512Mi")) "high" (dict "requests" (dict "cpu" "200m" "memory" "256Mi") "limits" (dict "cpu" "1000m" "memory" "1Gi")) -}}
{{- $usual := index $figures $values.profile (index . 1) (index . 2) -}}
{{- $written := include "otel-agent.amounts" (index $values.resources (index . 1)) | fromJson -}}
{{- get $written (index . 2) | default $usual -}}
{{- end -}}

{{/* A label that is the manifests' own. */}}
{{- define "otel-agent.ownLabel" -}}
{{- $found := "" -}}
{{- range $key, $_ := . -}}{{- if hasPrefix "app.kubernetes.io/" $key -}}{{- $found = $key -}}{{- end -}}{{- end -}}
{{- $found -}}
{{- end -}}

{{/* What is wrong with the first wrong toleration. */}}
{{- define "otel-agent.wrongToleration" -}}
{{- $found := "" -}}
{{- range . -}}
{{- $operator := .operator | default "Equal" -}}
{{- if $found -}}
{{- else if not (has $operator (list "Equal" "Exists")) -}}{{- $found = "operator" -}}
{{- else if and (eq $operator "Exists") .value -}}{{- $found = "value" -}}
{{- else if and (eq $operator "Equal") (not .key) -}}{{- $found = "key" -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}
