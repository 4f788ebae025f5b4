//! `ArchiveError`: why an archive cannot be written, read or used. One exit code each.

use std::path::{Path, PathBuf};

use disk::{DiskError, Errno, Operation};
use journal::{ImageError, SegmentNumber};
use ledger::NoteError;

use crate::{VerifyError, exit};

/// Why an archive cannot be written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// No index is there.
    #[error("{path}: no archive is here; `ron-ledgerctl ship --to` makes one")]
    Nothing {
        /// What was named.
        path: PathBuf,
    },
    /// Something else is there.
    #[error("{path}: this is no part of an archive; name an empty directory, or the archive itself")]
    Taken {
        /// What does not belong there.
        path: PathBuf,
    },
    /// A file beside the index is not there.
    #[error(
        "{path}: this is not there, and without it the index cannot be believed: put it back from another copy"
    )]
    Lacking {
        /// The file.
        path: PathBuf,
    },
    /// Files that the index names are not as it says.
    #[error(
        "{path}: the archive has holes: {}; put these files back from another copy of it, or ship to an empty \
         directory while the ledger still has all its segments", .files.join(", ")
    )]
    Holes {
        /// The archive.
        path: PathBuf,
        /// Each file, and what is wrong with it.
        files: Vec<String>,
    },
    /// The index is not one.
    #[error("{path}: {error}; without its index an archive says nothing: take another copy of it")]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ImageError,
    },
    /// The signature does not hold, or is another log's.
    #[error("{path}: {error}; the index is not as the ledger's log signed it: take another copy of it")]
    Signature {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: NoteError,
    },
    /// A file that the index vouches for is not what it was.
    #[error("{path}: {what}; take another copy of it")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The archive of another ledger, or of another of its lives.
    #[error("{path}: this is the archive of {found}, not of {wanted}; name another directory")]
    Foreign {
        /// The archive.
        path: PathBuf,
        /// Ledger and incarnation of the archive.
        found: String,
        /// Ledger and incarnation of the data directory.
        wanted: String,
    },
    /// The log's key is not there, or not the ledger's.
    #[error("{path}: {what}; name the node's keys with --keys")]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// What was durable cannot be read.
    #[error(
        "segment {segment} offset {offset}: {what}; nothing of this segment was shipped: `ron-ledgerctl verify` says more"
    )]
    Rot {
        /// Which segment.
        segment: SegmentNumber,
        /// From its beginning.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The archive ends before the segments that are still there.
    #[error("segment {wanted} is released and not in this archive; go on in the archive that holds it")]
    Gap {
        /// The segment that would be next.
        wanted: SegmentNumber,
    },
    /// A condition of releasing or recalling does not hold.
    #[error("{0}; nothing was changed")]
    Refused(String),
    /// The data directory cannot be read.
    #[error(transparent)]
    Ledger(#[from] VerifyError),
    /// Somebody else is at it.
    #[error("{path}: in use by {holder}; wait until it has ended")]
    Locked {
        /// The lock.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// The kernel refuses.
    #[error("{0}")]
    Disk(DiskError),
}

impl ArchiveError {
    /// The exit code of a process that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Nothing { .. } => exit::NOTHING,
            Self::Index { .. } | Self::Taken { .. } | Self::Lacking { .. } => exit::FORMAT,
            Self::Signature { .. }
            | Self::Damaged { .. }
            | Self::Holes { .. }
            | Self::Rot { .. }
            | Self::Refused(_) => exit::FOUND,
            Self::Foreign { .. } | Self::Gap { .. } => exit::ARCHIVE,
            Self::Keys { .. } => exit::KEYS,
            Self::Ledger(error) => error.exit_code(),
            Self::Locked { .. } => exit::LOCKED,
            Self::Disk(DiskError::NoSpace { .. }) => exit::NO_SPACE,
            Self::Disk(error) => match error.errno() {
                Some(Errno::ACCESS | Errno::PERM) => exit::PERMISSION,
                Some(Errno::ROFS) => exit::READ_ONLY,
                _ => exit::UNREADABLE,
            },
        }
    }

    /// A refusal that `std` told.
    pub(crate) fn of_io(operation: Operation, path: &Path, error: &std::io::Error) -> Self {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        let path = path.to_path_buf();
        Self::Disk(match errno {
            Errno::NOSPC | Errno::DQUOT => DiskError::NoSpace { operation, path, errno },
            _ => DiskError::File { operation, path, errno },
        })
    }
}

impl From<DiskError> for ArchiveError {
    fn from(error: DiskError) -> Self {
        if let DiskError::Locked { path, holder } = error {
            return Self::Locked { path, holder };
        }
        Self::Disk(error)
    }
}
