//! Messages between threads, planes and processes: the same types in a queue or over a socket.
//!
//! Holds: every length and count that arrives is checked against `model::limits` before anything
//! is allocated. Leaves to others: queues and sockets (`engine`), meaning (`ledger`, `shard`).
//! Pure: no file, socket, clock, thread or random source can be reached from here.
#![forbid(unsafe_code)]

pub mod admin;
mod ledger;
mod read;
mod upkeep;
pub mod usage;

pub use ledger::{
    AccountPage, AccountState, AccountThen, Answer, Ask, Call, CallId, Checkpoint, Committed, EntryProof,
    Group, Health, InclusionProof, Root, Status, StoredEntry,
};
pub use read::{
    ACCOUNT_ENTRIES_MAX, At, Found, ROOTS_MAX, ReadAnswer, ReadAsk, ReadCall, SLICE_PAGE_BYTES, SlicePage,
};
pub use upkeep::Upkeep;
