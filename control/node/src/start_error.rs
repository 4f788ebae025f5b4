//! `StartError`: why a node does not start, and the exit code of each cause (`docs/errors.md`).

use std::net::SocketAddr;

use engine::OpenError;

use crate::keys::KeyError;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("{0}")]
    Keys(#[from] KeyError),
    #[error("{0}")]
    Ledger(#[from] OpenError),
    #[error("{0}")]
    Http(#[from] server::ServerError),
    #[error("{0}")]
    Name(#[from] ledger::NoteError),
    #[error("{address}: cannot listen: {error}; stop what listens there, or choose another port")]
    Listen { address: SocketAddr, error: std::io::Error },
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl StartError {
    /// The exit code of this cause.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Keys(_) => 77,
            Self::Ledger(error) => error.exit_code(),
            Self::Name(_) => 2,
            Self::Http(_) => 70,
            Self::Listen { .. } => 75,
            Self::Io(_) => 91,
        }
    }
}
