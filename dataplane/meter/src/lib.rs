//! Usage counters that can be embedded anywhere: no runtime, no clock, no thread of their own.
//!
//! ```
//! use ron_meter::{labels, Accounting};
//!
//! let accounting = Accounting::new_default();
//! let l = labels().tenant("acme").method("GET").route("/v1/feed").service("omnigate").region("iad");
//! accounting.incr_request(&l);
//! accounting.add_bytes_out(&l, 1024);
//! let snapshot = accounting.snapshot();
//! assert_eq!(snapshot.entries().len(), 1);
//! ```
//!
//! Holds: counters only grow and are never reset, so a slice is the difference of two readings
//! and no interleaving can lose an increment; a count that finds no row of its own goes to its
//! tenant's overflow row, never nowhere.
//! Leaves to others: durable truth (`ron-ledger`), transport, policy, labels free of personal
//! data.
#![forbid(unsafe_code)]

mod accounting;
pub mod counters;
pub mod export;
mod labels;
mod settings;
mod table;

pub use accounting::{Accounting, Meter};
pub use counters::Counters;
pub use export::Snapshot;
pub use labels::{labels, Labels, LABEL_BYTES_MAX, OVERFLOW};
pub use settings::{Settings, SettingsError};
