//! The full decoder, and the operations done to what it makes.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::{DecodeError, Message};
use testkit::generate::Request;
use wire::{Action, Edits, Limits, Signal, Value};

/// Decodes a request.
pub(crate) fn decode(signal: Signal, bytes: &[u8]) -> Result<Request, DecodeError> {
    Ok(match signal {
        Signal::Traces => Request::Traces(Message::decode(bytes)?),
        Signal::Metrics => Request::Metrics(Message::decode(bytes)?),
        Signal::Logs => Request::Logs(Message::decode(bytes)?),
    })
}

/// How many resources there are.
pub(crate) fn resources(request: &Request) -> usize {
    match request {
        Request::Traces(request) => request.resource_spans.len(),
        Request::Metrics(request) => request.resource_metrics.len(),
        Request::Logs(request) => request.resource_logs.len(),
    }
}

/// An edit, for both sides.
pub(crate) type Edit = (Action, String, Value);

/// The edits as `wire` takes them.
pub(crate) fn edits(list: &[Edit]) -> Edits {
    let mut edits = Edits::new();
    list.iter().for_each(|(action, key, value)| edits.set(*action, key, value));
    edits
}

/// The edits done to the decoded resources.
pub(crate) fn edit_resources(request: &mut Request, list: &[Edit]) {
    let one = |resource: &mut Option<Resource>| {
        let mut edited = resource.clone().unwrap_or_default();
        edit_attributes(&mut edited.attributes, list);
        if resource.is_some() || !edited.attributes.is_empty() {
            *resource = Some(edited);
        }
    };
    match request {
        Request::Traces(request) => request.resource_spans.iter_mut().for_each(|group| one(&mut group.resource)),
        Request::Metrics(request) => request.resource_metrics.iter_mut().for_each(|group| one(&mut group.resource)),
        Request::Logs(request) => request.resource_logs.iter_mut().for_each(|group| one(&mut group.resource)),
    }
}

/// The edits done to the decoded items.
pub(crate) fn edit_items(request: &mut Request, list: &[Edit]) {
    match request {
        Request::Traces(request) => {
            let scopes = request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans);
            scopes.flat_map(|scope| &mut scope.spans).for_each(|span| edit_attributes(&mut span.attributes, list));
        }
        Request::Logs(request) => {
            let scopes = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
            scopes.flat_map(|scope| &mut scope.log_records).for_each(|log| edit_attributes(&mut log.attributes, list));
        }
        Request::Metrics(request) => {
            let scopes = request.resource_metrics.iter_mut().flat_map(|group| &mut group.scope_metrics);
            let datas = scopes.flat_map(|scope| &mut scope.metrics).filter_map(|metric| metric.data.as_mut());
            datas
                .for_each(|data| point_attributes(data).into_iter().for_each(|list_of| edit_attributes(list_of, list)));
        }
    }
}

fn point_attributes(data: &mut Data) -> Vec<&mut Vec<KeyValue>> {
    match data {
        Data::Gauge(data) => data.data_points.iter_mut().map(|point| &mut point.attributes).collect(),
        Data::Sum(data) => data.data_points.iter_mut().map(|point| &mut point.attributes).collect(),
        Data::Histogram(data) => data.data_points.iter_mut().map(|point| &mut point.attributes).collect(),
        Data::ExponentialHistogram(data) => data.data_points.iter_mut().map(|point| &mut point.attributes).collect(),
        Data::Summary(data) => data.data_points.iter_mut().map(|point| &mut point.attributes).collect(),
    }
}

fn edit_attributes(attributes: &mut Vec<KeyValue>, list: &[Edit]) {
    for (action, key, value) in list {
        let found = attributes.iter().position(|attribute| attribute.key == *key);
        match (action, found) {
            (Action::Delete, _) => attributes.retain(|attribute| attribute.key != *key),
            (Action::Insert | Action::Fill | Action::Upsert, None) => {
                let value = Some(any_value(value));
                attributes.push(KeyValue { key: key.clone(), value, ..KeyValue::default() });
            }
            (Action::Update | Action::Upsert, Some(index)) => replace(attributes, index, value),
            (Action::Fill, Some(index)) if is_empty_text(&attributes[index]) => replace(attributes, index, value),
            _ => {}
        }
    }
}

fn replace(attributes: &mut Vec<KeyValue>, index: usize, value: &Value) {
    attributes[index].value = Some(any_value(value));
    let key = attributes[index].key.clone();
    let mut place = 0..;
    attributes.retain(|attribute| place.next() <= Some(index) || attribute.key != key);
}

fn is_empty_text(attribute: &KeyValue) -> bool {
    let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
    matches!(value, Some(any_value::Value::StringValue(text)) if text.is_empty())
}

/// A configured value as the decoder would make it.
pub(crate) fn any_value(value: &Value) -> AnyValue {
    AnyValue::decode(value.encode().as_slice()).expect("an encoded value is valid")
}

/// The items one by one, each with all that stands around it, as text.
pub(crate) fn flat(request: &Request) -> Vec<String> {
    match request {
        Request::Traces(request) => {
            let mut items = Vec::new();
            for group in &request.resource_spans {
                for scope in &group.scope_spans {
                    let around = (&group.resource, &group.schema_url, &scope.scope, &scope.schema_url);
                    items.extend(scope.spans.iter().map(|item| format!("{around:?} {item:?}")));
                }
            }
            items
        }
        Request::Logs(request) => {
            let mut items = Vec::new();
            for group in &request.resource_logs {
                for scope in &group.scope_logs {
                    let around = (&group.resource, &group.schema_url, &scope.scope, &scope.schema_url);
                    items.extend(scope.log_records.iter().map(|item| format!("{around:?} {item:?}")));
                }
            }
            items
        }
        Request::Metrics(request) => {
            let mut items = Vec::new();
            for group in &request.resource_metrics {
                for scope in &group.scope_metrics {
                    for metric in &scope.metrics {
                        let around = (&group.resource, &group.schema_url, &scope.scope, &scope.schema_url);
                        items.extend(flat_points(metric).into_iter().map(|point| format!("{around:?} {point}")));
                    }
                }
            }
            items
        }
    }
}

fn flat_points(metric: &opentelemetry_proto::tonic::metrics::v1::Metric) -> Vec<String> {
    let mut bare = metric.clone();
    let points: Vec<String> = match &mut bare.data {
        None => Vec::new(),
        Some(Data::Gauge(data)) => data.data_points.drain(..).map(|point| format!("{point:?}")).collect(),
        Some(Data::Sum(data)) => data.data_points.drain(..).map(|point| format!("{point:?}")).collect(),
        Some(Data::Histogram(data)) => data.data_points.drain(..).map(|point| format!("{point:?}")).collect(),
        Some(Data::ExponentialHistogram(data)) => {
            data.data_points.drain(..).map(|point| format!("{point:?}")).collect()
        }
        Some(Data::Summary(data)) => data.data_points.drain(..).map(|point| format!("{point:?}")).collect(),
    };
    points.into_iter().map(|point| format!("{bare:?} {point}")).collect()
}

/// A piece keeps to its limits, unless it holds a single item, or a metric that cannot be taken apart.
pub(crate) fn assert_within(signal: Signal, piece: &[u8], limits: &Limits) {
    let items = wire::count(signal, piece);
    if items <= 1 || super::unknown::has_merged_data(signal, piece) {
        return;
    }
    assert!(items <= limits.max_items.unwrap_or(usize::MAX).max(1), "{items} items");
    assert!(piece.len() <= limits.max_bytes.unwrap_or(usize::MAX), "{} bytes", piece.len());
}
