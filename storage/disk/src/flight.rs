//! What is in flight: for each operation its token, its file and its buffer.
//!
//! Holds: a slot is taken at submit and freed by the completion that names it; a buffer in a slot is
//! reachable by nobody else. The number of slots is the depth, fixed at start.

use crate::buffer::AlignedBuf;
use crate::completion::Token;
use crate::files::FileId;

/// One operation in flight.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) token: Token,
    /// The file that it is on; `None` for the doorbell.
    pub(crate) file: Option<FileId>,
    /// The buffer that the kernel reads or fills; `None` for a flush.
    pub(crate) buffer: Option<AlignedBuf>,
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

    /// Frees the slot that a completion names.
    ///
    /// # Panics
    /// If nothing is in flight there.
    pub(crate) fn land(&mut self, index: u64) -> Flight {
        let index = u16::try_from(index).expect("a completion names a slot");
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
        let (first, at) = flights.board(Flight { token: Token(1), file: None, buffer: Some(buffer) });
        assert_eq!(at.addr(), address, "the buffer has not moved");
        let (_, none) = flights.board(Flight { token: Token(2), file: None, buffer: None });
        assert!(none.is_null());
        assert_eq!((flights.room(), flights.count()), (0, 2));
        assert_eq!(flights.land(u64::from(first)).token, Token(1));
        assert_eq!((flights.room(), flights.count()), (1, 1));
    }

    #[test]
    #[should_panic(expected = "completes once")]
    fn a_second_completion_is_a_bug() {
        Flights::new(1).land(0);
    }
}
