//! Full files: what they are called afterwards, and which of them are removed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::settings::settings;

settings! {
    /// When a new file begins, and what becomes of full ones. A full file has the time in its name:
    /// `data-2022-09-14T05-02-14.173.json`.
    pub struct Settings {
        /// The size at which a file is full, in MiB.
        pub max_megabytes: u64 = 100,
        /// How many full files are kept; 0 keeps all.
        pub max_backups: usize = 100,
        /// For how many days full files are kept; 0 is for ever.
        pub max_days: u64 = 0,
        /// Writes the local time into the names, instead of UTC.
        pub localtime: bool = false,
    }
}

const TIME_FORMAT: &str = "%Y-%m-%dT%H-%M-%S";

impl Settings {
    /// The size at which a file is full. 0 is the default, as in the Collector.
    pub(super) fn max_bytes(&self) -> u64 {
        let megabytes = if self.max_megabytes == 0 { 100 } else { self.max_megabytes };
        megabytes.saturating_mul(1 << 20)
    }

    fn zone(&self) -> TimeZone {
        if self.localtime { TimeZone::system() } else { TimeZone::UTC }
    }
}

/// What the file is called once it is full: a name that no file has.
pub(super) fn backup_path(path: &Path, settings: &Settings) -> PathBuf {
    let zone = settings.zone();
    let mut time = Timestamp::now();
    loop {
        let backup = name_at(path, time.to_zoned(zone.clone()).datetime());
        if !backup.exists() {
            return backup;
        }
        time += 1.millisecond();
    }
}

fn name_at(path: &Path, time: DateTime) -> PathBuf {
    let (stem, extension) = parts(path);
    let milliseconds = time.millisecond();
    path.with_file_name(format!("{stem}{}.{milliseconds:03}{extension}", time.strftime(TIME_FORMAT)))
}

/// What stands before and behind the time in the names of full files: `data-` and `.json`.
fn parts(path: &Path) -> (String, String) {
    let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
    let extension = path.extension().map_or(String::new(), |extension| format!(".{}", text(Some(extension))));
    (format!("{}-", text(path.file_stem())), extension)
}

/// Removes full files that are too many or too old. That it fails is said and does not keep anything from being written.
pub(super) fn remove_old(path: &Path, settings: &Settings) {
    if let Err(error) = try_remove_old(path, settings) {
        tracing::warn!(path = %path.display(), error = %error, "cannot remove old files of the file exporter");
    }
}

fn try_remove_old(path: &Path, settings: &Settings) -> io::Result<()> {
    let mut backups = backups(path)?;
    backups.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    let oldest = match settings.max_days {
        0 => None,
        days => SystemTime::now().checked_sub(Duration::from_secs(days.saturating_mul(24 * 3600))),
    };
    let oldest = oldest.and_then(|time| Timestamp::try_from(time).ok());
    let oldest = oldest.map(|time| time.to_zoned(settings.zone()).datetime());
    for (index, (time, backup)) in backups.iter().enumerate() {
        let too_many = settings.max_backups > 0 && index >= settings.max_backups;
        if too_many || oldest.is_some_and(|oldest| *time < oldest) {
            std::fs::remove_file(backup)?;
        }
    }
    Ok(())
}

/// The full files beside this one, with the times in their names.
fn backups(path: &Path) -> io::Result<Vec<(DateTime, PathBuf)>> {
    let (before, behind) = parts(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let time = name.to_str().and_then(|name| name.strip_prefix(&before)?.strip_suffix(&behind));
        if let Some(time) = time.and_then(parse_time) {
            found.push((time, entry.path()));
        }
    }
    Ok(found)
}

fn parse_time(text: &str) -> Option<DateTime> {
    let (seconds, milliseconds) = text.split_once('.')?;
    let milliseconds: i16 = (milliseconds.len() == 3).then(|| milliseconds.parse().ok()).flatten()?;
    DateTime::strptime(TIME_FORMAT, seconds).ok()?.with().millisecond(milliseconds).build().ok()
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use jiff::civil::date;

    use super::{name_at, parse_time};

    #[test]
    fn a_full_file_has_the_time_in_its_name() {
        let time = date(2022, 9, 14).at(5, 2, 14, 173_000_000);
        let check = |path: &str, expected: &str| assert_eq!(name_at(Path::new(path), time), PathBuf::from(expected));
        check("/var/out/data.json", "/var/out/data-2022-09-14T05-02-14.173.json");
        check("data", "data-2022-09-14T05-02-14.173");
        assert_eq!(parse_time("2022-09-14T05-02-14.173"), Some(time));
        assert_eq!(parse_time("2022-09-14"), None);
        assert_eq!(parse_time("backup.old"), None);
    }
}
