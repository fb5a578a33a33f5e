//! What an exporter implements: one attempt to deliver one request. Everything around it (queue, retry, deadline, taking
//! apart, counting) is the sender's.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use wire::{Chain, Signal};

use super::{Origin, Room};

/// One request as it is handed to an exporter.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// What it carries.
    pub signal: Signal,
    /// The export request in protobuf.
    pub body: &'a Chain,
    /// How many items it carries.
    pub items: usize,
    /// What is still known of where they came from.
    pub origin: &'a Origin,
    /// Where memory comes from for what is made of it.
    pub room: Room<'a>,
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The destination took everything.
    Sent,
    /// The destination took the request but for some items, and does not want them again.
    Partial {
        /// How many it did not take; may be 0 when there is only a message.
        rejected: usize,
        /// What it said; empty if the exporter reports it itself.
        message: String,
    },
    /// It did not work this time.
    Retry {
        /// Why.
        error: String,
        /// The delay that the destination asked for.
        after: Option<Duration>,
    },
    /// It would not work another time either.
    Refused {
        /// Why.
        error: String,
        /// What is to blame, which decides whether sending it in parts can help.
        fault: Fault,
    },
}

/// What a permanent refusal is to blame on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The data: some of the items may be fine (gRPC InvalidArgument, OutOfRange, Internal, Unknown; HTTP 400, 422, 500).
    Data,
    /// The size: smaller requests may be fine (HTTP 413; gRPC ResourceExhausted without RetryInfo).
    Size,
    /// Neither: any request would be refused (credentials, path, method, protocol).
    Elsewhere,
}

/// What an exporter implements.
pub trait Deliver: Send + Sync + 'static {
    /// Makes one attempt. May be dropped half-way, when the timeout or the deadline of the shutdown strikes.
    fn deliver(&self, parcel: Parcel<'_>) -> impl Future<Output = Outcome> + Send;

    /// Called once after the last attempt: flush, close.
    fn close(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}
/// [`Deliver`] behind a pointer.
pub(super) trait DynDeliver: Send + Sync + 'static {
    fn deliver<'a>(&'a self, parcel: Parcel<'a>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<D: Deliver> DynDeliver for D {
    fn deliver<'a>(&'a self, parcel: Parcel<'a>) -> Pin<Box<dyn Future<Output = Outcome> + Send + 'a>> {
        Box::pin(Deliver::deliver(self, parcel))
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Deliver::close(self))
    }
}
