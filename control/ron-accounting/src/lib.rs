//! In-memory usage metering: request counters, inbound and outbound bytes, snapshots by tenant,
//! method, route, service and region. Transient: durable truth is the ledger's.
//!
//! ```
//! use ron_accounting::{labels, Accounting};
//!
//! fn main() -> anyhow::Result<()> {
//!     let acc = Accounting::new_default(); // amnesia-aware defaults (env-driven)
//!     let l = labels()
//!         .tenant("t-123")
//!         .method("GET")
//!         .route("/v1/objects/:id") // templated, not raw ID
//!         .service("omnigate")
//!         .region("iad");
//!
//!     acc.incr_request(&l);
//!     acc.add_bytes_in(&l, 32 * 1024);
//!     acc.add_bytes_out(&l, 4096);
//!
//!     let snap = acc.snapshot();
//!     // ship `snap` to a channel or service that exports to ron-ledger
//!     assert!(snap.entries().len() >= 1);
//!     Ok(())
//! }
//! ```
//!
//! A snapshot tells its window:
//!
//! ```
//! use ron_accounting::{labels, Accounting};
//!
//! fn main() -> anyhow::Result<()> {
//!     let acc = Accounting::new_default();
//!     let l = labels()
//!         .tenant("acme")
//!         .method("GET")
//!         .route("/v1/feed")
//!         .service("omnigate")
//!         .region("iad");
//!
//!     acc.incr_request(&l);
//!     acc.add_bytes_out(&l, 1024);
//!
//!     let snap = acc.snapshot();
//!     println!("window={}ms entries={}", snap.window_ms, snap.entries().len());
//!     Ok(())
//! }
//! ```
//!
//! Leaves to others: the counting itself (`ron-meter`, which this re-exports whole).
#![forbid(unsafe_code)]

pub use ron_meter::*;
