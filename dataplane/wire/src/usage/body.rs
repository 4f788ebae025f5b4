//! `SliceBody`: the canonical bytes of a sealed slice, read in place and written once.
//!
//! Holds: a body that decodes is canonical (rows and ranges strictly ascending, nothing left
//! over), so equal content has equal bytes and one digest. The layout is in
//! `docs/format-usage.md`.

use model::{
    Text,
    limits::{SLICE_BODY_BYTES_MAX, SLICE_ROWS_MAX},
};

use super::{
    FrameError, SLICE_RANGES_MAX, Totals,
    reader::{Reader, put_text, put_totals},
};

/// The version of the body that this build writes and reads. 0: it may still change.
pub const BODY_VERSION: u16 = 0;

const TEXT_BYTES: usize = 1 + model::limits::TEXT_BYTES_MAX;
const RANGE_BYTES: usize = 16 + 4 * 8;
const TOTALS_BYTES: usize = 3 * 16;

/// Bytes of the largest body with so many ranges and rows.
pub(crate) const fn bytes_max(ranges: usize, rows: usize) -> usize {
    2 + 8
        + 8
        + 4
        + 32
        + 2 * TEXT_BYTES
        + 4
        + 4
        + ranges * RANGE_BYTES
        + rows * (4 * TEXT_BYTES + TOTALS_BYTES)
}

/// Why bytes are not the body of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// A field cannot be read.
    #[error("{0}")]
    Field(#[from] FrameError),
    /// A version that this build does not know.
    #[error("version {0} of a slice's body is not known")]
    Version(u16),
    /// More bytes, rows or ranges than a slice may have.
    #[error("the body is too large")]
    TooLarge,
    /// No tenant, no stream, no number, or a window of no length.
    #[error("the body has no identity")]
    Identity,
    /// Rows or ranges that are not strictly ascending.
    #[error("rows or ranges are out of order (row or range {0})")]
    Order(usize),
    /// A range that ends before it begins, or is complete through less than its end.
    #[error("range {0} is empty or contradicts itself")]
    Range(usize),
    /// A total passes 128 bits.
    #[error("the totals overflow")]
    Overflow,
}

/// What a body says before its ranges and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceHeader {
    /// Whose usage.
    pub tenant: Text,
    /// The stream's name.
    pub stream: Text,
    /// Its number in the stream, from 1.
    pub number: u64,
    /// Start of its window, milliseconds since 1970.
    pub window_start_millis: u64,
    /// Length of its window in milliseconds.
    pub window_millis: u32,
    /// BLAKE3 of the body before it in the stream, zero for the first.
    pub previous: [u8; 32],
}

/// Batches of one producer whose records of this tenant are in this slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProducerRange {
    /// Which producer.
    pub producer: [u8; 16],
    /// Which start of it.
    pub epoch: u64,
    /// The first batch.
    pub from: u64,
    /// The last batch. Batches between had no records of this tenant, or they are in here.
    pub to: u64,
    /// Every batch up to this one whose records of this tenant were counted is in this slice or
    /// in an earlier one of the stream. May be less than `to` (another window is open), or more.
    pub through: u64,
}

/// One row, in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceRow<'a> {
    /// Method, route, service, region.
    pub labels: [&'a str; 4],
    /// What was counted.
    pub totals: Totals,
}

/// A body that has been checked, in place.
#[derive(Clone, Copy, Debug)]
pub struct SliceBody<'a> {
    /// What it says before its ranges and rows.
    pub header: SliceHeader,
    /// The sums of its rows.
    pub totals: Totals,
    ranges: Reader<'a>,
    range_count: usize,
    rows: Reader<'a>,
    row_count: usize,
}

impl<'a> SliceBody<'a> {
    /// Checks and reads a body.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, BodyError> {
        if bytes.len() > SLICE_BODY_BYTES_MAX {
            return Err(BodyError::TooLarge);
        }
        let mut reader = Reader::new(bytes, 0);
        let version = reader.u16()?;
        if version != BODY_VERSION {
            return Err(BodyError::Version(version));
        }
        let header = SliceHeader {
            number: reader.u64()?,
            window_start_millis: reader.u64()?,
            window_millis: reader.u32()?,
            previous: reader.array()?,
            tenant: reader.owned_text()?,
            stream: reader.owned_text()?,
        };
        if header.number == 0
            || header.window_millis == 0
            || header.tenant.is_empty()
            || header.stream.is_empty()
        {
            return Err(BodyError::Identity);
        }
        let (range_count, ranges) = check_ranges(&mut reader)?;
        let (row_count, rows, totals) = check_rows(&mut reader)?;
        reader.finish()?;
        Ok(Self { header, totals, ranges, range_count, rows, row_count })
    }

    /// Its producer ranges, ascending.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = ProducerRange> + use<'a> {
        let mut reader = self.ranges;
        (0..self.range_count).map(move |_| read_range(&mut reader).expect("decode has read it"))
    }

    /// Its rows, ascending by method, route, service, region.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = SliceRow<'a>> + use<'a> {
        let mut reader = self.rows;
        (0..self.row_count).map(move |_| read_row(&mut reader).expect("decode has read it"))
    }
}

fn count(reader: &mut Reader<'_>, max: usize) -> Result<usize, BodyError> {
    let count = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if count > max { Err(BodyError::TooLarge) } else { Ok(count) }
}

fn check_ranges<'a>(reader: &mut Reader<'a>) -> Result<(usize, Reader<'a>), BodyError> {
    let count = count(reader, SLICE_RANGES_MAX)?;
    let start = *reader;
    let mut last: Option<ProducerRange> = None;
    for index in 0..count {
        let range = read_range(reader)?;
        if range.from == 0 || range.epoch == 0 || range.to < range.from {
            return Err(BodyError::Range(index));
        }
        let key = |range: ProducerRange| (range.producer, range.epoch, range.from);
        if let Some(last) = last {
            let overlaps =
                (last.producer, last.epoch) == (range.producer, range.epoch) && range.from <= last.to;
            if key(range) <= key(last) || overlaps {
                return Err(BodyError::Order(index));
            }
        }
        last = Some(range);
    }
    Ok((count, start))
}

fn check_rows<'a>(reader: &mut Reader<'a>) -> Result<(usize, Reader<'a>, Totals), BodyError> {
    let count = count(reader, SLICE_ROWS_MAX)?;
    let start = *reader;
    let mut totals = Totals::ZERO;
    let mut last: Option<SliceRow<'a>> = None;
    for index in 0..count {
        let row = read_row(reader)?;
        if last.is_some_and(|last| row.labels <= last.labels) {
            return Err(BodyError::Order(index));
        }
        totals = totals.join(row.totals).ok_or(BodyError::Overflow)?;
        last = Some(row);
    }
    Ok((count, start, totals))
}

fn read_range(reader: &mut Reader<'_>) -> Result<ProducerRange, FrameError> {
    Ok(ProducerRange {
        producer: reader.array()?,
        epoch: reader.u64()?,
        from: reader.u64()?,
        to: reader.u64()?,
        through: reader.u64()?,
    })
}

fn read_row<'a>(reader: &mut Reader<'a>) -> Result<SliceRow<'a>, FrameError> {
    let labels = [reader.text()?, reader.text()?, reader.text()?, reader.text()?];
    Ok(SliceRow { labels, totals: reader.totals()? })
}

/// Writes a body: the header, then every range, then every row, each in ascending order.
#[derive(Debug)]
pub struct SliceBodyWriter {
    bytes: Vec<u8>,
    ranges: u32,
    rows: u32,
    row_count_at: usize,
    totals: Totals,
}

impl SliceBodyWriter {
    /// Begins a body with its header and its ranges, which must ascend strictly.
    ///
    /// # Panics
    /// With more than `SLICE_RANGES_MAX` ranges.
    #[must_use]
    pub fn new(header: &SliceHeader, ranges: &[ProducerRange]) -> Self {
        assert!(ranges.len() <= SLICE_RANGES_MAX, "ranges are bounded where they are made");
        let mut bytes = Vec::with_capacity(bytes_max(ranges.len(), 64));
        bytes.extend_from_slice(&BODY_VERSION.to_le_bytes());
        bytes.extend_from_slice(&header.number.to_le_bytes());
        bytes.extend_from_slice(&header.window_start_millis.to_le_bytes());
        bytes.extend_from_slice(&header.window_millis.to_le_bytes());
        bytes.extend_from_slice(&header.previous);
        put_text(&mut bytes, &header.tenant);
        put_text(&mut bytes, &header.stream);
        let count = u32::try_from(ranges.len()).expect("bounded above");
        bytes.extend_from_slice(&count.to_le_bytes());
        for range in ranges {
            bytes.extend_from_slice(&range.producer);
            for word in [range.epoch, range.from, range.to, range.through] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        let row_count_at = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        Self { bytes, ranges: count, rows: 0, row_count_at, totals: Totals::ZERO }
    }

    /// Adds a row: method, route, service, region, and what was counted.
    ///
    /// # Panics
    /// If the totals pass 128 bits: rows are sums of 64-bit tallies.
    pub fn row(&mut self, labels: &[Text; 4], totals: &Totals) {
        for text in labels {
            put_text(&mut self.bytes, text);
        }
        put_totals(&mut self.bytes, totals);
        self.rows += 1;
        self.totals = self.totals.join(*totals).expect("a window's sums fit in 128 bits");
    }

    /// Ends the body: its bytes, its rows, and the sums of its rows.
    ///
    /// # Panics
    /// If what was written is larger than a slice may be, or not canonical in debug builds.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, u32, Totals) {
        let place = self.bytes.get_mut(self.row_count_at..self.row_count_at + 4).expect("new wrote it");
        place.copy_from_slice(&self.rows.to_le_bytes());
        assert!(self.bytes.len() <= SLICE_BODY_BYTES_MAX, "rows and ranges are bounded where they are made");
        debug_assert!(SliceBody::decode(&self.bytes).is_ok(), "what is written reads back");
        (self.bytes, self.rows, self.totals)
    }

    /// Whether there is nothing in it: no row and no range.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows == 0 && self.ranges == 0
    }
}

#[cfg(test)]
mod tests;
