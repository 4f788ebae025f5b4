//! `Effects`: what a shard wants done, in order, in a buffer that never grows.

use std::collections::VecDeque;

use model::{SliceRequest, Timestamp};
use wire::usage::ServerMessage;

use crate::ConnectionId;

/// One thing to do.
#[expect(clippy::large_enum_variant, reason = "effects live in a buffer of fixed size; a box would allocate")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send this to a producer.
    Reply(ConnectionId, ServerMessage),
    /// Close this connection when what was said before is sent. The shard has forgotten it.
    Close(ConnectionId),
    /// Ask the ledger to take this slice; answer with `SliceDurable` or `SliceRefused`.
    Export {
        /// The slice.
        request: SliceRequest,
        /// When it was sealed.
        sealed_at: Timestamp,
    },
}

/// Effects in order. The loop drains it after each `apply`.
#[derive(Debug)]
pub struct Effects {
    effects: VecDeque<Effect>,
    capacity: usize,
}

impl Effects {
    /// Room that `apply` must find.
    pub const ROOM_MIN: usize = 8;

    /// A buffer for `capacity` effects; at least `ROOM_MIN`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(Self::ROOM_MIN);
        Self { effects: VecDeque::with_capacity(capacity), capacity }
    }

    /// Takes the effects out, in order.
    pub fn drain(&mut self) -> impl Iterator<Item = Effect> + '_ {
        self.effects.drain(..)
    }

    /// How many more fit.
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity - self.effects.len()
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        assert!(self.room() > 0, "a shard asks for room before it acts");
        self.effects.push_back(effect);
    }

    pub(crate) fn reply(&mut self, connection: ConnectionId, message: ServerMessage) {
        self.push(Effect::Reply(connection, message));
    }
}
