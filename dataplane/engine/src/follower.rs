//! The reader's thread: follows the committer's durable frames and answers questions about them.
//!
//! Holds: it sees durable state only; a root is signed only after the frontier slot names it; every
//! proof is checked before it is given out. It keeps its own copy of the rules' state, so
//! checkpoints are made here and stall no commit (ADR 0005). Leaves to others: writing the journal.

use std::{collections::VecDeque, sync::Arc};

use disk::DiskError;
use journal::{Frame, FrameHeader, FrameKey, FrameNumber, Geometry, HEADER_BYTES, Position, Superblock};
use ledger::{Hash, HashKind, NoteSigner, TreeHead, sign_checkpoint};
use model::{Balance, BatchView, Nanos, Reason, RecordRef, Seq};
use wire::{
    AccountState, CallId, Checkpoint, Committed, EntryProof, Found, InclusionProof, ROOTS_MAX, ReadAnswer,
    ReadAsk, ReadCall, StoredEntry,
};

use crate::{
    bell::Bell,
    feed::{FedFrame, FeedLine, News},
    source::Inlet,
    status_board::StatusBoard,
    store::{Places, Replay, ReplayError, Segments, write_checkpoint},
};

/// Entries between two checkpoints: what a start replays at most after a kill, save for what came
/// while the last one was being written.
const CHECKPOINT_EVERY: u64 = 100_000;
/// Proofs that may wait for a checkpoint to cover their entry.
const WAITING_MAX: usize = 4_096;

/// Why the follower cannot go on: durable state and the journal contradict each other.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Replay(#[from] ReplayError),
    #[error("the journal has no frame {frame} at {position}, though it is durable: {detail}")]
    Missing { frame: u64, position: Position, detail: String },
}

/// Everything the thread owns.
pub(crate) struct Follower {
    pub(crate) replay: Replay,
    pub(crate) superblock: Superblock,
    pub(crate) hash: HashKind,
    pub(crate) key: FrameKey,
    pub(crate) places: Places,
    pub(crate) segments: Segments,
    pub(crate) feed: Arc<FeedLine>,
    pub(crate) reads: Inlet<ReadCall, ReadAnswer>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) board: Arc<StatusBoard>,
    pub(crate) signer: NoteSigner,
    pub(crate) state: Following,
}

/// What changes as the follower runs.
#[derive(Default)]
pub(crate) struct Following {
    checkpoint: Option<Checkpoint>,
    checkpointed: u64,
    waiting: VecDeque<(CallId, Seq)>,
    cached: Option<(Position, Vec<u8>)>,
    /// A tree that was published before this start and is not signed yet.
    published: Option<(u64, Hash)>,
    ended: bool,
}

impl Following {
    /// Begins with the tree that the slot names already.
    pub(crate) fn new(slot: &journal::Slot) -> Self {
        Self { published: Some((slot.tree_size, slot.root)), ..Self::default() }
    }
}

impl Follower {
    /// Runs until the committer has ended and everything it made durable is taken.
    pub(crate) fn run(mut self) {
        self.state.checkpointed = self.replay.begun;
        self.publish_board();
        if let Some((size, root)) = self.state.published.take()
            && let Err(error) = self.published(size, root)
        {
            crate::fatal::fatal(crate::fatal::FatalReason::Bug, &format!("reader: {error}"));
        }
        while !self.state.ended {
            self.bell.wait(Nanos::from_secs(60), || self.feed.has_news() || self.reads.is_waiting());
            if let Err(error) = self.step() {
                // Durable state that cannot be followed is damage or a defect; neither mends itself.
                crate::fatal::fatal(crate::fatal::FatalReason::Bug, &format!("reader: {error}"));
            }
        }
        if let Err(error) = self.write_checkpoint() {
            tracing::error!("checkpoint not written, the next start replays more: {error}");
        }
    }

    fn step(&mut self) -> Result<(), FollowError> {
        self.take_news()?;
        let mut answered = false;
        while let Some(call) = self.reads.take() {
            // What was answered to the asker before it asked is in the news by now.
            self.take_news()?;
            if let Some(found) = self.find(&call)? {
                self.reads.give(ReadAnswer { id: call.id, found });
            }
            answered = true;
        }
        if answered {
            self.reads.ring();
        }
        if self.replay.tree.size() - self.state.checkpointed >= CHECKPOINT_EVERY && !self.state.ended {
            self.write_checkpoint()?;
        }
        Ok(())
    }

    fn take_news(&mut self) -> Result<(), FollowError> {
        let before = self.replay.last.map(|last| last.frame);
        while let Some(news) = self.feed.next() {
            match news {
                News::Frame(fed) => self.take_fed(fed)?,
                News::Published { size, root } => self.published(size, root)?,
                News::End => {
                    self.catch_up(Seq(self.board.durable()))?;
                    self.state.ended = true;
                }
            }
        }
        // Frames whose news found no place are read from the journal.
        self.catch_up(Seq(self.board.durable()))?;
        if self.replay.last.map(|last| last.frame) != before {
            self.publish_board();
        }
        Ok(())
    }

    fn take_fed(&mut self, fed: FedFrame) -> Result<(), FollowError> {
        let FedFrame { buffer, position, frame_bytes, leaves } = fed;
        let parsed = FrameHeader::parse(&buffer, &self.key, self.geometry())
            .unwrap_or_else(|error| panic!("the committer sealed this frame: {error}"));
        while self.next_frame() < parsed.header.frame {
            self.read_next()?;
        }
        if self.next_frame() == parsed.header.frame {
            let payload_bytes = usize::try_from(parsed.header.payload_bytes).expect("a frame is in memory");
            let payload = buffer.get(HEADER_BYTES..HEADER_BYTES + payload_bytes).expect("sealed whole");
            assert_eq!(parsed.header.position, position);
            self.replay.take_frame(&parsed.header, parsed.hash, payload, frame_bytes, &leaves)?;
        }
        self.feed.give_back(buffer, leaves);
        Ok(())
    }

    /// Reads frames from the journal until the tree covers `seq`: the way of a follower that lags.
    fn catch_up(&mut self, seq: Seq) -> Result<(), FollowError> {
        while self.replay.tree.size() < seq.0 {
            self.read_next()?;
        }
        Ok(())
    }

    fn read_next(&mut self) -> Result<(), FollowError> {
        let place = match self.replay.last {
            None => Position::default(),
            Some(last) => {
                let bytes =
                    if last.frame_bytes > 0 { last.frame_bytes } else { self.frame_len(last.position)? };
                let bytes = u64::try_from(bytes).expect("a length fits");
                Position { offset: last.position.offset + bytes, ..last.position }
            }
        };
        let beyond = Position { segment: place.segment.next(), offset: 0 };
        let mut detail = String::new();
        for place in [place, beyond] {
            if place.offset >= self.geometry().segment_bytes() {
                continue;
            }
            match self.read_frame(place) {
                Ok(bytes) => {
                    let frame = journal::open(&bytes, &self.key, self.geometry());
                    match frame {
                        Ok(frame) if self.follows(&frame) => return Ok(self.replay.take(&frame)?),
                        Ok(_) => detail.push_str("another frame; "),
                        Err(error) => detail.push_str(&format!("{error}; ")),
                    }
                }
                Err(error) => detail.push_str(&format!("{error}; ")),
            }
        }
        Err(FollowError::Missing { frame: self.next_frame().0, position: place, detail })
    }

    fn follows(&self, frame: &Frame<'_>) -> bool {
        frame.header.frame == self.next_frame()
            && self.replay.last.is_none_or(|last| last.hash == frame.header.previous)
    }

    fn next_frame(&self) -> FrameNumber {
        self.replay.last.map_or(FrameNumber(1), |last| last.frame.next())
    }

    fn frame_len(&mut self, place: Position) -> Result<usize, FollowError> {
        let mut stride = vec![0; self.geometry().stride_len().max(disk::ALIGNMENT_BYTES)];
        self.segments.read_at(place.segment, place.offset, &mut stride)?;
        FrameHeader::parse(&stride, &self.key, self.geometry()).map(|parsed| parsed.frame_bytes).map_err(
            |error| FollowError::Missing {
                frame: self.next_frame().0,
                position: place,
                detail: error.to_string(),
            },
        )
    }

    /// The frame's bytes, from the journal. The last one read is kept.
    fn read_frame(&mut self, place: Position) -> Result<Vec<u8>, FollowError> {
        if let Some((_, bytes)) = self.state.cached.take_if(|(cached, _)| *cached == place) {
            return Ok(bytes);
        }
        let len = self.frame_len(place)?.next_multiple_of(disk::ALIGNMENT_BYTES);
        let mut bytes = vec![0; len];
        self.segments.read_at(place.segment, place.offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The slot names this tree, so its root may be signed.
    fn published(&mut self, size: u64, root: Hash) -> Result<(), FollowError> {
        self.catch_up(Seq(size))?;
        self.state.checkpoint = Some(self.sign(size, root));
        let waiting = std::mem::take(&mut self.state.waiting);
        for (id, seq) in waiting {
            let call = ReadCall { id, ask: ReadAsk::EntryProof(seq) };
            if let Some(found) = self.find(&call)? {
                self.reads.give(ReadAnswer { id, found });
            }
        }
        self.reads.ring();
        Ok(())
    }

    fn publish_board(&self) {
        let size = self.replay.tree.size();
        let at = self.replay.last.map(|last| last.at).unwrap_or_default();
        self.board.set_committed(Committed { size, root: self.replay.tree.root(), at });
    }

    /// Answers; `None` if the question waits for the next checkpoint.
    fn find(&mut self, call: &ReadCall) -> Result<Option<Found>, FollowError> {
        let size = self.replay.tree.size();
        let found = match &call.ask {
            ReadAsk::Account(name, asset) => Found::Account(self.account(*name, *asset)),
            ReadAsk::Entry(seq) => {
                self.catch_up(Seq(seq.0.min(self.board.durable())))?;
                Found::Entry(self.entry(*seq)?.map(|(entry, _)| Box::new(entry)))
            }
            ReadAsk::EntryProof(seq) => return self.entry_proof(call.id, *seq),
            ReadAsk::Roots { since, limit } => {
                Found::Roots(self.replay.index.roots(*since, (*limit).min(ROOTS_MAX))?)
            }
            ReadAsk::Checkpoint => Found::Checkpoint(self.checkpoint()),
            ReadAsk::Inclusion { seq, size: asked } => {
                Found::Inclusion(self.inclusion(*seq, asked.unwrap_or(size))?)
            }
            ReadAsk::Consistency { from, to } => Found::Consistency(self.consistency(*from, *to)),
        };
        Ok(Some(found))
    }

    fn account(&self, name: model::AccountName, asset: model::Asset) -> Option<AccountState> {
        let id = name.id();
        if self.replay.ledger.name(id) != Some(name) {
            return None;
        }
        let view = self.replay.ledger.account(id, asset);
        Some(AccountState {
            account: id,
            asset,
            balance: view.map_or(Balance::ZERO, |view| view.balance),
            held: view.map_or(0, |view| view.held),
            account_seq: view.map_or(0, |view| view.account_seq),
            nonce: self.replay.ledger.nonce(id).unwrap_or(0),
            as_of_seq: Seq(self.replay.tree.size()),
            as_of: self.replay.last.map(|last| last.at).unwrap_or_default(),
        })
    }

    fn entry(&mut self, seq: Seq) -> Result<Option<(StoredEntry, Vec<u8>)>, FollowError> {
        let Some((_, row)) = self.replay.index.find(seq)? else { return Ok(None) };
        let place = Position { segment: journal::SegmentNumber(row.segment), offset: row.offset };
        let bytes = self.read_frame(place)?;
        let found = self.entry_in(&bytes, seq, row.first_seq);
        self.state.cached = Some((place, bytes));
        Ok(found)
    }

    fn entry_in(&self, bytes: &[u8], seq: Seq, first: Seq) -> Option<(StoredEntry, Vec<u8>)> {
        let frame = journal::open(bytes, &self.key, self.geometry()).ok()?;
        let batch = BatchView::parse(frame.payload).ok()?;
        let index = usize::try_from(seq.0.checked_sub(first.0)?).ok()?;
        let RecordRef::Posting(posting) = batch.get(index)?.ok()? else { return None };
        assert_eq!(posting.head.seq, seq, "the index leads to the entry");
        let data = ledger::leaf_data(self.hash, &posting);
        let name = |side: &model::Side| self.replay.ledger.name(side.account);
        let entry = StoredEntry {
            posting,
            leaf: data.hash(self.hash),
            debit: name(&posting.debit),
            credit: name(&posting.credit),
        };
        Some((entry, data.as_bytes().to_vec()))
    }

    fn entry_proof(&mut self, id: CallId, seq: Seq) -> Result<Option<Found>, FollowError> {
        self.catch_up(Seq(seq.0.min(self.board.durable())))?;
        let Some((entry, leaf_data)) = self.entry(seq)? else { return Ok(Some(Found::EntryProof(None))) };
        let checkpoint = self.checkpoint();
        if checkpoint.size < seq.0 {
            if self.state.waiting.len() >= WAITING_MAX {
                return Ok(Some(Found::Refused(Reason::Busy)));
            }
            self.state.waiting.push_back((id, seq));
            return Ok(None);
        }
        let Some(proof) = self.inclusion(seq, checkpoint.size)? else {
            return Ok(Some(Found::Refused(Reason::Internal)));
        };
        Ok(Some(Found::EntryProof(Some(Box::new(EntryProof { entry, leaf_data, proof, checkpoint })))))
    }

    /// A proof that has been checked against the root that stands elsewhere (in the tree's right
    /// edge or in the index); `None` outside the tree.
    fn inclusion(&self, seq: Seq, size: u64) -> Result<Option<InclusionProof>, FollowError> {
        use ledger::HashSource;
        let tiles = &self.replay.tiles;
        let Some(index) = seq.leaf_index().filter(|index| *index < size && size <= self.replay.tree.size())
        else {
            return Ok(None);
        };
        let Some(leaf) = tiles.node(0, index) else { return Ok(None) };
        let made = ledger::inclusion_path(self.hash, tiles, index, size).and_then(|path| {
            let root = ledger::root_of_inclusion(self.hash, &leaf, index, size, &path)?;
            Ok(InclusionProof { seq, leaf, size, root, path })
        });
        let known = if size == self.replay.tree.size() {
            Some(self.replay.tree.root())
        } else {
            self.replay.index.root_at(size)?
        };
        match made {
            Ok(proof) if known.is_none_or(|known| known == proof.root) => Ok(Some(proof)),
            Ok(_) => {
                tracing::error!(
                    "the proof of entry {seq} in the tree of {size} does not verify: tiles are damaged"
                );
                Ok(None)
            }
            Err(error) => {
                tracing::error!("no proof of entry {seq} in the tree of {size}: {error}");
                Ok(None)
            }
        }
    }

    fn consistency(&self, from: u64, to: u64) -> Option<Vec<Hash>> {
        if to > self.replay.tree.size() {
            return None;
        }
        ledger::consistency_path(self.hash, &self.replay.tiles, from, to).ok()
    }

    fn checkpoint(&self) -> Checkpoint {
        self.state.checkpoint.clone().unwrap_or_else(|| {
            // Nothing was published yet: the empty tree is true of every ledger.
            self.sign(0, self.hash.empty())
        })
    }

    fn sign(&self, size: u64, root: Hash) -> Checkpoint {
        let head = TreeHead { origin: self.signer.name().into(), size, root };
        Checkpoint { size, root, note: sign_checkpoint(&self.signer, &head) }
    }

    fn write_checkpoint(&mut self) -> Result<(), FollowError> {
        let Some(last) = self.replay.last else { return Ok(()) };
        let size = self.replay.tree.size();
        self.replay.sync()?;
        let mut payload = Vec::new();
        self.replay.ledger.encode_checkpoint(&self.replay.tree, &mut payload);
        let checkpoint = journal::Checkpoint {
            ledger: self.superblock.ledger,
            incarnation: self.superblock.incarnation,
            frame: last.frame,
            hash: last.hash,
            position: last.position,
            through: Seq(size),
            tree_size: size,
            root: self.replay.tree.root(),
        };
        write_checkpoint(&self.places, &self.key, &checkpoint, &payload)?;
        self.state.checkpointed = size;
        tracing::info!(entries = size, bytes = payload.len(), "checkpoint written");
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        self.superblock.geometry
    }
}
