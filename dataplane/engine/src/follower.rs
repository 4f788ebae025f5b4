//! The reader's thread: follows the committer's durable frames and answers questions about them.
//!
//! Holds: it sees durable state only; a root is signed only after the frontier slot names it; every
//! proof is checked before it is given out; every question has an answer, after a failed write and
//! without derived files too. It keeps its own copy of the rules' state (ADR 0005). Leaves to others:
//! writing the journal, checkpoints while the ledger runs (`Checkpointer`).

use std::{collections::VecDeque, sync::Arc};

use disk::DiskError;
use journal::{
    Frame, FrameHash, FrameHeader, FrameKey, FrameNumber, Geometry, HEADER_BYTES, Position, Superblock,
};
use ledger::{
    Hash, HashKind, HashSource, NoteSigner, ProofError, TreeHead, sign_checkpoint, verify_consistency,
};
use model::{Balance, BatchView, Nanos, Reason, RecordRef, Seq};
use wire::{
    AccountState, CallId, Checkpoint, Committed, EntryProof, Found, InclusionProof, ROOTS_MAX, ReadAnswer,
    ReadAsk, ReadCall, StoredEntry,
};

mod past;
mod rebuild;
mod slices;

use crate::{
    bell::Bell,
    checkpointer::{Checkpointer, Recipe},
    derived::DerivedError,
    feed::{FedFrame, FeedLine, News},
    frame_index::IndexError,
    history::{Behind, History},
    rebuilder::Rebuilder,
    source::Inlet,
    status_board::StatusBoard,
    store::{LastFrame, Places, Replay, ReplayError, Segments, write_checkpoint},
};

/// Proofs that may wait for a checkpoint to cover their entry.
const WAITING_MAX: usize = 4_096;

/// Why a frame or a row cannot be had. What was taken before stands, and is answered from.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Derived(#[from] DerivedError),
    #[error("{0}")]
    Behind(#[from] Behind),
    #[error("the journal has no frame {frame} at {position}, though it is durable: {detail}")]
    Missing { frame: u64, position: Position, detail: String },
    #[error("no frame can be read at {position}: {detail}")]
    Frame { position: Position, detail: String },
    #[error("entry {seq} cannot be read at {position}: {detail}")]
    Entry { seq: Seq, position: Position, detail: String },
}

/// Everything the thread owns.
pub(crate) struct Follower {
    pub(crate) replay: Replay,
    pub(crate) superblock: Superblock,
    pub(crate) hash: HashKind,
    pub(crate) key: FrameKey,
    pub(crate) places: Places,
    pub(crate) segments: Segments,
    /// The other copy, where there is one: read where the first is damaged.
    pub(crate) twin: Option<Segments>,
    pub(crate) feed: Arc<FeedLine>,
    pub(crate) reads: Inlet<ReadCall, ReadAnswer>,
    pub(crate) bell: Arc<Bell>,
    pub(crate) board: Arc<StatusBoard>,
    pub(crate) signer: NoteSigner,
    pub(crate) checkpointer: Option<Checkpointer>,
    pub(crate) history: History,
    /// What rebuilds are made from.
    pub(crate) recipe: Recipe,
    /// While tiles and frame index are not there.
    pub(crate) rebuilder: Option<Rebuilder>,
    pub(crate) state: Following,
}

/// What changes as the follower runs.
#[derive(Default)]
pub(crate) struct Following {
    checkpoint: Option<Checkpoint>,
    waiting: VecDeque<(CallId, Seq)>,
    cached: Option<(Position, Vec<u8>)>,
    /// A tree that was published before this start and is not signed yet.
    published: Option<(u64, Hash)>,
    ended: bool,
    /// What is durable could not be read, and that was told.
    behind: bool,
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
        self.look_at_derived();
        self.publish_board();
        if let Some((size, root)) = self.state.published.take() {
            self.published(size, root);
        }
        while !self.state.ended {
            let has_work = || self.feed.has_news() || self.reads.is_waiting() || self.has_rebuilt();
            self.bell.wait(Nanos::from_secs(60), has_work);
            self.step();
        }
        // It may be in the middle of one, and there is one writer of checkpoints at a time.
        drop(self.checkpointer.take());
        drop(self.rebuilder.take());
        self.history.stop();
        if let Err(error) = self.write_checkpoint() {
            tracing::error!("checkpoint not written, the next start replays more: {error}");
        }
    }

    fn step(&mut self) {
        self.take_news();
        let mut answered = false;
        while let Some(call) = self.reads.take() {
            // What was answered to the asker before it asked is in the news by now.
            self.take_news();
            if let Some(found) = self.answer(&call) {
                self.reads.give(ReadAnswer { id: call.id, found });
            }
            answered = true;
        }
        if self.board.is_poisoned() {
            // No root will be published any more.
            for (id, _) in self.state.waiting.drain(..) {
                self.reads.give(ReadAnswer { id, found: Found::Refused(Reason::SafeMode) });
                answered = true;
            }
        }
        if answered {
            self.reads.ring();
        }
        self.take_rebuilt();
        if let (Some(checkpointer), Some(last)) = (&mut self.checkpointer, self.replay.last) {
            checkpointer.stands_at(self.replay.tree.size(), last.frame);
        }
    }

    fn take_news(&mut self) {
        let mut any = false;
        while let Some(news) = self.feed.next() {
            any = true;
            match news {
                News::Frame(fed) => self.take_fed(fed),
                News::End => self.state.ended = true,
            }
        }
        // Frames whose news found no place are read from the journal.
        if self.replay.tree.size() < self.board.durable() {
            any = true;
            self.catch_up(Seq(self.board.durable()));
        }
        if let Some((size, root)) = self.feed.published() {
            self.published(size, root);
        }
        if any {
            self.look_at_derived();
            self.publish_board();
        }
    }

    fn take_fed(&mut self, fed: FedFrame) {
        let FedFrame { buffer, position, frame_bytes, leaves } = fed;
        let parsed = FrameHeader::parse(&buffer, &self.key, self.geometry())
            .unwrap_or_else(|error| panic!("the committer sealed this frame: {error}"));
        while self.next_frame() < parsed.header.frame && self.try_next() {}
        if self.next_frame() == parsed.header.frame {
            let payload_bytes = usize::try_from(parsed.header.payload_bytes).expect("a frame is in memory");
            let payload = buffer.get(HEADER_BYTES..HEADER_BYTES + payload_bytes).expect("sealed whole");
            assert_eq!(parsed.header.position, position);
            let taken = self.replay.take_frame(&parsed.header, parsed.hash, payload, frame_bytes, &leaves);
            self.must_follow(taken);
            self.remember(&parsed.header, parsed.hash);
        }
        self.feed.give_back(buffer, leaves);
    }

    /// The history gets what the frame that was just taken changed.
    fn remember(&mut self, header: &FrameHeader, hash: FrameHash) {
        if let Some(rows) = &mut self.replay.rows {
            self.history.take(header, hash, rows);
        }
    }

    /// Durable entries that the rules or the tree contradict are a defect, and it does not mend itself.
    fn must_follow(&self, taken: Result<(), ReplayError>) {
        if let Err(error) = taken {
            crate::fatal::fatal(crate::fatal::FatalReason::Bug, &format!("reader: {error}"));
        }
    }

    /// Reads frames from the journal until the tree covers `seq`: the way of a follower that lags.
    /// Where the journal cannot be read it stays where it is, and tries again when it is asked.
    fn catch_up(&mut self, seq: Seq) {
        while self.replay.tree.size() < seq.0 && self.try_next() {}
    }

    /// Reads and takes the next frame; false if it cannot be read.
    fn try_next(&mut self) -> bool {
        match self.read_next() {
            Ok(()) => self.state.behind = false,
            Err(error) => {
                if !self.state.behind {
                    let size = self.replay.tree.size();
                    tracing::error!(
                        "reads stand at entry {size}, what is durable after it is unread: {error}"
                    );
                }
                self.state.behind = true;
            }
        }
        !self.state.behind
    }

    fn read_next(&mut self) -> Result<(), FollowError> {
        self.with_next(self.replay.last, |follower, frame| {
            let taken = follower.replay.take(frame);
            follower.must_follow(taken);
            follower.remember(&frame.header, frame.hash);
        })
    }

    /// Reads the frame after `last` and gives it to `take`.
    fn with_next<T>(
        &mut self,
        last: Option<LastFrame>,
        take: impl FnOnce(&mut Self, &Frame<'_>) -> T,
    ) -> Result<T, FollowError> {
        let next = last.map_or(FrameNumber(1), |last| last.frame.next());
        let follows = |frame: &Frame<'_>| {
            frame.header.frame == next && last.is_none_or(|last| last.hash == frame.header.previous)
        };
        let place = match last {
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
                    let key = self.key.clone();
                    match journal::open(&bytes, &key, self.geometry()) {
                        Ok(frame) if follows(&frame) => return Ok(take(self, &frame)),
                        Ok(_) => detail.push_str("another frame; "),
                        Err(error) => detail.push_str(&format!("{error}; ")),
                    }
                }
                Err(error) => detail.push_str(&format!("{error}; ")),
            }
        }
        Err(FollowError::Missing { frame: next.0, position: place, detail })
    }

    fn next_frame(&self) -> FrameNumber {
        self.replay.last.map_or(FrameNumber(1), |last| last.frame.next())
    }

    fn frame_len(&mut self, place: Position) -> Result<usize, FollowError> {
        let geometry = self.geometry();
        let found = frame_len(&mut self.segments, &self.key, geometry, place);
        match (found, &mut self.twin) {
            (Err(_), Some(twin)) => frame_len(twin, &self.key, geometry, place),
            (found, _) => found,
        }
    }

    /// The frame's bytes, from the journal. The last one read is kept.
    fn read_frame(&mut self, place: Position) -> Result<Vec<u8>, FollowError> {
        if let Some((_, bytes)) = self.state.cached.take_if(|(cached, _)| *cached == place) {
            return Ok(bytes);
        }
        let geometry = self.geometry();
        let found = read_frame(&mut self.segments, &self.key, geometry, place);
        let Some(twin) = &mut self.twin else { return found };
        if found.as_ref().is_ok_and(|bytes| journal::open(bytes, &self.key, geometry).is_ok()) {
            return found;
        }
        read_frame(twin, &self.key, geometry, place).or(found)
    }

    /// The slot names this tree, so its root may be signed.
    fn published(&mut self, size: u64, root: Hash) {
        self.catch_up(Seq(size));
        if self.replay.tree.size() < size {
            return;
        }
        self.state.checkpoint = Some(self.sign(size, root));
        let waiting = std::mem::take(&mut self.state.waiting);
        for (id, seq) in waiting {
            let call = ReadCall { id, ask: ReadAsk::EntryProof(seq) };
            if let Some(found) = self.answer(&call) {
                self.reads.give(ReadAnswer { id, found });
            }
        }
        self.reads.ring();
    }

    fn publish_board(&self) {
        let size = self.replay.tree.size();
        let at = self.replay.last.map(|last| last.at).unwrap_or_default();
        self.board.set_committed(Committed { size, root: self.replay.tree.root(), at });
    }

    /// Answers; `None` if the question waits for the next checkpoint.
    fn answer(&mut self, call: &ReadCall) -> Option<Found> {
        if self.state.behind && self.replay.tree.size() < self.board.durable() {
            // What was answered for is not in this view: an old balance would be a wrong one.
            return Some(Found::Refused(self.unreadable()));
        }
        match self.find(call) {
            Ok(found) => found,
            Err(FollowError::Behind(_) | FollowError::Derived(DerivedError::Absent)) => Some(Found::Behind),
            Err(error) => {
                tracing::warn!("a question to the reader has no answer: {error}");
                if let FollowError::Derived(DerivedError::Index(IndexError::Damaged(_))) = error {
                    self.give_up(&error);
                    return Some(Found::Behind);
                }
                Some(Found::Refused(self.unreadable()))
            }
        }
    }

    /// The reason of a question whose answer cannot be read.
    fn unreadable(&self) -> Reason {
        if self.board.is_poisoned() { Reason::SafeMode } else { Reason::Internal }
    }

    fn find(&mut self, call: &ReadCall) -> Result<Option<Found>, FollowError> {
        let size = self.replay.tree.size();
        let found = match &call.ask {
            ReadAsk::Account(name, asset) => Found::Account(self.account(*name, *asset)),
            ReadAsk::AccountAt(name, asset, at) => self.account_at(*name, *asset, *at)?,
            ReadAsk::AccountEntries { account, asset, from, limit } => {
                self.account_entries(*account, *asset, *from, *limit)?
            }
            ReadAsk::Entry(seq) => {
                if !self.reaches(*seq) {
                    return Ok(Some(Found::Refused(self.unreadable())));
                }
                Found::Entry(self.entry(*seq)?.map(|(entry, _)| Box::new(entry)))
            }
            ReadAsk::EntryProof(seq) => return self.entry_proof(call.id, *seq),
            ReadAsk::Roots { since, limit } => {
                Found::Roots(self.replay.derived.roots(*since, (*limit).min(ROOTS_MAX))?)
            }
            ReadAsk::Checkpoint => Found::Checkpoint(self.checkpoint()),
            ReadAsk::Inclusion { seq, size: asked } => {
                let proof = self.inclusion(*seq, asked.unwrap_or(size))?;
                if proof.is_none() && !self.replay.derived.is_there() {
                    return Ok(Some(Found::Behind));
                }
                Found::Inclusion(proof)
            }
            ReadAsk::Consistency { from, to } => {
                let path = self.consistency(*from, *to)?;
                if path.is_none() && !self.replay.derived.is_there() {
                    return Ok(Some(Found::Behind));
                }
                Found::Consistency(path)
            }
            ReadAsk::Slices { after, since } => Found::Slices(self.slices(*after, *since)?),
        };
        Ok(Some(found))
    }

    /// Whether everything durable up to `seq` has been taken.
    fn reaches(&mut self, seq: Seq) -> bool {
        let durable = seq.0.min(self.board.durable());
        self.catch_up(Seq(durable));
        self.replay.tree.size() >= durable
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
        let found = self.replay.derived.index()?.find(seq).map_err(DerivedError::from)?;
        let Some((_, row)) = found else { return Ok(None) };
        let place = Position { segment: journal::SegmentNumber(row.segment), offset: row.offset };
        let bytes = self.read_frame(place)?;
        let found = self.entry_in(&bytes, seq, row.first_seq);
        let found = found.map_err(|detail| FollowError::Entry { seq, position: place, detail })?;
        self.state.cached = Some((place, bytes));
        Ok(found)
    }

    /// The entry in the frame that the index leads to; `None` if it is a slice.
    fn entry_in(&self, bytes: &[u8], seq: Seq, first: Seq) -> Result<Option<(StoredEntry, Vec<u8>)>, String> {
        let frame = journal::open(bytes, &self.key, self.geometry()).map_err(|error| error.to_string())?;
        let batch = BatchView::parse(frame.payload).map_err(|error| error.to_string())?;
        let index = seq.0.checked_sub(first.0).and_then(|index| usize::try_from(index).ok());
        let record = index.and_then(|index| batch.get(index)).ok_or("the frame holds other entries")?;
        let RecordRef::Posting(posting) = record.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        assert_eq!(posting.head.seq, seq, "the index leads to the entry");
        let data = ledger::leaf_data(self.hash, &posting);
        let name = |side: &model::Side| self.replay.ledger.name(side.account);
        let entry = StoredEntry {
            posting,
            leaf: data.hash(self.hash),
            debit: name(&posting.debit),
            credit: name(&posting.credit),
        };
        Ok(Some((entry, data.as_bytes().to_vec())))
    }

    fn entry_proof(&mut self, id: CallId, seq: Seq) -> Result<Option<Found>, FollowError> {
        if !self.reaches(seq) {
            return Ok(Some(Found::Refused(self.unreadable())));
        }
        let Some((entry, leaf_data)) = self.entry(seq)? else { return Ok(Some(Found::EntryProof(None))) };
        let checkpoint = self.checkpoint();
        if checkpoint.size < seq.0 {
            if self.board.is_poisoned() {
                return Ok(Some(Found::Refused(Reason::SafeMode)));
            }
            if self.state.waiting.len() >= WAITING_MAX {
                return Ok(Some(Found::Refused(Reason::Busy)));
            }
            self.state.waiting.push_back((id, seq));
            return Ok(None);
        }
        let Some(proof) = self.inclusion(seq, checkpoint.size)? else {
            return Ok(Some(Found::Behind));
        };
        Ok(Some(Found::EntryProof(Some(Box::new(EntryProof { entry, leaf_data, proof, checkpoint })))))
    }

    /// A proof that has been checked against the root that stands elsewhere (in the tree's right
    /// edge or in the index); `None` outside the tree.
    fn inclusion(&mut self, seq: Seq, size: u64) -> Result<Option<InclusionProof>, FollowError> {
        let tiles = &self.replay.derived;
        let Some(index) = seq.leaf_index().filter(|index| *index < size && size <= self.replay.tree.size())
        else {
            return Ok(None);
        };
        let Some(leaf) = tiles.node(0, index) else {
            self.give_up(format!("the leaf of entry {seq} is not there"));
            return Ok(None);
        };
        let made = ledger::inclusion_path(self.hash, tiles, index, size).and_then(|path| {
            let root = ledger::root_of_inclusion(self.hash, &leaf, index, size, &path)?;
            Ok(InclusionProof { seq, leaf, size, root, path })
        });
        let known = self.root_at(size)?;
        match made {
            Ok(proof) if known.is_none_or(|known| known == proof.root) => Ok(Some(proof)),
            Ok(_) => {
                self.give_up(format!("the proof of entry {seq} in the tree of {size} does not verify"));
                Ok(None)
            }
            Err(error) => {
                self.give_up(format!("no proof of entry {seq} in the tree of {size}: {error}"));
                Ok(None)
            }
        }
    }

    /// A path that has been checked against the roots that stand elsewhere, where both do; `None`
    /// outside the tree.
    fn consistency(&mut self, from: u64, to: u64) -> Result<Option<Vec<Hash>>, FollowError> {
        if to > self.replay.tree.size() {
            return Ok(None);
        }
        let path = match ledger::consistency_path(self.hash, &self.replay.derived, from, to) {
            Ok(path) => path,
            Err(error @ ProofError::MissingNode { .. }) => {
                self.give_up(error);
                return Ok(None);
            }
            Err(_) => return Ok(None),
        };
        let (Some(old), Some(new)) = (self.root_at(from)?, self.root_at(to)?) else { return Ok(Some(path)) };
        match verify_consistency(self.hash, (from, &old), (to, &new), &path) {
            Ok(()) => Ok(Some(path)),
            Err(error) => {
                self.give_up(format!("the proof that the tree of {from} begins the tree of {to}: {error}"));
                Ok(None)
            }
        }
    }

    /// The root of the tree of this size, from its right edge or the index; `None` if no frame ended
    /// there.
    fn root_at(&self, size: u64) -> Result<Option<Hash>, FollowError> {
        if size == self.replay.tree.size() {
            return Ok(Some(self.replay.tree.root()));
        }
        Ok(self.replay.derived.index()?.root_at(size).map_err(DerivedError::from)?)
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

    fn write_checkpoint(&mut self) -> Result<(), DiskError> {
        let Some((checkpoint, payload)) = self.replay.checkpoint(&self.superblock) else { return Ok(()) };
        // Derived files that do not reach the checkpoint cost the next start a derivation, no more.
        if let Err(error) = self.replay.derived.sync() {
            tracing::warn!("tiles and frame index may be derived anew at the next start: {error}");
        }
        write_checkpoint(&self.places, &self.key, &checkpoint, &payload)?;
        tracing::info!(entries = checkpoint.tree_size, bytes = payload.len(), "checkpoint written");
        Ok(())
    }

    fn geometry(&self) -> Geometry {
        self.superblock.geometry
    }
}

/// Bytes of the frame at this place.
fn frame_len(
    segments: &mut Segments,
    key: &FrameKey,
    geometry: Geometry,
    place: Position,
) -> Result<usize, FollowError> {
    let mut stride = vec![0; geometry.stride_len().max(disk::ALIGNMENT_BYTES)];
    segments.read_at(place.segment, place.offset, &mut stride)?;
    let parsed = FrameHeader::parse(&stride, key, geometry);
    parsed
        .map(|parsed| parsed.frame_bytes)
        .map_err(|error| FollowError::Frame { position: place, detail: error.to_string() })
}

/// The bytes of the frame at this place, whether it is whole or not.
fn read_frame(
    segments: &mut Segments,
    key: &FrameKey,
    geometry: Geometry,
    place: Position,
) -> Result<Vec<u8>, FollowError> {
    let len = frame_len(segments, key, geometry, place)?.next_multiple_of(disk::ALIGNMENT_BYTES);
    let mut bytes = vec![0; len];
    segments.read_at(place.segment, place.offset, &mut bytes)?;
    Ok(bytes)
}
