//! The files that a backend writes and reads.
//!
//! Holds: a file stays open while it is attached, and it stays attached while anything is in flight
//! on it. So a descriptor that was handed to the kernel never means another file.

use std::sync::Arc;

use crate::direct::DirectFile;

/// Files attached to one backend at once.
pub const FILES_MAX: usize = 64;

/// An attached file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileId(u8);

impl FileId {
    /// The slot in the table.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The file of the slot with this index.
    pub(crate) fn at(index: u64) -> Self {
        Self(u8::try_from(index).expect("the table is small"))
    }
}

#[derive(Debug)]
struct Slot {
    file: Arc<DirectFile>,
    in_flight: u32,
}

/// The table of attached files.
#[derive(Debug)]
pub(crate) struct Files {
    slots: [Option<Slot>; FILES_MAX],
}

impl Files {
    pub(crate) fn new() -> Self {
        Self { slots: [const { None }; FILES_MAX] }
    }

    /// Takes the file into the first free slot, `None` if the table is full.
    pub(crate) fn attach(&mut self, file: Arc<DirectFile>) -> Option<FileId> {
        let index = self.slots.iter().position(Option::is_none)?;
        self.slots[index] = Some(Slot { file, in_flight: 0 });
        Some(FileId(u8::try_from(index).expect("the table is small")))
    }

    /// Gives the file back.
    ///
    /// # Panics
    /// If it is not attached or in use.
    pub(crate) fn detach(&mut self, id: FileId) -> Arc<DirectFile> {
        let slot = self.slots[id.index()].take().expect("an attached file");
        assert_eq!(slot.in_flight, 0, "nothing is in flight on a file that is detached");
        slot.file
    }

    /// The file, while something is in flight on it.
    ///
    /// # Panics
    /// If it is not attached.
    pub(crate) fn file(&self, id: FileId) -> &DirectFile {
        &self.slots[id.index()].as_ref().expect("an attached file").file
    }

    /// The file, for one more operation in flight.
    ///
    /// # Panics
    /// If it is not attached.
    pub(crate) fn begin(&mut self, id: FileId) -> &DirectFile {
        let slot = self.slots[id.index()].as_mut().expect("an attached file");
        slot.in_flight += 1;
        &slot.file
    }

    /// One operation has ended.
    pub(crate) fn end(&mut self, id: FileId) {
        let slot = self.slots[id.index()].as_mut().expect("a file stays attached while in use");
        assert!(slot.in_flight > 0, "an operation ends once");
        slot.in_flight -= 1;
    }
}

const _: () = assert!(FILES_MAX <= 1 << u8::BITS, "a slot's index fits its id");
