//! The payload of one frame: records, extensions, slice bodies, in that order.
//!
//! Written straight into the buffer that goes to disk, read back in place. Layout, all
//! little-endian: records `u32`, extensions `u32`, body bytes `u32`, reserved `u32` (zero), number of
//! the first entry `u64`, time of all of them `u64`, then `records * 216`, `extensions * 160`, the
//! bodies. The checksum is the frame's, one level down.
//!
//! Holds: the entries of a batch are numbered without gaps and have one time, so neither stands in
//! a record.

use alloc::vec::Vec;

use rkyv::rancor::Error as RkyvError;

use crate::{
    Beginning, Ext, Head, Kind, Posting, Seq, Slice, Timestamp,
    beginning::{ArchivedBeginningRecord, BeginningRecord},
    limits::{
        BATCH_PREAMBLE_BYTES, EXT_BYTES, FRAME_BYTES_MAX, FRAME_ENTRIES_MAX, RECORD_BYTES,
        SLICE_BODY_BYTES_MAX,
    },
    posting::{ArchivedExtRecord, ArchivedHeadRecord, ArchivedPostingRecord, ExtRecord, PostingRecord},
    slice::{ArchivedSliceRecord, SliceRecord},
};

/// Bytes of the counts at the front of the preamble; the batch's place and time follow.
const PREAMBLE_COUNTS_BYTES: usize = 16;

/// Why bytes are not a batch of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The counts do not add up to the length.
    #[error("the payload's counts do not fit its length")]
    Length,
    /// A version this build does not read.
    #[error("record version {0} is not known to this build")]
    Version(u8),
    /// A kind that was never given out.
    #[error("entry kind {0} is not known to this build")]
    Kind(u8),
    /// A reason that was never given out.
    #[error("reason {0} is not known to this build")]
    Reason(u8),
    /// A field outside its range.
    #[error("a field is outside its range: {0}")]
    Field(&'static str),
    /// The record's bytes do not validate.
    #[error("a record does not validate")]
    Record,
}

/// One record of a batch, parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordRef<'a> {
    /// An entry about money, a name, a flag or a refusal.
    Posting(Posting),
    /// A sealed slice with its body.
    Slice(Slice, &'a [u8]),
    /// The first entry of an incarnation.
    Beginning(Beginning),
}

impl RecordRef<'_> {
    /// What every entry has.
    #[must_use]
    pub const fn head(&self) -> &Head {
        match self {
            Self::Posting(posting) => &posting.head,
            Self::Slice(slice, _) => &slice.head,
            Self::Beginning(beginning) => &beginning.head,
        }
    }
}

/// Gathers the records of one frame. Allocates only when it is made.
#[derive(Debug)]
pub struct BatchWriter {
    records: Vec<u8>,
    exts: Vec<u8>,
    bodies: Vec<u8>,
    count: usize,
    first: Seq,
    at: Timestamp,
}

impl BatchWriter {
    /// A writer that never allocates again while its payload stays within `payload_max` bytes.
    ///
    /// # Panics
    /// If `payload_max` is above `limits::FRAME_BYTES_MAX`.
    #[must_use]
    pub fn with_capacity(payload_max: usize) -> Self {
        assert!(payload_max <= FRAME_BYTES_MAX);
        Self {
            records: Vec::with_capacity(payload_max),
            exts: Vec::with_capacity(payload_max),
            bodies: Vec::with_capacity(payload_max.min(SLICE_BODY_BYTES_MAX)),
            count: 0,
            first: Seq::ZERO,
            at: Timestamp(0),
        }
    }

    /// Adds a posting.
    ///
    /// # Panics
    /// If the batch is full, or the posting has another time than the batch or a number that does
    /// not follow.
    pub fn push_posting(&mut self, posting: &Posting) {
        self.place(&posting.head);
        let ext = posting.ext.map_or(0, |ext| self.push_ext(&ext));
        append(&mut self.records, &PostingRecord::new(posting, ext));
        self.count += 1;
        assert_eq!(self.records.len(), self.count * RECORD_BYTES);
    }

    /// Adds a slice with its body and sets the slice's `body_at` and `body_len`.
    ///
    /// # Panics
    /// As [`BatchWriter::push_posting`], or if the body is over `limits::SLICE_BODY_BYTES_MAX`.
    pub fn push_slice(&mut self, slice: &mut Slice, body: &[u8]) {
        self.place(&slice.head);
        assert!(body.len() <= SLICE_BODY_BYTES_MAX);
        slice.body_at = u32::try_from(self.bodies.len()).expect("bodies fit in a frame");
        slice.body_len = u32::try_from(body.len()).expect("a body fits in a frame");
        self.bodies.extend_from_slice(body);
        append(&mut self.records, &SliceRecord::new(slice));
        self.count += 1;
        assert_eq!(self.records.len(), self.count * RECORD_BYTES);
    }

    /// Adds the first entry of an incarnation.
    ///
    /// # Panics
    /// If the batch is full, or the entry is not the next one.
    pub fn push_beginning(&mut self, beginning: &Beginning) {
        self.place(&beginning.head);
        append(&mut self.records, &BeginningRecord::new(beginning));
        self.count += 1;
        assert_eq!(self.records.len(), self.count * RECORD_BYTES);
    }

    /// The next record's place says what its number and time are.
    fn place(&mut self, head: &Head) {
        assert!(self.count < FRAME_ENTRIES_MAX);
        if self.count == 0 {
            (self.first, self.at) = (head.seq, head.at);
        }
        assert_eq!(head.seq, self.first.plus(self.count as u64), "entries are numbered without gaps");
        assert_eq!(head.at, self.at, "a batch has one time");
    }

    fn push_ext(&mut self, ext: &Ext) -> u16 {
        append(&mut self.exts, &ExtRecord::new(ext));
        u16::try_from(self.exts.len() / EXT_BYTES).expect("FRAME_ENTRIES_MAX fits in a u16")
    }

    /// Records so far.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Bytes of the payload so far.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        BATCH_PREAMBLE_BYTES + self.records.len() + self.exts.len() + self.bodies.len()
    }

    /// Writes the payload to the front of `out`, forgets it, and returns its length.
    ///
    /// # Panics
    /// If `out` is shorter than `payload_len`.
    pub fn finish(&mut self, out: &mut [u8]) -> usize {
        let len = self.payload_len();
        let mut at = 0;
        let counts = [self.count, self.exts.len() / EXT_BYTES, self.bodies.len(), 0];
        for count in counts {
            put(out, &mut at, &u32::try_from(count).expect("counts fit in a frame").to_le_bytes());
        }
        put(out, &mut at, &self.first.0.to_le_bytes());
        put(out, &mut at, &self.at.0.to_le_bytes());
        for section in [&self.records, &self.exts, &self.bodies] {
            put(out, &mut at, section);
        }
        assert_eq!(at, len);
        self.clear();
        len
    }

    /// Forgets what was gathered; keeps the memory.
    pub fn clear(&mut self) {
        self.records.clear();
        self.exts.clear();
        self.bodies.clear();
        self.count = 0;
        (self.first, self.at) = (Seq::ZERO, Timestamp(0));
    }
}

fn put(out: &mut [u8], at: &mut usize, bytes: &[u8]) {
    let end = *at + bytes.len();
    out.get_mut(*at..end).expect("the buffer was sized for the payload").copy_from_slice(bytes);
    *at = end;
}

/// Serialises one flat record at the end of `out`.
fn append<T>(out: &mut Vec<u8>, record: &T)
where
    T: for<'a> rkyv::Serialize<
            rkyv::api::low::LowSerializer<Appender<'a>, rkyv::ser::allocator::SubAllocator<'a>, RkyvError>,
        >,
{
    let mut no_scratch = [];
    let scratch = rkyv::ser::allocator::SubAllocator::new(&mut no_scratch);
    rkyv::api::low::to_bytes_in_with_alloc::<_, _, RkyvError>(record, Appender(out), scratch)
        .expect("a flat record needs no scratch space and the vector takes it");
}

/// Appends to a vector; rkyv positions are relative to the record's own start.
struct Appender<'a>(&'a mut Vec<u8>);

impl rkyv::ser::Positional for Appender<'_> {
    fn pos(&self) -> usize {
        self.0.len()
    }
}

impl<E> rkyv::ser::Writer<E> for Appender<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// A payload read in place. Every record is parsed before it is given out.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    records: &'a [[u8; RECORD_BYTES]],
    exts: &'a [[u8; EXT_BYTES]],
    bodies: &'a [u8],
    first: Seq,
    at: Timestamp,
}

impl<'a> BatchView<'a> {
    /// Splits a payload whose checksum has been checked.
    ///
    /// # Errors
    /// `BatchError::Length` if the counts do not fit the length exactly; `BatchError::Field` if the
    /// entries' numbers would go past the last one.
    pub fn parse(payload: &'a [u8]) -> Result<Self, BatchError> {
        let (preamble, rest) = payload.split_at_checked(BATCH_PREAMBLE_BYTES).ok_or(BatchError::Length)?;
        let (counts, places) = preamble.split_at(PREAMBLE_COUNTS_BYTES);
        let (words, _) = counts.as_chunks::<4>();
        let counts: [usize; 4] = core::array::from_fn(|index| {
            words
                .get(index)
                .map_or(usize::MAX, |word| u32::from_le_bytes(*word).try_into().unwrap_or(usize::MAX))
        });
        let [records, exts, bodies, reserved] = counts;
        if records > FRAME_ENTRIES_MAX || exts > records || bodies > FRAME_BYTES_MAX || reserved != 0 {
            return Err(BatchError::Length);
        }
        let (record_bytes, rest) = rest.split_at_checked(records * RECORD_BYTES).ok_or(BatchError::Length)?;
        let (ext_bytes, body_bytes) = rest.split_at_checked(exts * EXT_BYTES).ok_or(BatchError::Length)?;
        if body_bytes.len() != bodies {
            return Err(BatchError::Length);
        }
        let (places, _) = places.as_chunks::<8>();
        let place = |index: usize| places.get(index).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (first, at) = (Seq(place(0)), Timestamp(place(1)));
        if first.0.checked_add(records as u64).is_none() {
            return Err(BatchError::Field("the batch's first number"));
        }
        let (records, exts) = (record_bytes.as_chunks().0, ext_bytes.as_chunks().0);
        Ok(Self { records, exts, bodies: body_bytes, first, at })
    }

    /// Records in the batch.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.records.len()
    }

    /// The record at `index`, parsed; `None` past the end.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Result<RecordRef<'a>, BatchError>> {
        self.records.get(index).map(|bytes| self.parse_record(index, bytes))
    }

    /// The records in order, each parsed.
    pub fn iter(&self) -> impl Iterator<Item = Result<RecordRef<'a>, BatchError>> + use<'a> {
        let view = *self;
        view.records.iter().enumerate().map(move |(index, bytes)| view.parse_record(index, bytes))
    }

    fn parse_record(&self, index: usize, bytes: &'a [u8; RECORD_BYTES]) -> Result<RecordRef<'a>, BatchError> {
        let (seq, at) = (self.first.plus(index as u64), self.at);
        let (head, _) = bytes.split_at(size_of::<ArchivedHeadRecord>());
        let head = rkyv::access::<ArchivedHeadRecord, RkyvError>(head).map_err(|_| BatchError::Record)?;
        if head.kind == Kind::Usage.number() {
            let record =
                rkyv::access::<ArchivedSliceRecord, RkyvError>(bytes).map_err(|_| BatchError::Record)?;
            let slice = record.parse(seq, at)?;
            return Ok(RecordRef::Slice(slice, self.body(&slice)?));
        }
        if head.kind == Kind::Incarnation.number() {
            let record =
                rkyv::access::<ArchivedBeginningRecord, RkyvError>(bytes).map_err(|_| BatchError::Record)?;
            return Ok(RecordRef::Beginning(record.parse(seq, at)?));
        }
        let ext = match usize::from(head.ext.to_native()) {
            0 => None,
            number => Some(self.ext(number - 1)?),
        };
        let record =
            rkyv::access::<ArchivedPostingRecord, RkyvError>(bytes).map_err(|_| BatchError::Record)?;
        Ok(RecordRef::Posting(record.parse(seq, at, ext)?))
    }

    fn ext(&self, index: usize) -> Result<Ext, BatchError> {
        let bytes = self.exts.get(index).ok_or(BatchError::Field("extension index"))?;
        rkyv::access::<ArchivedExtRecord, RkyvError>(bytes).map_err(|_| BatchError::Record)?.parse()
    }

    fn body(&self, slice: &Slice) -> Result<&'a [u8], BatchError> {
        let at = usize::try_from(slice.body_at).map_err(|_| BatchError::Length)?;
        let len = usize::try_from(slice.body_len).map_err(|_| BatchError::Length)?;
        let end = at.checked_add(len).ok_or(BatchError::Length)?;
        self.bodies.get(at..end).ok_or(BatchError::Field("slice body"))
    }
}

#[cfg(test)]
mod tests;
