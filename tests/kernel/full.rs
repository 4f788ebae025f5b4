//! A whole ledger on a disk that fills up and is freed again, while it is asked all the time.

use std::path::Path;

use disk::{Access, Direct, DirectFile, DiskError, Io};
use engine::{LedgerRole, NoObserver};
use model::{Outcome, Reason};
use wire::{Found, ReadAsk};

use super::image::{FILE_SYSTEMS, Image};
use super::role::{declined, durable, fund, paid, pay, read, start, until};

/// Takes all space that is left, and what is given back, until `enough`.
fn fill(path: &Path, mut enough: impl FnMut() -> bool) {
    let hog = DirectFile::open(path, Access::CreateNew, Direct::Preferred).expect("opened");
    let mut end = 0;
    while !enough() {
        let mut bite = 16_u64 << 20;
        while bite >= 4096 {
            match hog.write_zeros(end, end + bite) {
                Ok(()) => end += bite,
                Err(DiskError::NoSpace { .. }) => bite /= 2,
                Err(error) => panic!("filling the disk: {error}"),
            }
        }
    }
}

/// Pays until a payment is declined for want of space; every answer before is a payment. How many
/// were paid.
fn pay_until_full(role: &LedgerRole, round: &str) -> i128 {
    let mut paid = 0;
    loop {
        let outcome = pay(role, &format!("{round}-{paid}"));
        if !matches!(outcome, Outcome::Decided { .. }) {
            assert!(declined(&outcome, Reason::NoSpace), "{outcome:?}");
            return paid;
        }
        paid += 1;
        assert!(paid < 100_000, "the disk is never full");
    }
}

/// What goes on with a full disk: reads, proofs, repeats; and every new entry is declined or, where
/// something was freed meanwhile, taken.
fn check_full(role: &LedgerRole, so_far: i128) -> i128 {
    let mut paid_now = so_far;
    for number in 0..20 {
        assert!(matches!(pay(role, "first-0"), Outcome::Replayed { .. }));
        let outcome = pay(role, &format!("full-{number}"));
        let taken = matches!(outcome, Outcome::Decided { .. });
        assert!(taken || declined(&outcome, Reason::NoSpace), "{outcome:?}");
        paid_now += i128::from(taken);
        assert_eq!(paid(role), paid_now);
    }
    let found = read(role, ReadAsk::EntryProof(durable(role)));
    let Found::EntryProof(Some(proof)) = found else { panic!("the proof of a durable entry: {found:?}") };
    assert_eq!(proof.proof.root, proof.checkpoint.root);
    paid_now
}

fn check(home: &Path, io: Io) {
    let (data, hog) = (home.join("ledger"), home.join("hog"));
    let role = start(&data, io, Box::new(NoObserver));
    fund(&role);
    assert!(matches!(pay(&role, "first-0"), Outcome::Decided { .. }));
    // The preparer may have got its next segments before, or gets them from what the hog has not
    // taken yet; in the end it finds none.
    let mut paid = 1;
    let mut round = 0;
    fill(&hog, || {
        round += 1;
        paid += pay_until_full_or(&role, round, 400);
        role.board.refusing() == Some(Reason::NoSpace)
    });
    paid += pay_until_full(&role, "last");
    let paid = check_full(&role, paid);

    std::fs::remove_file(&hog).expect("it is there");
    let again = until("writes go on", || {
        let outcome = pay(&role, "again");
        (!declined(&outcome, Reason::NoSpace)).then_some(outcome)
    });
    assert!(matches!(again, Outcome::Decided { .. }), "{again:?}");
    until("the board says so", || (role.board.refusing().is_none()).then_some(()));
    assert!(role.stop(), "nothing was lost");

    let role = start(&data, io, Box::new(NoObserver));
    assert_eq!(super::role::paid(&role), paid + 1);
    assert!(matches!(pay(&role, "first-0"), Outcome::Replayed { .. }));
    assert!(role.stop());
}

/// Pays at most `most` times, or until there is no space. How many were paid.
fn pay_until_full_or(role: &LedgerRole, round: u32, most: i128) -> i128 {
    for paid in 0..most {
        let outcome = pay(role, &format!("round-{round}-{paid}"));
        if !matches!(outcome, Outcome::Decided { .. }) {
            assert!(declined(&outcome, Reason::NoSpace), "{outcome:?}");
            return paid;
        }
    }
    most
}

fn check_each_backend((file_system, len_bytes): (&'static str, u64)) {
    disk::raise_memlock().expect("the limit can be raised to the hard one");
    for io in [Io::Pwrite, Io::Auto] {
        match Image::mount(file_system, len_bytes) {
            Ok(image) => check(image.path(), io),
            Err(reason) => super::not_run(&format!("full::{file_system}::{io:?}"), reason),
        }
    }
}

#[test]
fn a_ledger_on_a_full_ext4_declines_before_it_fails_and_goes_on_when_there_is_room() {
    check_each_backend(FILE_SYSTEMS[0]);
}

#[test]
fn a_ledger_on_a_full_xfs_declines_before_it_fails_and_goes_on_when_there_is_room() {
    check_each_backend(FILE_SYSTEMS[1]);
}
