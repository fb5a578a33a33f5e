//! Saying no: what a sender is told when its data is not taken, and when to come back.

use std::fmt;
use std::time::Duration;

use super::Batch;

/// The gRPC status codes; the number is the code on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of gRPC and say all there is to say")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

impl Code {
    /// The code with this number; `Unknown` for one that gRPC does not have.
    #[must_use]
    pub fn from_number(number: u32) -> Code {
        use Code::*;
        const ALL: [Code; 17] = [
            Ok,
            Cancelled,
            Unknown,
            InvalidArgument,
            DeadlineExceeded,
            NotFound,
            AlreadyExists,
            PermissionDenied,
            ResourceExhausted,
            FailedPrecondition,
            Aborted,
            OutOfRange,
            Unimplemented,
            Internal,
            Unavailable,
            DataLoss,
            Unauthenticated,
        ];
        ALL.get(number as usize).copied().unwrap_or(Unknown)
    }

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }

    /// The HTTP status with which OTLP/HTTP says the same.
    #[must_use]
    pub fn http_status(self) -> u16 {
        use Code::*;
        match self {
            Ok => 200,
            Cancelled | DeadlineExceeded | Aborted | OutOfRange | Unavailable | DataLoss => 503,
            ResourceExhausted => 429,
            InvalidArgument => 400,
            Unauthenticated => 401,
            PermissionDenied => 403,
            Unimplemented => 404,
            _ => 500,
        }
    }

    /// Whether OTLP lets a client try again after this answer. `ResourceExhausted` counts only with a delay beside it.
    #[must_use]
    pub fn is_retryable(self, has_delay: bool) -> bool {
        use Code::*;
        match self {
            Cancelled | DeadlineExceeded | Aborted | OutOfRange | Unavailable | DataLoss => true,
            ResourceExhausted => has_delay,
            _ => false,
        }
    }
}

/// Data was not taken; the sender keeps it. Travels back to the sender as a return value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What the sender is told: as gRPC status, or as the HTTP status that goes with it.
    pub code: Code,
    /// Why, for people.
    pub message: String,
    /// When trying again makes sense (`RetryInfo`, `Retry-After`).
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Not now: the sender should try again.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Refusal {
        Refusal { code: Code::Unavailable, message: message.into(), retry_after: None }
    }

    /// Not ever: trying again would end the same way.
    #[must_use]
    pub fn permanent(message: impl Into<String>) -> Refusal {
        Refusal { code: Code::Internal, message: message.into(), retry_after: None }
    }

    /// The request itself is at fault.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal { code: Code::InvalidArgument, message: message.into(), retry_after: None }
    }

    /// The memory budget is spent. The words are the Collector's; unlike it, we say when to come back.
    #[must_use]
    pub fn memory() -> Refusal {
        Refusal::unavailable("data refused due to high memory usage").after(Duration::from_secs(1))
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
        Refusal { code, message, retry_after }
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
