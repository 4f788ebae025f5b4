//! The simulated preparer: fills the next segments with zeros, a step at a time, on a disk that may
//! be full and may fail.
//!
//! Holds: a segment is told as prepared when its zeros, its length and its name are durable; what
//! failed is done again from where it was last told. Leaves to others: which segment is needed when.

use std::collections::VecDeque;

use journal::{Geometry, Position, SegmentNumber};

use crate::{
    disk::{BLOCK_BYTES, Disk, FileName},
    flaw::Flaw,
    random::Random,
};

/// What of a segment is told as prepared.
pub type Prepared = (SegmentNumber, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The file is there, or is to be made.
    Open,
    /// Zeros up to the end of the part in hand lie in the cache.
    Zeroed,
    /// They are durable, and so is the file's length.
    Flushed,
}

/// Segments that were asked for.
#[derive(Debug)]
pub struct Preparer {
    wanted: VecDeque<SegmentNumber>,
    geometry: Geometry,
    resume: Position,
    flaw: Flaw,
    stage: Stage,
    /// Bytes of the oldest segment asked for that were told; `None` if it was not begun.
    told: Option<usize>,
    /// Where the part in hand ends.
    end: usize,
}

impl Preparer {
    /// The segment of `resume` is filled from there, every later one whole.
    #[must_use]
    pub const fn new(geometry: Geometry, resume: Position, flaw: Flaw) -> Self {
        let wanted = VecDeque::new();
        Self { wanted, geometry, resume, flaw, stage: Stage::Open, told: None, end: 0 }
    }

    /// Asks for a segment.
    pub fn want(&mut self, segment: SegmentNumber) {
        self.wanted.push_back(segment);
    }

    /// The oldest segment asked for is ready at once, and durable.
    pub fn finish(&mut self, disk: &mut Disk) -> Option<Prepared> {
        let segment = self.wanted.pop_front()?;
        let (name, bytes) = (FileName::Segment(segment.0), self.segment_bytes());
        if disk.len(name).is_none() {
            disk.create(name, bytes);
        }
        disk.extend(name, bytes).expect("nobody said that the disk is full");
        disk.flush(name);
        disk.sync_names();
        (self.stage, self.told) = (Stage::Open, None);
        Some((segment, bytes as u64))
    }

    /// The next step. A part that is ready is told.
    pub fn step(&mut self, disk: &mut Disk, random: &mut Random) -> Option<Prepared> {
        let segment = *self.wanted.front()?;
        let name = FileName::Segment(segment.0);
        match self.stage {
            Stage::Open => self.zero(segment, disk, random),
            Stage::Zeroed if random.one_in(40) => {
                disk.fail_flush(name, random);
                self.stage = Stage::Open;
                None
            }
            Stage::Zeroed => {
                disk.flush(name);
                self.stage = Stage::Flushed;
                None
            }
            Stage::Flushed => {
                if self.flaw != Flaw::DirectoryUnsynced {
                    disk.sync_names();
                }
                self.tell(segment)
            }
        }
    }

    fn zero(&mut self, segment: SegmentNumber, disk: &mut Disk, random: &mut Random) -> Option<Prepared> {
        let (name, bytes) = (FileName::Segment(segment.0), self.segment_bytes());
        if disk.len(name).is_none() {
            disk.put(name, self.first_bytes(disk));
        }
        let resumed = if segment == self.resume.segment { self.resume.offset } else { 0 };
        let resumed = usize::try_from(resumed).expect("a small segment");
        let from = *self.told.get_or_insert(resumed);
        // In two parts, so that the first can be used while the second is not there yet.
        let half = bytes / 2 / self.geometry.stride_len() * self.geometry.stride_len();
        self.end = if from < half && random.one_in(2) { half } else { bytes };
        let room = disk.extend(name, self.end).is_ok();
        let end = self.end.min(disk.view(name).len());
        if self.flaw == Flaw::ZerosLate && room && !self.wanted.is_empty() && from == resumed {
            // Told now, and zeroed with the next part, when frames may lie there already.
            disk.flush(name);
            disk.sync_names();
            self.told = Some(resumed + 1);
            return Some((segment, self.end as u64));
        }
        let from = from / BLOCK_BYTES * BLOCK_BYTES;
        if self.flaw != Flaw::SegmentReused {
            disk.write_cached(name, from, &vec![0; end - from]);
        }
        if room {
            self.stage = Stage::Zeroed;
        }
        None
    }

    /// A new file is empty, but for the flaw that makes it of an old one.
    fn first_bytes(&self, disk: &Disk) -> Vec<u8> {
        let old = FileName::Segment(0);
        let reused = self.flaw == Flaw::SegmentReused && disk.len(old).is_some();
        if reused { disk.view(old).to_vec() } else { Vec::new() }
    }

    fn tell(&mut self, segment: SegmentNumber) -> Option<Prepared> {
        (self.stage, self.told) = (Stage::Open, Some(self.end));
        if self.end == self.segment_bytes() {
            self.wanted.pop_front();
            self.told = None;
        }
        Some((segment, self.end as u64))
    }

    fn segment_bytes(&self) -> usize {
        usize::try_from(self.geometry.segment_bytes()).expect("a small segment")
    }
}
