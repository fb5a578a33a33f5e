//! The agent as a child process: started with a configuration on free ports, asked over HTTP, stopped with a signal.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// A running agent. Killed when dropped.
pub struct AgentProcess {
    child: Child,
    folder: tempfile::TempDir,
    /// Where it takes OTLP over gRPC.
    pub grpc: SocketAddr,
    /// Where it takes OTLP over HTTP.
    pub http: SocketAddr,
    health: SocketAddr,
    metrics: SocketAddr,
}

/// An answer over HTTP/1.1.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Head and body, as they came.
    pub text: String,
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(30);

impl AgentProcess {
    /// Starts `binary` with a configuration in which `GRPC`, `HTTP`, `HEALTH` and `METRICS_PORT` stand for free
    /// addresses (the last one for a port), and waits until it is ready.
    ///
    /// # Errors
    /// It ended or did not get ready; the error has its log.
    pub fn start(binary: &str, config: &str) -> Result<Self> {
        let (grpc, http, health, metrics) = (free_address()?, free_address()?, free_address()?, free_address()?);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("agent.yaml");
        std::fs::write(&path, fill(config, grpc, http, health, metrics))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new(binary)
            .args(["--drain-timeout", "5s", "--config"])
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("starting {binary}"))?;
        let mut agent = Self { child, folder, grpc, http, health, metrics };
        agent.wait_ready()?;
        Ok(agent)
    }

    /// Writes another configuration to its file and tells it so with SIGHUP.
    ///
    /// # Errors
    /// The file cannot be written, or the process has ended.
    pub fn reload(&self, config: &str) -> Result<()> {
        std::fs::write(self.config_path(), fill(config, self.grpc, self.http, self.health, self.metrics))?;
        self.signal("-HUP")
    }

    /// The file it was started with.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("agent.yaml")
    }

    /// Everything it has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Waits until a text stands in its log.
    ///
    /// # Errors
    /// It did not come; the error has the log.
    pub fn wait_for_log(&self, text: &str) -> Result<()> {
        self.wait_for_log_times(text, 1)
    }

    /// Waits until a text stands in its log so many times.
    ///
    /// # Errors
    /// It did not come that often; the error has the log.
    pub fn wait_for_log_times(&self, text: &str, times: usize) -> Result<()> {
        let start = Instant::now();
        while self.log()?.matches(text).count() < times {
            ensure!(start.elapsed() < PATIENCE, "`{text}` did not come {times} times in the log:\n{}", self.log()?);
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The answer of the health page.
    ///
    /// # Errors
    /// Nothing answers.
    pub fn health(&self) -> Result<Answer> {
        self.ask_health("/")
    }

    /// The answer of the health page for a path.
    ///
    /// # Errors
    /// Nothing answers.
    pub fn ask_health(&self, path: &str) -> Result<Answer> {
        request(self.health, "GET", path, "", b"")
    }

    /// Sends SIGTERM and does not wait for the end.
    ///
    /// # Errors
    /// It has ended already.
    pub fn begin_to_stop(&self) -> Result<()> {
        self.signal("-TERM")
    }

    /// The series of the own metrics: name with labels, and value.
    ///
    /// # Errors
    /// Nothing answers.
    pub fn metrics(&self) -> Result<BTreeMap<String, f64>> {
        let text = request(self.metrics, "GET", "/metrics", "", b"")?.text;
        let lines = text.lines().filter(|line| line.starts_with("otel"));
        Ok(lines
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect())
    }

    /// The sum of all series of one metric.
    ///
    /// # Errors
    /// Nothing answers.
    pub fn sum(&self, metric: &str) -> Result<f64> {
        let of = |name: &str| name.strip_prefix(metric).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        Ok(self.metrics()?.iter().filter(|(name, _)| of(name)).map(|(_, value)| value).sum())
    }

    /// Checks that every accepted item was sent, was dropped with a reason, is held, or is kept for later, and that none is unaccounted for.
    ///
    /// # Errors
    /// It does not balance; the error has the figures.
    pub fn ledger_balances(&self) -> Result<()> {
        let metrics = self.metrics()?;
        let sum = |metric: &str| -> f64 {
            let of = metrics.iter().filter(|(name, _)| name.starts_with(metric));
            of.map(|(_, value)| value).sum()
        };
        let [accepted, sent, dropped, held, kept] =
            ["accepted", "sent", "dropped", "held", "kept"].map(|what| sum(&format!("otel_agent_ledger_{what}_items")));
        let unaccounted: f64 =
            metrics.iter().filter(|(name, _)| name.contains("unaccounted")).map(|(_, value)| value).sum();
        ensure!(
            accepted == sent + dropped + held + kept && unaccounted == 0.0,
            "accepted {accepted}, sent {sent}, dropped {dropped}, held {held}, kept {kept}, unaccounted {unaccounted}"
        );
        Ok(())
    }

    /// Posts a body to the HTTP receiver.
    ///
    /// # Errors
    /// Nothing answers.
    pub fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Answer> {
        request(self.http, "POST", path, &format!("content-type: {content_type}\r\n"), body)
    }

    /// The most memory that it was resident in so far, in bytes.
    ///
    /// # Errors
    /// It has ended, or this is not Linux.
    pub fn peak_memory(&self) -> Result<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<usize>()? * 1024)
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// It did not end in time.
    pub fn terminate(mut self) -> Result<(ExitStatus, String)> {
        self.signal("-TERM")?;
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, self.log()?));
            }
            ensure!(start.elapsed() < PATIENCE, "SIGTERM did not end it:\n{}", self.log()?);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once, without a chance to do anything (`kill -9`).
    ///
    /// # Errors
    /// It has ended already.
    pub fn kill(&self) -> Result<()> {
        self.signal("-KILL")
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status()?;
        ensure!(status.success(), "kill {signal}: {status}");
        Ok(())
    }

    fn wait_ready(&mut self) -> Result<()> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the agent ended ({status}) before it was ready:\n{}", self.log()?);
            }
            if self.health().is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            ensure!(start.elapsed() < PATIENCE, "the agent did not get ready:\n{}", self.log()?);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for AgentProcess {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Runs a program to its end: exit code, standard output, standard error.
///
/// # Errors
/// It cannot be started.
pub fn run(binary: &str, arguments: &[&str], folder: &Path) -> Result<(i32, String, String)> {
    let output = Command::new(binary).args(arguments).current_dir(folder).stdin(Stdio::null()).output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr)))
}

/// An address of loopback on which nobody listens, for a program that is to do so. Each is given out once in this process, and none is
/// of those that the kernel gives to others meanwhile: they are below the range for outgoing connections.
///
/// # Errors
/// None is free.
pub fn free_address() -> Result<SocketAddr> {
    const FROM: u16 = 20_000;
    const COUNT: u16 = 12_000;
    // Several processes do this at the same time, and begin at different places.
    static NEXT: LazyLock<AtomicU16> =
        LazyLock::new(|| AtomicU16::new((std::process::id().wrapping_mul(2_654_435_761) >> 16) as u16 % COUNT));
    (0..COUNT)
        .map(|_| SocketAddr::from(([127, 0, 0, 1], FROM + NEXT.fetch_add(1, Relaxed) % COUNT)))
        .find(|address| TcpListener::bind(address).is_ok())
        .context("no port of loopback is free")
}

fn fill(config: &str, grpc: SocketAddr, http: SocketAddr, health: SocketAddr, metrics: SocketAddr) -> String {
    config
        .replace("METRICS_PORT", &metrics.port().to_string())
        .replace("GRPC", &grpc.to_string())
        .replace("HTTP", &http.to_string())
        .replace("HEALTH", &health.to_string())
}

fn request(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    )?;
    stream.write_all(body)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|code| code.parse().ok()).context("not an HTTP answer")?;
    Ok(Answer { status, text })
}
