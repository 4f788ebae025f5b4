//! `CommitFiles`: the files that the committer writes, on each member that counts.
//!
//! Holds: a member that was given up is never written to again; what is still in flight there keeps
//! its file until the end. Leaves to others: which members count (`journal::Committer`).

use std::{collections::VecDeque, sync::Arc};

use disk::{AlignedBuf, Backend, DiskError, FileId, Token};
use journal::{FrameKey, IMAGE_BYTES, Member, Membership, Position, SegmentNumber, Slot};

use crate::{preparer::Prepared, store::MemberFiles};

const KIND_FRAME: u64 = 0;
const KIND_SLOT: u64 = 1;
const KIND_BELL: u64 = 2;
const KIND_MEMBERSHIP: u64 = 3;
const KIND_SHIFT: u32 = 62;
const MEMBER_SHIFT: u32 = 61;
const TWIN_SHIFT: u32 = 60;

/// What a completion is of: the kind in two bits, the member in one, whether the buffer is a second one in
/// one, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ticket {
    /// A frame, on a member; `twin` if its buffer is a copy.
    Frame { member: Member, twin: bool, frame: u64 },
    /// A slot, on a member.
    Slot { member: Member, sequence: u64 },
    /// The record of who is left.
    Membership { generation: u64 },
    /// The bell.
    Bell,
}

impl Ticket {
    pub(crate) fn token(self) -> Token {
        let (kind, member, twin, number) = match self {
            Self::Frame { member, twin, frame } => (KIND_FRAME, member, twin, frame),
            Self::Slot { member, sequence } => (KIND_SLOT, member, false, sequence),
            Self::Membership { generation } => (KIND_MEMBERSHIP, Member::First, false, generation),
            Self::Bell => (KIND_BELL, Member::First, false, 0),
        };
        assert!(number < 1 << TWIN_SHIFT);
        let member = u64::from(member == Member::Second);
        Token(kind << KIND_SHIFT | member << MEMBER_SHIFT | u64::from(twin) << TWIN_SHIFT | number)
    }

    pub(crate) fn of(Token(word): Token) -> Self {
        let number = word & ((1 << TWIN_SHIFT) - 1);
        let member = if word >> MEMBER_SHIFT & 1 == 0 { Member::First } else { Member::Second };
        match word >> KIND_SHIFT {
            KIND_FRAME => Self::Frame { member, twin: word >> TWIN_SHIFT & 1 == 1, frame: number },
            KIND_SLOT => Self::Slot { member, sequence: number },
            KIND_BELL => Self::Bell,
            _ => Self::Membership { generation: number },
        }
    }
}

/// One member's files but for its segments.
#[derive(Debug)]
struct Desk {
    slot: FileId,
    slot_buffer: Option<AlignedBuf>,
    /// The record's file and its buffer, where there is another member to be lost.
    membership: Option<(FileId, Option<AlignedBuf>)>,
}

/// The files of all members that count.
#[derive(Debug)]
pub(crate) struct CommitFiles {
    desks: [Option<Desk>; 2],
    segments: VecDeque<(SegmentNumber, [Option<FileId>; 2])>,
}

impl CommitFiles {
    /// Gives the members' files to the backend.
    pub(crate) fn attach(members: Vec<MemberFiles>, backend: &mut Backend) -> Result<Self, DiskError> {
        let mut desks = [None, None];
        for files in members {
            let slot = attach(backend, files.slot)?;
            let membership = match files.membership {
                Some(file) => Some((attach(backend, file)?, Some(AlignedBuf::new(IMAGE_BYTES)))),
                None => None,
            };
            let slot_buffer = Some(AlignedBuf::new(IMAGE_BYTES));
            desks[files.member.index()] = Some(Desk { slot, slot_buffer, membership });
        }
        Ok(Self { desks, segments: VecDeque::with_capacity(8) })
    }

    /// The members that are written to.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> + use<> {
        let has = [self.desks[0].is_some(), self.desks[1].is_some()];
        Member::BOTH.into_iter().filter(move |member| has[member.index()])
    }

    /// Takes a segment that is ready, if it is new.
    pub(crate) fn prepared(&mut self, prepared: &Prepared, backend: &mut Backend) -> Result<(), DiskError> {
        if self.segments.iter().any(|(segment, _)| *segment == prepared.segment) {
            return Ok(());
        }
        let mut ids = [None, None];
        for member in self.members() {
            if let Some(file) = &prepared.files[member.index()] {
                ids[member.index()] = Some(attach(backend, Arc::clone(file))?);
            }
        }
        self.segments.push_back((prepared.segment, ids));
        Ok(())
    }

    /// Writes a frame on one member.
    pub(crate) fn write_frame(
        &self,
        backend: &mut Backend,
        position: Position,
        (buffer, bytes): (AlignedBuf, usize),
        member: Member,
        ticket: Ticket,
    ) {
        let file = self.segments.iter().find(|(segment, _)| *segment == position.segment);
        let file = file.and_then(|(_, ids)| ids[member.index()]);
        let file = file.expect("a frame goes only into a prepared segment");
        backend.write_durable(file, position.offset, buffer, bytes, ticket.token());
    }

    /// Writes the slot on every member.
    pub(crate) fn write_slot(&mut self, backend: &mut Backend, key: &FrameKey, slot: &Slot) {
        for member in self.members() {
            let desk = self.desks[member.index()].as_mut().expect("it is one of them");
            let mut buffer = desk.slot_buffer.take().expect("one slot is written at a time");
            let image = buffer.first_chunk_mut::<IMAGE_BYTES>().expect("the buffer is one image");
            slot.encode(key, image);
            let token = Ticket::Slot { member, sequence: slot.sequence }.token();
            backend.write_durable(desk.slot, slot.copy().offset(), buffer, IMAGE_BYTES, token);
        }
    }

    /// Takes the slot's buffer back.
    pub(crate) fn slot_written(&mut self, member: Member, buffer: Option<AlignedBuf>) {
        if let Some(desk) = &mut self.desks[member.index()] {
            desk.slot_buffer = buffer;
        }
    }

    /// Gives up the member that the record does not name, and writes the record on the other.
    pub(crate) fn write_membership(&mut self, backend: &mut Backend, key: &FrameKey, record: &Membership) {
        self.desks[record.holder.other().index()] = None;
        let desk = self.desks[record.holder.index()].as_mut().expect("the survivor is written to");
        let (file, buffer) = desk.membership.as_mut().expect("a pair has records");
        let mut buffer = buffer.take().expect("one member can be lost");
        let image = buffer.first_chunk_mut::<IMAGE_BYTES>().expect("the buffer is one image");
        record.encode(key, image);
        let token = Ticket::Membership { generation: record.generation }.token();
        backend.write_durable(*file, record.copy().offset(), buffer, IMAGE_BYTES, token);
    }

    /// Lets go of segments before `current` and `oldest`, in which no frame in flight can lie. A member
    /// that was given up may still have writes on its way, so its files stay.
    pub(crate) fn retire(
        &mut self,
        backend: &mut Backend,
        current: SegmentNumber,
        oldest: SegmentNumber,
    ) -> Result<(), DiskError> {
        while let Some((segment, ids)) = self.segments.front().copied()
            && segment < current
            && segment < oldest
        {
            self.segments.pop_front();
            for member in self.members() {
                if let Some(id) = ids[member.index()] {
                    backend.detach(id)?;
                }
            }
        }
        Ok(())
    }
}

fn attach(backend: &mut Backend, file: Arc<disk::DirectFile>) -> Result<FileId, DiskError> {
    Ok(backend.attach(file)?.expect("a handful of files is attached"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_finds_what_it_is_of() {
        for member in Member::BOTH {
            for number in [0, 1, (1 << TWIN_SHIFT) - 1] {
                for ticket in [
                    Ticket::Frame { member, twin: false, frame: number },
                    Ticket::Frame { member, twin: true, frame: number },
                    Ticket::Slot { member, sequence: number },
                    Ticket::Membership { generation: number },
                    Ticket::Bell,
                ] {
                    assert_eq!(Ticket::of(ticket.token()), ticket);
                }
            }
        }
    }
}
