//! `Twin`: the second copy of the rules' state, brought forward beside the first during replay.
//!
//! The committer and the reader each own a copy. Making one from the other when the replay is done
//! would cost a start as much again, so a thread of its own applies the same records meanwhile.
//! Leaves to others: judging a frame; what this thread cannot apply, the replay itself refuses.

use std::{
    sync::mpsc::{SyncSender, sync_channel},
    thread::JoinHandle,
};

use ledger::Ledger;
use model::BatchView;

use super::replay;

/// Payloads that may wait for the thread: as much memory as eight frames of the largest size.
const WAITING_MAX: usize = 8;

/// The second copy in the making.
#[derive(Debug)]
pub(crate) struct Twin {
    payloads: SyncSender<Vec<u8>>,
    thread: JoinHandle<Option<Ledger>>,
}

impl Twin {
    /// Begins with a copy of `ledger`, to which about `expected` entries come.
    pub(crate) fn begin(ledger: &Ledger, expected: u64) -> Self {
        let (payloads, waiting) = sync_channel::<Vec<u8>>(WAITING_MAX);
        let mut copy = ledger.clone();
        let replay = move || {
            copy.expect(expected, disk::advise_huge_pages);
            for payload in waiting {
                replay::apply(&mut copy, &BatchView::parse(&payload).ok()?, None).ok()?;
            }
            Some(copy)
        };
        let thread = std::thread::Builder::new()
            .name("replay".into())
            .spawn(move || crate::fatal::guard("replay", replay))
            .expect("the process may start a thread");
        Self { payloads, thread }
    }

    /// The next frame's payload.
    pub(crate) fn take(&self, payload: &[u8]) {
        // A thread that has ended could not apply a record: the replay will not be able to either.
        drop(self.payloads.send(payload.to_vec()));
    }

    /// The copy, if it stands where `ledger` does; otherwise one that is made now.
    pub(crate) fn finish(self, ledger: &Ledger) -> Ledger {
        drop(self.payloads);
        let copy = self.thread.join().ok().flatten();
        copy.filter(|copy| copy.last() == ledger.last()).unwrap_or_else(|| ledger.clone())
    }
}
