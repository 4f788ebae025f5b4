//! `Replay`: the state of the ledger, its tree and its derived files, brought forward frame by frame.
//!
//! The same code at start (recovery) and later (the follower). Holds: after each frame the tree is
//! the one that the frame's header names. Leaves to others: where frames come from.

use std::path::PathBuf;

use disk::DiskError;
use journal::{Checkpoint, Frame, FrameHash, FrameHeader, FrameKey, FrameNumber, Position, Superblock};
use ledger::{Hash, HashKind, LOOKED_UP_AT_ONCE, Ledger, Tree};
use model::{BatchError, BatchView, Incarnation, RecordRef, Seq, Timestamp};

use super::{
    StoreParams,
    hints::Hints,
    open::{Places, load_checkpoint},
};
use crate::{derived::Derived, frame_index::FrameRow};

/// Entries whose leaves and rows are gathered in memory before they are written out.
const FLUSH_EVERY: u64 = 8_192;

/// Why a frame cannot be taken: the journal and the rules contradict each other.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The payload is no batch of records.
    #[error("the payload does not parse: {0}")]
    Batch(#[from] BatchError),
    /// The header and the payload count differently.
    #[error("the header counts {header} entries and the payload {payload}")]
    Count {
        /// In the header.
        header: u32,
        /// In the payload.
        payload: usize,
    },
    /// The rules refuse a record.
    #[error("{0}")]
    Rules(#[from] ledger::Error),
    /// The tree over the entries is not the one that the header names.
    #[error("the tree of size {size} has another root than the header names")]
    Root {
        /// Its size.
        size: u64,
    },
    /// The caller has enough: nothing is wrong.
    #[error("enough")]
    Enough,
}

/// What a replay is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// State, tree and derived files.
    All,
    /// State and tree: for a checkpoint.
    State,
}

/// State, tree and derived files up to the last frame taken.
#[derive(Debug)]
pub struct Replay {
    /// The rules' state.
    pub ledger: Ledger,
    /// The tree's right edge.
    pub tree: Tree,
    /// The tree's nodes, and where frames lie.
    pub(crate) derived: Derived,
    /// The last frame.
    pub(crate) last: Option<LastFrame>,
    hash: HashKind,
    unflushed: u64,
    hints: Hints,
}

/// The last frame taken, as a checkpoint names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastFrame {
    pub(crate) frame: FrameNumber,
    pub(crate) hash: FrameHash,
    pub(crate) position: Position,
    pub(crate) frame_bytes: usize,
    pub(crate) at: Timestamp,
    pub(crate) incarnation: Incarnation,
}

impl Replay {
    /// Stands at the checkpoint, or at the beginning; `None` if the checkpoint's payload or the
    /// derived files do not bear it out.
    ///
    /// # Errors
    /// If the checkpoint cannot be read, or for want of descriptors or memory.
    pub(crate) fn begin(
        params: &StoreParams,
        places: &Places,
        superblock: &Superblock,
        start: Option<&(Checkpoint, PathBuf)>,
        key: &FrameKey,
        wanted: Wanted,
    ) -> Result<Option<Self>, DiskError> {
        let (rules, hash, directory) = (rules(params, superblock), params.hash, places.derived());
        let covered = start.map_or(0, |(checkpoint, _)| checkpoint.tree_size);
        let hints = match wanted {
            Wanted::State => Hints::default(),
            Wanted::All => Hints::left_in(&directory, covered),
        };
        let Some((checkpoint, path)) = start else {
            let derived = match wanted {
                Wanted::State => Derived::absent(),
                Wanted::All => Derived::empty(&directory, hash, superblock.ledger)?,
            };
            let (ledger, tree) = (Ledger::new(rules), Tree::new(hash));
            return Ok(Some(Self { ledger, tree, derived, last: None, hash, unflushed: 0, hints }));
        };
        let derived = match wanted {
            Wanted::State => Some(Derived::absent()),
            Wanted::All => {
                let (size, root) = (checkpoint.tree_size, &checkpoint.root);
                Derived::at(&directory, hash, superblock.ledger, size, root)?
            }
        };
        let Some(derived) = derived else { return Ok(None) };
        let decode = |payload: &[u8]| match Ledger::decode_checkpoint(payload, rules) {
            Ok((ledger, tree)) if tree.root() == checkpoint.root => Some((ledger, tree)),
            Ok(_) => {
                tracing::warn!(path = %path.display(), "checkpoint is left out: its tree has another root");
                None
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), "checkpoint is left out: {error}");
                None
            }
        };
        let Some((ledger, tree)) = load_checkpoint(path, superblock, key, decode)? else { return Ok(None) };
        let last = LastFrame {
            frame: checkpoint.frame,
            hash: checkpoint.hash,
            position: checkpoint.position,
            frame_bytes: 0,
            at: ledger.at(),
            incarnation: checkpoint.incarnation,
        };
        Ok(Some(Self { ledger, tree, derived, last: Some(last), hash, unflushed: 0, hints }))
    }

    /// Takes the next frame: every record through the rules, every leaf into the tree.
    ///
    /// # Errors
    /// `ReplayError`: the journal and the rules contradict each other.
    pub fn take(&mut self, frame: &Frame<'_>) -> Result<(), ReplayError> {
        let Frame { header, hash, payload, frame_bytes, .. } = frame;
        let count = usize::try_from(header.count).expect("a 64-bit host");
        let leaves = self.hints.next(count);
        match self.take_frame(header, *hash, payload, *frame_bytes, &leaves) {
            Err(ReplayError::Root { size }) if !leaves.is_empty() => {
                tracing::warn!("leaves of an earlier run before entry {size} are damaged; all are hashed");
                self.hints.end();
                self.take_frame(header, *hash, payload, *frame_bytes, &[])
            }
            taken => taken,
        }
    }

    /// About how many entries are to come, as far as an earlier run left a trace of them.
    pub(super) fn expected(&self) -> u64 {
        self.hints.count()
    }

    /// What comes now, no earlier run has seen.
    pub(super) fn end_hints(&mut self) {
        self.hints.end();
    }

    /// The same, with the leaf hashes if they are known already.
    pub(crate) fn take_frame(
        &mut self,
        header: &FrameHeader,
        hash: FrameHash,
        payload: &[u8],
        frame_bytes: usize,
        leaves: &[Hash],
    ) -> Result<(), ReplayError> {
        let has_slices = self.take_records(header, payload, leaves)?;
        if header.count > 0 {
            self.derived.push_row(FrameRow {
                first_seq: header.first_seq,
                count: header.count,
                segment: header.position.segment.0,
                offset: header.position.offset,
                at: header.at,
                root: header.root,
                has_slices,
            });
        }
        self.last = Some(LastFrame {
            frame: header.frame,
            hash,
            position: header.position,
            frame_bytes,
            at: header.at,
            incarnation: header.incarnation,
        });
        self.unflushed += u64::from(header.count);
        if self.unflushed >= FLUSH_EVERY {
            self.flush();
        }
        Ok(())
    }

    /// Takes the records if their leaves lead to the root that the header names, and says whether
    /// there are slices among them. Until the root is seen nothing is changed.
    fn take_records(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        leaves: &[Hash],
    ) -> Result<bool, ReplayError> {
        let batch = if header.count > 0 { Some(BatchView::parse(payload)?) } else { None };
        let records = || batch.iter().flat_map(BatchView::iter);
        let count = batch.as_ref().map_or(0, BatchView::count);
        if usize::try_from(header.count) != Ok(count) {
            return Err(ReplayError::Count { header: header.count, payload: count });
        }
        let hashed: Vec<Hash>;
        let leaves = if leaves.len() == count {
            leaves
        } else {
            let hash = |record: Result<_, _>| Ok(ledger::record_leaf_hash(self.hash, &record?));
            hashed = records().map(hash).collect::<Result<_, BatchError>>()?;
            &hashed
        };
        let mut tree = self.tree.clone();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        if tree.size() != header.tree_size || tree.root() != header.root {
            return Err(ReplayError::Root { size: header.tree_size });
        }
        let has_slices = match &batch {
            Some(batch) => apply(&mut self.ledger, batch)?,
            None => false,
        };
        self.tree = tree;
        leaves.iter().for_each(|leaf| self.derived.push_leaf(*leaf));
        Ok(has_slices)
    }

    /// Writes the derived files out.
    pub(crate) fn flush(&mut self) {
        self.unflushed = 0;
        self.derived.flush();
    }

    /// The state as a checkpoint, header and payload; `None` before the first frame.
    pub(crate) fn checkpoint(&self, superblock: &Superblock) -> Option<(Checkpoint, Vec<u8>)> {
        let last = self.last?;
        let size = self.tree.size();
        let mut payload = Vec::new();
        self.ledger.encode_checkpoint(&self.tree, &mut payload);
        let checkpoint = Checkpoint {
            ledger: superblock.ledger,
            incarnation: last.incarnation,
            frame: last.frame,
            hash: last.hash,
            position: last.position,
            through: Seq(size),
            tree_size: size,
            root: self.tree.root(),
        };
        Some((checkpoint, payload))
    }
}

/// Applies all records of a frame and says whether there are slices among them.
pub(super) fn apply(ledger: &mut Ledger, batch: &BatchView<'_>) -> Result<bool, ReplayError> {
    let mut has_slices = false;
    let mut some = Vec::with_capacity(LOOKED_UP_AT_ONCE);
    for record in batch.iter() {
        let record = record?;
        has_slices |= matches!(record, RecordRef::Slice(..));
        some.push(record);
        if some.len() == LOOKED_UP_AT_ONCE {
            ledger.apply_records(&some)?;
            some.clear();
        }
    }
    ledger.apply_records(&some)?;
    Ok(has_slices)
}

/// What the rules are made with.
pub(crate) fn rules(params: &StoreParams, superblock: &Superblock) -> ledger::Params {
    let rows = |rows: usize| u32::try_from(rows).expect("the config bounds it below 2^30");
    ledger::Params {
        hash: params.hash,
        secret: superblock.ledger_secret,
        accounts_max: rows(params.accounts_max),
        keys_max: rows(params.keys_max),
        streams_max: rows(params.accounts_max),
    }
}
