//! `snapshot verify` and `snapshot restore`: the archive unpacked into a directory of its own, audited,
//! cut at a frame boundary, given a new life, and only then named.
//!
//! Holds: the place asked for is absent or empty until the restored ledger is whole and durable; every
//! entry was audited and every root recomputed before anything is cut. Leaves to others: what begins a
//! life (`engine::begin_incarnation`), the audit (`verify`).

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use disk::directory;
use engine::{Direct, NewLife};
use journal::{
    FrameKey, FrameNumber, IMAGE_BYTES, Input, Position, RecoveryError, Slot, Superblock, recover,
    recovery_buffer_bytes,
};
use ledger::NoteVerifier;
use model::{Cause, Seq, Text, Timestamp};
use serde::Serialize;
use tempfile::TempDir;

use super::{SnapshotError, archive::Opened, create::both, manifest::Manifest};
use crate::verify::{Report, files::Files, segments::Segments, verify};

/// What a snapshot is believed with.
#[derive(Clone, Debug, Default)]
pub struct VerifyParams {
    /// The archive.
    pub file: PathBuf,
    /// The log's verifier key; `None`: the one that the archive names.
    pub key: Option<String>,
    /// Where it is unpacked to be audited; `None`: the system's temporary directory.
    pub scratch: Option<PathBuf>,
}

/// Where a restore ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// At the last frame without an entry past this one.
    Seq(Seq),
    /// At the last frame of this time or before.
    Time(Timestamp),
}

impl Point {
    /// Reads a number or an RFC 3339 time.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if let Ok(seq) = text.parse() {
            return Ok(Self::Seq(Seq(seq)));
        }
        let time = Timestamp::parse(text).map(Self::Time);
        time.ok_or_else(|| "a number of an entry, or a time such as 2026-11-30T19:15:30Z".into())
    }

    fn takes(self, mark: &Mark) -> bool {
        match self {
            Self::Seq(seq) => mark.through <= seq,
            Self::Time(time) => mark.at <= time,
        }
    }
}

/// What a restore is done with.
#[derive(Clone, Debug)]
pub struct RestoreParams {
    /// The archive.
    pub file: PathBuf,
    /// The log's verifier key; `None`: the one that the archive names.
    pub key: Option<String>,
    /// The node's data directory to be: absent or empty.
    pub to_dir: PathBuf,
    /// Where to end; `None`: with all that the archive holds.
    pub to: Option<Point>,
    /// Whether the ledger goes on in the life that it had.
    pub same_life: bool,
    /// Why, for the first entry of the new life.
    pub reason: Option<Text>,
}

/// What holds of a snapshot.
#[derive(Debug, Serialize)]
pub struct SnapshotReport {
    /// The file.
    pub file: String,
    /// Who signed it.
    pub signed_by: String,
    /// Whether `--key` named that key; else it is the archive's own word.
    pub key_given: bool,
    /// When it was taken.
    pub taken: String,
    /// The last frame in it.
    pub frame: u64,
    /// The last entry in it.
    pub entries: u64,
    /// The root over them.
    pub root: String,
    /// The audit of what it holds.
    pub audit: Report,
}

impl SnapshotReport {
    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let trust =
            if self.key_given { "" } else { " (the archive's own word: compare it with keys/log.vkey)" };
        format!(
            "{}: {} entries through frame {}, taken {}\n  root       {}\n  signed by  {}{trust}\n{}",
            self.file,
            self.entries,
            self.frame,
            self.taken,
            self.root,
            self.signed_by,
            self.audit.text()
        )
    }
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The data directory.
    pub directory: String,
    /// Who signed the archive.
    pub signed_by: String,
    /// The last frame that was kept.
    pub frame: u64,
    /// Entries that were kept.
    pub kept: u64,
    /// Entries of the archive that were dropped.
    pub dropped: u64,
    /// Ledger time of the last frame that was kept.
    pub at: String,
    /// Which life of the ledger it is now.
    pub incarnation: u32,
    /// Entries now, with the one that begins the life.
    pub entries: u64,
    /// The root over them.
    pub root: String,
}

impl Restored {
    /// For people, with what is left to do.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "{}: restored, {} entries kept through frame {} ({}), {} dropped\n  now        incarnation {}, {} entries\n  root       {}\n  signed by  {}\nbring the node's keys (`keys` of the old data directory) to {}/keys before it is started\n",
            self.directory,
            self.kept,
            self.frame,
            self.at,
            self.dropped,
            self.incarnation,
            self.entries,
            self.root,
            self.signed_by,
            self.directory,
        )
    }
}

/// Checks signature and hashes, unpacks into a scratch directory, audits every entry.
///
/// # Errors
/// `SnapshotError` if there is no verdict on the journal. Damage to that is a report with findings.
pub fn verify_snapshot(
    params: &VerifyParams,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<SnapshotReport, SnapshotError> {
    let trusted = trusted(params.key.as_deref())?;
    let scratch = params.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let opened = Opened::open(&params.file, trusted.as_ref())?;
    let home = hidden(&scratch, "macronode-snapshot-")?;
    let (manifest, key) = unpack(opened, home.path())?;
    let audit = verify(home.path(), progress)?;
    if audit.clean {
        same_end(&params.file, &manifest, &audit)?;
    }
    Ok(SnapshotReport {
        file: params.file.display().to_string(),
        signed_by: key.to_string(),
        key_given: trusted.is_some(),
        taken: manifest.taken.rfc3339(),
        frame: manifest.frame.0,
        entries: manifest.through.0,
        root: hex::encode(manifest.root),
        audit,
    })
}

/// Restores a snapshot into an absent or empty directory.
///
/// # Errors
/// `SnapshotError`; the directory is then as it was.
pub fn restore(
    params: &RestoreParams,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Restored, SnapshotError> {
    if params.same_life && params.to.is_some() {
        let words = "--same-life is for a restore of everything: what ends earlier is another life";
        return Err(SnapshotError::Usage(words.into()));
    }
    let (parent, name) = place(&params.to_dir)?;
    let trusted = trusted(params.key.as_deref())?;
    let opened = Opened::open(&params.file, trusted.as_ref())?;
    if let Some(point) = params.to {
        within(point, &opened.manifest)?;
    }
    let staging = hidden(&parent, &format!(".{name}.restoring-"))?;
    let root = staging.path().join("ledger");
    let (manifest, key) = unpack(opened, staging.path())?;
    let audit = verify(staging.path(), progress)?;
    if !audit.clean {
        let what = audit.findings.first().map_or_else(String::new, ToString::to_string);
        return Err(SnapshotError::Content { path: params.file.clone(), what });
    }
    same_end(&params.file, &manifest, &audit)?;
    let mark = cut(&root, params.to, &manifest)?;
    let mut restored = Restored {
        directory: params.to_dir.display().to_string(),
        signed_by: key.to_string(),
        frame: mark.frame.0,
        kept: mark.through.0,
        dropped: manifest.through.0 - mark.through.0,
        at: mark.at.rfc3339(),
        incarnation: manifest.incarnation.0,
        entries: mark.through.0,
        root: hex::encode(mark.root),
    };
    if !params.same_life {
        let begun = engine::begin_incarnation(&root, Direct::Preferred, &new_life(params, &manifest)?);
        let begun = begun.map_err(SnapshotError::Begin)?;
        restored.incarnation = begun.beginning.incarnation.0;
        restored.entries = begun.size;
        restored.root = hex::encode(begun.root);
    }
    settle(staging, &params.to_dir, &parent)?;
    Ok(restored)
}

fn trusted(key: Option<&str>) -> Result<Option<NoteVerifier>, SnapshotError> {
    let parsed = key.map(|key| NoteVerifier::parse(key.trim())).transpose();
    parsed.map_err(|error| SnapshotError::Usage(format!("--key: {error}")))
}

/// The directory that is to hold the restored one, and the name in it, if that is free.
fn place(to: &Path) -> Result<(PathBuf, String), SnapshotError> {
    let name = to.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| SnapshotError::Usage("--to-dir names no directory".into()))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let exists = || SnapshotError::Exists { path: to.into() };
    match std::fs::symlink_metadata(to) {
        Ok(found) if !found.is_dir() => return Err(exists()),
        Ok(_) if std::fs::read_dir(to).map_err(SnapshotError::file(to))?.next().is_some() => {
            return Err(exists());
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(SnapshotError::file(to)(error)),
    }
    Ok((parent.into(), name.into()))
}

/// A directory of 0700 that is removed when it is not given a name.
fn hidden(parent: &Path, prefix: &str) -> Result<TempDir, SnapshotError> {
    tempfile::Builder::new().prefix(prefix).tempdir_in(parent).map_err(SnapshotError::file(parent))
}

/// Unpacks into `home/ledger`, each file durable.
fn unpack(opened: Opened, home: &Path) -> Result<(Manifest, NoteVerifier), SnapshotError> {
    let root = home.join("ledger");
    for directory in [root.clone(), root.join(journal::SEGMENT_DIR), root.join(journal::CHECKPOINT_DIR)] {
        let made = std::fs::DirBuilder::new().mode(0o700).create(&directory);
        made.map_err(SnapshotError::file(&directory))?;
    }
    let unpacked = opened.unpack(
        |file| {
            let path = root.join(&file.name);
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            Ok(BufWriter::with_capacity(1 << 20, made.map_err(SnapshotError::file(&path))?))
        },
        |file, out| {
            let durable = out.into_inner().map_err(io::Error::from).and_then(|out| out.sync_all());
            durable.map_err(SnapshotError::file(&root.join(&file.name)))
        },
    )?;
    for directory in [root.join(journal::SEGMENT_DIR), root.join(journal::CHECKPOINT_DIR), root] {
        directory::sync_directory(&directory)?;
    }
    Ok(unpacked)
}

/// What was audited ends where the manifest says.
fn same_end(file: &Path, manifest: &Manifest, audit: &Report) -> Result<(), SnapshotError> {
    let found = (audit.checked.last_frame, audit.checked.last_seq, audit.checked.root.clone());
    let signed = (manifest.frame.0, manifest.through.0, hex::encode(manifest.root));
    let same_ledger = audit.ledger.id == hex::encode(manifest.ledger.0);
    if found == signed && same_ledger && audit.ledger.incarnation == manifest.incarnation.0 {
        return Ok(());
    }
    let what = format!(
        "the manifest names frame {}, entry {}, root {}, and the journal ends with frame {}, entry {}, root {}",
        signed.0, signed.1, signed.2, found.0, found.1, found.2
    );
    Err(SnapshotError::Content { path: file.into(), what })
}

/// A point that the snapshot reaches.
fn within(point: Point, manifest: &Manifest) -> Result<(), SnapshotError> {
    let beyond = match point {
        Point::Seq(seq) => seq > manifest.through,
        Point::Time(time) => time > manifest.taken,
    };
    if !beyond {
        return Ok(());
    }
    Err(SnapshotError::Usage(format!(
        "--to: the snapshot ends with entry {} and was taken at {}; what came after is not in it",
        manifest.through,
        manifest.taken.rfc3339()
    )))
}

/// Where a frame ends.
#[derive(Clone, Copy, Debug)]
struct Mark {
    frame: FrameNumber,
    next: Position,
    through: Seq,
    root: [u8; 32],
    at: Timestamp,
    slot: Slot,
}

/// Cuts the journal after the last frame that the point takes, and writes a slot that says so.
fn cut(root: &Path, point: Option<Point>, manifest: &Manifest) -> Result<Mark, SnapshotError> {
    let files = Files::read(root)?;
    let mark = find(&files, point)?
        .ok_or_else(|| SnapshotError::Usage("--to: nothing of the ledger is as old as that".into()))?;
    if mark.frame == manifest.frame {
        return Ok(mark);
    }
    let segments = root.join(journal::SEGMENT_DIR);
    for entry in directory::list(&segments)? {
        let Some(segment) = journal::segment_number(&entry.name) else { continue };
        let path = segments.join(&entry.name);
        if segment > mark.next.segment || (segment == mark.next.segment && mark.next.offset == 0) {
            directory::remove_file(&path)?;
        } else if segment == mark.next.segment {
            let file = OpenOptions::new().write(true).open(&path).map_err(SnapshotError::file(&path))?;
            let cut = file.set_len(mark.next.offset).and_then(|()| file.sync_all());
            cut.map_err(SnapshotError::file(&path))?;
        }
    }
    for checkpoint in files.checkpoints.iter().filter(|file| file.header.frame > mark.frame) {
        directory::remove_file(&root.join(journal::CHECKPOINT_DIR).join(&checkpoint.name))?;
    }
    let mut image = [0; IMAGE_BYTES];
    mark.slot.encode(&files.key, &mut image);
    overwrite(&root.join(journal::SLOT_FILE), &both(&image))?;
    // The life that the last frame kept belongs to: a later one begins after it.
    let superblock = Superblock { incarnation: mark.slot.incarnation, ..files.superblock };
    superblock.encode(&mut image);
    overwrite(&root.join(journal::SUPERBLOCK_FILE), &both(&image))?;
    Ok(mark)
}

fn overwrite(path: &Path, bytes: &[u8]) -> Result<(), SnapshotError> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(SnapshotError::file(path))
}

/// The last frame that the point takes. Frames are in the order of their entries and times.
fn find(files: &Files, point: Option<Point>) -> Result<Option<Mark>, SnapshotError> {
    let Superblock { geometry, ledger, incarnation, epoch, .. } = files.superblock;
    let key: &FrameKey = &files.key;
    let slot = files.slot.as_ref();
    let checkpoint_frame_max = FrameNumber::ZERO;
    let checkpoint = None;
    let input = Input { geometry, ledger, incarnation, epoch, key, slot, checkpoint, checkpoint_frame_max };
    let mut source = Segments::open(&files.root.join(journal::SEGMENT_DIR))?;
    let mut buffer = vec![0; recovery_buffer_bytes(geometry)];
    let mut found = None;
    let walked = recover(&input, &mut source, &mut buffer, |frame| {
        let header = &frame.header;
        let position = header.position;
        let mark = Mark {
            frame: header.frame,
            next: Position { offset: position.offset + frame.frame_bytes as u64, ..position },
            through: header.last_seq(),
            root: header.root,
            at: header.at,
            slot: Slot {
                ledger,
                incarnation: header.incarnation,
                epoch: header.epoch,
                sequence: slot.map_or(0, |slot| slot.sequence) + 1,
                segment: position.segment,
                frame: header.frame,
                hash: frame.hash,
                durable: header.last_seq(),
                tree_size: header.tree_size,
                root: header.root,
                clean: false,
            },
        };
        if point.is_some_and(|point| !point.takes(&mark)) {
            return Err(());
        }
        found = Some(mark);
        Ok(())
    });
    match walked {
        Ok(_) | Err(RecoveryError::Replay { .. }) => Ok(found),
        Err(error) => Err(SnapshotError::Damaged { at: error.to_string() }),
    }
}

fn new_life(params: &RestoreParams, manifest: &Manifest) -> Result<NewLife, SnapshotError> {
    let words = format!("a snapshot of {} was restored", manifest.taken.rfc3339());
    let reason = params.reason.or_else(|| Text::new(&words)).expect("a time is short");
    let mut life = [0; 8];
    getrandom::fill(&mut life).map_err(|error| {
        SnapshotError::file(Path::new("random bytes"))(io::Error::other(error.to_string()))
    })?;
    let parent = Some((manifest.through.0, manifest.root));
    let above = manifest.incarnation;
    Ok(NewLife { cause: Cause::Restore, reason, parent, above, life, wall: engine::wall() })
}

/// Gives the staged directory its name: over an empty directory, or where nothing is.
fn settle(staging: TempDir, to: &Path, parent: &Path) -> Result<(), SnapshotError> {
    directory::sync_directory(staging.path())?;
    match std::fs::rename(staging.path(), to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            return Err(SnapshotError::Exists { path: to.into() });
        }
        Err(error) => return Err(SnapshotError::file(to)(error)),
    }
    let _named = staging.keep();
    Ok(directory::sync_directory(parent)?)
}
