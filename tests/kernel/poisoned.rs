//! A whole ledger whose disk or ring fails: every question is answered, nothing that was answered is
//! taken back, and it does not burn a core.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use disk::{Errno, Io};
use engine::{CommitObserver, LedgerRole, NoObserver};
use model::{Outcome, Reason, Seq};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
use wire::{CallId, Found, ReadAsk, ReadCall};

use super::image::{FILE_SYSTEMS, Image};
use super::role::{declined, durable, fund, paid, paid_or_refused, pay, read, start, until};

/// Pays until a payment is not taken. How many were, and whether the fate of one is open.
fn pay_until_poisoned(role: &LedgerRole) -> (i128, bool) {
    let mut paid = 0;
    loop {
        let outcome = pay(role, &format!("under-way-{paid}"));
        if !matches!(outcome, Outcome::Decided { .. }) {
            let open = outcome == Outcome::Unknown;
            assert!(open || declined(&outcome, Reason::SafeMode), "{outcome:?}");
            return (paid, open);
        }
        paid += 1;
    }
}

/// Everything that is asked of a poisoned ledger has an answer.
fn check_poisoned(role: &LedgerRole, paid_before: i128) {
    assert!(role.board.is_poisoned());
    assert_eq!(role.board.refusing(), Some(Reason::SafeMode));
    for number in 0..50 {
        assert!(declined(&pay(role, &format!("after-{number}")), Reason::SafeMode));
    }
    // A reader that lagged when the disk went away cannot read on, and then it says so.
    let balance = paid_or_refused(role);
    assert!(balance.is_none_or(|balance| balance == paid_before), "{balance:?}, not {paid_before}");
    for seq in (1..=durable(role).0 + 1).map(Seq) {
        let proof = read(role, ReadAsk::EntryProof(seq));
        let answered = matches!(proof, Found::EntryProof(_) | Found::Refused(Reason::SafeMode));
        assert!(answered, "the proof of {seq}: {proof:?}");
        let entry = read(role, ReadAsk::Entry(seq));
        assert!(matches!(entry, Found::Entry(_) | Found::Refused(Reason::SafeMode)), "{seq}: {entry:?}");
    }
    let checkpoint = read(role, ReadAsk::Checkpoint);
    assert!(matches!(checkpoint, Found::Checkpoint(_) | Found::Refused(Reason::SafeMode)), "{checkpoint:?}");
}

#[test]
fn a_disk_that_goes_away_leaves_a_ledger_that_answers() {
    disk::raise_memlock().expect("the limit can be raised to the hard one");
    for (file_system, len_bytes) in FILE_SYSTEMS {
        for io in [Io::Auto, Io::Pwrite] {
            let name = format!("poisoned::disk::{file_system}::{io:?}");
            let image = match Image::mount(file_system, len_bytes) {
                Ok(image) => image,
                Err(reason) => {
                    super::not_run(&name, reason);
                    continue;
                }
            };
            let role = start(&image.path().join("ledger"), io, Box::new(NoObserver));
            fund(&role);
            for number in 0..100 {
                assert!(matches!(pay(&role, &format!("before-{number}")), Outcome::Decided { .. }));
            }
            if let Err(reason) = image.shut_down() {
                super::not_run(&name, reason);
                continue;
            }
            let (more, _) = pay_until_poisoned(&role);
            check_poisoned(&role, 100 + more);
            assert!(!role.stop(), "what was in flight has an open fate");
        }
    }
}

/// `io_uring_enter(2)`, the same number on every architecture.
const IO_URING_ENTER: i64 = 426;

/// Takes the ring away from the committer's own thread, on which it is called, when it is told to.
struct RingThief {
    now: Arc<AtomicBool>,
    result: Arc<std::sync::Mutex<Option<Result<(), String>>>>,
}

impl CommitObserver for RingThief {
    fn frame(&mut self, _nanos: u64, _entries: u64) {
        if self.now.swap(false, Ordering::AcqRel) {
            *self.result.lock().expect("nobody panics with it") = Some(deny_enter());
        }
    }

    fn call(&mut self, _nanos: u64) {}

    fn write(&mut self, _nanos: u64, _bytes: u64) {}
}

fn deny_enter() -> Result<(), String> {
    let errno = u32::try_from(Errno::IO.raw_os_error()).expect("error numbers are positive");
    let rules = BTreeMap::from([(IO_URING_ENTER, Vec::new())]);
    let arch = std::env::consts::ARCH.try_into().map_err(|error| format!("{error}"))?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno), arch)
        .and_then(TryInto::<BpfProgram>::try_into)
        .map_err(|error| error.to_string())?;
    apply_filter(&filter).map_err(|error| error.to_string())
}

/// How often the thread of this name has gone to sleep of its own will.
fn sleeps(thread: &str) -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("proc is mounted");
    let status = tasks.filter_map(Result::ok).find_map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        (name.trim() == thread).then(|| std::fs::read_to_string(task.path().join("status")).ok())?
    });
    let status = status.expect("the thread runs");
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).expect("a count")
}

#[test]
fn a_ring_that_fails_is_not_asked_again_and_the_ledger_answers() {
    disk::raise_memlock().expect("the limit can be raised to the hard one");
    let home = tempfile::tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "/tmp" });
    let home = home.expect("a temporary directory");
    let (now, result) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let thief = RingThief { now: Arc::clone(&now), result: Arc::clone(&result) };
    let role = start(&home.path().join("ledger"), Io::Auto, Box::new(thief));
    if role.report.backend.kind != disk::BackendKind::Uring {
        super::not_run("poisoned::ring", "there is no ring on this host");
        return;
    }
    fund(&role);
    assert!(matches!(pay(&role, "before"), Outcome::Decided { .. }));
    // A proof that waits for its root to be published while the ring goes away has an answer too.
    role.reads.ask(ReadCall { id: CallId(5), ask: ReadAsk::EntryProof(durable(&role)) }).expect("room");
    now.store(true, Ordering::Release);
    let (more, _) = pay_until_poisoned(&role);
    assert_eq!(*result.lock().expect("nobody panics with it"), Some(Ok(())), "the filter is in force");
    let proof = until("the proof that waited", || role.reads.answer()).found;
    assert!(matches!(proof, Found::EntryProof(Some(_)) | Found::Refused(Reason::SafeMode)), "{proof:?}");
    check_poisoned(&role, 1 + more);
    let before = sleeps("committer");
    until("the committer sleeps instead of asking a dead ring again and again", || {
        (sleeps("committer") >= before + 5).then_some(())
    });
    assert!(!role.stop());
    // The next start finds everything that was answered.
    let role = start(&home.path().join("ledger"), Io::Pwrite, Box::new(NoObserver));
    assert!(paid(&role) > more);
    assert!(role.stop());
}
