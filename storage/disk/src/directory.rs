//! Names on disk: private directories, listing, renaming, and small files replaced in one step.
//!
//! Holds: a function that returns `Ok` has made its change durable, names included. Everything that
//! is made here belongs to the owner alone (0700, 0600).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::direct::refuse_special;
use crate::error::{DiskError, Operation, errno_of};

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the directory.
    pub name: String,
    /// Whether it is an ordinary file (not a directory, a link or a socket).
    pub is_file: bool,
    /// Its length in bytes.
    pub len_bytes: u64,
}

/// Makes `path` with mode 0700, and its missing parents likewise; true if it was not there.
///
/// An existing directory keeps its mode.
///
/// # Errors
/// What the kernel refuses; `ENOTDIR` if `path` is something else.
pub fn create_private_dir(path: &Path) -> Result<bool, DiskError> {
    if path.is_dir() {
        return Ok(false);
    }
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        create_private_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {
            sync_parent(path)?;
            Ok(true)
        }
        // Somebody was faster, or it is not a directory.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            if path.is_dir() {
                Ok(false)
            } else {
                Err(DiskError::file(Operation::CreateDirectory, path, Errno::NOTDIR))
            }
        }
        Err(error) => Err(failed(Operation::CreateDirectory, path, &error)),
    }
}

/// Makes the names in `path` durable (`fsync(2)` of the directory).
///
/// # Errors
/// What the kernel refuses.
pub fn sync_directory(path: &Path) -> Result<(), DiskError> {
    let directory = File::open(path).map_err(|error| failed(Operation::SyncDirectory, path, &error))?;
    directory.sync_all().map_err(|error| failed(Operation::SyncDirectory, path, &error))
}

/// What is in `path`, sorted by name. Names that are not UTF-8 are left out: nothing here makes any.
///
/// # Errors
/// What the kernel refuses.
pub fn list(path: &Path) -> Result<Vec<Entry>, DiskError> {
    let refused = |error: std::io::Error| failed(Operation::ListDirectory, path, &error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(refused)? {
        let entry = entry.map_err(refused)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match entry.metadata() {
            Ok(metadata) => {
                entries.push(Entry { name, is_file: metadata.is_file(), len_bytes: metadata.len() });
            }
            // Removed since it was listed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
    }
    entries.sort();
    Ok(entries)
}

/// Puts `bytes` at `path` (mode 0600) in one step: a reader, and a start after a crash, sees the old
/// file or the new one, whole.
///
/// Writes a neighbour named `.NAME.new`, flushes it, renames it and flushes the directory. One
/// writer at a time: the directory's lock is its guard.
///
/// # Errors
/// [`DiskError::NoSpace`], or what the kernel refuses; the old file is then still there, unless only
/// the last flush failed.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let fresh = beside(path)?;
    // Left over from a crash between writing and renaming.
    match std::fs::remove_file(&fresh) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(Operation::Remove, &fresh, &error)),
    }
    let written = write_new(&fresh, &[bytes]).and_then(|()| {
        std::fs::rename(&fresh, path).map_err(|error| failed(Operation::Rename, path, &error))
    });
    if written.is_err() {
        // What was written of it would keep a full disk full. The first failure is the one to tell.
        drop(std::fs::remove_file(&fresh));
    }
    written?;
    sync_parent(path)
}

/// Makes a file (mode 0600) of these pieces, one after the other, and flushes it; its name is durable
/// only when the directory is. What was written of it stays if it fails.
///
/// # Errors
/// [`DiskError::NoSpace`], or what the kernel refuses; there may not be such a file yet.
pub fn write_new(path: &Path, pieces: &[&[u8]]) -> Result<(), DiskError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed(Operation::Open, path, &error))?;
    for piece in pieces {
        file.write_all(piece).map_err(|error| failed(Operation::Write, path, &error))?;
    }
    file.sync_all().map_err(|error| failed(Operation::Flush, path, &error))
}

/// Removes what a crash inside [`replace_file`] left in `directory`; how many files it was.
///
/// # Errors
/// What the kernel refuses.
pub fn sweep(directory: &Path) -> Result<usize, DiskError> {
    let left = |entry: &Entry| entry.is_file && entry.name.starts_with('.') && entry.name.ends_with(".new");
    let mut swept = 0;
    for entry in list(directory)?.into_iter().filter(left) {
        remove_file(&directory.join(entry.name))?;
        swept += 1;
    }
    Ok(swept)
}

/// Removes a file, or a directory with all that is in it; nothing there is no error. The modes of a
/// directory of ours that keep us out are mended first.
///
/// # Errors
/// What the kernel refuses.
pub fn remove_tree(path: &Path) -> Result<(), DiskError> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            // If this is refused, so is what follows, and that says why.
            drop(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)));
            std::fs::remove_dir_all(path)
        }
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(failed(Operation::Remove, path, &error))
        }
        Ok(()) | Err(_) => sync_parent(path),
    }
}

/// Opens an ordinary file to read.
///
/// # Errors
/// [`DiskError::NotOrdinary`], or what the kernel refuses.
pub fn open_file(path: &Path) -> Result<File, DiskError> {
    refuse_special(path)?;
    File::open(path).map_err(|error| failed(Operation::Open, path, &error))
}

/// Reads a whole small file.
///
/// # Errors
/// [`DiskError::NotOrdinary`], [`DiskError::TooLarge`] above `limit_bytes`, or what the kernel refuses.
pub fn read_file(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, DiskError> {
    refuse_special(path)?;
    read_stream(path, limit_bytes)
}

/// Reads a whole small file, or a pipe until its writer has ended.
///
/// # Errors
/// [`DiskError::TooLarge`] above `limit_bytes`, or what the kernel refuses.
pub fn read_stream(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, DiskError> {
    let file = File::open(path).map_err(|error| failed(Operation::Open, path, &error))?;
    let mut bytes = Vec::new();
    file.take(limit_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| failed(Operation::Read, path, &error))?;
    let len_bytes = bytes.len() as u64;
    if len_bytes > limit_bytes {
        return Err(DiskError::TooLarge { path: path.to_path_buf(), len_bytes, limit_bytes });
    }
    Ok(bytes)
}

/// Gives the file at `from` the name `to`, replacing what was there.
///
/// # Errors
/// What the kernel refuses.
pub fn rename(from: &Path, to: &Path) -> Result<(), DiskError> {
    std::fs::rename(from, to).map_err(|error| failed(Operation::Rename, from, &error))?;
    sync_parent(to)?;
    if from.parent() == to.parent() { Ok(()) } else { sync_parent(from) }
}

/// Removes a name. Freeing a large file can hold up some disks for seconds: see [`retire`].
///
/// # Errors
/// What the kernel refuses.
pub fn remove_file(path: &Path) -> Result<(), DiskError> {
    std::fs::remove_file(path).map_err(|error| failed(Operation::Remove, path, &error))?;
    sync_parent(path)
}

/// Removes a file while others are at work on the same disk: its space is given back `step_bytes` at a
/// time, each step flushed, with `between` called after it. It loses its name first, so that nobody
/// meets a part of it; what a crash leaves of it, [`sweep`] removes.
///
/// # Errors
/// What the kernel refuses.
///
/// # Panics
/// If a step is nothing.
pub fn retire(path: &Path, step_bytes: u64, between: &dyn Fn()) -> Result<(), DiskError> {
    assert!(step_bytes > 0, "a step gives something back");
    let going = beside(path)?;
    rename(path, &going)?;
    let file = OpenOptions::new().write(true).open(&going);
    let file = file.map_err(|error| failed(Operation::Open, &going, &error))?;
    let mut len = file.metadata().map_err(|error| failed(Operation::Stat, &going, &error))?.len();
    while len > step_bytes {
        len -= step_bytes;
        file.set_len(len).map_err(|error| failed(Operation::Truncate, &going, &error))?;
        file.sync_all().map_err(|error| failed(Operation::Flush, &going, &error))?;
        between();
    }
    remove_file(&going)
}

/// Bytes that an ordinary user may still take from the file system that holds `path`.
///
/// # Errors
/// What `statvfs(3)` refuses.
pub fn free_bytes(path: &Path) -> Result<u64, DiskError> {
    let stat = rustix::fs::statvfs(path).map_err(|errno| DiskError::file(Operation::Stat, path, errno))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The name that a file has while it is being written, and while it is being removed.
///
/// # Errors
/// `EISDIR` if `path` names no file.
pub fn beside(path: &Path) -> Result<PathBuf, DiskError> {
    let Some(name) = path.file_name() else {
        return Err(DiskError::file(Operation::Open, path, Errno::ISDIR));
    };
    let mut fresh = std::ffi::OsString::from(".");
    fresh.push(name);
    fresh.push(".new");
    Ok(path.with_file_name(fresh))
}

fn sync_parent(path: &Path) -> Result<(), DiskError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        Some(_) | None => sync_directory(Path::new(".")),
    }
}

fn failed(operation: Operation, path: &Path, error: &std::io::Error) -> DiskError {
    DiskError::file(operation, path, errno_of(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn private_directories_are_private_and_made_once() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("data").join("ledger");
        assert_eq!(create_private_dir(&deep), Ok(true));
        assert_eq!(create_private_dir(&deep), Ok(false));
        assert_eq!((mode(&deep), mode(&home.path().join("data"))), (0o700, 0o700));
        let file = deep.join("file");
        replace_file(&file, b"in the way").unwrap();
        let refused = create_private_dir(&file).expect_err("a file is in the way");
        assert_eq!(refused.errno(), Some(Errno::NOTDIR));
    }

    #[test]
    fn a_file_is_replaced_whole_and_stays_private() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("checkpoint");
        std::fs::write(home.path().join(".checkpoint.new"), b"left over from a crash").unwrap();
        for bytes in [&b"first"[..], b"", b"third"] {
            replace_file(&path, bytes).unwrap();
            assert_eq!(read_file(&path, 5).unwrap(), bytes);
        }
        assert_eq!(mode(&path), 0o600);
        let names = list(home.path()).unwrap();
        assert_eq!(names, [Entry { name: "checkpoint".into(), is_file: true, len_bytes: 5 }]);
        let refused = read_file(&path, 4).expect_err("five bytes are there");
        assert_eq!(refused, DiskError::TooLarge { path: path.clone(), len_bytes: 5, limit_bytes: 4 });
        rename(&path, &home.path().join("old")).unwrap();
        assert!(read_file(&path, 5).expect_err("it was renamed").is_not_found());
        remove_file(&home.path().join("old")).unwrap();
        assert_eq!(list(home.path()), Ok(Vec::new()));
    }

    #[test]
    fn what_a_crash_left_is_swept_and_trees_are_removed() {
        let home = tempfile::tempdir().unwrap();
        for name in [".1.checkpoint.new", ".2.checkpoint.new", "3.checkpoint", ".hidden"] {
            std::fs::write(home.path().join(name), b"bytes").unwrap();
        }
        assert_eq!(sweep(home.path()), Ok(2));
        let names: Vec<String> = list(home.path()).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, [".hidden", "3.checkpoint"]);

        let tree = home.path().join("derived");
        create_private_dir(&tree.join("deep")).unwrap();
        std::fs::set_permissions(&tree, std::fs::Permissions::from_mode(0o000)).unwrap();
        assert_eq!(remove_tree(&tree), Ok(()));
        assert_eq!(remove_tree(&tree), Ok(()), "nothing there is no error");
        assert_eq!(remove_tree(&home.path().join("3.checkpoint")), Ok(()));
        assert!(!tree.exists());
    }

    #[test]
    fn a_file_is_retired_in_steps() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("7.checkpoint");
        for (len, steps) in [(0, 0), (4_096, 0), (4_097, 1), (10_000, 2)] {
            std::fs::write(&path, vec![1; len]).unwrap();
            let (count, home) = (std::cell::Cell::new(0), home.path());
            let between = || {
                count.set(count.get() + 1);
                assert!(!home.join("7.checkpoint").exists(), "nobody meets a part of it");
                let left = list(home).unwrap();
                assert!(left.iter().all(|entry| entry.len_bytes < 10_000 && entry.name.ends_with(".new")));
            };
            assert_eq!(retire(&path, 4_096, &between), Ok(()));
            assert_eq!((count.get(), list(home)), (steps, Ok(Vec::new())), "{len}");
        }
        assert!(retire(&path, 1, &|| {}).expect_err("it is gone").is_not_found());
    }

    #[test]
    fn a_replacement_that_fails_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("taken");
        create_private_dir(&path.join("full")).unwrap();
        assert!(replace_file(&path, b"a directory is in the way").is_err());
        let names: Vec<String> = list(home.path()).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["taken"]);
    }
}
