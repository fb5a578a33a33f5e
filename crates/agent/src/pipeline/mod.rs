//! The way of a batch from the door to the exporters: budget, ledger, queue, retry.

/// What travels: arrivals and batches.
pub mod batch;

/// Memory is held by permits.
pub mod budget;

/// What grows beside payload in the same memory.
pub mod beside;

/// Who is refused first when there is little room.
pub mod fair;

/// Where every item went.
pub mod ledger;

/// Whose items a batch carries, and the duty to say what became of them.
pub mod ticket;

/// Saying no to a sender.
pub mod refusal;

/// What is acknowledged is on disk.
pub mod journal;

/// The door.
pub mod intake;

/// Processors in order, and steps that hold.
pub mod process;

/// What an exporter implements.
pub mod deliver;

/// Memory that an exporter needs beside a request.
pub mod room;

/// What stands around every exporter: queue, retry, timeout, taking apart, counting.
pub mod sender;

/// How much may wait for an exporter.
pub mod queue;

/// Batching inside the queue.
mod queue_batch;

/// Whether an exporter moves.
pub mod progress;

/// When to try again.
pub mod retry;

/// One batch to its destination.
mod courier;

/// Many small batches into a large one.
pub mod joiner;

/// One large batch into small ones.
mod apart;

/// The end, announced with a deadline.
pub mod stop;

/// Whether a batch may wait in a processor.
pub mod patience;

/// How large the budget is.
pub mod sizing;

/// The pipelines of one agent, from a plan.
pub mod build;

pub use batch::{Arrival, Batch, Metadata, Origin};
pub use budget::{Budget, Full, Hold};
pub use build::{PipelinePlan, Pipelines, Step};
pub use deliver::{Deliver, Fault, Outcome, Parcel};
pub use fair::Fair;
pub use intake::{Door, Entrance, Intake};
pub use joiner::Joiner;
pub use ledger::{Ledger, Line, Reason};
pub use patience::Patience;
pub use process::{End, Gather, Process, Segment, Wait};
pub use progress::{Movement, Progress};
pub use refusal::{Cause, Code, Refusal, Rejected};
pub use room::Room;
pub use sender::{Policy, Sender};
pub use stop::Stop;
pub use ticket::{Route, Ticket};

/// For the tests of other rooms.
#[cfg(test)]
pub mod testing;
