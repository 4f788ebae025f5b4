//! `SpaceWatch`: how much room the ledger's file system has, against two marks.
//!
//! Under the soft mark no room is prepared for new entries; what is there is left to checkpoints, cuts
//! and derived files. Under the hard mark nothing at all is taken from the disk. Holds: the file system
//! is asked by threads that may wait, never by the committer. Leaves to others: what they do about it.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use disk::directory;

use crate::{status_board::StatusBoard, store::UpkeepParams};

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Room {
    /// Over both marks.
    Ample,
    /// Under the soft mark.
    Low,
    /// Under the hard mark.
    Gone,
}

/// Looks at the room on a file system.
#[derive(Debug)]
pub(crate) struct SpaceWatch {
    directory: PathBuf,
    soft_bytes: u64,
    hard_bytes: u64,
    room: AtomicU8,
    board: Arc<StatusBoard>,
}

impl SpaceWatch {
    /// Of the file system that holds `directory`.
    pub(crate) fn new(directory: &Path, params: &UpkeepParams, board: Arc<StatusBoard>) -> Arc<Self> {
        let watch = Self {
            directory: directory.into(),
            soft_bytes: params.soft_bytes,
            hard_bytes: params.hard_bytes,
            room: AtomicU8::new(0),
            board,
        };
        let watch = Arc::new(watch);
        watch.look();
        watch
    }

    /// Asks the file system, and says once what has changed.
    pub(crate) fn look(&self) -> Room {
        // Where it does not answer, what it last said stands; a write that fails is told by itself.
        let Ok(free) = directory::free_bytes(&self.directory) else { return self.room() };
        self.board.upkeep().free_bytes(free);
        let room = room(free, self.soft_bytes, self.hard_bytes);
        let before = self.room.swap(number(room), Ordering::AcqRel);
        if before != number(room) {
            self.tell(room, free >> 20);
        }
        room
    }

    fn tell(&self, room: Room, free_mib: u64) {
        match room {
            Room::Ample => tracing::info!(free_mib, "there is room again"),
            Room::Low => tracing::warn!(
                free_mib,
                "under storage.soft_mib: no more room is prepared for new entries; free some space"
            ),
            Room::Gone => tracing::error!(
                free_mib,
                "under storage.hard_mib: new entries are refused and nothing is written; free some space"
            ),
        }
    }

    /// Where it tells what it found.
    pub(crate) const fn board(&self) -> &Arc<StatusBoard> {
        &self.board
    }

    /// What was found last. Costs nothing.
    pub(crate) fn room(&self) -> Room {
        match self.room.load(Ordering::Acquire) {
            0 => Room::Ample,
            1 => Room::Low,
            _ => Room::Gone,
        }
    }
}

const fn number(room: Room) -> u8 {
    match room {
        Room::Ample => 0,
        Room::Low => 1,
        Room::Gone => 2,
    }
}

const fn room(free: u64, soft: u64, hard: u64) -> Room {
    if free < hard {
        Room::Gone
    } else if free < soft {
        Room::Low
    } else {
        Room::Ample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_passed_from_below_it() {
        for (free, expected) in
            [(9, Room::Gone), (10, Room::Low), (19, Room::Low), (20, Room::Ample), (u64::MAX, Room::Ample)]
        {
            assert_eq!(room(free, 20, 10), expected, "{free}");
        }
        assert_eq!(room(0, 0, 0), Room::Ample, "marks of zero are no marks");
    }

    #[test]
    fn the_file_system_is_asked() {
        let home = tempfile::tempdir().unwrap();
        let marks =
            |soft_bytes, hard_bytes| UpkeepParams { soft_bytes, hard_bytes, ..UpkeepParams::default() };
        let board = || Arc::new(StatusBoard::new(model::LedgerId([1; 16]), model::Lives::default()));
        let watch = |params| SpaceWatch::new(home.path(), &params, board()).room();
        assert_eq!(watch(marks(0, 0)), Room::Ample);
        assert_eq!(watch(marks(u64::MAX, 0)), Room::Low);
        assert_eq!(watch(marks(u64::MAX, u64::MAX)), Room::Gone);
    }
}
