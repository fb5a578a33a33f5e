//! What the settings say about series.

use std::time::Duration;

use super::config::Config;
use crate::exporters::series::conversion::Conversion;
use crate::exporters::series::names::Namer;

/// What the settings say about series.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) namer: Namer,
    pub(super) conversion: Conversion,
    /// Labels of every series but `target_info`.
    pub(super) constant: Vec<(String, String)>,
    pub(super) scope_info: bool,
    /// A series that is not written for this long is gone.
    pub(super) expiration: Duration,
    pub(super) max_series: usize,
    pub(super) max_bytes: usize,
}

impl Rules {
    pub(super) fn of(config: &Config) -> Rules {
        let namer = Namer { strategy: config.strategy(), namespace: config.namespace.clone() };
        Rules {
            namer,
            conversion: config.conversion().clone(),
            constant: config.const_labels.clone().into_iter().collect(),
            scope_info: !config.without_scope_info,
            expiration: config.metric_expiration.positive().unwrap_or(Duration::from_secs(300)),
            max_series: config.max_series as usize,
            max_bytes: config.max_series_bytes.as_usize(),
        }
    }
}
