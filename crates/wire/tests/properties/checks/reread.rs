//! A request read through the views into what the full decoder makes.

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar,
    exponential_histogram_data_point::Buckets, metric::Data, number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span};
use testkit::generate::Request;
use wire::fields::Fields;
use wire::{Signal, view};

/// Reads a request.
pub(crate) fn request(signal: Signal, bytes: &[u8]) -> Request {
    let groups = Fields::new(bytes).messages(1);
    match signal {
        Signal::Traces => {
            Request::Traces(ExportTraceServiceRequest { resource_spans: groups.map(resource_spans).collect() })
        }
        Signal::Metrics => {
            Request::Metrics(ExportMetricsServiceRequest { resource_metrics: groups.map(resource_metrics).collect() })
        }
        Signal::Logs => Request::Logs(ExportLogsServiceRequest { resource_logs: groups.map(resource_logs).collect() }),
    }
}

/// Views do not tell an absent message from an empty one, so presence is looked up in the bytes.
fn present<T>(content: &[u8], number: u32, make: impl FnOnce() -> T) -> Option<T> {
    Fields::new(content).any(|field| field.number == number).then(make)
}

fn resource_spans(content: &[u8]) -> ResourceSpans {
    let group = view::ResourceGroup::new(content);
    ResourceSpans {
        resource: present(content, 1, || resource(&group)),
        scope_spans: Fields::new(content).messages(2).map(scope_spans).collect(),
        schema_url: group.schema_url().into(),
    }
}

fn resource_metrics(content: &[u8]) -> ResourceMetrics {
    let group = view::ResourceGroup::new(content);
    ResourceMetrics {
        resource: present(content, 1, || resource(&group)),
        scope_metrics: Fields::new(content).messages(2).map(scope_metrics).collect(),
        schema_url: group.schema_url().into(),
    }
}

fn resource_logs(content: &[u8]) -> ResourceLogs {
    let group = view::ResourceGroup::new(content);
    ResourceLogs {
        resource: present(content, 1, || resource(&group)),
        scope_logs: Fields::new(content).messages(2).map(scope_logs).collect(),
        schema_url: group.schema_url().into(),
    }
}

fn scope_spans(content: &[u8]) -> ScopeSpans {
    let group = view::ScopeGroup::new(content);
    ScopeSpans {
        scope: present(content, 1, || scope(&group)),
        spans: Fields::new(content).messages(2).map(span).collect(),
        schema_url: group.schema_url().into(),
    }
}

fn scope_metrics(content: &[u8]) -> ScopeMetrics {
    let group = view::ScopeGroup::new(content);
    ScopeMetrics {
        scope: present(content, 1, || scope(&group)),
        metrics: group.metrics().map(metric).collect(),
        schema_url: group.schema_url().into(),
    }
}

fn scope_logs(content: &[u8]) -> ScopeLogs {
    let group = view::ScopeGroup::new(content);
    ScopeLogs {
        scope: present(content, 1, || scope(&group)),
        log_records: Fields::new(content).messages(2).map(log_record).collect(),
        schema_url: group.schema_url().into(),
    }
}

fn resource(group: &view::ResourceGroup<'_>) -> Resource {
    let resource = group.resource();
    Resource {
        attributes: attributes(resource.attributes()),
        dropped_attributes_count: resource.dropped_attributes_count(),
        entity_refs: resource
            .entity_refs()
            .map(|entity| EntityRef {
                schema_url: entity.schema_url().into(),
                r#type: entity.entity_type().into(),
                id_keys: entity.id_keys().map(str::to_owned).collect(),
                description_keys: entity.description_keys().map(str::to_owned).collect(),
            })
            .collect(),
    }
}

fn scope(group: &view::ScopeGroup<'_>) -> InstrumentationScope {
    let scope = group.scope();
    InstrumentationScope {
        name: scope.name().into(),
        version: scope.version().into(),
        attributes: attributes(scope.attributes()),
        dropped_attributes_count: scope.dropped_attributes_count(),
    }
}

fn attributes(list: view::Attributes<'_>) -> Vec<KeyValue> {
    list.map(|attribute| KeyValue {
        key: attribute.key().into(),
        value: present(attribute.content(), 2, || any_value(attribute.value())),
        key_strindex: view::Part::whole(attribute.content())
            .fields()
            .filter(|field| field.number == 3)
            .last()
            .and_then(|field| field.varint())
            .unwrap_or_default() as i32,
    })
    .collect()
}

fn any_value(value: view::AnyValue<'_>) -> AnyValue {
    let value = match value {
        view::AnyValue::Empty => None,
        view::AnyValue::Str(text) => Some(Value::StringValue(text.into())),
        view::AnyValue::Bool(truth) => Some(Value::BoolValue(truth)),
        view::AnyValue::Int(number) => Some(Value::IntValue(number)),
        view::AnyValue::Double(number) => Some(Value::DoubleValue(number)),
        view::AnyValue::Array(values) => {
            Some(Value::ArrayValue(ArrayValue { values: values.map(any_value).collect() }))
        }
        view::AnyValue::Map(entries) => Some(Value::KvlistValue(KeyValueList { values: attributes(entries) })),
        view::AnyValue::Bytes(bytes) => Some(Value::BytesValue(bytes.into())),
    };
    AnyValue { value }
}

fn span(content: &[u8]) -> Span {
    let span = view::Span::new(content);
    Span {
        trace_id: span.trace_id().into(),
        span_id: span.span_id().into(),
        trace_state: span.trace_state().into(),
        parent_span_id: span.parent_span_id().into(),
        flags: span.flags(),
        name: span.name().into(),
        kind: span.kind(),
        start_time_unix_nano: span.start_time_unix_nano(),
        end_time_unix_nano: span.end_time_unix_nano(),
        attributes: attributes(span.attributes()),
        dropped_attributes_count: span.dropped_attributes_count(),
        events: span.events().map(event).collect(),
        dropped_events_count: span.dropped_events_count(),
        links: span.links().map(link).collect(),
        dropped_links_count: span.dropped_links_count(),
        status: present(content, 15, || Status { message: span.status().message().into(), code: span.status().code() }),
    }
}

fn event(event: view::Event<'_>) -> span::Event {
    span::Event {
        time_unix_nano: event.time_unix_nano(),
        name: event.name().into(),
        attributes: attributes(event.attributes()),
        dropped_attributes_count: event.dropped_attributes_count(),
    }
}

fn link(link: view::Link<'_>) -> span::Link {
    span::Link {
        trace_id: link.trace_id().into(),
        span_id: link.span_id().into(),
        trace_state: link.trace_state().into(),
        attributes: attributes(link.attributes()),
        dropped_attributes_count: link.dropped_attributes_count(),
        flags: link.flags(),
    }
}

fn log_record(content: &[u8]) -> LogRecord {
    let record = view::LogRecord::new(content);
    LogRecord {
        time_unix_nano: record.time_unix_nano(),
        observed_time_unix_nano: record.observed_time_unix_nano(),
        severity_number: record.severity_number(),
        severity_text: record.severity_text().into(),
        body: present(content, 5, || any_value(record.body())),
        attributes: attributes(record.attributes()),
        dropped_attributes_count: record.dropped_attributes_count(),
        flags: record.flags(),
        trace_id: record.trace_id().into(),
        span_id: record.span_id().into(),
        event_name: record.event_name().into(),
    }
}

fn metric(metric: view::Metric<'_>) -> Metric {
    let data = match metric.data() {
        view::Data::None => None,
        view::Data::Gauge(data) => Some(Data::Gauge(Gauge { data_points: data.points().map(number_point).collect() })),
        view::Data::Sum(data) => Some(Data::Sum(Sum {
            data_points: data.points().map(number_point).collect(),
            aggregation_temporality: data.aggregation_temporality(),
            is_monotonic: data.is_monotonic(),
        })),
        view::Data::Histogram(data) => Some(Data::Histogram(Histogram {
            data_points: data.points().map(histogram_point).collect(),
            aggregation_temporality: data.aggregation_temporality(),
        })),
        view::Data::ExponentialHistogram(data) => Some(Data::ExponentialHistogram(ExponentialHistogram {
            data_points: data.points().map(exponential_point).collect(),
            aggregation_temporality: data.aggregation_temporality(),
        })),
        view::Data::Summary(data) => {
            Some(Data::Summary(Summary { data_points: data.points().map(summary_point).collect() }))
        }
    };
    Metric {
        name: metric.name().into(),
        description: metric.description().into(),
        unit: metric.unit().into(),
        metadata: attributes(metric.metadata()),
        data,
    }
}

fn number_point(point: view::NumberPoint<'_>) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags(),
        value: point.value().map(|value| match value {
            view::Number::Int(value) => number_data_point::Value::AsInt(value),
            view::Number::Double(value) => number_data_point::Value::AsDouble(value),
        }),
    }
}

fn histogram_point(point: view::HistogramPoint<'_>) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        bucket_counts: point.bucket_counts().collect(),
        explicit_bounds: point.explicit_bounds().collect(),
        exemplars: point.exemplars().map(exemplar).collect(),
        flags: point.flags(),
        min: point.min(),
        max: point.max(),
    }
}

fn exponential_point(point: view::ExponentialHistogramPoint<'_>) -> ExponentialHistogramDataPoint {
    let has = |number| point.fields().any(|field| field.number == number);
    let buckets = |buckets: view::Buckets<'_>| Buckets {
        offset: buckets.offset(),
        bucket_counts: buckets.bucket_counts().collect(),
    };
    ExponentialHistogramDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        scale: point.scale(),
        zero_count: point.zero_count(),
        positive: has(8).then(|| buckets(point.positive())),
        negative: has(9).then(|| buckets(point.negative())),
        flags: point.flags(),
        exemplars: point.exemplars().map(exemplar).collect(),
        min: point.min(),
        max: point.max(),
        zero_threshold: point.zero_threshold(),
    }
}

fn summary_point(point: view::SummaryPoint<'_>) -> SummaryDataPoint {
    SummaryDataPoint {
        attributes: attributes(point.attributes()),
        start_time_unix_nano: point.start_time_unix_nano(),
        time_unix_nano: point.time_unix_nano(),
        count: point.count(),
        sum: point.sum(),
        quantile_values: point
            .quantiles()
            .map(|quantile| ValueAtQuantile { quantile: quantile.quantile(), value: quantile.value() })
            .collect(),
        flags: point.flags(),
    }
}

fn exemplar(exemplar: view::Exemplar<'_>) -> Exemplar {
    Exemplar {
        filtered_attributes: attributes(exemplar.filtered_attributes()),
        time_unix_nano: exemplar.time_unix_nano(),
        span_id: exemplar.span_id().into(),
        trace_id: exemplar.trace_id().into(),
        value: exemplar.value().map(|value| match value {
            view::Number::Int(value) => exemplar::Value::AsInt(value),
            view::Number::Double(value) => exemplar::Value::AsDouble(value),
        }),
    }
}
