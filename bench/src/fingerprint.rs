//! On what a figure was measured: without this it means nothing on another day.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

/// The machine, the kernel, the file system under the data, and the build.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fingerprint {
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may run on.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The frequency governor, or `none` (as in most virtual machines).
    pub governor: String,
    /// How many processor weaknesses the kernel works around, and how many stay open.
    pub mitigations: String,
    /// The file system's type.
    pub filesystem: String,
    /// Its mount options, its own and the mount's.
    pub mount_options: String,
    /// The device that it is on.
    pub device: String,
    /// The build profile: `release`, `dist`, ...
    pub profile: String,
    /// The commit that was built.
    pub commit: String,
    /// Peers that a scenario compares with and that this host lacks.
    pub missing_peers: Vec<String>,
    /// What else a scenario says about its surroundings.
    #[serde(flatten)]
    pub more: BTreeMap<String, Value>,
}

impl Fingerprint {
    /// Takes it, with the file system under `data`.
    #[must_use]
    pub fn take(data: &Path) -> Self {
        let data = fs::canonicalize(data).unwrap_or_else(|_| data.to_path_buf());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mount = Mount::over(&mounts, &data).unwrap_or_default();
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_mib: kibibytes(&field("/proc/meminfo", "MemTotal")) / 1024,
            kernel: line("/proc/sys/kernel/osrelease"),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            mitigations: mitigations(),
            filesystem: mount.filesystem,
            mount_options: mount.options,
            device: mount.device,
            profile: env!("BENCH_PROFILE").to_owned(),
            commit: env!("BENCH_COMMIT").to_owned(),
            missing_peers: Vec::new(),
            more: BTreeMap::new(),
        }
    }
}

/// A line of `/proc/self/mountinfo`.
#[derive(Debug, Default, PartialEq)]
struct Mount {
    filesystem: String,
    options: String,
    device: String,
}

impl Mount {
    /// The mount that `path` is on: the longest mount point above it, the last of equals.
    fn over(mounts: &str, path: &Path) -> Option<Mount> {
        let above = mounts.lines().filter_map(|line| {
            // id parent major:minor root point options [tags] - filesystem source superoptions
            let (mount, file_system) = line.split_once(" - ")?;
            let mut mount = mount.split(' ').skip(4);
            let (point, options) = (unescaped(mount.next()?), mount.next()?);
            let mut file_system = file_system.split(' ');
            let (filesystem, device) = (file_system.next()?, file_system.next()?);
            let own = file_system.next().unwrap_or_default();
            path.starts_with(&point).then(|| {
                let mount = Mount {
                    filesystem: filesystem.to_owned(),
                    options: format!("{options};{own}"),
                    device: device.to_owned(),
                };
                (point.len(), mount)
            })
        });
        above.max_by_key(|(len, _)| *len).map(|(_, mount)| mount)
    }
}

/// A mount point as the kernel writes it, with its octal escapes undone.
fn unescaped(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
}

/// The first line of a file, or `none`.
fn line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().map_or_else(|| "none".to_owned(), |line| line.trim().to_owned())
}

/// The value of a `name : value` line, or `unknown`.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let value = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
    value.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// The number of `16384 kB`.
fn kibibytes(text: &str) -> u64 {
    text.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn mitigations() -> String {
    let Ok(entries) = fs::read_dir("/sys/devices/system/cpu/vulnerabilities") else {
        return "unknown".to_owned();
    };
    let states: Vec<String> =
        entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok()).collect();
    let count = |word| states.iter().filter(|state| state.starts_with(word)).count();
    format!("{} mitigated, {} vulnerable", count("Mitigation"), count("Vulnerable"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
30 22 0:26 / /dev/shm rw,nosuid shared:9 - tmpfs tmpfs rw,inode64
40 22 7:0 / /mnt/my\\040disk rw,noatime - xfs /dev/loop0 rw,attr2
41 22 7:1 / /mnt/my\\040disk ro - xfs /dev/loop1 ro
";

    #[test]
    fn the_nearest_and_last_mount_counts() {
        let cases = [
            ("/home/data", "ext4", "/dev/vda", "rw,relatime;rw,discard"),
            ("/dev/shm/ron", "tmpfs", "tmpfs", "rw,nosuid;rw,inode64"),
            ("/dev/shmem", "ext4", "/dev/vda", "rw,relatime;rw,discard"),
            ("/mnt/my disk/x", "xfs", "/dev/loop1", "ro;ro"),
        ];
        for (path, filesystem, device, options) in cases {
            let mount = Mount::over(MOUNTS, Path::new(path)).unwrap();
            assert_eq!((mount.filesystem.as_str(), mount.device.as_str()), (filesystem, device), "{path}");
            assert_eq!(mount.options, options, "{path}");
        }
        assert_eq!(Mount::over("garbage\n", Path::new("/")), None);
    }

    #[test]
    fn this_host_has_a_fingerprint() {
        let taken = Fingerprint::take(Path::new("."));
        assert!(taken.cores > 0 && taken.memory_mib > 0);
        for text in [&taken.kernel, &taken.filesystem, &taken.profile, &taken.commit] {
            assert!(!text.is_empty(), "{taken:?}");
        }
    }
}
