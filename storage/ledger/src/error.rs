//! `Error`: why a recorded entry or a checkpoint cannot be taken.

use model::{Kind, Seq};

/// Which recorded effect does not follow from the state before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A side names an account that is not open, or one where the kind has none.
    Account,
    /// An `open` binds a name to an id that is not its own, or a name that is open already.
    Name,
    /// An account's sequence after the entry.
    Sequence,
    /// A balance after the entry.
    Balance,
    /// What is held after the entry.
    Held,
    /// The nonce after the entry.
    Nonce,
    /// The idempotency key has an outcome already.
    Key,
    /// A table is full.
    Full,
    /// A slice does not follow the one before it in its stream.
    Stream,
    /// A slice's digest is not that of its body.
    Digest,
    /// An incarnation does not follow the one that lasts, or is one too many.
    Incarnation,
}

/// Why a recorded entry or a checkpoint cannot be taken. The state is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The entry's number is not the next one.
    #[error("entry {found} does not follow entry {last}")]
    OutOfOrder {
        /// The last entry applied.
        last: Seq,
        /// The entry that came.
        found: Seq,
    },
    /// The entry is older than the one before it.
    #[error("entry {seq} goes back in time")]
    TimeBackwards {
        /// The entry.
        seq: Seq,
    },
    /// This build has no rules for the kind.
    #[error("entry {seq} is of kind `{kind}`, for which this build has no rules")]
    UnknownKind {
        /// The entry.
        seq: Seq,
        /// Its kind.
        kind: Kind,
    },
    /// The recorded effects do not follow from the state.
    #[error("entry {seq} records an impossible effect: {effect:?}")]
    Impossible {
        /// The entry.
        seq: Seq,
        /// Which effect.
        effect: Effect,
    },
    /// The checkpoint's digest is not that of its bytes, or its length does not fit.
    #[error("the checkpoint is damaged")]
    CheckpointDamaged,
    /// The checkpoint is of a version that this build does not read.
    #[error("checkpoint version {0} is not known to this build")]
    CheckpointVersion(u32),
    /// The checkpoint is of a ledger with another hash.
    #[error("the checkpoint is of a ledger with another hash")]
    CheckpointHash,
    /// A table in the checkpoint is larger than the parameters allow.
    #[error("the checkpoint holds {found} rows where {limit} are allowed")]
    CheckpointTooLarge {
        /// Rows in the checkpoint.
        found: u64,
        /// Rows allowed.
        limit: u32,
    },
    /// A field of the checkpoint is outside its range.
    #[error("a field of the checkpoint is outside its range: {0}")]
    CheckpointField(&'static str),
}
