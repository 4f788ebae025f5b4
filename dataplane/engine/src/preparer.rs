//! The preparer: one unpinned thread of low priority that fills the next segments with zeros.
//!
//! Holds: a segment is told as prepared only when its zeros, its length and its name are durable; a
//! full disk is met here, where it costs a wait, and not while committing; while commits are under way
//! it goes slowly (`Pace`). Leaves to others: which segment is needed when (`journal::Committer`).

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crossbeam_queue::ArrayQueue;
use disk::{Access, Direct, DirectFile, DiskError, directory};
use journal::{Position, SegmentNumber, segment_file_name};
use model::Nanos;

use crate::{
    bell::Bell,
    space::{Room, SpaceWatch},
};

mod pace;

use pace::Pace;

/// Zeros written before a segment is told as begun: enough for the first second of commits.
const FIRST_BYTES: u64 = 4 << 20;
/// Zeros written between two tellings after that.
const NEXT_BYTES: u64 = 16 << 20;
/// How long to wait before a segment that could not be prepared is tried again.
const RETRY_AFTER: Nanos = Nanos::from_secs(1);
/// How often the room on the disk is looked at while there is nothing to prepare.
const LOOK_EVERY: Nanos = Nanos::from_secs(1);
/// Requests and tellings that may wait; the committer asks for two segments at most.
const QUEUE: usize = 64;

/// Why a segment cannot be prepared for now.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error("the disk is under storage.soft_mib")]
    SoftMark,
}

/// A part of a segment that is ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) segment: SegmentNumber,
    pub(crate) bytes: u64,
    pub(crate) file: Arc<DirectFile>,
}

/// The committer's end.
#[derive(Debug)]
pub(crate) struct Preparer {
    shared: Arc<Shared>,
    segment_bytes: u64,
    thread: Option<std::thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    wanted: ArrayQueue<SegmentNumber>,
    prepared: ArrayQueue<Prepared>,
    bell: Bell,
    committer: Arc<Bell>,
    stop: AtomicBool,
    /// The last try failed; the next one is a moment away.
    stuck: AtomicBool,
    /// Where the newest frame ends, in bytes from the beginning of the first segment.
    used: AtomicU64,
}

/// How far one segment is.
struct Progress {
    file: Option<Arc<DirectFile>>,
    /// Bytes from the beginning that are zeros, or frames by now.
    ready: u64,
    step: u64,
}

struct Work {
    shared: Arc<Shared>,
    segments: PathBuf,
    segment_bytes: u64,
    resume: Position,
    direct: Direct,
    space: Arc<SpaceWatch>,
}

impl Preparer {
    /// Starts the thread. The segment of `resume` is filled from there, every later one whole.
    pub(crate) fn start(
        segments: &Path,
        segment_bytes: u64,
        resume: Position,
        direct: Direct,
        committer: Arc<Bell>,
        space: Arc<SpaceWatch>,
    ) -> Result<Self, DiskError> {
        let shared = Arc::new(Shared {
            wanted: ArrayQueue::new(QUEUE),
            prepared: ArrayQueue::new(QUEUE),
            bell: Bell::new()?,
            committer,
            stop: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            used: AtomicU64::new(in_journal(segment_bytes, resume.segment, resume.offset)),
        });
        let (segments, shared_too) = (segments.into(), Arc::clone(&shared));
        let work = Work { shared: shared_too, segments, segment_bytes, resume, direct, space };
        let thread = std::thread::Builder::new()
            .name("preparer".into())
            .spawn(move || crate::fatal::guard("preparer", || work.run()))
            .expect("the process may start a thread");
        Ok(Self { shared, segment_bytes, thread: Some(thread) })
    }

    /// A frame of `bytes` was given to the disk.
    pub(crate) fn wrote(&self, position: Position, bytes: usize) {
        let end = position.offset + u64::try_from(bytes).expect("a length fits in 64 bits");
        let used = in_journal(self.segment_bytes, position.segment, end);
        self.shared.used.store(used, Ordering::Relaxed);
    }

    /// Asks for a segment.
    pub(crate) fn want(&self, segment: SegmentNumber) {
        assert!(self.shared.wanted.push(segment).is_ok(), "the committer asks for each segment once");
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

    /// Whether something became ready.
    pub(crate) fn has_prepared(&self) -> bool {
        !self.shared.prepared.is_empty()
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
                None => {
                    self.look();
                    let has_work = || self.stopping() || !self.shared.wanted.is_empty();
                    self.shared.bell.wait(LOOK_EVERY, has_work);
                }
            }
        }
    }

    /// Fills the segment, and tries again where it failed: what was told as prepared is in use by
    /// then and is never touched again.
    fn prepare_until_done(&self, segment: SegmentNumber) {
        let mut done = Progress {
            file: None,
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

    /// Looks at the room on the disk, and wakes the committer if it has changed.
    fn look(&self) -> Room {
        let before = self.space.room();
        let room = self.space.look();
        if room != before {
            self.shared.committer.ring();
        }
        room
    }

    fn stuck(&self, segment: SegmentNumber, error: &Stuck) {
        if !self.shared.stuck.swap(true, Ordering::AcqRel) {
            tracing::error!(
                %segment,
                "segment cannot be prepared, new entries are refused when the prepared ones are full: {error}"
            );
            self.shared.committer.ring();
        }
    }

    fn prepare(&self, segment: SegmentNumber, done: &mut Progress) -> Result<(), Stuck> {
        if done.file.is_none() && !self.segments.join(segment_file_name(segment)).exists() {
            self.ask_for_room()?;
        }
        let file = match &done.file {
            Some(file) => Arc::clone(file),
            None => Arc::clone(done.file.insert(self.open(segment)?)),
        };
        loop {
            let end = (done.ready + done.step).min(self.segment_bytes);
            if done.ready < end {
                // Zeros over what the file has already take nothing from the disk.
                if end > file.len_bytes()? {
                    self.ask_for_room()?;
                }
                let mut pace = Pace::begin(self.shared.used.load(Ordering::Relaxed));
                let prepared = in_journal(self.segment_bytes, segment, done.ready);
                file.write_zeros_at_pace(done.ready, end, &mut || self.next_piece(&mut pace, prepared))?;
            } else {
                file.datasync()?;
            }
            directory::sync_directory(&self.segments)?;
            (done.ready, done.step) = (end, NEXT_BYTES);
            self.tell(Prepared { segment, bytes: end, file: Arc::clone(&file) });
            if end == self.segment_bytes || self.stopping() {
                return Ok(());
            }
        }
    }

    /// Bytes of the next piece of zeros, when the disk has been left to the commits before it.
    fn next_piece(&self, pace: &mut Pace, prepared: u64) -> usize {
        let (bytes, pause) = pace.next(self.shared.used.load(Ordering::Relaxed), prepared);
        if pause > Nanos(0) && !self.stopping() {
            self.shared.bell.wait(pause, || self.stopping());
        }
        bytes
    }

    fn ask_for_room(&self) -> Result<(), Stuck> {
        if self.look() == Room::Ample { Ok(()) } else { Err(Stuck::SoftMark) }
    }

    /// A file that a killed start left half filled is filled again from the beginning: nothing of it
    /// was told as prepared to this start's committer.
    fn open(&self, segment: SegmentNumber) -> Result<Arc<DirectFile>, DiskError> {
        let path = self.segments.join(segment_file_name(segment));
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

/// A place in the journal, in bytes from the beginning of the first segment.
fn in_journal(segment_bytes: u64, SegmentNumber(segment): SegmentNumber, offset: u64) -> u64 {
    // At most 2^32 segments of 4 GiB.
    u64::from(segment) * segment_bytes + offset
}

#[cfg(test)]
mod tests;
