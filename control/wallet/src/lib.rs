//! What a wallet may ask and what it gets back: intents, keys, problems, receipts.
//!
//! Holds: JSON is taken strictly (no unknown, doubled or mistyped field, amounts as decimal
//! strings only), and an answer is a pure function of the stored entry, so that a replay gives
//! the same bytes. Leaves to others: deciding (`ledger`), HTTP statuses and headers (`server`),
//! verifying proofs (`ledger`), capabilities (`caps`).
//! Pure: no file, socket, clock, thread or random source can be reached from here.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod balance;
mod body;
mod code;
mod entries;
mod form;
mod ingest;
mod intent;
mod key;
pub mod limits;
mod problem;
mod proof;
mod receipt;
mod results;

pub use balance::{BalanceAnswer, SequenceAnswer};
pub use body::{BodyError, FieldPath, Surface};
pub use code::Code;
pub use entries::{AccountEntry, EntriesAnswer};
pub use ingest::{IngestBody, IngestPlan};
pub use intent::Intent;
pub use key::{IdempotencyKey, KeyError};
pub use problem::{Numbers, Problem, Render};
pub use proof::{OpenedSide, ProofDocument, ProofError, SideName, Visible};
pub use receipt::{Receipt, money_answer, op_word};
pub use results::{EntryResult, IngestAnswer, Tally};
