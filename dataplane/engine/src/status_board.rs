//! `StatusBoard`: how the ledger is, read from any thread without stopping one.
//!
//! Holds: each word has one writer. Leaves to others: what is done about it (readiness, metrics).

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
};

use model::{Incarnation, Instant, LedgerId, Reason};
use wire::{Committed, Health, Status};

/// How the ledger is.
#[derive(Debug)]
pub struct StatusBoard {
    ledger: LedgerId,
    incarnation: Incarnation,
    online: AtomicBool,
    poisoned: AtomicBool,
    stopping: AtomicBool,
    /// No room for a lone entry is prepared, and none is coming.
    full: AtomicBool,
    /// The next segment cannot be prepared.
    space_low: AtomicBool,
    derived_lost: AtomicBool,
    /// One of two copies does not count.
    mirror_lost: AtomicBool,
    /// Bytes that one copy lacked at the start.
    repaired: AtomicU64,
    /// Ledger time less wall time, in milliseconds.
    clock_ahead: AtomicI64,
    /// Monotonic nanoseconds at which the oldest frame in flight was begun; zero for none.
    oldest: AtomicU64,
    /// The last `Seq` that is durable.
    durable: AtomicU64,
    /// Written by the reader alone, off the committer's path.
    committed: Mutex<Committed>,
}

impl StatusBoard {
    /// A ledger that is not yet online.
    #[must_use]
    pub fn new(ledger: LedgerId, incarnation: Incarnation) -> Self {
        Self {
            ledger,
            incarnation,
            online: AtomicBool::new(false),
            poisoned: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            full: AtomicBool::new(false),
            space_low: AtomicBool::new(false),
            derived_lost: AtomicBool::new(false),
            mirror_lost: AtomicBool::new(false),
            repaired: AtomicU64::new(0),
            clock_ahead: AtomicI64::new(0),
            oldest: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            committed: Mutex::new(Committed::default()),
        }
    }

    /// The whole picture; the intake's depth is the asker's to add.
    #[must_use]
    pub fn status(&self, now: Instant, intake_depth: usize, intake_capacity: usize) -> Status {
        let oldest = self.oldest.load(Ordering::Relaxed);
        let lag = if oldest == 0 { 0 } else { now.since(Instant(oldest)).as_millis() };
        let refusing = self.refusing();
        Status {
            ledger: self.ledger,
            incarnation: self.incarnation,
            accepting: refusing.is_none(),
            refusing,
            committed: self.committed(),
            intake_depth,
            intake_capacity,
            committer_lag_millis: lag,
            health: Health {
                space_low: self.space_low.load(Ordering::Acquire),
                clock_ahead_millis: self.clock_ahead.load(Ordering::Relaxed),
                derived_lost: self.derived_lost.load(Ordering::Acquire),
                mirror_lost: self.mirror_lost.load(Ordering::Acquire),
                repaired_bytes: self.repaired.load(Ordering::Relaxed),
            },
        }
    }

    /// Why no new entries are taken, if none are. With `NoSpace`, calls are still answered: what
    /// was decided before is repeated.
    #[must_use]
    pub fn refusing(&self) -> Option<Reason> {
        if self.is_poisoned() {
            Some(Reason::SafeMode)
        } else if !self.online.load(Ordering::Acquire) || self.stopping.load(Ordering::Acquire) {
            Some(Reason::Busy)
        } else if self.full.load(Ordering::Acquire) {
            Some(Reason::NoSpace)
        } else {
            None
        }
    }

    /// Whether a failed write has poisoned the ledger.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// The last `Seq` that is durable.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// The newest tree head that the reader has.
    #[must_use]
    pub fn committed(&self) -> Committed {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_online(&self) {
        self.online.store(true, Ordering::Release);
    }

    pub(crate) fn set_poisoned(&self) {
        self.poisoned.store(true, Ordering::Release);
    }

    /// What room there is: whether none is left for a lone entry, and whether more is coming.
    pub(crate) fn set_space(&self, low: bool, full: bool) {
        self.space_low.store(low, Ordering::Release);
        self.full.store(full, Ordering::Release);
    }

    pub(crate) fn set_derived_lost(&self, lost: bool) {
        self.derived_lost.store(lost, Ordering::Release);
    }

    pub(crate) fn set_mirror_lost(&self) {
        self.mirror_lost.store(true, Ordering::Release);
    }

    pub(crate) fn set_repaired(&self, bytes: u64) {
        self.repaired.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn set_clock_ahead(&self, millis: i64) {
        self.clock_ahead.store(millis, Ordering::Relaxed);
    }

    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(crate) fn set_oldest(&self, begun: Option<Instant>) {
        self.oldest.store(begun.map_or(0, |instant| instant.0.max(1)), Ordering::Relaxed);
    }

    pub(crate) fn set_durable(&self, seq: u64) {
        self.durable.store(seq, Ordering::Release);
    }

    pub(crate) fn set_committed(&self, committed: Committed) {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = committed;
    }
}
