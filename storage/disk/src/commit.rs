//! How a write is made durable, and which flush covers which write.
//!
//! Holds: a write is told as durable only after a flush of its file that was begun after the write had
//! ended; after a flush that failed no other is begun, and what waited for one fails. A flush of another
//! file that was in flight by then still tells what came of it. It moves no bytes: the backends write,
//! flush, and say here what came of it.

use std::collections::VecDeque;

use rustix::io::Errno;

use crate::files::FileId;

/// How [`Ring::write_durable`](crate::Ring::write_durable) makes a write durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CommitMethod {
    /// One write that the kernel makes durable (`RWF_DSYNC`).
    #[default]
    Dsync,
    /// A write, and an `fdatasync` of its own that begins when it has ended.
    FdatasyncLinked,
    /// Writes, and an `fdatasync` for all of them that have ended; it may cover several.
    Fdatasync,
}

impl CommitMethod {
    /// Every method, the default first.
    pub const ALL: [Self; 3] = [Self::Dsync, Self::FdatasyncLinked, Self::Fdatasync];

    /// Its word in settings, logs and metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Dsync => "dsync",
            Self::FdatasyncLinked => "fdatasync_linked",
            Self::Fdatasync => "fdatasync",
        }
    }
}

/// Writes that have ended, until a flush has covered them.
#[derive(Debug)]
pub(crate) struct Barrier<T> {
    /// No flush in flight covers these.
    waiting: VecDeque<(FileId, T)>,
    /// The flush in flight on their file covers these.
    covered: VecDeque<(FileId, T)>,
    /// To be told, with their flush's verdict.
    ended: VecDeque<(T, Result<(), Errno>)>,
    /// The first flush that failed.
    failed: Option<Errno>,
}

impl<T> Barrier<T> {
    /// For at most `depth` writes.
    pub(crate) fn new(depth: u16) -> Self {
        let line = || VecDeque::with_capacity(usize::from(depth));
        Self { waiting: line(), covered: line(), ended: VecDeque::with_capacity(depth.into()), failed: None }
    }

    /// How many writes are here.
    pub(crate) fn count(&self) -> usize {
        self.waiting.len() + self.covered.len() + self.ended.len()
    }

    /// A write has ended well.
    pub(crate) fn written(&mut self, file: FileId, item: T) {
        match self.failed {
            None => self.waiting.push_back((file, item)),
            Some(errno) => self.ended.push_back((item, Err(errno))),
        }
    }

    /// The next file to flush, from now on: everything on it that has ended so far is covered.
    pub(crate) fn begin(&mut self) -> Option<FileId> {
        let in_flight = |file: FileId| self.covered.iter().any(|(other, _)| *other == file);
        let file = self.waiting.iter().map(|(file, _)| *file).find(|file| !in_flight(*file))?;
        for _ in 0..self.waiting.len() {
            let (of, item) = self.waiting.pop_front().expect("counted");
            let line = if of == file { &mut self.covered } else { &mut self.waiting };
            line.push_back((of, item));
        }
        Some(file)
    }

    /// The flush of the file has ended.
    pub(crate) fn flushed(&mut self, file: FileId, verdict: Result<(), Errno>) {
        for _ in 0..self.covered.len() {
            let (of, item) = self.covered.pop_front().expect("counted");
            if of == file {
                self.ended.push_back((item, verdict));
            } else {
                self.covered.push_back((of, item));
            }
        }
        if let Err(errno) = verdict {
            self.failed.get_or_insert(errno);
            self.ended.extend(self.waiting.drain(..).map(|(_, item)| (item, Err(errno))));
        }
    }

    /// The next write whose flush has ended, in the order of the writes on its file.
    pub(crate) fn ended(&mut self) -> Option<(T, Result<(), Errno>)> {
        self.ended.pop_front()
    }
}

#[cfg(test)]
mod tests;
