//! What is in flight: for each operation its token, its file, its buffer, and what it waits for.
//!
//! Holds: a slot is taken at submit and freed by the completion that names it; a buffer in a slot is
//! reachable by nobody else. The number of slots is the depth, fixed at start.

use rustix::io::Errno;

use crate::buffer::AlignedBuf;
use crate::completion::Token;
use crate::files::FileId;

/// What the kernel tells of one operation, in how many completions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    /// One completion, and it is over.
    Single,
    /// A write of so many bytes, over when a flush has covered it.
    Flushed(u32),
    /// A write of so many bytes with a flush linked to it.
    Linked(Linked),
}

/// A write and the flush that is linked to it. The two are told one by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Linked {
    pub(crate) wanted: u32,
    pub(crate) written: Option<Result<u32, Errno>>,
    pub(crate) flushed: Option<Result<(), Errno>>,
    /// Whether the kernel took both at once, so that the flush began after the write.
    pub(crate) in_order: bool,
}

/// One operation in flight.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) token: Token,
    /// The file that it is on; `None` for the doorbell.
    pub(crate) file: Option<FileId>,
    /// The buffer that the kernel reads or fills; `None` for a flush.
    pub(crate) buffer: Option<AlignedBuf>,
    pub(crate) stage: Stage,
}

impl Flight {
    /// One that a single completion ends.
    pub(crate) fn single(token: Token, file: Option<FileId>, buffer: Option<AlignedBuf>) -> Self {
        Self { token, file, buffer, stage: Stage::Single }
    }
}

/// A fixed table of operations in flight.
#[derive(Debug)]
pub(crate) struct Flights {
    slots: Box<[Option<Flight>]>,
    free: Vec<u16>,
}

impl Flights {
    pub(crate) fn new(depth: u16) -> Self {
        let slots = (0..depth).map(|_| None).collect();
        Self { slots, free: (0..depth).rev().collect() }
    }

    /// How many more operations fit.
    pub(crate) fn room(&self) -> usize {
        self.free.len()
    }

    /// How many operations are in flight.
    pub(crate) fn count(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Takes a slot and returns its number and where the buffer now rests.
    ///
    /// # Panics
    /// If the table is full: the caller looks at `room` first.
    pub(crate) fn board(&mut self, flight: Flight) -> (u16, *mut u8) {
        let index = self.free.pop().expect("room for one more operation");
        let slot = &mut self.slots[usize::from(index)];
        assert!(slot.is_none(), "a free slot is empty");
        let buffer = slot.insert(flight).buffer.as_mut();
        (index, buffer.map_or(std::ptr::null_mut(), |buffer| buffer.as_mut_ptr()))
    }

    /// What is in flight in this slot.
    ///
    /// # Panics
    /// If nothing is.
    pub(crate) fn at(&mut self, index: u16) -> &mut Flight {
        self.slots[usize::from(index)].as_mut().expect("an operation completes once")
    }

    /// Everything in flight.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Flight> {
        self.slots.iter_mut().flatten()
    }

    /// Frees a slot.
    ///
    /// # Panics
    /// If nothing is in flight there.
    pub(crate) fn land(&mut self, index: u16) -> Flight {
        let flight = self.slots[usize::from(index)].take().expect("an operation completes once");
        self.free.push(index);
        flight
    }

    /// Gives up every buffer still in flight without freeing its memory.
    pub(crate) fn leak(&mut self) {
        let slots = std::mem::take(&mut self.slots);
        self.free.clear();
        Box::leak(slots);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ALIGNMENT_BYTES;

    #[test]
    fn slots_are_taken_and_freed() {
        let mut flights = Flights::new(2);
        let buffer = AlignedBuf::new(ALIGNMENT_BYTES);
        let address = buffer.as_ptr().addr();
        let (first, at) = flights.board(Flight::single(Token(1), None, Some(buffer)));
        assert_eq!(at.addr(), address, "the buffer has not moved");
        let (_, none) = flights.board(Flight::single(Token(2), None, None));
        assert!(none.is_null());
        assert_eq!((flights.room(), flights.count()), (0, 2));
        assert_eq!(flights.land(first).token, Token(1));
        assert_eq!((flights.room(), flights.count()), (1, 1));
    }

    #[test]
    #[should_panic(expected = "completes once")]
    fn a_second_completion_is_a_bug() {
        Flights::new(1).land(0);
    }
}
