//! A program under test as a child process: pinned, and measured from the outside through `/proc`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A running program under test; killed when dropped.
pub(crate) struct Subject {
    child: Child,
}

impl Subject {
    /// Starts `program` on processor 0.
    pub(crate) fn start(program: &Path, arguments: &[String]) -> Result<Self> {
        let child = Command::new("taskset")
            .args(["--cpu-list", "0"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting {} under taskset", program.display()))?;
        Ok(Self { child })
    }

    /// CPU time used so far by all its threads, user and system.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut nanoseconds = 0_u64;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
            nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>().context("schedstat")?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// Resident memory now, in bytes.
    pub(crate) fn rss(&self) -> Result<u64> {
        self.status("VmRSS:")
    }

    /// Highest resident memory so far, in bytes.
    pub(crate) fn peak_rss(&self) -> Result<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let Some(line) = text.lines().find(|line| line.starts_with(key)) else {
            bail!("no {key} in /proc/{}/status: the program has ended", self.child.id());
        };
        let kib: u64 = line[key.len()..].trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
