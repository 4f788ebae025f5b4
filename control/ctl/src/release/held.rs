//! `Held`: a ledger whose lock is ours, and what is written into it.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use disk::{Access, AlignedBuf, Direct, DirectFile, DirectoryLock, DiskError, Operation, directory};
use journal::{
    IMAGE_BYTES, IMAGE_FILE_BYTES, RELEASE_FILE, Release, SegmentNumber, ShippedSegment, segment_file_name,
};

use crate::{
    archive::{Archive, ArchiveError, check_file},
    verify::files::{Files, copies},
};

/// How often, and how many times, a held lock is tried again: a ring gives it back a moment after its
/// process has ended.
const LOCK_PAUSE: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
const LOCK_TRIES: u32 = 300;

/// A ledger that nobody else writes.
pub(super) struct Held {
    pub(super) files: Files,
    _lock: DirectoryLock,
}

impl Held {
    /// Takes the lock of the ledger in `data_dir`.
    pub(super) fn take(data_dir: &Path) -> Result<Self, ArchiveError> {
        let root = Files::read(data_dir)?.root;
        let lock = acquire(&root.join(journal::LOCK_FILE))?;
        // What was read before the lock may be older than the ledger is now.
        Ok(Self { files: Files::read(data_dir)?, _lock: lock })
    }

    pub(super) fn segments(&self) -> PathBuf {
        self.files.root.join(journal::SEGMENT_DIR)
    }

    /// The release record as it stands.
    pub(super) fn record(&self) -> Result<Release, ArchiveError> {
        let none = || Release::none(self.files.superblock.ledger, self.files.superblock.incarnation);
        match &self.files.release {
            Ok(record) => Ok(record.clone().unwrap_or_else(none)),
            Err(error) => {
                let what = format!(
                    "{}: {error}; `ron-ledgerctl recall` brings the segments back and writes it anew",
                    self.path().display()
                );
                Err(ArchiveError::Refused(what))
            }
        }
    }

    /// What the record said, as far as the segments that are there tell it.
    pub(super) fn lost_record(&self, there: &[SegmentNumber]) -> Release {
        let mut record = Release::none(self.files.superblock.ledger, self.files.superblock.incarnation);
        record.after.next.segment = there.first().copied().unwrap_or_default();
        record
    }

    fn path(&self) -> PathBuf {
        self.files.root.join(RELEASE_FILE)
    }

    /// Writes both copies, one durable before the other begins.
    pub(super) fn write(&self, record: &Release) -> Result<(), ArchiveError> {
        let (path, ledger) = (self.path(), self.files.superblock.ledger);
        if !path.exists() {
            let file = DirectFile::open(&path, Access::CreateNew, Direct::Preferred)?;
            file.write_zeros(0, IMAGE_FILE_BYTES)?;
            directory::sync_directory(&self.files.root)?;
        }
        let [first, second] = copies(&path)?;
        let mut image = [0; IMAGE_BYTES];
        record.encode(&self.files.key, &mut image);
        let mut buffer = AlignedBuf::new(IMAGE_BYTES);
        buffer.copy_from_slice(&image);
        let file = DirectFile::open(&path, Access::ReadWrite, Direct::Preferred)?;
        // What an earlier run wrote may lie in the device's cache alone.
        file.datasync()?;
        for copy in Release::write_order(&first, &second, &self.files.key, ledger) {
            file.write_at_durable(copy.offset(), &buffer, IMAGE_BYTES)?;
        }
        Ok(())
    }

    /// Puts a segment back under its name, whole and durable.
    pub(super) fn bring_back(&self, archive: &Archive, row: &ShippedSegment) -> Result<(), ArchiveError> {
        let damaged = |what| ArchiveError::Damaged { path: archive.file(row.segment), what };
        check_file(archive, row)?.map_err(damaged)?;
        let name = self.segments().join(segment_file_name(row.segment));
        let fresh = self.segments().join(format!(".{}.new", segment_file_name(row.segment)));
        let refused = |operation| {
            let fresh = fresh.clone();
            move |error: std::io::Error| ArchiveError::of_io(operation, &fresh, &error)
        };
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh);
        let mut file: File = file.map_err(refused(Operation::Open))?;
        archive
            .source()
            .all(row.segment, row.bytes, |bytes| file.write_all(bytes))
            .map_err(refused(Operation::Write))?;
        file.set_len(self.files.superblock.geometry.segment_bytes()).map_err(refused(Operation::Truncate))?;
        file.sync_all().map_err(refused(Operation::Flush))?;
        Ok(directory::rename(&fresh, &name)?)
    }
}

fn acquire(path: &Path) -> Result<DirectoryLock, DiskError> {
    let holder = format!("process {}", std::process::id());
    let mut tries = 0;
    loop {
        match DirectoryLock::acquire(path, &holder) {
            Err(DiskError::Locked { .. }) if tries < LOCK_TRIES => {
                tries += 1;
                let _ = rustix::thread::nanosleep(&LOCK_PAUSE);
            }
            taken => return taken,
        }
    }
}
