//! Checkpoints of a world: made by replay of the journal beside the committer, put in place a step at
//! a time, and chosen at a start.
//!
//! Holds: a checkpoint takes frames up to one that is durable. Leaves to others: what the state is
//! (`Content`).

use journal::{CHECKPOINT_HEADER_BYTES, Checkpoint, FrameNumber};
use model::Seq;

use crate::{
    content::Content,
    disk::{Disk, FileName},
    flaw::Flaw,
    oracle::Violation,
    store::{self, LEDGER},
};

/// How many are kept.
const KEPT: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// Its bytes are durable, its name is not.
    Put,
    /// Its name is durable; older ones may go.
    Named,
}

/// Makes one checkpoint after the other.
#[derive(Debug)]
pub struct Checkpointer {
    stage: Stage,
    flaw: Flaw,
    last: FrameNumber,
}

impl Checkpointer {
    /// Nothing is in the making.
    #[must_use]
    pub const fn new(flaw: Flaw) -> Self {
        Self { stage: Stage::Idle, flaw, last: FrameNumber::ZERO }
    }

    /// The next step; `durable` is the last frame that a checkpoint may take.
    ///
    /// # Errors
    /// `Violation` if a durable frame cannot be replayed.
    pub fn step(
        &mut self,
        durable: FrameNumber,
        content: &dyn Content,
        disk: &mut Disk,
    ) -> Result<(), Violation> {
        match self.stage {
            Stage::Idle => self.make(durable, content, disk)?,
            Stage::Put => {
                disk.sync_names();
                self.stage = Stage::Named;
            }
            Stage::Named => {
                for name in checkpoint_names(disk).into_iter().skip(KEPT) {
                    disk.remove(name);
                }
                self.stage = Stage::Idle;
            }
        }
        Ok(())
    }

    fn make(
        &mut self,
        durable: FrameNumber,
        content: &dyn Content,
        disk: &mut Disk,
    ) -> Result<(), Violation> {
        let ahead = self.flaw == Flaw::CheckpointAhead;
        let wanted = if ahead { FrameNumber(u64::MAX) } else { durable };
        let mut state = content.fork();
        let Some((checkpoint, payload)) = replay(disk, state.as_mut(), wanted)? else { return Ok(()) };
        if checkpoint.frame < wanted && !ahead {
            // What was damaged at rest meanwhile: the next start says so.
            return if disk.is_harmed() { Ok(()) } else { Err(Violation::Lost(checkpoint.frame.next())) };
        }
        let name = FileName::Checkpoint(checkpoint.frame.0);
        if checkpoint.frame == self.last || disk.len(name).is_some() {
            return Ok(());
        }
        let mut bytes = vec![0; CHECKPOINT_HEADER_BYTES];
        let header = bytes.first_chunk_mut().expect("as long as a header");
        checkpoint.encode_header(store::key(), &payload, header);
        bytes.extend_from_slice(&payload);
        disk.put(name, bytes);
        disk.flush(name);
        (self.stage, self.last) = (Stage::Put, checkpoint.frame);
        Ok(())
    }
}

/// Replays the journal up to the frame `wanted`, from the newest checkpoint that is not beyond it.
fn replay(
    disk: &Disk,
    state: &mut dyn Content,
    wanted: FrameNumber,
) -> Result<Option<(Checkpoint, Vec<u8>)>, Violation> {
    let (starts, _) = choose(disk, Flaw::None);
    for start in starts {
        if start.as_ref().is_some_and(|(checkpoint, _)| checkpoint.frame > wanted) {
            continue;
        }
        let saved = start.as_ref().map(|(_, payload)| payload.as_slice());
        state.restore(saved).map_err(Violation::Content)?;
        let from = start.as_ref().map(|(checkpoint, _)| checkpoint);
        let mut last = from.copied();
        let incarnation = store::superblock(disk)?.incarnation;
        let replayed = store::reopen_with(disk, from, |frame| {
            if frame.header.frame > wanted {
                return Ok(());
            }
            last = Some(Checkpoint {
                ledger: LEDGER,
                incarnation,
                frame: frame.header.frame,
                hash: frame.hash,
                position: frame.header.position,
                through: Seq(frame.header.last_seq().0),
                tree_size: frame.header.tree_size,
                root: frame.header.root,
            });
            state.replay(frame)
        });
        match replayed {
            Ok(_) => return Ok(last.map(|checkpoint| (checkpoint, state.save()))),
            Err(violation) if is_checkpoint_refused(&violation) => {}
            Err(violation) => return Err(violation),
        }
    }
    unreachable!("the beginning of the journal is always a start")
}

/// Whether the journal does not have the frame that the checkpoint ends with.
#[must_use]
pub fn is_checkpoint_refused(violation: &Violation) -> bool {
    matches!(violation, Violation::Recovery(words) if words == "Checkpoint")
}

/// What replay may begin with.
pub type Begin = Option<(Checkpoint, Vec<u8>)>;

/// Where a start may begin, in the order in which it tries: whole checkpoints, the newest first, then
/// the beginning. With them the last frame that any header names.
#[must_use]
pub fn choose(disk: &Disk, flaw: Flaw) -> (Vec<Begin>, FrameNumber) {
    let (mut starts, mut known) = (Vec::new(), FrameNumber::ZERO);
    for name in checkpoint_names(disk) {
        let bytes = disk.view(name);
        let Ok(checkpoint) = Checkpoint::decode_header(bytes, store::key(), LEDGER) else { continue };
        known = known.max(checkpoint.frame);
        let payload = match Checkpoint::decode(bytes, store::key(), LEDGER) {
            Ok((_, payload)) => payload,
            Err(_) if flaw == Flaw::CheckpointTrusted => &bytes[CHECKPOINT_HEADER_BYTES..],
            Err(_) => continue,
        };
        starts.push(Some((checkpoint, payload.to_vec())));
    }
    // Forged frames have other hashes than a checkpoint names.
    if flaw.keeps_cut() {
        starts.clear();
    }
    starts.push(None);
    (starts, known)
}

/// The checkpoints that are there, the newest first.
fn checkpoint_names(disk: &Disk) -> Vec<FileName> {
    disk.names().rev().filter(|name| matches!(name, FileName::Checkpoint(_))).collect()
}
