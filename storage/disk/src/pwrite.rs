//! The surface of a ring on plain system calls, where `io_uring` is denied.
//!
//! Each operation runs on the calling thread when it is queued, and its completion waits to be
//! reaped; a flush that covers several writes runs with the next submit. Nothing overlaps, so it is
//! slower under load; it is as durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::io::{Errno, ReadWriteFlags};

use crate::buffer::AlignedBuf;
use crate::commit::{Barrier, CommitMethod};
use crate::completion::{Completion, Token};
use crate::direct::DirectFile;
use crate::doorbell::Doorbell;
use crate::files::{FileId, Files};
use crate::lock::DirectoryLock;

/// Synchronous operations with a ring's surface.
#[derive(Debug)]
pub struct Pwrite {
    depth: usize,
    /// What has ended and is not reaped.
    done: VecDeque<Completion>,
    commit: CommitMethod,
    /// Writes that have ended and wait for their flush.
    barrier: Barrier<(FileId, Completion)>,
    files: Files,
    locks: Vec<Arc<DirectoryLock>>,
    doorbell: Arc<Doorbell>,
    watching: Option<Token>,
}

impl Pwrite {
    /// A backend that holds at most `depth` operations and completions, the doorbell's included.
    ///
    /// # Panics
    /// If the depth is not 2 to 4096.
    #[must_use]
    pub fn new(depth: u16, commit: CommitMethod, doorbell: Arc<Doorbell>) -> Self {
        assert!((2..=4096).contains(&depth), "a write and the doorbell at least");
        let barrier = Barrier::new(depth);
        let depth = usize::from(depth);
        let done = VecDeque::with_capacity(depth);
        Self {
            depth,
            done,
            commit,
            barrier,
            files: Files::new(),
            locks: Vec::new(),
            doorbell,
            watching: None,
        }
    }

    /// As [`Ring::attach`](crate::Ring::attach), without a kernel to refuse.
    pub fn attach(&mut self, file: Arc<DirectFile>) -> Option<FileId> {
        self.files.attach(file)
    }

    /// As [`Ring::detach`](crate::Ring::detach), without a kernel to refuse.
    ///
    /// # Panics
    /// If the file is not attached, or a completion on it is not reaped.
    pub fn detach(&mut self, id: FileId) -> Arc<DirectFile> {
        self.files.detach(id)
    }

    /// Keeps the directory's lock for as long as the backend lives. Its calls end before a killed
    /// thread does, so nothing more is needed.
    pub fn hold_lock(&mut self, lock: Arc<DirectoryLock>) {
        self.locks.push(lock);
    }

    /// As [`Ring::room`](crate::Ring::room).
    #[must_use]
    pub fn room(&self) -> usize {
        self.depth - self.in_flight()
    }

    /// Completions to be reaped, and the watch.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.done.len() + self.barrier.count() + usize::from(self.watching.is_some())
    }

    /// As [`Ring::write_durable`](crate::Ring::write_durable), but returns after the write.
    ///
    /// # Panics
    /// If there is no room, the file is not attached, or the range is not whole pages.
    pub fn write_durable(
        &mut self,
        file: FileId,
        offset: u64,
        buffer: AlignedBuf,
        len_bytes: usize,
        token: Token,
    ) {
        assert!(self.room() > 0, "room for one more operation");
        let open = self.files.begin(file);
        let flags = match self.commit {
            CommitMethod::Dsync => ReadWriteFlags::DSYNC,
            CommitMethod::FdatasyncLinked | CommitMethod::Fdatasync => ReadWriteFlags::empty(),
        };
        let mut written = open.write_once(offset, &buffer, len_bytes, flags);
        if written == Ok(len_bytes) {
            match self.commit {
                CommitMethod::Dsync => {}
                CommitMethod::FdatasyncLinked => written = open.flush_once().map(|()| len_bytes),
                CommitMethod::Fdatasync => {
                    let result = Ok(u32::try_from(len_bytes).expect("one operation moves less than 2 GiB"));
                    let done = Completion { token, result, buffer: Some(buffer) };
                    self.barrier.written(file, (file, done));
                    return;
                }
            }
        }
        self.end(file, token, written, Some(buffer));
    }

    /// As [`Ring::read`](crate::Ring::read), but returns after the read.
    ///
    /// # Panics
    /// As [`Pwrite::write_durable`].
    pub fn read(
        &mut self,
        file: FileId,
        offset: u64,
        mut buffer: AlignedBuf,
        len_bytes: usize,
        token: Token,
    ) {
        assert!(self.room() > 0, "room for one more operation");
        let read = self.files.begin(file).read_at(offset, &mut buffer, len_bytes);
        let read = read.map_err(|error| error.errno().unwrap_or(Errno::IO));
        self.end(file, token, read, Some(buffer));
    }

    /// As [`Ring::flush`](crate::Ring::flush), but returns after the flush.
    ///
    /// # Panics
    /// If there is no room or the file is not attached.
    pub fn flush(&mut self, file: FileId, token: Token) {
        assert!(self.room() > 0, "room for one more operation");
        let flushed = self.files.begin(file).flush_once();
        self.end(file, token, flushed.map(|()| 0), None);
    }

    /// As [`Ring::watch`](crate::Ring::watch).
    ///
    /// # Panics
    /// If there is no room.
    pub fn watch(&mut self, token: Token) -> bool {
        if self.watching.is_some() {
            return false;
        }
        assert!(self.room() > 0, "room for one more operation");
        self.watching = Some(token);
        true
    }

    /// Flushes what waits for it, and sees whether the doorbell rang.
    pub fn submit(&mut self) {
        self.flush_waiting();
        self.poll_doorbell(Some(Duration::ZERO));
    }

    /// Flushes what waits for it. Waits for the doorbell unless `at_least` completions can be reaped already; nothing else can
    /// happen while the thread sleeps. May return early, after a signal.
    ///
    /// # Panics
    /// If nothing could ever end the wait.
    pub fn submit_and_wait(&mut self, at_least: usize, timeout: Option<Duration>) {
        self.flush_waiting();
        let wait = if self.done.len() >= at_least { Some(Duration::ZERO) } else { timeout };
        assert!(wait.is_some() || self.watching.is_some(), "a wait needs something that ends it");
        self.poll_doorbell(wait);
    }

    /// As [`Ring::reap`](crate::Ring::reap).
    pub fn reap(&mut self) -> Option<Completion> {
        self.done.pop_front()
    }

    /// One flush for each file with writes that wait for one.
    fn flush_waiting(&mut self) {
        while let Some(file) = self.barrier.begin() {
            let verdict = self.files.file(file).flush_once();
            self.barrier.flushed(file, verdict);
        }
        while let Some(((file, Completion { token, result, buffer }), flushed)) = self.barrier.ended() {
            self.files.end(file);
            self.done.push_back(Completion { token, result: flushed.and(result), buffer });
        }
    }

    fn poll_doorbell(&mut self, timeout: Option<Duration>) {
        let timeout = timeout.map(|timeout| Timespec::try_from(timeout).unwrap_or(LONG_WAIT));
        if self.watching.is_none() {
            // With nothing to watch, the wait is a plain pause; a ring in it is kept for later.
            if timeout != Some(NO_WAIT) {
                pause(timeout);
            }
            return;
        }
        if self.doorbell.wait(timeout) && self.doorbell.drain() {
            let token = self.watching.take().expect("checked above");
            self.done.push_back(Completion { token, result: Ok(8), buffer: None });
        }
    }

    fn end(&mut self, file: FileId, token: Token, result: Result<usize, Errno>, buffer: Option<AlignedBuf>) {
        self.files.end(file);
        let result = result.map(|count| u32::try_from(count).expect("one operation moves less than 2 GiB"));
        self.done.push_back(Completion { token, result, buffer });
        assert!(self.in_flight() <= self.depth, "the queue never grows");
    }
}

const NO_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// Longer than a `Timespec` is not a wait that anybody means.
const LONG_WAIT: Timespec = Timespec { tv_sec: i64::MAX, tv_nsec: 0 };

/// Waits for the time alone.
fn pause(timeout: Option<Timespec>) {
    // An interruption ends the pause early, as it may end any wait here.
    let _early = rustix::event::poll(&mut [], timeout.as_ref());
}
