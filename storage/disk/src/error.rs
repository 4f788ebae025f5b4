//! What can go wrong below the journal: the operation, the file and the kernel's word for it.
//!
//! Nothing here is retried or logged; whoever handles the error does that once. A completion carries
//! a bare [`Errno`]: it names its operation by token already.

use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What was being done when the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Opening or creating a file.
    Open,
    /// Reading a file's attributes.
    Stat,
    /// Reading bytes.
    Read,
    /// Writing bytes.
    Write,
    /// Flushing a file (`fdatasync`, `fsync`).
    Flush,
    /// Flushing a directory's names.
    SyncDirectory,
    /// Reserving space (`fallocate`).
    Allocate,
    /// Changing a file's length.
    Truncate,
    /// Renaming a file.
    Rename,
    /// Removing a name.
    Remove,
    /// Making a directory.
    CreateDirectory,
    /// Listing a directory.
    ListDirectory,
    /// Taking a lock.
    Lock,
    /// Making or reading an eventfd.
    Doorbell,
    /// Setting up a ring.
    Setup,
    /// Handing operations to the kernel or waiting for them.
    Submit,
    /// Registering a file or buffers with a ring.
    Register,
    /// Reading or raising a resource limit.
    Limit,
    /// Making a file system in memory.
    RamDisk,
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Operation::Open => "open",
            Operation::Stat => "stat",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Flush => "flush",
            Operation::SyncDirectory => "sync directory",
            Operation::Allocate => "allocate",
            Operation::Truncate => "truncate",
            Operation::Rename => "rename",
            Operation::Remove => "remove",
            Operation::CreateDirectory => "create directory",
            Operation::ListDirectory => "list directory",
            Operation::Lock => "lock",
            Operation::Doorbell => "doorbell",
            Operation::Setup => "set up ring",
            Operation::Submit => "submit",
            Operation::Register => "register",
            Operation::Limit => "limit",
            Operation::RamDisk => "make a file system in memory",
        })
    }
}

/// Every way in which this crate fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The kernel refused an operation on a file or directory.
    #[error("{operation} {path:?}: {errno}")]
    File {
        /// What was tried.
        operation: Operation,
        /// On which file or directory.
        path: PathBuf,
        /// The kernel's answer.
        errno: Errno,
    },
    /// The kernel refused an operation that has no path: an eventfd, a limit, a ring.
    #[error("{operation}: {errno}")]
    Kernel {
        /// What was tried.
        operation: Operation,
        /// The kernel's answer.
        errno: Errno,
    },
    /// No space or no quota is left (`ENOSPC`, `EDQUOT`).
    #[error("no space left: {operation} {path:?}: {errno}")]
    NoSpace {
        /// What was tried.
        operation: Operation,
        /// On which file.
        path: PathBuf,
        /// Which of the two.
        errno: Errno,
    },
    /// The file system does not do direct I/O on this file, or only with an alignment above
    /// [`ALIGNMENT_BYTES`](crate::ALIGNMENT_BYTES) (then `align_bytes` says which).
    #[error("direct I/O refused on {path:?} (alignment {align_bytes:?} bytes)")]
    DirectRefused {
        /// Which file.
        path: PathBuf,
        /// The alignment that the file system asks for, where it said so.
        align_bytes: Option<u32>,
    },
    /// The kernel wrote fewer bytes than it was given, without an error.
    #[error("short write to {path:?} at {offset}: {written} of {wanted} bytes")]
    ShortWrite {
        /// Which file.
        path: PathBuf,
        /// Where the write began, in bytes.
        offset: u64,
        /// Bytes given.
        wanted: usize,
        /// Bytes taken.
        written: usize,
    },
    /// The file ended before the bytes that were asked for.
    #[error("short read of {path:?} at {offset}: {read} of {wanted} bytes")]
    ShortRead {
        /// Which file.
        path: PathBuf,
        /// Where the read began, in bytes.
        offset: u64,
        /// Bytes asked for.
        wanted: usize,
        /// Bytes there.
        read: usize,
    },
    /// A small file is larger than its reader allows.
    #[error("{path:?} holds {len_bytes} bytes, over the limit of {limit_bytes}")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// Its length.
        len_bytes: u64,
        /// What the reader allows.
        limit_bytes: u64,
    },
    /// A pipe, a socket or a device stands where a file belongs: opening it could wait for ever.
    #[error("{path:?} is no ordinary file, but a pipe, a socket or a device; put the file back in its place")]
    NotOrdinary {
        /// What stands there.
        path: PathBuf,
    },
    /// Another process, or another part of this one, holds the lock.
    #[error("{path:?} is locked by {holder:?}")]
    Locked {
        /// The lock file or the file in use.
        path: PathBuf,
        /// What the holder wrote about itself, empty if it wrote nothing.
        holder: String,
    },
    /// `io_uring` is switched off by the sysctl `kernel.io_uring_disabled` (1: for processes
    /// outside the group `kernel.io_uring_group` and without `CAP_SYS_ADMIN`, 2: for all).
    #[error("io_uring is off: kernel.io_uring_disabled = {level}{}", disabled_advice(*.level, .group.as_deref()))]
    UringDisabled {
        /// The sysctl's value.
        level: u32,
        /// What `kernel.io_uring_group` says, if it could be read; `-1` is no group.
        group: Option<String>,
    },
    /// A seccomp filter is in force on this thread and the ring is refused, as in most containers.
    #[error(
        "io_uring is denied by a seccomp filter ({errno}); allow io_uring_setup, io_uring_enter and \
         io_uring_register in the profile of the container or unit"
    )]
    UringSeccomp {
        /// What the filter answers.
        errno: Errno,
    },
    /// No seccomp filter is in force, a security module confines this process, and the ring is refused.
    #[error(
        "io_uring is denied ({errno}), and a security module confines this process as {label:?}; allow io_uring in its policy"
    )]
    UringSecurityModule {
        /// `EPERM` or `EACCES`.
        errno: Errno,
        /// The confinement's name, from `/proc/thread-self/attr/current`.
        label: String,
    },
    /// `io_uring` is refused, and nothing that can be read says by whom.
    #[error(
        "io_uring is denied ({errno}), by neither sysctl nor seccomp filter; see to the host's security modules"
    )]
    UringDenied {
        /// `EPERM` or `EACCES`.
        errno: Errno,
    },
    /// The ring does not fit into the locked memory that this process may have.
    #[error("io_uring needs more locked memory than RLIMIT_MEMLOCK allows ({}); raise it (`ulimit -l`, LimitMEMLOCK=)", bytes(*.soft_bytes))]
    UringMemory {
        /// The soft limit in bytes, `None` for unlimited.
        soft_bytes: Option<u64>,
    },
    /// The kernel lacks something that no flag can be dropped for.
    #[error("the kernel is too old for this ring: it lacks {missing}; use a newer kernel")]
    KernelTooOld {
        /// What is missing, with the version that brought it.
        missing: &'static str,
    },
}

impl DiskError {
    /// An error on `path`, with the space errors told apart.
    pub(crate) fn file(operation: Operation, path: &Path, errno: Errno) -> Self {
        let path = path.to_path_buf();
        if errno == Errno::NOSPC || errno == Errno::DQUOT {
            DiskError::NoSpace { operation, path, errno }
        } else {
            DiskError::File { operation, path, errno }
        }
    }

    /// The kernel's error number, where the failure has one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            DiskError::File { errno, .. }
            | DiskError::Kernel { errno, .. }
            | DiskError::NoSpace { errno, .. }
            | DiskError::UringSeccomp { errno }
            | DiskError::UringSecurityModule { errno, .. }
            | DiskError::UringDenied { errno } => Some(*errno),
            DiskError::DirectRefused { .. }
            | DiskError::ShortWrite { .. }
            | DiskError::ShortRead { .. }
            | DiskError::TooLarge { .. }
            | DiskError::NotOrdinary { .. }
            | DiskError::Locked { .. }
            | DiskError::UringDisabled { .. }
            | DiskError::UringMemory { .. }
            | DiskError::KernelTooOld { .. } => None,
        }
    }

    /// Whether the process or the host is short of descriptors or memory: nothing is wrong with the
    /// file, and it may work later.
    #[must_use]
    pub fn is_shortage(&self) -> bool {
        matches!(self.errno(), Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::NOBUFS))
    }

    /// Whether the kernel does not let this process in.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self.errno(), Some(Errno::ACCESS | Errno::PERM))
    }

    /// Whether it says why there is no ring.
    #[must_use]
    pub fn is_no_ring(&self) -> bool {
        matches!(
            self,
            DiskError::UringDisabled { .. }
                | DiskError::UringSeccomp { .. }
                | DiskError::UringSecurityModule { .. }
                | DiskError::UringDenied { .. }
                | DiskError::UringMemory { .. }
                | DiskError::KernelTooOld { .. }
        )
    }

    /// Whether the file or directory is simply not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.errno() == Some(Errno::NOENT)
    }
}

/// Who the sysctl shuts out, and what to do.
fn disabled_advice(level: u32, group: Option<&str>) -> String {
    let advice = "`sysctl kernel.io_uring_disabled=0` as root allows it";
    match (level, group) {
        (1, None | Some("-1")) => format!(", for all without CAP_SYS_ADMIN; {advice}"),
        (1, Some(group)) => {
            format!(", for all outside group {group} (kernel.io_uring_group); run in that group, or {advice}")
        }
        _ => format!(", for every process; {advice}"),
    }
}

fn bytes(limit: Option<u64>) -> String {
    limit.map_or_else(|| "unlimited".into(), |bytes| format!("{bytes} bytes"))
}

/// The error number inside a standard library error; `EIO` where it carries none.
pub(crate) fn errno_of(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
