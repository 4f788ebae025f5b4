//! From the committer to the follower: durable frames in their own buffers, and what was published.
//!
//! Holds: neither waits for the other. A follower that lags loses the buffers and reads the frames
//! from the journal instead; it notices by their numbers.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use disk::AlignedBuf;
use journal::Position;
use ledger::Hash;

use crate::bell::Bell;

/// Durable frames that may wait for the follower in their buffers.
pub(crate) const FEED: usize = 4;

/// One piece of news.
#[derive(Debug)]
pub(crate) enum News {
    /// A frame is durable.
    Frame(FedFrame),
    /// Nothing more will come.
    End,
}

/// A durable frame in its buffer.
#[derive(Debug)]
pub(crate) struct FedFrame {
    pub(crate) buffer: AlignedBuf,
    pub(crate) position: Position,
    pub(crate) frame_bytes: usize,
    pub(crate) leaves: Vec<Hash>,
}

/// Both directions, shared by the two threads.
#[derive(Debug)]
pub(crate) struct FeedLine {
    news: ArrayQueue<News>,
    back: ArrayQueue<(AlignedBuf, Vec<Hash>)>,
    /// The newest tree that may be signed and served; an older one that nobody took is replaced.
    published: ArrayQueue<(u64, Hash)>,
    follower: Arc<Bell>,
}

impl FeedLine {
    /// An empty line.
    pub(crate) fn new(follower: Arc<Bell>) -> Arc<Self> {
        let (news, back) = (ArrayQueue::new(FEED), ArrayQueue::new(FEED + 1));
        Arc::new(Self { news, back, published: ArrayQueue::new(1), follower })
    }

    /// Sends news; gives it back if the follower lags. `ring` wakes the follower.
    pub(crate) fn send(&self, news: News) -> Result<(), News> {
        self.news.push(news)
    }

    /// Wakes the follower if it sleeps.
    pub(crate) fn ring(&self) {
        self.follower.ring();
    }

    /// This tree may be signed and served. It is never lost on a follower that lags.
    pub(crate) fn publish(&self, size: u64, root: Hash) {
        self.published.force_push((size, root));
        self.follower.ring();
    }

    /// The newest tree that may be signed, if it was not taken yet.
    pub(crate) fn published(&self) -> Option<(u64, Hash)> {
        self.published.pop()
    }

    /// A buffer that the follower is done with.
    pub(crate) fn returned(&self) -> Option<(AlignedBuf, Vec<Hash>)> {
        self.back.pop()
    }

    /// Whether a buffer waits to be taken back.
    pub(crate) fn has_returned(&self) -> bool {
        !self.back.is_empty()
    }

    /// The next piece of news.
    pub(crate) fn next(&self) -> Option<News> {
        self.news.pop()
    }

    /// Whether there is news.
    pub(crate) fn has_news(&self) -> bool {
        !self.news.is_empty() || !self.published.is_empty()
    }

    /// Gives a buffer back.
    pub(crate) fn give_back(&self, buffer: AlignedBuf, mut leaves: Vec<Hash>) {
        leaves.clear();
        assert!(self.back.push((buffer, leaves)).is_ok(), "no more buffers come back than went out");
    }
}
