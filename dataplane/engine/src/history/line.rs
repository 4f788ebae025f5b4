//! `Line`: between the reader and the historian. Neither waits for the other.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use crossbeam_queue::ArrayQueue;
use ledger::RunName;
use model::Seq;

use super::{batch::Batch, chain::Chain};
use crate::bell::Bell;

/// Batches that may wait to become runs.
pub(super) const SEALED_MAX: usize = 4;
/// Runs that may be told of as damaged at once.
const DAMAGED_MAX: usize = 64;

/// What both know.
#[derive(Debug)]
pub(crate) struct Line {
    /// Written by the historian alone; `None` until it has looked.
    runs: Mutex<Option<Arc<Chain>>>,
    sealed: ArrayQueue<Arc<Batch>>,
    damaged: ArrayQueue<RunName>,
    /// The last entry that must come from the journal: what comes after it is in memory.
    through: AtomicU64,
    stop: AtomicBool,
    bell: Bell,
}

impl Line {
    pub(super) fn new(through: Seq) -> Result<Self, disk::DiskError> {
        Ok(Self {
            runs: Mutex::new(None),
            sealed: ArrayQueue::new(SEALED_MAX),
            damaged: ArrayQueue::new(DAMAGED_MAX),
            through: AtomicU64::new(through.0),
            stop: AtomicBool::new(false),
            bell: Bell::new()?,
        })
    }

    pub(super) fn runs(&self) -> Option<Arc<Chain>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn publish(&self, chain: &Chain) {
        *self.runs.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(chain.clone()));
    }

    /// Hands a batch over; false if too many wait.
    pub(super) fn seal(&self, batch: Arc<Batch>) -> bool {
        let taken = self.sealed.push(batch).is_ok();
        self.bell.ring();
        taken
    }

    pub(super) fn next_sealed(&self) -> Option<Arc<Batch>> {
        self.sealed.pop()
    }

    /// This run cannot be read. One that finds no place is told of when it is met again.
    pub(super) fn tell_damaged(&self, name: RunName) {
        let _told = self.damaged.push(name);
        self.bell.ring();
    }

    pub(super) fn next_damaged(&self) -> Option<RunName> {
        self.damaged.pop()
    }

    pub(super) fn set_through(&self, through: Seq) {
        if self.through.swap(through.0, Ordering::AcqRel) != through.0 {
            self.bell.ring();
        }
    }

    pub(super) fn through(&self) -> Seq {
        Seq(self.through.load(Ordering::Acquire))
    }

    pub(super) fn has_work(&self) -> bool {
        self.is_stopping() || !self.sealed.is_empty() || !self.damaged.is_empty()
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) const fn bell(&self) -> &Bell {
        &self.bell
    }
}
