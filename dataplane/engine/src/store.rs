//! The data directory of a ledger: opened, recovered, flushed.

mod again;
mod copies;
mod error;
mod hints;
mod images;
mod members;
mod open;
mod read_ahead;
mod replay;
mod resync;
mod segments;
mod twin;

pub(crate) use copies::Copies;
pub use error::OpenError;
pub use members::MemberFiles;
pub use open::{Birth, OpenReport, Store, StoreParams, is_ledger};
pub(crate) use open::{Places, check_memory, checkpoints, open, write_checkpoint};
pub(crate) use replay::{LastFrame, Wanted, rules};
pub use replay::{Replay, ReplayError};
pub use resync::Copied;
pub use segments::Segments;
