//! Every promise that was made, and whether what came back keeps them.

use std::{collections::HashMap, fmt};

use journal::{Cut, Frame, FrameHash, FrameNumber, HEADER_BYTES, Position, Rot, Slot, Tail, Witness};

use crate::{
    disk::{BLOCK_BYTES, Disk, FileName},
    store::Reopened,
};

/// A frame as it was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedFrame {
    /// Its number.
    pub frame: FrameNumber,
    /// Its hash.
    pub hash: FrameHash,
    /// Where it was to lie.
    pub position: Position,
    /// Bytes on disk.
    pub bytes: usize,
    /// The last frame that it says was durable.
    pub claims: FrameNumber,
    /// Its last entry.
    pub last_seq: u64,
    /// Leaves of the tree it names.
    pub tree_size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
    /// A digest of its payload.
    pub digest: [u8; 32],
}

impl SealedFrame {
    /// What there is to remember of a frame.
    #[must_use]
    pub fn of(frame: &Frame<'_>) -> Self {
        Self {
            frame: frame.header.frame,
            hash: frame.hash,
            position: frame.header.position,
            bytes: frame.frame_bytes,
            claims: frame.header.durable_frame,
            last_seq: frame.header.last_seq().0,
            tree_size: frame.header.tree_size,
            root: frame.header.root,
            digest: digest(frame.payload),
        }
    }
}

/// A digest of a payload, independent of the journal's.
#[must_use]
pub fn digest(payload: &[u8]) -> [u8; 32] {
    *blake3::hash(payload).as_bytes()
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A frame that was answered for, or shown to a reader, is gone, and nothing says so.
    Lost(FrameNumber),
    /// Another frame lies in the place of one that was answered for.
    Changed(FrameNumber),
    /// A frame came back that nobody sealed.
    Invented(FrameNumber),
    /// The journal was called rotten though nothing was damaged.
    FalseRot(Rot),
    /// Bytes were cut that no frame in flight had left there.
    FalseCut(Position),
    /// The wrong frame was named as the damaged one.
    WrongFrame {
        /// The damaged one.
        damaged: FrameNumber,
        /// The verdict.
        rot: Rot,
    },
    /// Recovery ended otherwise than it must.
    Recovery(String),
    /// What was replayed is not what was written, by the content's own books.
    Content(String),
    /// The marks of the committer are not where the promises are.
    Frontier(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Violation {}

/// What a start must come to, by the bytes on the disk and what was promised of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// All that was promised is there.
    Whole,
    /// Something promised is damaged, something says that it was durable, and the verdict is rot.
    Rot,
    /// Something promised is damaged and nobody knows that it was durable: it is cut, as the docs say
    /// it may be.
    Uncovered,
}

/// What a start had to go by.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// The last frame of the checkpoint that it began with; zero for the beginning.
    pub base: FrameNumber,
    /// The last frame that the header of any checkpoint names.
    pub known: FrameNumber,
    /// Whether bytes at rest may have been damaged at all.
    pub harmed: bool,
}

/// The memory of one world.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    sealed: HashMap<FrameHash, (SealedFrame, Box<[u8]>)>,
    /// The frames that were answered for or shown, in order: number one first.
    promised: Vec<FrameHash>,
    /// Leaves of the newest root that was published.
    published: u64,
}

impl Oracle {
    /// A frame was sealed. `bytes` are header and payload.
    pub fn seal(&mut self, frame: SealedFrame, bytes: &[u8]) {
        let before = self.sealed.insert(frame.hash, (frame, bytes.into()));
        assert!(before.is_none(), "no two frames have one hash");
    }

    /// The frame's answers leave.
    ///
    /// # Errors
    /// `Frontier` if it is not the next to be answered for.
    pub fn promise(&mut self, hash: FrameHash) -> Result<(), Violation> {
        let number = self.sealed(hash).frame.0;
        if number != self.promised.len() as u64 + 1 {
            let promised = self.promised.len();
            return Err(Violation::Frontier(format!("frame {number} released after {promised}")));
        }
        self.promised.push(hash);
        Ok(())
    }

    /// A root over so many leaves is signed and given out.
    ///
    /// # Errors
    /// `Frontier` if it covers an entry that was not answered for.
    pub fn publish(&mut self, tree_size: u64) -> Result<(), Violation> {
        let durable = self.promised.last().map_or(0, |hash| self.sealed(*hash).last_seq);
        if tree_size > durable {
            return Err(Violation::Frontier(format!("root of {tree_size} leaves, durable {durable}")));
        }
        self.published = self.published.max(tree_size);
        Ok(())
    }

    /// How many frames were promised.
    #[must_use]
    pub fn promised(&self) -> FrameNumber {
        FrameNumber(self.promised.len() as u64)
    }

    /// The promised frame with this number.
    #[must_use]
    pub fn promised_frame(&self, number: FrameNumber) -> SealedFrame {
        let index = usize::try_from(number.0 - 1).expect("a small journal");
        self.sealed(self.promised[index])
    }

    /// Compares what came back, from the first frame on, with what was promised; `whole` says that
    /// nothing may be missing.
    ///
    /// # Errors
    /// `Lost`, `Changed`, `Invented`.
    pub fn compare(&self, recovered: &[SealedFrame], whole: bool) -> Result<(), Violation> {
        self.compare_after(FrameNumber::ZERO, recovered, whole)
    }

    /// As `compare`, of the frames after `base`.
    fn compare_after(
        &self,
        base: FrameNumber,
        recovered: &[SealedFrame],
        whole: bool,
    ) -> Result<(), Violation> {
        let base = usize::try_from(base.0).expect("a small journal");
        for (index, frame) in (base..).zip(recovered) {
            let number = FrameNumber(index as u64 + 1);
            let sealed = self.sealed.get(&frame.hash).map(|(sealed, _)| sealed);
            if sealed != Some(frame) || frame.frame != number {
                return Err(Violation::Invented(number));
            }
            if self.promised.get(index).is_some_and(|hash| *hash != frame.hash) {
                return Err(Violation::Changed(number));
            }
        }
        let found = base + recovered.len();
        if whole && found < self.promised.len() {
            return Err(Violation::Lost(FrameNumber(found as u64 + 1)));
        }
        Ok(())
    }

    /// Whether a start came to what the bytes on the disk ask for, and to what.
    ///
    /// # Errors
    /// The promise that is not kept.
    pub fn judge(&self, disk: &Disk, reopened: &Reopened, by: Evidence) -> Result<Judged, Violation> {
        let rot = match &reopened.recovered.tail {
            Tail::Rot(rot) => Some(*rot),
            Tail::Clean | Tail::Torn(_) => None,
        };
        let frames = &reopened.frames;
        // Both copies of the slot gone, of which one at least was damaged at rest.
        if let Some(Rot { witness: Witness::SlotLost, .. }) = rot
            && by.harmed
        {
            return self.compare_after(by.base, frames, false).map(|()| Judged::Rot);
        }
        let Some(gone) = self.first_gone(disk, by.base) else {
            return match rot {
                Some(rot) => Err(Violation::FalseRot(rot)),
                None => self.compare_after(by.base, frames, true).map(|()| Judged::Whole),
            };
        };
        if !by.harmed {
            return Err(Violation::Lost(gone));
        }
        self.compare_after(by.base, frames, false)?;
        let known = self.is_known(disk, gone, reopened.slot.as_ref(), by.known);
        match rot {
            Some(rot) if rot.expected != gone => Err(Violation::WrongFrame { damaged: gone, rot }),
            Some(rot) if !known => Err(Violation::FalseRot(rot)),
            Some(_) => Ok(Judged::Rot),
            None if by.base.0 + frames.len() as u64 + 1 != gone.0 || known => Err(Violation::Lost(gone)),
            None if self.published > self.last_seq_before(gone) => Err(Violation::Lost(gone)),
            None => Ok(Judged::Uncovered),
        }
    }

    /// The first promised frame after `base` whose bytes are not where they were put.
    fn first_gone(&self, disk: &Disk, base: FrameNumber) -> Option<FrameNumber> {
        let base = usize::try_from(base.0).expect("a small journal");
        let rest = self.promised.iter().skip(base);
        let gone = rest.map(|hash| &self.sealed[hash]).find(|(frame, bytes)| !lies(disk, frame, bytes));
        gone.map(|(frame, _)| frame.frame)
    }

    /// Whether anything on the disk says that this frame was durable.
    fn is_known(&self, disk: &Disk, gone: FrameNumber, slot: Option<&Slot>, known: FrameNumber) -> bool {
        let later = |(frame, bytes): &(SealedFrame, Box<[u8]>)| {
            frame.frame > gone && frame.claims >= gone && lies(disk, frame, &bytes[..HEADER_BYTES])
        };
        slot.is_some_and(|slot| slot.frame >= gone) || known >= gone || self.sealed.values().any(later)
    }

    fn last_seq_before(&self, frame: FrameNumber) -> u64 {
        if frame.0 <= 1 { 0 } else { self.promised_frame(FrameNumber(frame.0 - 1)).last_seq }
    }

    /// Whether every block of the cut that is not zero is a frame's that was sealed and not promised.
    ///
    /// # Errors
    /// `FalseCut` with the first that is not.
    pub fn check_cut(&self, disk: &Disk, cut: &Cut) -> Result<(), Violation> {
        for range in &cut.ranges {
            let name = FileName::Segment(range.segment.0);
            let blocks = (range.from..range.to).step_by(BLOCK_BYTES);
            for offset in blocks {
                let from = usize::try_from(offset).expect("a small segment");
                let is_zero = disk.view(name)[from..from + BLOCK_BYTES].iter().all(|byte| *byte == 0);
                let place = Position { segment: range.segment, offset };
                if !is_zero && !self.sealed.values().any(|(frame, _)| covers(frame, place)) {
                    return Err(Violation::FalseCut(place));
                }
            }
        }
        Ok(())
    }

    /// What was recovered after `base` is shown to readers from now on.
    pub fn expose(&mut self, base: FrameNumber, recovered: &[SealedFrame]) {
        self.promised.truncate(usize::try_from(base.0).expect("a small journal"));
        self.promised.extend(recovered.iter().map(|frame| frame.hash));
    }

    fn sealed(&self, hash: FrameHash) -> SealedFrame {
        self.sealed.get(&hash).expect("what is promised was sealed").0
    }
}

/// Whether these bytes lie where the frame was put.
fn lies(disk: &Disk, frame: &SealedFrame, bytes: &[u8]) -> bool {
    let name = FileName::Segment(frame.position.segment.0);
    let from = usize::try_from(frame.position.offset).expect("a small segment");
    disk.len(name).is_some() && disk.view(name).get(from..from + bytes.len()) == Some(bytes)
}

fn covers(frame: &SealedFrame, place: Position) -> bool {
    let from = frame.position.offset;
    frame.position.segment == place.segment && (from..from + frame.bytes as u64).contains(&place.offset)
}
