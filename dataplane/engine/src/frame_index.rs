//! `FrameIndex`: where each frame lies and which root it left. Derived, rebuilt from the journal.
//!
//! Holds: rows are in the order of `Seq`, one per frame that carries entries; each has a check word
//! over the ledger's id and itself, so a damaged row, or one of another ledger, is never followed.
//! What cannot be written yet stays in memory and is found there. Leaves to others: deriving it anew
//! (`Derived`).

use std::path::Path;

use disk::{DiskError, PlainFile};
use journal::FrameHeader;
use ledger::{FRAME_ROW_BYTES, FrameRow, HashKind};
use model::{LedgerId, Seq, Timestamp};
use wire::Root;

const ROW_BYTES: usize = FRAME_ROW_BYTES;
const ROW_BYTES_U64: u64 = 72;

const _: () = assert!(ROW_BYTES == 72);

/// Why a row cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The kernel refuses.
    #[error("{0}")]
    Disk(#[from] DiskError),
    /// The row is damaged, or another ledger's.
    #[error("row {0} of the frame index is damaged")]
    Damaged(u64),
}

/// The row of the frame with this header, which carries entries.
pub(crate) const fn row_of(header: &FrameHeader, has_slices: bool) -> FrameRow {
    FrameRow {
        first_seq: header.first_seq,
        count: header.count,
        segment: header.position.segment.0,
        offset: header.position.offset,
        at: header.at,
        root: header.root,
        has_slices,
    }
}

/// The rows of all frames, in a file.
#[derive(Debug)]
pub struct FrameIndex {
    file: PlainFile,
    hash: HashKind,
    ledger: LedgerId,
    rows: u64,
    last: Option<FrameRow>,
    unwritten: Vec<FrameRow>,
}

impl FrameIndex {
    /// Opens or creates the index. Rows at its end that are damaged (a power loss may leave such) are
    /// left out.
    ///
    /// # Errors
    /// If the file cannot be opened or read.
    pub fn open(path: &Path, hash: HashKind, ledger: LedgerId) -> Result<Self, DiskError> {
        let file = PlainFile::open_or_create(path)?;
        let rows = file.len_bytes()? / ROW_BYTES_U64;
        let mut index = Self { file, hash, ledger, rows, last: None, unwritten: Vec::new() };
        while index.last.is_none() && index.rows > 0 {
            match index.row(index.rows - 1) {
                Ok(last) => index.last = last,
                Err(IndexError::Damaged(_)) => index.rows -= 1,
                Err(IndexError::Disk(error)) => return Err(error),
            }
        }
        Ok(index)
    }

    /// The last entry it covers, zero if it is empty.
    #[must_use]
    pub fn last_seq(&self) -> Seq {
        self.last.map_or(Seq::ZERO, |row| row.last_seq())
    }

    /// Adds a row; it is in the file after `flush`.
    ///
    /// # Panics
    /// If it does not follow the last one.
    pub fn push(&mut self, row: FrameRow) {
        assert_eq!(row.first_seq, self.last_seq().next(), "rows follow one another");
        self.unwritten.push(row);
        self.last = Some(row);
    }

    /// Writes what was pushed.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self) -> Result<(), DiskError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(self.unwritten.len() * ROW_BYTES);
        for row in &self.unwritten {
            bytes.extend_from_slice(&row.encode(self.hash, self.ledger));
        }
        self.file.write_at(self.rows * ROW_BYTES_U64, &bytes)?;
        self.rows = self.count();
        self.unwritten.clear();
        Ok(())
    }

    fn count(&self) -> u64 {
        self.rows + u64::try_from(self.unwritten.len()).expect("a count fits")
    }

    /// Flushes, and makes the file durable.
    ///
    /// # Errors
    /// If the file cannot be written or synced.
    pub fn sync(&mut self) -> Result<(), DiskError> {
        self.flush()?;
        self.file.datasync()
    }

    /// Cuts it back so that it covers nothing after `seq`; false if no row ends exactly there.
    ///
    /// # Errors
    /// If the file cannot be read or cut.
    pub fn cut(&mut self, seq: Seq) -> Result<bool, IndexError> {
        self.flush()?;
        let rows = match self.find(seq)? {
            Some((number, row)) if row.last_seq() == seq => number + 1,
            Some(_) | None if seq == Seq::ZERO => 0,
            Some(_) | None => return Ok(false),
        };
        self.file.truncate(rows * ROW_BYTES_U64)?;
        self.rows = rows;
        self.last = rows.checked_sub(1).map(|row| self.row(row)).transpose()?.flatten();
        Ok(true)
    }

    /// The frame that holds `seq`, with its row number.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn find(&self, seq: Seq) -> Result<Option<(u64, FrameRow)>, IndexError> {
        if seq == Seq::ZERO || seq > self.last_seq() {
            return Ok(None);
        }
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(row) = self.row(middle)? else { return Ok(None) };
            if row.last_seq() < seq {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(self.row(low)?.filter(|row| row.first_seq <= seq && seq <= row.last_seq()).map(|row| (low, row)))
    }

    /// The roots after `since`, at most `limit`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn roots(&self, since: Seq, limit: usize) -> Result<Vec<Root>, IndexError> {
        let Some((first, row)) = self.find(since.next())? else { return Ok(Vec::new()) };
        // A client that asks from the middle of a frame gets that frame's root.
        let mut roots = Vec::with_capacity(limit.min(1_000));
        let mut next = Some(row);
        let mut number = first;
        while let Some(row) = next
            && roots.len() < limit
        {
            roots.push(Root { seq: row.last_seq(), root: row.root, at: row.at });
            number += 1;
            next = self.row(number)?;
        }
        Ok(roots)
    }

    /// The root of the tree of exactly this size, if a frame ended there.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn root_at(&self, size: u64) -> Result<Option<[u8; 32]>, IndexError> {
        Ok(self.find(Seq(size))?.filter(|(_, row)| row.last_seq() == Seq(size)).map(|(_, row)| row.root))
    }

    /// The number of the first frame of `since` or later; as many as there are if none is.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn first_at(&self, since: Timestamp) -> Result<u64, IndexError> {
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.row(middle)? {
                Some(row) if row.at < since => low = middle + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// The last frame of `at` or earlier.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn last_at(&self, at: Timestamp) -> Result<Option<FrameRow>, IndexError> {
        let after = self.first_at(Timestamp(at.0.saturating_add(1)))?;
        after.checked_sub(1).map_or(Ok(None), |last| self.row(last))
    }

    /// The first `most` frames that carry slices, among `looked_at` frames from number `from` on, and
    /// the last frame that was looked at, unless it is the last of all.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn with_slices(
        &self,
        from: u64,
        looked_at: u64,
        most: usize,
    ) -> Result<(Vec<FrameRow>, Option<FrameRow>), IndexError> {
        let (mut found, mut last) = (Vec::new(), None);
        for number in from..self.count().min(from.saturating_add(looked_at)) {
            if found.len() == most {
                break;
            }
            last = self.row(number)?;
            found.extend(last.filter(|row| row.has_slices));
        }
        Ok((found, last.filter(|row| row.last_seq() < self.last_seq())))
    }

    fn row(&self, number: u64) -> Result<Option<FrameRow>, IndexError> {
        if number >= self.rows {
            let waiting = usize::try_from(number - self.rows).unwrap_or(usize::MAX);
            return Ok(self.unwritten.get(waiting).copied());
        }
        let mut row = [0; ROW_BYTES];
        self.file.read_at(number * ROW_BYTES_U64, &mut row)?;
        FrameRow::decode(&row, self.hash, self.ledger).map(Some).ok_or(IndexError::Damaged(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(first_seq: u64, count: u32) -> FrameRow {
        FrameRow {
            first_seq: Seq(first_seq),
            count,
            segment: 3,
            offset: first_seq * 4096,
            at: Timestamp(first_seq),
            root: [u8::try_from(first_seq).unwrap(); 32],
            has_slices: first_seq == 7,
        }
    }

    #[test]
    fn frames_are_found_again_and_cut() {
        let path = std::env::temp_dir().join(format!("macronode-frames-{}", std::process::id()));
        drop(std::fs::remove_file(&path));
        let open = |ledger| FrameIndex::open(&path, HashKind::Sha256, LedgerId([ledger; 16]));
        let mut index = open(1).unwrap();
        assert_eq!(index.find(Seq(1)).unwrap(), None);
        for frame in [row(1, 1), row(2, 5), row(7, 3)] {
            index.push(frame);
        }
        assert_eq!(index.find(Seq(8)).unwrap().unwrap().0, 2, "found before it is written");
        index.flush().unwrap();
        assert_eq!(open(2).unwrap().last_seq(), Seq(0), "another ledger's");
        let mut index = open(1).unwrap();
        assert_eq!(index.last_seq(), Seq(9));
        for (seq, expected) in
            [(1, Some(1)), (2, Some(2)), (6, Some(2)), (7, Some(7)), (9, Some(7)), (10, None), (0, None)]
        {
            let found = index.find(Seq(seq)).unwrap().map(|(_, row)| row.first_seq.0);
            assert_eq!(found, expected, "seq {seq}");
        }
        let last_at = |at| index.last_at(Timestamp(at)).unwrap().map(|row| row.first_seq.0);
        assert_eq!([0, 1, 6, 7, 99].map(last_at), [None, Some(1), Some(2), Some(7), Some(7)]);
        assert_eq!([0, 2, 3, 8].map(|at| index.first_at(Timestamp(at)).unwrap()), [0, 1, 2, 3]);
        for (from, looked_at, found, last) in [
            (0, 9, vec![row(7, 3)], None),
            (2, 1, vec![row(7, 3)], None),
            (3, 9, vec![], None),
            (0, 1, vec![], Some(row(1, 1))),
            (1, 1, vec![], Some(row(2, 5))),
        ] {
            assert_eq!(index.with_slices(from, looked_at, 9).unwrap(), (found, last), "{from} {looked_at}");
        }
        assert_eq!(index.with_slices(0, 9, 0).unwrap(), (vec![], None));
        let seqs: Vec<u64> = index.roots(Seq(1), 10).unwrap().iter().map(|root| root.seq.0).collect();
        assert_eq!(seqs, [6, 9]);
        assert_eq!(index.roots(Seq(0), 1).unwrap().len(), 1);
        assert_eq!(index.root_at(6).unwrap(), Some([2; 32]));
        assert_eq!(index.root_at(5).unwrap(), None);
        assert!(!index.cut(Seq(5)).unwrap());
        assert!(index.cut(Seq(6)).unwrap());
        assert_eq!(index.last_seq(), Seq(6));
        assert!(index.cut(Seq(0)).unwrap());
        assert_eq!(index.last_seq(), Seq(0));
        for frame in [row(1, 1), row(2, 5), row(7, 3)] {
            index.push(frame);
        }
        index.flush().unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[ROW_BYTES + 3] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let index = open(1).unwrap();
        assert!(matches!(index.find(Seq(3)), Err(IndexError::Damaged(1))));
        std::fs::remove_file(path).unwrap();
    }
}
