package e2e;

import io.opentelemetry.api.common.AttributeKey;
import io.opentelemetry.api.common.Attributes;
import io.opentelemetry.api.logs.Logger;
import io.opentelemetry.api.metrics.DoubleHistogram;
import io.opentelemetry.api.metrics.LongCounter;
import io.opentelemetry.api.trace.Tracer;
import io.opentelemetry.sdk.OpenTelemetrySdk;
import io.opentelemetry.sdk.autoconfigure.AutoConfiguredOpenTelemetrySdk;
import io.opentelemetry.sdk.common.CompletableResultCode;
import io.opentelemetry.sdk.logs.data.LogRecordData;
import io.opentelemetry.sdk.logs.export.LogRecordExporter;
import io.opentelemetry.sdk.metrics.InstrumentType;
import io.opentelemetry.sdk.metrics.data.AggregationTemporality;
import io.opentelemetry.sdk.metrics.data.MetricData;
import io.opentelemetry.sdk.metrics.export.MetricExporter;
import io.opentelemetry.sdk.trace.data.SpanData;
import io.opentelemetry.sdk.trace.export.SpanExporter;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;

/**
 * Sends a known number of spans, log records and metric points with the Java SDK, and prints what it sent.
 * Endpoint, protocol, compression and resource attributes come from the SDK's own OTEL_* variables.
 */
public final class Send {
  private static final AttributeKey<Long> SEQ = AttributeKey.longKey("seq");

  private final List<String> spans = Collections.synchronizedList(new ArrayList<>());
  private final List<Long> logs = Collections.synchronizedList(new ArrayList<>());
  private final AtomicInteger points = new AtomicInteger();

  public static void main(String[] arguments) {
    int items = arguments.length > 0 ? Integer.parseInt(arguments[0]) : 200;
    new Send().run(items);
  }

  private void run(int items) {
    OpenTelemetrySdk sdk =
        AutoConfiguredOpenTelemetrySdk.builder()
            .disableShutdownHook()
            .addSpanExporterCustomizer((exporter, config) -> new CountedSpans(exporter))
            .addMetricExporterCustomizer((exporter, config) -> new CountedPoints(exporter))
            .addLogRecordExporterCustomizer((exporter, config) -> new CountedLogs(exporter))
            .build()
            .getOpenTelemetrySdk();
    work(items, sdk);
    sdk.shutdown().join(30, TimeUnit.SECONDS);
    System.out.printf("{\"spans\": [%s], \"logs\": [%s], \"points\": %d}%n", quoted(spans), joined(logs), points.get());
  }

  private static void work(int items, OpenTelemetrySdk sdk) {
    Tracer tracer = sdk.getTracer("e2e");
    LongCounter counter = sdk.getMeter("e2e").counterBuilder("e2e_requests").build();
    DoubleHistogram duration = sdk.getMeter("e2e").histogramBuilder("e2e_duration").build();
    Logger logger = sdk.getLogsBridge().get("e2e");
    Attributes endpoint = Attributes.of(AttributeKey.stringKey("endpoint"), "/items");
    for (int i = 0; i < items; i++) {
      tracer.spanBuilder("work").setAttribute(SEQ, (long) i).startSpan().end();
      counter.add(1, endpoint);
      duration.record(i / 1000.0);
      logger.logRecordBuilder().setBody("worked on " + i).setAttribute(SEQ, (long) i).emit();
    }
  }

  private static String quoted(List<String> ids) {
    return ids.stream().map(id -> '"' + id + '"').collect(Collectors.joining(", "));
  }

  private static String joined(List<Long> numbers) {
    return numbers.stream().map(String::valueOf).collect(Collectors.joining(", "));
  }

  private final class CountedSpans implements SpanExporter {
    private final SpanExporter inner;

    CountedSpans(SpanExporter inner) {
      this.inner = inner;
    }

    @Override
    public CompletableResultCode export(Collection<SpanData> batch) {
      batch.forEach(span -> spans.add(span.getSpanId()));
      return inner.export(batch);
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }
  }

  private final class CountedPoints implements MetricExporter {
    private final MetricExporter inner;

    CountedPoints(MetricExporter inner) {
      this.inner = inner;
    }

    @Override
    public CompletableResultCode export(Collection<MetricData> batch) {
      batch.forEach(metric -> points.addAndGet(metric.getData().getPoints().size()));
      return inner.export(batch);
    }

    @Override
    public AggregationTemporality getAggregationTemporality(InstrumentType type) {
      return inner.getAggregationTemporality(type);
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }
  }

  private final class CountedLogs implements LogRecordExporter {
    private final LogRecordExporter inner;

    CountedLogs(LogRecordExporter inner) {
      this.inner = inner;
    }

    @Override
    public CompletableResultCode export(Collection<LogRecordData> batch) {
      batch.forEach(record -> logs.add(record.getAttributes().get(SEQ)));
      return inner.export(batch);
    }

    @Override
    public CompletableResultCode flush() {
      return inner.flush();
    }

    @Override
    public CompletableResultCode shutdown() {
      return inner.shutdown();
    }
  }
}
