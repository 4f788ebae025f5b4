//! What lies behind the first frame that cannot be read: every frame that is still whole is found
//! again by its own header, so that one damage does not hide the next.
//!
//! Nothing here is audited: what the missing entries did is not known.

use journal::{
    FrameError, FrameHash, FrameHeader, FrameNumber, Geometry, HEADER_BYTES, ParsedHeader, Position,
    READ_BYTES, Rot, SegmentNumber, SegmentSource,
};
use model::Seq;
use serde::Serialize;

use super::{Finding, examiner::Examiner, files::Files, segments::Segments};

/// What was found behind the damage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Beyond {
    /// Frames that are whole and authentic.
    pub frames_whole: u64,
    /// Entries in them, not audited.
    pub entries: u64,
    /// Frames whose header is authentic and whose payload is damaged.
    pub frames_damaged: u64,
    /// Frames that must have been there and are not.
    pub frames_missing: u64,
}

/// The way through the strides behind the damage.
struct Search<'a> {
    files: &'a Files,
    rot: &'a Rot,
    examiner: &'a mut Examiner,
    beyond: Beyond,
    /// The last frame that was met, and its hash if that frame was read.
    last: (FrameNumber, Option<FrameHash>),
    buffer: Vec<u8>,
}

/// Goes through everything behind `rot`. Bytes that the device does not give up are findings.
pub(super) fn search(files: &Files, rot: &Rot, segments: &mut Segments, examiner: &mut Examiner) -> Beyond {
    let geometry = files.superblock.geometry;
    let buffer = vec![0; geometry.frame_bytes_max().max(READ_BYTES)];
    let (beyond, last) = (Beyond::default(), (rot.expected, None));
    let mut search = Search { files, rot, examiner, beyond, last, buffer };
    let there: Vec<_> =
        segments.segments().iter().copied().filter(|file| file.segment >= rot.at.segment).collect();
    for file in there {
        let from = if file.segment == rot.at.segment { rot.at.offset } else { 0 };
        let end = file.bytes.min(geometry.segment_bytes());
        search.segment(file.segment, from, end - end % u64::from(geometry.stride()), segments);
    }
    search.beyond
}

impl Search<'_> {
    fn segment(&mut self, segment: SegmentNumber, from: u64, end: u64, source: &mut Segments) {
        let geometry = self.files.superblock.geometry;
        let stride = u64::from(geometry.stride());
        let mut at = from;
        // Bytes `start..start + len` of the segment lie in the buffer.
        let (mut start, mut len) = (from, 0);
        while at < end {
            if at + HEADER_BYTES as u64 > start + len {
                (start, len) = (at, (end - at).min(READ_BYTES as u64));
                let place = Position { segment, offset: at };
                if !self.read(place, len, source) {
                    return;
                }
            }
            let inside = usize::try_from(at - start).expect("inside the buffer");
            let place = Position { segment, offset: at };
            let Some(parsed) = self.header(inside, place, geometry) else {
                at += stride;
                continue;
            };
            let bytes = parsed.frame_bytes as u64;
            if at + bytes > end {
                at += stride;
                continue;
            }
            if at + bytes > start + len {
                (start, len) = (at, bytes);
                if !self.read(place, len, source) {
                    return;
                }
            }
            self.frame(&parsed, usize::try_from(at - start).expect("inside the buffer"));
            at += bytes;
        }
    }

    fn read(&mut self, at: Position, len: u64, source: &mut Segments) -> bool {
        let len = usize::try_from(len).expect("at most a frame or one read");
        let read = source.read(at.segment, at.offset, &mut self.buffer[..len]);
        if let Err(failure) = read {
            let what = format!("the device does not give up the bytes here ({failure:?})");
            self.examiner.found(Finding::of_frame(at, self.last.0, what));
        }
        read.is_ok()
    }

    /// The header here, if it is one of this ledger, written for this place, of a later frame.
    fn header(&mut self, inside: usize, place: Position, geometry: Geometry) -> Option<ParsedHeader> {
        let superblock = &self.files.superblock;
        let parsed = match FrameHeader::parse(&self.buffer[inside..], &self.files.key, geometry) {
            Ok(parsed) => parsed,
            Err(FrameError::Header) if place != self.rot.at => {
                let what = "a frame's header is damaged: its hash does not match";
                self.examiner.found(Finding::of_frame(place, FrameNumber::ZERO, what));
                return None;
            }
            Err(_) => return None,
        };
        let header = &parsed.header;
        let ours = header.ledger == superblock.ledger && header.position == place;
        (ours && header.frame >= self.rot.expected && header.incarnation <= superblock.incarnation)
            .then_some(parsed)
    }

    fn frame(&mut self, parsed: &ParsedHeader, inside: usize) {
        let header = &parsed.header;
        let (last, hash) = self.last;
        if header.frame > FrameNumber(last.0 + 1) {
            let missing = header.frame.0 - last.0 - 1;
            self.beyond.frames_missing += missing;
            let what = format!("frames {} to {} are not there", last.0 + 1, header.frame.0 - 1);
            self.examiner
                .found(Finding::of_frame(header.position, header.frame, what).at_seq(header.first_seq));
        } else if hash.is_some_and(|hash| hash != header.previous) {
            let what = "the frame does not chain to the one before it";
            self.examiner
                .found(Finding::of_frame(header.position, header.frame, what).at_seq(header.first_seq));
        }
        let whole = parsed.open(&self.buffer[inside..], &self.files.key);
        match whole {
            Ok(frame) => {
                self.beyond.frames_whole += 1;
                self.beyond.entries += u64::from(frame.header.count);
                if frame.padding.iter().any(|byte| *byte != 0) {
                    let what = "the bytes between the payload and the frame's end are not zero";
                    self.examiner.found(Finding::of_frame(header.position, header.frame, what));
                }
            }
            Err(error) => {
                self.beyond.frames_damaged += 1;
                // The first one has been told as the place where the journal stops.
                if header.position != self.rot.at {
                    let last: Seq = header.last_seq();
                    let what = format!("entries {} to {last} cannot be read: {error}", header.first_seq);
                    let finding = Finding::of_frame(header.position, header.frame, what);
                    self.examiner.found(finding.at_seq(header.first_seq));
                }
            }
        }
        self.last = (header.frame, Some(parsed.hash));
    }
}
