//! `verify`: re-reads a whole journal and recomputes everything that it claims.
//!
//! Holds: files are opened to be read; no lock is taken; beside a running node everything that was
//! durable when reading began is read, and what came after is not judged. Leaves to others: where a
//! journal ends (`journal::recover`), what its records must say (`ledger::Audit`).

mod beyond;
mod error;
pub(crate) mod examiner;
pub(crate) mod files;
mod finding;
mod holder;
mod report;
pub(crate) mod segments;

use std::{convert::Infallible, path::Path};

use journal::{
    Checkpoint, FRAME_FORMAT, FrameNumber, Input, Recovered, RecoveryError, Tail, Witness, recover,
    recovery_buffer_bytes,
};
use ledger::HashKind;
use model::{Incarnation, Seq};

pub use beyond::Beyond;
pub use error::VerifyError;
use examiner::Examiner;
pub(crate) use files::Files;
pub use finding::Finding;
pub use holder::Holder;
pub(crate) use holder::of as holder_of;
pub use report::{AssetFacts, Checked, LedgerFacts, Report, TailReport};
pub(crate) use segments::Segments;

/// What a clean verdict does not vouch for.
const NOT_CHECKED: [&str; 7] = [
    "the tables inside a checkpoint (its digest, its last frame and its root are)",
    "that the rows of a slice add up to the totals in its entry",
    "derived files: tiles and the frame index are rebuilt from the journal where they do not fit",
    "that blinds were drawn from the ledger's secret, and who was allowed to ask",
    "keys older than the retention, of which a second outcome would be none",
    "unused bytes of segments, and bytes that earlier starts have cut aside",
    "the signatures of published checkpoints (see verify-receipt)",
];

/// Reads the ledger in `data_dir` (or in its `ledger`) and says what holds. `progress` is told
/// frames and bytes as they are read.
///
/// # Errors
/// `VerifyError` if there is no verdict. Damage is not an error but a report with findings.
pub fn verify(data_dir: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Report, VerifyError> {
    let files = Files::read(data_dir)?;
    let lock = files.root.join(journal::LOCK_FILE);
    let holder = holder::of(&lock);
    let hash = match files.superblock.hash {
        journal::HashKind::Sha256 => HashKind::Sha256,
        journal::HashKind::Blake3 => HashKind::Blake3,
    };
    let mut examiner = Examiner::new(hash, files.superblock.ledger, files.slot, files.checkpoints.clone());
    let mut read = Reading { files: &files, bytes: 0, segments: 0, direct: true };
    let (tail, beyond) = read.journal(&mut examiner, progress)?;
    let held = holder.or_else(|| holder::of(&lock));
    let moved =
        held.is_some() || files.slot_now()?.map(|slot| slot.sequence) != files.slot.map(|slot| slot.sequence);
    let tail = match tail {
        TailReport::Torn { .. } if moved => TailReport::Moving,
        TailReport::Clean if held.is_some() => TailReport::Moving,
        tail @ (TailReport::Clean | TailReport::Torn { .. } | TailReport::Moving | TailReport::Rot) => tail,
    };
    finish(&files, examiner, held, tail, beyond, &read)
}

/// One reading of the journal.
struct Reading<'a> {
    files: &'a Files,
    bytes: u64,
    segments: u64,
    direct: bool,
}

impl Reading<'_> {
    fn journal(
        &mut self,
        examiner: &mut Examiner,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(TailReport, Option<Beyond>), VerifyError> {
        let first = self.round(examiner, progress)?;
        let Tail::Rot(rot) = first.tail else { return Ok((told(&first), None)) };
        if matches!(rot.witness, Witness::LaterFrame(_)) {
            // Beside a running node the missing frame may have been on its way when it was read, and
            // whoever vouches for it was read after that. If so, it is there now.
            let again = self.round(examiner, progress)?;
            if again.frames > 0 {
                return Ok((TailReport::Moving, None));
            }
        }
        let what = format!("{}; {} knows it to have been durable", rot.bad, witness(&rot.witness));
        let last = examiner.last.map_or(Seq::ZERO, |last| last.through);
        let finding = Finding::of_frame(rot.at, rot.expected, what).at_seq(last.next());
        let expected = format!("frame {} (durable through frame {})", rot.expected, rot.claimed);
        examiner.found(finding.expected(expected, "no such frame"));
        let mut segments = self.open()?;
        let beyond = beyond::search(self.files, &rot, &mut segments, examiner);
        self.count(&segments);
        Ok((TailReport::Rot, Some(beyond)))
    }

    /// Reads from the last frame that the examiner has, to the end.
    fn round(
        &mut self,
        examiner: &mut Examiner,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Recovered, VerifyError> {
        let Files { superblock, key, slot, checkpoints, .. } = self.files;
        let start: Option<Checkpoint> = examiner.last;
        let input = Input {
            geometry: superblock.geometry,
            ledger: superblock.ledger,
            incarnation: superblock.incarnation,
            epoch: superblock.epoch,
            key,
            slot: slot.as_ref(),
            checkpoint: start.as_ref(),
            checkpoint_frame_max: known_frame(checkpoints, superblock.incarnation),
        };
        let mut segments = self.open()?;
        let mut buffer = vec![0; recovery_buffer_bytes(superblock.geometry)];
        let recovered = recover(&input, &mut segments, &mut buffer, |frame| {
            examiner.take(frame);
            progress(examiner.frames, examiner.frame_bytes);
            Ok::<(), Infallible>(())
        });
        self.count(&segments);
        recovered.map_err(|error| no_verdict(error, segments.refused.take(), examiner.frames))
    }

    fn open(&self) -> Result<Segments, VerifyError> {
        Ok(Segments::open(&self.files.root.join(journal::SEGMENT_DIR))?)
    }

    fn count(&mut self, segments: &Segments) {
        use journal::SegmentSource;
        self.bytes += segments.read_bytes;
        self.segments = segments.segments().len() as u64;
        self.direct &= segments.is_direct;
    }
}

/// The highest frame that a checkpoint of this life, or of a later one, names.
fn known_frame(checkpoints: &[files::CheckpointFile], incarnation: Incarnation) -> FrameNumber {
    let frames = checkpoints.iter().map(|file| &file.header).filter(|named| named.incarnation >= incarnation);
    frames.map(|named| named.frame).max().unwrap_or(FrameNumber::ZERO)
}

fn no_verdict(
    error: RecoveryError<Infallible>,
    refused: Option<disk::DiskError>,
    frames: u64,
) -> VerifyError {
    match error {
        RecoveryError::Format { position, format } => {
            VerifyError::Format { position: position.to_string(), format }
        }
        RecoveryError::Read { segment, offset, failure } => match refused.map(VerifyError::from) {
            Some(permission @ VerifyError::Permission(_)) => permission,
            Some(_) | None => VerifyError::Read { segment: segment.0, offset, failure, frames },
        },
        RecoveryError::Checkpoint => VerifyError::Changed { frames },
        RecoveryError::Buffer => unreachable!("the buffer is as large as it asks"),
        RecoveryError::Replay { error, .. } => match error {},
    }
}

fn told(recovered: &Recovered) -> TailReport {
    match &recovered.tail {
        Tail::Clean => TailReport::Clean,
        Tail::Torn(cut) => {
            TailReport::Torn { bytes: cut.bytes, at: recovered.next.to_string(), why: cut.bad.to_string() }
        }
        Tail::Rot(_) => TailReport::Rot,
    }
}

fn witness(witness: &Witness) -> String {
    match witness {
        Witness::Slot => "the frontier slot".into(),
        Witness::LaterFrame(at) => format!("the frame at {at}"),
        Witness::Checkpoint => "a checkpoint".into(),
        Witness::SlotLost => {
            "nobody can say that it was not: both copies of the frontier slot are damaged; it".into()
        }
        Witness::SegmentLost(segment) => {
            format!("the frontier slot, which announced segment {segment}, now gone,")
        }
        Witness::Superblock(incarnation) => {
            format!("the superblock, whose incarnation {} begins with it,", incarnation.0)
        }
        Witness::SlotContradicts => {
            "the frontier slot, which names another frame or root in its place,".into()
        }
    }
}

fn finish(
    files: &Files,
    mut examiner: Examiner,
    holder: Option<Holder>,
    tail: TailReport,
    beyond: Option<Beyond>,
    reading: &Reading<'_>,
) -> Result<Report, VerifyError> {
    let last = examiner.last;
    if let Err(wrong) = examiner.audit.finish() {
        let (at, frame) = last.map(|last| (last.position, last.frame)).unwrap_or_default();
        examiner.found(Finding::of_frame(at, frame, wrong.fault.to_string()).at_seq(wrong.seq));
    }
    let audited = examiner.audit.report();
    let assets = audited.assets.iter().map(|(asset, facts)| {
        let (moved, minted, burned) =
            (facts.moved.to_string(), facts.minted.to_string(), facts.burned.to_string());
        (asset.as_str().to_owned(), AssetFacts { entries: facts.entries, moved, minted, burned })
    });
    let checked = Checked {
        segments: reading.segments,
        bytes_read: reading.bytes,
        direct_io: reading.direct,
        frames: examiner.frames,
        frame_bytes: examiner.frame_bytes,
        frames_empty: examiner.frames_empty,
        epochs: examiner.epochs,
        cut_bytes: examiner.cut_bytes,
        entries: audited.entries,
        entries_by_kind: examiner.kinds,
        accounts: audited.accounts,
        names: audited.names,
        keys: audited.keys,
        refusals: audited.refusals,
        slices: audited.slices,
        slice_bytes: audited.slice_bytes,
        streams: audited.streams,
        roots: audited.heads,
        checkpoints: examiner.checkpoints_seen,
        slot: examiner.slot_seen,
        assets: assets.collect(),
        last_frame: last.map_or(0, |last| last.frame.0),
        last_seq: last.map_or(0, |last| last.through.0),
        root: hex::encode(audited.root),
    };
    let ledger = LedgerFacts {
        id: hex::encode(files.superblock.ledger.0),
        incarnation: files.superblock.incarnation.0,
        epoch: files.superblock.epoch.0,
        format: FRAME_FORMAT,
        hash: match files.superblock.hash {
            journal::HashKind::Sha256 => "sha256",
            journal::HashKind::Blake3 => "blake3",
        },
    };
    Ok(Report {
        clean: examiner.findings_count == 0,
        directory: files.root.display().to_string(),
        ledger,
        holder,
        checked,
        tail,
        beyond,
        not_checked: NOT_CHECKED.map(str::to_owned).to_vec(),
        remarks: files.remarks.clone(),
        findings_count: examiner.findings_count,
        findings: examiner.findings,
    })
}

#[cfg(test)]
mod tests;
