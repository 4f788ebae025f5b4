//! `Mirrored`: two copies of a journal read as one.
//!
//! Holds: a frame that is whole on either copy is given out whole; one that is whole on neither is given
//! out as it lies on one of them, and never put together from both: then neither would have it when the
//! other is lost. Where a copy shows a header, the header is given out, so that no witness is hidden. What one copy lacks of a frame that
//! the other has is kept in a list, to be put right after the verdict. Leaves to others: the verdict
//! (`recover`), the writing.

use alloc::{vec, vec::Vec};

use model::LedgerId;

use super::{ReadFailure, SegmentFile, SegmentSource};
use crate::{
    FrameHeader, FrameKey, Geometry, Member, ParsedHeader, Position, SegmentNumber, fields::is_zero,
};

/// A part of a segment that one member lacks and the other has: whole strides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Who lacks it.
    pub onto: Member,
    /// The segment.
    pub segment: SegmentNumber,
    /// The first byte.
    pub from: u64,
    /// The byte after the last.
    pub to: u64,
}

/// What a source of two copies is read with.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The journal's sizes.
    pub geometry: Geometry,
    /// The ledger.
    pub ledger: LedgerId,
    /// The journal's key.
    pub key: FrameKey,
}

/// A run of strides and the copy that they are taken from.
#[derive(Clone, Copy, Debug)]
struct Chosen {
    member: Member,
    /// The first byte, in the segment being read.
    from: u64,
    /// The byte after the last.
    to: u64,
    /// Whether it is a whole frame.
    is_whole: bool,
}

/// Two copies as one source.
#[derive(Debug)]
pub struct Mirrored<A, B> {
    first: A,
    second: B,
    expected: Expected,
    files: Vec<SegmentFile>,
    repairs: Vec<Repair>,
    /// Where the next read goes on, if it goes on where the last one ended.
    next: Position,
    /// The frame that the last read ended in.
    chosen: Option<Chosen>,
    /// The second copy of what is read.
    beside: Vec<u8>,
    /// A frame that goes on after what was read.
    frame: Vec<u8>,
    /// The last read that was refused.
    failure: ReadFailure,
}

impl<A: SegmentSource, B: SegmentSource> Mirrored<A, B> {
    /// Both copies of one ledger.
    #[must_use]
    pub fn new(first: A, second: B, expected: Expected) -> Self {
        let files = union(first.segments(), second.segments());
        let (repairs, next, chosen) = (Vec::new(), Position::default(), None);
        let (beside, frame) = (Vec::new(), Vec::new());
        let failure = ReadFailure::Short;
        Self { first, second, expected, files, repairs, next, chosen, beside, frame, failure }
    }

    /// What a copy lacks of the frames before `end`, which is where the journal goes on: known when
    /// `recover` has ended.
    pub fn repairs_before(&self, end: Position) -> impl Iterator<Item = Repair> + '_ {
        let repairs = self.repairs.iter().copied();
        repairs.filter(move |repair| (repair.segment, repair.from) < (end.segment, end.offset))
    }

    /// The two copies.
    pub const fn parts(&mut self) -> (&mut A, &mut B) {
        (&mut self.first, &mut self.second)
    }

    fn stride(&self) -> usize {
        self.expected.geometry.stride_len()
    }

    /// Reads one copy: whole, or stride by stride where the whole is refused. Tells which strides could
    /// be had; the others are zeros.
    fn copy(&mut self, member: Member, at: Position, bytes: &mut [u8]) -> Had {
        let stride = self.stride();
        let there = self.bytes_from(member, at).min(bytes.len());
        let (bytes, beyond) = bytes.split_at_mut(there - there % stride);
        beyond.fill(0);
        if bytes.is_empty() {
            return Had::First(0);
        }
        if self.read_from(member, at, bytes).is_ok() {
            return Had::First(bytes.len() / stride);
        }
        let mut had = vec![false; bytes.len() / stride];
        for (index, piece) in bytes.chunks_exact_mut(stride).enumerate() {
            let place = Position { offset: at.offset + (index * stride) as u64, ..at };
            match self.read_from(member, place, piece) {
                Ok(()) => had[index] = true,
                Err(refused) => {
                    piece.fill(0);
                    self.failure = refused;
                }
            }
        }
        Had::These(had)
    }

    /// Bytes that this copy's file has from here on.
    fn bytes_from(&self, member: Member, at: Position) -> usize {
        let files = match member {
            Member::First => self.first.segments(),
            Member::Second => self.second.segments(),
        };
        let found = files.binary_search_by_key(&at.segment, |file| file.segment);
        let bytes = found.map_or(0, |index| files[index].bytes).saturating_sub(at.offset);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    fn read_from(&mut self, member: Member, at: Position, bytes: &mut [u8]) -> Result<(), ReadFailure> {
        match member {
            Member::First => self.first.read(at.segment, at.offset, bytes),
            Member::Second => self.second.read(at.segment, at.offset, bytes),
        }
    }

    /// Puts into `first` the better of the two copies of every stride.
    fn merge(
        &mut self,
        at: Position,
        first: &mut [u8],
        second: &[u8],
        had: &[Had; 2],
    ) -> Result<(), ReadFailure> {
        let stride = self.stride();
        let end = at.offset + first.len() as u64;
        let mut index = 0;
        while index * stride < first.len() {
            let from = index * stride;
            let place = Position { offset: at.offset + from as u64, ..at };
            if let Some(chosen) = self.chosen.filter(|chosen| chosen.to > place.offset)
                && !self.is_cut_short(
                    chosen,
                    place,
                    [&first[from..from + stride], &second[from..from + stride]],
                )
                && (chosen.is_whole || had.iter().any(|had| had.has(index)))
            {
                let to =
                    if chosen.is_whole { distance(at.offset, chosen.to.min(end)) } else { from + stride };
                if chosen.member == Member::Second {
                    first[from..to].copy_from_slice(&second[from..to]);
                }
                index = to / stride;
                continue;
            }
            let one = had[0].has(index).then_some(&first[from..]);
            let other = had[1].has(index).then_some(&second[from..]);
            if one.is_none() && other.is_none() {
                return Err(self.failure);
            }
            self.chosen = self.frame(place, one, other);
            if self.chosen.is_none() {
                let one = one.map(|bytes| &bytes[..stride]);
                let other = other.map(|bytes| &bytes[..stride]);
                if one != other && self.shows_more(place, one, other) == Member::Second {
                    first[from..from + stride].copy_from_slice(&second[from..from + stride]);
                }
                index += 1;
            }
        }
        Ok(())
    }

    /// Whether a frame that is whole on neither copy ends here, because the other copy shows a header.
    fn is_cut_short(&self, chosen: Chosen, place: Position, copies: [&[u8]; 2]) -> bool {
        let other = copies[chosen.member.other().index()];
        !chosen.is_whole && place.offset > chosen.from && self.header(place, other).is_some()
    }

    /// The frame that begins at `place`, and the copy that it is taken from; what the other copy lacks
    /// of a whole one is noted. The bytes may go on after the frame, or end before it does.
    fn frame(&mut self, place: Position, one: Option<&[u8]>, other: Option<&[u8]>) -> Option<Chosen> {
        let copies = [one, other];
        let headers = copies.map(|bytes| bytes.and_then(|bytes| self.header(place, bytes)));
        let longest = headers.iter().flatten().map(|parsed| parsed.frame_bytes).max()?;
        let chosen = |member, parsed: &ParsedHeader| {
            let (from, to) = (place.offset, place.offset + parsed.frame_bytes as u64);
            Chosen { member, from, to, is_whole: true }
        };
        if let ([Some(one), Some(other)], [Some(parsed), _]) = (copies, &headers)
            && one.len() >= longest
            && one[..longest] == other[..longest]
        {
            return Some(chosen(Member::First, parsed));
        }
        let mut whole = [None; 2];
        for member in Member::BOTH {
            let Some(parsed) = headers[member.index()] else { continue };
            let inside = copies[member.index()].and_then(|bytes| bytes.get(..parsed.frame_bytes));
            let is_whole = match inside {
                Some(bytes) => parsed.open(bytes, &self.expected.key).is_ok(),
                None => self.is_whole(member, place, &parsed),
            };
            whole[member.index()] = is_whole.then_some(parsed);
        }
        let member = match whole {
            [None, None] => {
                let first = headers[0].map(|parsed| chosen(Member::First, &parsed));
                let second = headers[1].map(|parsed| chosen(Member::Second, &parsed));
                return first.or(second).map(|torn| Chosen { is_whole: false, ..torn });
            }
            [Some(_), None] => Member::First,
            [None, Some(_)] => Member::Second,
            // Of two frames that were both written for this place the later one is the journal's.
            [Some(one), Some(other)] if other.header.epoch > one.header.epoch => Member::Second,
            [Some(_), Some(_)] => Member::First,
        };
        let frame = whole[member.index()]?;
        let chosen = chosen(member, &frame);
        if whole[member.other().index()].is_none_or(|twin| twin.hash != frame.hash) {
            let (segment, from, to) = (place.segment, place.offset, chosen.to);
            self.note(Repair { onto: member.other(), segment, from, to });
        }
        Some(chosen)
    }

    /// Whether this copy of a frame that goes on after what was read is whole.
    fn is_whole(&mut self, member: Member, place: Position, parsed: &ParsedHeader) -> bool {
        let mut frame = core::mem::take(&mut self.frame);
        frame.resize(parsed.frame_bytes, 0);
        let read = self.read_from(member, place, &mut frame).is_ok();
        let is_whole = read && parsed.open(&frame, &self.expected.key).is_ok();
        self.frame = frame;
        is_whole
    }

    /// The header of a frame of this ledger that was written for `place`.
    fn header(&self, place: Position, bytes: &[u8]) -> Option<ParsedHeader> {
        let Expected { geometry, ledger, key } = &self.expected;
        let parsed = FrameHeader::parse(bytes, key, *geometry).ok()?;
        (parsed.header.ledger == *ledger && parsed.header.position == place).then_some(parsed)
    }

    /// Of two strides that begin no whole frame: a header says more than other bytes, and bytes say
    /// more than zeros.
    fn shows_more(&self, place: Position, one: Option<&[u8]>, other: Option<&[u8]>) -> Member {
        let weight = |bytes: Option<&[u8]>| match bytes {
            None => 0,
            Some(bytes) if is_zero(bytes) => 1,
            Some(bytes) if self.header(place, bytes).is_none() => 2,
            Some(_) => 3,
        };
        if weight(other) > weight(one) { Member::Second } else { Member::First }
    }

    fn note(&mut self, repair: Repair) {
        let place = |repair: &Repair| (repair.onto, repair.segment);
        let covers = |known: &Repair| {
            place(known) == place(&repair) && known.from <= repair.from && repair.to <= known.to
        };
        // A frame may be read again, by the search or from another beginning.
        if self.repairs.iter().any(covers) {
            return;
        }
        match self.repairs.last_mut() {
            Some(last) if place(last) == place(&repair) && last.to == repair.from => last.to = repair.to,
            Some(_) | None => self.repairs.push(repair),
        }
    }
}

impl<A: SegmentSource, B: SegmentSource> SegmentSource for Mirrored<A, B> {
    fn segments(&self) -> &[SegmentFile] {
        &self.files
    }

    /// A read that does not go on where the last one ended begins where a frame may begin.
    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        let at = Position { segment, offset };
        if at != self.next {
            self.chosen = None;
        }
        let mut beside = core::mem::take(&mut self.beside);
        beside.resize(buffer.len(), 0);
        let had = [self.copy(Member::First, at, buffer), self.copy(Member::Second, at, &mut beside)];
        let merged = self.merge(at, buffer, &beside, &had);
        self.beside = beside;
        self.next = Position { segment, offset: offset + buffer.len() as u64 };
        merged
    }
}

/// Which strides of a read a copy gave.
#[derive(Debug)]
enum Had {
    /// So many from the beginning.
    First(usize),
    /// Those that are true.
    These(Vec<bool>),
}

impl Had {
    fn has(&self, index: usize) -> bool {
        match self {
            Self::First(count) => index < *count,
            Self::These(had) => had.get(index).copied().unwrap_or(false),
        }
    }
}

/// The segments of both, each as long as the longer copy is.
fn union(first: &[SegmentFile], second: &[SegmentFile]) -> Vec<SegmentFile> {
    let mut files: Vec<SegmentFile> = first.iter().chain(second).copied().collect();
    files.sort_unstable_by_key(|file| (file.segment, core::cmp::Reverse(file.bytes)));
    files.dedup_by_key(|file| file.segment);
    files
}

fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to - from).expect("a read is in memory")
}
