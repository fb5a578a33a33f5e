//! Kinds of failure, told apart by what the agent says of them, with what to look at.

use crate::doctor::{Context, Finding};
use crate::snapshot::services::Service;
use crate::snapshot::{Agent, Snapshot};

/// Why an exporter fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Name,
    Closed,
    Silent,
    Tls,
    Protocol,
    Mute,
    Busy,
    Refused,
    Unknown,
}

/// What a backend answers that asks to come again. With `ResourceExhausted` it does so only if it says when; otherwise a request
/// was larger than it takes, and is given up.
const BUSY: [&str; 5] = ["answered Unavailable", "answered 429", "answered 502", "answered 503", "answered 504"];

impl Kind {
    /// By the text of the error, and whether the data was given up for it.
    pub(super) fn of(error: &str, dropped: bool) -> Self {
        let says = |words: &[&str]| words.iter().any(|word| error.contains(word));
        if says(&["does not resolve"]) {
            Self::Name
        } else if says(&["TLS with", "TLS handshake"]) {
            Self::Tls
        } else if says(&["refused the connection"]) {
            Self::Closed
        } else if says(&["does not speak HTTP/2", "is no HTTP", "may expect TLS"]) {
            Self::Protocol
        } else if says(&["does not answer", "no connection to", "cannot be reached", "connecting to"]) {
            Self::Silent
        } else if says(&["no answer", "was lost before"]) {
            Self::Mute
        } else if says(&BUSY) || (says(&["answered ResourceExhausted"]) && (!dropped || says(&["retries"]))) {
            Self::Busy
        } else if dropped && !says(&["retries"]) {
            Self::Refused
        } else {
            Self::Unknown
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Name => "The name of the backend does not resolve",
            Self::Closed => "The backend refuses connections: nothing listens there",
            Self::Silent => "The backend does not answer to connections",
            Self::Tls => "TLS with the backend fails",
            Self::Protocol => "What answers at the backend's address speaks another protocol",
            Self::Mute => "The backend takes connections and does not answer in time",
            Self::Busy => "The backend is too busy: it asks to come again later",
            Self::Refused => "The backend refuses data for good",
            Self::Unknown => "Nothing is sent",
        }
    }

    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::Name => "The name is misspelt, its namespace is missing, or the DNS of the cluster does not know it.",
            Self::Closed => "The port is wrong, or the backend is not up.",
            Self::Silent => "A network policy or a firewall drops the packets, or nothing has that address.",
            Self::Tls => {
                "The certificate is not trusted, is for another name, has expired, or one side speaks plain text."
            }
            Self::Protocol => {
                "The exporter `otlp` speaks gRPC, `otlphttp` HTTP: each needs the port of its own, and TLS on both sides or on none."
            }
            Self::Mute => {
                "It is too slow or hangs, or something else takes the connections: a load balancer or a proxy with no backend behind it."
            }
            Self::Busy => "More is sent than it takes, or it waits for something behind it.",
            Self::Refused => "Trying again would not help, so the data is dropped; what the backend says tells why.",
            Self::Unknown => "See the log of the pod.",
        }
    }
}

/// What to do about it.
pub(super) fn remedies(
    finding: Finding,
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    kind: Kind,
    error: &str,
) -> Finding {
    let host = host_in(error);
    let (service, namespace) = match host.split('.').collect::<Vec<_>>().as_slice() {
        [service] => ((*service).to_owned(), agent.namespace().to_owned()),
        [service, namespace, ..] => ((*service).to_owned(), (*namespace).to_owned()),
        [] => Default::default(),
    };
    let named = |one: &&Service| one.metadata.name == service;
    let there = snapshot.services.items().iter().find(|one| named(one) && one.metadata.namespace == namespace);
    let elsewhere = snapshot.services.items().iter().find(named);
    let kubectl = &context.kubectl;
    match (kind, there, elsewhere) {
        (Kind::Name, None, Some(other)) => finding.advise(format!(
            "Service {} is in namespace {}: write {}.{}.svc in the configuration.",
            service, other.metadata.namespace, service, other.metadata.namespace
        )),
        (Kind::Closed | Kind::Silent | Kind::Mute, Some(found), _) => {
            let ports: Vec<String> = found.spec.ports.iter().map(|port| port.port.to_string()).collect();
            finding
                .seen(format!("Service {} has ports {}", found.metadata.full_name(), ports.join(", ")))
                .mend(
                    format!("{kubectl} --namespace={namespace} get endpointslices --selector=kubernetes.io/service-name={service}"),
                    "Shows which pods are behind it: none, if it has none that is ready.",
                )
        }
        (Kind::Tls, ..) => finding.advise(
            "In the exporter: tls::ca_file for an authority of your own, tls::server_name_override for another name, \
             tls::insecure: true for plain text.",
        ),
        (Kind::Refused, ..) => finding
            .advise("Credentials belong in the exporter's headers or auth; limits of size in its batch settings."),
        (Kind::Mute, ..) => finding.advise(
            "A slow backend needs more of itself, or more time: timeout of the exporter (5s by default); a queue on disk \
             (sending_queue::storage) bridges an outage.",
        ),
        (Kind::Busy, ..) => finding
            .advise("A queue on disk (sending_queue::storage) bridges an outage; a slow backend needs more of itself."),
        _ => finding,
    }
}

/// The host in what the agent says of an error.
fn host_in(error: &str) -> &str {
    if let Some((_, rest)) = error.split_once("the name `") {
        return rest.split('`').next().unwrap_or_default();
    }
    let word = error.split_whitespace().find(|word| {
        word.contains(':')
            && word.trim_end_matches(':').rsplit(':').next().is_some_and(|port| port.parse::<u16>().is_ok())
    });
    word.and_then(|word| word.split(':').next()).unwrap_or_default()
}

/// A reason of the ledger in words.
pub(super) fn reason(reason: &str) -> &str {
    match reason {
        "refused" => "refused by the backend for good",
        "retries_exhausted" => "given up after all attempts (retry_on_failure::max_elapsed_time)",
        "too_large" => "single items larger than the backend takes",
        "partially_rejected" => "rejected in part by the backend",
        "shutdown" => "not delivered before an end of the agent",
        "damaged" => "damaged in the journal",
        other => other,
    }
}

/// What a refusal at the door means: in short, why, and what to do.
pub(super) fn at_the_door(reason: &str) -> (&'static str, &'static str, &'static str) {
    match reason {
        "memory" => (
            "the memory budget is used up",
            "What is held in memory has reached the limit of memory_limiter: the backend is too slow, or the limit too small.",
            "Shows what the backend is doing. With a backend that keeps up, a larger profile: otel-agent manifests --profile=high",
        ),
        "pipeline" => (
            "a pipeline does not take them",
            "The sending queue is full, or an exporter without a queue fails; senders keep their data and try again.",
            "Shows why the exporter cannot send.",
        ),
        "share" => (
            "a sender holds more than its share",
            "Memory or a queue is short, and fair_share of memory_limiter refuses those first who hold most; they come again.",
            "Shows what is short. What it needs is a backend that keeps up, or fewer data of that sender.",
        ),
        "limit" => (
            "a sender has used up its limit",
            "fair_share of memory_limiter sets a fixed limit for pods or namespaces, and a sender is over it.",
            "Shows who; raise the limit if it is too small.",
        ),
        "unauthenticated" => (
            "credentials are missing or wrong",
            "The receiver has `auth`, and applications send without it.",
            "Shows from where; set OTEL_EXPORTER_OTLP_HEADERS there.",
        ),
        "malformed" => (
            "they are not valid OTLP",
            "Something else than an OTLP exporter sends there, or a broken one.",
            "Shows from where.",
        ),
        "too_large" => (
            "they are larger than allowed",
            "Requests exceed max_recv_msg_size_mib or max_request_body_size of the receiver.",
            "Shows from where; let the application send smaller batches.",
        ),
        "too_slow" => {
            ("their bodies come too slowly", "A sender or the network stalls within a request.", "Shows from where.")
        }
        _ => ("see the reason", "The reason is in the metric.", "Shows the log."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_agent_says_is_told_apart() {
        for (error, kind, host) in [
            (
                "the name `backend.shop.svc` does not resolve (x); check its spelling and this host's DNS",
                Kind::Name,
                "backend.shop.svc",
            ),
            ("backend:4317 refused the connection: nothing listens there; check the port", Kind::Closed, "backend"),
            ("backend:4317 (10.0.0.9) does not answer: a firewall or network policy", Kind::Silent, "backend"),
            ("no connection to b.c:4317 within 5s: a firewall", Kind::Silent, "b.c"),
            ("TLS with b.c:4317 failed: its certificate has expired", Kind::Tls, "b.c"),
            ("b:4317 does not speak HTTP/2 as gRPC needs it; it may expect TLS", Kind::Protocol, "b"),
            ("no answer from b:4317 within 5s", Kind::Mute, "b"),
            ("b:4290 answered Unavailable: try later", Kind::Busy, "b"),
            ("b:4317 answered ResourceExhausted: message larger than max", Kind::Refused, "b"),
            ("http://b:4318/v1/logs answered 429 Too Many Requests: slow down", Kind::Busy, ""),
            ("permission denied: wrong token", Kind::Refused, ""),
        ] {
            assert_eq!((Kind::of(error, true), host_in(error)), (kind, host), "{error}");
        }
        assert_eq!(Kind::of("b:4317 answered ResourceExhausted: slow down", false), Kind::Busy);
        assert_eq!(Kind::of("b:4290 answered Aborted: not now", false), Kind::Unknown, "a port is no status");
        assert_eq!(Kind::of("something else", false), Kind::Unknown);
    }
}
