//! The history of accounts: sorted runs of rows `(account, asset, account_seq) -> (seq, balance, held)`.
//!
//! Holds: everything here follows from the entries and is rebuilt from them; a block is believed only
//! with its check, which binds it to its ledger, run and place; rows of one account in one asset
//! follow one another without a gap, so their order by sequence is their order by time. Leaves to
//! others: files and threads (`engine`), which runs there are. The bytes are in
//! `docs/format-derived.md`.

mod block;
mod header;
mod merge;
mod policy;
mod row;
mod run;

pub use block::{HISTORY_BLOCK_BYTES, HistoryBlock, RunError, RunName, decode_block};
pub use header::{RunEnd, RunHeader};
pub use merge::{MergeError, merge};
pub use policy::{MERGED_AT_ONCE, RUN_ROWS, RUNS_MAX, due};
pub use row::{HistoryKey, HistoryRow, history_rows};
pub use run::{Blocks, LookupError, Place, RunBuilder, RunReader, RunRows};

#[cfg(test)]
mod tests;
