//! The rules of the ledger, its Merkle tree, proofs, notes and the independent audit.
//!
//! Holds: what is decided is a function of the state and the request alone; what is recorded is
//! applied and never decided again; no order of iteration depends on a hash; nothing allocates
//! per record after `Ledger::new`. Leaves to others: durability (`journal`), threads (`engine`),
//! who may ask (`caps`). The bytes of leaves and checkpoints are in `docs/format.md`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod accounts;
mod apply;
mod blind;
mod checkpoint;
mod decide;
mod decision;
mod error;
mod hash;
mod index;
mod keys;
mod leaf;
mod ledger;
mod params;
mod slices;
mod streams;
mod tree;

pub use accounts::AccountView;
pub use decide::Prepared;
pub use decision::{Decision, Postings, SliceDecision};
pub use error::{Effect, Error};
pub use hash::{Hash, HashKind};
pub use keys::{KEY_RETENTION_MILLIS, KeyView};
pub use leaf::{LeafData, OpenedSide, Which, leaf_data, record_leaf_hash, slice_leaf_data};
pub use ledger::Ledger;
pub use params::Params;
pub use streams::{RECENT_SLICES, StreamView};
pub use tree::Tree;
