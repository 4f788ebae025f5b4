//! `Bell`: wakes a loop only if it sleeps.
//!
//! Holds: a ring between `prepare` and the wait is never lost. The asleep flag and the queue are a
//! store and a load on each side with a full fence between (Dekker), so at least one side sees the
//! other. Leaves to others: the queues it announces.

use std::{
    os::fd::BorrowedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering, fence},
    },
};

use disk::{DiskError, Doorbell};
use model::Nanos;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Wakes a loop only if it sleeps: a ring costs a system call only then.
#[derive(Debug)]
pub struct Bell {
    asleep: AtomicBool,
    doorbell: Arc<Doorbell>,
}

impl Bell {
    /// A bell nobody waits at.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn new() -> Result<Self, DiskError> {
        Ok(Self { asleep: AtomicBool::new(false), doorbell: Arc::new(Doorbell::new()?) })
    }

    /// The same for a waiter that can only wait on sockets.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn over_socket() -> Result<Self, DiskError> {
        Ok(Self { asleep: AtomicBool::new(false), doorbell: Arc::new(Doorbell::over_socket()?) })
    }

    /// Wakes the waiter if it sleeps. Called after the queue was filled.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            self.doorbell.ring();
        }
    }

    /// Announces sleep. The waiter looks at its queues once more before it waits.
    pub fn prepare(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The waiter is awake, by whatever cause.
    pub fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// The descriptor that becomes readable.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.doorbell.fd()
    }

    /// The doorbell itself, for a ring that watches it.
    #[must_use]
    pub fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbell
    }

    /// Takes back the rings so far.
    pub fn drain(&self) {
        self.doorbell.drain();
    }

    /// Sleeps until it is rung, `span` is over or a signal comes, unless `busy` finds work first.
    pub fn wait(&self, span: Nanos, busy: impl FnOnce() -> bool) {
        self.prepare();
        if !busy() {
            let timeout = Timespec {
                tv_sec: i64::try_from(span.0 / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: i64::try_from(span.0 % 1_000_000_000).expect("below a second"),
            };
            let fd = self.doorbell.fd();
            let mut fds = [PollFd::new(&fd, PollFlags::IN)];
            // A signal or a timeout only means that the loop looks again.
            let _ = poll(&mut fds, Some(&timeout));
        }
        self.awake();
        self.drain();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    #[test]
    fn no_ring_is_lost_between_looking_and_sleeping() {
        const ROUNDS: u64 = 20_000;
        let bell = Arc::new(Bell::new().unwrap());
        let queue = Arc::new(AtomicU64::new(0));
        let ringer = std::thread::spawn({
            let (bell, queue) = (Arc::clone(&bell), Arc::clone(&queue));
            move || {
                for _ in 0..ROUNDS {
                    queue.fetch_add(1, Ordering::Release);
                    bell.ring();
                }
            }
        });
        let mut taken = 0;
        let mut long_waits = 0;
        while taken < ROUNDS {
            let before = crate::clock::monotonic();
            bell.wait(Nanos::from_secs(5), || queue.load(Ordering::Acquire) > taken);
            long_waits += u32::from(crate::clock::monotonic().since(before) >= Nanos::from_secs(5));
            taken = queue.load(Ordering::Acquire);
        }
        ringer.join().unwrap();
        assert_eq!(long_waits, 0, "a wait ran into its timeout although it was rung");
    }
}
