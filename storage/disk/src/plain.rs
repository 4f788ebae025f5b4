//! A file through the page cache, for derived data: tiles, indexes, exports.
//!
//! What it holds can be rebuilt from the journal, so a write is durable only after
//! [`PlainFile::datasync`], and a torn one costs a rebuild.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::direct::{Access, refuse_special};
use crate::error::{DiskError, Operation, errno_of};

/// A buffered file with positioned reads and writes.
#[derive(Debug)]
pub struct PlainFile {
    file: File,
    path: PathBuf,
}

impl PlainFile {
    /// Opens or creates `path` (mode 0600).
    ///
    /// # Errors
    /// What `open(2)` refuses.
    pub fn open(path: &Path, access: Access) -> Result<Self, DiskError> {
        Self::open_with(path, access.flags())
    }

    /// Opens `path` to read and write, and creates it (mode 0600) if it is missing.
    ///
    /// # Errors
    /// What `open(2)` refuses.
    pub fn open_or_create(path: &Path) -> Result<Self, DiskError> {
        Self::open_with(path, OFlags::CLOEXEC | OFlags::RDWR | OFlags::CREATE)
    }

    fn open_with(path: &Path, flags: OFlags) -> Result<Self, DiskError> {
        refuse_special(path)?;
        let fd = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| DiskError::file(Operation::Open, path, errno))?;
        Ok(Self { file: File::from(fd), path: path.to_path_buf() })
    }

    /// The path that the file was opened by.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What `fstat(2)` refuses.
    pub fn len_bytes(&self) -> Result<u64, DiskError> {
        Ok(self.file.metadata().map_err(|error| self.error(Operation::Stat, &error))?.len())
    }

    /// Fills `bytes` from `offset` on.
    ///
    /// # Errors
    /// [`DiskError::ShortRead`] if the file ends before, or what the kernel refuses.
    pub fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), DiskError> {
        let mut read = 0;
        while read < bytes.len() {
            match self.file.read_at(&mut bytes[read..], offset + read as u64) {
                Ok(0) => {
                    let path = self.path.clone();
                    return Err(DiskError::ShortRead { path, offset, wanted: bytes.len(), read });
                }
                Ok(count) => read += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(Operation::Read, &error)),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`, growing the file as needed. Not yet durable.
    ///
    /// # Errors
    /// [`DiskError::NoSpace`], or what the kernel refuses; part may be written.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, offset).map_err(|error| self.error(Operation::Write, &error))
    }

    /// Cuts or extends (with zeros) the file to `len_bytes`. Not yet durable.
    ///
    /// # Errors
    /// What `ftruncate(2)` refuses.
    pub fn truncate(&self, len_bytes: u64) -> Result<(), DiskError> {
        self.file.set_len(len_bytes).map_err(|error| self.error(Operation::Truncate, &error))
    }

    /// Flushes what was written, and the length, to the device.
    ///
    /// # Errors
    /// What `fdatasync(2)` refuses.
    pub fn datasync(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(|error| self.error(Operation::Flush, &error))
    }

    fn error(&self, operation: Operation, error: &std::io::Error) -> DiskError {
        DiskError::file(operation, &self.path, errno_of(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_the_end_is_an_error() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("tiles");
        let file = PlainFile::open_or_create(&path).expect("created");
        file.write_at(10, b"tile").expect("written");
        assert_eq!(file.len_bytes().expect("stat"), 14);
        let mut bytes = [0xff; 6];
        file.read_at(8, &mut bytes).expect("read");
        assert_eq!(&bytes, b"\0\0tile");
        let short = file.read_at(12, &mut bytes).expect_err("two bytes are there");
        assert_eq!(short, DiskError::ShortRead { path: path.clone(), offset: 12, wanted: 6, read: 2 });
        file.truncate(4).expect("cut");
        file.datasync().expect("flushed");
        let again = PlainFile::open(&path, Access::ReadOnly).expect("opened");
        assert_eq!(again.len_bytes().expect("stat"), 4);
        let refused = again.write_at(0, b"x").expect_err("read-only");
        assert_eq!(refused.errno(), Some(rustix::io::Errno::BADF));
        assert!(PlainFile::open(&path, Access::CreateNew).is_err(), "it exists");
    }

    #[test]
    fn a_pipe_in_a_files_place_is_refused_and_not_waited_for() {
        use crate::{Direct, DirectFile, directory};
        let home = tempfile::tempdir().expect("a temporary directory");
        let path = home.path().join("superblock");
        let (pipe, mode) = (rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, pipe, mode, 0).expect("a pipe");
        let refused = DiskError::NotOrdinary { path: path.clone() };
        for access in [Access::ReadOnly, Access::ReadWrite] {
            assert_eq!(PlainFile::open(&path, access).expect_err("a pipe"), refused);
            for direct in [Direct::Required, Direct::Preferred, Direct::Off] {
                assert_eq!(DirectFile::open(&path, access, direct).expect_err("a pipe"), refused);
            }
        }
        assert_eq!(directory::read_file(&path, 10).expect_err("a pipe"), refused);
        assert_eq!(directory::open_file(&path).expect_err("a pipe"), refused);
    }
}
