//! One writer for each data directory.
//!
//! The lock belongs to the open file description (`flock(2)` on a local file system), not to the
//! process: it lasts until the last descriptor of it is closed. A [`Ring`](crate::Ring) that holds
//! it keeps one, so after a kill the lock falls only when the ring's last operation has ended, and a
//! successor cannot start writing before. `F_OFD_SETLK` lasts exactly as long, and would need unsafe
//! code for nothing more.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::{DiskError, Operation, errno_of};

/// Bytes of a holder's note that a loser reads.
const HOLDER_BYTES_MAX: u64 = 256;

/// An exclusive lock, held until this value, and every ring that holds it, is gone.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
    path: PathBuf,
}

impl DirectoryLock {
    /// Locks the file at `path`, creating it (0600) if it is missing, and leaves `holder` in it for
    /// whoever comes second (the process id, say). Does not wait; how long to retry is the caller's
    /// choice.
    ///
    /// # Errors
    /// [`DiskError::Locked`] with the holder's note, or what the kernel refuses.
    pub fn acquire(path: &Path, holder: &str) -> Result<Self, DiskError> {
        let failed = |operation, error: &std::io::Error| DiskError::file(operation, path, errno_of(error));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| failed(Operation::Open, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(DiskError::Locked { path: path.to_path_buf(), holder: note(&file) });
            }
            Err(errno) => return Err(DiskError::file(Operation::Lock, path, errno)),
        }
        // The note is a courtesy: a disk without room for it is no reason not to start.
        drop(file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())));
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The descriptor, for a ring that keeps it.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// What the holder wrote. It may be writing right now, so this is a hint for people.
fn note(file: &File) -> String {
    let mut bytes = Vec::new();
    // It may not have written yet, and a disk without room has no note.
    let read = file.take(HOLDER_BYTES_MAX).read_to_end(&mut bytes).ok();
    let words = read.map(|_| String::from_utf8_lossy(&bytes).trim().to_owned());
    words.filter(|words| !words.is_empty()).unwrap_or_else(|| "another process".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_is_first() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let first = DirectoryLock::acquire(&path, "pid 17, a longer note").unwrap();
        let refused = DirectoryLock::acquire(&path, "pid 18").expect_err("it is held");
        assert_eq!(refused, DiskError::Locked { path: path.clone(), holder: "pid 17, a longer note".into() });
        drop(first);
        let _second = DirectoryLock::acquire(&path, "pid 18").unwrap();
        let refused = DirectoryLock::acquire(&path, "pid 19").expect_err("it is held");
        assert_eq!(refused, DiskError::Locked { path: path.clone(), holder: "pid 18".into() });
        std::fs::write(&path, "").unwrap();
        let refused = DirectoryLock::acquire(&path, "pid 20").expect_err("it is held");
        assert_eq!(refused, DiskError::Locked { path, holder: "another process".into() });
    }
}
