// Sends a known number of spans, log records and metric points with the Go SDK, and prints what it sent.
// Endpoint, protocol, compression and resource attributes come from the SDK's own OTEL_* variables.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	otellog "go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Sent is what the exporters were handed, told to the test on standard output.
type Sent struct {
	sync.Mutex
	Spans  []string `json:"spans"`
	Logs   []int64  `json:"logs"`
	Points int      `json:"points"`
}

func main() {
	items := flag.Int("items", 200, "spans and log records to send, and additions to the counter")
	flag.Parse()
	if err := run(context.Background(), *items); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, items int) error {
	sent := &Sent{}
	res, err := resource.New(ctx, resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return err
	}
	spans, points, logs, err := exporters(ctx)
	if err != nil {
		return err
	}
	tracing := sdktrace.NewTracerProvider(sdktrace.WithResource(res),
		sdktrace.WithBatcher(countedSpans{spans, sent}))
	metering := sdkmetric.NewMeterProvider(sdkmetric.WithResource(res),
		sdkmetric.WithReader(sdkmetric.NewPeriodicReader(countedPoints{points, sent}, sdkmetric.WithInterval(200*time.Millisecond))))
	logging := sdklog.NewLoggerProvider(sdklog.WithResource(res),
		sdklog.WithProcessor(sdklog.NewBatchProcessor(countedLogs{logs, sent})))

	if err := work(ctx, items, tracing.Tracer("e2e"), metering.Meter("e2e"), logging.Logger("e2e")); err != nil {
		return err
	}
	for _, stop := range []func(context.Context) error{tracing.Shutdown, metering.Shutdown, logging.Shutdown} {
		if err := stop(ctx); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(sent)
}

func work(ctx context.Context, items int, tracer trace.Tracer, meter metric.Meter, logger otellog.Logger) error {
	counter, err := meter.Int64Counter("e2e_requests")
	if err != nil {
		return err
	}
	duration, err := meter.Float64Histogram("e2e_duration")
	if err != nil {
		return err
	}
	for i := range items {
		_, span := tracer.Start(ctx, "work", trace.WithAttributes(attribute.Int("seq", i)))
		counter.Add(ctx, 1, metric.WithAttributes(attribute.String("endpoint", "/items")))
		duration.Record(ctx, float64(i)/1000)
		var record otellog.Record
		record.SetTimestamp(time.Now())
		record.SetBody(attribute.StringValue(fmt.Sprintf("worked on %d", i)))
		record.AddAttributes(attribute.Int("seq", i))
		logger.Emit(ctx, record)
		span.End()
	}
	return nil
}

func exporters(ctx context.Context) (sdktrace.SpanExporter, sdkmetric.Exporter, sdklog.Exporter, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" {
		spans, err1 := otlptracegrpc.New(ctx)
		points, err2 := otlpmetricgrpc.New(ctx)
		logs, err3 := otlploggrpc.New(ctx)
		return spans, points, logs, first(err1, err2, err3)
	}
	spans, err1 := otlptracehttp.New(ctx)
	points, err2 := otlpmetrichttp.New(ctx)
	logs, err3 := otlploghttp.New(ctx)
	return spans, points, logs, first(err1, err2, err3)
}

func first(errors ...error) error {
	for _, err := range errors {
		if err != nil {
			return err
		}
	}
	return nil
}

type countedSpans struct {
	sdktrace.SpanExporter
	sent *Sent
}

func (e countedSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.sent.Lock()
	for _, span := range spans {
		e.sent.Spans = append(e.sent.Spans, span.SpanContext().SpanID().String())
	}
	e.sent.Unlock()
	return e.SpanExporter.ExportSpans(ctx, spans)
}

type countedPoints struct {
	sdkmetric.Exporter
	sent *Sent
}

func (e countedPoints) Export(ctx context.Context, metrics *metricdata.ResourceMetrics) error {
	e.sent.Lock()
	for _, scope := range metrics.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				e.sent.Points += len(data.DataPoints)
			case metricdata.Histogram[float64]:
				e.sent.Points += len(data.DataPoints)
			}
		}
	}
	e.sent.Unlock()
	return e.Exporter.Export(ctx, metrics)
}

type countedLogs struct {
	sdklog.Exporter
	sent *Sent
}

func (e countedLogs) Export(ctx context.Context, records []sdklog.Record) error {
	e.sent.Lock()
	for _, record := range records {
		record.WalkAttributes(func(kv attribute.KeyValue) bool {
			if kv.Key == "seq" {
				e.sent.Logs = append(e.sent.Logs, kv.Value.AsInt64())
			}
			return true
		})
	}
	e.sent.Unlock()
	return e.Exporter.Export(ctx, records)
}
