//! The data directory of a ledger: opened, recovered, flushed.

mod error;
mod hints;
mod images;
mod incarnation;
mod open;
mod read_ahead;
mod replay;
mod segments;
mod twin;

pub use error::OpenError;
pub use incarnation::{Begun, NewLife, begin_incarnation};
pub use open::{Birth, OpenReport, Store, StoreParams, is_ledger};
pub(crate) use open::{Places, check_memory, checkpoints, open, write_checkpoint};
pub use replay::{Replay, ReplayError};
pub(crate) use replay::{Wanted, rules};
pub use segments::Segments;
