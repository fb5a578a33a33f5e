//! What both protocols do with a request: who sends it, is there room, is it valid, and into the pipelines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use tracing::warn;
use wire::Signal;

use super::answers::status_of;
use crate::net::auth::Authenticate;
use crate::net::body::Full;
use crate::net::code::Code;
use crate::net::grpc::Status;
use crate::net::server::Peer;
use crate::pipeline::{Arrival, Cause, Hold, Intake, Metadata, Origin, Refusal};
use crate::settings::ComponentId;
use crate::telemetry::metric::PerSignal;
use crate::telemetry::{Counter, Metrics, table};

/// Where one protocol of a receiver lets requests in.
pub(super) struct Door {
    intakes: Arc<[Option<Intake>; Signal::ALL.len()]>,
    authenticator: Option<Arc<dyn Authenticate>>,
    include_metadata: bool,
    accepted: [Counter; Signal::ALL.len()],
    refused: [Counter; Signal::ALL.len()],
    received_bytes: Counter,
    reasons: [Counter; Reason::ALL.len()],
}

/// Why a request was not taken, in our own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// It is not what OTLP looks like: path, method, content type, encoding, or the body itself.
    Malformed,
    TooLarge,
    TooSlow,
    Unauthenticated,
    /// The memory budget.
    Memory,
    /// The sender has more than its share of what is short.
    Share,
    /// The sender has used up a fixed limit.
    Limit,
    /// A pipeline said no.
    Pipeline,
}

impl Reason {
    const ALL: [Self; 8] = [
        Self::Malformed,
        Self::TooLarge,
        Self::TooSlow,
        Self::Unauthenticated,
        Self::Memory,
        Self::Share,
        Self::Limit,
        Self::Pipeline,
    ];

    fn of(cause: Cause) -> Self {
        match cause {
            Cause::Memory => Self::Memory,
            Cause::Share => Self::Share,
            Cause::Limit => Self::Limit,
            Cause::Other => Self::Pipeline,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Unauthenticated => "unauthenticated",
            Self::Memory => "memory",
            Self::Share => "share",
            Self::Limit => "limit",
            Self::Pipeline => "pipeline",
        }
    }
}

impl Door {
    pub(super) fn new(
        id: &ComponentId,
        transport: &'static str,
        intakes: Arc<[Option<Intake>; Signal::ALL.len()]>,
        authenticator: Option<Arc<dyn Authenticate>>,
        include_metadata: bool,
        metrics: &Metrics,
    ) -> Self {
        let id = id.to_string();
        let labels = [("receiver", id.as_str()), ("transport", transport)];
        let per_signal = |rows: &'static PerSignal| Signal::ALL.map(|signal| metrics.counter(rows.of(signal), &labels));
        // Present from the start; what fails in here is a fault in the program.
        per_signal(&table::RECEIVER_FAILED);
        let reason = |reason: Reason| {
            metrics.counter(&table::REFUSED_REQUESTS, &[labels[0], labels[1], ("reason", reason.label())])
        };
        Self {
            intakes,
            authenticator,
            include_metadata,
            accepted: per_signal(&table::RECEIVER_ACCEPTED),
            refused: per_signal(&table::RECEIVER_REFUSED),
            received_bytes: metrics.counter(&table::RECEIVED_BYTES, &labels),
            reasons: Reason::ALL.map(reason),
        }
    }

    /// The pipelines of a signal, if it has any.
    pub(super) fn intake(&self, signal: Signal) -> Option<&Intake> {
        self.intakes[signal.index()].as_ref()
    }

    /// Who sends.
    pub(super) fn authenticate(&self, headers: &HeaderMap, peer: Peer) -> Result<Origin, Status> {
        let mut origin = Origin { peer: peer.address, ..Origin::default() };
        if let Some(authenticator) = &self.authenticator {
            let info = authenticator.authenticate(headers).map_err(|denied| {
                self.count(Reason::Unauthenticated);
                Status::new(Code::Unauthenticated, denied.message)
            })?;
            let mut auth = Metadata::new();
            info.attributes.into_iter().for_each(|(name, value)| auth.add(&name, value));
            origin.auth = Some(Arc::new(auth));
        }
        if self.include_metadata {
            let mut metadata = Metadata::new();
            for (name, value) in headers {
                metadata.add(name.as_str(), String::from_utf8_lossy(value.as_bytes()));
            }
            origin.metadata = Some(Arc::new(metadata));
        }
        Ok(origin)
    }

    /// A permit to read a body. It holds nothing yet and grows with what is read.
    pub(super) fn admit(&self, intake: &Intake, origin: &Origin) -> Result<Hold, Status> {
        intake.admit(origin, 0).map_err(|refusal| {
            self.count(Reason::of(refusal.cause));
            status_of(refusal)
        })
    }

    /// There is no room for a body that is being read.
    pub(super) fn no_room(&self, intake: &Intake, origin: &Origin, full: Full) -> Status {
        let refusal = Refusal::from(full);
        // One that would not fit into an empty budget is still refused for memory.
        let cause = if refusal.cause == Cause::Other { Cause::Memory } else { refusal.cause };
        self.count(Reason::of(cause));
        intake.turned_away(origin, cause);
        status_of(refusal)
    }

    pub(super) fn count(&self, reason: Reason) {
        self.reasons[reason as usize].add(1);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received_bytes.add(bytes as u64);
    }

    /// What arrived is not OTLP. Told to the log as well, as many senders keep what they are told to themselves.
    pub(super) fn malformed(&self, signal: Signal, peer: Option<SocketAddr>, error: &dyn std::fmt::Display) {
        self.count(Reason::Malformed);
        let peer = peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
        warn!(peer, signal = signal.name(), %error, "refused a request that is not valid OTLP");
    }

    /// Checks a request in protobuf and hands it to the pipelines.
    pub(super) async fn take(&self, intake: &Intake, bytes: Bytes, hold: Hold, origin: Origin) -> Result<(), NotTaken> {
        let signal = intake.signal();
        let skim = wire::skim(signal, &bytes).map_err(|error| {
            self.malformed(signal, origin.peer, &error);
            NotTaken::Malformed(error)
        })?;
        if skim.items == 0 {
            return Ok(());
        }
        let items = skim.items as u64;
        let arrival = Arrival { signal, bytes, items: skim.items, origin, hold };
        // Boxed: over HTTP/1.1 an idle connection keeps the room for this whole future.
        match Box::pin(intake.accept(arrival)).await {
            Ok(()) => self.accepted[signal.index()].add(items),
            Err(refusal) => {
                self.refused[signal.index()].add(items);
                self.count(Reason::of(refusal.cause));
                return Err(NotTaken::Refused(status_of(refusal)));
            }
        }
        Ok(())
    }
}

/// JSON to protobuf. Both are held while one is made from the other, and the result at the most it can be: it is shorter
/// than the document, but for one that was made to be long.
pub(super) fn transcode(signal: Signal, json: &[u8], hold: &mut Hold) -> Result<Bytes, NotJson> {
    hold.grow(wire::json::most_bytes(json)).map_err(NotJson::Full)?;
    let bytes = Bytes::from(wire::json::to_protobuf(signal, json).map_err(NotJson::Malformed)?);
    hold.shrink_to(bytes.len());
    Ok(bytes)
}

/// Why a request did not get into the pipelines.
pub(super) enum NotTaken {
    Malformed(wire::Malformed),
    Refused(Status),
}

/// Why a document was not turned into protobuf.
pub(super) enum NotJson {
    Full(Full),
    Malformed(wire::json::JsonError),
}

/// For the rest of a body over HTTP/1.1 that was refused: its client reads the answer only when it has sent all, or when
/// the connection ends under it.
pub(super) const DISCARD_BYTES: usize = 4 << 20;
pub(super) const DISCARD_TIME: Duration = Duration::from_secs(5);
