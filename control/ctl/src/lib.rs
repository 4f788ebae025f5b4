//! The operator's tools: `ronctl` asks a running node over its admin socket, `ron-ledgerctl` audits a
//! ledger from its files and a receipt from its own bytes.
//!
//! Holds: `ron-ledgerctl` writes nothing and takes no lock, so it may stand beside a running node; it
//! shares the formats with the server and none of its state. Every exit code is in `exit` and in
//! `docs/errors.md`. Leaves to others: what the bytes mean (`journal`, `ledger`), what a node does
//! when it is asked (`node`).
#![forbid(unsafe_code)]

mod admin_client;
mod exit;
mod ledgerctl;
mod receipt;
mod ronctl;
#[cfg(test)]
mod tests;
mod verify;

pub use ledgerctl::main as ledgerctl_main;
pub use receipt::{ProvenReceipt, ProvenSide, ReceiptFault, check_receipt};
pub use ronctl::main as ronctl_main;
pub use verify::{
    AssetFacts, Beyond, Checked, Finding, Holder, LedgerFacts, Report, TailReport, VerifyError, verify,
};
