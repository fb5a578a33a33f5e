//! What the demo prints.

use std::fmt::Write;

use wire::Signal;

use super::backend::Backend;
use super::pods::{self, Pod};
use super::ports::Ports;
use super::tally::Counts;

/// Where everything is.
pub(super) struct Places {
    /// Addresses by what they are for.
    pub(super) grpc: String,
    pub(super) http: String,
    pub(super) metrics: String,
    pub(super) health: String,
    pub(super) backend: String,
    /// Default ports that were taken, with the ports used instead.
    pub(super) moved: Vec<(u16, u16)>,
}

impl Places {
    pub(super) fn new(ports: &Ports, backend: &Backend) -> Self {
        let [grpc, http, metrics, health] = ports.all().map(|port| format!("127.0.0.1:{}", port.found));
        let moved = ports.all().into_iter().filter(|port| port.found != port.wanted);
        let moved = moved.map(|port| (port.wanted, port.found)).collect();
        Self { grpc, http, metrics, health, backend: backend.address().to_string(), moved }
    }
}

/// The figures of all stations, from the application to the backend.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) made: Counts,
    pub(super) acknowledged: Counts,
    pub(super) accepted: Counts,
    pub(super) sent: Counts,
    pub(super) dropped: u64,
    pub(super) held: u64,
    pub(super) arrived: Counts,
    /// Resources without the attributes that the agent adds.
    pub(super) bare_resources: u64,
    /// Requests that failed on either side.
    pub(super) failed_requests: u64,
    /// What the last of them failed with.
    pub(super) last_failure: Option<String>,
    /// Whether the agent says that its ledger balances.
    pub(super) balanced: bool,
    /// Whether other applications may have sent too, so that the agent may have accepted more than ours made.
    pub(super) open_to_others: bool,
}

/// The first screen.
pub(super) fn welcome(pods: &[Pod], places: &Places, once: bool) -> String {
    let Places { grpc, http, metrics, health, backend, moved } = places;
    let deployments = pods::distinct(pods, |pod| &pod.deployment);
    let nodes = pods::distinct(pods, |pod| &pod.node);
    let first = pods.first().map_or("", |pod| pod.ip.as_str());
    let mut text = format!(
        "otel-agent demo: an application, the agent and a backend, in this process and on loopback

  application   fastapi-metrics: {} pods of {deployments} deployments on {nodes} nodes, with the OpenTelemetry Rust SDK
      |         traces, metrics and logs as OTLP over HTTP; each pod sends from its own address, {first} and so on
  agent         http://{http}  (gRPC: {grpc})
      |         memory_limiter, k8s_attributes (which pod is that?), resource, batch; OTLP over HTTP, gzip
  backend       http://{backend}

Look at it meanwhile:
  metrics of the agent   curl http://{metrics}/metrics
  health of the agent    curl http://{health}/
  your own application   OTEL_EXPORTER_OTLP_ENDPOINT=http://{http}
",
        pods.len()
    );
    for (default, port) in moved {
        let _ = write!(text, "\nPort {default} is taken by another program; {port} is used instead.");
    }
    if !moved.is_empty() {
        text.push('\n');
    }
    text.push_str(if once { "\nStops by itself." } else { "\nStop it with Ctrl-C." });
    text.push_str("\n\n");
    text.push_str(&row("time", [("spans in", "out"), ("points in", "out"), ("log records in", "out")], "held"));
    text
}

/// A line of progress.
pub(super) fn progress(seconds: f64, figures: &Figures) -> String {
    let [accepted, arrived] = [figures.accepted, figures.arrived].map(|counts| counts.map(|count| count.to_string()));
    let mut flows = accepted.iter().zip(&arrived).map(|(accepted, arrived)| (accepted.as_str(), arrived.as_str()));
    let flows = [(); 3].map(|()| flows.next().unwrap_or_default());
    row(&format!("{seconds:.0} s"), flows, &figures.held.to_string())
}

fn row(time: &str, [spans, points, logs]: [(&str, &str); 3], held: &str) -> String {
    let ((spans, spans_out), (points, points_out), (logs, logs_out)) = (spans, points, logs);
    format!(
        "{time:>6}  {spans:>10} > {spans_out:<8}{points:>10} > {points_out:<8}{logs:>14} > {logs_out:<8}{held:>6}\n"
    )
}

/// The last screen.
pub(super) fn summary(figures: &Figures, resource: &[(String, String)], own_keys: &[&str]) -> String {
    let mut text = String::from(
        "\n                     made  acknowledged      accepted          sent       arrived\n\
           \x20                by app     to the app  by the agent  by the agent  at the backend\n",
    );
    for signal in Signal::ALL {
        let of = |counts: &Counts| counts.get(signal.index()).copied().unwrap_or_default();
        let _ = writeln!(
            text,
            "  {:<13} {:>9} {:>13} {:>13} {:>13} {:>13}",
            signal.items_name().replace('_', " "),
            of(&figures.made),
            of(&figures.acknowledged),
            of(&figures.accepted),
            of(&figures.sent),
            of(&figures.arrived)
        );
    }
    if !resource.is_empty() {
        text.push_str("\nA resource as the backend got it (+ was added by the agent):\n");
        for (key, value) in resource {
            let sign = if own_keys.contains(&key.as_str()) { ' ' } else { '+' };
            let _ = writeln!(text, "  {sign} {key}: {value}");
        }
    }
    text.push_str(&verdict(figures));
    text
}

fn verdict(figures: &Figures) -> String {
    let sum = |counts: &Counts| counts.iter().sum::<u64>();
    let (accepted, sent) = (sum(&figures.accepted), sum(&figures.sent));
    let ledger = format!("accepted {accepted} = sent {sent} + dropped {} + held {}", figures.dropped, figures.held);
    let faults = figures.faults();
    if faults.is_empty() {
        return format!("\nEvery item arrived with the attributes, and the ledger balances: {ledger}.\n");
    }
    let mut text = format!("\nSomething is wrong. The ledger says {ledger}.\n");
    for fault in faults {
        let _ = writeln!(text, "  - {fault}");
    }
    text
}

impl Figures {
    /// Everything that is not as it must be at the end.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let stations = [
            ("made", &self.made),
            ("acknowledged to the application", &self.acknowledged),
            ("accepted by the agent", &self.accepted),
            ("sent by the agent", &self.sent),
            ("arrived at the backend", &self.arrived),
        ];
        for signal in Signal::ALL {
            let of = |counts: &Counts| counts.get(signal.index()).copied().unwrap_or_default();
            let items = signal.items_name().replace('_', " ");
            if of(&self.made) == 0 {
                faults.push(format!("the application made no {items}"));
            }
            for [(before, earlier), (after, later)] in stations.array_windows() {
                let others = self.open_to_others && *after == "accepted by the agent";
                if of(earlier) != of(later) && !(others && of(earlier) < of(later)) {
                    faults.push(format!("{} {items} were {before}, and {} {after}", of(earlier), of(later)));
                }
            }
        }
        if self.bare_resources > 0 {
            faults.push(format!("{} resources arrived without the attributes", self.bare_resources));
        }
        if self.failed_requests > 0 {
            let last = self.last_failure.as_deref().unwrap_or("not known");
            faults.push(format!("{} requests failed, the last one with: {last}", self.failed_requests));
        }
        if !self.balanced || self.dropped > 0 || self.held > 0 {
            faults.push("the ledger does not balance, or items were dropped or are still held".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Figures {
        let counts = [360, 36, 180];
        Figures {
            made: counts,
            acknowledged: counts,
            accepted: counts,
            sent: counts,
            arrived: counts,
            balanced: true,
            ..Figures::default()
        }
    }

    fn resource() -> Vec<(String, String)> {
        [
            ("service.name", "fastapi-metrics"),
            ("service.instance.id", "x2x9k"),
            ("k8s.pod.name", "x2x9k"),
            ("k8s.cluster.name", "demo"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
    }

    #[test]
    fn the_screens_are_as_reviewed() {
        let pods = pods::read(pods::LIST).unwrap();
        let at = |port: u16| format!("127.0.0.1:{port}");
        let places = Places {
            grpc: at(4317),
            http: at(43210),
            metrics: at(8888),
            health: at(13133),
            backend: at(45678),
            moved: vec![(4318, 43210)],
        };
        let wrong = Figures {
            acknowledged: [360, 36, 179],
            accepted: [360, 36, 179],
            arrived: [300, 36, 179],
            held: 60,
            failed_requests: 1,
            last_failure: Some("the agent answered 503 Service Unavailable".to_owned()),
            ..good()
        };
        let keys = ["service.name", "service.instance.id"];
        let text = welcome(&pods, &places, false)
            + &progress(1.0, &good())
            + &progress(2.0, &wrong)
            + &summary(&good(), &resource(), &keys)
            + &summary(&wrong, &[], &keys);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn each_fault_alone_is_found() {
        assert_eq!(good().faults(), Vec::<String>::new());
        let check = |fault: fn(&mut Figures), word: &str| {
            let mut figures = good();
            fault(&mut figures);
            let faults = figures.faults();
            assert!(faults.len() == 1 && faults[0].contains(word), "{faults:?}");
        };
        check(|figures| figures.made[0] = 1, "1 spans were made, and 360 acknowledged");
        check(|figures| figures.arrived[2] = 181, "180 log records were sent by the agent, and 181 arrived");
        check(|figures| figures.bare_resources = 1, "attributes");
        check(|figures| figures.failed_requests = 1, "failed");
        check(|figures| figures.held = 1, "held");
        check(|figures| figures.dropped = 1, "dropped");
        check(|figures| figures.balanced = false, "balance");
        assert_eq!(Figures { balanced: true, ..Figures::default() }.faults().len(), 3, "nothing made is no success");
    }

    #[test]
    fn other_applications_may_send_too_but_nothing_may_get_lost_on_the_way() {
        let more = [400, 40, 200];
        let mut figures = Figures { accepted: more, sent: more, arrived: more, open_to_others: true, ..good() };
        assert_eq!(figures.faults(), Vec::<String>::new());
        figures.open_to_others = false;
        assert_eq!(figures.faults().len(), 3);
        figures.open_to_others = true;
        figures.accepted = [359, 36, 180];
        assert!(figures.faults()[0].contains("359 accepted"), "{:?}", figures.faults());
    }
}
