//! One life of a committer with two members.

use std::collections::{BTreeMap, VecDeque};

use journal::{
    Active, Batch, Committer, Effect, Effects, Event, FrameHash, FrameNumber, Geometry, HEADER_BYTES,
    IMAGE_BYTES, Identity, Member, Membership, SegmentNumber, Start, Superblock, WriteFailure,
};
use model::{Instant, Nanos};

use super::{
    MirrorFlaw,
    pair::{Health, Pair, Reread},
};
use crate::{
    content::{Content, Opaque},
    disk::{Disk, FileName, Ticket},
    oracle::{Oracle, SealedFrame, Violation},
    random::Random,
    store,
};

const EIO: WriteFailure = WriteFailure::Error(5);

#[derive(Clone, Copy, Debug)]
enum Sent {
    Frame(FrameNumber),
    Slot(u64),
    Record(u64),
}

/// A committer, the writes that it waits for, and whom the last promise rested on.
#[derive(Debug)]
pub(super) struct Node {
    committer: Committer,
    geometry: Geometry,
    flaw: MirrorFlaw,
    now: Instant,
    buffers: BTreeMap<FrameNumber, Vec<u8>>,
    hashes: BTreeMap<FrameNumber, FrameHash>,
    sent: BTreeMap<(Member, bool, Ticket), Sent>,
    preparing: VecDeque<SegmentNumber>,
    wants_idle: bool,
    /// Who had the last frame that was promised.
    pub(super) rests_on: Option<Active>,
}

impl Node {
    pub(super) fn start(
        superblock: &Superblock,
        reread: &Reread,
        membership: Membership,
        in_flight_max: usize,
        flaw: MirrorFlaw,
        pair: &mut Pair,
        oracle: &mut Oracle,
    ) -> Result<Self, Violation> {
        let Superblock { ledger, incarnation, epoch, geometry, .. } = *superblock;
        let resume = reread.recovered.resume_after_flush(store::EMPTY_ROOT).expect("not rotten");
        let identity = Identity { ledger, incarnation, epoch };
        let (key, slot) = (store::key(), reread.slot);
        let start = Start { identity, geometry, key, resume, slot, membership, in_flight_max };
        let mut node = Self {
            committer: Committer::new(start, Instant(0)),
            geometry,
            flaw,
            now: Instant(0),
            buffers: BTreeMap::new(),
            hashes: BTreeMap::new(),
            sent: BTreeMap::new(),
            preparing: VecDeque::new(),
            wants_idle: false,
            rests_on: None,
        };
        node.apply(Event::Tick, pair, oracle)?;
        Ok(node)
    }

    pub(super) fn active(&self) -> Active {
        self.committer.membership().active
    }

    pub(super) const fn is_poisoned(&self) -> bool {
        self.committer.is_poisoned()
    }

    /// One step of anything that can happen next.
    pub(super) fn step(
        &mut self,
        random: &mut Random,
        pair: &mut Pair,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        match random.below(0..10) {
            0..3 => self.begin(random, pair, oracle),
            3..8 => self.complete(random, pair, oracle),
            8 => self.prepare(pair, oracle),
            _ => {
                self.now = self.now.after(Nanos::from_millis(random.below(0..400)));
                self.apply(Event::Tick, pair, oracle)
            }
        }
    }

    fn begin(&mut self, random: &mut Random, pair: &mut Pair, oracle: &mut Oracle) -> Result<(), Violation> {
        if !self.committer.may_begin() {
            return Ok(());
        }
        let (first_seq, frame) = (self.committer.next_seq(), self.committer.next_frame());
        let mut buffer = vec![0xcc; self.geometry.frame_bytes_max()];
        let filled = if core::mem::take(&mut self.wants_idle) {
            Opaque.empty(first_seq)
        } else {
            Opaque.fill(random, first_seq, &mut buffer[HEADER_BYTES..])
        };
        let batch = Batch {
            buffer: &mut buffer,
            payload_bytes: filled.payload,
            first_seq,
            count: filled.count,
            at: filled.at,
            tree_size: filled.tree_size,
            root: filled.root,
        };
        let mut out = Effects::new();
        self.committer.apply(self.now, Event::Begin(batch), &mut out);
        let sealed = journal::open(&buffer, &store::key(), self.geometry);
        let sealed = sealed.map_err(|error| Violation::Recovery(format!("sealed: {error}")))?;
        let (hash, bytes) = (sealed.hash, sealed.frame_bytes);
        oracle.seal(SealedFrame::of(&sealed));
        self.hashes.insert(frame, hash);
        buffer.truncate(bytes);
        self.buffers.insert(frame, buffer);
        self.act(&mut out, pair, oracle)
    }

    /// A write comes back; with an error if its disk is dead.
    fn complete(
        &mut self,
        random: &mut Random,
        pair: &mut Pair,
        oracle: &mut Oracle,
    ) -> Result<(), Violation> {
        if self.sent.is_empty() {
            return Ok(());
        }
        let (&(member, is_record, ticket), &sent) =
            self.sent.iter().nth(random.index(self.sent.len())).expect("one of them");
        self.sent.remove(&(member, is_record, ticket));
        let is_dead = pair.health[member.index()] == Health::Dead;
        let disk = disk_of(pair, member, is_record);
        if is_dead {
            disk.fail(ticket, random)
        } else {
            disk.complete(ticket)
        }
        let result = if is_dead { Err(EIO) } else { Ok(()) };
        match sent {
            Sent::Frame(frame) => self.apply(Event::Persisted { member, frame, result }, pair, oracle),
            Sent::Slot(sequence) => self.apply(Event::SlotWritten { member, sequence, result }, pair, oracle),
            Sent::Record(_) if self.flaw == MirrorFlaw::EarlyRecord => Ok(()),
            Sent::Record(generation) => {
                self.apply(Event::MembershipWritten { generation, result }, pair, oracle)
            }
        }
    }

    fn prepare(&mut self, pair: &mut Pair, oracle: &mut Oracle) -> Result<(), Violation> {
        let Some(segment) = self.preparing.front().copied() else { return Ok(()) };
        let name = FileName::Segment(segment.0);
        let bytes = self.geometry.segment_bytes();
        for member in self.active().members() {
            if pair.health[member.index()] == Health::Dead {
                return self.apply(Event::PrepareFailed { member, failure: EIO }, pair, oracle);
            }
            let disk = &mut pair.disks[member.index()];
            if disk.len(name).is_none() {
                disk.create(name, usize::try_from(bytes).expect("a small segment"));
            }
        }
        self.preparing.pop_front();
        self.apply(Event::Prepared { segment, bytes }, pair, oracle)
    }

    fn apply(&mut self, event: Event<'_>, pair: &mut Pair, oracle: &mut Oracle) -> Result<(), Violation> {
        let mut out = Effects::new();
        self.committer.apply(self.now, event, &mut out);
        self.act(&mut out, pair, oracle)
    }

    fn act(&mut self, out: &mut Effects, pair: &mut Pair, oracle: &mut Oracle) -> Result<(), Violation> {
        let mut early = Vec::new();
        for effect in out.drain() {
            match effect {
                Effect::Persist { frame, position, .. } => {
                    let buffer = self.buffers.remove(&frame).expect("the frame was sealed");
                    let offset = usize::try_from(position.offset).expect("a small segment");
                    for member in self.active().members() {
                        let name = FileName::Segment(position.segment.0);
                        self.send(pair, member, name, offset, &buffer, Sent::Frame(frame));
                    }
                    if self.flaw == MirrorFlaw::OneIsEnough && self.active() == Active::Both {
                        // Word of the second member's write counts as come back; the real one is late.
                        self.sent.retain(|(member, ..), sent| {
                            !(*member == Member::Second
                                && matches!(sent, Sent::Frame(late) if *late == frame))
                        });
                        early.push(Event::Persisted { member: Member::Second, frame, result: Ok(()) });
                    }
                }
                Effect::Release { frame, .. } => {
                    let hash = self.hashes.remove(&frame).expect("the frame was sealed");
                    oracle.promise(hash)?;
                    self.rests_on = Some(self.active());
                }
                Effect::PrepareSegment(segment) => self.preparing.push_back(segment),
                Effect::WriteSlot { copy, slot } => {
                    let mut image = [0; IMAGE_BYTES];
                    slot.encode(&store::key(), &mut image);
                    let offset = store::image_offset(copy);
                    for member in self.active().members() {
                        self.send(pair, member, FileName::Slot, offset, &image, Sent::Slot(slot.sequence));
                    }
                }
                Effect::WriteMembership { membership, .. } => {
                    let mut image = [0; IMAGE_BYTES];
                    membership.encode(&store::key(), &mut image);
                    let offset = store::image_offset(membership.copy());
                    let ticket = pair.records[membership.holder.index()].submit(
                        FileName::Slot,
                        offset,
                        image.to_vec(),
                    );
                    let generation = membership.generation;
                    self.sent.insert((membership.holder, true, ticket), Sent::Record(generation));
                    if self.flaw == MirrorFlaw::EarlyRecord {
                        early.push(Event::MembershipWritten { generation, result: Ok(()) });
                    }
                }
                Effect::WantIdleFrame => self.wants_idle = true,
                Effect::Stopped { .. }
                | Effect::Published { .. }
                | Effect::Declined(_)
                | Effect::Poisoned(_) => {}
            }
        }
        early.into_iter().try_for_each(|event| self.apply(event, pair, oracle))
    }

    fn send(
        &mut self,
        pair: &mut Pair,
        member: Member,
        name: FileName,
        offset: usize,
        bytes: &[u8],
        sent: Sent,
    ) {
        let ticket = pair.disks[member.index()].submit(name, offset, bytes.to_vec());
        self.sent.insert((member, false, ticket), sent);
    }
}

fn disk_of(pair: &mut Pair, member: Member, is_record: bool) -> &mut Disk {
    if is_record { &mut pair.records[member.index()] } else { &mut pair.disks[member.index()] }
}
