//! What comes back from a backend.

use rustix::io::Errno;

use crate::buffer::AlignedBuf;

/// The caller's name for an operation; a backend only carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// An operation that has ended.
#[derive(Debug)]
#[must_use = "a completion carries the buffer and the verdict"]
pub struct Completion {
    /// The token that the operation was submitted with.
    pub token: Token,
    /// Bytes moved (0 for a flush, 8 for a doorbell), or why not. Fewer bytes than asked for is
    /// `Ok`: the caller compares.
    pub result: Result<u32, Errno>,
    /// The buffer that went in, for reads and writes.
    pub buffer: Option<AlignedBuf>,
}
