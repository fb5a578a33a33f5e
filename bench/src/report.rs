//! Prints runs as they end, then medians with their spread, then the ratio that the project promises.

use std::time::Duration;

/// One measured run.
pub(crate) struct Run {
    pub(crate) cpu_per_million: f64,
    pub(crate) items_per_second: f64,
    pub(crate) peak_rss: u64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) refused: u64,
    /// Data points in a request.
    pub(crate) points: usize,
}

/// All runs so far.
#[derive(Default)]
pub(crate) struct Report {
    runs: Vec<(&'static str, &'static str, Run)>,
}

impl Report {
    /// Keeps a run and prints it.
    pub(crate) fn add(&mut self, load: &'static str, program: &'static str, run: Run) {
        println!(
            "run\t{load}\t{program}\t{:.3} CPU s/M items\t{:.1} us CPU/request\t{:.0} items/s\tpeak {:.1} MiB\tp50 {:.2} ms\tp99 {:.2} ms\trefused {}",
            run.cpu_per_million,
            run.cpu_per_million * run.points as f64,
            run.items_per_second,
            run.peak_rss as f64 / 1_048_576.0,
            run.p50.as_secs_f64() * 1e3,
            run.p99.as_secs_f64() * 1e3,
            run.refused,
        );
        self.runs.push((load, program, run));
    }

    /// Medians (min..max) of each load and program, and `ours`/`theirs`.
    pub(crate) fn print(&self, ours: &str, theirs: &str) {
        println!("\n| load | program | CPU s per million points | peak RSS MiB | p99 ms |\n|---|---|---|---|---|");
        let mut loads: Vec<&str> = self.runs.iter().map(|(load, ..)| *load).collect();
        loads.dedup();
        for load in loads {
            for program in [ours, theirs] {
                println!(
                    "| {load} | {program} | {} | {} | {} |",
                    self.spread(load, program, |run| run.cpu_per_million),
                    self.spread(load, program, |run| run.peak_rss as f64 / 1_048_576.0),
                    self.spread(load, program, |run| run.p99.as_secs_f64() * 1e3),
                );
            }
            let cpu = |run: &Run| run.cpu_per_million;
            let ratio = self.median(load, ours, cpu) / self.median(load, theirs, cpu);
            println!("| {load} | **{ours} / {theirs}** | **{ratio:.3}** (1/{:.1}) | | |", 1.0 / ratio);
        }
    }

    fn values(&self, load: &str, program: &str, figure: impl Fn(&Run) -> f64) -> Vec<f64> {
        let of_both = self.runs.iter().filter(|(l, p, _)| *l == load && *p == program);
        let mut values: Vec<f64> = of_both.map(|(.., run)| figure(run)).collect();
        values.sort_by(f64::total_cmp);
        values
    }

    fn median(&self, load: &str, program: &str, figure: impl Fn(&Run) -> f64) -> f64 {
        let values = self.values(load, program, figure);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn spread(&self, load: &str, program: &str, figure: impl Fn(&Run) -> f64) -> String {
        let values = self.values(load, program, figure);
        match (values.first(), values.get(values.len() / 2), values.last()) {
            (Some(least), Some(median), Some(most)) => format!("{median:.2} ({least:.2}..{most:.2})"),
            _ => "no run".to_owned(),
        }
    }
}
