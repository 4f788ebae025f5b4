//! A fixed number of equal buffers, made at start.
//!
//! Holds: no allocation after [`BufferPool::new`]; a buffer that comes back is one that went out.
//! An empty pool is back-pressure, not an error. Contents are not cleared between uses.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::buffer::AlignedBuf;

/// The number of the next pool; never reused.
static NEXT_POOL: AtomicU64 = AtomicU64::new(0);

/// Buffers of one length, taken and given back.
#[derive(Debug)]
pub struct BufferPool {
    number: u64,
    buffer_bytes: usize,
    count: u16,
    free: Vec<AlignedBuf>,
}

impl BufferPool {
    /// A pool of `count` zeroed buffers of `buffer_bytes` each.
    ///
    /// # Panics
    /// If `count` is zero, or as [`AlignedBuf::new`].
    #[must_use]
    pub fn new(count: u16, buffer_bytes: usize) -> Self {
        assert!(count > 0, "an empty pool would never serve");
        let number = NEXT_POOL.fetch_add(1, Ordering::Relaxed);
        let free = (0..count).map(|index| AlignedBuf::pooled(buffer_bytes, number, index)).collect();
        Self { number, buffer_bytes, count, free }
    }

    /// The buffer that was given back last (its memory is the warmest), or `None` if all are out.
    pub fn take(&mut self) -> Option<AlignedBuf> {
        self.free.pop()
    }

    /// Takes a buffer back.
    ///
    /// # Panics
    /// If the buffer is not this pool's.
    pub fn give_back(&mut self, buffer: AlignedBuf) {
        assert_eq!(buffer.pool(), Some(self.number), "a buffer of this pool");
        assert!(self.free.len() < usize::from(self.count), "each buffer comes back once");
        self.free.push(buffer);
    }

    /// The number of this pool.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Where the first `bytes_each` bytes of each buffer lie, in the order of their numbers.
    ///
    /// # Panics
    /// If a buffer is out.
    pub(crate) fn fronts(&mut self, bytes_each: usize) -> impl Iterator<Item = libc::iovec> {
        assert_eq!(self.free.len(), usize::from(self.count), "every buffer is here");
        self.free.sort_by_key(|buffer| buffer.registered(Some(self.number)));
        self.free.iter_mut().map(move |buffer| libc::iovec {
            iov_base: buffer[..bytes_each].as_mut_ptr().cast(),
            iov_len: bytes_each,
        })
    }

    /// How many buffers are here now.
    #[must_use]
    pub fn free_count(&self) -> usize {
        self.free.len()
    }

    /// How many buffers the pool has in all.
    #[must_use]
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Bytes of each buffer.
    #[must_use]
    pub fn buffer_bytes(&self) -> usize {
        self.buffer_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ALIGNMENT_BYTES;

    #[test]
    fn buffers_go_out_and_come_back() {
        let mut pool = BufferPool::new(2, ALIGNMENT_BYTES);
        let first = pool.take().expect("two are there");
        let second = pool.take().expect("one is there");
        assert_ne!(first.as_ptr(), second.as_ptr());
        assert!(pool.take().is_none());
        pool.give_back(first);
        assert_eq!((pool.free_count(), pool.count()), (1, 2));
        pool.give_back(second);
        assert!(pool.take().is_some() && pool.take().is_some() && pool.take().is_none());
    }

    #[test]
    #[should_panic(expected = "a buffer of this pool")]
    fn a_stranger_is_refused() {
        let mut pool = BufferPool::new(1, ALIGNMENT_BYTES);
        let _own = pool.take();
        let mut other = BufferPool::new(1, ALIGNMENT_BYTES);
        pool.give_back(other.take().expect("one is there"));
    }
}
