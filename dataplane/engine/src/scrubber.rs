//! The scrubber: one thread of low priority that reads what is stored and nobody reads, and checks it.
//!
//! Holds: it reads segments that the journal has left, past the page cache, in small pieces and no
//! faster than it was told; it writes nothing but how far it came. A pass begins a day after the last
//! one ended, or when it is asked for. Leaves to others: what a frame must be (`journal`), what is done
//! about what it finds (`Findings`).

mod files;
mod pace;
mod progress;

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use disk::{AlignedBuf, DiskError};
use journal::{
    LastFrame, Position, ReadFailure, RecoveryError, ScrubInput, SegmentFile, SegmentNumber, SegmentSource,
    recovery_buffer_bytes, scrub_begin, scrub_segment,
};
use model::{Nanos, Timestamp};

use crate::{
    bell::Bell,
    clock,
    findings::{Finding, Place, Wrong},
    status_board::StatusBoard,
    store::{Inventory, OpenError, Recipe, Segments},
};
use pace::Pace;
use progress::Progress;

/// Bytes of one read: small, so that a commit beside it does not wait long.
const PIECE_BYTES: usize = 64 << 10;
/// From the end of a pass to the beginning of the next.
const EVERY: Nanos = Nanos::from_secs(24 * 60 * 60);
/// How far it came is noted as often, at most: the note costs the disk a flush.
const NOTED_EVERY: Nanos = Nanos::from_secs(60);
/// Pieces of a segment that cannot be read before the rest of it is left for the next pass.
const UNREADABLE_MAX: usize = 8;

/// The role's end.
#[derive(Debug)]
pub(crate) struct Scrubber {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// What others say to the scrubber.
#[derive(Debug)]
struct Shared {
    bell: Bell,
    stop: AtomicBool,
    asked: AtomicBool,
    /// Bytes a second; zero: it does nothing.
    rate: AtomicU64,
}

/// Asks the scrubber for a pass.
#[derive(Clone, Debug)]
pub struct ScrubAsker(Arc<Shared>);

impl ScrubAsker {
    /// Begins a pass now, if none is under way; false if the scrub is off.
    #[must_use]
    pub fn begin(&self) -> bool {
        let is_on = self.bytes_per_s() > 0;
        if is_on {
            self.0.asked.store(true, Ordering::Release);
            self.0.bell.ring();
        }
        is_on
    }

    /// Bytes that are read in a second; zero if the scrub is off.
    #[must_use]
    pub fn bytes_per_s(&self) -> u64 {
        self.0.rate.load(Ordering::Relaxed)
    }
}

impl Scrubber {
    /// Starts the thread. It reads `scrub_bytes_per_s` of the upkeep's params.
    ///
    /// # Errors
    /// If no descriptor is left.
    pub(crate) fn start(recipe: Recipe, board: Arc<StatusBoard>) -> Result<Self, OpenError> {
        let shared = Arc::new(Shared {
            bell: Bell::new()?,
            stop: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            rate: AtomicU64::new(recipe.params.upkeep.scrub_bytes_per_s),
        });
        let work = Work { recipe, board, shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new()
            .name("scrubber".into())
            .spawn(move || crate::fatal::guard("scrubber", || work.run()))
            .expect("the process may start a thread");
        Ok(Self { shared, thread: Some(thread) })
    }

    /// A way to ask it.
    pub(crate) fn asker(&self) -> ScrubAsker {
        ScrubAsker(Arc::clone(&self.shared))
    }
}

impl Drop for Scrubber {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.bell.ring();
        if let Some(thread) = self.thread.take() {
            // Its panic has ended the process already.
            drop(thread.join());
        }
    }
}

struct Work {
    recipe: Recipe,
    board: Arc<StatusBoard>,
    shared: Arc<Shared>,
}

/// The journal, read in small pieces at the pace.
struct Paced<'a> {
    segments: Segments,
    work: &'a Work,
    pace: &'a mut Pace,
    /// Where the last read failed.
    failed_at: u64,
}

impl SegmentSource for Paced<'_> {
    fn segments(&self) -> &[SegmentFile] {
        self.segments.segments()
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, buffer: &mut [u8]) -> Result<(), ReadFailure> {
        let mut at = offset;
        for piece in buffer.chunks_mut(PIECE_BYTES) {
            self.failed_at = at;
            let bytes = u64::try_from(piece.len()).expect("a length fits in 64 bits");
            if !self.work.breathe(self.pace, bytes) {
                return Err(ReadFailure::Short);
            }
            self.segments.read(segment, at, piece)?;
            at += bytes;
        }
        Ok(())
    }
}

impl Work {
    fn run(&self) {
        // In no hurry. A kernel that refuses costs nothing but that.
        let _ = rustix::process::nice(10);
        let first = self.recipe.first_retained;
        let mut progress = Progress::read(&self.recipe.places.root);
        progress.next = progress.next.max(first);
        self.board.upkeep().scrub_passed(progress.passed);
        while !self.stopping() {
            let wait = self.until_due(&progress);
            if wait > Nanos(0) {
                self.shared.bell.wait(wait, || self.stopping() || self.is_asked());
                continue;
            }
            self.shared.asked.store(false, Ordering::Release);
            self.pass(&mut progress);
        }
    }

    /// How long it has nothing to do.
    fn until_due(&self, progress: &Progress) -> Nanos {
        let waits_for_an_hour = Nanos::from_secs(3_600);
        if self.shared.rate.load(Ordering::Relaxed) == 0 {
            return waits_for_an_hour;
        }
        let since = clock::wall().since(progress.passed);
        let under_way = progress.next > self.recipe.first_retained;
        if self.is_asked() || under_way || since >= EVERY {
            return Nanos(0);
        }
        Nanos(EVERY.0 - since.0)
    }

    /// Reads everything once, from where the last process came to.
    fn pass(&self, progress: &mut Progress) {
        let findings = self.board.findings();
        findings.begin_pass();
        let first = progress.next;
        let mut pace = Pace::new(self.shared.rate.load(Ordering::Relaxed), clock::monotonic());
        let mut link = scrub_begin(first);
        let mut noted = clock::monotonic();
        self.board.upkeep().scrub_runs(true);
        while progress.next < self.board.closed_before() {
            let segment = progress.next;
            self.board.upkeep().scrub_at(segment.0);
            if let Err(error) = self.segment(segment, &mut link, &mut pace) {
                tracing::warn!("segment {segment} is not scrubbed in this pass: {error}");
                link = None;
            }
            if self.stopping() {
                break;
            }
            progress.next = segment.next();
            if clock::monotonic().since(noted) >= NOTED_EVERY {
                noted = clock::monotonic();
                self.note(progress);
            }
        }
        if !self.stopping() {
            files::scrub(self, &mut pace);
        }
        self.board.upkeep().scrub_runs(false);
        if self.stopping() {
            return self.note(progress);
        }
        findings.end_pass(first.0..progress.next.0);
        *progress = Progress { next: self.recipe.first_retained, passed: clock::wall() };
        self.board.upkeep().scrub_passed(progress.passed);
        self.note(progress);
        tracing::info!(findings = findings.count(), "scrub: everything was read once");
    }

    fn segment(
        &self,
        segment: SegmentNumber,
        link: &mut Option<LastFrame>,
        pace: &mut Pace,
    ) -> Result<(), DiskError> {
        let Recipe { params, places, superblock, key, .. } = &self.recipe;
        let geometry = superblock.geometry;
        if let Some(gap) = Inventory::take(&places.segments())?.gap(segment, geometry.segment_bytes()) {
            self.board.findings().report(gap.into());
            *link = None;
            return Ok(());
        }
        // Opened anew: an operator may have put a file in the place of a damaged one.
        let segments = Segments::open(&places.segments(), params.direct)?;
        let mut source = Paced { segments, work: self, pace, failed_at: 0 };
        let bytes = recovery_buffer_bytes(geometry).next_multiple_of(disk::ALIGNMENT_BYTES);
        let mut buffer = AlignedBuf::new(bytes);
        let input = ScrubInput { geometry, ledger: superblock.ledger, key };
        let mut from = Position { segment, offset: 0 };
        for _ in 0..UNREADABLE_MAX {
            let mut found = |damage: journal::Damage| {
                self.board.findings().report(Finding {
                    place: Place::Segment { segment: damage.at.segment.0, offset: damage.at.offset },
                    wrong: Wrong::Damaged,
                    frame: damage.expected.map(|(frame, seq)| (frame.0, seq.0)),
                    detail: damage.bad.to_string(),
                });
            };
            match scrub_segment(&input, from, link, &mut source, &mut buffer, &mut found) {
                Ok(()) => return Ok(()),
                Err(RecoveryError::Read { .. }) if self.stopping() => return Ok(()),
                Err(RecoveryError::Read { .. }) => {}
                Err(error) => unreachable!("the buffer is as large as it must be: {error}"),
            }
            let Some(error) = source.segments.take_failure() else { return Ok(()) };
            if error.is_shortage() {
                return Err(error);
            }
            self.board.findings().report(Finding {
                place: Place::Segment { segment: segment.0, offset: source.failed_at },
                wrong: Wrong::Unreadable,
                frame: None,
                detail: error.to_string(),
            });
            *link = None;
            let piece = u64::try_from(PIECE_BYTES).expect("a length fits in 64 bits");
            from.offset = source.failed_at + piece;
        }
        Ok(())
    }

    /// Counts what is about to be read and waits until it may be; false if it is not to be.
    fn breathe(&self, pace: &mut Pace, bytes: u64) -> bool {
        let wait = pace.take(clock::monotonic(), bytes);
        let until = clock::monotonic().after(wait);
        loop {
            let left = until.since(clock::monotonic());
            if self.stopping() || left == Nanos(0) {
                break;
            }
            self.shared.bell.wait(left, || self.stopping());
        }
        self.board.upkeep().scrubbed(bytes);
        !self.stopping()
    }

    /// Notes how far it came. What is damaged is to be found again after a restart, so then the note
    /// stays before it, and a pass that has ended is noted as none.
    fn note(&self, progress: &Progress) {
        let first = self.board.findings().first_segment().unwrap_or(u32::MAX);
        let next = SegmentNumber(progress.next.0.min(first));
        let is_well = self.board.findings().count() == 0;
        let note = Progress { next, passed: if is_well { progress.passed } else { Timestamp(0) } };
        if let Err(error) = note.write(&self.recipe.places.root) {
            tracing::warn!("a scrub begins anew after a restart, how far it came is not noted: {error}");
        }
    }

    fn is_asked(&self) -> bool {
        self.shared.asked.load(Ordering::Acquire)
    }

    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }
}
