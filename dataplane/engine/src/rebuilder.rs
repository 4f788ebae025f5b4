//! `Rebuilder`: derives tiles and frame index anew while the ledger runs, on a thread of low priority.
//!
//! Holds: it reads the journal up to what the reader has taken, which is durable, and no further;
//! every frame's root is recomputed. The reader takes over what is built and adds the frames that
//! came meanwhile. Leaves to others: when that is needed (`Follower`), the history (`Historian`).

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use disk::{AlignedBuf, DiskError};
use journal::{Checkpoint, Frame, FrameNumber, Input, RecoveryError, recover, recovery_buffer_bytes};
use ledger::{Hash, HashKind, Tree};
use model::{BatchView, Nanos, RecordRef, Seq};

use crate::{
    bell::Bell,
    checkpointer::Recipe,
    derived::Derived,
    frame_index::FrameRow,
    store::{Copies, LastFrame, ReplayError},
};

/// How long after a failure it is tried again.
const RETRY_AFTER: Nanos = Nanos::from_secs(5);
/// Entries whose leaves and rows are gathered in memory before they are written out.
const FLUSH_EVERY: u64 = 8_192;
/// Entries that the reader adds by itself when it takes over.
const HANDED_OVER_WITHIN: u64 = 16_384;

/// Why nothing was built. It is tried again.
#[derive(Debug, thiserror::Error)]
enum RebuildError {
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Journal(RecoveryError<ReplayError>),
    #[error("tiles and frame index cannot be made")]
    Files,
}

/// Tiles and frame index up to a frame.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) derived: Derived,
    pub(crate) last: Option<LastFrame>,
    tree: Tree,
    unflushed: u64,
}

impl Built {
    fn begin(derived: Derived, hash: HashKind) -> Self {
        Self { derived, last: None, tree: Tree::new(hash), unflushed: 0 }
    }

    /// Adds the next frame, whose root must be the one that its entries lead to.
    ///
    /// # Errors
    /// `ReplayError`.
    pub(crate) fn take(&mut self, frame: &Frame<'_>) -> Result<(), ReplayError> {
        let header = &frame.header;
        let (mut leaves, mut has_slices): (Vec<Hash>, bool) = (Vec::new(), false);
        if header.count > 0 {
            for record in BatchView::parse(frame.payload)?.iter() {
                let record = record?;
                has_slices |= matches!(record, RecordRef::Slice(..));
                leaves.push(ledger::record_leaf_hash(self.tree.hash(), &record));
            }
        }
        leaves.iter().for_each(|leaf| self.tree.push(*leaf));
        if self.tree.size() != header.tree_size || self.tree.root() != header.root {
            return Err(ReplayError::Root { size: header.tree_size });
        }
        leaves.into_iter().for_each(|leaf| self.derived.push_leaf(leaf));
        if header.count > 0 {
            self.derived.push_row(FrameRow::of(header, has_slices));
        }
        self.last = Some(LastFrame::of(frame));
        self.unflushed += u64::from(header.count);
        if self.unflushed >= FLUSH_EVERY {
            self.unflushed = 0;
            self.derived.flush();
        }
        Ok(())
    }
}

/// The reader's end.
#[derive(Debug)]
pub(crate) struct Rebuilder {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// The last frame that the reader has taken, and its last entry.
    stands: Mutex<(FrameNumber, Seq)>,
    built: Mutex<Option<Built>>,
    is_built: AtomicBool,
    stop: AtomicBool,
    bell: Bell,
    reader: Arc<Bell>,
    /// A failure was told.
    told: AtomicBool,
}

impl Rebuilder {
    /// Starts the thread for a reader that stands at `last`; `reader` is rung when it is done.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub(crate) fn start(
        recipe: Recipe,
        last: LastFrame,
        through: Seq,
        reader: Arc<Bell>,
    ) -> Result<Self, DiskError> {
        let shared = Arc::new(Shared {
            stands: Mutex::new((last.frame, through)),
            built: Mutex::new(None),
            is_built: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            bell: Bell::new()?,
            reader,
            told: AtomicBool::new(false),
        });
        let work = Work { recipe, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new()
            .name("rebuilder".into())
            .spawn(move || crate::fatal::guard("rebuilder", || work.run()))
            .expect("the process may start a thread");
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The reader has taken this frame, whose last entry is `through`.
    pub(crate) fn stands_at(&self, last: FrameNumber, through: Seq) {
        *self.shared.stands.lock().unwrap_or_else(PoisonError::into_inner) = (last, through);
    }

    /// Whether something is built.
    pub(crate) fn is_built(&self) -> bool {
        self.shared.is_built.load(Ordering::Acquire)
    }

    /// What is built, with where it stands; once.
    pub(crate) fn take_built(&self) -> Option<Built> {
        if !self.is_built() {
            return None;
        }
        self.shared.built.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Rebuilder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take() {
            // Its panic has ended the process already.
            drop(thread.join());
        }
    }
}

struct Work {
    recipe: Recipe,
    shared: Arc<Shared>,
}

impl Work {
    fn run(&self) {
        // In no hurry. A kernel that refuses costs nothing but that.
        let _ = rustix::process::nice(10);
        while !self.stopping() {
            match self.build() {
                Ok(Some(built)) => {
                    *self.shared.built.lock().unwrap_or_else(PoisonError::into_inner) = Some(built);
                    self.shared.is_built.store(true, Ordering::Release);
                    self.shared.reader.ring();
                    return;
                }
                Ok(None) => return,
                Err(error) => {
                    if !self.shared.told.swap(true, Ordering::Relaxed) {
                        tracing::error!("tiles and frame index cannot be made anew yet: {error}");
                    }
                    self.shared.bell.wait(RETRY_AFTER, || self.stopping());
                }
            }
        }
    }

    /// Builds from the beginning until little is left for the reader to add; `None` on a stop.
    fn build(&self) -> Result<Option<Built>, RebuildError> {
        let Recipe { params, places, superblock, .. } = &self.recipe;
        let derived = Derived::empty(&places.derived(), params.hash, superblock.ledger)?;
        let mut built = Built::begin(derived, params.hash);
        while !self.stopping() {
            let (frame, through) = self.stands();
            self.read(&mut built, frame)?;
            if !built.derived.is_there() {
                return Err(RebuildError::Files);
            }
            let (_, now) = self.stands();
            if now.0 - through.0.min(now.0) <= HANDED_OVER_WITHIN {
                built.derived.flush();
                return Ok(Some(built));
            }
        }
        Ok(None)
    }

    /// Takes the frames up to `wanted`.
    fn read(&self, built: &mut Built, wanted: FrameNumber) -> Result<(), RebuildError> {
        let Recipe { params, copies, superblock, key, .. } = &self.recipe;
        let checkpoint = built.last.map(|last| Checkpoint {
            ledger: superblock.ledger,
            incarnation: last.incarnation,
            frame: last.frame,
            hash: last.hash,
            position: last.position,
            through: Seq(built.tree.size()),
            tree_size: built.tree.size(),
            root: built.tree.root(),
        });
        let input = Input {
            geometry: superblock.geometry,
            ledger: superblock.ledger,
            incarnation: superblock.incarnation,
            epoch: superblock.epoch,
            key,
            // No verdict is wanted, and without a slot none is searched for.
            slot: None,
            checkpoint: checkpoint.as_ref(),
            checkpoint_frame_max: FrameNumber::ZERO,
        };
        if built.last.is_some_and(|last| last.frame >= wanted) {
            return Ok(());
        }
        let mut segments = Copies::open(copies, superblock, key, params.direct)?;
        let bytes = recovery_buffer_bytes(superblock.geometry).next_multiple_of(disk::ALIGNMENT_BYTES);
        let mut buffer = AlignedBuf::new(bytes);
        let read = recover(&input, &mut segments, &mut buffer, |frame| {
            if self.stopping() {
                return Err(ReplayError::Enough);
            }
            built.take(frame)?;
            let enough = frame.header.frame >= wanted || !built.derived.is_there();
            if enough { Err(ReplayError::Enough) } else { Ok(()) }
        });
        match read {
            Ok(_) | Err(RecoveryError::Replay { error: ReplayError::Enough, .. }) => Ok(()),
            Err(error) => Err(RebuildError::Journal(error)),
        }
    }

    fn stands(&self) -> (FrameNumber, Seq) {
        *self.shared.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }
}
