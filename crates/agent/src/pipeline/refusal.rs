//! Saying no: what a sender is told when its data is not taken, and when to come back.

use std::fmt;
use std::time::Duration;

use super::Batch;

pub use crate::net::code::Code;

/// Data was not taken; the sender keeps it. Travels back to the sender as a return value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the sender is told: as gRPC status, or as the HTTP status that goes with it.
    pub code: Code,
    /// Why, for people.
    pub message: String,
    /// When trying again makes sense (`RetryInfo`, `Retry-After`).
    pub retry_after: Option<Duration>,
    /// What was short.
    pub cause: Cause,
}

/// What was short where data was refused, for those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The memory of the agent.
    Memory,
    /// The sender holds more than its share of what is short.
    Share,
    /// The sender has used up a fixed limit.
    Limit,
    /// Something else: a full queue, a destination that says no.
    Other,
}

impl Refusal {
    /// Not now: the sender should try again.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Refusal {
        Refusal { code: Code::Unavailable, message: message.into(), retry_after: None, cause: Cause::Other }
    }

    /// Not ever: trying again would end the same way.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Refusal {
        Refusal { code: Code::Internal, message: message.into(), retry_after: None, cause: Cause::Other }
    }

    /// The request itself is at fault.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal { code: Code::InvalidArgument, message: message.into(), retry_after: None, cause: Cause::Other }
    }

    /// The memory budget is spent. The words are the Collector's; unlike it, we say when to come back.
    #[must_use]
    pub fn memory() -> Refusal {
        let refusal = Refusal::unavailable("data refused due to high memory usage").after(Duration::from_secs(1));
        Refusal { cause: Cause::Memory, ..refusal }
    }

    /// There is little room left, and this sender has more than its share of it.
    #[must_use]
    pub fn share() -> Refusal {
        let message =
            "data refused: the agent has little room left, and this sender holds more than its fair share of it";
        Refusal {
            code: Code::ResourceExhausted,
            message: message.to_owned(),
            retry_after: Some(Duration::from_secs(1)),
            cause: Cause::Share,
        }
    }

    /// The sender has used up a limit that is configured for it, and may come back after `wait`: in whole seconds, which is all
    /// that HTTP can say, and rounded up, as whoever comes too early is refused again.
    #[must_use]
    pub fn limit(what: &str, rate: f64, wait: Duration) -> Refusal {
        Refusal {
            code: Code::ResourceExhausted,
            message: format!("data refused: this sender is limited to {rate} {what} a second"),
            retry_after: Some(Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))),
            cause: Cause::Limit,
        }
    }

    /// The same refusal, with the time after which trying again makes sense.
    #[must_use]
    pub fn after(self, delay: Duration) -> Refusal {
        Refusal { retry_after: Some(delay), ..self }
    }

    /// True if the sender may try again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.code.is_retryable(self.retry_after.is_some())
    }

    /// Two refusals of one request as one answer: if either is final, so is the answer; of two delays the longer counts.
    #[must_use]
    pub fn and(self, other: Refusal) -> Refusal {
        let code = if self.is_retryable() { other.code } else { self.code };
        let retry_after = self.retry_after.max(other.retry_after);
        let message =
            if self.message == other.message { self.message } else { [self.message, other.message].join("; ") };
        let cause = if self.cause == Cause::Other { other.cause } else { self.cause };
        Refusal { code, message, retry_after, cause }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// A batch that was not taken, and why.
#[derive(Debug)]
pub struct Rejected {
    /// Why.
    pub refusal: Refusal,
    /// The batch, whole, to be offered again. `None` if it was dealt with: its ticket is settled.
    pub batch: Option<Box<Batch>>,
}

impl Rejected {
    /// Gives the batch back to whoever offered it.
    #[must_use]
    pub fn back(batch: Batch, refusal: Refusal) -> Rejected {
        Rejected { refusal, batch: Some(Box::new(batch)) }
    }

    /// The batch is settled already; only the reason goes back.
    #[must_use]
    pub fn settled(refusal: Refusal) -> Rejected {
        Rejected { refusal, batch: None }
    }

    /// Says no for good: the sender keeps the data, the ledger counts it as refused.
    #[must_use]
    pub fn refuse(self) -> Refusal {
        if let Some(batch) = self.batch {
            batch.ticket.refused();
        }
        self.refusal
    }
}
