//! `Connection`: one producer's bytes on their way in and out.
//!
//! Holds: what is read and not understood is at most one frame of the largest size, what is said
//! and not read at most `OUTPUT_MAX` bytes; who is slow is closed. Leaves to others: what the bytes
//! mean (`ShardLoop`), reading and writing (the executors).

use model::{Instant, Nanos};
use wire::usage::{FrameBuffer, ServerMessage};

/// Bytes that wait to be written above which no more is read from the connection.
const OUTPUT_STOP: usize = 16 << 10;
/// Bytes that wait to be written above which the connection is closed.
const OUTPUT_MAX: usize = 64 << 10;
/// Sent bytes that may lie before the unsent ones.
const SENT_MAX: usize = 8 << 10;

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The producer closed it, or the socket failed.
    Peer,
    /// It was told why: see the refusals.
    Refused,
    /// It did not read what it was sent.
    Unread,
    /// A frame did not arrive in time.
    Dribble,
    /// The node stops.
    Stop,
}

impl CloseReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::Peer, Self::Refused, Self::Unread, Self::Dribble, Self::Stop];

    /// The word under which it is counted.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Refused => "refused",
            Self::Unread => "unread",
            Self::Dribble => "dribble",
            Self::Stop => "stop",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Peer => 0,
            Self::Refused => 1,
            Self::Unread => 2,
            Self::Dribble => 3,
            Self::Stop => 4,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) input: FrameBuffer,
    /// Whole frames wait in `input`: nothing is read until they are taken.
    pub(crate) has_frames: bool,
    output: Vec<u8>,
    sent: usize,
    /// Nothing more is read; it is over when what was said is sent.
    is_closing: bool,
    /// It is over whatever is unsent.
    is_cut: bool,
    partial_since: Option<Instant>,
    unread_since: Option<Instant>,
}

impl Connection {
    /// A connection with what has arrived of it.
    pub(crate) fn new(input: FrameBuffer) -> Self {
        Self {
            has_frames: input.waiting() > 0,
            input,
            output: Vec::with_capacity(OUTPUT_STOP),
            sent: 0,
            is_closing: false,
            is_cut: false,
            partial_since: None,
            unread_since: None,
        }
    }

    /// Whether frames are taken from it now.
    pub(crate) fn takes_frames(&self) -> bool {
        !self.is_closing && self.unsent().len() < OUTPUT_STOP
    }

    /// Whether bytes are read from it now.
    pub(crate) fn reads(&self) -> bool {
        self.takes_frames() && !self.has_frames
    }

    /// Frames were taken, `any` or none; what is left begins a frame, unless whole ones wait.
    pub(crate) fn understood(&mut self, any: bool, now: Instant) {
        if self.input.waiting() == 0 || self.has_frames {
            self.partial_since = None;
        } else if any || self.partial_since.is_none() {
            self.partial_since = Some(now);
        }
    }

    /// Queues a message; `false` if the peer has left too much unread.
    pub(crate) fn say(&mut self, message: &ServerMessage, now: Instant) -> bool {
        if self.unsent().len() + ServerMessage::BYTES_MAX > OUTPUT_MAX {
            return false;
        }
        if self.sent > SENT_MAX {
            self.output.drain(..self.sent);
            self.sent = 0;
        }
        self.unread_since.get_or_insert(now);
        message.encode(&mut self.output);
        true
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        self.output.get(self.sent..).expect("no more is sent than there is")
    }

    /// `count` bytes of `unsent` went out.
    pub(crate) fn sent(&mut self, count: usize, now: Instant) {
        self.sent += count;
        assert!(self.sent <= self.output.len(), "no more is sent than there is");
        if self.partial_since.is_some() && count > 0 {
            // While it had too much unread, nothing was read from it.
            self.partial_since = Some(now);
        }
        if self.sent == self.output.len() {
            (self.sent, self.unread_since) = (0, None);
            self.output.clear();
        } else if count > 0 {
            self.unread_since = Some(now);
        }
    }

    pub(crate) const fn close(&mut self) {
        self.is_closing = true;
    }

    pub(crate) const fn cut(&mut self) {
        (self.is_closing, self.is_cut) = (true, true);
    }

    pub(crate) const fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Whether the socket may be dropped.
    pub(crate) fn is_over(&self) -> bool {
        self.is_cut || (self.is_closing && self.unsent().is_empty())
    }

    /// Whether some deadline runs.
    pub(crate) const fn has_deadline(&self) -> bool {
        self.partial_since.is_some() || self.unread_since.is_some()
    }

    /// Which deadline has passed, if one has.
    pub(crate) fn late(&self, now: Instant, frame_max: Nanos, unread_max: Nanos) -> Option<CloseReason> {
        let passed = |since: Option<Instant>, most| since.is_some_and(|since| now.since(since) > most);
        if passed(self.unread_since, unread_max) {
            return Some(CloseReason::Unread);
        }
        (self.reads() && passed(self.partial_since, frame_max)).then_some(CloseReason::Dribble)
    }
}
