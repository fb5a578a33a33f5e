//! Any bytes as metrics, shown to Prometheus in every format: a parser that knows nothing of how they are written reads
//! each, and all say the same. What the agent says of itself meanwhile can be read as well.
#![no_main]
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    unreachable_pub,
    reason = "the rooms are taken whole; the target calls a part of them"
)]

#[path = "../common.rs"]
mod common;
#[path = "../../crates/agent/src/settings/mod.rs"]
mod settings;

#[path = "../../crates/agent/src/telemetry"]
mod telemetry {
    mod cut;
    pub mod exposition;
    pub mod metric;
    pub mod metrics;
    pub mod table;

    pub use cut::cut;
}

#[path = "../../crates/agent/src/net"]
mod net {
    pub mod compression;

    /// What `compression` knows of bodies.
    pub mod body {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct Full;

        impl std::fmt::Display for Full {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("full")
            }
        }

        pub trait Reserve {
            fn grow(&mut self, bytes: usize) -> Result<(), Full>;
        }
    }
}

#[path = "../../crates/agent/src/exporters"]
mod exporters {
    pub mod series;

    pub mod prometheus {
        mod belonging;
        mod by_key;
        mod encode;
        mod escape;
        mod exponential;
        mod intake;
        mod key;
        mod labels;
        mod negotiate;
        mod refusal;
        mod reports;
        mod rules;
        mod series;
        mod slab;
        mod source;
        mod table;
        mod value;
        mod walk;

        /// What `rules` knows of the settings.
        mod config {
            use std::collections::BTreeMap;

            use crate::exporters::series::{conversion::Conversion, names::Strategy};
            use crate::settings::{ByteSize, GoDuration};

            pub(super) struct Config {
                pub(super) strategy: Strategy,
                pub(super) namespace: String,
                pub(super) const_labels: BTreeMap<String, String>,
                pub(super) conversion: Conversion,
                pub(super) without_scope_info: bool,
                pub(super) metric_expiration: GoDuration,
                pub(super) max_series: u32,
                pub(super) max_series_bytes: ByteSize,
            }

            impl Config {
                pub(super) fn strategy(&self) -> Strategy {
                    self.strategy
                }

                pub(super) fn conversion(&self) -> &Conversion {
                    &self.conversion
                }
            }
        }

        pub mod tests {
            mod parse;

            use std::collections::BTreeMap;
            use std::sync::Arc;

            use testkit::generate::Random;

            use super::config::Config;
            use super::encode::{Answer, Style};
            use super::negotiate::{Escaping, Format};
            use super::rules::Rules;
            use super::table::Table;
            use crate::exporters::series::conversion::Conversion;
            use crate::exporters::series::names::Strategy;
            use crate::net::compression::Encoding;
            use crate::settings::{ByteSize, GoDuration};
            use crate::telemetry::exposition::{self, Naming, text::Dialect};
            use crate::telemetry::metric::Level;
            use crate::telemetry::metrics::Metrics;

            fn config(random: &mut Random) -> Config {
                let strategies = [
                    Strategy::UnderscoreEscapingWithSuffixes,
                    Strategy::UnderscoreEscapingWithoutSuffixes,
                    Strategy::NoUtf8EscapingWithSuffixes,
                    Strategy::NoTranslation,
                ];
                let constant = [("cluster", "eu"), ("größe", "a\"b\\\n"), ("le", "1"), ("job", "x")];
                let constant = random.some(2, |random| random.pick(&constant));
                Config {
                    strategy: random.pick(&strategies),
                    namespace: random.pick(&["", "", "my", "größe 2\n"]).to_owned(),
                    const_labels: constant.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
                    conversion: Conversion { enabled: random.once_in(2), ..Conversion::default() },
                    without_scope_info: random.once_in(2),
                    metric_expiration: GoDuration::minutes(5),
                    max_series: random.pick(&[2, 1000]),
                    max_series_bytes: ByteSize::mib(1),
                }
            }

            fn scrape(table: &Arc<Table>, style: Style) -> Vec<u8> {
                let mut answer = Answer::new(table, &[], style, Encoding::Identity).expect("nothing is compressed");
                let parts = std::iter::from_fn(|| answer.next_part().expect("nothing is compressed"));
                parts.collect::<Vec<_>>().concat()
            }

            /// Samples without their times, NaN and zero in one form.
            fn samples(parsed: parse::Parsed) -> BTreeMap<(String, parse::Labels), u64> {
                let same = |bits: u64| match f64::from_bits(bits) {
                    value if value.is_nan() => f64::NAN.to_bits(),
                    value => (value + 0.0).to_bits(),
                };
                parse::normal(parsed).samples.into_iter().map(|(key, (bits, _))| (key, same(bits))).collect()
            }

            pub fn check(request: &[u8], random: &mut Random) {
                let config = config(random);
                let table = Arc::new(Table::new("prometheus", Rules::of(&config)));
                for _ in 0..=random.below(2) {
                    table.take(request);
                }
                // Names that are escaped for a client may become one there; all others stay apart.
                let escaping = match config.strategy {
                    Strategy::NoUtf8EscapingWithSuffixes | Strategy::NoTranslation => Escaping::AllowUtf8,
                    _ => random.pick(&[Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values]),
                };
                let timestamps = random.once_in(2);
                let scrape = |format| scrape(&table, Style { format, escaping, timestamps });
                let text = |dialect| String::from_utf8(scrape(Format::Text(dialect))).expect("it is text");
                let plain = samples(parse::text(&text(Dialect::Prometheus)));
                let open = text(Dialect::OpenMetrics);
                assert_eq!(samples(parse::text(open.strip_suffix("# EOF\n").expect("it has an end"))), plain);
                assert_eq!(samples(parse::protobuf(&scrape(Format::Protobuf))), plain);
                check_own(table);
            }

            /// Our own page names metrics and pods of senders.
            fn check_own(table: Arc<Table>) {
                let metrics = Metrics::new();
                metrics.on_collect(move |sink| table.show(sink));
                parse::text(&exposition::write(&metrics.collect(Level::Detailed), &Naming::default(), &[]));
            }
        }
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (_, mut random, request) = common::read(data);
    if wire::skim(wire::Signal::Metrics, request).is_ok() {
        exporters::prometheus::tests::check(request, &mut random);
    }
});
