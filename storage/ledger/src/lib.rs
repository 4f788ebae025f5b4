//! The rules of the ledger, its Merkle tree, proofs and audit.
#![forbid(unsafe_code)]
