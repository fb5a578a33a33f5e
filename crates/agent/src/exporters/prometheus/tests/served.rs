//! The exporter as a whole: delivered to, fetched from.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use http_body_util::BodyExt;
use wire::{Chain, Signal};

use super::super::Exporter;
use super::super::page::Page;
use super::*;
use crate::net::auth::{AuthInfo, Authenticate, Denied};
use crate::pipeline::{Deliver, Origin, Outcome, Parcel, Room};
use crate::telemetry::{Metrics, table as own};

struct Nobody;

impl Authenticate for Nobody {
    fn authenticate(&self, _: &HeaderMap) -> Result<AuthInfo, Denied> {
        Err(Denied::because("nobody may"))
    }
}

async fn fetch(page: &Page, path: &str, accept: &str) -> (u16, String, String) {
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_str(accept).unwrap())]);
    let response = page.answer(&Method::GET, &path.parse().unwrap(), &headers);
    let status = response.status().as_u16();
    let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn what_is_delivered_can_be_fetched() {
    let config = config("without_scope_info: true, enable_open_metrics: true");
    let exporter = Exporter::new(&crate::settings::ComponentId::of("prometheus"), &config);
    let metrics =
        vec![gauge("a", vec![point(&[], 1, 1.0)]), gauge("b.c", vec![point(&[], 1, 2.0), point(&[], 0, 3.0)])];
    let body = Chain::from(request(&[], metrics).encode_to_vec());
    let origin = Origin::default();
    let parcel = Parcel { signal: Signal::Metrics, body: &body, items: 3, origin: &origin, room: Room::endless() };
    assert_eq!(exporter.deliver(parcel).await, Outcome::Partial { rejected: 1, message: String::new() });
    let page = Page::new(Arc::clone(&exporter.table), &config, None);
    let (status, kind, text) = fetch(&page, "/metrics", "").await;
    assert_eq!((status, kind.as_str()), (200, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"));
    assert_eq!(text, "# HELP a \n# TYPE a gauge\na 1\n# HELP b_c \n# TYPE b_c gauge\nb_c 2\n");
    let (_, kind, text) = fetch(&page, "/metrics?name%5B%5D=a&x=y", "application/openmetrics-text;version=1.0.0").await;
    assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores");
    assert_eq!(text, "# HELP a \n# TYPE a gauge\na 1.0\n# EOF\n");
    assert_eq!(fetch(&page, "/", "").await.0, 404);
    let post = page.answer(&Method::POST, &"/metrics".parse().unwrap(), &HeaderMap::new());
    assert_eq!(post.status().as_u16(), 405);
}

#[test]
fn the_last_plan_that_lives_shows_the_series() {
    let exporter = Exporter::new(&crate::settings::ComponentId::of("prometheus"), &config(""));
    take(&exporter.table, &[], vec![gauge("a", vec![point(&[], 1, 1.0)])]);
    let metrics = Metrics::new();
    let series = || metrics.value(&own::PROMETHEUS_SERIES, &[("exporter", "prometheus")]);
    let running = metrics.scoped();
    exporter.show_in(&running);
    {
        let given_up = metrics.scoped();
        exporter.show_in(&given_up);
        assert_eq!(series(), Some(1.0), "once, though two have it");
    }
    assert_eq!(series(), Some(1.0));
    let next = metrics.scoped();
    exporter.show_in(&next);
    drop(running);
    assert_eq!(series(), Some(1.0));
    drop(next);
    assert_eq!(series(), None);
}

#[tokio::test]
async fn who_may_not_fetch_sees_nothing() {
    let table = table("");
    let page = Page::new(table, &config("response_headers: {X-Who: me}"), Some(Arc::new(Nobody)));
    assert_eq!(fetch(&page, "/metrics", "").await.0, 401);
    let response = page.answer(&Method::GET, &"/metrics".parse().unwrap(), &HeaderMap::new());
    assert_eq!(response.headers()["x-who"], "me");
}

#[test]
fn settings_that_show_nothing_or_contradict_each_other_are_refused() {
    let check = |settings: &str, expected: &str| {
        let problems = read_text::<Config>(settings).unwrap_err();
        assert!(problems.contains(expected), "{settings}: {problems}");
    };
    check("{}", "`endpoint` is missing");
    check("{endpoint: 'a:1', metric_expiration: 0s}", "metric_expiration must be positive");
    check("{endpoint: 'a:1', max_series: 0}", "max_series");
    check("{endpoint: 'a:1', resource_constant_labels: {enabled: true}}", "use included and excluded instead");
    let both = "resource_constant_labels: {included: ['*']}, resource_to_telemetry_conversion: {enabled: true}";
    check(&format!("{{endpoint: 'a:1', {both}}}"), "cannot configure both");
    check("{endpoint: 'a:1', const_labels: {__name__: x}}", "not a valid label name");
    check("{endpoint: 'a:1', translation_strategy: Nothing}", "NoTranslation");
}

#[test]
fn a_scrape_never_shows_a_series_twice_while_series_come_and_go() {
    let table = table("without_scope_info: true");
    let points = |range: std::ops::Range<u32>, flags| {
        let point = |i: u32| NumberDataPoint { flags, ..point(&[("i", &i.to_string())], 1, 1.0) };
        vec![gauge("a", range.map(point).collect())]
    };
    take(&table, &[], points(0..3000, 0));
    let style = Style { format: TEXT, escaping: Escaping::Underscores, timestamps: false };
    let mut answer = Answer::new(&table, &[], style, Encoding::Identity).unwrap();
    let mut text = Vec::new();
    let mut turn = 0;
    while let Some(part) = answer.next_part().unwrap() {
        text.extend_from_slice(&part);
        // What was shown goes and comes back in places that are still to be shown.
        take(&table, &[], points(0..500, 1));
        take(&table, &[], points(2000..2500, 1));
        take(&table, &[], points(0..500, 0));
        turn += 1;
    }
    let parsed = parse::text(std::str::from_utf8(&text).unwrap());
    assert!(parsed.samples.len() >= 2000, "{} in {turn} turns", parsed.samples.len());
}
