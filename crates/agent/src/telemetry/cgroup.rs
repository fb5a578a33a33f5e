//! What the container may use: memory limit and CPU quota, from cgroup v2, v1, or both at once.
//!
//! A limit may stand on the group of the process or on any group above it, so the smallest on the way up counts. All
//! files are read below a root that tests replace.

use std::path::{Path, PathBuf};

/// The limits that the kernel enforces on this process. `None` means that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// CPUs, a fraction allowed: a quota of 50 ms in each 100 ms is 0.5.
    pub cpus: Option<f64>,
}

impl Limits {
    /// The limits of this process.
    #[must_use]
    pub fn of_this_process() -> Self {
        Self::below(Path::new("/"))
    }

    /// The limits as the files below `root` tell them.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        let mut limits = Self::default();
        let groups = read(&root.join("proc/self/cgroup")).unwrap_or_default();
        let mounts = read(&root.join("proc/self/mountinfo")).unwrap_or_default();
        let mounts: Vec<_> = mounts.lines().filter_map(Mount::parse).collect();
        for group in groups.lines().filter_map(Group::parse) {
            for mount in mounts.iter().filter(|mount| mount.holds(&group)) {
                for folder in mount.folders(root, group.path) {
                    limits.lower(group.controllers, &folder);
                }
            }
        }
        limits
    }

    fn lower(&mut self, controllers: Option<&str>, folder: &Path) {
        let (memory, cpus) = match controllers {
            None => (
                read(&folder.join("memory.max")).as_deref().and_then(number),
                read(&folder.join("cpu.max")).as_deref().and_then(cpu_max),
            ),
            Some(_) => (read(&folder.join("memory.limit_in_bytes")).as_deref().and_then(number), cfs_quota(folder)),
        };
        self.memory = smaller(self.memory, memory.filter(|bytes| *bytes < UNLIMITED), u64::min);
        self.cpus = smaller(self.cpus, cpus, f64::min);
    }
}

/// Version 1 says "no limit" as the largest number of pages, whose size in bytes is just under 2^63.
const UNLIMITED: u64 = 1 << 60;

/// How many worker threads the runtime gets: the CPU quota rounded up, at least 1. More than `most` are no use to one
/// agent: its work is short and its connections are few.
#[must_use]
pub fn worker_threads(limits: Limits, available: usize, most: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a quota of CPUs is a small number")]
    let quota = limits.cpus.map_or(available, |cpus| cpus.ceil() as usize);
    quota.min(available).min(most).max(1)
}

/// Memory that percentages refer to: the limit of the cgroup, or else the machine's memory.
#[must_use]
pub fn memory_total(limits: Limits) -> Option<u64> {
    limits.memory.or_else(|| memory_of_machine(&read(Path::new("/proc/meminfo"))?))
}

fn memory_of_machine(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// A line of `/proc/self/cgroup`: `0::/path` is version 2, `4:memory:/path` is version 1.
struct Group<'a> {
    controllers: Option<&'a str>,
    path: &'a str,
}

impl<'a> Group<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let controllers = (!controllers.is_empty()).then_some(controllers);
        let relevant = controllers.is_none_or(|list| list.split(',').any(|name| name == "memory" || name == "cpu"));
        relevant.then_some(Self { controllers, path })
    }
}

/// A line of `/proc/self/mountinfo`, of a cgroup file system.
struct Mount<'a> {
    /// The group that is mounted; not `/` in a container that sees only its own part of the tree.
    group: &'a str,
    point: &'a str,
    version_1: Option<&'a str>,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (group, point) = (place.next()?, place.next()?);
        let mut kind = kind.split(' ');
        let version_1 = match kind.next()? {
            "cgroup2" => None,
            "cgroup" => Some(kind.nth(1)?),
            _ => return None,
        };
        Some(Self { group, point, version_1 })
    }

    /// Whether this is the hierarchy that the group is in.
    fn holds(&self, group: &Group<'_>) -> bool {
        match (self.version_1, group.controllers) {
            (None, None) => true,
            (Some(options), Some(controllers)) => {
                controllers.split(',').all(|controller| options.split(',').any(|option| option == controller))
            }
            _ => false,
        }
    }

    /// The folder of the group and those above it, up to the mount point.
    fn folders(&self, root: &Path, group: &str) -> Vec<PathBuf> {
        let point = root.join(self.point.trim_start_matches('/'));
        let inside = Path::new(group).strip_prefix(self.group).unwrap_or(Path::new(""));
        // A path that leads out of the namespace (`/../..`) belongs to a process that was moved in: only the mount point
        // tells anything.
        let inside = if group.contains("..") { Path::new("") } else { inside };
        let depth = inside.components().count();
        point.join(inside).ancestors().take(depth + 1).map(Path::to_owned).collect()
    }
}

fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `50000 100000` is half a CPU; `max 100000` is no limit.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    share(quota.parse().ok()?, period.parse().ok()?)
}

fn cfs_quota(folder: &Path) -> Option<f64> {
    // -1 is no limit, and does not parse as a number without sign.
    let quota = number(&read(&folder.join("cpu.cfs_quota_us"))?)?;
    share(quota, number(&read(&folder.join("cpu.cfs_period_us"))?)?)
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a period fit")]
fn share(quota: u64, period: u64) -> Option<f64> {
    (quota > 0 && period > 0).then(|| quota as f64 / period as f64)
}

fn smaller<T>(held: Option<T>, found: Option<T>, min: fn(T, T) -> T) -> Option<T> {
    match (held, found) {
        (Some(held), Some(found)) => Some(min(held, found)),
        (held, found) => held.or(found),
    }
}

fn read(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const V1: &str = "\
        31 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
        35 30 0:32 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        36 30 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        24 1 8:1 / / rw - ext4 /dev/sda1 rw\n";

    fn check(groups: &str, mounts: &str, files: &[(&str, &str)], memory: Option<u64>, cpus: Option<f64>) {
        let root = tempfile::tempdir().unwrap();
        let fixed = [("proc/self/cgroup", groups), ("proc/self/mountinfo", mounts)];
        for (path, content) in fixed.iter().chain(files) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        assert_eq!(Limits::below(root.path()), Limits { memory, cpus });
    }

    #[test]
    fn version_2_in_a_container_with_its_own_namespace() {
        let files = [("sys/fs/cgroup/memory.max", "134217728\n"), ("sys/fs/cgroup/cpu.max", "50000 100000\n")];
        check("0::/\n", V2, &files, Some(128 << 20), Some(0.5));
    }

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
        let files = [
            ("sys/fs/cgroup/kubepods/pod1/agent/memory.max", "max\n"),
            ("sys/fs/cgroup/kubepods/pod1/agent/cpu.max", "300000 100000\n"),
            ("sys/fs/cgroup/kubepods/pod1/memory.max", "1000000\n"),
            ("sys/fs/cgroup/kubepods/pod1/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/kubepods/memory.max", "2000000\n"),
            ("sys/fs/cgroup/kubepods/cpu.max", "200000 100000\n"),
        ];
        check("0::/kubepods/pod1/agent\n", V2, &files, Some(1_000_000), Some(2.0));
    }

    #[test]
    fn version_1_with_a_mount_of_the_containers_own_part() {
        let mounts = V1.replace("0:33 /", "0:33 /docker/abc").replace("0:32 /", "0:32 /docker/abc");
        let files = [
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ];
        let groups = "9:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n";
        check(groups, &mounts, &files, Some(256 << 20), Some(1.5));
    }

    #[test]
    fn no_limit_is_recognised_in_both_versions() {
        check(
            "0::/\n",
            V2,
            &[("sys/fs/cgroup/memory.max", "max"), ("sys/fs/cgroup/cpu.max", "max 100000")],
            None,
            None,
        );
        let files = [
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ];
        check("9:memory:/\n3:cpu,cpuacct:/\n", V1, &files, None, None);
    }

    #[test]
    fn hybrid_systems_have_memory_in_version_1_and_may_have_cpu_in_version_2() {
        let files = [
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "4096000\n"),
            ("sys/fs/cgroup/unified/a/cpu.max", "100000 100000\n"),
        ];
        check("9:memory:/a\n0::/a\n", V1, &files, Some(4_096_000), Some(1.0));
    }

    #[test]
    fn a_process_moved_in_from_outside_reads_the_mount_point_and_nothing_outside_the_root() {
        check("0::/../../other\n", V2, &[("sys/fs/cgroup/memory.max", "5000")], Some(5000), None);
    }

    #[test]
    fn a_system_without_cgroups_has_no_limits() {
        check("", "", &[], None, None);
        check("garbage\n::\n0::\n", "short - cgroup\n - \n", &[], None, None);
    }

    #[test]
    fn worker_threads_follow_the_quota_within_what_is_there() {
        let with = |cpus| worker_threads(Limits { memory: None, cpus }, 8, 4);
        assert_eq!([with(Some(0.1)), with(Some(1.2)), with(Some(64.0)), with(None)], [1, 2, 4, 4]);
        assert_eq!(worker_threads(Limits::default(), 1, 4), 1);
    }

    #[test]
    fn the_machines_memory_is_read_from_meminfo() {
        assert_eq!(memory_of_machine("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(memory_of_machine("MemFree: 1 kB\n"), None);
    }
}
