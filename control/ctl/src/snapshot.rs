//! Snapshots: a ledger as one signed archive, made beside a running node, audited and restored offline.
//!
//! Holds: nothing half written ever bears its final name. Leaves to others: the audit (`verify`), the
//! entry that begins a life (`engine`).

mod archive;
mod create;
mod error;
mod manifest;
mod pace;
mod restore;

pub use create::{CreateParams, Created, create};
pub use error::SnapshotError;
pub use manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestError, ManifestFile};
pub use restore::{Point, RestoreParams, Restored, SnapshotReport, VerifyParams, restore, verify_snapshot};

#[cfg(test)]
mod tests;
