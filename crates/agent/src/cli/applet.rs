//! The program under other names: called as `wget` it fetches a page, since the image has nothing else that could.
//!
//! `kubectl exec POD -- wget -O- http://localhost:13133` is what people type. The options are those of busybox that make
//! sense for one GET, with its words and its exit code (1 for whatever goes wrong).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::timeout;

use crate::net::get::{self, Answer, Error, Url};

/// Fetch a page over http://. The agent called by another name: see also `otel-agent healthcheck`.
#[derive(Parser)]
#[command(name = "wget", version, disable_version_flag = true)]
struct Wget {
    /// Write to FILE; - is standard output, which is also where it goes without this
    #[arg(short = 'O', long = "output-document", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Say nothing but the page and errors
    #[arg(short, long, visible_alias = "no-verbose")]
    quiet: bool,
    /// Show the head of the answer
    #[arg(short = 'S', long)]
    server_response: bool,
    /// Give up when nothing comes for this many seconds
    #[arg(short = 'T', long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Try so many times
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=20))]
    tries: u32,
    /// Only see whether it is there
    #[arg(long)]
    spider: bool,
    /// Send this header too
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// What to fetch
    #[arg(value_parser = Url::parse)]
    url: Url,
}

/// A page longer than this is something else than what this is for.
const LONGEST: usize = 64 << 20;

/// If the program was called by the name of an applet, does what that does.
#[must_use]
pub(super) fn called() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = arguments.next()?;
    (Path::new(&name).file_name() == Some(OsStr::new("wget"))).then(wget)
}

fn wget() -> ExitCode {
    // `-nv` is one option of wget and two for the parser.
    let arguments = std::env::args_os().map(|one| if one == "-nv" { "--no-verbose".into() } else { one });
    let arguments = match Wget::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _a_closed_pipe_is_no_reason_to_fail = error.print();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    let mut outcome = Ok(());
    for _ in 0..arguments.tries {
        outcome = block_on(arguments.fetch()).and_then(|fetched| fetched);
        if outcome.is_ok() {
            return ExitCode::SUCCESS;
        }
    }
    if let Err(what) = outcome {
        anstream::eprintln!("wget: {what}");
    }
    ExitCode::FAILURE
}

/// Runs something on a runtime of one thread: there is one connection.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    let done = runtime.block_on(work);
    // A name that is being looked up has a thread of its own, which must not hold up the end.
    runtime.shutdown_background();
    Ok(done)
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write it as `Name: value`")?;
    let name = name.trim().parse::<HeaderName>().map_err(|error| error.to_string())?;
    Ok((name, value.trim().parse::<HeaderValue>().map_err(|error| error.to_string())?))
}

impl Wget {
    async fn fetch(&self) -> Result<(), String> {
        let headers: HeaderMap = self.header.iter().cloned().collect();
        let mut connected = |peer: SocketAddr| self.say(&format!("Connecting to {} ({peer})", self.url.authority()));
        let mut answer = self.patiently(get::get(&self.url, &headers, &mut connected)).await?;
        if self.server_response {
            show(&answer);
        }
        let status = answer.head.status;
        if !status.is_success() {
            let to = answer.head.headers.get(http::header::LOCATION).and_then(|to| to.to_str().ok());
            let to = to.map(|to| format!(" (it points to {to}; that is not followed)")).unwrap_or_default();
            return Err(format!("server returned error: {:?} {status}{to}", answer.head.version));
        }
        if self.spider {
            self.say("remote file exists");
            return Ok(());
        }
        self.write(&mut answer).await
    }

    async fn write(&self, answer: &mut Answer) -> Result<(), String> {
        let file = self.output.as_deref().filter(|path| *path != Path::new("-"));
        let name = file.map_or("standard output".to_owned(), |path| format!("'{}'", path.display()));
        let wrong = |error: io::Error| format!("can't write to {name}: {error}");
        let mut out: Box<dyn Write> = match file {
            Some(path) => Box::new(File::create(path).map_err(wrong)?),
            None => Box::new(io::stdout()),
        };
        self.say(&format!("writing to {name}"));
        let mut length = 0;
        while let Some(piece) = self.patiently(answer.piece()).await? {
            length += piece.len();
            if length > LONGEST {
                return Err(format!("stopped after {} MiB", LONGEST >> 20));
            }
            out.write_all(&piece).map_err(wrong)?;
        }
        out.flush().map_err(wrong)
    }

    async fn patiently<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
        let done = timeout(Duration::from_secs(self.timeout), work).await;
        match done.map_err(|_| "download timed out".to_owned())? {
            Ok(done) => Ok(done),
            Err(Error::Resolve(error)) => Err(format!("bad address '{}': {error}", self.url.host)),
            Err(Error::Connect(tried)) => {
                let list: Vec<String> = tried.iter().map(|(address, error)| format!("({address}): {error}")).collect();
                Err(format!("can't connect to remote host {}", list.join(", ")))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    fn say(&self, line: &str) {
        if !self.quiet {
            anstream::eprintln!("{line}");
        }
    }
}

fn show(answer: &Answer) {
    anstream::eprintln!("  {:?} {}", answer.head.version, answer.head.status);
    for (name, value) in &answer.head.headers {
        anstream::eprintln!("  {name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
}
