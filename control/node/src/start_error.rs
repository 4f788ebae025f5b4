//! `StartError`: why a node does not start, and the exit code of each cause (`docs/errors.md`).

use std::{io::ErrorKind, net::SocketAddr};

use engine::{OpenError, UsageError};

use crate::{descriptors::TooFew, keys::KeyError, place::PlaceError};

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("{0}")]
    Descriptors(#[from] TooFew),
    #[error("{0}")]
    Place(#[from] PlaceError),
    #[error(
        "storage.io = \"ram\": {0}; it needs CAP_SYS_ADMIN and Linux 5.2: run as root, or set another storage.io"
    )]
    Ram(disk::DiskError),
    #[error("{0}")]
    Keys(#[from] KeyError),
    #[error("{0}")]
    Ledger(#[from] OpenError),
    #[error("{0}")]
    Usage(#[from] UsageError),
    #[error("{0}")]
    Http(#[from] server::ServerError),
    #[error("{0}")]
    Name(#[from] ledger::NoteError),
    #[error("{key} = {address}: cannot listen: {error}; {}", cannot_listen(.error).1)]
    Listen { key: &'static str, address: SocketAddr, error: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl StartError {
    /// The exit code of this cause.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Descriptors(_) => 92,
            Self::Place(error) => error.exit_code(),
            Self::Ram(_) => 89,
            Self::Keys(error) => error.exit_code(),
            Self::Ledger(error) => error.exit_code(),
            Self::Usage(error) => error.exit_code(),
            Self::Name(_) => 2,
            Self::Http(_) => 70,
            Self::Listen { error, .. } => cannot_listen(error).0,
            Self::Io(error) if is_shortage(error) => 92,
            Self::Io(_) => 91,
        }
    }
}

/// Whether the process or the host is short of descriptors or memory.
fn is_shortage(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| shortages.contains(&errno))
}

/// Why an address cannot be listened on: the exit code, and what to do.
fn cannot_listen(error: &std::io::Error) -> (u8, &'static str) {
    if is_shortage(error) {
        (92, "raise the limit (`ulimit -n`)")
    } else if error.kind() == ErrorKind::AddrInUse {
        (75, "stop what listens there, or set another port")
    } else if error.kind() == ErrorKind::PermissionDenied {
        (77, "ports below 1024 need CAP_NET_BIND_SERVICE")
    } else {
        (2, "set an address of this host")
    }
}
