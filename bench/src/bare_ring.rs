//! The device's own clock: a bare ring that overwrites a prewritten file, durably.
//!
//! It does what a committer's device must do and nothing else: `O_DIRECT` writes with `RWF_DSYNC`,
//! a given number in flight, from submit to completion. Everything above it is compared with it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use disk::{
    ALIGNMENT_BYTES, Access, AlignedBuf, Direct, DirectFile, Doorbell, FileId, Ring, RingOptions, RingReport,
    Token,
};

use crate::clock::Clock;
use crate::pace::Latencies;

/// What a block of writes came to.
#[derive(Debug, Clone)]
pub struct Block {
    /// Submit to completion, for each write.
    pub latencies: Latencies,
    /// Writes in a second, over the whole block.
    pub writes_per_second: f64,
}

/// How a thread waits for its completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// It sleeps in the kernel.
    Sleep,
    /// It looks again and again, and lets others on its core run in between.
    Spin,
}

/// A ring, a file on it, and the buffers to overwrite it with.
#[derive(Debug)]
pub struct BareRing {
    ring: Ring,
    file: FileId,
    file_bytes: u64,
    write_bytes: usize,
    next_offset: u64,
    buffers: VecDeque<AlignedBuf>,
    clock: Clock,
    /// How the ring was set up.
    pub report: RingReport,
}

impl BareRing {
    /// Writes a file of `file_bytes` at `path` full and opens a ring for `depth` writes of
    /// `write_bytes` in flight.
    ///
    /// # Errors
    /// If the file system has no direct I/O, or `io_uring` is denied: without it there is no bare
    /// ring to compare with.
    pub fn open(path: &Path, file_bytes: u64, write_bytes: usize, depth: u16) -> anyhow::Result<Self> {
        anyhow::ensure!(file_bytes.is_multiple_of(write_bytes as u64), "whole writes fill the file");
        anyhow::ensure!(write_bytes.is_multiple_of(ALIGNMENT_BYTES), "whole pages are written");
        let doorbell = Arc::new(Doorbell::new()?);
        let options = RingOptions { depth: depth.max(2), ..RingOptions::default() };
        let (mut ring, report) = Ring::open(&options, doorbell).context("the bare ring")?;
        let file = DirectFile::open(path, Access::CreateNew, Direct::Required)?;
        file.write_zeros(0, file_bytes)?;
        let file = ring.attach(Arc::new(file))?.expect("the table is empty");
        let buffers = (0..depth).map(|_| patterned(write_bytes)).collect();
        let clock = Clock::start();
        Ok(Self { ring, file, file_bytes, write_bytes, next_offset: 0, buffers, clock, report })
    }

    /// Overwrites `writes` times, with `depth` in flight as long as there is more to do.
    ///
    /// # Errors
    /// A write that fails or is short.
    ///
    /// # Panics
    /// If the depth is zero or more than the ring was opened for.
    pub fn run(&mut self, writes: u32, depth: usize, waiting: Waiting) -> anyhow::Result<Block> {
        assert!((1..=self.buffers.len()).contains(&depth), "a depth that the ring has buffers for");
        let mut latencies = Latencies::new();
        let (mut started, mut ended) = (0_u32, 0_u32);
        let begin = self.clock.nanos();
        while ended < writes {
            while started < writes && self.ring.in_flight() < depth {
                self.start();
                started += 1;
            }
            match waiting {
                Waiting::Sleep => self.ring.submit_and_wait(1, None)?,
                Waiting::Spin => self.ring.spin()?,
            }
            while let Some(done) = self.ring.reap() {
                latencies.record(done.token.0, self.clock.nanos());
                let written = done.result.context("a write of the bare ring")?;
                anyhow::ensure!(usize::try_from(written)? == self.write_bytes, "a short write: {written}");
                self.buffers.extend(done.buffer);
                ended += 1;
            }
        }
        let seconds = std::time::Duration::from_nanos(self.clock.nanos() - begin).as_secs_f64();
        Ok(Block { latencies, writes_per_second: f64::from(writes) / seconds })
    }

    /// Queues the next write; its token is the time at which it began.
    fn start(&mut self) {
        let buffer = self.buffers.pop_front().expect("as many buffers as writes in flight");
        let token = Token(self.clock.nanos());
        self.ring.write_durable(self.file, self.next_offset, buffer, self.write_bytes, token);
        self.next_offset = (self.next_offset + self.write_bytes as u64) % self.file_bytes;
    }
}

/// A buffer that no disk stores as a hole.
fn patterned(len_bytes: usize) -> AlignedBuf {
    let mut buffer = AlignedBuf::new(len_bytes);
    for (index, byte) in buffer.iter_mut().enumerate() {
        *byte = u8::try_from(index * 31 % 251).expect("a remainder below 251");
    }
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_timed_at_every_depth() {
        let home = tempfile::tempdir().unwrap();
        let mut ring = match BareRing::open(&home.path().join("bare"), 64 * 4096, 4096, 4) {
            Ok(ring) => ring,
            Err(error) => {
                println!("not run, this host has no bare ring: {error:#}");
                return;
            }
        };
        for (writes, depth, waiting) in
            [(5, 1, Waiting::Sleep), (9, 4, Waiting::Sleep), (3, 2, Waiting::Spin)]
        {
            let block = ring.run(writes, depth, waiting).unwrap();
            assert_eq!(block.latencies.count(), u64::from(writes));
            assert!(block.writes_per_second > 0.0 && block.latencies.quantile_nanos(0.5) > 0);
        }
    }
}
