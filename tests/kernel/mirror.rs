//! A ledger on two real file systems, of which one goes away under load: it goes on with the other,
//! and what was answered is there at the next start.

use std::path::{Path, PathBuf};

use disk::Io;
use engine::{LedgerRole, NoObserver, monotonic};
use model::{Nanos, Outcome};

use super::image::Image;
use super::role::{fund, paid, pay, start_on, until};

/// Where the two copies lie.
struct Places {
    first: PathBuf,
    second: PathBuf,
}

impl Places {
    fn start(&self, io: Io) -> LedgerRole {
        start_on(&self.first, Some(&self.second), io, Box::new(NoObserver))
    }
}

fn is_lost(role: &LedgerRole) -> bool {
    role.board.status(monotonic(), 0, 1).health.mirror_lost
}

fn pay_some(role: &LedgerRole, key: &str, times: i128) {
    for number in 0..times {
        let outcome = pay(role, &format!("{key}-{number}"));
        assert!(matches!(outcome, Outcome::Decided { .. }), "{key}-{number}: {outcome:?}");
    }
}

/// Pays until the mirror is lost; every payment is taken. How many.
fn pay_until_lost(role: &LedgerRole) -> i128 {
    let begun = monotonic();
    let mut count = 0;
    while !is_lost(role) {
        pay_some(role, &format!("under-{count}"), 1);
        count += 1;
        assert!(monotonic().since(begun) < Nanos::from_secs(60), "it never notices");
    }
    count
}

/// A ledger of which one copy goes away, by `go`, while it is paid from: the payments go on, and the
/// next start has them all, alone.
fn survives(places: &Places, io: Io, go: impl FnOnce()) {
    let role = places.start(io);
    fund(&role);
    pay_some(&role, "before", 50);
    assert!(!is_lost(&role));
    go();
    let under = pay_until_lost(&role);
    pay_some(&role, "after", 50);
    assert!(!role.board.is_poisoned());
    assert_eq!(
        until("the reader has it", || (paid(&role) == 100 + under).then_some(100 + under)),
        100 + under
    );
    assert!(role.stop(), "a survivor stops cleanly");
}

fn home() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary directory")
}

#[test]
fn either_device_may_go_away_under_load() {
    disk::raise_memlock().expect("the limit can be raised to the hard one");
    for (first_goes, io) in [(false, Io::Auto), (true, Io::Auto), (false, Io::Pwrite)] {
        let name = format!("mirror::goes_away::{}::{io:?}", if first_goes { "first" } else { "second" });
        let image = match Image::mount("ext4", 48 << 20) {
            Ok(image) => image,
            Err(reason) => {
                super::not_run(&name, reason);
                continue;
            }
        };
        let home = home();
        let (there, here) = (image.path().join("copy"), home.path().join("copy"));
        let places = if first_goes {
            Places { first: there, second: here.clone() }
        } else {
            Places { first: here.clone(), second: there }
        };
        let mut refused = None;
        survives(&places, io, || refused = image.shut_down().err());
        if let Some(reason) = refused {
            super::not_run(&name, reason);
            continue;
        }
        drop(image);
        // What stands in its place cannot be looked into.
        let dead = home.path().join("dead");
        std::fs::write(&dead, b"no directory").expect("there is room");
        let places = if first_goes {
            Places { first: dead, second: here.clone() }
        } else {
            Places { first: here.clone(), second: dead }
        };
        let role = places.start(io);
        assert!(is_lost(&role));
        let before = paid(&role);
        assert!(before >= 100, "{before}");
        pay_some(&role, "alone", 5);
        assert!(role.stop());
        // A new device in its place is brought up again.
        let fresh = home.path().join("fresh");
        let places = if first_goes {
            Places { first: fresh, second: here }
        } else {
            Places { first: here, second: fresh }
        };
        let role = places.start(io);
        assert!(!is_lost(&role) && role.report.store.copied > 0);
        assert_eq!(paid(&role), before + 5);
        assert!(role.stop());
    }
}

#[test]
fn a_device_whose_backing_fills_up_is_given_up() {
    disk::raise_memlock().expect("the limit can be raised to the hard one");
    let image = match Image::mount_on_tmpfs("ext4", 64 << 20) {
        Ok(image) => image,
        Err(reason) => return super::not_run("mirror::backing_fills_up", reason),
    };
    let home = home();
    let places = Places { first: home.path().join("copy"), second: image.path().join("copy") };
    survives(&places, Io::Auto, || image.starve().expect("it is ours"));
    let role = places.start(Io::Auto);
    assert!(is_lost(&role), "there is still no room");
    assert!(paid(&role) >= 100);
    assert!(role.stop());
}
