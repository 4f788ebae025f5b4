//! `ship verify`: an archive against its index, and every entry in it audited.
//!
//! Holds: the verdict needs nothing but the archive; with the log's key named, not even its word on
//! whose it is. A file that fails is told, and the others are checked all the same.

use std::{convert::Infallible, path::Path};

use disk::DiskError;
use journal::{
    BadFrame, ChainStart, Input, RecoveryError, ShippedSegment, Superblock, follow, recovery_buffer_bytes,
};
use ledger::{HashKind, NoteVerifier};
use model::Epoch;
use serde::Serialize;

use super::{Archive, ArchiveError, digest_of, facts::SegmentFacts};
use crate::verify::examiner::Examiner;

/// What an archive was found to be.
#[derive(Debug, Serialize)]
pub struct ArchiveReport {
    /// Whether nothing was found.
    pub clean: bool,
    /// The archive.
    pub directory: String,
    /// Whose it is.
    pub ledger: String,
    /// Which life of the ledger.
    pub incarnation: u32,
    /// The key that signed the index.
    pub log_key: String,
    /// Segments that the index names.
    pub segments: usize,
    /// Bytes of their frames.
    pub bytes: u64,
    /// Bytes of the files.
    pub file_bytes: u64,
    /// Frames that were read and hold.
    pub frames: u64,
    /// Entries in them, all audited.
    pub entries: u64,
    /// The last entry that the index names.
    pub last_seq: u64,
    /// The root of the tree up to it.
    pub root: String,
    /// What is wrong.
    pub findings: Vec<String>,
}

impl ArchiveReport {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "archive    {}\nledger     {} incarnation {}\nsigned by  {}\nsegments   {} ({} bytes of frames in {} bytes of files)\n\
             audited    {} frames, {} entries, of {}\nroot       {}\n",
            self.directory,
            self.ledger,
            self.incarnation,
            self.log_key,
            self.segments,
            self.bytes,
            self.file_bytes,
            self.frames,
            self.entries,
            self.last_seq,
            self.root
        );
        for finding in &self.findings {
            text.push_str(&format!("finding: {finding}\n"));
        }
        text.push_str(if self.clean { "clean\n" } else { "NOT clean\n" });
        text
    }
}

/// Checks the archive at `root`; `key` is the verifier key that it must be signed with, if it is named.
///
/// # Errors
/// If nothing can be said: no index, or one that cannot be believed.
pub(crate) fn check(
    root: &Path,
    key: Option<&NoteVerifier>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ArchiveReport, ArchiveError> {
    let archive = Archive::open(root)?.ok_or_else(|| ArchiveError::Nothing { path: root.into() })?;
    if let Some(key) = key.filter(|key| **key != archive.verifier) {
        let what = format!("the archive is signed with {}, not with {key}", archive.verifier);
        return Err(ArchiveError::Damaged { path: root.into(), what });
    }
    let mut findings: Vec<String> = Vec::new();
    for row in &archive.index.segments {
        if let Err(what) = check_file(&archive, row)? {
            findings.push(format!("{}: {what}", archive.file(row.segment).display()));
        }
    }
    let examiner = audit(&archive, progress, &mut findings);
    let rows = &archive.index.segments;
    Ok(ArchiveReport {
        clean: findings.is_empty(),
        directory: root.display().to_string(),
        ledger: hex::encode(archive.superblock.ledger.0),
        incarnation: archive.superblock.incarnation.0,
        log_key: archive.verifier.to_string(),
        segments: rows.len(),
        bytes: rows.iter().map(|row| row.bytes).sum(),
        file_bytes: rows.iter().map(|row| row.file_bytes).sum(),
        frames: examiner.frames,
        entries: examiner.audit.report().entries,
        last_seq: archive.index.after().last.seq.0,
        root: hex::encode(rows.last().map_or([0; 32], |row| row.root)),
        findings,
    })
}

/// Whether the file of a segment is the one that the index names, and decompresses to the bytes that
/// were shipped; if not, why.
///
/// # Errors
/// If the kernel does not let it be read.
pub(crate) fn check_file(
    archive: &Archive,
    row: &ShippedSegment,
) -> Result<Result<(), String>, ArchiveError> {
    let file = match digest_of(&archive.file(row.segment)) {
        Ok(digest) => digest,
        Err(ArchiveError::Disk(error)) if error.is_not_found() => return Ok(Err("it is not there".into())),
        Err(ArchiveError::Disk(DiskError::NotOrdinary { .. })) => {
            return Ok(Err("it is no ordinary file".into()));
        }
        Err(error) => return Err(error),
    };
    if (file.bytes, file.blake3) != (row.file_bytes, row.file_digest) {
        return Ok(Err("its bytes are not those that the index names".into()));
    }
    let mut hasher = blake3::Hasher::new();
    let fed = archive.source().all(row.segment, row.bytes, |bytes| {
        hasher.update(bytes);
        Ok(())
    });
    Ok(match fed {
        Ok(bytes) if bytes == row.bytes && *hasher.finalize().as_bytes() == row.digest => Ok(()),
        Ok(_) => Err("it decompresses to other bytes than were shipped".into()),
        Err(error) => Err(format!("it does not decompress: {error}")),
    })
}

/// What reading a chain of this ledger needs to know.
pub(crate) fn chain_input<'a>(superblock: &Superblock, key: &'a journal::FrameKey) -> Input<'a> {
    Input {
        geometry: superblock.geometry,
        ledger: superblock.ledger,
        incarnation: superblock.incarnation,
        epoch: Epoch(0),
        key,
        slot: None,
        checkpoint: None,
        checkpoint_frame_max: journal::FrameNumber::ZERO,
    }
}

/// Every frame of the archive through the audit, and each segment against its row.
fn audit(archive: &Archive, progress: &mut dyn FnMut(u64, u64), findings: &mut Vec<String>) -> Examiner {
    let superblock = &archive.superblock;
    let hash = match superblock.hash {
        journal::HashKind::Sha256 => HashKind::Sha256,
        journal::HashKind::Blake3 => HashKind::Blake3,
    };
    let mut examiner = Examiner::new(hash, superblock.ledger, None, Vec::new());
    let mut segments: Vec<SegmentFacts> = Vec::new();
    let mut buffer = vec![0; recovery_buffer_bytes(superblock.geometry)];
    let input = chain_input(superblock, &archive.key);
    let walked = follow(&input, &ChainStart::GENESIS, &mut archive.source(), &mut buffer, |frame| {
        examiner.take(frame);
        match segments.pop_if(|facts| facts.segment() == frame.header.position.segment) {
            Some(facts) => segments.push(facts.and(frame)),
            None => segments.push(SegmentFacts::begin(frame)),
        }
        progress(examiner.frames, examiner.frame_bytes);
        Ok::<(), Infallible>(())
    });
    findings.extend(examiner.findings.iter().map(ToString::to_string));
    if let Err(wrong) = examiner.audit.finish() {
        findings.push(format!("entry {}: {}", wrong.seq, wrong.fault));
    }
    for (row, facts) in archive.index.segments.iter().zip(&segments) {
        if !facts.are_of(row) {
            findings.push(format!("segment {}: its frames are not those that the index names", row.segment));
        }
    }
    findings.extend(ending(archive, walked));
    examiner
}

/// What is wrong with the place where the chain ended, if it is not the end of the last segment.
fn ending(
    archive: &Archive,
    walked: Result<(ChainStart, BadFrame), RecoveryError<Infallible>>,
) -> Option<String> {
    let rows = &archive.index.segments;
    match walked {
        Ok((end, _)) if end.last.frame == archive.index.after().last.frame => None,
        Ok((end, bad)) => {
            let segment = rows.iter().find(|row| row.last.0 > end.last.frame).map(|row| row.segment);
            let segment = segment.unwrap_or(end.next.segment);
            Some(format!("segment {segment}: frame {} is not there: {bad}", end.last.frame.next()))
        }
        Err(error) => Some(error.to_string()),
    }
}
