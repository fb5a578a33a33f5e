//! The parts of the chart that are no objects: what it is, what its templates share, and what Helm tells when it is done.

use crate::values::Profile;

/// `Chart.yaml`.
pub(super) fn chart_yaml() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "apiVersion: v2\n\
         name: otel-agent\n\
         description: The OpenTelemetry agent for every Kubernetes node.\n\
         type: application\n\
         version: {version}\n\
         appVersion: {version:?}\n\
         kubeVersion: \">=1.30.0-0\"\n\
         keywords: [opentelemetry, otlp, collector, agent, daemonset]\n\
         annotations:\n  licenses: Apache-2.0\n"
    )
}

/// `templates/_helpers.tpl`.
pub(super) fn helpers() -> String {
    let figures: Vec<String> = Profile::ALL
        .iter()
        .map(|profile| {
            let figures = profile.figures();
            let pair = |[cpu, memory]: [&str; 2]| format!("(dict \"cpu\" {cpu:?} \"memory\" {memory:?})");
            let (requests, limits) = (pair(figures.requests), pair(figures.limits));
            format!("{:?} (dict \"requests\" {requests} \"limits\" {limits})", profile.as_str())
        })
        .collect();
    HELPERS.replace("FIGURES", &figures.join(" "))
}

const HELPERS: &str = r#"{{/* Whether the backend is reached by OTLP over HTTP: empty for gRPC. */}}
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
{{- $figures := dict FIGURES -}}
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
"#;

/// `templates/NOTES.txt`.
pub(super) const NOTES: &str = r#"{{- $place := printf "otel-agent.%s.svc.cluster.local" .Release.Namespace -}}
{{- if and (eq .Values.mode "daemonset") (eq .Values.routing "host-port") -}}
One agent on each node, at a port of the node. Applications send to it with

    env:
      - name: NODE_IP
        valueFrom: {fieldRef: {fieldPath: status.hostIP}}
      - name: OTEL_EXPORTER_OTLP_ENDPOINT
        value: http://$(NODE_IP):4318
{{- else if not .Values.service.enabled -}}
The Service is left out (service.enabled): applications reach the agents, at 4318 (HTTP) and 4317 (gRPC), by what you made instead.
{{- else if eq .Values.mode "deployment" -}}
A gateway of {{ .Values.replicas | default 2 }} agents. Applications send to it with

    OTEL_EXPORTER_OTLP_ENDPOINT=http://{{ $place }}:4318        (HTTP)
    OTEL_EXPORTER_OTLP_ENDPOINT=http://{{ $place }}:4317        (gRPC)
{{- else -}}
One agent on each node. Applications send to the agent of their own node with

    OTEL_EXPORTER_OTLP_ENDPOINT=http://{{ $place }}:4318        (HTTP)
    OTEL_EXPORTER_OTLP_ENDPOINT=http://{{ $place }}:4317        (gRPC)
{{- end }}

{{- if eq .Values.backend.endpoint "otel-backend:4317" }}

Nobody has said yet where data goes: it is sent to otel-backend:4317. Set backend.endpoint.
{{- end }}
{{- if .Values.config }}

The configuration is your own. The ports, folders and rights of this chart are those of the one that it was made of.
{{- end }}
{{- if not .Values.rbac.create }}

No rights are given (rbac.create): bind what the configuration needs to the account of the pods.
`otel-agent manifests` renders the roles.
{{- end }}
{{- if or (eq .Values.routing "host-port") .Values.hostNetwork (eq .Values.storage.type "hostPath") }}

These choices use something of the node. Where Pod Security is enforced, the namespace needs

    kubectl label namespace {{ .Release.Namespace }} pod-security.kubernetes.io/enforce=privileged --overwrite
{{- end }}

See whether every node has an agent, and what is wrong where one has not:

    otel-agent doctor --namespace {{ .Release.Namespace }}
"#;
