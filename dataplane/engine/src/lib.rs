//! Threads: the committer loop, the reader, the preparer, shard loops, placement, queues, fatal exits.
//!
//! Every loop is `select -> apply -> act` around a pure machine. Holds: a core owns its state, so
//! the data plane has no locks; every queue has a bound. Leaves to others: HTTP (`server`), rules
//! (`ledger`), bytes on disk (`journal`, `disk`), counting (`shard`).
#![forbid(unsafe_code)]

mod bell;
mod checkpointer;
mod clock;
mod commit_files;
mod commit_loop;
mod derived;
mod fatal;
mod feed;
mod follower;
mod frame_index;
mod history;
mod intake;
mod ledger_role;
mod ledger_time;
mod pipeline;
mod placement;
mod preparer;
mod rebuilder;
mod source;
mod status_board;
mod store;
mod tile_files;
mod usage;

pub use bell::Bell;
pub use clock::{monotonic, wall};
pub use commit_loop::{CommitObserver, NoObserver};
pub use disk::{BuffersReport, CommitMethod, Direct, Io};
pub use fatal::{FatalReason, fatal, guard};
pub use frame_index::{FrameIndex, FrameRow, IndexError};
pub use intake::{Intake, LaneId, LaneKind, frame_bytes};
pub use ledger_role::{LedgerParams, LedgerReport, LedgerRole};
pub use ledger_time::{LedgerTime, TimeJump};
pub use pipeline::{Gathered, Pipeline, Routed};
pub use placement::{Placement, Wanted, cores, pin, plan};
pub use source::{Ends, Inlet, Source, source};
pub use status_board::StatusBoard;
pub use store::{
    Birth, Copied, MemberFiles, OpenError, OpenReport, Replay, ReplayError, Segments, Store, StoreParams,
    is_ledger,
};
pub use tile_files::TileFiles;
pub use usage::{
    AcceptorBoard, CloseReason, Executor, SHARD_REFUSALS, ShardBoard, ShardStatus, SocketCounters,
    SocketError, UsageError, UsageObserver, UsageParams, UsageReport, UsageRole,
};
