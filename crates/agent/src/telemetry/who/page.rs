//! The page `/who`: plain text for a person with a terminal.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use super::{Inner, REST, lock, names, senders};

/// Rows of each table on the page.
const ROWS: usize = 30;

pub(super) fn text(inner: &Inner) -> String {
    let senders = inner.senders();
    let metrics = lock(&inner.names).largest(Instant::now());
    let mut page = String::from("Who sends what to this otel-agent\n\n");
    if !inner.settings.load().enabled {
        page.push_str("Not counted: service::telemetry::senders has `enabled: false`.\n");
        return page;
    }
    let _ = writeln!(
        page,
        "Up for {} s. Counts are since a sender or name was first seen; an address that another pod has got counts anew.",
        inner.started.elapsed().as_secs()
    );
    write_senders(&mut page, &senders);
    write_metrics(&mut page, &metrics, &senders);
    write_share(&mut page, inner);
    page
}

fn write_senders(page: &mut String, senders: &[senders::Row]) {
    let _ = writeln!(page, "\nSENDERS, most items first ({} of {})\n", senders.len().min(ROWS), senders.len());
    let _ = writeln!(
        page,
        "{:>12} {:>12} {:>12} {:>10} {:>9} {:>9} {:>10} {:>8}  {:<40} {:<16} SERVICE",
        "SPANS", "POINTS", "LOGS", "REFUSED", "REQUESTS", "AWAY", "KIB", "SERIES", "SENDER", "ADDRESS"
    );
    for row in senders.iter().take(ROWS) {
        let [spans, points, logs] = row.items;
        let refused: u64 = row.refused.iter().sum();
        let _ = writeln!(
            page,
            "{spans:>12} {points:>12} {logs:>12} {refused:>10} {:>9} {:>9} {:>10} {:>8}  {:<40} {:<16} {}",
            row.requests,
            row.turned_away.iter().sum::<u64>(),
            row.bytes / 1024,
            row.series,
            shown(&row.name),
            row.address,
            shown(&row.service),
        );
    }
}

fn write_metrics(page: &mut String, metrics: &[names::Row], senders: &[senders::Row]) {
    let _ = writeln!(page, "\nMETRIC NAMES, most series first ({} of {})\n", metrics.len().min(ROWS), metrics.len());
    let _ = writeln!(page, "{:>8} {:>12}  {:<48} {:<36} MOSTLY FROM", "SERIES", "POINTS", "NAME", "WIDEST ATTRIBUTE");
    for row in metrics.iter().take(ROWS) {
        let widest = row.widest.as_ref();
        let widest = widest.map_or_else(String::new, |(key, values)| format!("{} ({values} values)", shown(key)));
        let from = row.most_from.map_or_else(|| "unix".to_owned(), |address| address.to_string());
        let sender = senders.iter().find(|sender| sender.address == from);
        let from = sender.map_or_else(|| from.clone(), |sender| shown(&sender.name));
        let _ = writeln!(page, "{:>8} {:>12}  {:<48} {widest:<36} {from}", row.series, row.points, shown(&row.name));
    }
}

fn write_share(page: &mut String, inner: &Inner) {
    let (points, all) = (inner.looked.points.load(Relaxed), inner.looked.of_points.load(Relaxed));
    #[expect(clippy::cast_precision_loss, reason = "a percentage")]
    let share = if all == 0 { 100.0 } else { points as f64 * 100.0 / all as f64 };
    let _ = writeln!(
        page,
        "\nAWAY are requests that were turned away before their items were known: there was no memory, or the sender had more\n\
         than its share of what was left, or a fixed limit. Their sender was told when to come back.\n\
         Series and the points by metric name come from the {share:.0} % of the points that were looked at ({points} of \
         {all}).\nSeries are estimates of the last 10 to 20 minutes, within about 7 %. Looking takes at most 1/{REST} of one \
         core;\nso far {} ms.",
        inner.looked.nanoseconds.load(Relaxed) / 1_000_000
    );
}

/// What came from outside, fit for a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
