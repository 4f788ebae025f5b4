//! Wakes the thread that waits on a backend.
//!
//! A counter in the kernel (`eventfd(2)`): rings add up until the waiter drains them, so a ring is
//! never lost. When to ring (only if the waiter sleeps) is decided by the queue's owner.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use crate::error::{DiskError, Operation};

/// What is added to the counter at each ring, in this machine's byte order as `eventfd(2)` asks.
#[expect(clippy::host_endian_bytes, reason = "the kernel on this host reads it, nothing stores it")]
const ONE_RING: [u8; 8] = 1_u64.to_ne_bytes();

/// An eventfd that many threads ring and one waits on.
#[derive(Debug)]
pub struct Doorbell {
    /// Blocking, because a ring would otherwise complete a read of it at once with `EAGAIN`.
    fd: OwnedFd,
}

impl Doorbell {
    /// A silent doorbell.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn new() -> Result<Self, DiskError> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(|errno| DiskError::Kernel { operation: Operation::Doorbell, errno })?;
        Ok(Self { fd })
    }

    /// Wakes the waiter, now or when it next waits.
    ///
    /// # Panics
    /// If the kernel refuses, which it cannot for a descriptor that this value owns and a counter
    /// that is drained before 2^64 rings.
    pub fn ring(&self) {
        loop {
            match rustix::io::write(&self.fd, &ONE_RING) {
                Ok(written) => {
                    assert_eq!(written, 8, "an eventfd takes a whole counter");
                    return;
                }
                Err(Errno::INTR) => {}
                Err(errno) => panic!("an owned eventfd takes a ring: {errno}"),
            }
        }
    }

    /// Takes back all rings so far without waiting: true if there were any.
    ///
    /// Only the waiter may call it, and not while a backend watches.
    pub fn drain(&self) -> bool {
        if !self.wait(Some(Timespec { tv_sec: 0, tv_nsec: 0 })) {
            return false;
        }
        let mut counter = [0_u8; 8];
        match rustix::io::read(&self.fd, &mut counter) {
            Ok(read) => {
                assert_eq!(read, 8, "an eventfd gives a whole counter");
                true
            }
            Err(Errno::INTR) => false,
            Err(errno) => panic!("an owned eventfd gives its counter: {errno}"),
        }
    }

    /// The descriptor, for other pollers.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Waits until it rings or the time is over (`None`: for ever); true if it rang. May also return
    /// false early, after a signal.
    pub(crate) fn wait(&self, timeout: Option<Timespec>) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(ready) => ready > 0,
            Err(Errno::INTR) => false,
            Err(errno) => panic!("an owned eventfd can be polled: {errno}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_add_up_and_are_drained_once() {
        let doorbell = Doorbell::new().expect("a descriptor is left");
        assert!(!doorbell.drain());
        doorbell.ring();
        doorbell.ring();
        assert!(doorbell.wait(None));
        assert!(doorbell.drain());
        assert!(!doorbell.drain());
    }
}
