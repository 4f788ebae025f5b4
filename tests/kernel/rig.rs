//! A backend, a prewritten file on it, and buffers: what each test here drives.

use std::path::Path;
use std::sync::Arc;

use disk::{
    ALIGNMENT_BYTES, Access, Backend, BackendReport, BufferPool, Completion, Direct, DirectFile, DiskError,
    Doorbell, FileId, Io, RingOptions, Token,
};

/// Operations in flight.
pub(super) const DEPTH: u16 = 8;
/// Bytes of a page.
pub(super) const PAGE: u64 = ALIGNMENT_BYTES as u64;

/// The parts.
pub(super) struct Rig {
    pub(super) backend: Backend,
    pub(super) report: BackendReport,
    pub(super) file: Arc<DirectFile>,
    pub(super) id: FileId,
    pub(super) pool: BufferPool,
}

impl Rig {
    /// Makes a file of `file_bytes` zeros at `path`.
    pub(super) fn open(io: Io, path: &Path, file_bytes: u64, direct: Direct) -> Result<Self, DiskError> {
        disk::raise_memlock()?;
        let options = RingOptions { depth: DEPTH, ..RingOptions::default() };
        let (mut backend, report) = Backend::open(io, &options, Arc::new(Doorbell::new()?))?;
        let file = Arc::new(DirectFile::open(path, Access::CreateNew, direct)?);
        file.write_zeros(0, file_bytes)?;
        let id = backend.attach(Arc::clone(&file))?.expect("the table is empty");
        Ok(Self { backend, report, file, id, pool: BufferPool::new(DEPTH, ALIGNMENT_BYTES) })
    }

    /// Queues a page full of `byte`; the token is the page's number.
    pub(super) fn write(&mut self, page: u64, byte: u8) {
        let mut buffer = self.pool.take().expect("fewer in flight than buffers");
        buffer.fill(byte);
        self.backend.write_durable(self.id, page * PAGE, buffer, ALIGNMENT_BYTES, Token(page));
    }

    /// Waits for one completion and takes its buffer back.
    pub(super) fn reap(&mut self) -> Completion {
        loop {
            if let Some(mut done) = self.backend.reap() {
                if let Some(buffer) = done.buffer.take() {
                    self.pool.give_back(buffer);
                }
                return done;
            }
            self.backend.submit_and_wait(1, None).expect("the ring itself works");
        }
    }

    /// Writes `pages` pages, as many in flight as fit, each with its own byte, and checks that all
    /// are there for a reader that has no share in this rig.
    pub(super) fn check_pages(&mut self, pages: u64) {
        let mut next = 0;
        let mut ended = 0;
        while ended < pages {
            while next < pages && self.pool.free_count() > 0 {
                self.write(next, byte_of(next));
                next += 1;
            }
            let done = self.reap();
            assert_eq!(done.result, Ok(4096), "page {}", done.token.0);
            ended += 1;
        }
        assert_eq!((self.pool.free_count(), self.backend.in_flight()), (usize::from(DEPTH), 0));
        let again = DirectFile::open(self.file.path(), Access::ReadOnly, Direct::Preferred).expect("opened");
        let mut buffer = disk::AlignedBuf::new(ALIGNMENT_BYTES);
        for page in 0..pages {
            assert_eq!(again.read_at(page * PAGE, &mut buffer, ALIGNMENT_BYTES), Ok(ALIGNMENT_BYTES));
            assert!(buffer.iter().all(|byte| *byte == byte_of(page)), "page {page}");
        }
    }
}

/// The byte that a page is filled with; never zero, which an unwritten page holds.
fn byte_of(page: u64) -> u8 {
    u8::try_from(page % 251 + 1).expect("at most 251")
}
