//! `Finding`: what is wrong with the journal, and where.

use model::{Asset, Kind, Seq};

use crate::Which;

/// One fault at one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq}: {fault}")]
pub struct Finding {
    /// The entry, or the size of the claimed head.
    pub seq: Seq,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Entries are missing or repeated.
    #[error("its number should be {expected}")]
    Gap {
        /// The number that follows.
        expected: Seq,
    },
    /// It is older than an entry before it.
    #[error("it goes back in time")]
    TimeBackwards,
    /// This build does not know how to check it.
    #[error("this build has no rules for `{0}`")]
    UnknownKind(Kind),
    /// Sides, amount or asset are not those of its kind.
    #[error("its sides or amount are not those of its kind")]
    Shape,
    /// A name that is no name, or not that of its id.
    #[error("the name does not parse or is not that of the id")]
    Name,
    /// An account was opened before.
    #[error("the account is open already")]
    OpenTwice,
    /// An account was never opened.
    #[error("the {0:?} account is not open")]
    NotOpen(Which),
    /// A balance does not follow.
    #[error("the {which:?} balance should be {expected}")]
    Balance {
        /// Which side.
        which: Which,
        /// The balance that follows.
        expected: i128,
    },
    /// What is held does not follow.
    #[error("what is held of the {0:?} account does not follow")]
    Held(Which),
    /// An account's sequence does not follow.
    #[error("the {which:?} sequence should be {expected}")]
    AccountSeq {
        /// Which side.
        which: Which,
        /// The sequence that follows.
        expected: u64,
    },
    /// An account that may not is below zero.
    #[error("the {0:?} account is below zero")]
    Negative(Which),
    /// The nonce does not follow.
    #[error("the nonce should be {expected}")]
    Nonce {
        /// The nonce that follows.
        expected: u64,
    },
    /// A refusal whose reason does not hold, or is none that is recorded.
    #[error("the refusal is not justified by the accounts as they stood")]
    Refusal,
    /// An outcome without a key.
    #[error("it has no idempotency key")]
    NoKey,
    /// A key with two outcomes.
    #[error("its idempotency key has its outcome at entry {first}")]
    KeyTwice {
        /// The first one.
        first: Seq,
    },
    /// A slice out of its chain.
    #[error("it does not continue its stream at slice {expected}")]
    SliceChain {
        /// The number that follows.
        expected: u64,
    },
    /// A slice's digest is not that of its body.
    #[error("the slice's digest is not that of its body")]
    SliceDigest,
    /// An incarnation that does not follow the one that lasts.
    #[error("it should leave incarnation {expected}")]
    Parent {
        /// The one that lasts.
        expected: u32,
    },
    /// An incarnation's parent with another tree than the entries before it.
    #[error("the tree of its parent is not that of the {size} entries before it")]
    ParentTree {
        /// Entries before it.
        size: u64,
    },
    /// A claimed size is not that of a frame's end.
    #[error("no frame ended at size {claimed}")]
    HeadSize {
        /// The size.
        claimed: u64,
    },
    /// A claimed root is not the root.
    #[error("the root at size {size} is another")]
    Root {
        /// The size.
        size: u64,
    },
    /// The balances of an asset do not add up.
    #[error("the balances of `{0}` do not add up to zero")]
    SumNotZero(Asset),
}
