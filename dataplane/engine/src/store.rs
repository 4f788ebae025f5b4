//! The data directory of a ledger: opened, recovered, flushed.

mod again;
mod checkpoints;
mod error;
mod hints;
mod images;
mod incarnation;
mod inventory;
mod open;
mod read_ahead;
mod release;
mod replay;
mod segments;
mod twin;
mod upkeep_params;

pub(crate) use checkpoints::{Draft, KeepError, Recipe, checkpoints};
pub use error::OpenError;
pub use incarnation::{Begun, NewLife, begin_incarnation};
pub use inventory::Gap;
pub(crate) use inventory::{FIRST, Inventory};
pub use open::{Birth, OpenReport, Store, StoreParams, is_ledger};
pub(crate) use open::{Places, check_memory, open};
pub(crate) use replay::{LastFrame, Wanted, rules};
pub use replay::{Replay, ReplayError};
pub use segments::Segments;
pub use upkeep_params::UpkeepParams;
