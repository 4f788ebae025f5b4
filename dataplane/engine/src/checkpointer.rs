//! The checkpointer: one thread of low priority that makes checkpoints while the ledger runs, by
//! replaying the journal from the last one with the code of recovery.
//!
//! Holds: it takes frames up to the one that it was told, which the reader has taken and so is
//! durable, and no further; it stalls neither committer nor reader. Leaves to others: when one is
//! due (`Follower`), the one at a clean stop.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use disk::AlignedBuf;
use journal::{FrameKey, FrameNumber, Input, RecoveryError, Superblock, recover, recovery_buffer_bytes};
use model::Nanos;

use crate::{
    bell::Bell,
    derived,
    store::{
        Copies, OpenError, Places, Replay, ReplayError, StoreParams, Wanted, check_memory, checkpoints,
        rules, write_checkpoint,
    },
};

/// Entries between two checkpoints, at least and at most: what a start replays after a kill, save for
/// what came while the last one was being written. Between them it is a quarter of what the last one
/// covered, because a checkpoint holds the whole state: at a fixed distance a busy ledger would write
/// its state more often than its entries.
const ENTRIES_EVERY: (u64, u64) = (100_000, 2_000_000);
/// Entries that a frame counts for at least, so that many small frames are not replayed either.
const FRAME_ENTRIES: u64 = 4;

/// Why no checkpoint was made. The next one is tried when it is due again.
#[derive(Debug, thiserror::Error)]
enum MakeError {
    #[error("{0}")]
    Store(#[from] OpenError),
    #[error("{0}")]
    Journal(RecoveryError<ReplayError>),
    #[error("the journal ends at frame {found}, before frame {wanted}")]
    Ends { found: u64, wanted: u64 },
}

/// What a checkpoint is made from.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) params: StoreParams,
    pub(crate) places: Places,
    /// Where the journal is read.
    pub(crate) copies: Vec<Places>,
    pub(crate) superblock: Superblock,
    pub(crate) key: FrameKey,
}

/// The follower's end.
#[derive(Debug)]
pub(crate) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
    /// Entries and frames at the last checkpoint that was asked for.
    asked: (u64, FrameNumber),
}

#[derive(Debug)]
struct Shared {
    /// The last frame that the next checkpoint takes; zero if none is due.
    wanted: AtomicU64,
    bell: Bell,
    stop: AtomicBool,
}

impl Checkpointer {
    /// Starts the thread. The last checkpoint has `entries` entries, the last of them in `frame`.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub(crate) fn start(recipe: Recipe, entries: u64, frame: FrameNumber) -> Result<Self, OpenError> {
        let shared =
            Arc::new(Shared { wanted: AtomicU64::new(0), bell: Bell::new()?, stop: AtomicBool::new(false) });
        let work = Work { recipe, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new()
            .name("checkpointer".into())
            .spawn(move || crate::fatal::guard("checkpointer", || work.run()))
            .expect("the process may start a thread");
        Ok(Self { shared, thread: Some(thread), asked: (entries, frame) })
    }

    /// The reader stands here: asks for a checkpoint if one is due.
    pub(crate) fn stands_at(&mut self, entries: u64, frame: FrameNumber) {
        let (asked_entries, asked_frame) = self.asked;
        let since = (entries - asked_entries).max((frame.0 - asked_frame.0) * FRAME_ENTRIES);
        let due = since >= distance(asked_entries);
        // A checkpoint that is being made is finished first.
        if due && self.shared.wanted.load(Ordering::Acquire) == 0 {
            self.asked = (entries, frame);
            self.shared.wanted.store(frame.0, Ordering::Release);
            self.shared.bell.ring();
        }
    }
}

/// How far the next checkpoint is from one that covers `entries`.
fn distance(entries: u64) -> u64 {
    let (at_least, at_most) = ENTRIES_EVERY;
    (entries / 4).clamp(at_least, at_most)
}

impl Drop for Checkpointer {
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
            let wanted = FrameNumber(self.shared.wanted.load(Ordering::Acquire));
            if wanted == FrameNumber::ZERO {
                let due = || self.stopping() || self.shared.wanted.load(Ordering::Acquire) > 0;
                self.shared.bell.wait(Nanos::from_secs(60), due);
                continue;
            }
            if let Err(error) = self.make(wanted)
                && !self.stopping()
            {
                tracing::error!("no checkpoint at frame {wanted}, a start would replay more: {error}");
            }
            self.shared.wanted.store(0, Ordering::Release);
        }
    }

    fn make(&self, wanted: FrameNumber) -> Result<(), MakeError> {
        let Recipe { params, places, copies, superblock, key } = &self.recipe;
        check_memory(&rules(params, superblock), 1)?;
        let named = checkpoints(places, superblock, key).map_err(OpenError::from)?;
        for start in named.into_iter().map(Some).chain([None]) {
            if start.as_ref().is_some_and(|(checkpoint, _)| checkpoint.frame > wanted) {
                continue;
            }
            let state = Replay::begin(params, places, superblock, start.as_ref(), key, Wanted::State);
            let Some(mut state) = state.map_err(OpenError::from)? else { continue };
            let checkpoint = start.as_ref().map(|(checkpoint, _)| checkpoint);
            let input = Input {
                geometry: superblock.geometry,
                ledger: superblock.ledger,
                incarnation: superblock.incarnation,
                epoch: superblock.epoch,
                key,
                // No verdict is wanted, and without a slot none is searched for.
                slot: None,
                checkpoint,
                checkpoint_frame_max: FrameNumber::ZERO,
            };
            let segments = Copies::open(copies, superblock, key, params.direct);
            let mut segments = segments.map_err(OpenError::from)?;
            let bytes = recovery_buffer_bytes(superblock.geometry).next_multiple_of(disk::ALIGNMENT_BYTES);
            let mut buffer = AlignedBuf::new(bytes);
            let replayed = recover(&input, &mut segments, &mut buffer, |frame| {
                if frame.header.frame > wanted || self.stopping() {
                    return Err(ReplayError::Enough);
                }
                state.take(frame)
            });
            match replayed {
                Ok(_) | Err(RecoveryError::Replay { error: ReplayError::Enough, .. }) => {
                    return self.write(&state, wanted);
                }
                Err(RecoveryError::Checkpoint) => {}
                Err(error) => return Err(MakeError::Journal(error)),
            }
        }
        unreachable!("the beginning of the journal is always a start")
    }

    fn write(&self, state: &Replay, wanted: FrameNumber) -> Result<(), MakeError> {
        let found = state.last.map_or(FrameNumber::ZERO, |last| last.frame);
        if found != wanted {
            return Err(MakeError::Ends { found: found.0, wanted: wanted.0 });
        }
        let Recipe { places, superblock, key, .. } = &self.recipe;
        let Some((checkpoint, payload)) = state.checkpoint(superblock) else { return Ok(()) };
        // The reader wrote them up to here before it asked. Where they do not get so far, a start after
        // a power loss derives them anew, no more.
        if let Err(error) = derived::sync_files(&places.derived()) {
            tracing::warn!("tiles and frame index may be derived anew at the next start: {error}");
        }
        write_checkpoint(places, key, &checkpoint, &payload).map_err(OpenError::from)?;
        tracing::info!(entries = checkpoint.tree_size, bytes = payload.len(), "checkpoint written");
        Ok(())
    }

    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_grows_with_the_state_between_its_bounds() {
        for (entries, expected) in
            [(0, 100_000), (400_000, 100_000), (1_000_000, 250_000), (u64::MAX, 2_000_000)]
        {
            assert_eq!(distance(entries), expected, "{entries}");
        }
    }
}
