//! The search after the first bad frame: every stride of its segment and of all that follow.

use alloc::vec::Vec;

use model::Epoch;

use super::{BadFrame, Cut, CutRange, Input, LastFrame, RecoveryError, SegmentSource, window::Window};
use crate::{FrameError, FrameHeader, FrameNumber, Position, SegmentNumber, fields::is_zero};

/// What lies after the last frame.
pub(super) struct Search {
    /// A header that knows the missing frame to have been durable: where, and the highest claim.
    pub(super) witness: Option<(Position, FrameNumber)>,
    /// What is not zero.
    pub(super) cut: Option<Cut>,
    /// The highest epoch of any authentic header.
    pub(super) epoch_max: Epoch,
    headers: u32,
    ranges: Vec<CutRange>,
}

impl Search {
    pub(super) fn run<S: SegmentSource, E>(
        input: &Input<'_>,
        last: &LastFrame,
        from: Position,
        source: &mut S,
        window: &mut Window<'_>,
    ) -> Result<Self, RecoveryError<E>> {
        let mut search =
            Self { witness: None, cut: None, epoch_max: Epoch(0), headers: 0, ranges: Vec::new() };
        for segment in window.segments_from(from.segment) {
            let mut offset = if segment == from.segment { from.offset } else { 0 };
            let end = window.segment_bytes(segment);
            while offset < end {
                let place = Position { segment, offset };
                let bytes = window.bytes(source, place, input.geometry.stride_len())?;
                search.strides(input, last, place, bytes);
                offset += bytes.len() as u64;
            }
        }
        let bytes = search.ranges.iter().map(|range| range.to - range.from).sum();
        if bytes > 0 {
            let ranges = core::mem::take(&mut search.ranges);
            let bad = BadFrame::Frame(FrameError::Empty);
            search.cut = Some(Cut { bad, ranges, bytes, headers: search.headers });
        }
        Ok(search)
    }

    fn strides(&mut self, input: &Input<'_>, last: &LastFrame, place: Position, bytes: &[u8]) {
        let stride = input.geometry.stride_len();
        for (index, bytes) in bytes.chunks_exact(stride).enumerate() {
            if is_zero(bytes) {
                continue;
            }
            let place = Position { offset: place.offset + (index * stride) as u64, ..place };
            self.note(place.segment, place.offset, stride as u64);
            if let Ok(parsed) = FrameHeader::parse(bytes, input.key, input.geometry) {
                self.header(input, last, place, &parsed.header);
            }
        }
    }

    fn note(&mut self, segment: SegmentNumber, offset: u64, stride: u64) {
        match self.ranges.last_mut() {
            Some(range) if range.segment == segment => range.to = offset + stride,
            Some(_) | None => self.ranges.push(CutRange { segment, from: offset, to: offset + stride }),
        }
    }

    /// A header counts as a witness if it is this ledger's, in its own place, of this incarnation,
    /// of no older epoch than the last frame, and after it. Its payload may be torn: what it
    /// says of the frontier was true when it was written.
    fn header(&mut self, input: &Input<'_>, last: &LastFrame, place: Position, header: &FrameHeader) {
        if header.ledger != input.ledger || header.position != place {
            return;
        }
        self.headers += 1;
        self.epoch_max = self.epoch_max.max(header.epoch);
        let later = header.frame > last.frame && header.first_seq > last.seq;
        if header.incarnation != input.incarnation || header.epoch < last.epoch || !later {
            return;
        }
        let known = self.witness.map_or(last.frame, |(_, claimed)| claimed);
        if header.durable_frame > known {
            self.witness = Some((place, header.durable_frame));
        }
    }
}
