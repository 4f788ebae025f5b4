//! A whole ledger on a file system whose device begins to fail: a loop file on a tmpfs that is full.

use disk::{DiskError, Io};
use engine::{LedgerRole, NoObserver};
use model::{Outcome, Reason};
use wire::{Found, ReadAsk};

use super::image::{FILE_SYSTEMS, Image};
use super::role::{declined, durable, fund, paid, pay, read, start, until};

/// Pays until a payment is not taken: how many were, and why the last was not.
fn pay_until_refused(role: &LedgerRole) -> (i128, Outcome) {
    for paid in 0..100_000 {
        let outcome = pay(role, &format!("under-way-{paid}"));
        if !matches!(outcome, Outcome::Decided { .. }) {
            return (paid, outcome);
        }
    }
    panic!("the device never fails");
}

fn check(image: &Image, io: Io) -> Result<(), String> {
    let data = image.path().join(format!("{io:?}"));
    let role = start(&data, io, Box::new(NoObserver));
    fund(&role);
    for number in 0..20 {
        assert!(matches!(pay(&role, &format!("before-{number}")), Outcome::Decided { .. }));
    }
    image.starve()?;
    let (more, outcome) = pay_until_refused(&role);
    let mut answered = 20 + more;
    // A segment that cannot be prepared is met before anything is written; a frame's write that fails
    // leaves its fate open.
    let in_time = declined(&outcome, Reason::NoSpace);
    assert!(in_time || outcome == Outcome::Unknown || declined(&outcome, Reason::SafeMode), "{outcome:?}");
    // Where some room was left, a few more may be taken. Every answer is one, and reads go on.
    for number in 0..20 {
        let taken = matches!(pay(&role, &format!("after-{number}")), Outcome::Decided { .. });
        assert!(!taken || in_time, "after a failed write nothing is taken");
        answered += i128::from(taken);
    }
    assert_eq!(paid(&role), answered);
    let found = read(&role, ReadAsk::Entry(durable(&role)));
    assert!(matches!(found, Found::Entry(Some(_))), "{found:?}");
    let clean = role.stop();
    assert!(in_time || !clean, "a stop after a failed write is not clean");

    image.feed()?;
    until("the file system is free and mounted again", || image.remount().ok());
    let role = start(&data, io, Box::new(NoObserver));
    let found = paid(&role);
    assert!((answered..=answered + 1).contains(&found), "{found} of {answered} answered");
    assert!(matches!(pay(&role, "before-0"), Outcome::Replayed { .. }));
    assert!(matches!(pay(&role, "again"), Outcome::Decided { .. }));
    assert!(role.stop());
    std::fs::remove_dir_all(data).map_err(|error| error.to_string())
}

#[test]
fn a_device_that_begins_to_fail_costs_nothing_that_was_answered() {
    disk::raise_memlock().expect("the limit can be raised to the hard one");
    for (file_system, len_bytes) in FILE_SYSTEMS {
        let name = format!("backing::{file_system}");
        let image = match Image::mount_on_tmpfs(file_system, len_bytes) {
            Ok(image) => image,
            Err(reason) => {
                super::not_run(&name, reason);
                continue;
            }
        };
        for io in [Io::Uring, Io::Pwrite] {
            if io == Io::Uring && !super::has_ring() {
                super::not_run(&format!("{name}::{io:?}"), "there is no ring on this host");
            } else if let Err(reason) = check(&image, io) {
                super::not_run(&format!("{name}::{io:?}"), reason);
            }
        }
    }
}

/// The device does fail, while the file system on it believes that it has room.
#[test]
fn a_starved_device_fails() {
    let image = match Image::mount_on_tmpfs("ext4", 24 << 20) {
        Ok(image) => image,
        Err(reason) => return super::not_run("backing::starved", reason),
    };
    if let Err(reason) = image.starve() {
        return super::not_run("backing::starved", reason);
    }
    let path = image.path().join("new");
    let file =
        disk::DirectFile::open(&path, disk::Access::CreateNew, disk::Direct::Required).expect("opened");
    let refused = file.write_zeros(0, 8 << 20);
    // Which of the two is the loop device's choice.
    assert!(matches!(refused, Err(DiskError::File { .. } | DiskError::NoSpace { .. })), "{refused:?}");
}
