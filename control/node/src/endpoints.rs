//! `run/endpoints.json`: the addresses in use, for tools and tests that ask for any free port.

use std::{fs, net::SocketAddr, path::Path};

use serde::Serialize;

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
    pub(crate) fn write(&self, run: &Path) -> std::io::Result<()> {
        fs::create_dir_all(run)?;
        let text = serde_json::to_string_pretty(self).expect("addresses are plain values");
        fs::write(run.join("endpoints.json.new"), text)?;
        fs::rename(run.join("endpoints.json.new"), run.join("endpoints.json"))
    }
}
