//! `JournalUnderTest`: the committer machine and the disk alone, without rules, proofs and callers.
//!
//! It does what the committer's loop does with a frame: payload into a buffer, hash and seal, submit,
//! reap, release in order, the slot when it is due. So its figures are what storage adds to the
//! device. Segments are two files written full before, taken in turns: every write overwrites.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use disk::{
    Access, AlignedBuf, Backend, BufferPool, Completion, Direct, DirectFile, Doorbell, FileId, Io,
    RingOptions, Token,
};
use journal::{
    Batch, Committer, Effect, Effects, Event, FrameKey, FrameNumber, Geometry, HEADER_BYTES, IMAGE_BYTES,
    IMAGE_FILE_BYTES, Identity, ImageCopy, Member, Membership, Position, Resume, STRIDE_BYTES_DEFAULT,
    SegmentNumber, Slot, Start,
};
use model::limits::{BATCH_PREAMBLE_BYTES, FRAMES_IN_FLIGHT_MAX, RECORD_BYTES};
use model::{Epoch, Incarnation, LedgerId, Seq, Timestamp};

use crate::bare_ring::Block;
use crate::clock::Clock;
use crate::pace::Latencies;

/// Bytes of each of the two segments.
const SEGMENT_BYTES: u64 = 16 << 20;
/// The largest frame.
pub const FRAME_BYTES: usize = 256 << 10;
/// The payload of the largest frame.
pub const BATCH_PAYLOAD_BYTES: usize = FRAME_BYTES - HEADER_BYTES;
/// The payload of a lone entry.
pub const LONE_PAYLOAD_BYTES: usize = BATCH_PREAMBLE_BYTES + RECORD_BYTES;
/// Marks the token of a write of the slot beside its number; frames have their numbers alone.
const SLOT_TOKEN: u64 = 1 << 63;
/// Entries that a frame says it holds.
const ENTRIES: u32 = 1;
const LEDGER: LedgerId = LedgerId(*b"ron-bench frames");

/// A frame between the taking of its batch and its release.
#[derive(Debug)]
struct Flying {
    frame: FrameNumber,
    begun: u64,
    frame_bytes: usize,
    buffer: Option<AlignedBuf>,
}

/// A committer, a disk, and nothing above.
#[derive(Debug)]
pub struct JournalUnderTest {
    committer: Committer,
    backend: Backend,
    segments: [FileId; 2],
    slot_file: FileId,
    slot_buffer: Option<AlignedBuf>,
    key: FrameKey,
    payload: Vec<u8>,
    buffers: BufferPool,
    flying: VecDeque<Flying>,
    clock: Clock,
    released: u32,
    latencies: Latencies,
}

impl JournalUnderTest {
    /// Makes its files in `home` and opens a ring.
    ///
    /// # Errors
    /// If the file system has no direct I/O, or `io_uring` is denied.
    pub fn open(home: &Path) -> anyhow::Result<Self> {
        let options = RingOptions::default();
        let (mut backend, _) = Backend::open(Io::Uring, &options, Arc::new(Doorbell::new()?))?;
        // As the ledger does: without the right to lock memory they stay as they are.
        let mut buffers = BufferPool::new(u16::try_from(FRAMES_IN_FLIGHT_MAX)?, FRAME_BYTES);
        backend.register_buffers(&mut buffers);
        let mut full = |name: &str, bytes: u64| -> anyhow::Result<FileId> {
            let file = DirectFile::open(&home.join(name), Access::CreateNew, Direct::Required)?;
            file.write_zeros(0, bytes)?;
            backend.attach(Arc::new(file))?.context("a ring has room for three files")
        };
        let segments = [full("frames-0", SEGMENT_BYTES)?, full("frames-1", SEGMENT_BYTES)?];
        let slot_file = full("frames-slot", IMAGE_FILE_BYTES)?;
        let key = FrameKey::new(&[4; 32]);
        let mut journal = Self {
            committer: committer(key.clone())?,
            backend,
            segments,
            slot_file,
            slot_buffer: Some(AlignedBuf::new(IMAGE_BYTES)),
            key,
            // No two frames hold the same bytes: the header's number differs, and a disk that looks
            // for equal blocks finds none.
            payload: (0..FRAME_BYTES).map(|at| u8::try_from(at * 31 % 251).expect("below 251")).collect(),
            buffers,
            flying: VecDeque::with_capacity(FRAMES_IN_FLIGHT_MAX),
            clock: Clock::start(),
            released: 0,
            latencies: Latencies::new(),
        };
        for segment in [0, 1] {
            let segment = SegmentNumber(segment);
            journal.tell(Event::Prepared { segment, bytes: SEGMENT_BYTES })?;
        }
        journal.settle()?;
        Ok(journal)
    }

    /// Commits `frames` frames with so much payload, `depth` in flight as long as there is more to do. A latency is from the taking of the batch to the release of the frame.
    ///
    /// # Errors
    /// A write that fails or is short.
    ///
    /// # Panics
    /// If the depth or the size is out of range.
    pub fn run(&mut self, frames: u32, depth: usize, payload_bytes: usize) -> anyhow::Result<Block> {
        assert!((1..=FRAMES_IN_FLIGHT_MAX).contains(&depth), "as many frames as a committer takes");
        assert!((1..=BATCH_PAYLOAD_BYTES).contains(&payload_bytes), "a payload that a buffer holds");
        (self.released, self.latencies) = (0, Latencies::new());
        let mut begun = 0;
        let start = self.clock.nanos();
        while self.released < frames {
            while begun < frames && self.flying.len() < depth && self.committer.may_begin() {
                self.begin(payload_bytes)?;
                begun += 1;
            }
            self.backend.submit_and_wait(1, None)?;
            self.reap()?;
        }
        let seconds = std::time::Duration::from_nanos(self.clock.nanos() - start).as_secs_f64();
        self.settle()?;
        let latencies = std::mem::take(&mut self.latencies);
        Ok(Block { latencies, writes_per_second: f64::from(frames) / seconds })
    }

    /// One batch becomes a frame and is queued.
    fn begin(&mut self, payload_bytes: usize) -> anyhow::Result<()> {
        let begun = self.clock.nanos();
        let mut buffer = self.buffers.take().context("as many buffers as frames in flight")?;
        let (_, space) = buffer.split_at_mut(HEADER_BYTES);
        let (space, _) = space.split_at_mut(payload_bytes);
        space.copy_from_slice(self.payload.get(..payload_bytes).context("a payload")?);
        let first_seq = self.committer.next_seq();
        let batch = Batch {
            buffer: &mut buffer,
            payload_bytes,
            first_seq,
            count: ENTRIES,
            at: Timestamp(first_seq.0),
            tree_size: first_seq.0,
            root: [7; 32],
        };
        let frame = self.committer.next_frame();
        let mut effects = Effects::default();
        self.committer.apply(engine::monotonic(), Event::Begin(batch), &mut effects);
        self.flying.push_back(Flying { frame, begun, frame_bytes: 0, buffer: Some(buffer) });
        self.act(&mut effects)
    }

    fn reap(&mut self) -> anyhow::Result<()> {
        while let Some(Completion { token: Token(word), result, buffer }) = self.backend.reap() {
            let written = result.context("a write of the journal")?;
            let buffer = buffer.context("a write has its buffer")?;
            if word & SLOT_TOKEN != 0 {
                ensure!(usize::try_from(written)? == IMAGE_BYTES, "a short write of the slot: {written}");
                self.slot_buffer = Some(buffer);
                self.tell(Event::SlotWritten {
                    member: Member::First,
                    sequence: word ^ SLOT_TOKEN,
                    result: Ok(()),
                })?;
                continue;
            }
            let frame = FrameNumber(word);
            let flying = self.flying.iter_mut().find(|flying| flying.frame == frame);
            let flying = flying.context("a frame in flight")?;
            ensure!(usize::try_from(written)? == flying.frame_bytes, "a short write: {written}");
            flying.buffer = Some(buffer);
            self.tell(Event::Persisted { member: Member::First, frame, result: Ok(()) })?;
        }
        Ok(())
    }

    fn tell(&mut self, event: Event<'_>) -> anyhow::Result<()> {
        let mut effects = Effects::default();
        self.committer.apply(engine::monotonic(), event, &mut effects);
        self.act(&mut effects)
    }

    fn act(&mut self, effects: &mut Effects) -> anyhow::Result<()> {
        let effects: Vec<Effect> = effects.drain().collect();
        for effect in effects {
            match effect {
                Effect::Persist { frame, position, bytes } => self.persist(frame, position, bytes)?,
                Effect::Release { frame, .. } => self.release(frame)?,
                Effect::PrepareSegment(segment) if segment.0 > 1 => {
                    self.tell(Event::Prepared { segment, bytes: SEGMENT_BYTES })?;
                }
                Effect::WriteSlot { copy, slot } => self.write_slot(copy, &slot)?,
                Effect::PrepareSegment(_) | Effect::Published { .. } | Effect::WantIdleFrame => {}
                Effect::WriteMembership { .. }
                | Effect::Declined(_)
                | Effect::Poisoned(_)
                | Effect::Stopped { .. } => {
                    bail!("the committer stopped: {effect:?}")
                }
            }
        }
        Ok(())
    }

    fn persist(&mut self, frame: FrameNumber, position: Position, bytes: usize) -> anyhow::Result<()> {
        let file = self.segments[usize::try_from(position.segment.0 % 2)?];
        let flying = self.flying.iter_mut().find(|flying| flying.frame == frame);
        let flying = flying.context("a frame is sealed before it is written")?;
        flying.frame_bytes = bytes;
        let buffer = flying.buffer.take().context("a frame is written once")?;
        self.backend.write_durable(file, position.offset, buffer, bytes, Token(frame.0));
        Ok(())
    }

    fn release(&mut self, frame: FrameNumber) -> anyhow::Result<()> {
        let flying = self.flying.pop_front().context("a released frame is in flight")?;
        ensure!(flying.frame == frame, "frames are released in order");
        self.latencies.record(flying.begun, self.clock.nanos());
        self.buffers.give_back(flying.buffer.context("a durable frame's buffer came back")?);
        self.released += 1;
        Ok(())
    }

    fn write_slot(&mut self, copy: ImageCopy, slot: &Slot) -> anyhow::Result<()> {
        let mut buffer = self.slot_buffer.take().context("one slot is written at a time")?;
        slot.encode(&self.key, buffer.first_chunk_mut().context("an image")?);
        let token = Token(SLOT_TOKEN | slot.sequence);
        self.backend.write_durable(self.slot_file, copy.offset(), buffer, IMAGE_BYTES, token);
        Ok(())
    }

    /// Waits for everything under way: a block ends with an idle disk.
    fn settle(&mut self) -> anyhow::Result<()> {
        while self.backend.in_flight() > 0 {
            self.backend.submit_and_wait(1, None)?;
            self.reap()?;
        }
        Ok(())
    }
}

fn committer(key: FrameKey) -> anyhow::Result<Committer> {
    let (incarnation, root) = (Incarnation(1), [7; 32]);
    let start = Start {
        identity: Identity { ledger: LEDGER, incarnation, epoch: Epoch(1) },
        geometry: Geometry::new(STRIDE_BYTES_DEFAULT, SEGMENT_BYTES)?,
        key,
        resume: Resume::genesis(root),
        slot: Slot::genesis(LEDGER, incarnation, root),
        membership: Membership::alone(LEDGER, incarnation),
        in_flight_max: FRAMES_IN_FLIGHT_MAX,
    };
    ensure!(start.resume.seq == Seq::ZERO, "it begins empty");
    Ok(Committer::new(start, engine::monotonic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_size_are_committed_over_the_ends_of_segments() {
        let home = tempfile::tempdir().unwrap();
        let mut journal = match JournalUnderTest::open(home.path()) {
            Ok(journal) => journal,
            Err(error) => {
                println!("not run, this host has no ring: {error:#}");
                return;
            }
        };
        for (frames, depth, bytes) in
            [(10, 1, LONE_PAYLOAD_BYTES), (20, 4, LONE_PAYLOAD_BYTES), (200, 4, BATCH_PAYLOAD_BYTES)]
        {
            let block = journal.run(frames, depth, bytes).unwrap();
            assert_eq!(block.latencies.count(), u64::from(frames));
            assert!(block.writes_per_second > 0.0 && block.latencies.quantile_nanos(0.5) > 0);
        }
        assert!(journal.committer.frontiers().durable.0 == 230 && journal.flying.is_empty());
    }
}
