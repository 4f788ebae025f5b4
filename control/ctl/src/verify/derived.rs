//! `Derived`: tiles, frame index and history beside the journal that implies them.
//!
//! Holds: files are opened before the journal is read, and compared as far as they went then, so a
//! node that runs meanwhile changes nothing of the verdict; a difference takes nothing from the
//! journal's own verdict. Leaves to others: what the journal says (`Examiner`).

use std::path::{Path, PathBuf};

use disk::{Access, DiskError, PlainFile, directory};
use journal::Frame;
use ledger::{
    Blocks, FRAME_ROW_BYTES, FrameRow, HISTORY_BLOCK_BYTES, HashKind, HistoryBlock, HistoryRow, RunEnd,
    RunHeader, RunReader, Tree, history_rows,
};
use model::{BatchView, LedgerId, RecordRef, Seq};
use serde::Serialize;

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Bytes of a node of a tile.
const NODE_BYTES: u64 = 32;
/// Levels of the tree between two files.
const LEVELS_PER_FILE: u8 = 8;
const DO_TILES: &str =
    "nothing of the ledger is lost; remove derived/ while no node runs, and the next start derives it anew";
const DO_RUN: &str =
    "nothing of the ledger is lost; remove the file, and the next start reads its entries again";

/// What was compared of the files that the journal implies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DerivedReport {
    /// Hashes of tiles.
    pub tile_hashes: u64,
    /// Rows of the frame index.
    pub frame_rows: u64,
    /// Runs of the history.
    pub runs: u64,
    /// Rows of those.
    pub history_rows: u64,
    /// What is not what the journal says, the first of each file.
    pub differences: Vec<Difference>,
}

/// A derived file that is not what the journal says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The file.
    pub file: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.file, self.what, self.remedy)
    }
}

/// A file whose bytes are known one after the other.
#[derive(Debug)]
struct Sequence {
    path: PathBuf,
    file: PlainFile,
    /// As it was when it was opened.
    len: u64,
    at: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
    /// It is compared no further.
    over: bool,
}

impl Sequence {
    /// Opens it; `None` if it is not there.
    fn open(path: &Path) -> Result<Option<Self>, DiskError> {
        let file = match PlainFile::open(path, Access::ReadOnly) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let len = file.len_bytes()?;
        Ok(Some(Self { path: path.into(), file, len, at: 0, chunk: Vec::new(), chunk_at: 0, over: false }))
    }

    /// Compares what comes next; `None` where the file did not go so far.
    fn next(&mut self, expected: &[u8]) -> Option<bool> {
        let (from, to) = (self.at, self.at + expected.len() as u64);
        self.over |= to > self.len;
        if self.over {
            return None;
        }
        if to > self.chunk_at + self.chunk.len() as u64 {
            let len = usize::try_from(self.len - from).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            self.chunk.resize(len, 0);
            self.chunk_at = from;
            if self.file.read_at(from, &mut self.chunk).is_err() {
                // A start has cut it since, or it cannot be read; the latter is told.
                self.over = true;
                return (self.file.len_bytes().is_ok_and(|len| len >= self.len)).then_some(false);
            }
        }
        let place = usize::try_from(from - self.chunk_at).expect("within the chunk");
        let same = self.chunk.get(place..place + expected.len()) == Some(expected);
        self.at = to;
        self.over = !same;
        Some(same)
    }
}

/// A run, and what the journal says of its entries.
#[derive(Debug)]
struct Run {
    path: PathBuf,
    header: RunHeader,
    file: PlainFile,
    rows: u64,
    /// Sum over the digests of the rows, whatever their order.
    sum: u128,
    /// The frame of its last entry.
    end: Option<RunEnd>,
}

impl Blocks for Run {
    type Error = DiskError;

    fn read(&self, number: u64, block: &mut HistoryBlock) -> Result<(), DiskError> {
        self.file.read_at((number + 1) * HISTORY_BLOCK_BYTES as u64, block)
    }
}

/// The files, and how far they were compared.
#[derive(Debug)]
pub(super) struct Derived {
    ledger: LedgerId,
    tree: Tree,
    levels: Vec<Sequence>,
    frames: Option<Sequence>,
    runs: Vec<Run>,
    report: DerivedReport,
}

impl Derived {
    /// Opens what there is in the ledger's directory. What cannot be opened is a difference.
    pub(super) fn open(root: &Path, ledger: LedgerId, hash: HashKind) -> Self {
        let (tree, report) = (Tree::new(hash), DerivedReport::default());
        let mut derived = Self { ledger, tree, levels: Vec::new(), frames: None, runs: Vec::new(), report };
        let (tiles, history) = (root.join("derived"), root.join("history"));
        if let Err(error) = derived.open_tiles(&tiles) {
            derived.differs(&tiles, error.to_string(), DO_TILES);
        }
        if let Err(error) = derived.open_runs(&history) {
            derived.differs(&history, error.to_string(), DO_RUN);
        }
        derived
    }

    fn open_tiles(&mut self, home: &Path) -> Result<(), DiskError> {
        while let Some(level) = Sequence::open(&home.join(format!("level-{}", self.levels.len())))? {
            self.levels.push(level);
        }
        self.frames = Sequence::open(&home.join("frames"))?;
        Ok(())
    }

    fn open_runs(&mut self, home: &Path) -> Result<(), DiskError> {
        let entries = match directory::list(home) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries.into_iter().filter(|entry| entry.is_file && entry.name.ends_with(".run")) {
            let path = home.join(&entry.name);
            let mut block = [0; HISTORY_BLOCK_BYTES];
            let read = PlainFile::open(&path, Access::ReadOnly).and_then(|file| {
                file.read_at(0, &mut block)?;
                Ok(file)
            });
            match (read, RunHeader::decode(&block, self.ledger)) {
                (Ok(file), Ok(header)) => {
                    self.runs.push(Run { path, header, file, rows: 0, sum: 0, end: None });
                }
                // Merged into another since it was listed.
                (Err(error), _) if error.is_not_found() => {}
                (Err(error), _) => self.differs(&path, error.to_string(), DO_RUN),
                (Ok(_), Err(error)) => self.differs(&path, error.to_string(), DO_RUN),
            }
        }
        Ok(())
    }

    fn differs(&mut self, path: &Path, what: impl Into<String>, remedy: &str) {
        let (file, what) = (path.display().to_string(), what.into());
        self.report.differences.push(Difference { file, what, remedy: remedy.into() });
    }

    /// Goes on after a checkpoint's tree: what the files say of entries before is not compared.
    pub(super) fn resume(&mut self, tree: Tree) {
        let size = tree.size();
        for (level, file) in (0_u32..).zip(&mut self.levels) {
            let nodes = size.checked_shr(level * u32::from(LEVELS_PER_FILE)).unwrap_or(0);
            file.at = nodes * NODE_BYTES;
        }
        if let Some(frames) = &mut self.frames {
            match first_row_after(frames, Seq(size), tree.hash(), self.ledger) {
                Ok(row) => frames.at = row * FRAME_ROW_BYTES as u64,
                Err(what) => {
                    frames.over = true;
                    let path = frames.path.clone();
                    self.differs(&path, what, DO_TILES);
                }
            }
        }
        self.runs.retain(|run| run.header.name.first.0 > size);
        self.tree = tree;
    }

    /// Compares what the next frame implies.
    pub(super) fn take(&mut self, frame: &Frame<'_>) {
        let header = &frame.header;
        let Ok(batch) = BatchView::parse(frame.payload) else { return };
        if header.count == 0 {
            return;
        }
        let mut has_slices = false;
        for record in batch.iter().filter_map(Result::ok) {
            has_slices |= matches!(record, RecordRef::Slice(..));
            self.take_leaf(&ledger::record_leaf_hash(self.tree.hash(), &record));
            if let RecordRef::Posting(posting) = &record {
                history_rows(posting).for_each(|row| self.take_row(&row));
            }
        }
        let row = FrameRow {
            first_seq: header.first_seq,
            count: header.count,
            segment: header.position.segment.0,
            offset: header.position.offset,
            at: header.at,
            root: header.root,
            has_slices,
        };
        let compared =
            self.frames.as_mut().and_then(|frames| frames.next(&row.encode(self.tree.hash(), self.ledger)));
        self.report.frame_rows += u64::from(compared == Some(true));
        if compared == Some(false) {
            let path = self.frames.as_ref().map(|frames| frames.path.clone()).unwrap_or_default();
            self.differs(&path, format!("not the row of frame {}", header.frame), DO_TILES);
        }
        for run in self.runs.iter_mut().filter(|run| run.header.name.last == header.last_seq()) {
            run.end = Some(RunEnd {
                incarnation: header.incarnation,
                frame: header.frame.0,
                hash: frame.hash.0,
                segment: header.position.segment.0,
                offset: header.position.offset,
                root: header.root,
            });
        }
    }

    fn take_leaf(&mut self, leaf: &[u8; 32]) {
        let Self { tree, levels, report, .. } = self;
        let mut wrong = Vec::new();
        tree.push_each(*leaf, |level, index, hash| {
            let file = usize::from(level / LEVELS_PER_FILE);
            if level % LEVELS_PER_FILE == 0
                && let Some(file) = levels.get_mut(file)
                && let Some(same) = file.next(hash)
            {
                report.tile_hashes += u64::from(same);
                wrong.extend((!same).then(|| (file.path.clone(), index)));
            }
        });
        for (path, index) in wrong {
            self.differs(&path, format!("not the hash of node {index}"), DO_TILES);
        }
    }

    fn take_row(&mut self, row: &HistoryRow) {
        let covers = |run: &&mut Run| run.header.name.first <= row.seq && row.seq <= run.header.name.last;
        for run in self.runs.iter_mut().filter(covers) {
            run.rows += 1;
            run.sum = run.sum.wrapping_add(digest(row));
        }
    }

    /// Compares the runs; the journal was read up to `through`.
    pub(super) fn finish(mut self, through: Seq) -> DerivedReport {
        for run in std::mem::take(&mut self.runs) {
            // Of what could not be read of the journal, nothing is said.
            if run.header.name.last > through {
                continue;
            }
            self.report.runs += 1;
            let (mut rows, mut sum, mut error) = (0, 0_u128, None);
            for row in RunReader::new(&run.header, &run).all() {
                match row {
                    Ok(row) => {
                        rows += 1;
                        sum = sum.wrapping_add(digest(&row));
                    }
                    Err(damage) => error = Some(damage.to_string()),
                }
            }
            self.report.history_rows += rows;
            if let Some(error) = error {
                self.differs(&run.path, error, DO_RUN);
            } else if (rows, sum) != (run.rows, run.sum) {
                let what = format!("{rows} rows, and the journal implies {} others", run.rows);
                self.differs(&run.path, what, DO_RUN);
            } else if run.end != Some(run.header.end) {
                self.differs(&run.path, "its last frame is not that of the journal", DO_RUN);
            }
        }
        self.report
    }
}

/// The number of the first row that lies after the entry.
fn first_row_after(frames: &Sequence, seq: Seq, hash: HashKind, ledger: LedgerId) -> Result<u64, String> {
    let (mut low, mut high) = (0, frames.len / FRAME_ROW_BYTES as u64);
    while low < high {
        let middle = low.midpoint(high);
        let mut bytes = [0; FRAME_ROW_BYTES];
        let read = frames.file.read_at(middle * FRAME_ROW_BYTES as u64, &mut bytes);
        read.map_err(|error| error.to_string())?;
        let row = FrameRow::decode(&bytes, hash, ledger);
        let row = row.ok_or_else(|| format!("row {middle} is damaged"))?;
        if row.first_seq > seq { high = middle } else { low = middle + 1 }
    }
    Ok(low)
}

/// A number for a row that no other row is likely to have.
fn digest(row: &HistoryRow) -> u128 {
    let mut bytes = Vec::with_capacity(80);
    bytes.extend(row.key.account.bits().to_le_bytes());
    bytes.extend(row.key.asset.bytes());
    bytes.extend(row.account_seq.to_le_bytes());
    bytes.extend(row.seq.0.to_le_bytes());
    bytes.extend(row.balance.units().to_le_bytes());
    bytes.extend(row.held.to_le_bytes());
    let digest = HashKind::Blake3.digest(&bytes);
    u128::from_le_bytes(*digest.first_chunk().expect("a hash is longer"))
}
