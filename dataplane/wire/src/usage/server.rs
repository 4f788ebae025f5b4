//! `ServerMessage`: what a shard says to a producer.

use model::ShardId;

use super::{
    FrameError, FrameFault, LabelId,
    frame::{self, FRAME_HEADER_BYTES},
    reader::Reader,
};

const KIND_WELCOME: u8 = 64;
const KIND_RECEIVED: u8 = 65;
const KIND_DURABLE: u8 = 66;
const KIND_CREDIT: u8 = 67;
const KIND_REJECTED: u8 = 68;
const KIND_LABEL_REFUSED: u8 = 69;
const KIND_REFUSED: u8 = 70;

/// Why a batch was not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It was counted before. Done with.
    Duplicate,
    /// Another batch with this number was counted before. Done with; the producer is at fault.
    Conflict,
    /// Batches between are missing: send from `expected`.
    Gap {
        /// The next number that is taken.
        expected: u64,
    },
    /// Its window is too long ago to be corrected. Done with; its usage is lost and counted.
    Late,
    /// Its window is too far in the future. Done with; its usage is lost and counted.
    Skewed,
    /// There is no room now: send it again when `Credit` allows it.
    Busy,
    /// It names a label that was not defined on this connection: define it and send again.
    UnknownLabel,
}

impl Rejection {
    /// The word under which it is counted.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
            Self::Gap { .. } => "gap",
            Self::Late => "late",
            Self::Skewed => "skewed",
            Self::Busy => "busy",
            Self::UnknownLabel => "unknown_label",
        }
    }

    /// Whether the number is used up, so that the producer goes on with the next.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Duplicate | Self::Conflict | Self::Late | Self::Skewed => true,
            Self::Gap { .. } | Self::Busy | Self::UnknownLabel => false,
        }
    }

    const fn code(self) -> (u8, u64) {
        match self {
            Self::Duplicate => (1, 0),
            Self::Conflict => (2, 0),
            Self::Gap { expected } => (3, expected),
            Self::Late => (4, 0),
            Self::Skewed => (5, 0),
            Self::Busy => (6, 0),
            Self::UnknownLabel => (7, 0),
        }
    }

    const fn from_code(code: u8, number: u64) -> Option<Self> {
        Some(match (code, number) {
            (1, 0) => Self::Duplicate,
            (2, 0) => Self::Conflict,
            (3, expected) => Self::Gap { expected },
            (4, 0) => Self::Late,
            (5, 0) => Self::Skewed,
            (6, 0) => Self::Busy,
            (7, 0) => Self::UnknownLabel,
            _ => return None,
        })
    }
}

/// Why a label set got no number. Records with that label are not counted, and every `Received`
/// says how many were not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelRefusal {
    /// The tenant belongs to another shard.
    WrongShard,
    /// The shard has as many tenants as it may.
    TenantLimit,
    /// The number stands for other labels already.
    Taken,
}

impl LabelRefusal {
    /// The word under which it is counted.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::WrongShard => "wrong_shard",
            Self::TenantLimit => "tenant_limit",
            Self::Taken => "taken",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::WrongShard => 1,
            Self::TenantLimit => 2,
            Self::Taken => 3,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::WrongShard,
            2 => Self::TenantLimit,
            3 => Self::Taken,
            _ => return None,
        })
    }
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The hello's version is not spoken here.
    Version {
        /// The version that is.
        spoken: u16,
    },
    /// A frame could not be read.
    Malformed,
    /// A frame was larger than the limit.
    TooLarge,
    /// Something came before the hello, or a second hello, or a batch of another producer.
    Order,
    /// A newer start of this producer is known.
    StaleEpoch {
        /// The newest one.
        current: u64,
    },
    /// There is no such shard, or it is not served on this connection.
    WrongShard {
        /// How many shards there are.
        shards: u16,
    },
    /// The same producer has connected again.
    Superseded,
    /// There is no room for another producer or connection.
    Busy,
    /// The node is stopping: connect again later.
    Draining,
    /// The peer is not on the allow-list.
    Denied,
}

impl Refusal {
    /// The word under which it is counted.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Version { .. } => "version",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::Order => "order",
            Self::StaleEpoch { .. } => "stale_epoch",
            Self::WrongShard { .. } => "wrong_shard",
            Self::Superseded => "superseded",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::Denied => "denied",
        }
    }

    fn code(self) -> (u8, u64) {
        match self {
            Self::Version { spoken } => (1, spoken.into()),
            Self::Malformed => (2, 0),
            Self::TooLarge => (3, 0),
            Self::Order => (4, 0),
            Self::StaleEpoch { current } => (5, current),
            Self::WrongShard { shards } => (6, shards.into()),
            Self::Superseded => (7, 0),
            Self::Busy => (8, 0),
            Self::Draining => (9, 0),
            Self::Denied => (10, 0),
        }
    }

    fn from_code(code: u8, number: u64) -> Option<Self> {
        Some(match (code, number) {
            (1, spoken) => Self::Version { spoken: u16::try_from(spoken).ok()? },
            (2, 0) => Self::Malformed,
            (3, 0) => Self::TooLarge,
            (4, 0) => Self::Order,
            (5, current) => Self::StaleEpoch { current },
            (6, shards) => Self::WrongShard { shards: u16::try_from(shards).ok()? },
            (7, 0) => Self::Superseded,
            (8, 0) => Self::Busy,
            (9, 0) => Self::Draining,
            (10, 0) => Self::Denied,
            _ => return None,
        })
    }
}

/// A message of a shard. `seq`, `through` and `limit` count the producer's batches for this
/// shard; `limit` is the highest number that may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// Answers the hello.
    Welcome {
        /// The shard that speaks.
        shard: ShardId,
        /// How many shards the node has.
        shards: u16,
        /// Length of a window in milliseconds.
        window_millis: u32,
        /// The next batch that is taken.
        next: u64,
        /// The highest batch that may be sent.
        limit: u64,
    },
    /// Every batch up to `seq` has been counted or rejected.
    Received {
        /// The last of them.
        seq: u64,
        /// The highest batch that may be sent.
        limit: u64,
        /// Records since the welcome that were not counted because their label was refused.
        records_refused: u64,
    },
    /// Every batch up to `through` is in the ledger: the producer may forget it.
    Durable {
        /// The last of them.
        through: u64,
    },
    /// More may be sent, or less.
    Credit {
        /// The highest batch that may be sent.
        limit: u64,
    },
    /// This batch was not counted.
    Rejected {
        /// Its number.
        seq: u64,
        /// Why.
        why: Rejection,
    },
    /// This label has no number.
    LabelRefused {
        /// Which.
        label: LabelId,
        /// Why.
        why: LabelRefusal,
    },
    /// The connection is about to be closed.
    Refused(
        /// Why.
        Refusal,
    ),
}

impl ServerMessage {
    /// Bytes of the longest message as a frame.
    pub const BYTES_MAX: usize = 32;

    /// Appends this message as a frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let kind = match self {
            Self::Welcome { .. } => KIND_WELCOME,
            Self::Received { .. } => KIND_RECEIVED,
            Self::Durable { .. } => KIND_DURABLE,
            Self::Credit { .. } => KIND_CREDIT,
            Self::Rejected { .. } => KIND_REJECTED,
            Self::LabelRefused { .. } => KIND_LABEL_REFUSED,
            Self::Refused(_) => KIND_REFUSED,
        };
        let start = frame::begin(out, kind);
        match *self {
            Self::Welcome { shard, shards, window_millis, next, limit } => {
                out.extend_from_slice(&shard.0.to_le_bytes());
                out.extend_from_slice(&shards.to_le_bytes());
                out.extend_from_slice(&window_millis.to_le_bytes());
                out.extend_from_slice(&next.to_le_bytes());
                out.extend_from_slice(&limit.to_le_bytes());
            }
            Self::Received { seq, limit, records_refused } => {
                for word in [seq, limit, records_refused] {
                    out.extend_from_slice(&word.to_le_bytes());
                }
            }
            Self::Durable { through: number } | Self::Credit { limit: number } => {
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::Rejected { seq, why } => {
                let (code, number) = why.code();
                out.extend_from_slice(&seq.to_le_bytes());
                out.push(code);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::LabelRefused { label, why } => {
                out.extend_from_slice(&label.0.to_le_bytes());
                out.push(why.code());
            }
            Self::Refused(why) => {
                let (code, number) = why.code();
                out.push(code);
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        frame::end(out, start);
        assert!(out.len() - start <= Self::BYTES_MAX, "replies are small");
    }

    /// Reads the first message of `bytes` and says how many bytes it took; `None` if more must
    /// arrive.
    ///
    /// # Errors
    /// Says what is wrong with the frame, and where.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, FrameError> {
        let Some(frame) = frame::split(bytes)? else { return Ok(None) };
        Self::decode(frame.kind, frame.payload).map(|message| Some((message, frame.bytes)))
    }

    pub(crate) fn decode(kind: u8, payload: &[u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(payload, FRAME_HEADER_BYTES);
        let unknown = reader.fault(FrameFault::UnknownCode);
        let message = match kind {
            KIND_WELCOME => Self::Welcome {
                shard: ShardId(reader.u16()?),
                shards: reader.u16()?,
                window_millis: reader.u32()?,
                next: reader.u64()?,
                limit: reader.u64()?,
            },
            KIND_RECEIVED => {
                Self::Received { seq: reader.u64()?, limit: reader.u64()?, records_refused: reader.u64()? }
            }
            KIND_DURABLE => Self::Durable { through: reader.u64()? },
            KIND_CREDIT => Self::Credit { limit: reader.u64()? },
            KIND_REJECTED => {
                let (seq, code, number) = (reader.u64()?, reader.u8()?, reader.u64()?);
                Self::Rejected { seq, why: Rejection::from_code(code, number).ok_or(unknown)? }
            }
            KIND_LABEL_REFUSED => {
                let (label, code) = (LabelId(reader.u32()?), reader.u8()?);
                Self::LabelRefused { label, why: LabelRefusal::from_code(code).ok_or(unknown)? }
            }
            KIND_REFUSED => {
                let (code, number) = (reader.u8()?, reader.u64()?);
                Self::Refused(Refusal::from_code(code, number).ok_or(unknown)?)
            }
            _ => return Err(FrameError { at: FRAME_HEADER_BYTES - 1, fault: FrameFault::UnknownKind }),
        };
        reader.finish()?;
        Ok(message)
    }
}
