//! What runs beside a lone commit: segments being prepared, old ones being read again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use disk::{Access, AlignedBuf, Direct, DirectFile};

use crate::bare_ring::Waiting;
use crate::clock::Clock;
use crate::commit::Committing as _;
use crate::ledger_under_test::{LedgerUnderTest, Setting};
use crate::pace::Latencies;

/// Bytes of a segment that no block sees the end of.
const ENDLESS_BYTES: u64 = 256 << 20;
/// Bytes that the scrub reads at once.
const READ_BYTES: usize = 256 << 10;
/// Bytes that the scrub reads in a second.
const READ_BYTES_PER_SECOND: u64 = 16 << 20;

/// What runs beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// The preparer writes zeros.
    Preparing,
    /// A segment is read at a rate.
    Scrubbing,
}

impl Beside {
    /// The front of its figures' names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preparing => "prepare",
            Self::Scrubbing => "scrub",
        }
    }
}

/// A ledger with something beside it.
#[derive(Debug)]
pub struct Busy {
    ledger: LedgerUnderTest,
    beside: Beside,
    segments: PathBuf,
    bytes: u64,
    nanos: u64,
}

/// Opens it; nothing runs beside it yet.
///
/// # Errors
/// If it does not start.
pub fn open(setting: Setting, beside: Beside) -> anyhow::Result<Busy> {
    let segments = setting.directory.join("segments");
    let segment_bytes = match beside {
        Beside::Preparing => ENDLESS_BYTES,
        Beside::Scrubbing => setting.segment_bytes,
    };
    let mut ledger = LedgerUnderTest::open(Setting { segment_bytes, ..setting })?;
    if beside == Beside::Scrubbing {
        ledger.await_prepared()?;
    }
    ledger.close()?;
    Ok(Busy { ledger, beside, segments, bytes: 0, nanos: 0 })
}

impl Busy {
    /// A block of lone commits with it, by the committer's clock. The ledger is started for it and
    /// stopped after it, so that nothing goes on beside the next block. The first commits after a
    /// start are not counted: the preparer is in a hurry until some room is ready.
    ///
    /// # Errors
    /// Whatever ends the run.
    pub fn lone(&mut self, commits: u32) -> anyhow::Result<Latencies> {
        self.ledger.lone(commits, Waiting::Sleep)?;
        let reader = match self.beside {
            Beside::Preparing => None,
            Beside::Scrubbing => Some(Reader::start(&self.segments)?),
        };
        let clock = Clock::start();
        let lone = self.ledger.lone(commits, Waiting::Sleep)?;
        if let Some(reader) = reader {
            self.nanos += clock.nanos();
            self.bytes += reader.stop()?;
        }
        self.ledger.close()?;
        Ok(lone.committer)
    }

    /// What was read beside the blocks so far, in MiB a second; `None` if nothing is read.
    #[must_use]
    pub fn mib_per_second(&self) -> Option<f64> {
        let kib = u32::try_from(self.bytes >> 10).ok()?;
        (self.nanos > 0).then(|| f64::from(kib) / 1024.0 / Duration::from_nanos(self.nanos).as_secs_f64())
    }
}

/// A thread that reads a segment at the scrub's rate, again and again.
struct Reader {
    stop: Arc<AtomicBool>,
    read: Arc<AtomicU64>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Reader {
    fn start(segments: &std::path::Path) -> anyhow::Result<Self> {
        let first = std::fs::read_dir(segments)?.next().context("a segment")??.path();
        let (stop, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (stop, read) = (Arc::clone(&stop), Arc::clone(&read));
            move || {
                // It is in no hurry, as the scrub is.
                let _ = rustix::process::nice(10);
                let file = DirectFile::open(&first, Access::ReadOnly, Direct::Required)?;
                let (len, mut at) = (file.len_bytes()?, 0);
                let mut buffer = AlignedBuf::new(READ_BYTES);
                let pause = Duration::from_nanos(1_000_000_000 * READ_BYTES as u64 / READ_BYTES_PER_SECOND);
                while !stop.load(Ordering::Acquire) {
                    let got = file.read_at(at, &mut buffer, READ_BYTES)?;
                    read.fetch_add(got as u64, Ordering::Relaxed);
                    at = if at + 2 * READ_BYTES as u64 > len { 0 } else { at + READ_BYTES as u64 };
                    std::thread::park_timeout(pause);
                }
                Ok(())
            }
        });
        Ok(Self { stop, read, thread })
    }

    fn stop(self) -> anyhow::Result<u64> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().map_err(|_| anyhow::anyhow!("the reader's thread panicked"))??;
        Ok(self.read.load(Ordering::Relaxed))
    }
}
