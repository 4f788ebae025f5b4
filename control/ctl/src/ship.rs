//! `ship`: copies the segments that the journal has left to an archive, beside a running node.
//!
//! Holds: no lock of the ledger is taken and nothing of it is written; a segment is shipped when a later
//! one holds a frame that the slot names as durable; what is shipped was read back from the archive's
//! file and walked frame by frame first, so rot is told and not shipped; a kill at any moment leaves an
//! archive that the next run goes on with. Leaves to others: the archive's files (`archive`).

use std::path::{Path, PathBuf};

use disk::directory;
use journal::{
    ChainStart, FrameNumber, READ_BYTES, RecoveryError, SegmentNumber, SegmentSource, Slot, follow,
    recovery_buffer_bytes,
};
use ledger::{NoteSigner, NoteVerifier};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    archive::{
        ArchiveError, ArchivedSegments, SegmentFacts, Writer, chain_input, compress, file_name, fingerprint,
    },
    verify::{files::Files, segments::Segments},
};

/// Bytes of a key's file at most.
const KEY_BYTES_MAX: u64 = 4_096;

/// What a run of `ship` did.
#[derive(Debug, Serialize)]
pub struct ShipReport {
    /// The archive.
    pub directory: String,
    /// Segments shipped by this run.
    pub shipped: u64,
    /// Bytes of their files.
    pub file_bytes: u64,
    /// Segments in the archive now.
    pub segments: usize,
    /// The last entry in it.
    pub last_seq: u64,
}

impl ShipReport {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}: shipped {} segments ({} bytes), {} in the archive, up to entry {}\n",
            self.directory, self.shipped, self.file_bytes, self.segments, self.last_seq
        )
    }
}

/// A ledger and the archive that it is shipped to.
pub(crate) struct Shipping {
    files: Files,
    writer: Writer,
    report: ShipReport,
    /// Whether nothing was shipped since the archive's files were looked at.
    looked: bool,
}

impl Shipping {
    /// Opens both. `keys` is the directory of the node's keys; left out, the one beside the ledger.
    ///
    /// # Errors
    /// `ArchiveError`, and which.
    pub(crate) fn open(data_dir: &Path, keys: Option<&Path>, to: &Path) -> Result<Self, ArchiveError> {
        let files = Files::read(data_dir)?;
        let signer = signer(&files, keys)?;
        let writer = Writer::open(to, &files.superblock, signer)?;
        let report = ShipReport {
            directory: to.display().to_string(),
            shipped: 0,
            file_bytes: 0,
            segments: 0,
            last_seq: 0,
        };
        Ok(Self { files, writer, report, looked: false })
    }

    /// Ships every segment that the journal has left and the archive does not have; `told` is called
    /// after each. Then every file that the index names must be there, at its length.
    ///
    /// # Errors
    /// `Rot`, `Gap`, `Holes`, or what the kernel refuses. What was shipped before stays shipped.
    pub(crate) fn run(&mut self, told: &mut dyn FnMut(SegmentNumber)) -> Result<&ShipReport, ArchiveError> {
        while let Some(facts) = self.sealed()? {
            self.ship(&facts)?;
            self.looked = false;
            told(facts.segment());
        }
        if !self.looked {
            let files = self.writer.archive.holes()?;
            if !files.is_empty() {
                return Err(ArchiveError::Holes { path: self.writer.archive.root.clone(), files });
            }
            self.looked = true;
        }
        self.report.segments = self.writer.archive.index.segments.len();
        self.report.last_seq = self.writer.archive.index.after().last.seq.0;
        Ok(&self.report)
    }

    fn segments(&self) -> PathBuf {
        self.files.root.join(journal::SEGMENT_DIR)
    }

    /// The next segment, if the journal has left it. The slot is read before the frames, so what it
    /// names must be there.
    fn sealed(&self) -> Result<Option<SegmentFacts>, ArchiveError> {
        let start = self.writer.archive.index.after();
        let segment = start.next.segment;
        let Some(slot) = self.files.slot_now()? else {
            let what = "both copies of the frontier slot are damaged, nobody can say what is durable".into();
            return Err(ArchiveError::Rot { segment, offset: 0, what });
        };
        if slot.segment <= segment {
            return Ok(None);
        }
        let mut source = Segments::open(&self.segments()).map_err(ArchiveError::from)?;
        let first = source.segments().first().map(|file| file.segment);
        if first.is_some_and(|first| first > segment) {
            return Err(ArchiveError::Gap { wanted: segment });
        }
        walk_segment(&self.files, &start, &slot, &mut source)
    }

    /// Copies a sealed segment, reads the copy back, and adds it to the index.
    fn ship(&mut self, facts: &SegmentFacts) -> Result<(), ArchiveError> {
        let segment = facts.segment();
        let home = self.writer.archive.segments_dir();
        let fresh = home.join(format!(".{}.new", file_name(segment)));
        let mut source = Segments::open(&self.segments()).map_err(ArchiveError::from)?;
        let (read, file) = compress(&fresh, |give| {
            let mut piece = vec![0; READ_BYTES];
            let mut at = 0;
            while at < facts.end() {
                let len = usize::try_from(facts.end() - at).unwrap_or(READ_BYTES).min(READ_BYTES);
                source.read(segment, at, &mut piece[..len]).map_err(|failure| {
                    let what = format!("the device does not give up the bytes ({failure:?})");
                    ArchiveError::Rot { segment, offset: at, what }
                })?;
                give(&piece[..len])?;
                at += len as u64;
            }
            Ok(())
        })?;
        let row = facts.row(read, file);
        let name = home.join(file_name(segment));
        directory::rename(&fresh, &name)?;
        // What the archive will be believed for is what its file says, not what was meant.
        let mut written = ArchivedSegments::new(home, std::iter::once(&row));
        let start = self.writer.archive.index.after();
        let again = walk(&self.files, &start, &mut written)?;
        if again != (Some(*facts), None) {
            let what = "the segment changed while it was read, or the archive's disk is at fault".into();
            return Err(ArchiveError::Rot { segment, offset: 0, what });
        }
        self.writer.push(row)?;
        self.report.shipped += 1;
        self.report.file_bytes += row.file_bytes;
        Ok(())
    }
}

/// The facts of the segment that begins at `start`, if a frame that the slot names as durable lies in a
/// later one.
fn walk_segment(
    files: &Files,
    start: &ChainStart,
    slot: &Slot,
    source: &mut Segments,
) -> Result<Option<SegmentFacts>, ArchiveError> {
    let (facts, left) = walk(files, start, source)?;
    let reached = facts.map_or(start.last.frame, |facts| facts.last_frame());
    if left.is_none() && slot.frame > reached {
        let what = format!("frame {} is not there, and the slot knows it to be durable", reached.next());
        let offset = facts.map_or(0, |facts| facts.end());
        return Err(ArchiveError::Rot { segment: start.next.segment, offset, what });
    }
    Ok(facts.filter(|_| left.is_some_and(|frame| frame <= slot.frame)))
}

/// The facts of the segment that begins at `start`, and the first frame of the next one if the chain
/// goes on there.
fn walk<S: SegmentSource>(
    files: &Files,
    start: &ChainStart,
    source: &mut S,
) -> Result<(Option<SegmentFacts>, Option<FrameNumber>), ArchiveError> {
    let segment = start.next.segment;
    let mut buffer = vec![0; recovery_buffer_bytes(files.superblock.geometry)];
    let (mut facts, mut padding): (Option<SegmentFacts>, Option<u64>) = (None, None);
    let input = chain_input(&files.superblock, &files.key);
    let walked = follow(&input, start, source, &mut buffer, |frame| {
        if frame.header.position.segment != segment {
            return Err(frame.header.frame);
        }
        if frame.padding.iter().any(|byte| *byte != 0) {
            padding = padding.or(Some(frame.header.position.offset));
        }
        facts = Some(facts.map_or_else(|| SegmentFacts::begin(frame), |facts| facts.and(frame)));
        Ok(())
    });
    if let Some(offset) = padding {
        let what = "the bytes between the payload and the frame's end are not zero".into();
        return Err(ArchiveError::Rot { segment, offset, what });
    }
    match walked {
        Ok(_) => Ok((facts, None)),
        Err(RecoveryError::Replay { error: next, .. }) => Ok((facts, Some(next))),
        Err(error) => {
            let offset = facts.map_or(0, |facts| facts.end());
            Err(ArchiveError::Rot { segment, offset, what: error.to_string() })
        }
    }
}

/// The log's key, if it is the one that the superblock names.
fn signer(files: &Files, keys: Option<&Path>) -> Result<NoteSigner, ArchiveError> {
    let beside = files.root.parent().unwrap_or(&files.root).join("keys");
    let keys = keys.unwrap_or(&beside);
    let (seed_file, vkey_file) = (keys.join("checkpoint.key"), keys.join("log.vkey"));
    let read = |path: &PathBuf| match directory::read_file(path, KEY_BYTES_MAX) {
        Ok(bytes) => Ok(Zeroizing::new(bytes)),
        Err(error) if error.is_not_found() => {
            Err(ArchiveError::Keys { path: path.clone(), what: "the log's key is not there" })
        }
        Err(error) => Err(error.into()),
    };
    let vkey = read(&vkey_file)?;
    let vkey = std::str::from_utf8(&vkey).ok().and_then(|text| NoteVerifier::parse(text.trim_end()).ok());
    let no_vkey = || ArchiveError::Keys { path: vkey_file.clone(), what: "this holds no verifier key" };
    let vkey = vkey.ok_or_else(no_vkey)?;
    let mut seed = Zeroizing::new([0; 32]);
    let text = read(&seed_file)?;
    let wrong = |what| ArchiveError::Keys { path: seed_file.clone(), what };
    hex::decode_to_slice(text.trim_ascii_end(), &mut seed[..])
        .map_err(|_| wrong("a key is 64 hex digits on one line"))?;
    let signer = NoteSigner::new(vkey.name(), &seed).map_err(|_| wrong("the log's name is not one"))?;
    if fingerprint(&signer.verifier()) != files.superblock.log_key {
        return Err(wrong("this is not the key that this ledger's roots are signed with"));
    }
    Ok(signer)
}

#[cfg(test)]
mod tests;
