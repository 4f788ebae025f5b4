//! The first block of a run's file: what the run covers, and where in the journal it ends.

use model::{Incarnation, LedgerId, Seq};

use super::block::{HISTORY_BLOCK_BYTES, HistoryBlock, RunError, RunName};

const MAGIC: [u8; 8] = *b"MNRUN\0\0\0";
const FORMAT: u16 = 0;
const HASHED_BYTES: usize = HISTORY_BLOCK_BYTES - 32;
/// Bytes with a meaning.
const FIELDS_BYTES: usize = 168;

/// The frame that a run ends with: where reading the journal goes on after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// The frame's life of the ledger.
    pub incarnation: Incarnation,
    /// Its number.
    pub frame: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// Its segment.
    pub segment: u32,
    /// Its offset in the segment.
    pub offset: u64,
    /// The root that it names.
    pub root: [u8; 32],
}

/// What a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunHeader {
    /// Whose it is, and which entries it covers.
    pub name: RunName,
    /// The frame of its last entry.
    pub end: RunEnd,
    /// Rows.
    pub rows: u64,
    /// Blocks after the header.
    pub blocks: u64,
}

impl RunHeader {
    /// The header's block.
    #[must_use]
    pub fn encode(&self) -> HistoryBlock {
        let Self { name, end, rows, blocks } = self;
        let mut block = [0; HISTORY_BLOCK_BYTES];
        let (mut rest, mut at) = (block.as_mut_slice(), 0);
        let mut put = |field: &[u8]| {
            let (place, after) = core::mem::take(&mut rest).split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
            at += field.len();
        };
        put(&MAGIC);
        put(&FORMAT.to_le_bytes());
        put(&[0; 2]);
        put(&end.incarnation.0.to_le_bytes());
        put(&name.ledger.0);
        for word in [name.first.0, name.last.0, *rows, *blocks, end.frame, end.offset] {
            put(&word.to_le_bytes());
        }
        put(&end.segment.to_le_bytes());
        put(&[0; 4]);
        put(&[0; 16]);
        put(&end.hash);
        put(&end.root);
        assert_eq!(at, FIELDS_BYTES);
        let (body, hash) = block.split_at_mut(HASHED_BYTES);
        hash.copy_from_slice(blake3::hash(body).as_bytes());
        block
    }

    /// Reads a header back.
    ///
    /// # Errors
    /// `RunError`.
    pub fn decode(bytes: &[u8], ledger: LedgerId) -> Result<Self, RunError> {
        let block: &HistoryBlock = bytes.first_chunk().ok_or(RunError::Truncated)?;
        let mut fields = Fields(block);
        if fields.take() != MAGIC {
            return Err(RunError::Magic);
        }
        let format = u16::from_le_bytes(fields.take());
        if format != FORMAT {
            return Err(RunError::Format(format));
        }
        let (body, hash) = block.split_at(HASHED_BYTES);
        if hash != blake3::hash(body).as_bytes() {
            return Err(RunError::Check);
        }
        let gap: [u8; 2] = fields.take();
        let incarnation = Incarnation(u32::from_le_bytes(fields.take()));
        let found = LedgerId(fields.take());
        let (first, last) = (Seq(fields.word()), Seq(fields.word()));
        let (rows, blocks, frame, offset) = (fields.word(), fields.word(), fields.word(), fields.word());
        let segment = u32::from_le_bytes(fields.take());
        let (gap_after, gap_more): ([u8; 4], [u8; 16]) = (fields.take(), fields.take());
        let (hash, root) = (fields.take(), fields.take());
        let unused = body.split_at(FIELDS_BYTES).1.iter().any(|byte| *byte != 0);
        if gap != [0; 2] || gap_after != [0; 4] || gap_more != [0; 16] || unused {
            return Err(RunError::Field("a reserved byte of a run's header is not zero"));
        }
        if found != ledger {
            return Err(RunError::OtherLedger);
        }
        let entries = last.0.checked_sub(first.0).and_then(|span| span.checked_add(1)).unwrap_or(0);
        // An entry changes two accounts at most, and a block that is not empty holds a row.
        let rows_fit = rows.div_ceil(2) <= entries && blocks <= rows && (rows == 0) == (blocks == 0);
        if first == Seq::ZERO || entries == 0 || frame == 0 || !rows_fit {
            return Err(RunError::Field("a run's header contradicts itself"));
        }
        let end = RunEnd { incarnation, frame, hash, segment, offset, root };
        Ok(Self { name: RunName { ledger, first, last }, end, rows, blocks })
    }
}

/// Fields of a header, one after the other. The header is longer than all of them.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("a header is longer than its fields");
        self.0 = rest;
        *taken
    }

    fn word(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
