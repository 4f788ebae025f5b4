//! When the slot is written and what it says.

use model::Instant;

use super::{Identity, Resume, SLOT_EVERY, flights::Flight};
use crate::{Active, FrameNumber, Member, SegmentNumber, Slot};

/// The slot on disk, the one on its way, and the one that would be next.
#[derive(Debug)]
pub(super) struct Slots {
    /// The newest that is durable.
    durable: Slot,
    /// The one being written; there is never more than one.
    writing: Option<Slot>,
    /// Which members have it.
    has: [bool; 2],
    /// What the next one would say, but for its sequence, segment and cleanness.
    newest: Slot,
    last_write: Instant,
    hurry: bool,
}

impl Slots {
    pub(super) fn new(durable: Slot, identity: Identity, resume: &Resume, now: Instant) -> Self {
        let newest = Slot {
            incarnation: identity.incarnation,
            epoch: identity.epoch,
            frame: resume.frame,
            hash: resume.hash,
            durable: resume.seq,
            tree_size: resume.tree_size,
            root: resume.root,
            clean: false,
            ..durable
        };
        // What was recovered is about to be served: the slot shall say so with the first tick.
        let hurry = resume.frame > durable.frame;
        Self { durable, writing: None, has: [false; 2], newest, last_write: now, hurry }
    }

    /// No frame may be written in a later segment.
    pub(super) const fn segment(&self) -> SegmentNumber {
        self.durable.segment
    }

    pub(super) const fn advance(&mut self, flight: &Flight) {
        self.newest.frame = flight.frame;
        self.newest.hash = flight.hash;
        self.newest.durable = flight.last;
        self.newest.tree_size = flight.tree_size;
        self.newest.root = flight.root;
    }

    pub(super) const fn hurry(&mut self) {
        self.hurry = true;
    }

    pub(super) fn deadline(&self, durable_frame: FrameNumber) -> Option<Instant> {
        let due = self.writing.is_none() && durable_frame > self.durable.frame;
        due.then(|| self.last_write.after(SLOT_EVERY))
    }

    /// The slot to write now, if one is called for and none is on its way.
    pub(super) fn next(&mut self, now: Instant, segment: SegmentNumber, clean: bool) -> Option<Slot> {
        if self.writing.is_some() {
            return None;
        }
        let new_frames = self.newest.frame > self.durable.frame;
        let new_segment = segment > self.durable.segment;
        let waited = now.since(self.last_write) >= SLOT_EVERY;
        if !(new_segment || clean || new_frames && (self.hurry || waited)) {
            if !new_frames {
                self.hurry = false;
            }
            return None;
        }
        let slot = Slot {
            sequence: self.durable.sequence + 1,
            segment: segment.max(self.durable.segment),
            clean,
            ..self.newest
        };
        self.hurry = false;
        self.writing = Some(slot);
        self.has = [false; 2];
        self.last_write = now;
        Some(slot)
    }

    /// The slot with this sequence is durable on this member; `false` if it was not under way there.
    pub(super) fn written(&mut self, sequence: u64, member: Member) -> bool {
        let under_way = self.writing.is_some_and(|slot| slot.sequence == sequence);
        under_way && !core::mem::replace(&mut self.has[member.index()], true)
    }

    /// The slot on its way, if every active member has it: it counts from now on.
    pub(super) fn settle(&mut self, active: Active) -> Option<Slot> {
        let slot = self.writing.take_if(|_| active.members().all(|member| self.has[member.index()]))?;
        assert!(slot.frame >= self.durable.frame && slot.segment >= self.durable.segment);
        self.durable = slot;
        Some(slot)
    }
}
