//! What the frames of a world hold.

use std::fmt::Debug;

use journal::{Frame, HEADER_BYTES};
use model::{Seq, Timestamp};

use crate::{oracle::digest, random::Random, store};

/// A batch as it lies in a frame's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Bytes of payload.
    pub payload: usize,
    /// Entries.
    pub count: u32,
    /// Time of the batch.
    pub at: Timestamp,
    /// Leaves of the tree after it.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
}

/// Where payloads come from, and what becomes of them at a restart.
pub trait Content: Debug {
    /// Writes a batch whose first entry is `first_seq` into `space`.
    fn fill(&mut self, random: &mut Random, first_seq: Seq, space: &mut [u8]) -> Filled;

    /// An empty batch, at `first_seq`.
    fn empty(&mut self, first_seq: Seq) -> Filled;

    /// The process is gone: forget what it knew, and begin with what `save` gave, or with nothing.
    ///
    /// # Errors
    /// Why these bytes are no saved state.
    fn restore(&mut self, saved: Option<&[u8]>) -> Result<(), String>;

    /// A frame is replayed.
    ///
    /// # Errors
    /// Why it cannot be what was written.
    fn replay(&mut self, frame: &Frame<'_>) -> Result<(), String>;

    /// The replay is done: compare what it made with what the world knows by itself.
    ///
    /// # Errors
    /// What differs.
    fn settle(&mut self, last: Seq) -> Result<(), String>;

    /// The state as the payload of a checkpoint.
    fn save(&self) -> Vec<u8>;

    /// Another of its kind, with nothing in it: who makes checkpoints has its own.
    fn fork(&self) -> Box<dyn Content>;
}

/// Bytes that mean nothing. Its state is a digest over all that was replayed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Opaque {
    chain: [u8; 32],
}

/// How often the digest stands in a saved state, so that a checkpoint has several blocks.
const SAVED_TIMES: usize = 40;

impl Opaque {
    /// A batch of `count` entries in `payload` bytes drawn from `random`.
    pub fn bytes(random: &mut Random, first_seq: Seq, count: u32, space: &mut [u8]) -> Filled {
        for byte in &mut *space {
            *byte = random.bits().to_le_bytes()[0];
        }
        let tree_size = first_seq.0 + u64::from(count) - 1;
        let mut root = store::EMPTY_ROOT;
        root[..8].copy_from_slice(&tree_size.to_le_bytes());
        Filled { payload: space.len(), count, at: Timestamp(first_seq.0), tree_size, root }
    }
}

impl Content for Opaque {
    fn fill(&mut self, random: &mut Random, first_seq: Seq, space: &mut [u8]) -> Filled {
        let room = if random.one_in(5) { space.len() } else { space.len().min(6 * HEADER_BYTES) };
        let (payload, count) = (random.index(room + 1), random.below(0..4));
        let count = u32::try_from(count).expect("a few");
        Self::bytes(random, first_seq, count, &mut space[..payload])
    }

    fn empty(&mut self, first_seq: Seq) -> Filled {
        Self::bytes(&mut Random::new(0), first_seq, 0, &mut [])
    }

    fn restore(&mut self, saved: Option<&[u8]>) -> Result<(), String> {
        let Some(saved) = saved else {
            self.chain = [0; 32];
            return Ok(());
        };
        let first = saved.first_chunk().ok_or("no state")?;
        // Any other byte makes another state.
        self.chain = if saved == first.repeat(SAVED_TIMES) { *first } else { digest(saved) };
        Ok(())
    }

    fn replay(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        self.chain = digest(&[self.chain, frame.hash.0, digest(frame.payload)].concat());
        Ok(())
    }

    fn settle(&mut self, _last: Seq) -> Result<(), String> {
        Ok(())
    }

    fn save(&self) -> Vec<u8> {
        self.chain.repeat(SAVED_TIMES)
    }

    fn fork(&self) -> Box<dyn Content> {
        Box::new(Self::default())
    }
}
