//! `VerifyError`: why there is no verdict. One exit code each.

use std::path::PathBuf;

use disk::{DiskError, Errno};
use journal::{ImageError, ReadFailure};

use crate::{archive::ArchiveError, exit};

/// Why nothing can be said of a directory.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// No ledger is there.
    #[error(
        "{path}: no ledger is here; name the node's data directory, or the directory that holds `superblock`"
    )]
    NoLedger {
        /// What was named.
        path: PathBuf,
    },
    /// The kernel does not let this user in.
    #[error("{0}; run as the user that the node runs as, or as root")]
    Permission(DiskError),
    /// The superblock cannot be believed.
    #[error("{path}: {error}; without it no frame can be told from other bytes: restore it from a backup")]
    Superblock {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ImageError,
    },
    /// The directory has segments and no superblock.
    #[error("{path}: there are segments and no superblock; restore the superblock from a backup")]
    SuperblockMissing {
        /// The directory.
        path: PathBuf,
    },
    /// A frame of another format.
    #[error(
        "the journal at {position} has frame format {format}, which this build does not read; use the build that wrote it"
    )]
    Format {
        /// Segment and offset.
        position: String,
        /// What the frame says.
        format: u16,
    },
    /// The device does not give up bytes of the journal.
    #[error(
        "segment {segment} cannot be read at {offset} ({failure:?}), after {frames} frames that hold; see to the device"
    )]
    Read {
        /// Which segment.
        segment: u32,
        /// From its beginning.
        offset: u64,
        /// How.
        failure: ReadFailure,
        /// Frames that were read and hold.
        frames: u64,
    },
    /// A frame that was whole when it was read is not any more.
    #[error("the journal was changed under this reading, after {frames} frames that held; read it again")]
    Changed {
        /// Frames that were read and held.
        frames: u64,
    },
    /// The journal's beginning is released, and no checkpoint is left to begin at.
    #[error(
        "{path}: no checkpoint holds, and the first segments are only in the archive at {archive}; name it with \
         --archive, or bring them back with `ron-ledgerctl recall --archive {archive}`"
    )]
    Released {
        /// The ledger.
        path: PathBuf,
        /// Where the archive was.
        archive: String,
    },
    /// The archive that was named cannot be used.
    #[error(transparent)]
    Archive(Box<ArchiveError>),
    /// Any other refusal of the kernel.
    #[error("{0}")]
    Disk(DiskError),
}

impl VerifyError {
    /// The exit code of a process that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NoLedger { .. } => exit::NOTHING,
            Self::Permission(_) => exit::PERMISSION,
            Self::Superblock { .. } => exit::SUPERBLOCK,
            Self::SuperblockMissing { .. } => exit::SUPERBLOCK_MISSING,
            Self::Format { .. } => exit::FRAME_FORMAT,
            Self::Read { .. } => exit::DEVICE,
            Self::Released { .. } => exit::ARCHIVE,
            Self::Archive(error) => error.exit_code(),
            Self::Changed { .. } | Self::Disk(_) => exit::UNREADABLE,
        }
    }
}

impl From<DiskError> for VerifyError {
    fn from(error: DiskError) -> Self {
        match error.errno() {
            Some(Errno::ACCESS | Errno::PERM) => Self::Permission(error),
            _ => Self::Disk(error),
        }
    }
}
