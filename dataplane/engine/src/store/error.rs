//! `OpenError`: why a data directory cannot be opened, and what to do. One exit code each.

use std::path::PathBuf;

use disk::DiskError;
use journal::{ImageError, Rot};

use crate::ledger_time::TimeJump;

/// Why a data directory cannot be opened. The codes are listed in `docs/errors.md`.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{path}: in use by {holder}; stop that process, or choose another directory")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the holder says of itself.
        holder: String,
    },
    /// The kernel does not let this process in.
    #[error("{0}; check owner and mode of the directory (0700) and its files (0600)")]
    Permission(DiskError),
    /// The superblock is not one, or not of a format that this build reads.
    #[error("{path}: {error}; this is not a data directory that this build can open")]
    Superblock {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ImageError,
    },
    /// The superblock is of another format.
    #[error("{path}: {error}; use the build that wrote it")]
    SuperblockFormat {
        /// The file.
        path: PathBuf,
        /// Which format.
        error: ImageError,
    },
    /// The directory has segments and no superblock.
    #[error("{path}: there are segments and no superblock; restore the superblock from a backup")]
    SuperblockMissing {
        /// The directory.
        path: PathBuf,
    },
    /// What was durable cannot be read.
    #[error("the journal is damaged at segment:offset {}: frame {}, which begins with entry {}, is not there ({}), and {}; nothing was changed; restore the data directory from a backup", .0.at, .0.expected, .0.seq, .0.bad, .0.witness)]
    Rot(Rot),
    /// The slot was written with another frame key than the superblock holds.
    #[error(
        "{path}: the superblock's frame key is not the one that this journal was written with; nothing was \
         changed; put the superblock of this data directory back"
    )]
    FrameKey {
        /// The superblock.
        path: PathBuf,
    },
    /// The log is to be signed under another name or key than before.
    #[error(
        "the checkpoint key or ledger.origin is not the one that this ledger's roots were signed with; put \
         keys/checkpoint.key back and set ledger.origin as it was, or nobody can check the receipts given out"
    )]
    LogKey,
    /// A setting does not go with this host or this ledger.
    #[error("{key} = {value}: {message}")]
    Setting {
        /// The dotted key.
        key: &'static str,
        /// Its value.
        value: usize,
        /// What is wrong, and what to do.
        message: &'static str,
    },
    /// The process is short of descriptors or memory; nothing is wrong with the data.
    #[error("{0}; raise the limit (`ulimit -n` for descriptors, memory otherwise) and start again")]
    Shortage(DiskError),
    /// The device does not give up the bytes.
    #[error("the journal at {position} cannot be read: {error}; nothing was changed; see to the device")]
    Unreadable {
        /// Segment and offset.
        position: String,
        /// The kernel's words.
        error: DiskError,
    },
    /// The journal and the ledger's rules contradict each other.
    #[error(
        "the journal at {position} cannot be replayed: {detail}; nothing was changed; this is a defect or a forged journal"
    )]
    Replay {
        /// Segment and offset.
        position: String,
        /// What contradicts.
        detail: String,
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
    /// One of the two members is not there.
    #[error(
        "{path}: the ledger has two copies, and this one cannot be used: {cause}; nothing was changed; put its \
         device back"
    )]
    MirrorMissing {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The ledger has a mirror, and the settings name none.
    #[error("{path}: the ledger has a mirror, and ledger.mirror is not set; nothing was changed; set it")]
    MirrorUnset {
        /// The ledger's directory.
        path: PathBuf,
    },
    /// Each member went on without the other.
    #[error(
        "{first} and {second}: each copy went on without the other, so each holds entries that the other does \
         not; nothing was changed; move away the one that shall not count"
    )]
    MirrorApart {
        /// The ledger's directory.
        first: PathBuf,
        /// The mirror's.
        second: PathBuf,
    },
    /// The mirror's directory holds something else.
    #[error(
        "{path}: this is not the other copy of this ledger: it holds another ledger, or the copies are \
         swapped; nothing was changed; set data_dir and ledger.mirror as they were, or name an empty directory"
    )]
    MirrorForeign {
        /// The directory.
        path: PathBuf,
    },
    /// The configured hash is not the one that the ledger was created with.
    #[error("the ledger was created with {found}; set ledger.hash = \"{found}\" (it cannot be changed)")]
    Hash {
        /// The ledger's hash.
        found: &'static str,
    },
    /// The file system does no direct I/O.
    #[error(
        "{path}: the file system refuses direct I/O; put the data directory on ext4 or XFS, or set storage.direct = \"auto\""
    )]
    NoDirectIo {
        /// Which file.
        path: PathBuf,
    },
    /// No space is left.
    #[error("{0}; free space on the file system of the data directory and start again")]
    NoSpace(DiskError),
    /// The file system is mounted read-only.
    #[error("{0}; mount the file system of the data directory read-write")]
    ReadOnly(DiskError),
    /// No ring, although one is required.
    #[error("{0}; set storage.io = \"auto\" to fall back to pwritev2")]
    Ring(DiskError),
    /// The clock stands too far ahead.
    #[error(transparent)]
    Time(#[from] TimeJump),
    /// Any other refusal of the kernel.
    #[error("{0}")]
    Disk(DiskError),
}

impl OpenError {
    /// The exit code of a process that ends with this error.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Locked { .. } => 75,
            Self::Permission(_) => 77,
            Self::Superblock { .. } => 80,
            Self::SuperblockMissing { .. } => 81,
            Self::Rot(_) => 82,
            Self::Replay { .. } => 83,
            Self::Format { .. } | Self::SuperblockFormat { .. } => 84,
            Self::Hash { .. } => 85,
            Self::NoDirectIo { .. } => 86,
            Self::NoSpace(_) => 87,
            Self::ReadOnly(_) => 88,
            Self::Ring(_) => 89,
            Self::Time(_) => 90,
            Self::Disk(_) => 91,
            Self::Shortage(_) => 92,
            Self::Unreadable { .. } => 93,
            Self::LogKey => 94,
            Self::FrameKey { .. } => 95,
            Self::MirrorMissing { .. } | Self::MirrorUnset { .. } | Self::MirrorApart { .. } => 96,
            Self::MirrorForeign { .. } => 97,
            Self::Setting { .. } => 2,
        }
    }
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> Self {
        use disk::Errno;
        match error {
            DiskError::Locked { path, holder } => Self::Locked { path, holder },
            ref shortage if shortage.is_shortage() => Self::Shortage(error),
            DiskError::NoSpace { .. } => Self::NoSpace(error),
            DiskError::DirectRefused { path, .. } => Self::NoDirectIo { path },
            DiskError::UringDisabled { .. }
            | DiskError::UringSeccomp { .. }
            | DiskError::UringSecurityModule { .. }
            | DiskError::UringDenied { .. }
            | DiskError::UringMemory { .. }
            | DiskError::KernelTooOld { .. } => Self::Ring(error),
            ref other if matches!(other.errno(), Some(Errno::ACCESS | Errno::PERM)) => {
                Self::Permission(error)
            }
            ref other if other.errno() == Some(Errno::ROFS) => Self::ReadOnly(error),
            DiskError::File { .. }
            | DiskError::Kernel { .. }
            | DiskError::ShortWrite { .. }
            | DiskError::ShortRead { .. }
            | DiskError::TooLarge { .. } => Self::Disk(error),
            // The enum may grow; what is new is told in its own words.
            _ => Self::Disk(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use disk::{Errno, Operation};
    use journal::{BadFrame, FrameError, FrameNumber, Position, Witness};
    use model::{Seq, Timestamp};

    use super::*;

    fn refused(errno: Errno) -> OpenError {
        let path = PathBuf::from("/data/ledger/slot");
        if errno == Errno::NOSPC {
            return DiskError::NoSpace { operation: Operation::Write, path, errno }.into();
        }
        DiskError::File { operation: Operation::Open, path, errno }.into()
    }

    fn every_error() -> Vec<OpenError> {
        let path = || PathBuf::from("/data/ledger/superblock");
        let rot = Rot {
            at: Position::default(),
            expected: FrameNumber(3),
            seq: Seq(7),
            bad: BadFrame::Frame(FrameError::Empty),
            witness: Witness::Slot,
            claimed: FrameNumber(9),
        };
        let position = || "0:4096".to_owned();
        vec![
            DiskError::Locked { path: path(), holder: "process 1".into() }.into(),
            refused(Errno::ACCESS),
            OpenError::Superblock { path: path(), error: ImageError::BothDamaged },
            OpenError::SuperblockMissing { path: path() },
            OpenError::Rot(rot),
            OpenError::Replay { position: position(), detail: "another root".into() },
            OpenError::Format { position: position(), format: 9 },
            OpenError::Hash { found: "sha256" },
            DiskError::DirectRefused { path: path(), align_bytes: None }.into(),
            refused(Errno::NOSPC),
            refused(Errno::ROFS),
            DiskError::UringDisabled { level: 2, group: None }.into(),
            OpenError::Time(TimeJump { last: Timestamp(0), wall: Timestamp(9), allowed_secs: 1 }),
            refused(Errno::NXIO),
            refused(Errno::MFILE),
            OpenError::Unreadable {
                position: position(),
                error: DiskError::File { operation: Operation::Read, path: path(), errno: Errno::IO },
            },
            OpenError::LogKey,
            OpenError::FrameKey { path: path() },
            OpenError::MirrorMissing { path: path(), cause: "there is no ledger in it".into() },
            OpenError::MirrorForeign { path: path() },
            OpenError::Setting { key: "ledger.keys_max", value: 1, message: "too few" },
        ]
    }

    #[test]
    fn every_exit_code_is_in_the_book_and_means_one_thing() {
        let book = include_str!("../../../../docs/errors.md");
        let (_, codes) = book.split_once("## Exit codes").expect("the section is there");
        let mut seen: BTreeMap<u8, String> = BTreeMap::new();
        for error in every_error() {
            let code = error.exit_code();
            assert!(codes.contains(&format!("\n| {code} |")), "{code} is not in docs/errors.md: {error}");
            if let Some(other) = seen.insert(code, error.to_string()) {
                panic!("{code} is {error}, and {other}");
            }
        }
        for code in 80..=97_u8 {
            assert!(seen.contains_key(&code), "{code} is not made by any error");
        }
    }

    #[test]
    fn a_shortage_is_never_taken_for_damage() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS] {
            assert_eq!(refused(errno).exit_code(), 92);
        }
        assert_eq!(refused(Errno::PERM).exit_code(), 77);
    }
}
