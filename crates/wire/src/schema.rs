//! What OTLP looks like: every message, field and enum of the three export requests, as one table.
//!
//! The walk at the door, the views, and OTLP/JSON are all driven by it. A test compares it with the descriptor that the
//! OpenTelemetry project publishes, so a field that is missing or wrong here is found.
//! Source: opentelemetry-proto 1.10 (`opentelemetry/proto/**.proto`).

/// A message type: its full protobuf name and its fields in ascending order of number.
#[derive(Debug)]
pub struct Message {
    /// Full protobuf name, e.g. `opentelemetry.proto.common.v1.KeyValue`.
    pub name: &'static str,
    /// Fields by ascending number.
    pub fields: &'static [Field],
}

/// One field of a message.
#[derive(Debug)]
pub struct Field {
    /// Field number.
    pub number: u32,
    /// Name in the `.proto` file (snake_case).
    pub name: &'static str,
    /// Name in OTLP/JSON (lowerCamelCase).
    pub json_name: &'static str,
    /// How often the field may stand, and whether its zero value is written.
    pub label: Label,
    /// Type of the value.
    pub kind: Kind,
}

/// How a field stands in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// proto3 implicit presence: a zero value is the same as none.
    Single,
    /// proto3 `optional`: a zero value is a value.
    Optional,
    /// Member of a `oneof`: a zero value is a value.
    OneOf,
    /// Any number of values; numbers may be packed.
    Repeated,
}

/// Type of a field's value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// UTF-8 text.
    String,
    /// Any bytes; base64 in OTLP/JSON.
    Bytes,
    /// Trace or span id: bytes of this length or none; hexadecimal in OTLP/JSON.
    Id(usize),
    /// Varint, 0 or 1.
    Bool,
    /// Varint.
    Int32,
    /// Varint.
    Int64,
    /// Varint.
    Uint32,
    /// Varint.
    Uint64,
    /// Zigzag varint.
    Sint32,
    /// Eight bytes, little-endian, unsigned.
    Fixed64,
    /// Eight bytes, little-endian, signed.
    Sfixed64,
    /// Four bytes, little-endian, unsigned.
    Fixed32,
    /// Eight bytes, IEEE 754.
    Double,
    /// Varint with named values.
    Enum(&'static Enum),
    /// A nested message.
    Message(&'static Message),
}

/// An enum: its full name and its values.
#[derive(Debug)]
pub struct Enum {
    /// Full protobuf name.
    pub name: &'static str,
    /// Number and name of each value.
    pub values: &'static [(i32, &'static str)],
}

const fn single(number: u32, name: &'static str, json_name: &'static str, kind: Kind) -> Field {
    Field { number, name, json_name, label: Label::Single, kind }
}

const fn optional(number: u32, name: &'static str, json_name: &'static str, kind: Kind) -> Field {
    Field { number, name, json_name, label: Label::Optional, kind }
}

const fn one_of(number: u32, name: &'static str, json_name: &'static str, kind: Kind) -> Field {
    Field { number, name, json_name, label: Label::OneOf, kind }
}

const fn repeated(number: u32, name: &'static str, json_name: &'static str, kind: Kind) -> Field {
    Field { number, name, json_name, label: Label::Repeated, kind }
}

/// `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest`.
pub static EXPORT_METRICS_SERVICE_REQUEST: Message = Message {
    name: "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest",
    fields: &[repeated(1, "resource_metrics", "resourceMetrics", Kind::Message(&RESOURCE_METRICS))],
};

/// `opentelemetry.proto.metrics.v1.ResourceMetrics`.
pub static RESOURCE_METRICS: Message = Message {
    name: "opentelemetry.proto.metrics.v1.ResourceMetrics",
    fields: &[
        single(1, "resource", "resource", Kind::Message(&RESOURCE)),
        repeated(2, "scope_metrics", "scopeMetrics", Kind::Message(&SCOPE_METRICS)),
        single(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.resource.v1.Resource`.
pub static RESOURCE: Message = Message {
    name: "opentelemetry.proto.resource.v1.Resource",
    fields: &[
        repeated(1, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(2, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        repeated(3, "entity_refs", "entityRefs", Kind::Message(&ENTITY_REF)),
    ],
};

/// `opentelemetry.proto.common.v1.KeyValue`.
pub static KEY_VALUE: Message = Message {
    name: "opentelemetry.proto.common.v1.KeyValue",
    fields: &[
        single(1, "key", "key", Kind::String),
        single(2, "value", "value", Kind::Message(&ANY_VALUE)),
        single(3, "key_strindex", "keyStrindex", Kind::Int32),
    ],
};

/// `opentelemetry.proto.common.v1.AnyValue`.
pub static ANY_VALUE: Message = Message {
    name: "opentelemetry.proto.common.v1.AnyValue",
    fields: &[
        one_of(1, "string_value", "stringValue", Kind::String),
        one_of(2, "bool_value", "boolValue", Kind::Bool),
        one_of(3, "int_value", "intValue", Kind::Int64),
        one_of(4, "double_value", "doubleValue", Kind::Double),
        one_of(5, "array_value", "arrayValue", Kind::Message(&ARRAY_VALUE)),
        one_of(6, "kvlist_value", "kvlistValue", Kind::Message(&KEY_VALUE_LIST)),
        one_of(7, "bytes_value", "bytesValue", Kind::Bytes),
        one_of(8, "string_value_strindex", "stringValueStrindex", Kind::Int32),
    ],
};

/// `opentelemetry.proto.common.v1.ArrayValue`.
pub static ARRAY_VALUE: Message = Message {
    name: "opentelemetry.proto.common.v1.ArrayValue",
    fields: &[repeated(1, "values", "values", Kind::Message(&ANY_VALUE))],
};

/// `opentelemetry.proto.common.v1.KeyValueList`.
pub static KEY_VALUE_LIST: Message = Message {
    name: "opentelemetry.proto.common.v1.KeyValueList",
    fields: &[repeated(1, "values", "values", Kind::Message(&KEY_VALUE))],
};

/// `opentelemetry.proto.common.v1.EntityRef`.
pub static ENTITY_REF: Message = Message {
    name: "opentelemetry.proto.common.v1.EntityRef",
    fields: &[
        single(1, "schema_url", "schemaUrl", Kind::String),
        single(2, "type", "type", Kind::String),
        repeated(3, "id_keys", "idKeys", Kind::String),
        repeated(4, "description_keys", "descriptionKeys", Kind::String),
    ],
};

/// `opentelemetry.proto.metrics.v1.ScopeMetrics`.
pub static SCOPE_METRICS: Message = Message {
    name: "opentelemetry.proto.metrics.v1.ScopeMetrics",
    fields: &[
        single(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
        repeated(2, "metrics", "metrics", Kind::Message(&METRIC)),
        single(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.common.v1.InstrumentationScope`.
pub static INSTRUMENTATION_SCOPE: Message = Message {
    name: "opentelemetry.proto.common.v1.InstrumentationScope",
    fields: &[
        single(1, "name", "name", Kind::String),
        single(2, "version", "version", Kind::String),
        repeated(3, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    ],
};

/// `opentelemetry.proto.metrics.v1.Metric`.
pub static METRIC: Message = Message {
    name: "opentelemetry.proto.metrics.v1.Metric",
    fields: &[
        single(1, "name", "name", Kind::String),
        single(2, "description", "description", Kind::String),
        single(3, "unit", "unit", Kind::String),
        one_of(5, "gauge", "gauge", Kind::Message(&GAUGE)),
        one_of(7, "sum", "sum", Kind::Message(&SUM)),
        one_of(9, "histogram", "histogram", Kind::Message(&HISTOGRAM)),
        one_of(10, "exponential_histogram", "exponentialHistogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        one_of(11, "summary", "summary", Kind::Message(&SUMMARY)),
        repeated(12, "metadata", "metadata", Kind::Message(&KEY_VALUE)),
    ],
};

/// `opentelemetry.proto.metrics.v1.Gauge`.
pub static GAUGE: Message = Message {
    name: "opentelemetry.proto.metrics.v1.Gauge",
    fields: &[repeated(1, "data_points", "dataPoints", Kind::Message(&NUMBER_DATA_POINT))],
};

/// `opentelemetry.proto.metrics.v1.NumberDataPoint`.
pub static NUMBER_DATA_POINT: Message = Message {
    name: "opentelemetry.proto.metrics.v1.NumberDataPoint",
    fields: &[
        single(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        single(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one_of(4, "as_double", "asDouble", Kind::Double),
        repeated(5, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        one_of(6, "as_int", "asInt", Kind::Sfixed64),
        repeated(7, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(8, "flags", "flags", Kind::Uint32),
    ],
};

/// `opentelemetry.proto.metrics.v1.Exemplar`.
pub static EXEMPLAR: Message = Message {
    name: "opentelemetry.proto.metrics.v1.Exemplar",
    fields: &[
        single(2, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        one_of(3, "as_double", "asDouble", Kind::Double),
        single(4, "span_id", "spanId", Kind::Id(8)),
        single(5, "trace_id", "traceId", Kind::Id(16)),
        one_of(6, "as_int", "asInt", Kind::Sfixed64),
        repeated(7, "filtered_attributes", "filteredAttributes", Kind::Message(&KEY_VALUE)),
    ],
};

/// `opentelemetry.proto.metrics.v1.Sum`.
pub static SUM: Message = Message {
    name: "opentelemetry.proto.metrics.v1.Sum",
    fields: &[
        repeated(1, "data_points", "dataPoints", Kind::Message(&NUMBER_DATA_POINT)),
        single(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(&AGGREGATION_TEMPORALITY)),
        single(3, "is_monotonic", "isMonotonic", Kind::Bool),
    ],
};

/// `opentelemetry.proto.metrics.v1.Histogram`.
pub static HISTOGRAM: Message = Message {
    name: "opentelemetry.proto.metrics.v1.Histogram",
    fields: &[
        repeated(1, "data_points", "dataPoints", Kind::Message(&HISTOGRAM_DATA_POINT)),
        single(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(&AGGREGATION_TEMPORALITY)),
    ],
};

/// `opentelemetry.proto.metrics.v1.HistogramDataPoint`.
pub static HISTOGRAM_DATA_POINT: Message = Message {
    name: "opentelemetry.proto.metrics.v1.HistogramDataPoint",
    fields: &[
        single(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        single(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        single(4, "count", "count", Kind::Fixed64),
        optional(5, "sum", "sum", Kind::Double),
        repeated(6, "bucket_counts", "bucketCounts", Kind::Fixed64),
        repeated(7, "explicit_bounds", "explicitBounds", Kind::Double),
        repeated(8, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        repeated(9, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(10, "flags", "flags", Kind::Uint32),
        optional(11, "min", "min", Kind::Double),
        optional(12, "max", "max", Kind::Double),
    ],
};

/// `opentelemetry.proto.metrics.v1.ExponentialHistogram`.
pub static EXPONENTIAL_HISTOGRAM: Message = Message {
    name: "opentelemetry.proto.metrics.v1.ExponentialHistogram",
    fields: &[
        repeated(1, "data_points", "dataPoints", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
        single(2, "aggregation_temporality", "aggregationTemporality", Kind::Enum(&AGGREGATION_TEMPORALITY)),
    ],
};

/// `opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint`.
pub static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message {
    name: "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint",
    fields: &[
        repeated(1, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        single(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        single(4, "count", "count", Kind::Fixed64),
        optional(5, "sum", "sum", Kind::Double),
        single(6, "scale", "scale", Kind::Sint32),
        single(7, "zero_count", "zeroCount", Kind::Fixed64),
        single(8, "positive", "positive", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS)),
        single(9, "negative", "negative", Kind::Message(&EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS)),
        single(10, "flags", "flags", Kind::Uint32),
        repeated(11, "exemplars", "exemplars", Kind::Message(&EXEMPLAR)),
        optional(12, "min", "min", Kind::Double),
        optional(13, "max", "max", Kind::Double),
        single(14, "zero_threshold", "zeroThreshold", Kind::Double),
    ],
};

/// `opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets`.
pub static EXPONENTIAL_HISTOGRAM_DATA_POINT_BUCKETS: Message = Message {
    name: "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets",
    fields: &[single(1, "offset", "offset", Kind::Sint32), repeated(2, "bucket_counts", "bucketCounts", Kind::Uint64)],
};

/// `opentelemetry.proto.metrics.v1.Summary`.
pub static SUMMARY: Message = Message {
    name: "opentelemetry.proto.metrics.v1.Summary",
    fields: &[repeated(1, "data_points", "dataPoints", Kind::Message(&SUMMARY_DATA_POINT))],
};

/// `opentelemetry.proto.metrics.v1.SummaryDataPoint`.
pub static SUMMARY_DATA_POINT: Message = Message {
    name: "opentelemetry.proto.metrics.v1.SummaryDataPoint",
    fields: &[
        single(2, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        single(3, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        single(4, "count", "count", Kind::Fixed64),
        single(5, "sum", "sum", Kind::Double),
        repeated(6, "quantile_values", "quantileValues", Kind::Message(&SUMMARY_DATA_POINT_VALUE_AT_QUANTILE)),
        repeated(7, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(8, "flags", "flags", Kind::Uint32),
    ],
};

/// `opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile`.
pub static SUMMARY_DATA_POINT_VALUE_AT_QUANTILE: Message = Message {
    name: "opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile",
    fields: &[single(1, "quantile", "quantile", Kind::Double), single(2, "value", "value", Kind::Double)],
};

/// `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest`.
pub static EXPORT_TRACE_SERVICE_REQUEST: Message = Message {
    name: "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest",
    fields: &[repeated(1, "resource_spans", "resourceSpans", Kind::Message(&RESOURCE_SPANS))],
};

/// `opentelemetry.proto.trace.v1.ResourceSpans`.
pub static RESOURCE_SPANS: Message = Message {
    name: "opentelemetry.proto.trace.v1.ResourceSpans",
    fields: &[
        single(1, "resource", "resource", Kind::Message(&RESOURCE)),
        repeated(2, "scope_spans", "scopeSpans", Kind::Message(&SCOPE_SPANS)),
        single(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.trace.v1.ScopeSpans`.
pub static SCOPE_SPANS: Message = Message {
    name: "opentelemetry.proto.trace.v1.ScopeSpans",
    fields: &[
        single(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
        repeated(2, "spans", "spans", Kind::Message(&SPAN)),
        single(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.trace.v1.Span`.
pub static SPAN: Message = Message {
    name: "opentelemetry.proto.trace.v1.Span",
    fields: &[
        single(1, "trace_id", "traceId", Kind::Id(16)),
        single(2, "span_id", "spanId", Kind::Id(8)),
        single(3, "trace_state", "traceState", Kind::String),
        single(4, "parent_span_id", "parentSpanId", Kind::Id(8)),
        single(5, "name", "name", Kind::String),
        single(6, "kind", "kind", Kind::Enum(&SPAN_SPAN_KIND)),
        single(7, "start_time_unix_nano", "startTimeUnixNano", Kind::Fixed64),
        single(8, "end_time_unix_nano", "endTimeUnixNano", Kind::Fixed64),
        repeated(9, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(10, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        repeated(11, "events", "events", Kind::Message(&SPAN_EVENT)),
        single(12, "dropped_events_count", "droppedEventsCount", Kind::Uint32),
        repeated(13, "links", "links", Kind::Message(&SPAN_LINK)),
        single(14, "dropped_links_count", "droppedLinksCount", Kind::Uint32),
        single(15, "status", "status", Kind::Message(&STATUS)),
        single(16, "flags", "flags", Kind::Fixed32),
    ],
};

/// `opentelemetry.proto.trace.v1.Span.Event`.
pub static SPAN_EVENT: Message = Message {
    name: "opentelemetry.proto.trace.v1.Span.Event",
    fields: &[
        single(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        single(2, "name", "name", Kind::String),
        repeated(3, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(4, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
    ],
};

/// `opentelemetry.proto.trace.v1.Span.Link`.
pub static SPAN_LINK: Message = Message {
    name: "opentelemetry.proto.trace.v1.Span.Link",
    fields: &[
        single(1, "trace_id", "traceId", Kind::Id(16)),
        single(2, "span_id", "spanId", Kind::Id(8)),
        single(3, "trace_state", "traceState", Kind::String),
        repeated(4, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(5, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        single(6, "flags", "flags", Kind::Fixed32),
    ],
};

/// `opentelemetry.proto.trace.v1.Status`.
pub static STATUS: Message = Message {
    name: "opentelemetry.proto.trace.v1.Status",
    fields: &[
        single(2, "message", "message", Kind::String),
        single(3, "code", "code", Kind::Enum(&STATUS_STATUS_CODE)),
    ],
};

/// `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`.
pub static EXPORT_LOGS_SERVICE_REQUEST: Message = Message {
    name: "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest",
    fields: &[repeated(1, "resource_logs", "resourceLogs", Kind::Message(&RESOURCE_LOGS))],
};

/// `opentelemetry.proto.logs.v1.ResourceLogs`.
pub static RESOURCE_LOGS: Message = Message {
    name: "opentelemetry.proto.logs.v1.ResourceLogs",
    fields: &[
        single(1, "resource", "resource", Kind::Message(&RESOURCE)),
        repeated(2, "scope_logs", "scopeLogs", Kind::Message(&SCOPE_LOGS)),
        single(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.logs.v1.ScopeLogs`.
pub static SCOPE_LOGS: Message = Message {
    name: "opentelemetry.proto.logs.v1.ScopeLogs",
    fields: &[
        single(1, "scope", "scope", Kind::Message(&INSTRUMENTATION_SCOPE)),
        repeated(2, "log_records", "logRecords", Kind::Message(&LOG_RECORD)),
        single(3, "schema_url", "schemaUrl", Kind::String),
    ],
};

/// `opentelemetry.proto.logs.v1.LogRecord`.
pub static LOG_RECORD: Message = Message {
    name: "opentelemetry.proto.logs.v1.LogRecord",
    fields: &[
        single(1, "time_unix_nano", "timeUnixNano", Kind::Fixed64),
        single(2, "severity_number", "severityNumber", Kind::Enum(&SEVERITY_NUMBER)),
        single(3, "severity_text", "severityText", Kind::String),
        single(5, "body", "body", Kind::Message(&ANY_VALUE)),
        repeated(6, "attributes", "attributes", Kind::Message(&KEY_VALUE)),
        single(7, "dropped_attributes_count", "droppedAttributesCount", Kind::Uint32),
        single(8, "flags", "flags", Kind::Fixed32),
        single(9, "trace_id", "traceId", Kind::Id(16)),
        single(10, "span_id", "spanId", Kind::Id(8)),
        single(11, "observed_time_unix_nano", "observedTimeUnixNano", Kind::Fixed64),
        single(12, "event_name", "eventName", Kind::String),
    ],
};

/// `opentelemetry.proto.metrics.v1.AggregationTemporality`.
pub static AGGREGATION_TEMPORALITY: Enum = Enum {
    name: "opentelemetry.proto.metrics.v1.AggregationTemporality",
    values: &[
        (0, "AGGREGATION_TEMPORALITY_UNSPECIFIED"),
        (1, "AGGREGATION_TEMPORALITY_DELTA"),
        (2, "AGGREGATION_TEMPORALITY_CUMULATIVE"),
    ],
};

/// `opentelemetry.proto.trace.v1.Span.SpanKind`.
pub static SPAN_SPAN_KIND: Enum = Enum {
    name: "opentelemetry.proto.trace.v1.Span.SpanKind",
    values: &[
        (0, "SPAN_KIND_UNSPECIFIED"),
        (1, "SPAN_KIND_INTERNAL"),
        (2, "SPAN_KIND_SERVER"),
        (3, "SPAN_KIND_CLIENT"),
        (4, "SPAN_KIND_PRODUCER"),
        (5, "SPAN_KIND_CONSUMER"),
    ],
};

/// `opentelemetry.proto.trace.v1.Status.StatusCode`.
pub static STATUS_STATUS_CODE: Enum = Enum {
    name: "opentelemetry.proto.trace.v1.Status.StatusCode",
    values: &[(0, "STATUS_CODE_UNSET"), (1, "STATUS_CODE_OK"), (2, "STATUS_CODE_ERROR")],
};

/// `opentelemetry.proto.logs.v1.SeverityNumber`.
pub static SEVERITY_NUMBER: Enum = Enum {
    name: "opentelemetry.proto.logs.v1.SeverityNumber",
    values: &[
        (0, "SEVERITY_NUMBER_UNSPECIFIED"),
        (1, "SEVERITY_NUMBER_TRACE"),
        (2, "SEVERITY_NUMBER_TRACE2"),
        (3, "SEVERITY_NUMBER_TRACE3"),
        (4, "SEVERITY_NUMBER_TRACE4"),
        (5, "SEVERITY_NUMBER_DEBUG"),
        (6, "SEVERITY_NUMBER_DEBUG2"),
        (7, "SEVERITY_NUMBER_DEBUG3"),
        (8, "SEVERITY_NUMBER_DEBUG4"),
        (9, "SEVERITY_NUMBER_INFO"),
        (10, "SEVERITY_NUMBER_INFO2"),
        (11, "SEVERITY_NUMBER_INFO3"),
        (12, "SEVERITY_NUMBER_INFO4"),
        (13, "SEVERITY_NUMBER_WARN"),
        (14, "SEVERITY_NUMBER_WARN2"),
        (15, "SEVERITY_NUMBER_WARN3"),
        (16, "SEVERITY_NUMBER_WARN4"),
        (17, "SEVERITY_NUMBER_ERROR"),
        (18, "SEVERITY_NUMBER_ERROR2"),
        (19, "SEVERITY_NUMBER_ERROR3"),
        (20, "SEVERITY_NUMBER_ERROR4"),
        (21, "SEVERITY_NUMBER_FATAL"),
        (22, "SEVERITY_NUMBER_FATAL2"),
        (23, "SEVERITY_NUMBER_FATAL3"),
        (24, "SEVERITY_NUMBER_FATAL4"),
    ],
};
