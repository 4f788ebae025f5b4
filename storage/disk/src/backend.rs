//! Picks what carries the operations, and says why.

use std::sync::Arc;
use std::time::Duration;

use crate::buffer::AlignedBuf;
use crate::commit::CommitMethod;
use crate::completion::{Completion, Token};
use crate::direct::DirectFile;
use crate::doorbell::Doorbell;
use crate::error::DiskError;
use crate::files::FileId;
use crate::lock::DirectoryLock;
use crate::pool::BufferPool;
use crate::pwrite::Pwrite;
use crate::ring::Ring;
use crate::setup::{BuffersReport, RingOptions, RingReport};

/// What the configuration asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// `io_uring`, or `pwritev2` where it is denied.
    Auto,
    /// `io_uring` or an error.
    Uring,
    /// `pwritev2` on the calling thread.
    Pwrite,
}

/// What carries the operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// `io_uring`.
    Uring,
    /// `pwritev2` on the calling thread.
    Pwrite,
}

impl BackendKind {
    /// Its word in settings, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Pwrite => "pwrite",
        }
    }
}

/// What was opened, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendReport {
    /// What carries the operations.
    pub kind: BackendKind,
    /// How a write is made durable.
    pub commit: CommitMethod,
    /// How the ring was set up.
    pub ring: Option<RingReport>,
    /// Why `io_uring` was not taken, though it was wanted.
    pub fell_back: Option<DiskError>,
}

/// A ring, or what stands in for it. It stays on the thread that opened it.
#[derive(Debug)]
pub enum Backend {
    /// `io_uring`.
    Uring(Box<Ring>),
    /// `pwritev2` on the calling thread.
    Pwrite(Box<Pwrite>),
}

impl Backend {
    /// Opens a backend on the calling thread.
    ///
    /// # Errors
    /// Under [`Io::Uring`], why there is no ring. [`Io::Auto`] falls back for every cause, and tells
    /// it in the report.
    ///
    /// # Panics
    /// If the depth is not 2 to 4096.
    pub fn open(
        io: Io,
        options: &RingOptions,
        doorbell: Arc<Doorbell>,
    ) -> Result<(Self, BackendReport), DiskError> {
        let commit = options.commit;
        let told = |kind, ring, fell_back| BackendReport { kind, commit, ring, fell_back };
        let fell_back = match io {
            Io::Auto | Io::Uring => match Ring::open(options, Arc::clone(&doorbell)) {
                Ok((ring, report)) => {
                    let report = told(BackendKind::Uring, Some(report), None);
                    return Ok((Backend::Uring(Box::new(ring)), report));
                }
                Err(error) if io == Io::Uring => return Err(error),
                Err(error) => Some(error),
            },
            Io::Pwrite => None,
        };
        let pwrite = Pwrite::new(options.depth, commit, doorbell);
        Ok((Backend::Pwrite(Box::new(pwrite)), told(BackendKind::Pwrite, None, fell_back)))
    }

    /// What carries the operations.
    #[must_use]
    pub fn kind(&self) -> BackendKind {
        match self {
            Backend::Uring(_) => BackendKind::Uring,
            Backend::Pwrite(_) => BackendKind::Pwrite,
        }
    }

    /// As [`Ring::attach`].
    ///
    /// # Errors
    /// As [`Ring::attach`].
    pub fn attach(&mut self, file: Arc<DirectFile>) -> Result<Option<FileId>, DiskError> {
        match self {
            Backend::Uring(ring) => ring.attach(file),
            Backend::Pwrite(pwrite) => Ok(pwrite.attach(file)),
        }
    }

    /// As [`Ring::detach`].
    ///
    /// # Errors
    /// As [`Ring::detach`].
    ///
    /// # Panics
    /// As [`Ring::detach`].
    pub fn detach(&mut self, id: FileId) -> Result<Arc<DirectFile>, DiskError> {
        match self {
            Backend::Uring(ring) => ring.detach(id),
            Backend::Pwrite(pwrite) => Ok(pwrite.detach(id)),
        }
    }

    /// As [`Ring::register_buffers`].
    ///
    /// # Panics
    /// As [`Ring::register_buffers`].
    pub fn register_buffers(&mut self, pool: &mut BufferPool) -> BuffersReport {
        match self {
            Backend::Uring(ring) => ring.register_buffers(pool),
            Backend::Pwrite(_) => BuffersReport::None,
        }
    }

    /// As [`Ring::hold_lock`].
    ///
    /// # Errors
    /// As [`Ring::hold_lock`].
    pub fn hold_lock(&mut self, lock: Arc<DirectoryLock>) -> Result<bool, DiskError> {
        match self {
            Backend::Uring(ring) => ring.hold_lock(lock),
            Backend::Pwrite(pwrite) => {
                pwrite.hold_lock(lock);
                Ok(false)
            }
        }
    }

    /// As [`Ring::room`].
    #[must_use]
    pub fn room(&self) -> usize {
        match self {
            Backend::Uring(ring) => ring.room(),
            Backend::Pwrite(pwrite) => pwrite.room(),
        }
    }

    /// As [`Ring::in_flight`].
    #[must_use]
    pub fn in_flight(&self) -> usize {
        match self {
            Backend::Uring(ring) => ring.in_flight(),
            Backend::Pwrite(pwrite) => pwrite.in_flight(),
        }
    }

    /// As [`Ring::write_durable`].
    ///
    /// # Panics
    /// As [`Ring::write_durable`].
    pub fn write_durable(
        &mut self,
        file: FileId,
        offset: u64,
        buffer: AlignedBuf,
        len_bytes: usize,
        token: Token,
    ) {
        match self {
            Backend::Uring(ring) => ring.write_durable(file, offset, buffer, len_bytes, token),
            Backend::Pwrite(pwrite) => pwrite.write_durable(file, offset, buffer, len_bytes, token),
        }
    }

    /// As [`Ring::read`].
    ///
    /// # Panics
    /// As [`Ring::read`].
    pub fn read(&mut self, file: FileId, offset: u64, buffer: AlignedBuf, len_bytes: usize, token: Token) {
        match self {
            Backend::Uring(ring) => ring.read(file, offset, buffer, len_bytes, token),
            Backend::Pwrite(pwrite) => pwrite.read(file, offset, buffer, len_bytes, token),
        }
    }

    /// As [`Ring::flush`].
    ///
    /// # Panics
    /// As [`Ring::flush`].
    pub fn flush(&mut self, file: FileId, token: Token) {
        match self {
            Backend::Uring(ring) => ring.flush(file, token),
            Backend::Pwrite(pwrite) => pwrite.flush(file, token),
        }
    }

    /// As [`Ring::watch`].
    ///
    /// # Panics
    /// As [`Ring::watch`].
    pub fn watch(&mut self, token: Token) -> bool {
        match self {
            Backend::Uring(ring) => ring.watch(token),
            Backend::Pwrite(pwrite) => pwrite.watch(token),
        }
    }

    /// As [`Ring::submit`].
    ///
    /// # Errors
    /// As [`Ring::submit`].
    pub fn submit(&mut self) -> Result<(), DiskError> {
        match self {
            Backend::Uring(ring) => ring.submit(),
            Backend::Pwrite(pwrite) => {
                pwrite.submit();
                Ok(())
            }
        }
    }

    /// As [`Ring::spin`].
    ///
    /// # Errors
    /// As [`Ring::submit`].
    pub fn spin(&mut self) -> Result<(), DiskError> {
        match self {
            Backend::Uring(ring) => ring.spin(),
            Backend::Pwrite(pwrite) => {
                pwrite.submit();
                Ok(())
            }
        }
    }

    /// As [`Ring::submit_and_wait`].
    ///
    /// # Errors
    /// As [`Ring::submit_and_wait`].
    pub fn submit_and_wait(&mut self, at_least: usize, timeout: Option<Duration>) -> Result<(), DiskError> {
        match self {
            Backend::Uring(ring) => ring.submit_and_wait(at_least, timeout),
            Backend::Pwrite(pwrite) => {
                pwrite.submit_and_wait(at_least, timeout);
                Ok(())
            }
        }
    }

    /// As [`Ring::reap`].
    pub fn reap(&mut self) -> Option<Completion> {
        match self {
            Backend::Uring(ring) => ring.reap(),
            Backend::Pwrite(pwrite) => pwrite.reap(),
        }
    }
}

#[cfg(test)]
mod tests;
