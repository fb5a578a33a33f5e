//! `file`: writes requests to a file, as lines of OTLP/JSON or as protobuf.

mod groups;
mod record;
mod rotation;
mod writer;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use anyhow::Context;
use tokio_util::task::AbortOnDropHandle;
use wire::{Chain, Signal};

use crate::component::{About, Component, HostPath, Needs, Status};
use crate::pipeline::{Deliver, Fault, Outcome, Parcel, Policy};
use crate::settings::{GoDuration, Reader, Toggle, settings, words};
use groups::Groups;
use record::Record;
use writer::Writer;

settings! {
    /// Writes requests to a file: a line of OTLP/JSON each, or protobuf. Each request is in the file before it counts as
    /// sent.
    pub struct Config {
        /// The file. With `group_by` it has one `*`, which stands for the value of the attribute.
        required pub path: String,
        /// `json`: a line of OTLP/JSON for each request. `proto`: the request in protobuf, its length in four bytes
        /// (the highest first) before it.
        pub format: Format = Format::Json,
        /// Adds to a file that is there. `false` empties it at the start, unless it is rotated.
        pub append: bool = false,
        /// Compresses each request on its own; it then has its length in four bytes before it, JSON too.
        pub compression: Compression = Compression::None,
        /// How hard to compress.
        pub compression_params: CompressionParams = CompressionParams::default(),
        /// Begins a new file when this one is full, and removes old ones.
        pub rotation: Toggle<rotation::Settings> = Toggle::Off,
        /// Writes a file for each value of an attribute of the resources.
        pub group_by: GroupBy = GroupBy::default(),
        /// Makes the folder of the file when it is missing.
        pub create_directory: bool = false,
        /// Permissions of folders that are made, in octal.
        pub directory_permissions: String = String::new(),
    }
    unsupported { "encoding" => "use `format`" }
    ignored { "flush_interval" => "each request is written at once" }
    check Config::check
}

settings! {
    /// A file for each value of an attribute of the resources.
    pub struct GroupBy {
        /// Turns it on.
        pub enabled: bool = false,
        /// The attribute, which must be text. Items of resources without it are dropped and counted.
        pub resource_attribute: String = "fileexporter.path_segment".to_owned(),
        /// How many files are kept open.
        pub max_open_files: usize = 100,
    }
}

settings! {
    /// How hard to compress.
    pub struct CompressionParams {
        /// The level of zstd, 1 to 22; 0 is its default, 3.
        pub level: i64 = 0,
    }
}

words! {
    /// How a request is written.
    #[derive(Default)]
    pub enum Format {
        /// A line of OTLP/JSON.
        #[default]
        Json = "json",
        /// Protobuf behind its length.
        Proto = "proto",
    }
}

words! {
    /// How a request is compressed.
    #[derive(Default)]
    pub enum Compression {
        /// Not at all.
        #[default]
        None = "none" | "",
        /// With zstd.
        Zstd = "zstd",
    }
}

/// What `directory_permissions` is if it is not written.
const FOLDER_MODE: u32 = 0o755;

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.path.is_empty() {
            cx.error_at("path", "path must be non-empty", "");
        }
        if self.append && self.rotation.is_on() {
            let what = "append and rotation enabled at the same time is not supported";
            cx.error_at("append", what, "remove `append`; a file that is rotated is always added to");
        }
        if !(0..=22).contains(&self.compression_params.level) {
            cx.error_at("compression_params::level", "zstd has the levels 1 to 22", "");
        }
        self.check_permissions(cx);
        if self.group_by.enabled {
            self.check_groups(cx);
        }
    }

    fn check_permissions(&self, cx: &mut Reader<'_>) {
        let key = "directory_permissions";
        if self.folder_mode().is_none() {
            cx.error_at(
                key,
                "directory_permissions value must be a valid octal representation",
                "write it like \"0755\"",
            );
        } else if !self.directory_permissions.is_empty() && !self.create_directory {
            cx.error_at(
                key,
                "directory_permissions requires create_directory to be true",
                "add `create_directory: true`",
            );
        }
    }

    fn check_groups(&self, cx: &mut Reader<'_>) {
        if self.path.matches('*').count() != 1 {
            cx.error_at("path", "path must contain exactly one * when group_by is enabled", "");
        } else if self.path.starts_with('*') {
            cx.error_at("path", "path must not start with * when group_by is enabled", "");
        }
        if self.group_by.resource_attribute.is_empty() {
            let what = "resource_attribute must not be empty when group_by is enabled";
            cx.error_at("group_by::resource_attribute", what, "");
        }
        if self.group_by.max_open_files == 0 {
            let what = "max_open_files must be positive when group_by is enabled";
            cx.error_at("group_by::max_open_files", what, "");
        }
    }

    fn folder_mode(&self) -> Option<u32> {
        match self.directory_permissions.as_str() {
            "" => Some(FOLDER_MODE),
            text => u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777),
        }
    }

    /// No queue, no second attempt, no timeout: the sender hears of it when a request could not be written.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy { queue: Toggle::Off, retry: Toggle::Off, timeout: GoDuration::ZERO }
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "file",
        formerly: None,
        summary: "writes requests to a file, as OTLP/JSON or protobuf",
        status: Status::Beta,
        signals: &Signal::ALL,
    };

    fn needs(&self) -> Needs {
        let path = PathBuf::from(self.path.split('*').next().unwrap_or_default());
        Needs { paths: vec![HostPath { path, writes: true, key: "path" }], ..Needs::default() }
    }
}

/// The exporter. There is one for each signal, and a new one when the configuration is loaded again; all that have the
/// same settings write to the same open file.
#[derive(Debug, Clone)]
pub struct File {
    shared: Arc<Shared>,
}

/// What is open, by its settings.
static OPEN: Mutex<Vec<(Config, Weak<Shared>)>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Shared {
    format: Format,
    /// The level of zstd.
    compression: Option<i32>,
    /// Each resource goes to a file of its own.
    is_grouped: bool,
    target: Arc<tokio::sync::Mutex<Target>>,
}

#[derive(Debug)]
enum Target {
    One(Writer),
    Groups(Groups),
}

// === impl File ===

impl File {
    /// Opens the file, unless it is open.
    ///
    /// # Errors
    /// It cannot be opened, or its folder is missing and is not to be made.
    pub fn open(config: &Config) -> anyhow::Result<File> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, shared)| shared.strong_count() > 0);
        let found = open.iter().find(|(known, _)| known == config).and_then(|(_, shared)| shared.upgrade());
        if let Some(shared) = found {
            return Ok(File { shared });
        }
        let shared = Arc::new(Shared::open(config)?);
        open.push((config.clone(), Arc::downgrade(&shared)));
        Ok(File { shared })
    }
}

impl Deliver for File {
    async fn deliver(&self, parcel: Parcel<'_>) -> Outcome {
        let (shared, signal) = (Arc::clone(&self.shared), parcel.signal);
        // Whoever waits for a turn waits here, and neither with a thread nor after its request was given up.
        let mut target = Arc::clone(&shared.target).lock_owned().await;
        let body = if shared.reads_in_one_piece() { parcel.in_one_piece().await.into() } else { parcel.body.clone() };
        // A file may be slow (a full disk, a network file system), so a thread of the runtime must not wait for it.
        let write = tokio::task::spawn_blocking(move || shared.write(&mut target, signal, &body));
        AbortOnDropHandle::new(write)
            .await
            .unwrap_or_else(|_| Outcome::Retry { error: "the agent is stopping".to_owned(), after: None })
    }
}

impl Shared {
    fn open(config: &Config) -> anyhow::Result<Shared> {
        let rotation = config.rotation.on().cloned();
        let mode = config.folder_mode().unwrap_or(FOLDER_MODE);
        let target = if config.group_by.enabled {
            Target::Groups(Groups::new(config, rotation, mode))
        } else {
            let path = Path::new(&config.path);
            if config.create_directory {
                make_folder_of(path, mode).with_context(|| format!("cannot make the folder of {}", config.path))?;
            }
            let writer = Writer::open(path, config.append, rotation);
            Target::One(writer.with_context(|| format!("cannot open {}", config.path))?)
        };
        let level = i32::try_from(config.compression_params.level).unwrap_or_default();
        let compression = (config.compression == Compression::Zstd).then_some(level);
        Ok(Shared {
            format: config.format,
            compression,
            is_grouped: config.group_by.enabled,
            target: Arc::new(tokio::sync::Mutex::new(target)),
        })
    }

    /// Whether a request is read here, and not only written as it is.
    fn reads_in_one_piece(&self) -> bool {
        self.format == Format::Json || self.is_grouped
    }

    fn write(&self, target: &mut Target, signal: Signal, body: &Chain) -> Outcome {
        let encode = |body: &Chain| Record::new(signal, body, self.format, self.compression);
        match target {
            Target::One(writer) => match encode(body).and_then(|record| writer.write(&record)) {
                Ok(()) => Outcome::Sent,
                Err(error) => failed(writer.path(), &error),
            },
            Target::Groups(groups) => groups.write(signal, body, &encode),
        }
    }
}

/// What an error means for the request: whether there is any use in trying again.
fn failed(path: &Path, error: &io::Error) -> Outcome {
    let text = format!("cannot write to {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::InvalidInput => Outcome::Refused { error: text, fault: Fault::Elsewhere },
        _ => Outcome::Retry { error: text, after: None },
    }
}

fn make_folder_of(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or(Ok(()), |folder| std::fs::DirBuilder::new().recursive(true).mode(mode).create(folder))
}
