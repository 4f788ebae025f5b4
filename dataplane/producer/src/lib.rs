//! A client of the accounting socket: gathers counts, sends batches, keeps them until they are
//! durable, reconnects and sends again. Never makes its caller wait for I/O.
//!
//! Holds: all decisions are `wire::usage::ProducerMachine`'s; what cannot be delivered is counted
//! (`dropped`, `lost`), never silent.
//! Leaves to others: where the identity comes from, how many shards there are (`Options`).
#![forbid(unsafe_code)]

mod clock;
mod lane;
mod producer;

pub use producer::{Label, Options, Producer, StartError, Status};
