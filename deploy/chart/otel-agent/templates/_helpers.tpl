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
