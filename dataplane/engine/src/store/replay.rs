//! `Replay`: the state of the ledger, its tree and its derived files, brought forward frame by frame.
//!
//! The same code at start (recovery) and later (the follower). Holds: after each frame the tree is
//! the one that the frame's header names. Leaves to others: where frames come from.

use std::path::PathBuf;

use disk::DiskError;
use journal::{Checkpoint, Frame, FrameHash, FrameHeader, FrameKey, FrameNumber, Position, Superblock};
use ledger::{Hash, HashKind, Ledger, Tree};
use model::{BatchError, BatchView, Seq, Timestamp};

use super::{
    StoreParams,
    open::{Places, load_checkpoint},
};
use crate::{
    frame_index::{FrameIndex, FrameRow},
    tile_files::TileFiles,
};

/// Leaf hashes of an earlier run that a replay is helped by at most: 32 MiB.
const KNOWN_MAX: usize = 1 << 20;
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
    /// A derived file cannot be written.
    #[error("a derived file cannot be written: {0}")]
    Derived(#[from] DiskError),
}

/// State, tree and derived files up to the last frame taken.
#[derive(Debug)]
pub struct Replay {
    /// The rules' state.
    pub ledger: Ledger,
    /// The tree's right edge.
    pub tree: Tree,
    /// The tree's nodes.
    pub(crate) tiles: TileFiles,
    /// Where frames lie.
    pub(crate) index: FrameIndex,
    /// The last frame.
    pub(crate) last: Option<LastFrame>,
    /// Entries that the checkpoint covered where this began.
    pub(crate) begun: u64,
    hash: HashKind,
    unflushed: u64,
    /// Leaf hashes that an earlier run left after the checkpoint, the next one last. Believed of a
    /// frame only if they lead to the root that its header names.
    known: Vec<Hash>,
    leaves: Vec<Hash>,
}

/// The last frame taken, as a checkpoint names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LastFrame {
    pub(crate) frame: FrameNumber,
    pub(crate) hash: FrameHash,
    pub(crate) position: Position,
    pub(crate) frame_bytes: usize,
    pub(crate) at: Timestamp,
}

impl Replay {
    /// Stands at the checkpoint, or at the beginning; `None` if the checkpoint's payload or the
    /// derived files do not bear it out.
    pub(super) fn begin(
        params: &StoreParams,
        places: &Places,
        superblock: &Superblock,
        start: Option<&(Checkpoint, PathBuf)>,
        key: &FrameKey,
    ) -> Result<Option<Self>, DiskError> {
        let rules = rules(params, superblock);
        let mut tiles = TileFiles::open(&places.derived(), params.hash)?;
        let mut index = FrameIndex::open(&places.derived().join("frames"))?;
        let begun = start.map_or(0, |(checkpoint, _)| checkpoint.tree_size);
        let mut known = tiles.leaves(begun, KNOWN_MAX)?;
        known.reverse();
        let Some((checkpoint, path)) = start else {
            let cut = tiles.cut(0)? && index.cut(Seq::ZERO)?;
            assert!(cut, "derived files can always be emptied");
            let (ledger, tree) = (Ledger::new(rules), Tree::new(params.hash));
            return Ok(Some(Self {
                ledger,
                tree,
                tiles,
                index,
                last: None,
                begun,
                hash: params.hash,
                unflushed: 0,
                known,
                leaves: Vec::new(),
            }));
        };
        if !(tiles.cut(checkpoint.tree_size)? && index.cut(checkpoint.through)?) {
            tracing::warn!("tiles or frame index do not reach the checkpoint; they are derived anew");
            return Ok(None);
        }
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
        };
        Ok(Some(Self {
            ledger,
            tree,
            tiles,
            index,
            last: Some(last),
            begun,
            hash: params.hash,
            unflushed: 0,
            known,
            leaves: Vec::new(),
        }))
    }

    /// Takes the next frame: every record through the rules, every leaf into the tree.
    ///
    /// # Errors
    /// `ReplayError`: the journal and the rules contradict each other.
    pub fn take(&mut self, frame: &Frame<'_>) -> Result<(), ReplayError> {
        let Frame { header, hash, payload, frame_bytes } = frame;
        let count = usize::try_from(header.count).expect("a 64-bit host");
        let rest = self.known.len().checked_sub(count);
        if rest.is_none() {
            self.known.clear();
        }
        if let Some(rest) = rest.filter(|_| count > 0) {
            let leaves: Vec<Hash> = self.known.drain(rest..).rev().collect();
            match self.take_frame(header, *hash, payload, *frame_bytes, &leaves) {
                Err(ReplayError::Root { size }) => {
                    tracing::warn!("tiles after entry {size} are damaged; leaves are hashed anew");
                    self.known.clear();
                }
                taken => return taken,
            }
        }
        self.take_frame(header, *hash, payload, *frame_bytes, &[])
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
        let batch = if header.count > 0 { Some(BatchView::parse(payload)?) } else { None };
        let records = batch.map_or(0, |batch| batch.count());
        if usize::try_from(header.count) != Ok(records) {
            return Err(ReplayError::Count { header: header.count, payload: records });
        }
        let mut gathered = std::mem::take(&mut self.leaves);
        gathered.clear();
        gathered.extend_from_slice(leaves);
        let taken = self.take_records(header, batch.as_ref(), &mut gathered);
        self.leaves = gathered;
        taken?;
        if header.count > 0 {
            self.index.push(FrameRow {
                first_seq: header.first_seq,
                count: header.count,
                segment: header.position.segment.0,
                offset: header.position.offset,
                at: header.at,
                root: header.root,
            });
        }
        self.last = Some(LastFrame {
            frame: header.frame,
            hash,
            position: header.position,
            frame_bytes,
            at: header.at,
        });
        self.unflushed += u64::from(header.count);
        if self.unflushed >= FLUSH_EVERY { Ok(self.flush()?) } else { Ok(()) }
    }

    /// Takes the records of a frame if their leaves lead to the root that its header names; until that
    /// is seen nothing is changed. Leaves that are not given are hashed.
    fn take_records(
        &mut self,
        header: &FrameHeader,
        batch: Option<&BatchView<'_>>,
        leaves: &mut Vec<Hash>,
    ) -> Result<(), ReplayError> {
        let records = || batch.into_iter().flat_map(BatchView::iter);
        for record in records().skip(leaves.len()) {
            leaves.push(ledger::record_leaf_hash(self.hash, &record?));
        }
        let mut tree = self.tree.clone();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        if tree.size() != header.tree_size || tree.root() != header.root {
            return Err(ReplayError::Root { size: header.tree_size });
        }
        for record in records() {
            self.ledger.apply_record(&record?)?;
        }
        self.tree = tree;
        leaves.iter().try_for_each(|leaf| self.tiles.push(*leaf))?;
        Ok(())
    }

    /// What an earlier run left is used up: the frames that come now are new.
    pub(super) fn forget_known(&mut self) {
        self.known = Vec::new();
    }

    /// Writes the derived files out.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(crate) fn flush(&mut self) -> Result<(), DiskError> {
        self.unflushed = 0;
        self.tiles.flush()?;
        self.index.flush()
    }

    /// Makes the derived files durable, as a checkpoint that vouches for them needs.
    ///
    /// # Errors
    /// If they cannot be written or synced.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        self.tiles.sync()?;
        self.index.sync()
    }
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
