//! What a pod of the agent says of itself: its metrics and its health through the API server's proxy, and its log.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::clocks;
use super::pods::Pod;
use super::reader::{Reader, Seen, Wanted};
use super::right::Right;

/// Of the metrics of one agent; a node with very many pods stays below.
const METRICS_BYTES: usize = 8 << 20;
/// Of a log.
const LOG_BYTES: usize = 512 << 10;
/// The end of a log that is read.
const LOG_LINES: u32 = 200;
/// The end of the log of a container that has ended.
const LAST_WORDS: u32 = 20;

/// Between the two times that metrics are read: long enough for a rate, short enough to wait for.
const PAUSE: Duration = Duration::from_secs(3);

/// Where the agent tells its metrics, and its health, unless its container says otherwise.
const METRICS: (&str, u16) = ("metrics", 8888);
const HEALTH: (&str, u16) = ("health", 13133);

/// What one pod says of itself.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// Its name.
    pub pod: String,
    /// Its own metrics; none if nobody asked, since it does not run.
    pub metrics: Option<Seen<Samples>>,
    /// The same some seconds before.
    pub earlier: Option<Samples>,
    /// What its clock said with the metrics.
    pub clock: Option<Timestamp>,
    /// By how much its clock is ahead of the API server's, in seconds; negative: behind.
    pub ahead: Option<f64>,
    /// What its health check answered.
    pub health: Option<Seen<String>>,
    /// The end of its log.
    pub log: Option<Seen<Vec<String>>>,
    /// The end of the log of the container before this one, if that crashed.
    pub last_words: Option<Seen<Vec<String>>>,
}

/// Samples in Prometheus' text format.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Sample>);

/// One line of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Name, with the suffix that it was shown with.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Value.
    pub value: f64,
}

impl Samples {
    /// Reads what it can; lines that are none are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(sample).collect())
    }

    /// Those of a metric of the table, whatever suffix of its unit or kind the configuration adds.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| {
            let rest = sample.name.strip_prefix(name);
            rest.is_some_and(|rest| {
                matches!(rest, "" | "_total" | "_bytes" | "_seconds" | "_bytes_total" | "_seconds_total")
            })
        })
    }

    /// Their sum; none if there is no such metric.
    #[must_use]
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.of(name).map(|sample| sample.value).reduce(|all, one| all + one)
    }
}

fn sample(line: &str) -> Option<Sample> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let name_ends = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_ends);
    let (labels, rest) = if rest.starts_with('{') { labels(rest)? } else { (BTreeMap::new(), rest) };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// `{a="b",c="d"}`, and what follows.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text.strip_prefix('{')?;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.insert(name.trim().to_owned(), value);
        rest = after.get(end + 1..)?;
    }
}

/// Asks one pod.
pub(super) async fn read(reader: &Reader, pod: &Pod) -> Inside {
    let container = pod.spec.agent();
    let name = container.map(|container| container.name.clone()).unwrap_or_default();
    let status = pod.status.container_statuses.iter().find(|status| status.name == name);
    let runs = status.is_some_and(|status| status.state.running.is_some());
    let crashed = status.is_some_and(|status| status.restart_count > 0 && status.last_state.terminated.is_some());
    let port = |(name, number): (&str, u16)| container.and_then(|container| container.port(name, number));
    let (metrics, health) = (port(METRICS), port(HEALTH));
    let asked = async |port: Option<u16>, path: &str| match port {
        Some(port) if runs => Some(reader.text(&proxied(pod, port, path), METRICS_BYTES).await),
        _ => None,
    };
    let logged = async |previous: bool, wanted: bool| match wanted {
        true => Some(reader.text(&log(pod, &name, previous), LOG_BYTES).await.map(lines)),
        false => None,
    };
    let (metrics, health, log, last_words) =
        tokio::join!(asked(metrics, "metrics"), asked(health, ""), logged(false, runs), logged(true, crashed));
    let mut earlier = metrics.map(|seen| seen.map(|text| Samples::parse(&text)));
    let mut clock = None;
    let mut metrics = None;
    if let (Some(Seen::Known(_)), Some(port)) =
        (&earlier, container.and_then(|container| container.port(METRICS.0, METRICS.1)))
    {
        tokio::time::sleep(PAUSE).await;
        let asked_at = clocks::here();
        let again = reader.text(&proxied(pod, port, "metrics"), METRICS_BYTES).await;
        // The page was made between asking and the answer.
        let here = f64::midpoint(asked_at, clocks::here());
        let again = again.map(|text| Samples::parse(&text));
        clock =
            again.some().and_then(|samples| samples.sum("otel_agent_process_clock")).map(|clock| (clock, clock - here));
        metrics = Some(again);
    }
    let metrics = metrics.or_else(|| earlier.take());
    let earlier = earlier.and_then(|seen| seen.some().cloned());
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let time = clock.and_then(|(clock, _)| Timestamp::from_second(clock as i64).ok());
    let ahead = clock.zip(reader.server_ahead()).map(|((_, ahead), server)| ahead - server);
    Inside { pod: pod.name().to_owned(), metrics, earlier, clock: time, ahead, health, log, last_words }
}

#[expect(clippy::needless_pass_by_value, reason = "it is what a text that was read is turned into")]
fn lines(text: String) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

fn proxied(pod: &Pod, port: u16, path: &str) -> Wanted {
    let (namespace, name) = (&pod.metadata.namespace, pod.name());
    Wanted {
        what: format!("what pod {namespace}/{name} answers at port {port}/{path}"),
        path: format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/{path}"),
        right: Right::within(namespace, "get", "", "pods/proxy"),
    }
}

fn log(pod: &Pod, container: &str, previous: bool) -> Wanted {
    let (namespace, name) = (&pod.metadata.namespace, pod.name());
    let (which, query) = match previous {
        true => ("last log", format!("container={container}&tailLines={LAST_WORDS}&previous=true")),
        false => ("log", format!("container={container}&tailLines={LOG_LINES}")),
    };
    Wanted {
        what: format!("the {which} of pod {namespace}/{name}"),
        path: format!("/api/v1/namespaces/{namespace}/pods/{name}/log?{query}"),
        right: Right::within(namespace, "get", "", "pods/log"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_labels_that_hold_anything() {
        let samples = Samples::parse(
            "# TYPE a counter\na_total{x=\"1\",y=\"a \\\"b\\\" {c}, d\"} 3\na_total{x=\"2\"} 4 1700000000\nb 1e3\n\nbroken{\n",
        );
        assert_eq!(samples.sum("a"), Some(7.0));
        assert_eq!(samples.of("a").next().unwrap().labels["y"], "a \"b\" {c}, d");
        assert_eq!(samples.sum("b"), Some(1000.0));
        assert_eq!(samples.sum("c"), None);
        assert_eq!(samples.sum("a_tot"), None);
    }
}
