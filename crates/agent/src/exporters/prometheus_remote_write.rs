//! Writes metrics to a Prometheus, or whatever else takes its remote write protocol.
//!
//! A request of OTLP is translated in a thread of its own into write requests of a bounded size, which are sent while the
//! next one is made: no more of them exist at a time than are being sent, and one.

mod client;
mod config;
mod native;
mod request;
mod translate;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::net::auth::Credentials;
use crate::net::compression::{self, Encoding};
use crate::pipeline::{Deliver, Outcome, Parcel};
use crate::settings::ComponentId;
use crate::telemetry::{Counter, Metrics, table};

use client::Backend;
pub use config::Config;
use request::{Message, Requests};
use translate::{Translator, Untranslated};

/// Translates and sends.
pub struct Exporter {
    id: String,
    backend: Backend,
    translation: Arc<Translation>,
    parallel: usize,
    counts: Counts,
    /// Whether it was told that there are points without a form in Prometheus.
    told: AtomicBool,
}

struct Translation {
    translator: Translator,
    message: Message,
    most_bytes: usize,
    send_metadata: bool,
}

struct Counts {
    failed_translations: Counter,
    series: Counter,
    sent: Counter,
    temporality: Counter,
    other: Counter,
}

/// What became of translating a request.
struct Translated {
    untranslated: Untranslated,
    series: u64,
}

impl Exporter {
    /// For one id; connects nothing yet. `credentials` are those of the extension that `auth` names.
    ///
    /// # Errors
    /// There is no endpoint, a name of `external_labels` cannot be one, or certificates or keys cannot be used.
    pub fn new(
        id: &ComponentId,
        config: &Config,
        credentials: Option<Arc<dyn Credentials>>,
        metrics: &Metrics,
    ) -> anyhow::Result<Exporter> {
        let backend = Backend::new(config, credentials)?;
        let id = id.to_string();
        let translation = Translation {
            translator: config.translator()?,
            message: config.message(),
            most_bytes: config.most_bytes(),
            send_metadata: config.send_metadata,
        };
        let counts = Counts::new(&id, backend.url(), config.parallel(), metrics);
        let (parallel, told) = (config.parallel(), AtomicBool::new(false));
        Ok(Exporter { id, backend, translation: Arc::new(translation), parallel, counts, told })
    }

    async fn attempt(&self, parcel: Parcel<'_>) -> Outcome {
        let started = Instant::now();
        let (ready, mut bodies) = mpsc::channel(1);
        let (translation, request) = (Arc::clone(&self.translation), parcel.in_one_piece().await);
        let translating = tokio::task::spawn_blocking(move || translation.run(&request, &ready));
        let mut under_way = FuturesUnordered::new();
        let mut more = true;
        while more || !under_way.is_empty() {
            tokio::select! {
                body = bodies.recv(), if more && under_way.len() < self.parallel => match body {
                    Some(Ok(body)) => under_way.push(self.post(body, started)),
                    Some(Err(error)) => return Outcome::Retry { error: format!("compressing failed: {error}"), after: None },
                    None => more = false,
                },
                // One that did not work ends the attempt; what was written twice then is written once in Prometheus.
                Some(outcome) = under_way.next() => if outcome != Outcome::Sent { return outcome },
            }
        }
        match translating.await {
            Ok(translated) => self.told(&translated),
            Err(error) => Outcome::Retry { error: format!("translating failed: {error}"), after: None },
        }
    }

    async fn post(&self, body: Bytes, started: Instant) -> Outcome {
        self.counts.sent.add(1);
        self.backend.post(body, started).await
    }

    /// Everything that has a form in Prometheus was taken.
    fn told(&self, translated: &Translated) -> Outcome {
        self.counts.series.add(translated.series);
        let untranslated = &translated.untranslated;
        if untranslated.points() == 0 {
            return Outcome::Sent;
        }
        self.counts.failed_translations.add(1);
        self.counts.temporality.add(untranslated.temporality as u64);
        self.counts.other.add(untranslated.other as u64);
        if !self.told.swap(true, Relaxed) {
            tracing::warn!(
                exporter = self.id,
                not_cumulative = untranslated.temporality,
                other = untranslated.other,
                why = untranslated.why,
                "Some points have no form in Prometheus and are dropped. For those that are not cumulative, let the \
                 application send cumulative ones: OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=cumulative. Told once; \
                 otel_agent_exporter_untranslated_points counts them."
            );
        }
        Outcome::Partial { rejected: untranslated.points(), message: "points without a form in Prometheus".to_owned() }
    }
}

impl Deliver for Exporter {
    async fn deliver(&self, parcel: Parcel<'_>) -> Outcome {
        self.attempt(parcel).await
    }
}

impl Translation {
    /// Gives the bodies of write requests as they are made; ends early when nobody takes them any more.
    fn run(&self, request: &[u8], ready: &mpsc::Sender<io::Result<Bytes>>) -> Translated {
        let emit = |body: Vec<u8>| {
            if !ready.is_closed() {
                let packed = compression::compress(Encoding::Snappy, None, [&body[..]]);
                // Nobody waits for it: the attempt is over.
                let _ = ready.blocking_send(packed);
            }
        };
        let mut requests = Requests::new(self.message, self.most_bytes, self.send_metadata, emit);
        let untranslated = self.translator.translate(request, &mut requests);
        requests.finish();
        Translated { untranslated, series: requests.written }
    }
}

impl Counts {
    fn new(id: &str, url: &str, parallel: usize, metrics: &Metrics) -> Counts {
        let labels = [("exporter", id), ("endpoint", url)];
        metrics.gauge(&table::REMOTE_WRITE_CONSUMERS, &labels).set(i64::try_from(parallel).unwrap_or(i64::MAX));
        let untranslated =
            |reason| metrics.counter(&table::EXPORTER_UNTRANSLATED_POINTS, &[("exporter", id), ("reason", reason)]);
        Counts {
            failed_translations: metrics.counter(&table::REMOTE_WRITE_FAILED_TRANSLATIONS, &labels),
            series: metrics.counter(&table::REMOTE_WRITE_SERIES, &labels),
            sent: metrics.counter(&table::REMOTE_WRITE_SENT_BATCHES, &labels),
            temporality: untranslated("temporality"),
            other: untranslated("other"),
        }
    }
}

#[cfg(test)]
mod tests;
