//! `SnapshotError`: why a snapshot cannot be made, believed or restored. One exit code each.

use std::{io, path::PathBuf};

use disk::{DiskError, Errno};
use engine::OpenError;
use ledger::NoteError;

use crate::{exit, verify::VerifyError};

/// Why a snapshot cannot be made, believed or restored.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// Something is there already.
    #[error("{path}: is there already, and nothing is written over; choose another name")]
    Exists {
        /// The file, or the directory that is not empty.
        path: PathBuf,
    },
    /// Another snapshot is being written under this name.
    #[error("{path}: another process writes a snapshot of this name; wait for it, or choose another name")]
    Busy {
        /// The file it is written to.
        path: PathBuf,
    },
    /// The keys that sign it cannot be used.
    #[error("{path}: {what}; name the node's key directory with --keys")]
    Keys {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] VerifyError),
    /// The journal is damaged: such a snapshot would be worth nothing.
    #[error("the journal is damaged at {at}, nothing was written: `ron-ledgerctl verify` says more")]
    Damaged {
        /// Segment and offset.
        at: String,
    },
    /// Segments at the journal's beginning are not there.
    #[error("{path}: the journal does not begin at its first segment; a snapshot needs all of them")]
    Incomplete {
        /// The directory of the segments.
        path: PathBuf,
    },
    /// The file is no snapshot, or it is cut short or altered.
    #[error("{path}: {what}; it is no whole snapshot: take it from another copy")]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The signature does not hold.
    #[error("{path}: {error}; it was not made by this ledger, or was altered")]
    Signature {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: NoteError,
    },
    /// What was asked for with `--key` or `--to` cannot be.
    #[error("{0}")]
    Usage(String),
    /// What the snapshot holds does not hold.
    #[error("{path}: {what}; nothing was restored")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The new life cannot be begun.
    #[error("the restored ledger: {0}")]
    Begin(OpenError),
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// The kernel refuses.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl SnapshotError {
    /// The exit code of a process that ends with this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exists { .. } => exit::EXISTS,
            Self::Busy { .. } => exit::LOCKED,
            Self::Keys { .. } => exit::KEYS,
            Self::Usage(_) => exit::USAGE,
            Self::Ledger(error) => error.exit_code(),
            Self::Damaged { .. } | Self::Signature { .. } | Self::Content { .. } => exit::FOUND,
            Self::Incomplete { .. } => exit::NOTHING,
            Self::Archive { .. } => exit::FORMAT,
            Self::Begin(error) => error.exit_code(),
            Self::File { error, .. } => of_kind(error.kind()),
            Self::Disk(error) => match error.errno() {
                Some(Errno::ACCESS | Errno::PERM) => exit::PERMISSION,
                Some(Errno::NOSPC) => exit::NO_SPACE,
                _ if error.is_not_found() => exit::NOTHING,
                _ => exit::UNREADABLE,
            },
        }
    }

    pub(super) fn file(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::File { path, error }
    }
}

fn of_kind(kind: io::ErrorKind) -> u8 {
    let known = [
        (io::ErrorKind::NotFound, exit::NOTHING),
        (io::ErrorKind::PermissionDenied, exit::PERMISSION),
        (io::ErrorKind::StorageFull, exit::NO_SPACE),
        (io::ErrorKind::QuotaExceeded, exit::NO_SPACE),
    ];
    known.into_iter().find(|(known, _)| *known == kind).map_or(exit::UNREADABLE, |(_, code)| code)
}
