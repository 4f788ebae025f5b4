//! `Batch`: rows of the newest entries in memory, in the order of the entries, findable by account.

use journal::FrameHeader;
use ledger::{HistoryKey, HistoryRow, Place, RUN_ROWS, RunEnd};
use model::{Seq, limits::FRAME_ENTRIES_MAX};

/// Rows of a batch at most: a frame is taken whole.
pub(super) const BATCH_ROWS_MAX: usize = 65_536 + 2 * FRAME_ENTRIES_MAX;
/// Heads of the lists of rows.
const HEADS: usize = 1 << 15;
/// No row.
const NONE: u32 = u32::MAX;

const _: () = assert!(RUN_ROWS == 65_536);

/// The rows of entries that follow one another.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) first: Seq,
    pub(super) last: Seq,
    /// The last frame; `None` before the first one.
    pub(super) end: Option<RunEnd>,
    rows: Vec<Linked>,
    heads: Vec<u32>,
}

/// A row and the one before it in its list.
#[derive(Debug)]
struct Linked {
    row: HistoryRow,
    before: u32,
}

/// Account ids are digests, so some of their bits are as good as any.
fn head_of(key: &HistoryKey) -> usize {
    usize::try_from(key.account.bits() % (HEADS as u128)).expect("less than the heads")
}

impl Batch {
    /// An empty one, of the entries after `through`.
    pub(super) fn after(through: Seq) -> Self {
        Self { first: through.next(), last: through, end: None, rows: Vec::new(), heads: vec![NONE; HEADS] }
    }

    /// Whether no entry is in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.end.is_none()
    }

    /// Whether it has as many rows as a run takes.
    pub(super) fn is_full(&self) -> bool {
        u64::try_from(self.rows.len()).is_ok_and(|rows| rows >= RUN_ROWS)
    }

    /// Adds the rows of the next frame, which `end` names.
    pub(super) fn push(
        &mut self,
        first: Seq,
        last: Seq,
        end: RunEnd,
        rows: impl Iterator<Item = HistoryRow>,
    ) {
        assert_eq!(first, self.last.next(), "frames follow one another");
        for row in rows {
            let head = self.heads.get_mut(head_of(&row.key)).expect("a head for each remainder");
            let before = std::mem::replace(head, u32::try_from(self.rows.len()).expect("a batch is bounded"));
            self.rows.push(Linked { row, before });
        }
        assert!(self.rows.len() <= BATCH_ROWS_MAX, "a full batch takes no frame");
        self.last = last;
        self.end = Some(end);
    }

    /// The last row of `key` at or before `seq`.
    pub(super) fn last_at(&self, key: &HistoryKey, seq: Seq) -> Option<HistoryRow> {
        let mut of_key = self.newest_first(key);
        of_key.find(|row| Place::Seq(seq).reaches(key, row)).copied()
    }

    /// Adds to `found` the rows of `key` from sequence `from` on, until it holds `most`.
    pub(super) fn rows_from(&self, key: &HistoryKey, from: u64, most: usize, found: &mut Vec<HistoryRow>) {
        let of_key = self.newest_first(key).take_while(|row| row.account_seq >= from);
        let rows: Vec<HistoryRow> = of_key.copied().collect();
        found.extend(rows.into_iter().rev().take(most.saturating_sub(found.len())));
    }

    /// All rows in the order of a run.
    pub(super) fn sorted(&self) -> Vec<HistoryRow> {
        let mut rows: Vec<HistoryRow> = self.rows.iter().map(|linked| linked.row).collect();
        rows.sort_unstable_by_key(|row| (row.key, row.account_seq));
        rows
    }

    fn newest_first(&self, key: &HistoryKey) -> impl Iterator<Item = &HistoryRow> {
        let mut at = self.heads.get(head_of(key)).copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let linked = self.rows.get(usize::try_from(at).ok()?)?;
            at = linked.before;
            Some(&linked.row)
        })
        .filter(move |row| row.key == *key)
    }
}

/// The frame of this header as a run names the one that it ends with.
pub(super) fn end_at(header: &FrameHeader, hash: journal::FrameHash) -> RunEnd {
    RunEnd {
        incarnation: header.incarnation,
        frame: header.frame.0,
        hash: hash.0,
        segment: header.position.segment.0,
        offset: header.position.offset,
        root: header.root,
    }
}
