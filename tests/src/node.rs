//! One life of a committer: batches go in, the disk answers in any order, promises come out.

use std::collections::BTreeMap;

use journal::{
    Batch, Committer, Effect, Effects, Event, FrameHash, FrameNumber, Geometry, HEADER_BYTES, IMAGE_BYTES,
    Identity, Member, Membership, Resume, Slot, Start, Superblock, WriteFailure,
};
use model::{Instant, Nanos};

use crate::{
    checkpoints::Checkpointer,
    content::{Content, Filled, Opaque},
    disk::{Disk, FileName, Ticket},
    flaw::Flaw,
    oracle::{Oracle, SealedFrame, Violation},
    preparer::{Prepared, Preparer},
    random::Random,
    store::{self, EIO},
};

/// A committer and what it is waiting for.
#[derive(Debug)]
pub struct Node {
    committer: Committer,
    geometry: Geometry,
    flaw: Flaw,
    now: Instant,
    buffers: BTreeMap<FrameNumber, Vec<u8>>,
    hashes: BTreeMap<FrameNumber, FrameHash>,
    frames: BTreeMap<Ticket, FrameNumber>,
    slots: BTreeMap<Ticket, u64>,
    preparer: Preparer,
    checkpointer: Checkpointer,
    /// Whether writes that come back well may be lost or lie elsewhere.
    harms: bool,
    wants_idle: bool,
    stopped: Option<bool>,
}

impl Node {
    /// A node that goes on where recovery ended.
    ///
    /// # Errors
    /// `Violation` if its first effects break a promise.
    pub fn start(
        superblock: &Superblock,
        resume: Resume,
        slot: Slot,
        in_flight_max: usize,
        flaw: Flaw,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<Self, Violation> {
        let Superblock { ledger, incarnation, epoch, geometry, .. } = *superblock;
        let identity = Identity { ledger, incarnation, epoch };
        let membership = Membership::alone(ledger, incarnation);
        let start =
            Start { identity, geometry, key: store::key().clone(), resume, slot, membership, in_flight_max };
        let now = Instant(0);
        let mut node = Self {
            committer: Committer::new(start, now),
            geometry,
            flaw,
            now,
            buffers: BTreeMap::new(),
            hashes: BTreeMap::new(),
            frames: BTreeMap::new(),
            slots: BTreeMap::new(),
            preparer: Preparer::new(geometry, resume.next, flaw),
            checkpointer: Checkpointer::new(flaw),
            harms: false,
            wants_idle: false,
            stopped: None,
        };
        node.apply(Event::Tick, disk, oracle)?;
        Ok(node)
    }

    /// Whether it has stopped, and cleanly.
    #[must_use]
    pub const fn stopped(&self) -> Option<bool> {
        self.stopped
    }

    /// Whether a write failed.
    #[must_use]
    pub const fn is_poisoned(&self) -> bool {
        self.committer.is_poisoned()
    }

    /// One step of anything that can happen next.
    ///
    /// # Errors
    /// `Violation` if a promise is broken by it.
    pub fn step(
        &mut self,
        random: &mut Random,
        content: &mut dyn Content,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        match random.below(0..14) {
            0..4 => self.begin(random, content, disk, oracle),
            4..7 => self.complete(random, disk, oracle),
            7..10 => {
                let prepared = self.preparer.step(disk, random);
                self.prepared(prepared, disk, oracle)
            }
            10 => {
                self.now = self.now.after(Nanos::from_millis(random.below(0..400)));
                self.apply(Event::Tick, disk, oracle)
            }
            11 => self.checkpointer.step(self.committer.durable_frame(), content, disk),
            12 => {
                disk.land_early(random);
                Ok(())
            }
            _ if random.one_in(3) => self.apply(Event::Publish, disk, oracle),
            _ => Ok(()),
        }
    }

    /// From now on the device may lose a write that it told as done, or put it elsewhere.
    pub const fn expect_harm(&mut self) {
        self.harms = true;
    }

    /// Begins a batch of any size, or the empty frame that was asked for.
    fn begin(
        &mut self,
        random: &mut Random,
        content: &mut dyn Content,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        let first_seq = self.committer.next_seq();
        let mut buffer = vec![0xcc; self.geometry.frame_bytes_max()];
        let idle = core::mem::take(&mut self.wants_idle);
        if !self.committer.may_begin() {
            // What was decided must be written, so nothing is decided; an empty batch is declined.
            return self.seal(buffer, content.empty(first_seq), disk, oracle);
        }
        let filled = if idle {
            content.empty(first_seq)
        } else {
            content.fill(random, first_seq, &mut buffer[HEADER_BYTES..])
        };
        self.seal(buffer, filled, disk, oracle)
    }

    /// Begins a batch of `count` entries whose payload is `payload` bytes drawn from `seed`.
    ///
    /// # Errors
    /// `Violation` if a promise is broken by it.
    pub fn batch(
        &mut self,
        count: u32,
        payload: usize,
        seed: u64,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        let mut buffer = vec![0xcc; self.geometry.frame_bytes_max()];
        let space = &mut buffer[HEADER_BYTES..HEADER_BYTES + payload];
        let filled = Opaque::bytes(&mut Random::new(seed), self.committer.next_seq(), count, space);
        self.seal(buffer, filled, disk, oracle)
    }

    fn seal(
        &mut self,
        mut buffer: Vec<u8>,
        filled: Filled,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        let may_begin = self.committer.may_begin();
        let (first_seq, frame) = (self.committer.next_seq(), self.committer.next_frame());
        let Filled { payload, count, at, tree_size, root } = filled;
        let batch =
            Batch { buffer: &mut buffer, payload_bytes: payload, first_seq, count, at, tree_size, root };
        let mut out = Effects::new();
        self.committer.apply(self.now, Event::Begin(batch), &mut out);
        let began = self.committer.next_frame() > frame;
        if began != may_begin {
            return Err(Violation::Frontier(format!("may begin {may_begin}, began {began}")));
        }
        if began {
            let sealed = journal::open(&buffer, store::key(), self.geometry);
            let sealed = sealed.map_err(|error| Violation::Recovery(format!("sealed: {error}")))?;
            let (hash, bytes) = (sealed.hash, sealed.frame_bytes);
            oracle.seal(SealedFrame::of(&sealed), &buffer[..HEADER_BYTES + payload]);
            self.hashes.insert(frame, hash);
            buffer.truncate(bytes);
            self.buffers.insert(frame, buffer);
        }
        self.act(&mut out, disk, oracle)
    }

    /// One write in flight comes back, now and then with an error.
    fn complete(
        &mut self,
        random: &mut Random,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        let in_flight = disk.in_flight();
        if in_flight.is_empty() {
            return Ok(());
        }
        let ticket = in_flight[random.index(in_flight.len())].ticket;
        let result = match random.below(0..600) {
            0 => {
                disk.fail(ticket, random);
                if self.flaw == Flaw::FailureIgnored { Ok(()) } else { Err(WriteFailure::Error(EIO)) }
            }
            1 => {
                let written = disk.fall_short(ticket, random);
                if self.flaw == Flaw::ShortIgnored { Ok(()) } else { Err(WriteFailure::Short(written)) }
            }
            2..6 if self.harms && self.frames.contains_key(&ticket) => {
                if random.one_in(2) {
                    disk.lose(ticket)
                } else {
                    disk.go_astray(ticket, random)
                }
                Ok(())
            }
            _ => {
                disk.complete(ticket);
                Ok(())
            }
        };
        self.came_back(ticket, result, disk, oracle)
    }

    /// The write in flight with this index, in the order in which they were submitted, comes back,
    /// if there are as many.
    ///
    /// # Errors
    /// `Violation` if a promise is broken by it.
    pub fn complete_at(
        &mut self,
        index: usize,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        let mut tickets: Vec<Ticket> = disk.in_flight().iter().map(|write| write.ticket).collect();
        tickets.sort_unstable();
        let Some(ticket) = tickets.get(index).copied() else { return Ok(()) };
        disk.complete(ticket);
        self.came_back(ticket, Ok(()), disk, oracle)
    }

    fn came_back(
        &mut self,
        ticket: Ticket,
        result: Result<(), WriteFailure>,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        if let Some(frame) = self.frames.remove(&ticket) {
            if self.flaw == Flaw::UnorderedAnswer && result.is_ok() {
                oracle.promise(self.hashes[&frame])?;
            }
            return self.apply(Event::Persisted { member: Member::First, frame, result }, disk, oracle);
        }
        let sequence = self.slots.remove(&ticket).expect("a frame's write or a slot's");
        self.apply(Event::SlotWritten { member: Member::First, sequence, result }, disk, oracle)
    }

    /// The oldest segment asked for is ready.
    ///
    /// # Errors
    /// `Violation` if a promise is broken by it.
    pub fn finish_preparing(&mut self, disk: &mut Disk, oracle: &mut Oracle) -> Result<(), Violation> {
        let prepared = self.preparer.finish(disk);
        self.prepared(prepared, disk, oracle)
    }

    fn prepared(
        &mut self,
        prepared: Option<Prepared>,
        disk: &mut Disk,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        let Some((segment, bytes)) = prepared else { return Ok(()) };
        self.apply(Event::Prepared { segment, bytes }, disk, oracle)
    }

    /// Passes time.
    ///
    /// # Errors
    /// `Violation` if a promise is broken by it.
    pub fn tick(&mut self, span: Nanos, disk: &mut Disk, oracle: &mut Oracle) -> Result<(), Violation> {
        self.now = self.now.after(span);
        self.apply(Event::Tick, disk, oracle)
    }

    /// Stops, answering every write, and says whether it was clean.
    ///
    /// # Errors
    /// `Recovery` if it never stops; any `Violation` on the way.
    pub fn stop(&mut self, disk: &mut Disk, oracle: &mut Oracle) -> Result<bool, Violation> {
        self.apply(Event::Stop, disk, oracle)?;
        for _ in 0..100 {
            if let Some(clean) = self.stopped {
                return Ok(clean);
            }
            self.finish_preparing(disk, oracle)?;
            self.complete_at(0, disk, oracle)?;
        }
        Err(Violation::Recovery("the committer does not stop".to_owned()))
    }

    fn apply(&mut self, event: Event<'_>, disk: &mut Disk, oracle: &mut Oracle) -> Result<(), Violation> {
        let mut out = Effects::new();
        self.committer.apply(self.now, event, &mut out);
        self.act(&mut out, disk, oracle)
    }

    fn act(&mut self, out: &mut Effects, disk: &mut Disk, oracle: &mut Oracle) -> Result<(), Violation> {
        for effect in out.drain() {
            match effect {
                Effect::Persist { frame, position, bytes } => {
                    let buffer = self.buffers.remove(&frame).expect("the frame was sealed");
                    assert!(buffer.len() == bytes);
                    let offset = usize::try_from(position.offset).expect("a small segment");
                    let ticket = disk.submit(FileName::Segment(position.segment.0), offset, buffer);
                    self.frames.insert(ticket, frame);
                    if self.flaw == Flaw::EarlyAnswer {
                        oracle.promise(self.hashes[&frame])?;
                    }
                    if self.flaw == Flaw::RootAboveDurable {
                        oracle.publish(self.committer.frontiers().written.0)?;
                    }
                }
                Effect::Release { frame, through } => {
                    let hash = self.hashes.remove(&frame).expect("the frame was sealed");
                    if !matches!(self.flaw, Flaw::EarlyAnswer | Flaw::UnorderedAnswer) {
                        oracle.promise(hash)?;
                    }
                    if self.flaw == Flaw::RootBeforeSlot {
                        oracle.publish(through.0)?;
                    }
                }
                Effect::PrepareSegment(segment) => self.preparer.want(segment),
                Effect::WriteSlot { copy, slot } => {
                    let mut image = [0; IMAGE_BYTES];
                    slot.encode(store::key(), &mut image);
                    let offset = store::image_offset(copy);
                    let ticket = disk.submit(FileName::Slot, offset, image.to_vec());
                    self.slots.insert(ticket, slot.sequence);
                }
                Effect::WriteMembership { .. } => unreachable!("a world without a mirror"),
                Effect::WantIdleFrame => self.wants_idle = true,
                Effect::Stopped { clean } => self.stopped = Some(clean),
                Effect::Published { tree_size, .. } => oracle.publish(tree_size)?,
                Effect::Declined(_) | Effect::Poisoned(_) => {}
            }
        }
        self.check(oracle)
    }

    /// The marks stand where the promises do.
    fn check(&self, oracle: &Oracle) -> Result<(), Violation> {
        let (frontiers, durable) = (self.committer.frontiers(), self.committer.durable_frame());
        let promised = oracle.promised();
        if !frontiers.are_ordered() || promised != durable && self.flaw == Flaw::None {
            return Err(Violation::Frontier(format!("{frontiers:?}, frame {durable}, promised {promised}")));
        }
        Ok(())
    }
}
