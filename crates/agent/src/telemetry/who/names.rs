//! What is known of each metric name: points, series, who sends most of it, and which attribute makes it wide.

use std::net::IpAddr;
use std::time::Instant;

use super::TURN;
use super::heavy::Heavy;
use super::sketch::Lately;
use crate::telemetry::cut;

/// Names that are kept.
const CAPACITY: usize = 256;
/// Attributes of a name that are kept: the first that were seen.
const ATTRIBUTES: usize = 8;
/// Longer names are cut.
const NAME_BYTES: usize = 128;

/// The metric names with most points.
pub(super) struct Names {
    table: Heavy<String, Name>,
    turned: Instant,
}

pub(super) struct Name {
    points: u64,
    series: Lately<256>,
    attributes: Vec<(String, Lately<64>)>,
    /// Who sends more than half of the points, if somebody does, and by how much (Boyer and Moore's vote).
    most_from: Option<IpAddr>,
    lead: u64,
}

/// A metric name at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: String,
    /// Points that were looked at.
    pub(super) points: u64,
    /// Different series lately, about.
    pub(super) series: u64,
    /// The attribute with most different values, and how many, about.
    pub(super) widest: Option<(String, u64)>,
    pub(super) most_from: Option<IpAddr>,
}

impl Names {
    pub(super) fn new(now: Instant) -> Names {
        Names { table: Heavy::new(CAPACITY), turned: now }
    }

    /// The entry of a name of which so many points are looked at.
    pub(super) fn name(&mut self, name: &str, points: u64, peer: Option<IpAddr>) -> &mut Name {
        let name = cut(name, NAME_BYTES);
        let entry = self.table.add(name, points, str::to_owned, Name::new);
        entry.points += points;
        entry.vote(peer, points);
        entry
    }

    /// The names with most series first.
    pub(super) fn largest(&mut self, now: Instant) -> Vec<Row> {
        if now.duration_since(self.turned) >= TURN {
            self.turned = now;
            self.table.values_mut().for_each(Name::turn);
        }
        let mut rows: Vec<Row> = self.table.iter().map(|(name, entry)| entry.row(name)).collect();
        rows.sort_by(|one, two| two.series.cmp(&one.series).then_with(|| one.name.cmp(&two.name)));
        rows
    }
}

impl Name {
    fn new() -> Name {
        Name { points: 0, series: Lately::new(), attributes: Vec::new(), most_from: None, lead: 0 }
    }

    /// Notes a series by its hash.
    pub(super) fn series(&mut self, hash: u64) {
        self.series.add(hash);
    }

    /// Notes a value of an attribute by its hash.
    pub(super) fn attribute(&mut self, key: &str, hash: u64) {
        let key = cut(key, NAME_BYTES);
        if let Some((_, values)) = self.attributes.iter_mut().find(|(known, _)| known == key) {
            values.add(hash);
        } else if self.attributes.len() < ATTRIBUTES {
            let mut values = Lately::new();
            values.add(hash);
            self.attributes.push((key.to_owned(), values));
        }
    }

    fn vote(&mut self, peer: Option<IpAddr>, points: u64) {
        if self.most_from == peer {
            self.lead += points;
        } else if self.lead >= points {
            self.lead -= points;
        } else {
            self.most_from = peer;
            self.lead = points - self.lead;
        }
    }

    fn turn(&mut self) {
        self.series.turn();
        self.attributes.iter_mut().for_each(|(_, values)| values.turn());
    }

    fn row(&self, name: &str) -> Row {
        let widths = self.attributes.iter().map(|(key, values)| (key.clone(), values.estimate()));
        Row {
            name: name.to_owned(),
            points: self.points,
            series: self.series.estimate(),
            widest: widths.max_by_key(|(_, width)| *width),
            most_from: self.most_from,
        }
    }
}
