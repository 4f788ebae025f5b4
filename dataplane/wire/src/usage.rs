//! Usage between producers, shards, the control plane and the ledger.
//!
//! Producers speak frames over a socket (`ClientMessage`, `ServerMessage`, laid out in
//! `docs/format-usage.md`); the control plane asks shards through queues (`UsageCall`); sealed
//! slices carry a `SliceBody`.
//! Holds: every length that arrives is bounded before it is used, and no input panics.
//! Leaves to others: sockets (`engine`, `producer`), counting and sealing (`shard`).

mod body;
mod call;
mod client;
mod frame;
mod item;
mod labels;
mod producer;
mod reader;
mod server;
mod tally;

pub use body::{BODY_VERSION, BodyError, ProducerRange, SliceBody, SliceBodyWriter, SliceHeader, SliceRow};
pub use call::{UsageAnswer, UsageAsk, UsageCall, UsageQuery, UsageReply, UsageRow, UsageWindow};
pub use client::{BatchHeader, BatchView, ClientMessage, Hello, UsageRecord};
pub use frame::{FrameBuffer, FrameError, FrameFault};
pub use item::{EventId, ItemOutcome, ItemRefusal, UsageItem};
pub use labels::{LabelId, LabelSet, OVERFLOW_LABEL, shard_of, stream_id, stream_name};
pub use producer::{ProducerMachine, ProducerParams, ProducerStatus};
pub use server::{LabelRefusal, Refusal, Rejection, ServerMessage};
pub use tally::{Tally, Totals};

/// The version of the usage protocol that this build speaks.
pub const PROTOCOL_VERSION: u16 = 1;
/// Bytes of one frame, its length field included.
pub const FRAME_BYTES_MAX: usize = 256 << 10;
/// Records of one batch.
pub const BATCH_RECORDS_MAX: usize = 8_192;
/// Labels that one connection can define; label ids are below it.
pub const CONNECTION_LABELS_MAX: u32 = 16_384;
/// Producer ranges of one slice.
pub const SLICE_RANGES_MAX: usize = 2_048;
/// Rows of one tenant in one window, the tenant's overflow row not counted.
pub const TENANT_ROWS_MAX: usize = 6_000;

const _: () =
    assert!(client::BATCH_HEADER_BYTES + BATCH_RECORDS_MAX * client::RECORD_BYTES <= FRAME_BYTES_MAX);
const _: () = assert!(TENANT_ROWS_MAX < model::limits::SLICE_ROWS_MAX);
const _: () = assert!(
    body::bytes_max(SLICE_RANGES_MAX, TENANT_ROWS_MAX + 1) <= model::limits::SLICE_BODY_BYTES_MAX,
    "a tenant's window with the longest labels is one slice"
);
