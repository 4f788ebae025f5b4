//! The operator's tools: `ronctl` asks a running node over its admin socket, `ron-ledgerctl` audits a
//! ledger from its files and a receipt from its own bytes, ships its segments, makes and restores
//! snapshots.
//!
//! Holds: `ron-ledgerctl` writes nothing into a data directory that is there and takes no lock in it, so
//! it may stand beside a running node; it shares the formats with the server and none of its state. What
//! a restore makes is a directory of its own. Every exit code is in `exit` and in
//! `docs/errors.md`. Leaves to others: what the bytes mean (`journal`, `ledger`), what a node does
//! when it is asked (`node`).
#![forbid(unsafe_code)]

mod admin_client;
mod archive;
mod exit;
mod ledgerctl;
mod receipt;
mod ronctl;
mod ship;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod verify;

pub use archive::{ArchiveError, ArchiveReport};
pub use ledgerctl::main as ledgerctl_main;
pub use receipt::{ProvenReceipt, ProvenSide, ReceiptFault, check_receipt};
pub use ronctl::main as ronctl_main;
pub use ship::ShipReport;
pub use verify::{
    AssetFacts, Beyond, Checked, Finding, Holder, LedgerFacts, Report, TailReport, VerifyError, verify,
};
