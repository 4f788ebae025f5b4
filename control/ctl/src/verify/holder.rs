//! Whether a process holds the ledger, learned without taking its lock.
//!
//! Taking the lock even for a moment could keep a node from starting, so `/proc/locks` is read
//! (proc_locks(5)): one line for each lock, with the holder's process and the file's device and inode.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use rustix::fs::{major, minor};
use serde::Serialize;

/// Who holds a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// The process; it may be gone while its last writes are still on their way.
    pub pid: u32,
}

/// The holder of the lock file at `path`, if there is one.
pub(crate) fn of(path: &Path) -> Option<Holder> {
    let metadata = fs::metadata(path).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let noted = fs::read_to_string(path).ok().and_then(|note| noted(&note));
    let device = (major(metadata.dev()), minor(metadata.dev()));
    locks.lines().find_map(|line| holder(line, device, metadata.ino(), noted))
}

/// The process that the holder's note names.
fn noted(note: &str) -> Option<u32> {
    note.trim().strip_prefix("process ")?.parse().ok()
}

/// The holder in one line such as `4: FLOCK  ADVISORY  WRITE 1234 08:02:130 0 EOF`. Some file systems
/// give files another device than locks; there the holder's own note decides.
fn holder(line: &str, device: (u32, u32), inode: u64, noted: Option<u32>) -> Option<Holder> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [_, "FLOCK", _, "WRITE", pid, place, ..] = words.as_slice() else { return None };
    let mut parts = place.split(':');
    let mut number = |radix| u64::from_str_radix(parts.next()?, radix).ok();
    let (found_major, found_minor, found_inode) = (number(16)?, number(16)?, number(10)?);
    let pid = pid.parse().ok()?;
    let same_device = (found_major, found_minor) == (u64::from(device.0), u64::from(device.1));
    (found_inode == inode && (same_device || noted == Some(pid))).then_some(Holder { pid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_seen_without_touching_its_lock() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        assert_eq!(of(&path), None);
        let lock = disk::DirectoryLock::acquire(&path, &format!("process {}", std::process::id())).unwrap();
        assert_eq!(of(&path), Some(Holder { pid: std::process::id() }));
        drop(lock);
        assert_eq!(of(&path), None);
    }

    #[test]
    fn only_a_held_write_lock_on_this_file_counts() {
        let of_line = |line: &str| holder(line, (8, 2), 130, Some(99)).map(|holder| holder.pid);
        assert_eq!(of_line("4: FLOCK  ADVISORY  WRITE 1234 08:02:130 0 EOF"), Some(1234));
        assert_eq!(of_line("4: FLOCK  ADVISORY  WRITE 99 00:2a:130 0 EOF"), Some(99));
        for line in [
            "4: FLOCK  ADVISORY  WRITE 1234 00:2a:130 0 EOF",
            "4: FLOCK  ADVISORY  WRITE 1234 08:02:131 0 EOF",
            "4: POSIX  ADVISORY  WRITE 1234 08:02:130 0 EOF",
            "4: -> FLOCK  ADVISORY  WRITE 1234 08:02:130 0 EOF",
            "",
        ] {
            assert_eq!(of_line(line), None, "{line}");
        }
    }
}
