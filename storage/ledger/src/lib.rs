//! The rules of the ledger, its Merkle tree, proofs, notes and the independent audit.
//!
//! Holds: what is decided is a function of the state and the request alone; what is recorded is
//! applied and never decided again; no order of iteration depends on a hash; nothing allocates
//! per record after `Ledger::new`. Leaves to others: durability (`journal`), threads (`engine`),
//! who may ask (`caps`). The bytes of leaves and checkpoints are in `docs/format.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod accounts;
mod apply;
mod audit;
mod blind;
mod checkpoint;
mod decide;
mod decision;
mod error;
mod hash;
mod head;
mod index;
mod keys;
mod leaf;
mod leaf_fields;
mod ledger;
mod note;
mod params;
mod proof;
mod receipt;
mod slices;
mod streams;
mod tile;
mod tlog_proof;
mod tree;

pub use accounts::AccountView;
pub use apply::LOOKED_UP_AT_ONCE;
pub use audit::{AssetReport, Audit, Fault, Finding, Report, Total};
pub use decide::Prepared;
pub use decision::{Decision, Postings, SliceDecision};
pub use error::{Effect, Error};
pub use hash::{Hash, HashKind};
pub use head::{TreeHead, open_checkpoint, sign_checkpoint};
pub use keys::{KEY_RETENTION_MILLIS, KeyView};
pub use leaf::{
    LeafData, OpenedSide, Which, beginning_leaf_data, leaf_data, record_leaf_hash, slice_leaf_data,
};
pub use leaf_fields::{LeafFields, LeafSides};
pub use ledger::Ledger;
pub use note::{
    NOTE_BYTES_MAX, NoteError, NoteSigner, NoteVerifier, SIGNATURES_MAX, SignatureLine, SignedNote,
};
pub use params::{Params, Table};
pub use proof::{
    HashSource, PATH_HASHES_MAX, ProofError, consistency_path, inclusion_path, root_of_inclusion,
    verify_consistency, verify_inclusion,
};
pub use receipt::{Receipt, ReceiptError, Verified, verify_receipt, verify_receipt_under};
pub use streams::{RECENT_SLICES, StreamView};
pub use tile::{TILE_BYTES, TILE_HASHES, Tile, TileSpan, filled_tiles};
pub use tlog_proof::TlogProof;
pub use tree::Tree;

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a test panics on every answer but the one it names")]
mod tests;
