//! Tests of the crate as a whole: rules, replay, checkpoints, proofs, notes, receipts.

mod checkpoint;
mod leaf;
mod lives;
mod merkle;
mod note;
mod random;
mod receipt;
mod rules;
pub(crate) mod slices;
pub(crate) mod world;
