"""A FastAPI application as people write it, with the OpenTelemetry SDK; it prints what its exporters were handed.

Endpoint, protocol, compression and resource attributes come from the SDK's own OTEL_* variables. SIGTERM stops it.
"""

import json
import logging
import os
import sys
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI, HTTPException
from opentelemetry import metrics, trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

sent = {"spans": [], "logs": [], "points": 0}


class CountedSpans(OTLPSpanExporter):
    def export(self, spans):
        sent["spans"] += [f"{span.context.span_id:016x}" for span in spans]
        return super().export(spans)


class CountedPoints(OTLPMetricExporter):
    def export(self, metrics_data, *arguments, **more):
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                sent["points"] += sum(len(metric.data.data_points) for metric in scope.metrics)
        return super().export(metrics_data, *arguments, **more)


class CountedLogs(OTLPLogExporter):
    def export(self, batch):
        sent["logs"] += [one.log_record.attributes["seq"] for one in batch]
        return super().export(batch)


tracing = TracerProvider()
tracing.add_span_processor(BatchSpanProcessor(CountedSpans(), schedule_delay_millis=200))
trace.set_tracer_provider(tracing)
metering = MeterProvider([PeriodicExportingMetricReader(CountedPoints(), export_interval_millis=300)])
metrics.set_meter_provider(metering)
logging_provider = LoggerProvider()
logging_provider.add_log_record_processor(BatchLogRecordProcessor(CountedLogs(), schedule_delay_millis=200))

log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(LoggingHandler(logger_provider=logging_provider))
meter = metrics.get_meter("shop")
requests = meter.create_counter("fastapi_custom_requests", description="Requests by endpoint")
prices = meter.create_histogram("fastapi_item_price", unit="EUR")
numbers = iter(range(1_000_000))


@asynccontextmanager
async def lifespan(_: FastAPI):
    yield
    for provider in (tracing, metering, logging_provider):
        provider.shutdown()
    print(json.dumps(sent), flush=True)


app = FastAPI(lifespan=lifespan)


def note(endpoint: str) -> None:
    requests.add(1, {"endpoint": endpoint})
    log.info("asked for %s", endpoint, extra={"seq": next(numbers)})


@app.get("/items")
def items():
    note("/items")
    return [{"id": number} for number in range(3)]


@app.get("/items/{number}")
def item(number: int):
    note("/items/{number}")
    if number > 99:
        raise HTTPException(404, "no such item")
    prices.record(number * 1.5, {"kind": "even" if number % 2 == 0 else "odd"})
    with trace.get_tracer("shop").start_as_current_span("look up"):
        return {"id": number}


FastAPIInstrumentor.instrument_app(app)

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
