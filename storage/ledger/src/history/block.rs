//! A block of a run: 4,096 bytes of rows in order, packed, with a check.
//!
//! Holds: a block is read without the others; what decodes is written back as the same bytes; a
//! decoder takes no more rows than the bytes could hold.

use alloc::vec::Vec;

use model::{AccountId, Asset, Balance, LedgerId, Seq};

use super::row::{HistoryKey, HistoryRow};

/// Bytes of a block.
pub const HISTORY_BLOCK_BYTES: usize = 4096;
/// Where the rows begin: after check (16), rows (2), bytes of rows (2), reserved (4).
const ROWS_AT: usize = 24;
const CHECK_BYTES: usize = 16;
/// The most bytes of a row: tag, key, account sequence, balance, held.
const ROW_BYTES_MAX: usize = VARINT_BYTES_MAX * 4 + 32;
/// 128 bits, 7 in a byte.
const VARINT_BYTES_MAX: usize = 19;

/// The bytes of one.
pub type HistoryBlock = [u8; HISTORY_BLOCK_BYTES];

/// Why bytes are no run, or not the one that was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// Fewer bytes than a header or block has, or than the header counts.
    #[error("the run is cut short")]
    Truncated,
    /// No run.
    #[error("the file is no run of a history")]
    Magic,
    /// Of a format that this build does not read.
    #[error("the run has format {0}, which is not known to this build")]
    Format(u16),
    /// The check does not fit the bytes.
    #[error("the check does not fit the bytes")]
    Check,
    /// Another ledger's.
    #[error("the run belongs to another ledger")]
    OtherLedger,
    /// A value that no writer makes.
    #[error("{0}")]
    Field(&'static str),
}

/// Which run a block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunName {
    /// Whose history.
    pub ledger: LedgerId,
    /// The first entry that it covers.
    pub first: Seq,
    /// The last one.
    pub last: Seq,
}

impl RunName {
    fn check(&self, number: u64, block: &HistoryBlock) -> [u8; CHECK_BYTES] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.ledger.0);
        for word in [self.first.0, self.last.0, number] {
            hasher.update(&word.to_le_bytes());
        }
        hasher.update(block.split_at(CHECK_BYTES).1);
        *hasher.finalize().as_bytes().first_chunk().expect("a hash is longer")
    }
}

/// Fills a block row by row.
#[derive(Clone, Debug)]
pub(super) struct BlockWriter {
    bytes: HistoryBlock,
    used: usize,
    rows: u16,
    last: Option<HistoryRow>,
}

impl BlockWriter {
    pub(super) const fn new() -> Self {
        Self { bytes: [0; HISTORY_BLOCK_BYTES], used: ROWS_AT, rows: 0, last: None }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Adds a row; false, and nothing is changed, if it does not fit.
    pub(super) fn push(&mut self, row: &HistoryRow) -> bool {
        let mut packed = Packed { bytes: [0; ROW_BYTES_MAX], len: 0 };
        packed.row(row, self.last.as_ref());
        let bytes = packed.bytes.split_at(packed.len).0;
        let Some(place) = self.bytes.get_mut(self.used..self.used + bytes.len()) else { return false };
        place.copy_from_slice(bytes);
        self.used += bytes.len();
        self.rows += 1;
        self.last = Some(*row);
        true
    }

    /// The finished block, as number `number` of its run; the writer is empty again.
    pub(super) fn finish(&mut self, name: &RunName, number: u64) -> HistoryBlock {
        let used = u16::try_from(self.used - ROWS_AT).expect("a block is shorter than 64 KiB");
        let fields = [self.rows.to_le_bytes(), used.to_le_bytes()];
        let (_, body) = self.bytes.split_at_mut(CHECK_BYTES);
        body.split_at_mut(4).0.copy_from_slice(fields.as_flattened());
        let check = name.check(number, &self.bytes);
        self.bytes.split_at_mut(CHECK_BYTES).0.copy_from_slice(&check);
        core::mem::replace(self, Self::new()).bytes
    }
}

/// The rows of block `number` of the run `name`.
///
/// # Errors
/// `RunError`: the check does not fit, or what no writer makes.
pub fn decode_block(
    block: &HistoryBlock,
    name: &RunName,
    number: u64,
    rows: &mut Vec<HistoryRow>,
) -> Result<(), RunError> {
    rows.clear();
    let (check, body) = block.split_at(CHECK_BYTES);
    if check != name.check(number, block) {
        return Err(RunError::Check);
    }
    let (fields, _) = body.as_chunks::<2>();
    let count = usize::from(u16::from_le_bytes(fields[0]));
    let used = usize::from(u16::from_le_bytes(fields[1]));
    if fields[2] != [0; 2] || fields[3] != [0; 2] {
        return Err(RunError::Field("a reserved byte of a block is not zero"));
    }
    let (_, packed) = block.split_at(ROWS_AT);
    let (packed, rest) = packed.split_at_checked(used).ok_or(RunError::Field("a block is overfull"))?;
    if rest.iter().any(|byte| *byte != 0) {
        return Err(RunError::Field("an unused byte of a block is not zero"));
    }
    let mut packed = Unpacking { bytes: packed };
    for _ in 0..count {
        let row = packed.row(rows.last())?;
        if row.seq < name.first || row.seq > name.last {
            return Err(RunError::Field("a row of an entry that the run does not cover"));
        }
        rows.push(row);
    }
    if rows.is_empty() || !packed.bytes.is_empty() {
        return Err(RunError::Field("a block counts its rows wrongly"));
    }
    Ok(())
}

/// A row being packed. The first number says how far the entry is from the row before, and in its
/// lowest bit whether another key begins; a key's first row names its entry itself.
struct Packed {
    bytes: [u8; ROW_BYTES_MAX],
    len: usize,
}

impl Packed {
    fn row(&mut self, row: &HistoryRow, before: Option<&HistoryRow>) {
        match before.filter(|before| before.key == row.key) {
            Some(before) => {
                assert!(row.follows(before), "rows of a run are in order");
                self.varint(u128::from(row.seq.0 - before.seq.0) << 1);
            }
            None => {
                assert!(before.is_none_or(|before| row.follows(before)), "rows of a run are in order");
                self.varint(u128::from(row.seq.0) << 1 | 1);
                self.put(&row.key.account.bits().to_le_bytes());
                self.put(&row.key.asset.bytes());
                self.varint(u128::from(row.account_seq));
            }
        }
        self.varint(zigzag(row.balance.units()));
        self.varint(row.held);
    }

    fn put(&mut self, bytes: &[u8]) {
        let place = self.bytes.get_mut(self.len..self.len + bytes.len());
        place.expect("a row has its most bytes at most").copy_from_slice(bytes);
        self.len += bytes.len();
    }

    fn varint(&mut self, mut value: u128) {
        loop {
            let low = u8::try_from(value & 0x7f).expect("seven bits");
            value >>= 7;
            self.put(&[if value == 0 { low } else { low | 0x80 }]);
            if value == 0 {
                break;
            }
        }
    }
}

/// What is left of the packed rows of a block.
struct Unpacking<'a> {
    bytes: &'a [u8],
}

impl Unpacking<'_> {
    fn row(&mut self, before: Option<&HistoryRow>) -> Result<HistoryRow, RunError> {
        let tag = self.varint()?;
        let seq = u64::try_from(tag >> 1).map_err(|_| RunError::Field("an entry's number is too large"))?;
        let (key, account_seq, seq) = if tag & 1 == 1 {
            let account = AccountId::from_bits(u128::from_le_bytes(self.take()?));
            let asset = Asset::from_bytes(self.take()?).map_err(|_| RunError::Field("an asset's name"))?;
            if account.is_none() || asset == Asset::NONE {
                return Err(RunError::Field("a row without account or asset"));
            }
            (HistoryKey { account, asset }, self.number()?, seq)
        } else {
            let before = before.ok_or(RunError::Field("the first row of a block names no key"))?;
            let account_seq = before.account_seq.checked_add(1);
            let seq = before.seq.0.checked_add(seq);
            let (Some(account_seq), Some(seq)) = (account_seq, seq) else {
                return Err(RunError::Field("a sequence is too large"));
            };
            (before.key, account_seq, seq)
        };
        let balance = Balance::new(unzigzag(self.varint()?)).ok_or(RunError::Field("a balance"))?;
        let row = HistoryRow { key, account_seq, seq: Seq(seq), balance, held: self.varint()? };
        let ordered = before.is_none_or(|before| row.follows(before) && (tag & 1 == 0 || key != before.key));
        if !ordered || account_seq == 0 {
            return Err(RunError::Field("rows of a block are out of order"));
        }
        Ok(row)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], RunError> {
        let (taken, rest) =
            self.bytes.split_first_chunk().ok_or(RunError::Field("a row is cut off in its block"))?;
        self.bytes = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, RunError> {
        u64::try_from(self.varint()?).map_err(|_| RunError::Field("a sequence is too large"))
    }

    fn varint(&mut self) -> Result<u128, RunError> {
        let mut value: u128 = 0;
        for place in 0..VARINT_BYTES_MAX {
            let [byte] = self.take()?;
            let bits = u128::from(byte & 0x7f);
            let shifted = bits << (7 * place);
            if shifted >> (7 * place) != bits || (byte == 0 && place > 0) {
                return Err(RunError::Field("a number is not in its one form"));
            }
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(RunError::Field("a number is not in its one form"))
    }
}

/// Small magnitudes as small numbers, whatever their sign.
fn zigzag(value: i128) -> u128 {
    let magnitude = value.unsigned_abs() << 1;
    if value < 0 { magnitude - 1 } else { magnitude }
}

fn unzigzag(value: u128) -> i128 {
    let half = i128::try_from(value >> 1).expect("half of 128 bits");
    if value & 1 == 1 { -half - 1 } else { half }
}
