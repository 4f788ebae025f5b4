//! `Forged`: a source of segments that hands out frames as a recovery would see them that leaves out
//! a check, for flaws that lie inside a function: a header that the check would refuse is given what
//! the check wants to see, and is sealed again.
//!
//! Holds: a frame that passes every check is handed out as it lies. Leaves to others: whether what is
//! then taken was ever promised (`Oracle`).

use journal::{
    FrameHash, FrameHeader, Geometry, ReadFailure, SegmentFile, SegmentNumber, SegmentSource, open, seal,
};
use model::Epoch;

use crate::{flaw::Flaw, store};

/// A source whose frames pass the checks that the flaw leaves out.
#[derive(Debug)]
pub struct Forged<S> {
    source: S,
    flaw: Flaw,
    geometry: Geometry,
    last: Option<Last>,
}

/// The last frame of the chain, as it was handed out.
#[derive(Clone, Copy, Debug)]
struct Last {
    header: FrameHeader,
    hash: FrameHash,
}

impl<S: SegmentSource> Forged<S> {
    /// Hands out what `source` has.
    pub const fn new(source: S, flaw: Flaw, geometry: Geometry) -> Self {
        Self { source, flaw, geometry, last: None }
    }

    /// Forges the frames in `bytes`, which are a whole segment: the simulated ones are read at once.
    fn forge(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            at += self.frame(&mut bytes[at..]).unwrap_or_else(|| self.geometry.stride_len());
        }
    }

    /// Forges the frame at the front, if one lies there that would come next: its length.
    fn frame(&mut self, bytes: &mut [u8]) -> Option<usize> {
        let frame = open(bytes, store::key(), self.geometry).ok()?;
        let (mut header, mut hash, len) = (frame.header, frame.hash, frame.frame_bytes);
        let (number, seq, previous, epoch) = match self.last {
            Some(Last { header, hash }) => (header.frame.0 + 1, header.last_seq().0 + 1, hash, header.epoch),
            None => (1, 1, FrameHash::GENESIS, Epoch(0)),
        };
        if header.frame.0 != number || header.first_seq.0 != seq {
            return Some(len);
        }
        let lies = header;
        if self.flaw.forges_chain() {
            header.previous = previous;
        }
        if self.flaw.forges_epoch() {
            header.epoch = header.epoch.max(epoch);
        }
        if header.previous != previous || header.epoch < epoch {
            return Some(len);
        }
        if header != lies {
            hash = seal(&header, store::key(), self.geometry, bytes).hash;
        }
        self.last = Some(Last { header, hash });
        Some(len)
    }
}

impl<S: SegmentSource> SegmentSource for Forged<S> {
    fn segments(&self) -> &[SegmentFile] {
        self.source.segments()
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        self.source.read(segment, offset, buffer)?;
        if self.flaw.forges_chain() || self.flaw.forges_epoch() {
            self.forge(buffer);
        }
        Ok(())
    }
}
