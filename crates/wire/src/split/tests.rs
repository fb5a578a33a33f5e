use super::*;
use crate::{Value, view, write};

/// A metric of a sum with this many data points, the time of each its place.
fn metric(out: &mut Vec<u8>, name: &str, points: usize) {
    write::message_field(out, 2, |out| {
        write::bytes_field(out, 1, name.as_bytes());
        write::message_field(out, 7, |out| {
            (0..points)
                .for_each(|place| write::message_field(out, 1, |out| write::fixed64_field(out, 3, place as u64)));
            write::varint_field(out, 2, 2);
            write::varint_field(out, 3, 1);
        });
        write::bytes_field(out, 3, b"ms");
        write::bytes_field(out, 500, b"unknown");
    });
}

/// A group with a resource and one scope with these metrics.
fn group(out: &mut Vec<u8>, service: &str, metrics: &[(&str, usize)]) {
    write::message_field(out, 1, |out| {
        write::message_field(out, 2, |out| {
            write::message_field(out, 1, |out| write::bytes_field(out, 1, b"scope"));
            metrics.iter().for_each(|(name, points)| metric(out, name, *points));
            write::bytes_field(out, 3, b"scope schema");
        });
        write::message_field(out, 1, |out| write::key_value_field(out, 1, "service.name", &Value::from(service)));
        write::bytes_field(out, 3, b"resource schema");
    });
}

/// What is in a piece, as `service/metric:points`.
fn show(piece: &Piece) -> String {
    let bytes = piece.chain.contiguous();
    assert_eq!(crate::skim(Signal::Metrics, &bytes).map(|skim| skim.items), Ok(piece.items));
    let mut shown = Vec::new();
    for group in view::Request::new(&bytes).resources() {
        let service = group.resource().attributes().get("service.name");
        let service = service.and_then(|value| value.as_str()).unwrap_or("?").to_owned();
        assert_eq!(group.schema_url(), "resource schema");
        for scope in group.scopes() {
            assert_eq!((scope.scope().name(), scope.schema_url()), ("scope", "scope schema"));
            shown.extend(scope.metrics().map(|metric| format!("{service}/{}", show_metric(&metric))));
        }
    }
    shown.join(" ")
}

fn show_metric(metric: &view::Metric<'_>) -> String {
    let view::Data::Sum(sum) = metric.data() else {
        unreachable!("sums only");
    };
    assert_eq!((metric.unit(), sum.aggregation_temporality(), sum.is_monotonic()), ("ms", 2, true));
    assert!(metric.fields().any(|field| field.number == 500));
    let times: Vec<String> = sum.points().map(|point| point.time_unix_nano().to_string()).collect();
    format!("{}:{}", metric.name(), times.join(","))
}

fn check(fill: impl Fn(&mut Vec<u8>), limits: Limits, expected: &[&str]) {
    let mut request = Vec::new();
    fill(&mut request);
    let pieces = split(Signal::Metrics, &Chain::from(request), limits);
    assert_eq!(pieces.iter().map(show).collect::<Vec<_>>(), expected);
}

fn items(max: usize) -> Limits {
    Limits { max_items: Some(max), max_bytes: None }
}

#[test]
fn what_fits_is_one_piece_and_shares_its_bytes() {
    let mut request = Vec::new();
    group(&mut request, "a", &[("m", 600)]);
    let chain = Chain::from(request);
    let pieces = split(Signal::Metrics, &chain, items(600));
    assert_eq!(pieces.len(), 1);
    assert_eq!(pieces[0].chain.slices()[0].as_ptr(), chain.slices()[0].as_ptr());
}

#[test]
fn an_empty_request_is_one_empty_piece() {
    let pieces = split(Signal::Metrics, &Chain::new(), items(1));
    assert_eq!((pieces.len(), pieces[0].items, pieces[0].chain.len()), (1, 0, 0));
}

#[test]
fn pieces_are_filled_across_metrics_and_resources() {
    let fill = |out: &mut Vec<u8>| {
        group(out, "a", &[("m", 2), ("n", 2)]);
        group(out, "b", &[("m", 3)]);
    };
    check(fill, items(3), &["a/m:0,1 a/n:0", "a/n:1 b/m:0,1", "b/m:2"]);
    check(fill, items(4), &["a/m:0,1 a/n:0,1", "b/m:0,1,2"]);
    check(fill, items(1), &["a/m:0", "a/m:1", "a/n:0", "a/n:1", "b/m:0", "b/m:1", "b/m:2"]);
    check(fill, items(0), &["a/m:0", "a/m:1", "a/n:0", "a/n:1", "b/m:0", "b/m:1", "b/m:2"]);
}

#[test]
fn metrics_without_data_points_stay_where_they_were() {
    let fill = |out: &mut Vec<u8>| group(out, "a", &[("m", 1), ("none", 0), ("n", 1)]);
    check(fill, items(1), &["a/m:0 a/none:", "a/n:0"]);
}

#[test]
fn pieces_keep_to_their_bytes() {
    let mut request = Vec::new();
    group(&mut request, "a", &[("m", 50)]);
    for max in [150, 200, 333, 500] {
        let limits = Limits { max_items: None, max_bytes: Some(max) };
        let pieces = split(Signal::Metrics, &Chain::from(request.clone()), limits);
        assert_eq!(pieces.iter().map(|piece| piece.items).sum::<usize>(), 50);
        assert!(pieces.iter().all(|piece| piece.chain.len() <= max), "{max}");
    }
}

#[test]
fn an_item_that_is_too_large_is_a_piece_of_its_own() {
    let mut request = Vec::new();
    group(&mut request, "a", &[("m", 3)]);
    let pieces = split(Signal::Metrics, &Chain::from(request), Limits { max_items: None, max_bytes: Some(1) });
    assert_eq!(pieces.iter().map(|piece| piece.items).collect::<Vec<_>>(), [1, 1, 1]);
}
