//! `ReadAhead`: a thread that reads the next piece of the journal while the last one is replayed.
//!
//! Holds: at most one piece is under way; a piece is given out for the place it was read from, or not
//! at all. Leaves to others: what is next, and reading again what could not be read, so that an error
//! is told for the read that needed it (`Segments`).

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use disk::{AlignedBuf, DirectFile};
use journal::{READ_BYTES, SegmentNumber};

/// A piece of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) segment: SegmentNumber,
    pub(super) offset: u64,
    /// At most `READ_BYTES`.
    pub(super) len: usize,
}

#[derive(Debug)]
struct Ask {
    file: Arc<DirectFile>,
    piece: Piece,
    buffer: AlignedBuf,
}

#[derive(Debug)]
struct Answer {
    whole: bool,
    buffer: AlignedBuf,
}

/// The thread and what it is at.
#[derive(Debug)]
pub(super) struct ReadAhead {
    /// `None` when it shall end.
    asks: Option<SyncSender<Ask>>,
    answers: Receiver<Answer>,
    thread: Option<JoinHandle<()>>,
    under_way: Option<Piece>,
    /// Here while nothing is under way.
    buffer: Option<AlignedBuf>,
}

impl ReadAhead {
    /// `None` where the process may not have another thread: then nothing is read ahead.
    pub(super) fn begin() -> Option<Self> {
        let (asks, to_read) = sync_channel::<Ask>(1);
        let (done, answers) = sync_channel(1);
        let read = move || {
            for Ask { file, piece, mut buffer } in to_read {
                let whole = file.read_at(piece.offset, &mut buffer, piece.len).ok() == Some(piece.len);
                if done.send(Answer { whole, buffer }).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("read-ahead".into())
            .spawn(move || crate::fatal::guard("read-ahead", read))
            .ok()?;
        let buffer = Some(AlignedBuf::new(READ_BYTES));
        Some(Self { asks: Some(asks), answers, thread: Some(thread), under_way: None, buffer })
    }

    /// Begins to read a piece, if none is under way.
    pub(super) fn ask(&mut self, file: Arc<DirectFile>, piece: Piece) {
        assert!(piece.len <= READ_BYTES);
        let (Some(asks), Some(buffer)) = (&self.asks, self.buffer.take()) else { return };
        asks.send(Ask { file, piece, buffer }).expect("the thread lives as long as its asks");
        self.under_way = Some(piece);
    }

    /// Waits for the piece under way and copies its front to `bytes`; false if it is another one or
    /// could not be read.
    pub(super) fn take(&mut self, segment: SegmentNumber, offset: u64, bytes: &mut [u8]) -> bool {
        let Some(piece) = self.under_way.take() else { return false };
        let Answer { whole, buffer } = self.answers.recv().expect("each ask is answered");
        let fits = piece.segment == segment && piece.offset == offset && whole;
        let front = buffer.get(..bytes.len()).filter(|_| fits && bytes.len() <= piece.len);
        let taken = front.is_some();
        if let Some(front) = front {
            bytes.copy_from_slice(front);
        }
        self.buffer = Some(buffer);
        taken
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.asks = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has ended the process.
            drop(thread.join());
        }
    }
}
