//! The commit methods on real file systems: what was answered is there after the file system went away
//! under load, and a flush that fails is never an answer.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use disk::{BackendKind, CommitMethod, Errno, Io};
use engine::{CommitObserver, LedgerRole, NoObserver};
use model::{Outcome, Reason};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use super::image::{FILE_SYSTEMS, Image};
use super::role::{declined, fund, paid, pay, pay_together, start_with, until};

/// Payments that are asked for at once: more than frames are in flight, so that flushes are shared.
const TOGETHER: u64 = 48;

/// Pays until a payment is not taken, or there will be no such. How many were.
fn pay_until_poisoned(role: &LedgerRole, round: &str, gave_up: &AtomicBool) -> i128 {
    let mut paid = 0;
    loop {
        let outcome = pay(role, &format!("{round}-{paid}"));
        if !matches!(outcome, Outcome::Decided { .. }) {
            assert!(outcome == Outcome::Unknown || declined(&outcome, Reason::SafeMode), "{outcome:?}");
            return paid;
        }
        paid += 1;
        if gave_up.load(Ordering::Acquire) {
            return paid;
        }
    }
}

/// Pays, loses the file system while it pays, mounts it again, and finds what was answered.
fn check_lost_and_found(image: &Image, io: Io, commit: CommitMethod) -> Result<(), String> {
    let data = image.path().join(commit.word());
    let role = start_with(&data, io, commit, Box::new(NoObserver));
    let report = &role.report.backend;
    assert_eq!((report.commit, report.kind == BackendKind::Uring), (commit, io == Io::Uring));
    fund(&role);
    let mut answered = i128::from(3 * TOGETHER);
    for round in 0..3 {
        pay_together(&role, &format!("together-{round}"), TOGETHER);
    }
    // While it pays.
    let gave_up = AtomicBool::new(false);
    let (shut, more) = std::thread::scope(|scope| {
        let shutting =
            scope.spawn(|| image.shut_down().inspect_err(|_| gave_up.store(true, Ordering::Release)));
        let paid = pay_until_poisoned(&role, "lost", &gave_up);
        (shutting.join().expect("it does not panic"), paid)
    });
    shut?;
    answered += more;
    assert!(!role.stop(), "what was in flight has an open fate");

    until("the file system is free and mounted again", || image.remount().ok());
    let role = start_with(&data, io, commit, Box::new(NoObserver));
    let found = paid(&role);
    // One payment was in flight, and may have made it.
    assert!((answered..=answered + 1).contains(&found), "{found} of {answered} answered");
    assert!(matches!(pay(&role, "together-2-0"), Outcome::Replayed { .. }));
    pay_together(&role, "again", TOGETHER);
    assert_eq!(paid(&role), found + i128::from(TOGETHER));
    assert!(role.stop());
    Ok(())
}

#[test]
fn what_each_method_answered_survives_a_file_system_that_went_away() {
    disk::raise_memlock().expect("the limit can be raised to the hard one");
    for (file_system, len_bytes) in FILE_SYSTEMS {
        let image = match Image::mount(file_system, len_bytes) {
            Ok(image) => image,
            Err(reason) => {
                super::not_run(&format!("methods::{file_system}"), reason);
                continue;
            }
        };
        for io in [Io::Uring, Io::Pwrite] {
            if io == Io::Uring && !super::has_ring() {
                super::not_run(&format!("methods::{file_system}::{io:?}"), "there is no ring on this host");
                continue;
            }
            for commit in CommitMethod::ALL {
                if let Err(reason) = check_lost_and_found(&image, io, commit) {
                    super::not_run(&format!("methods::{file_system}::{io:?}::{commit:?}"), reason);
                }
                std::fs::remove_dir_all(image.path().join(commit.word())).expect("it is ours");
            }
        }
    }
}

/// Takes `fdatasync(2)` away from the committer's own thread, on which it is called.
struct FlushThief {
    now: Arc<AtomicBool>,
    result: Arc<Mutex<Option<Result<(), String>>>>,
}

impl CommitObserver for FlushThief {
    fn frame(&mut self, _nanos: u64, _entries: u64) {
        if self.now.swap(false, Ordering::AcqRel) {
            *self.result.lock().expect("nobody panics with it") = Some(deny_flush());
        }
    }

    fn call(&mut self, _nanos: u64) {}

    fn write(&mut self, _nanos: u64, _bytes: u64) {}
}

fn deny_flush() -> Result<(), String> {
    let errno = u32::try_from(Errno::IO.raw_os_error()).expect("error numbers are positive");
    let rules = BTreeMap::from([(libc::SYS_fdatasync, Vec::new())]);
    let arch = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), arch)
        .and_then(TryInto::<BpfProgram>::try_into)
        .map_err(|error| error.to_string())?;
    apply_filter(&filter).map_err(|error| error.to_string())
}

/// The bytes are written, and only their flush fails: nothing may be answered for.
#[test]
fn a_flush_that_fails_is_never_an_answer() {
    for (commit, flushes) in
        [(CommitMethod::FdatasyncLinked, true), (CommitMethod::Fdatasync, true), (CommitMethod::Dsync, false)]
    {
        let home = tempfile::tempdir().expect("a temporary directory");
        let (now, result) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let thief = FlushThief { now: Arc::clone(&now), result: Arc::clone(&result) };
        let role = start_with(&home.path().join("ledger"), Io::Pwrite, commit, Box::new(thief));
        fund(&role);
        now.store(true, Ordering::Release);
        assert!(matches!(pay(&role, "before"), Outcome::Decided { .. }));
        let filter = until("the filter", || result.lock().expect("nobody panics with it").clone());
        if let Err(reason) = filter {
            super::not_run(&format!("methods::flush::{commit:?}"), reason);
            continue;
        }
        let outcome = pay(&role, "after");
        assert_eq!(matches!(outcome, Outcome::Decided { .. }), !flushes, "{commit:?}: {outcome:?}");
        assert_eq!((role.board.is_poisoned(), role.stop()), (flushes, !flushes));
    }
}
