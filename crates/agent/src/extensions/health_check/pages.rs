//! The three answers that are ours: live, ready and moving.
//!
//! They are three questions because they have three consequences. Who is not live is restarted; who is not ready gets no
//! new connections; who does not move needs a person to look at the destination, and neither of the other two would help.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::pipeline::{Ledger, Line, Movement};
use crate::settings::GoDuration;
use crate::telemetry::Health;
use crate::telemetry::health::Readiness;

/// A status and what is said with it.
pub(super) type Answer = (StatusCode, Value);

/// Whether the runtime turns. A drain, a full queue, a destination that is away change nothing about it.
pub(super) async fn live() -> Answer {
    let turn = Health::turn().await;
    (StatusCode::OK, json!({ "status": "live", "turn": text(turn) }))
}

/// Whether data is taken: the listeners are open, the first list of pods is there or the time for it is over.
pub(super) fn ready(health: &Health) -> Answer {
    let not_yet = |reason| (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "not ready", "reason": reason }));
    match health.readiness() {
        Readiness::Ready(since) => (StatusCode::OK, json!({ "status": "ready", "since": since.time.to_string() })),
        Readiness::Starting => not_yet("starting: the listeners are not open yet"),
        Readiness::Looking => not_yet("waiting for the first list of pods"),
        Readiness::Stopping => not_yet("stopping: what is held is being sent"),
    }
}

/// Whether each pipeline's exporters take what they are given. `errors` says whether the words of destinations are shown.
pub(super) fn moving(ledger: &Ledger, stuck_after: Duration, errors: bool) -> Answer {
    let mut pipelines: BTreeMap<(String, &str), Vec<(bool, Value)>> = BTreeMap::new();
    for line in ledger.lines() {
        let Some(movement) = slowest(&line) else { continue };
        let entry = line.entry();
        let is_stuck = movement.stalled >= stuck_after;
        let shown = exporter(&entry, &movement, is_stuck, errors);
        pipelines.entry((entry.pipeline, entry.signal.name())).or_default().push((is_stuck, shown));
    }
    let any_stuck = pipelines.values().flatten().any(|(is_stuck, _)| *is_stuck);
    let shown: Vec<Value> = pipelines.into_iter().map(pipeline).collect();
    let code = if any_stuck { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (code, json!({ "status": word(any_stuck), "stuckAfter": text(stuck_after), "pipelines": shown }))
}

/// Of what sends the items of a line, also of replaced configurations, the one that has not moved for longest. `None` if
/// nothing sends them any more: then the line is history.
fn slowest(line: &Line) -> Option<Movement> {
    line.progress().iter().map(|progress| progress.movement()).max_by_key(|movement| movement.stalled)
}

fn pipeline(((id, signal), exporters): ((String, &str), Vec<(bool, Value)>)) -> Value {
    let any_stuck = exporters.iter().any(|(is_stuck, _)| *is_stuck);
    let exporters: Vec<Value> = exporters.into_iter().map(|(_, shown)| shown).collect();
    json!({ "pipeline": id, "signal": signal, "status": word(any_stuck), "exporters": exporters })
}

fn exporter(entry: &crate::pipeline::ledger::Entry, movement: &Movement, is_stuck: bool, errors: bool) -> Value {
    let mut shown = json!({
        "exporter": entry.exporter,
        "status": word(is_stuck),
        "heldItems": entry.held,
        "keptItems": entry.kept,
        "droppedItems": entry.dropped_in_all(),
    });
    if !movement.stalled.is_zero() {
        let since = jiff::Timestamp::now() - jiff::SignedDuration::try_from(movement.stalled).unwrap_or_default();
        shown["stalledSince"] = json!(since.to_string());
        shown["stalledFor"] = json!(text(movement.stalled));
    }
    if let Some(at) = movement.taken_at {
        shown["lastTakenAt"] = json!(at.to_string());
    }
    if let Some(said) = &movement.error {
        shown["lastErrorAt"] = json!(said.at.to_string());
        let elsewhere = "not shown here: ask on loopback, or read the log";
        shown["lastError"] = json!(if errors { said.error.as_str() } else { elsewhere });
    }
    shown
}

fn word(is_stuck: bool) -> &'static str {
    if is_stuck { "stuck" } else { "moving" }
}

fn text(duration: Duration) -> String {
    // To the millisecond: the rest is noise.
    let milliseconds = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    GoDuration::millis(milliseconds).to_string()
}
