//! Why a data point is not kept. Each is counted by reason, and by metric and pod where it is the sender's doing.

/// Why a data point is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    /// It is older than what the series has, or a delta that overlaps it.
    OutOfOrder,
    /// There are `max_series` already, or they take `max_series_bytes`.
    Limit,
    /// Another metric has this name, with another type.
    TypeConflict,
    /// Another metric has this name and these labels, or the name is one that another family writes.
    NameConflict,
    /// A delta of something that goes up and down, or a sum or histogram that does not say what it covers.
    Temporality,
    /// A name of which nothing is left, or a histogram that contradicts itself.
    Invalid,
}

impl Refusal {
    /// All of them.
    pub(super) const ALL: [Refusal; 6] = [
        Refusal::OutOfOrder,
        Refusal::Limit,
        Refusal::TypeConflict,
        Refusal::NameConflict,
        Refusal::Temporality,
        Refusal::Invalid,
    ];

    /// The word in metrics and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Refusal::OutOfOrder => "out_of_order",
            Refusal::Limit => "max_series",
            Refusal::TypeConflict => "type_conflict",
            Refusal::NameConflict => "name_conflict",
            Refusal::Temporality => "temporality",
            Refusal::Invalid => "invalid",
        }
    }
}
