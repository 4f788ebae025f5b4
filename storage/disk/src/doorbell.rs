//! Wakes the thread that waits on a backend.
//!
//! A counter in the kernel (`eventfd(2)`): rings add up until the waiter drains them, so a ring is
//! never lost. When to ring (only if the waiter sleeps) is decided by the queue's owner.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use crate::error::{DiskError, Operation};

/// What is added to the counter at each ring, in this machine's byte order as `eventfd(2)` asks.
#[expect(clippy::host_endian_bytes, reason = "the kernel on this host reads it, nothing stores it")]
const ONE_RING: [u8; 8] = 1_u64.to_ne_bytes();

/// An eventfd, or a pair of sockets, that many threads ring and one waits on.
#[derive(Debug)]
pub struct Doorbell {
    /// Blocking, because a ring would otherwise complete a read of it at once with `EAGAIN`.
    fd: OwnedFd,
    /// Where it is rung, if not at the same descriptor.
    rung: Option<OwnedFd>,
}

impl Doorbell {
    /// A silent doorbell.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn new() -> Result<Self, DiskError> {
        let fd = eventfd(0, EventfdFlags::CLOEXEC)
            .map_err(|errno| DiskError::Kernel { operation: Operation::Doorbell, errno })?;
        Ok(Self { fd, rung: None })
    }

    /// A silent doorbell for a waiter that can only wait on sockets. It must be rung only while the
    /// waiter sleeps (as a queue's owner decides): rings that are not drained fill the socket.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn over_socket() -> Result<Self, DiskError> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let (rung, fd) = pair.map_err(|errno| DiskError::Kernel { operation: Operation::Doorbell, errno })?;
        Ok(Self { fd, rung: Some(rung) })
    }

    /// Wakes the waiter, now or when it next waits.
    ///
    /// # Panics
    /// If the kernel refuses, which it cannot for a descriptor that this value owns and a counter
    /// that is drained before 2^64 rings.
    pub fn ring(&self) {
        loop {
            match rustix::io::write(self.rung.as_ref().unwrap_or(&self.fd), &ONE_RING) {
                Ok(written) => {
                    assert_eq!(written, 8, "a doorbell takes a whole ring");
                    return;
                }
                Err(Errno::INTR) => {}
                Err(errno) => panic!("an owned doorbell takes a ring: {errno}"),
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
        // An eventfd gives its counter, a socket as many rings as lie there.
        let mut rings = [0_u8; 64];
        match rustix::io::read(&self.fd, &mut rings) {
            Ok(read) => {
                assert!(read > 0, "the ringing end is owned and open");
                true
            }
            Err(Errno::INTR) => false,
            Err(errno) => panic!("an owned doorbell gives its rings: {errno}"),
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
        for doorbell in [Doorbell::new(), Doorbell::over_socket()] {
            let doorbell = doorbell.expect("a descriptor is left");
            assert!(!doorbell.drain());
            doorbell.ring();
            doorbell.ring();
            assert!(doorbell.wait(None));
            assert!(doorbell.drain());
            assert!(!doorbell.drain());
        }
    }
}
