//! A file that is read and written past the page cache.
//!
//! Holds: every offset and length is whole pages of [`ALIGNMENT_BYTES`]; one call is one system
//! call, except for [`DirectFile::write_zeros`]. What a backend has in flight on the file is the
//! backend's business.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FallocateFlags, FileType, FlockOperation, Mode, OFlags, StatxFlags};
use rustix::io::{Errno, ReadWriteFlags};

use crate::buffer::{ALIGNMENT_BYTES, AlignedBuf, check_offset, checked_len};
use crate::error::{DiskError, Operation};

/// Bytes of one write while a segment is prepared: large enough for a disk's bandwidth, small enough
/// that a commit beside it does not wait long.
const ZERO_CHUNK_BYTES: usize = 1 << 20;

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// An existing file, to read.
    ReadOnly,
    /// An existing file, to read and write.
    ReadWrite,
    /// A new file (mode 0600), to read and write; an existing one is an error.
    CreateNew,
}

impl Access {
    /// The flags of `open(2)` for this access.
    pub(crate) fn flags(self) -> OFlags {
        OFlags::CLOEXEC
            | match self {
                Access::ReadOnly => OFlags::RDONLY,
                Access::ReadWrite => OFlags::RDWR,
                Access::CreateNew => OFlags::RDWR | OFlags::CREATE | OFlags::EXCL,
            }
    }
}

/// What to do where the file system has no direct I/O (tmpfs before Linux 6.6, some network and
/// overlay file systems).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direct {
    /// Refuse with [`DiskError::DirectRefused`].
    Required,
    /// Go through the page cache; durable writes are as durable, reads may be of cached bytes.
    /// [`DirectFile::is_direct`] tells.
    Preferred,
    /// Always through the page cache, as above.
    Off,
}

/// A file for direct I/O.
#[derive(Debug)]
pub struct DirectFile {
    fd: OwnedFd,
    path: PathBuf,
    is_direct: bool,
}

impl DirectFile {
    /// Opens or creates `path`.
    ///
    /// # Errors
    /// What `open(2)` refuses; [`DiskError::DirectRefused`] if direct I/O is required and missing,
    /// or needs an alignment above [`ALIGNMENT_BYTES`].
    pub fn open(path: &Path, access: Access, direct: Direct) -> Result<Self, DiskError> {
        refuse_special(path)?;
        let mode = Mode::RUSR | Mode::WUSR;
        if direct == Direct::Off {
            let fd = rustix::fs::open(path, access.flags(), mode)
                .map_err(|errno| DiskError::file(Operation::Open, path, errno))?;
            return Ok(Self { fd, path: path.to_path_buf(), is_direct: false });
        }
        let refused = match rustix::fs::open(path, access.flags() | OFlags::DIRECT, mode) {
            Ok(fd) => match direct_refusal(&fd, path) {
                None => return Ok(Self { fd, path: path.to_path_buf(), is_direct: true }),
                Some(refused) => refused,
            },
            Err(Errno::INVAL) => DiskError::DirectRefused { path: path.to_path_buf(), align_bytes: None },
            Err(errno) => return Err(DiskError::file(Operation::Open, path, errno)),
        };
        if direct == Direct::Required {
            return Err(refused);
        }
        // The first try has created the file on file systems that refuse only afterwards.
        let flags = access.flags().difference(OFlags::EXCL);
        let fd = rustix::fs::open(path, flags, mode)
            .map_err(|errno| DiskError::file(Operation::Open, path, errno))?;
        Ok(Self { fd, path: path.to_path_buf(), is_direct: false })
    }

    /// Whether the page cache is passed by.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.is_direct
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
        len_bytes(&self.fd, &self.path)
    }

    /// Locks the file for as long as its description is open, here or in a ring.
    ///
    /// # Errors
    /// [`DiskError::Locked`] if another description holds it.
    pub fn lock(&self) -> Result<(), DiskError> {
        match rustix::fs::flock(&self.fd, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(()),
            Err(Errno::WOULDBLOCK) => {
                Err(DiskError::Locked { path: self.path.clone(), holder: String::new() })
            }
            Err(errno) => Err(DiskError::file(Operation::Lock, &self.path, errno)),
        }
    }

    /// Reads up to `len_bytes` at `offset` and returns how many there were: fewer at the file's end.
    ///
    /// # Errors
    /// What `preadv(2)` refuses.
    ///
    /// # Panics
    /// If the offset or the length is not whole pages.
    pub fn read_at(
        &self,
        offset: u64,
        buffer: &mut AlignedBuf,
        len_bytes: usize,
    ) -> Result<usize, DiskError> {
        check_offset(offset);
        checked_len(buffer, len_bytes);
        loop {
            let mut slices = [IoSliceMut::new(&mut buffer[..len_bytes])];
            match rustix::io::preadv(&self.fd, &mut slices, offset) {
                Ok(read) => return Ok(read),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(DiskError::file(Operation::Read, &self.path, errno)),
            }
        }
    }

    /// Writes the first `len_bytes` of the buffer at `offset` and returns when they are durable.
    ///
    /// # Errors
    /// What `pwritev2(2)` refuses, or [`DiskError::ShortWrite`]. After either, the range may hold
    /// anything.
    ///
    /// # Panics
    /// If the offset or the length is not whole pages.
    pub fn write_at_durable(
        &self,
        offset: u64,
        buffer: &AlignedBuf,
        len_bytes: usize,
    ) -> Result<(), DiskError> {
        let written = self
            .write_once(offset, buffer, len_bytes, ReadWriteFlags::DSYNC)
            .map_err(|errno| DiskError::file(Operation::Write, &self.path, errno))?;
        if written < len_bytes {
            let path = self.path.clone();
            return Err(DiskError::ShortWrite { path, offset, wanted: len_bytes, written });
        }
        Ok(())
    }

    /// Flushes what was written, and the length, to the device.
    ///
    /// # Errors
    /// What `fdatasync(2)` refuses. A second try that succeeds proves nothing about the first.
    pub fn datasync(&self) -> Result<(), DiskError> {
        self.flush_once().map_err(|errno| DiskError::file(Operation::Flush, &self.path, errno))
    }

    /// Writes zeros over `from..to` and flushes them, so that later writes there change no metadata.
    ///
    /// Space is reserved first where the file system can, so that a full disk shows before the time
    /// is spent. Blocks for as long as the disk takes, and holds one buffer of 1 MiB. If it fails, the
    /// file is cut to the length that it had, which gives back what was taken beyond it.
    ///
    /// # Errors
    /// [`DiskError::NoSpace`], or what the kernel refuses; what lay in the range is then partly zeros.
    ///
    /// # Panics
    /// If an end of the range is not whole pages, or they are out of order.
    pub fn write_zeros(&self, from: u64, to: u64) -> Result<(), DiskError> {
        self.write_zeros_at_pace(from, to, &mut || ZERO_CHUNK_BYTES)
    }

    /// The same, piece by piece: `piece` is called before each write, says how many bytes it has, and
    /// may take its time.
    ///
    /// # Errors
    /// As [`DirectFile::write_zeros`].
    ///
    /// # Panics
    /// As [`DirectFile::write_zeros`], or if a piece is not whole pages, or none, or over 1 MiB.
    pub fn write_zeros_at_pace(
        &self,
        from: u64,
        to: u64,
        piece: &mut dyn FnMut() -> usize,
    ) -> Result<(), DiskError> {
        check_offset(from);
        check_offset(to);
        assert!(from <= to, "a range ends after its begin");
        if from == to {
            return Ok(());
        }
        let len_before = self.len_bytes()?;
        let outcome = self.reserve(from, to).and_then(|()| self.overwrite(from, to, piece));
        if outcome.is_err() {
            // A reservation that fails half-way keeps what it got, and would keep the disk full. The
            // first failure is the one to tell.
            let _given_back = rustix::fs::ftruncate(&self.fd, len_before);
        }
        outcome
    }

    /// Reserves space for the range. A courtesy: the writes after it are what counts.
    fn reserve(&self, from: u64, to: u64) -> Result<(), DiskError> {
        match rustix::fs::fallocate(&self.fd, FallocateFlags::empty(), from, to - from) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(errno) => Err(DiskError::file(Operation::Allocate, &self.path, errno)),
        }
    }

    /// Writes zeros over the range and flushes them.
    fn overwrite(&self, from: u64, to: u64, piece: &mut dyn FnMut() -> usize) -> Result<(), DiskError> {
        let zeros = AlignedBuf::new(ZERO_CHUNK_BYTES);
        let mut offset = from;
        while offset < to {
            let left = usize::try_from(to - offset).unwrap_or(usize::MAX);
            let wanted = left.min(piece());
            assert!(wanted > 0 && wanted <= ZERO_CHUNK_BYTES, "a piece that the buffer holds");
            let written = self
                .write_once(offset, &zeros, wanted, ReadWriteFlags::empty())
                .map_err(|errno| DiskError::file(Operation::Write, &self.path, errno))?;
            if written == 0 || !written.is_multiple_of(ALIGNMENT_BYTES) {
                let path = self.path.clone();
                return Err(DiskError::ShortWrite { path, offset, wanted, written });
            }
            offset += written as u64;
        }
        self.datasync()
    }

    /// The descriptor.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// One positioned write; the kernel may take fewer bytes.
    pub(crate) fn write_once(
        &self,
        offset: u64,
        buffer: &AlignedBuf,
        len_bytes: usize,
        flags: ReadWriteFlags,
    ) -> Result<usize, Errno> {
        check_offset(offset);
        checked_len(buffer, len_bytes);
        loop {
            match rustix::io::pwritev2(&self.fd, &[IoSlice::new(&buffer[..len_bytes])], offset, flags) {
                // Interrupted before the first byte: nothing was written.
                Err(Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// One flush. It is not repeated after an interruption: its verdict would be lost.
    pub(crate) fn flush_once(&self) -> Result<(), Errno> {
        rustix::fs::fdatasync(&self.fd)
    }
}

/// Refuses what `open(2)` could wait at, such as a pipe without a writer. A file opened with
/// `O_NONBLOCK` instead would keep the flag, and a ring then answers `EAGAIN` where it should wait.
pub(crate) fn refuse_special(path: &Path) -> Result<(), DiskError> {
    // What cannot be looked at, the opening tells better.
    let Ok(stat) = rustix::fs::stat(path) else { return Ok(()) };
    let special = [FileType::Fifo, FileType::Socket, FileType::CharacterDevice];
    if special.contains(&FileType::from_raw_mode(stat.st_mode)) {
        return Err(DiskError::NotOrdinary { path: path.to_path_buf() });
    }
    Ok(())
}

/// The length of an open file.
pub(crate) fn len_bytes(fd: &OwnedFd, path: &Path) -> Result<u64, DiskError> {
    let stat = rustix::fs::fstat(fd).map_err(|errno| DiskError::file(Operation::Stat, path, errno))?;
    Ok(u64::try_from(stat.st_size).expect("a file's length is not negative"))
}

/// Why this file, though opened for direct I/O, cannot be used so; `None` if nothing speaks against
/// it. Kernels before 6.1 and some file systems do not say.
fn direct_refusal(fd: &OwnedFd, path: &Path) -> Option<DiskError> {
    let Ok(statx) = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN) else {
        return None;
    };
    if !StatxFlags::from_bits_retain(statx.stx_mask).contains(StatxFlags::DIOALIGN) {
        return None;
    }
    let align_bytes = statx.stx_dio_mem_align.max(statx.stx_dio_offset_align);
    let usable = statx.stx_dio_offset_align > 0 && align_bytes as usize <= ALIGNMENT_BYTES;
    (!usable).then(|| DiskError::DirectRefused { path: path.to_path_buf(), align_bytes: Some(align_bytes) })
}

#[cfg(test)]
mod tests;
