//! The application of the demo: "fastapi-metrics", made with the OpenTelemetry Rust SDK as it comes.
//!
//! Each pod is a thread of its own with its own providers, as each pod is a process of its own. It sends from its own
//! address and does not know that it is a pod. It pretends to answer requests, and each makes two spans, a log record, and
//! counts into a counter and a histogram.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::metrics::{Counter, Histogram, MeterProvider};
use opentelemetry::trace::{SpanKind, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{KeyValue, trace};
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{LogExporter, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use wire::Signal;

use super::pods::Pod;
use super::tally::Tally;

/// What the pods of the application did so far.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Items that the application made. Metric points are made by the SDK at each export, so for them this is what was
    /// acknowledged.
    pub(super) created: Tally,
    /// Items whose request was acknowledged.
    pub(super) acknowledged: Tally,
    /// Requests that failed.
    pub(super) failed: AtomicU64,
    /// What the last of them failed with.
    pub(super) last_failure: Mutex<Option<String>>,
}

/// How long the application runs and how fast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Requests that each pod answers; `None` until it is stopped.
    pub(super) requests: Option<u64>,
    /// Time between two of them.
    pub(super) pause: Duration,
    /// Time between two exports.
    pub(super) export_every: Duration,
}

/// The running pods.
pub(super) struct Application {
    pods: Vec<JoinHandle<anyhow::Result<()>>>,
    stop: Arc<AtomicBool>,
    done: Arc<Done>,
}

impl Application {
    /// Starts the pods. They send to `endpoint`, as in `http://127.0.0.1:4318`, over the runtime `network`.
    ///
    /// # Errors
    ///
    /// A thread cannot be started, or the SDK cannot be set up.
    pub(super) fn start(pods: &[Pod], endpoint: &str, load: Load, network: &Handle) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(Done::default());
        let start = |pod: &Pod| {
            let client: Arc<dyn HttpClient> = Arc::new(Client::new(pod, network.clone(), Arc::clone(&done))?);
            let replica = Replica::new(pod, endpoint, load, &client, Arc::clone(&done))?;
            let stop = Arc::clone(&stop);
            let thread = std::thread::Builder::new().name("demo-pod".to_owned());
            Ok(thread.spawn(move || replica.run(load, &stop))?)
        };
        let pods = pods.iter().map(start).collect::<anyhow::Result<_>>()?;
        Ok(Self { pods, stop, done })
    }

    /// What the pods did so far.
    #[must_use]
    pub(super) fn done(&self) -> &Arc<Done> {
        &self.done
    }

    /// Whether all pods have answered their requests and sent everything.
    #[must_use]
    pub(super) fn finished(&self) -> bool {
        self.pods.iter().all(JoinHandle::is_finished)
    }

    /// Lets the pods send what they have and waits for them. Blocks.
    ///
    /// # Errors
    ///
    /// A pod could not send everything.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Relaxed);
        for pod in self.pods {
            pod.join().map_err(|_| anyhow::anyhow!("a pod of the application panicked"))??;
        }
        Ok(())
    }
}

/// One pod's providers and instruments.
struct Replica {
    traces: SdkTracerProvider,
    metrics: SdkMeterProvider,
    logs: SdkLoggerProvider,
    tracer: SdkTracer,
    requests: Counter<u64>,
    duration: Histogram<f64>,
    logger: SdkLogger,
    done: Arc<Done>,
}

/// The attributes of the application's resource; others were added on the way.
pub(super) const OWN_KEYS: &[&str] = &["service.name", "service.instance.id"];

const SCOPE: &str = "fastapi-metrics";

impl Replica {
    fn new(
        pod: &Pod,
        endpoint: &str,
        load: Load,
        client: &Arc<dyn HttpClient>,
        done: Arc<Done>,
    ) -> anyhow::Result<Self> {
        let resource = Resource::builder_empty()
            .with_service_name(pod.deployment.clone())
            .with_attribute(KeyValue::new("service.instance.id", pod.name.clone()))
            .build();
        let at = |signal: Signal| format!("{endpoint}/v1/{signal}");
        let client = || Arc::clone(client);

        let exporter = SpanExporter::builder().with_http().with_shared_http_client(client());
        let exporter = exporter.with_endpoint(at(Signal::Traces)).build()?;
        let soon = BatchConfigBuilder::default().with_scheduled_delay(load.export_every).build();
        let spans = BatchSpanProcessor::builder(exporter).with_batch_config(soon).build();
        // Variables such as OTEL_TRACES_SAMPLER are for other applications of whoever tries the demo.
        let traces = SdkTracerProvider::builder()
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource.clone())
            .with_span_processor(spans)
            .build();

        let exporter = MetricExporter::builder().with_http().with_shared_http_client(client());
        let exporter = exporter.with_endpoint(at(Signal::Metrics)).build()?;
        let reader = PeriodicReader::builder(exporter).with_interval(load.export_every).build();
        let metrics = SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader).build();

        let exporter = LogExporter::builder().with_http().with_shared_http_client(client());
        let exporter = exporter.with_endpoint(at(Signal::Logs)).build()?;
        let logs = SdkLoggerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build();

        let meter = metrics.meter(SCOPE);
        Ok(Self {
            tracer: traces.tracer(SCOPE),
            requests: meter.u64_counter("fastapi_custom_requests").with_description("Requests answered").build(),
            duration: meter.f64_histogram("http.server.request.duration").with_unit("s").build(),
            logger: logs.logger(SCOPE),
            traces,
            metrics,
            logs,
            done,
        })
    }

    fn run(self, load: Load, stop: &AtomicBool) -> anyhow::Result<()> {
        let mut answered = 0;
        while !stop.load(Relaxed) && load.requests.is_none_or(|requests| answered < requests) {
            self.answer_request(answered);
            answered += 1;
            std::thread::sleep(load.pause);
        }
        // Each shutdown sends what is left.
        self.traces.shutdown()?;
        self.logs.shutdown()?;
        self.metrics.shutdown()?;
        Ok(())
    }

    fn answer_request(&self, number: u64) {
        let endpoint = if number % 4 == 3 { "/items/{id}" } else { "/items" };
        let labels = [KeyValue::new("endpoint", endpoint)];
        let request = self.tracer.span_builder(format!("GET {endpoint}")).with_kind(SpanKind::Server);
        let request = request.with_attributes(labels.clone()).start(&self.tracer);
        let context = opentelemetry::Context::current_with_span(request);
        let query = self.tracer.span_builder("SELECT items").with_kind(SpanKind::Client);
        let query = query.start_with_context(&self.tracer, &context);
        drop(query);
        self.requests.add(1, &labels);
        // Not measured but made up, so that the histogram has a shape.
        self.duration.record(0.002 * f64::from(u8::try_from(number % 17).unwrap_or(0) + 1), &labels);
        self.log(endpoint, TraceContextExt::span(&context).span_context());
        drop(context);
        self.done.created.add(Signal::Traces, 2);
        self.done.created.add(Signal::Logs, 1);
    }

    fn log(&self, endpoint: &'static str, span: &trace::SpanContext) {
        let mut record = self.logger.create_log_record();
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(Severity::Info);
        record.set_severity_text("INFO");
        record.set_body(AnyValue::from(format!("GET {endpoint} 200 OK")));
        record.add_attribute("http.route", endpoint);
        record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
        self.logger.emit(record);
    }
}

/// The SDK's own client, on our runtime: the SDK calls it from threads that have none. It counts what is acknowledged.
#[derive(Debug)]
struct Client {
    inner: HyperClient<HttpConnector>,
    network: Handle,
    done: Arc<Done>,
}

impl Client {
    fn new(pod: &Pod, network: Handle, done: Arc<Done>) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_local_address(Some(pod.ip.parse()?));
        Ok(Self { inner: HyperClient::new(connector, Duration::from_secs(5), None), network, done })
    }

    fn count(&self, signal: Option<Signal>, items: usize, result: &Result<Response<Bytes>, HttpError>) {
        let failure = match (signal, result) {
            (Some(signal), Ok(response)) if response.status().is_success() => {
                if signal == Signal::Metrics {
                    self.done.created.add(signal, items);
                }
                return self.done.acknowledged.add(signal, items);
            }
            (_, Ok(response)) => format!("the agent answered {}", response.status()),
            (_, Err(error)) => error.to_string(),
        };
        self.done.failed.fetch_add(1, Relaxed);
        *self.done.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }
}

impl HttpClient for Client {
    // What `#[async_trait]` would write.
    fn send_bytes<'this, 'answer>(
        &'this self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'answer>>
    where
        'this: 'answer,
        Self: 'answer,
    {
        let signal = Signal::ALL.into_iter().find(|signal| request.uri().path().ends_with(signal.name()));
        let items = signal.map_or(0, |signal| wire::count(signal, request.body()));
        let inner = self.inner.clone();
        let sending = self.network.spawn(async move { inner.send_bytes(request).await });
        Box::pin(async move {
            let result = sending.await.map_err(HttpError::from).and_then(|result| result);
            self.count(signal, items, &result);
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::backend::Backend;
    use crate::cli::demo::pods;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn every_item_of_the_sdk_arrives_at_the_backend() {
        let pods = pods::read(pods::LIST).unwrap();
        let backend = Backend::start(&[("service.name", "fastapi-metrics")], Vec::new()).unwrap();
        let load = Load { requests: Some(20), pause: Duration::from_millis(1), export_every: Duration::from_secs(60) };
        let endpoint = format!("http://{}", backend.address());
        let application = Application::start(&pods, &endpoint, load, &Handle::current()).unwrap();
        let done = Arc::clone(application.done());
        while !application.finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        application.stop().unwrap();
        // Three pods; a histogram and a counter with two sets of labels each, exported once.
        assert_eq!(done.created.counts(), [120, 12, 60]);
        assert_eq!(done.acknowledged.counts(), [120, 12, 60]);
        assert_eq!(backend.got().items.counts(), [120, 12, 60]);
        assert!(backend.got().without_attributes.load(Relaxed) > 0, "the worker has another service name");
        assert_eq!(backend.got().malformed.load(Relaxed), 0);
        backend.stop().await;
    }
}
