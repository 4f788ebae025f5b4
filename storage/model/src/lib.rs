//! The words every other crate uses: ids, amounts, time, records, refusal reasons, limits.
//!
//! Holds: every type here is checked when it is made, and every record has one fixed size.
//! Leaves to others: deciding (`ledger`), durability (`journal`), I/O (`disk`, `engine`).
//! Pure: no file, socket, clock, thread or random source can be reached from here.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod account;
mod amount;
mod asset;
mod batch;
mod beginning;
mod domain;
mod id;
mod kind;
pub mod limits;
mod lives;
mod posting;
mod reason;
mod request;
mod slice;
mod text;
mod time;

pub use account::{AccountId, AccountName, NameError, OWNED_EXTERNAL, OWNED_ISSUANCE};
pub use amount::{Amount, AmountError, Balance};
pub use asset::{Asset, AssetError};
pub use batch::{BatchError, BatchView, BatchWriter, RecordRef};
pub use beginning::{Beginning, Cause, Parent};
pub use id::{Epoch, Incarnation, LedgerId, Seq, ShardId, TxId, TxIdError};
pub use kind::Kind;
pub use lives::{Life, Lives};
pub use posting::{Ext, Head, Posting, Side};
pub use reason::Reason;
pub use request::{Declined, IdemKey, Outcome, Preconditions, Request, SliceRequest};
pub use slice::Slice;
pub use text::Text;
pub use time::{Instant, Nanos, Timestamp};
