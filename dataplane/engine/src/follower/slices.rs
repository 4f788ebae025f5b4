//! Stored slices, a page at a time: what shards take up at start.
//!
//! Holds: a stream's last slice is always among them, however old, and what comes after the first
//! slice of a stream that is given out follows without a gap. Frames without slices are not read,
//! unless the index is not there.

use journal::{FrameHeader, FrameNumber, Position, SegmentNumber};
use ledger::FrameRow;
use model::{BatchView, RecordRef, Seq, Timestamp};
use wire::{SLICE_PAGE_BYTES, SlicePage};

use super::{FollowError, Follower};
use crate::derived::DerivedError;

/// Frames with slices that are read together.
const ROWS: usize = 256;
/// Rows of the index that one page looks at: between two slices may lie a day of payments.
const LOOKED_AT: u64 = 1 << 17;
/// Bytes that are read at once where frames with slices lie close together.
const CHUNK_BYTES: u64 = 1 << 20;

/// A stretch of a segment in memory.
#[derive(Default)]
struct Chunk {
    place: Position,
    bytes: Vec<u8>,
}

impl Follower {
    /// The slices after `after` of frames of `since` or later, and before them the last one of each
    /// stream that has none there.
    pub(super) fn slices(&mut self, after: Seq, since: Timestamp) -> Result<SlicePage, FollowError> {
        let mut lasts: Vec<Seq> = self.replay.ledger.streams().map(|stream| stream.seq).collect();
        lasts.retain(|seq| *seq > after);
        lasts.sort_unstable();
        let mut page = SlicePage::default();
        if lasts.is_empty() {
            return Ok(page);
        }
        if !self.replay.derived.is_there() {
            self.scan_slices(after, since, &lasts, &mut page)?;
            return Ok(page);
        }
        let index = self.replay.derived.index()?;
        let first = index.first_at(since).map_err(DerivedError::from)?;
        let resumed = index.find(after).map_err(DerivedError::from)?.map_or(0, |(number, _)| number);
        let (mut bytes, mut chunk, from) = (0, Chunk::default(), first.max(resumed));
        for seq in lasts {
            let found = self.replay.derived.index()?.find(seq).map_err(DerivedError::from)?;
            let Some((_, row)) = found.filter(|(_, row)| row.at < since) else { continue };
            bytes += self.take_slices(&row, None, &mut chunk, &mut page, |found| found == seq)?;
            if bytes >= SLICE_PAGE_BYTES {
                page.next = Some(seq);
                return Ok(page);
            }
        }
        let index = self.replay.derived.index()?;
        let (rows, last) = index.with_slices(from, LOOKED_AT, ROWS).map_err(DerivedError::from)?;
        for (at, row) in rows.iter().enumerate() {
            bytes += self.take_slices(row, rows.get(at + 1), &mut chunk, &mut page, |found| found > after)?;
            if bytes >= SLICE_PAGE_BYTES {
                page.next = Some(row.last_seq());
                return Ok(page);
            }
        }
        page.next = last.map(|row| row.last_seq());
        Ok(page)
    }

    /// The same without an index, frame by frame from the beginning of the journal.
    fn scan_slices(
        &mut self,
        after: Seq,
        since: Timestamp,
        lasts: &[Seq],
        page: &mut SlicePage,
    ) -> Result<(), FollowError> {
        let (mut place, mut bytes, mut expected) = (Position::default(), 0, None::<FrameNumber>);
        let Some(end) = self.replay.last.map(|last| last.position) else { return Ok(()) };
        while place <= end {
            let read = if place.offset < self.geometry().segment_bytes() {
                self.read_frame(place).ok()
            } else {
                None
            };
            let Some(frame) = read else {
                if place.segment == end.segment {
                    let detail = "the frame does not read".into();
                    return Err(FollowError::Missing { frame: 0, position: place, detail });
                }
                place = Position { segment: place.segment.next(), offset: 0 };
                continue;
            };
            let parsed = FrameHeader::parse(&frame, &self.key, self.geometry());
            let parsed = parsed.expect("its length was read from the same header");
            let header = parsed.header;
            if expected.is_some_and(|expected| expected != header.frame) {
                let detail = format!("the next frame that reads is {}", header.frame.0);
                let frame = expected.map_or(0, |expected| expected.0);
                return Err(FollowError::Missing { frame, position: place, detail });
            }
            expected = Some(header.frame.next());
            if header.count > 0 && header.last_seq() > after {
                let young = header.at >= since;
                let wanted = |seq: Seq| seq > after && (young || lasts.binary_search(&seq).is_ok());
                let whole = frame.get(..parsed.frame_bytes).expect("the whole frame was read");
                bytes += self.take_of(whole, place, page, wanted)?;
                if bytes >= SLICE_PAGE_BYTES {
                    page.next = Some(header.last_seq());
                    return Ok(());
                }
            }
            place.offset += u64::try_from(parsed.frame_bytes).expect("a length fits");
        }
        Ok(())
    }

    /// Adds the wanted slices of one frame; says how many bytes their bodies have. `next` is the
    /// frame that is wanted after it, if that is known.
    fn take_slices(
        &mut self,
        row: &FrameRow,
        next: Option<&FrameRow>,
        chunk: &mut Chunk,
        page: &mut SlicePage,
        wanted: impl Fn(Seq) -> bool,
    ) -> Result<usize, FollowError> {
        let place = Position { segment: SegmentNumber(row.segment), offset: row.offset };
        if self.frame_in(chunk, place).is_none() && !self.read_chunk(row, next, chunk) {
            *chunk = Chunk { place, bytes: self.read_frame(place)? };
        }
        let detail = "the header does not parse".into();
        let missing = FollowError::Missing { frame: 0, position: place, detail };
        let bytes = self.frame_in(chunk, place).ok_or(missing)?;
        self.take_of(bytes, place, page, wanted)
    }

    fn take_of(
        &self,
        frame: &[u8],
        position: Position,
        page: &mut SlicePage,
        wanted: impl Fn(Seq) -> bool,
    ) -> Result<usize, FollowError> {
        let missing = |detail: String| FollowError::Missing { frame: 0, position, detail };
        let frame =
            journal::open(frame, &self.key, self.geometry()).map_err(|error| missing(error.to_string()))?;
        let batch = BatchView::parse(frame.payload).map_err(|error| missing(error.to_string()))?;
        let mut taken = 0;
        for record in batch.iter() {
            let record = record.map_err(|error| missing(error.to_string()))?;
            if let RecordRef::Slice(slice, body) = record
                && wanted(slice.head.seq)
            {
                taken += body.len();
                page.slices.push((slice, body.to_vec()));
            }
        }
        Ok(taken)
    }

    /// The whole frame at `place`, if the chunk has it.
    fn frame_in<'a>(&self, chunk: &'a Chunk, place: Position) -> Option<&'a [u8]> {
        let start = place.offset.checked_sub(chunk.place.offset)?;
        let rest = chunk.bytes.get(usize::try_from(start).ok()?..)?;
        if chunk.place.segment != place.segment {
            return None;
        }
        let parsed = FrameHeader::parse(rest, &self.key, self.geometry()).ok()?;
        if parsed.header.position != place {
            return None;
        }
        rest.get(..parsed.frame_bytes)
    }

    /// Reads the frame and what follows it, if the next one lies near; false if not, or if the chunk
    /// does not hold all of the frame: then it is read by itself.
    fn read_chunk(&mut self, row: &FrameRow, next: Option<&FrameRow>, chunk: &mut Chunk) -> bool {
        let near = |next: &FrameRow| {
            next.segment == row.segment && next.offset.saturating_sub(row.offset) < CHUNK_BYTES / 2
        };
        if !next.is_some_and(near) {
            return false;
        }
        let place = Position { segment: SegmentNumber(row.segment), offset: row.offset };
        let len = CHUNK_BYTES.min(self.geometry().segment_bytes() - row.offset);
        chunk.bytes.resize(usize::try_from(len).expect("a small length"), 0);
        chunk.place = place;
        let read = self.segments.read_at(place.segment, place.offset, &mut chunk.bytes);
        if read.is_err() {
            // The frame by itself tells what is wrong.
            chunk.bytes.clear();
        }
        self.frame_in(chunk, place).is_some()
    }
}
