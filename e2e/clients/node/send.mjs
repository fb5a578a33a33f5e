// Sends a known number of spans, log records and metric points with the Node SDK, and prints what it sent.
// Endpoint, compression and resource attributes come from the SDK's own OTEL_* variables; the first argument names
// the protocol (grpc, http/json, http/protobuf), the second how many items.
import { defaultResource, detectResources, envDetector } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

const [protocol = 'grpc', items = '200'] = process.argv.slice(2);
const suffix = { grpc: 'grpc', 'http/json': 'http', 'http/protobuf': 'proto' }[protocol];
const load = (signal) => import(`@opentelemetry/exporter-${signal}-otlp-${suffix}`);
const { OTLPTraceExporter } = await load('trace');
const { OTLPMetricExporter } = await load('metrics');
const { OTLPLogExporter } = await load('logs');

const sent = { spans: [], logs: [], points: 0 };

// Calls `note` with what an exporter is handed, then hands it on.
function counted(exporter, note) {
  const inner = exporter.export.bind(exporter);
  exporter.export = (batch, done) => {
    note(batch);
    inner(batch, done);
  };
  return exporter;
}

const spans = counted(new OTLPTraceExporter(), (batch) => {
  for (const span of batch) sent.spans.push(span.spanContext().spanId);
});
const points = counted(new OTLPMetricExporter(), (batch) => {
  for (const scope of batch.scopeMetrics)
    for (const metric of scope.metrics) sent.points += metric.dataPoints.length;
});
const logs = counted(new OTLPLogExporter(), (batch) => {
  for (const record of batch) sent.logs.push(record.attributes.seq);
});

const resource = defaultResource().merge(detectResources({ detectors: [envDetector] }));
const tracing = new TracerProvider({ resource, spanProcessors: [new BatchSpanProcessor({ exporter: spans })] });
const metering = new MeterProvider({
  resource,
  readers: [new PeriodicExportingMetricReader({ exporter: points, exportIntervalMillis: 300, exportTimeoutMillis: 250 })],
});
const logging = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: logs })] });

const tracer = tracing.getTracer('e2e');
const counter = metering.getMeter('e2e').createCounter('e2e_requests');
const duration = metering.getMeter('e2e').createHistogram('e2e_duration');
const logger = logging.getLogger('e2e');
for (let seq = 0; seq < Number(items); seq++) {
  tracer.startSpan('work', { attributes: { seq } }).end();
  counter.add(1, { endpoint: '/items' });
  duration.record(seq / 1000);
  logger.emit({ body: `worked on ${seq}`, attributes: { seq } });
}
await Promise.all([tracing.shutdown(), metering.shutdown(), logging.shutdown()]);
console.log(JSON.stringify(sent));
