//! `run/endpoints.json`: the addresses in use, for tools and tests that ask for any free port.

use std::{
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use disk::{DiskError, Operation};
use engine::OpenError;
use serde::{Deserialize, Serialize};

use crate::keys::{KeyError, private_dir};

const FILE: &str = "endpoints.json";

/// The addresses in use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) ledger: SocketAddr,
    pub(crate) ledger_admin: SocketAddr,
    pub(crate) wallet: SocketAddr,
    pub(crate) wallet_admin: SocketAddr,
    /// Usage, health and metrics.
    pub(crate) accounting_admin: SocketAddr,
    /// Where producers connect.
    pub(crate) accounting_socket: PathBuf,
}

impl Endpoints {
    /// Writes them, whole or not at all. A full disk is no reason not to serve: it is logged.
    ///
    /// # Errors
    /// If they cannot be written for another reason, or others may enter the directory.
    pub(crate) fn write(&self, run: &Path, admin_socket: Option<&Path>) -> Result<(), KeyError> {
        private_dir(run)?;
        let written = Written { endpoints: self, admin_socket };
        let text = serde_json::to_string_pretty(&written).expect("addresses are plain values");
        // Not flushed: the addresses of a machine that lost its power are of no use.
        let (fresh, path) = (run.join("endpoints.json.new"), run.join(FILE));
        let written = fs::write(&fresh, text).and_then(|()| fs::rename(&fresh, &path));
        if written.as_ref().is_err_and(|error| error.kind() == ErrorKind::StorageFull) {
            tracing::error!("{}: the disk is full; nobody finds this node by that file", path.display());
            // What is left of an earlier start, or of this one, would mislead. They may not be there.
            drop((fs::remove_file(&fresh), fs::remove_file(&path)));
            return Ok(());
        }
        written.map_err(|error| {
            let errno = rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO);
            KeyError::from(OpenError::from(DiskError::File { operation: Operation::Write, path, errno }))
        })
    }

    /// Reads those of a running node; `None` while there are none.
    pub(crate) fn read(run: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(run.join(FILE)).ok()?).ok()
    }

    /// Takes those of a node that is gone away.
    pub(crate) fn clear(run: &Path) -> io::Result<()> {
        match fs::remove_file(run.join(FILE)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The whole file.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    endpoints: &'a Endpoints,
    /// `null` where no operators' socket could be made.
    admin_socket: Option<&'a Path>,
}
