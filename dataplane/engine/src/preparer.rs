//! The preparer: one unpinned thread of low priority that fills the next segments with zeros.
//!
//! Holds: a segment is told as prepared only when its zeros, its length and its name are durable, on
//! every member that counts; a full disk is met here, where it costs a wait, and not while committing.
//! Leaves to others: which segment is needed when, and which members count (`journal::Committer`).

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use disk::{Access, Direct, DirectFile, DiskError, Operation, directory};
use journal::{Member, Position, SegmentNumber, WriteFailure, segment_file_name};
use model::Nanos;

use crate::bell::Bell;

/// Zeros written before a segment is told as begun: enough for the first second of commits.
const FIRST_BYTES: u64 = 4 << 20;
/// Zeros written between two tellings after that.
const NEXT_BYTES: u64 = 16 << 20;
/// How long to wait before a segment that could not be prepared is tried again.
const RETRY_AFTER: Nanos = Nanos::from_secs(1);
/// Requests and tellings that may wait; the committer asks for two segments at most.
const QUEUE: usize = 64;

/// A part of a segment that is ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) segment: SegmentNumber,
    pub(crate) bytes: u64,
    /// Its file on each member that counted when it was prepared.
    pub(crate) files: [Option<Arc<DirectFile>>; 2],
}

/// The committer's end.
#[derive(Debug)]
pub(crate) struct Preparer {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    wanted: ArrayQueue<SegmentNumber>,
    prepared: ArrayQueue<Prepared>,
    /// Members on which a segment could not be prepared, and not for want of space.
    failed: ArrayQueue<(Member, WriteFailure)>,
    bell: Bell,
    committer: Arc<Bell>,
    stop: AtomicBool,
    /// The last try failed; the next one is a moment away.
    stuck: AtomicBool,
    /// Members that are not written to any more.
    lost: [AtomicBool; 2],
}

/// How far one segment is.
struct Progress {
    files: [Option<Arc<DirectFile>>; 2],
    /// Bytes from the beginning that are zeros, or frames by now.
    ready: u64,
    step: u64,
}

struct Work {
    shared: Arc<Shared>,
    /// Each member's directory of segments.
    segments: [Option<PathBuf>; 2],
    segment_bytes: u64,
    resume: Position,
    direct: Direct,
}

impl Preparer {
    /// Starts the thread. The segment of `resume` is filled from there, every later one whole.
    pub(crate) fn start(
        segments: [Option<&Path>; 2],
        segment_bytes: u64,
        resume: Position,
        direct: Direct,
        committer: Arc<Bell>,
    ) -> Result<Self, DiskError> {
        let shared = Arc::new(Shared {
            wanted: ArrayQueue::new(QUEUE),
            prepared: ArrayQueue::new(QUEUE),
            failed: ArrayQueue::new(QUEUE),
            bell: Bell::new()?,
            committer,
            stop: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            lost: [AtomicBool::new(false), AtomicBool::new(false)],
        });
        let segments = segments.map(|path| path.map(PathBuf::from));
        let work = Work { shared: Arc::clone(&shared), segments, segment_bytes, resume, direct };
        let thread = std::thread::Builder::new()
            .name("preparer".into())
            .spawn(move || crate::fatal::guard("preparer", || work.run()))
            .expect("the process may start a thread");
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Asks for a segment.
    pub(crate) fn want(&self, segment: SegmentNumber) {
        assert!(self.shared.wanted.push(segment).is_ok(), "the committer asks for each segment once");
        self.shared.bell.ring();
    }

    /// Prepares nothing on this member any more.
    pub(crate) fn lose(&self, member: Member) {
        self.shared.lost[member.index()].store(true, Ordering::Release);
        self.shared.bell.ring();
    }

    /// What became ready, if anything did.
    pub(crate) fn prepared(&self) -> Option<Prepared> {
        self.shared.prepared.pop()
    }

    /// Whether the segment in hand cannot be prepared for now: no more room is coming.
    pub(crate) fn is_stuck(&self) -> bool {
        self.shared.stuck.load(Ordering::Acquire)
    }

    /// A member on which a segment could not be prepared, and not for want of space.
    pub(crate) fn failed(&self) -> Option<(Member, WriteFailure)> {
        self.shared.failed.pop()
    }

    /// Whether something became ready, or failed.
    pub(crate) fn has_news(&self) -> bool {
        !self.shared.prepared.is_empty() || !self.shared.failed.is_empty()
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take() {
            // Its panic has ended the process already.
            drop(thread.join());
        }
    }
}

impl Work {
    fn run(&self) {
        // Zeros are in no hurry. A kernel that refuses costs nothing but that.
        let _ = rustix::process::nice(10);
        while !self.stopping() {
            match self.shared.wanted.pop() {
                Some(segment) => self.prepare_until_done(segment),
                None => self
                    .shared
                    .bell
                    .wait(Nanos::from_secs(60), || self.stopping() || !self.shared.wanted.is_empty()),
            }
        }
    }

    /// Fills the segment, and tries again where it failed: what was told as prepared is in use by
    /// then and is never touched again.
    fn prepare_until_done(&self, segment: SegmentNumber) {
        let mut done = Progress {
            files: [None, None],
            ready: if segment == self.resume.segment { self.resume.offset } else { 0 },
            step: FIRST_BYTES,
        };
        while !self.stopping() {
            match self.prepare(segment, &mut done) {
                Ok(()) => {
                    if self.shared.stuck.swap(false, Ordering::AcqRel) {
                        tracing::info!(%segment, "segment is prepared, commits go on");
                    }
                    return;
                }
                Err(error) => self.stuck(segment, &error),
            }
            self.shared.bell.wait(RETRY_AFTER, || self.stopping());
        }
    }

    fn stuck(&self, segment: SegmentNumber, error: &DiskError) {
        if !self.shared.stuck.swap(true, Ordering::AcqRel) {
            tracing::error!(
                %segment,
                "segment cannot be prepared, new entries are refused when the prepared ones are full: {error}"
            );
            self.shared.committer.ring();
        }
    }

    fn prepare(&self, segment: SegmentNumber, done: &mut Progress) -> Result<(), DiskError> {
        loop {
            let end = (done.ready + done.step).min(self.segment_bytes);
            for member in Member::BOTH {
                match self.fill(member, segment, done, end) {
                    Ok(()) => {}
                    // Its device is gone, which the committer found out meanwhile.
                    Err(_) if self.is_lost(member) => {}
                    Err(error) => {
                        self.tell_failure(member, &error);
                        return Err(error);
                    }
                }
            }
            (done.ready, done.step) = (end, NEXT_BYTES);
            self.tell(Prepared { segment, bytes: end, files: done.files.clone() });
            if end == self.segment_bytes || self.stopping() {
                return Ok(());
            }
        }
    }

    /// Fills one member's file up to `end`.
    fn fill(
        &self,
        member: Member,
        segment: SegmentNumber,
        done: &mut Progress,
        end: u64,
    ) -> Result<(), DiskError> {
        let file = &mut done.files[member.index()];
        let Some(directory) = self.segments[member.index()].as_deref().filter(|_| !self.is_lost(member))
        else {
            *file = None;
            return Ok(());
        };
        let file = match file {
            Some(file) => file,
            None => file.insert(self.open(directory, segment)?),
        };
        if done.ready < end {
            file.write_zeros(done.ready, end)?;
        } else {
            file.datasync()?;
        }
        directory::sync_directory(directory)
    }

    /// Tells the committer, if it is the device that fails. A full file system says so when space is
    /// reserved, and is waited for; a device that has no room for what was reserved has failed.
    fn tell_failure(&self, member: Member, error: &DiskError) {
        let is_full = matches!(error, DiskError::NoSpace { operation: Operation::Allocate, .. });
        if is_full || error.is_shortage() {
            return;
        }
        let failure = WriteFailure::Error(error.errno().map_or(0, disk::Errno::raw_os_error));
        // A queue that is full holds the same word already.
        let _ = self.shared.failed.push((member, failure));
        self.shared.committer.ring();
    }

    fn is_lost(&self, member: Member) -> bool {
        self.shared.lost[member.index()].load(Ordering::Acquire)
    }

    /// A file that a killed start left half filled is filled again from the beginning: nothing of it
    /// was told as prepared to this start's committer.
    fn open(&self, directory: &Path, segment: SegmentNumber) -> Result<Arc<DirectFile>, DiskError> {
        let path = directory.join(segment_file_name(segment));
        let access = if path.exists() { Access::ReadWrite } else { Access::CreateNew };
        let file = Arc::new(DirectFile::open(&path, access, self.direct)?);
        file.lock()?;
        Ok(file)
    }

    fn tell(&self, mut prepared: Prepared) {
        while let Err(full) = self.shared.prepared.push(prepared) {
            prepared = full;
            self.shared.bell.wait(Nanos::from_millis(10), || self.stopping());
            if self.stopping() {
                return;
            }
        }
        self.shared.committer.ring();
    }

    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
