//! One shard: its tenants, their counters, sealed slices, export lanes. Pure.
//!
//! The loop around it reads sockets and queues, calls `Shard::apply`, and does what comes out:
//!
//! ```
//! use model::{ShardId, Timestamp};
//! use shard::{Effect, Effects, Event, Params, Shard};
//!
//! let mut shard = Shard::new(Params::new("node", ShardId(0), 1, 60_000)?)?;
//! let mut effects = Effects::new(256);
//! // First `shard.restore(now, slice, body)` for each slice in the ledger; then, for ever:
//! shard.apply(Timestamp::from_millis(1_760_631_060_000), Event::Tick, &mut effects);
//! for effect in effects.drain() {
//!     match effect {
//!         Effect::Reply(connection, message) => { /* encode and queue for that socket */ }
//!         Effect::Close(connection) => { /* close it when its queue is empty */ }
//!         Effect::Export { request, sealed_at } => { /* ask the ledger; answer with an event */ }
//!     }
//! }
//! assert!(shard.is_idle(), "otherwise apply another `Tick` now");
//! # Ok::<(), shard::ParamsError>(())
//! ```
//!
//! Leaves to others: sockets, threads and clocks (`engine`), the frames (`wire`).
#![forbid(unsafe_code)]

mod batch;
mod catalog;
mod connections;
mod counters;
mod coverage;
mod effect;
mod event;
mod events;
mod generations;
mod lanes;
mod params;
mod producers;
mod query;
mod restore;
mod retained;
mod seal;
mod shard;
mod window;
mod windows;

pub use counters::Counters;
pub use effect::{Effect, Effects};
pub use event::{ConnectionId, Event, ExportRefusal};
pub use params::{Params, ParamsError};
pub use restore::RestoreError;
pub use shard::Shard;
