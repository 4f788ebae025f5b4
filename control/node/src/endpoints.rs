//! `run/endpoints.json`: the addresses in use, for tools and tests that ask for any free port.

use std::{net::SocketAddr, path::Path};

use disk::directory;
use engine::OpenError;
use serde::Serialize;

use crate::keys::{KeyError, private_dir};

/// The addresses in use.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Endpoints {
    pub(crate) ledger: SocketAddr,
    pub(crate) ledger_admin: SocketAddr,
    pub(crate) wallet: SocketAddr,
    pub(crate) wallet_admin: SocketAddr,
}

impl Endpoints {
    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// If they cannot be written, or others may enter the directory.
    pub(crate) fn write(&self, run: &Path) -> Result<(), KeyError> {
        private_dir(run)?;
        let text = serde_json::to_string_pretty(self).expect("addresses are plain values");
        let written = directory::replace_file(&run.join("endpoints.json"), text.as_bytes());
        Ok(written.map_err(OpenError::from)?)
    }
}
