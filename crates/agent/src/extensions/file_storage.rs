//! `file_storage`: a directory in which what exporters have acknowledged is kept until it is sent.

use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::component::{About, Component, HostPath, Needs, Role, Status};
use crate::pipeline::journal::{self, Journal};
use crate::settings::{ByteSize, GoDuration, Node, Reader, Setting, Shape, Yaml, settings};
use crate::telemetry::Metrics;

settings! {
    /// A directory in which data is kept until it is sent. An exporter that names this extension in
    /// `sending_queue::storage` has everything on disk before it is acknowledged, from the door on: also what the `batch`
    /// processor holds survives `kill -9`. After a crash some items may be sent twice. The directory belongs to one agent.
    pub struct Config {
        /// Where. On a node it must come from a volume (`hostPath`), or it goes with the pod.
        pub directory: String = "/var/lib/otelcol/file_storage".to_owned(),
        /// How long to wait at the start for another process that uses the directory still.
        pub timeout: GoDuration = GoDuration::secs(1),
        /// The most that everything in the directory takes. When it is full, senders are told to come back. 0: 1 GiB, there is
        /// always a bound.
        pub max_size: ByteSize = ByteSize::mib(1024),
        /// What a power failure or a crash of the node may cost; the end of the process (`kill -9`, an OOM kill) costs
        /// nothing with any of them. `always` (or `true`): nothing, each answer waits for the disk. `interval` (or `false`,
        /// as nothing written): what came in during the last `fsync_interval`. `never`: what the system had not written
        /// yet, usually half a minute.
        pub fsync: Fsync = Fsync(journal::Fsync::Interval),
        /// How often the disk is told to keep what was written, with `fsync: interval`. Ours.
        pub fsync_interval: GoDuration = GoDuration::secs(1),
        /// Makes the directory when it is missing.
        pub create_directory: bool = false,
        /// Permissions of a directory that is made, in octal.
        pub directory_permissions: String = "0750".to_owned(),
    }
    ignored {
        "compaction" => "files are small and removed when everything in them is sent; there is nothing to compact",
        "recreate" => "what is damaged is left out with a report, and the rest is used",
    }
    check Config::check
}

/// When what was written survives a power failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fsync(pub journal::Fsync);

impl Fsync {
    const WORDS: [(&'static str, journal::Fsync); 3] =
        [("always", journal::Fsync::Always), ("interval", journal::Fsync::Interval), ("never", journal::Fsync::Never)];
}

impl Setting for Fsync {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let found = match &node.value {
            Yaml::Bool(true) => Some(journal::Fsync::Always),
            Yaml::Bool(false) => Some(journal::Fsync::Interval),
            Yaml::Str(text) => {
                let word = |(word, _): &&(&str, journal::Fsync)| text.eq_ignore_ascii_case(word);
                Self::WORDS.iter().find(word).map(|(_, fsync)| *fsync)
            }
            _ => None,
        };
        if found.is_none() {
            cx.unexpected(&Self::shape());
        }
        found.map(Fsync)
    }

    fn write(&self) -> Option<Yaml> {
        let word = Self::WORDS.iter().find(|(_, fsync)| *fsync == self.0)?.0;
        Some(Yaml::Str(word.to_owned()))
    }

    fn shape() -> Shape {
        Shape::plain("one of `always`, `interval`, `never`, `true`, `false`", "always")
    }
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "file_storage",
        formerly: None,
        summary: "Keeps data on disk until it is sent.",
        status: Status::Beta,
        signals: &[],
    };

    fn needs(&self) -> Needs {
        let path = HostPath { path: self.directory.as_str().into(), writes: true, key: "directory" };
        Needs { paths: vec![path], ..Needs::default() }
    }

    fn offers(&self) -> &'static [Role] {
        &[Role::Storage]
    }
}

/// What `max_size: 0` stands for.
const USUAL_SIZE: u64 = 1 << 30;
/// Below this there is no room for a few requests beside what keeping order takes.
const LEAST_SIZE: u64 = 1 << 20;

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.directory.is_empty() {
            cx.error_at("directory", "directory must be specified", "write a directory that is on a volume");
        }
        if (1..LEAST_SIZE).contains(&self.max_size.as_u64()) {
            cx.error_at("max_size", "max_size is too small to work with", "write 1MiB at least, or remove it");
        }
        if self.fsync_interval.positive().is_none() {
            cx.error_at("fsync_interval", "fsync_interval must be positive", "write `fsync: always` or `fsync: never`");
        }
        if self.timeout.is_negative() {
            cx.error_at("timeout", "timeout must not be negative", "");
        }
        if self.create_directory && self.mode().is_none() {
            let what = "directory_permissions value must be a valid octal representation of file permissions";
            cx.error_at("directory_permissions", what, "write it like \"0750\"");
        }
    }

    fn mode(&self) -> Option<u32> {
        u32::from_str_radix(&self.directory_permissions, 8).ok().filter(|mode| *mode <= 0o777)
    }

    /// How the journal is kept.
    #[must_use]
    pub fn options(&self) -> journal::Options {
        journal::Options {
            directory: self.directory.as_str().into(),
            max_bytes: if self.max_size.as_u64() == 0 { USUAL_SIZE } else { self.max_size.as_u64() },
            fsync: self.fsync.0,
            interval: self.fsync_interval.to_std(),
            patience: self.timeout.to_std(),
        }
    }

    /// Opens the journal, and makes the directory if it was told to.
    ///
    /// # Errors
    /// The directory is missing, is none, or cannot be used.
    pub fn open(&self, id: &str, metrics: &Metrics) -> anyhow::Result<Journal> {
        let directory = Path::new(&self.directory);
        match std::fs::metadata(directory) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => bail!("{} is not a directory", self.directory),
            Err(error) if error.kind() == ErrorKind::NotFound && self.create_directory => {
                let mode = self.mode().context("directory_permissions")?;
                let made = DirBuilder::new().recursive(true).mode(mode).create(directory);
                made.with_context(|| format!("cannot make the directory {}", self.directory))?;
            }
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "directory must exist: stat {}: no such file or directory. You can enable the create_directory option to \
                 automatically create it",
                self.directory
            ),
            Err(error) => bail!("problem accessing configured directory: {}, err: {error}", self.directory),
        }
        Journal::open(id, self.options(), metrics).with_context(|| {
            format!("the journal in {} cannot be used; the agent must be able to write there, alone", self.directory)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::read_text;

    #[test]
    fn the_collectors_keys_are_read_and_its_two_words_for_fsync_have_a_meaning() {
        let of = |yaml: &str| read_text::<Config>(yaml).map(|config| config.fsync.0);
        assert_eq!(of(""), Ok(journal::Fsync::Interval));
        assert_eq!(of("fsync: false"), Ok(journal::Fsync::Interval));
        assert_eq!(of("fsync: true"), Ok(journal::Fsync::Always));
        assert_eq!(of("fsync: Never"), Ok(journal::Fsync::Never));
        let all = "{directory: /d, timeout: 2s, max_size: 0, create_directory: true, directory_permissions: '0700', \
                   recreate: true, compaction: {on_start: true, directory: /tmp, max_transaction_size: 10}}";
        let config: Config = read_text(all).unwrap();
        assert_eq!((config.options().max_bytes, config.mode()), (1 << 30, Some(0o700)));
    }

    #[test]
    fn what_cannot_work_is_said() {
        for (yaml, expected) in [
            ("fsync: sometimes", "fsync: expected one of `always`"),
            ("directory: ''", "directory: directory must be specified"),
            ("max_size: 1000", "max_size: max_size is too small"),
            ("fsync_interval: 0s", "fsync_interval: fsync_interval must be positive"),
            (
                "{create_directory: true, directory_permissions: '0888'}",
                "directory_permissions value must be a valid octal",
            ),
        ] {
            let problems = read_text::<Config>(yaml).unwrap_err();
            assert!(problems.contains(expected), "{yaml}: {problems}");
        }
    }

    #[test]
    fn a_directory_is_made_only_if_asked_for_and_the_words_are_the_collectors() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        let open = |yaml: String| {
            let config: Config = read_text(&yaml).unwrap();
            config.open("file_storage", &Metrics::new()).map(|_| ()).map_err(|error| format!("{error:#}"))
        };
        let error = open(format!("directory: {}", missing.display())).unwrap_err();
        assert!(
            error.starts_with("directory must exist: stat ") && error.contains("create_directory option"),
            "{error}"
        );
        open(format!("{{directory: {}, create_directory: true}}", missing.display())).unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = open(format!("directory: {}", file.display())).unwrap_err();
        assert!(error.ends_with("file is not a directory"), "{error}");
    }

    #[test]
    fn a_directory_is_used_by_one_journal_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let config: Config = read_text(&format!("{{directory: {}, timeout: 50ms}}", folder.path().display())).unwrap();
        let first = config.open("file_storage", &Metrics::new()).unwrap();
        let error = format!("{:#}", config.open("file_storage/2", &Metrics::new()).unwrap_err());
        assert!(error.contains("still in use by another process"), "{error}");
        drop(first);
        read_text::<Config>(&format!("{{directory: {}, timeout: 5s}}", folder.path().display()))
            .unwrap()
            .open("file_storage", &Metrics::new())
            .unwrap();
    }
}
