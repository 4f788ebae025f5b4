//! The data directory of a ledger: opened, recovered, flushed.

mod error;
mod images;
mod open;
mod replay;
mod segments;
mod twin;

pub use error::OpenError;
pub use open::{Birth, OpenReport, Store, StoreParams, is_ledger};
pub(crate) use open::{Places, open, write_checkpoint};
pub use replay::{Replay, ReplayError};
pub use segments::Segments;
