//! What travels: an [`Arrival`] at the door, a [`Batch`] inside a pipeline.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use wire::{Chain, Signal};

use super::{Hold, Refusal, Rejected, Ticket};

/// Facts of the connection that data came over. A batch that was joined from several has only what they have in common.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// Address of the sender.
    pub peer: Option<SocketAddr>,
    /// Headers of the request, if the receiver was told to keep them (`include_metadata`).
    pub metadata: Option<Arc<Metadata>>,
    /// What the authenticator found out about the sender.
    pub auth: Option<Arc<Metadata>>,
}

impl Origin {
    /// What two origins have in common.
    #[must_use]
    pub fn common(&self, other: &Origin) -> Origin {
        fn same<T: PartialEq + Clone>(one: &Option<T>, two: &Option<T>) -> Option<T> {
            if one == two { one.clone() } else { None }
        }
        Origin {
            peer: same(&self.peer, &other.peer),
            metadata: same(&self.metadata, &other.metadata),
            auth: same(&self.auth, &other.auth),
        }
    }
}

/// Names in lower case, each with its values in the order they came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata(Vec<(String, Vec<String>)>);

impl Metadata {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Metadata {
        Metadata::default()
    }

    /// Adds a value; the name is put in lower case.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        let name = name.to_ascii_lowercase();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value.into()),
            None => self.0.push((name, vec![value.into()])),
        }
    }

    /// The values of a name, which is given in lower case; empty if there are none.
    #[must_use]
    pub fn get(&self, name: &str) -> &[String] {
        self.0.iter().find(|(known, _)| known == name).map_or(&[], |(_, values)| values)
    }

    /// All names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.iter().map(|(name, values)| (name.as_str(), values.as_slice()))
    }
}

/// One request as a receiver hands it over.
#[derive(Debug)]
pub struct Arrival {
    /// What it carries.
    pub signal: Signal,
    /// The export request in protobuf; [`wire::skim`] has found it valid.
    pub bytes: Bytes,
    /// How many items the skim counted.
    pub items: usize,
    /// Where it came from.
    pub origin: Origin,
    /// The permit that was taken before the body was read.
    pub hold: Hold,
}

/// One valid export request on its way through a pipeline, with everything that it answers for.
#[derive(Debug)]
pub struct Batch {
    /// What it carries.
    pub signal: Signal,
    /// The request. Replaced through [`Batch::with_body`], so that the budget hears of it.
    pub body: Chain,
    /// Whose items these are, in the ledger.
    pub ticket: Ticket,
    /// Where it came from.
    pub origin: Origin,
    /// The memory that the body pins.
    pub hold: Hold,
}

impl Batch {
    /// How many items it carries.
    #[must_use]
    pub fn items(&self) -> usize {
        self.ticket.items()
    }

    /// The same batch with another body, which may share slices with the old one.
    ///
    /// A body that got longer holds more. One that got shorter holds what it did, as its slices keep the buffers of the
    /// old one in memory.
    ///
    /// # Errors
    /// There is no room for a longer body; the batch comes back as it was.
    pub fn with_body(mut self, body: Chain) -> Result<Batch, Rejected> {
        if self.hold.cover(body.len()).is_err() {
            return Err(Rejected::back(self, Refusal::memory()));
        }
        self.body = body;
        Ok(self)
    }
}
