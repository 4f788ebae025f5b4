//! Segments released from a ledger that the real role wrote, and brought back: what goes, what refuses
//! to go, what a start makes of every step in between.

use std::{fs, path::PathBuf};

use engine::LedgerRole;
use journal::{RELEASE_FILE, checkpoint_frame};
use model::{AccountName, Asset, Reason, Seq};
use wire::{Found, ReadAsk};

use super::*;
use crate::{
    ship::Shipping,
    snapshot::{CreateParams, Created, SnapshotError, create},
    tests::world::{self, World},
    verify_with,
};

/// Transfers that fill two segments of 1 MiB and begin a third; two lives of it fill four.
const TRANSFERS: u64 = 530;
/// What bob has then: all that alice had.
const BOB: i128 = 1_000;
const NOW: Timestamp = Timestamp(u64::MAX);
/// Before every entry: nothing is old.
const THEN: Timestamp = Timestamp(0);

fn world() -> World {
    let world = World::new();
    world.keep_keys();
    world.life(TRANSFERS);
    world.life_again(TRANSFERS);
    let mut shipping = Shipping::open(&world.directory(), None, &world.beside("archive")).unwrap();
    shipping.run(&mut |_| {}).unwrap();
    world
}

fn release_now(world: &World) -> Result<ReleaseReport, ArchiveError> {
    release(&world.directory(), &world.beside("archive"), Nanos(0), NOW)
}

fn recall_now(world: &World) -> Result<ReleaseReport, ArchiveError> {
    recall(&world.directory(), &world.beside("archive"))
}

fn snapshot(world: &World, name: &str) -> Result<Created, SnapshotError> {
    create(&CreateParams {
        data_dir: world.directory(),
        keys: None,
        out: world.beside(name),
        mib_per_s: None,
    })
}

fn segments(world: &World) -> Vec<u32> {
    let names = fs::read_dir(world.directory().join("segments")).unwrap();
    let number = |name: String| journal::segment_number(&name).map(|segment| segment.0);
    let mut found: Vec<u32> =
        names.filter_map(|entry| number(entry.unwrap().file_name().into_string().unwrap())).collect();
    found.sort_unstable();
    found
}

fn checkpoints(world: &World) -> Vec<PathBuf> {
    let names = fs::read_dir(world.directory().join("checkpoints")).unwrap();
    let mut found: Vec<PathBuf> = names.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| checkpoint_frame(path.file_name().unwrap().to_str().unwrap()).is_some());
    found.sort();
    found
}

/// What bob has.
fn bob(role: &LedgerRole) -> i128 {
    let ask = ReadAsk::Account(AccountName::parse("bob").unwrap(), Asset::parse("ron").unwrap());
    let Found::Account(Some(account)) = world::read(role, ask) else { panic!("bob is known") };
    account.balance.units()
}

fn entry(role: &LedgerRole, seq: u64) -> Result<u64, Reason> {
    let found = world::read(role, ReadAsk::Entry(Seq(seq)));
    if let Found::Refused(reason) = found {
        return Err(reason);
    }
    let Found::Entry(Some(entry)) = found else { panic!("{found:?}") };
    Ok(entry.posting.head.seq.0)
}

fn is_sound(world: &World) {
    let role = world.start();
    assert_eq!(bob(&role), BOB);
    world.stop(role);
}

#[test]
fn what_is_released_is_archived_and_comes_back() {
    let world = world();
    let report = release_now(&world).unwrap();
    assert_eq!((report.segments, report.first_retained), (2, 2), "{}", report.text());
    assert!(report.ends.contains("checkpoint"), "{}", report.text());
    assert_eq!(segments(&world)[0], 2);
    let role = world.start();
    assert_eq!(bob(&role), BOB);
    let last = report.last_released;
    assert_eq!([entry(&role, 3), entry(&role, last)], [Err(Reason::Archived); 2]);
    assert_eq!(entry(&role, last + 1), Ok(last + 1));
    // The tree is whole: an old entry is proven, and its receipt needs the entry itself.
    let proof = world::read(&role, ReadAsk::Inclusion { seq: Seq(3), size: None });
    assert!(matches!(proof, Found::Inclusion(Some(_))), "{proof:?}");
    let receipt = world::read(&role, ReadAsk::EntryProof(Seq(3)));
    assert!(matches!(receipt, Found::Refused(Reason::Archived)), "{receipt:?}");
    world.stop(role);

    let report = verify_with(&world.directory(), None, &mut |_, _| {}).unwrap();
    assert!(report.clean && report.remarks[0].contains("--archive audits all"), "{}", report.text());
    assert!(report.derived.tile_hashes > 0 && report.derived.frame_rows > 0, "{}", report.text());
    let whole = verify_with(&world.directory(), Some(&world.beside("archive")), &mut |_, _| {}).unwrap();
    assert!(whole.clean && whole.checked.entries == whole.checked.last_seq, "{}", whole.text());
    assert!(report.checked.entries < whole.checked.entries);
    assert_eq!(report.checked.root, whole.checked.root);

    // A snapshot without them would be none.
    let refused = snapshot(&world, "refused.tar.zst").unwrap_err();
    assert_eq!(refused.exit_code(), 99, "{refused}");
    assert!(refused.to_string().contains("ron-ledgerctl recall --archive /"), "{refused}");
    assert!(!world.beside("refused.tar.zst").exists());

    let back = recall_now(&world).unwrap();
    assert_eq!((back.segments, back.first_retained), (2, 0), "{}", back.text());
    assert!(back.text().contains("nothing is released"), "{}", back.text());
    let whole = snapshot(&world, "whole.tar.zst").unwrap();
    assert!(whole.entries > last, "{}", whole.text());
    assert_eq!(segments(&world)[0], 0);
    let role = world.start();
    assert_eq!(entry(&role, 3), Ok(3));
    world.stop(role);
    let report = verify_with(&world.directory(), None, &mut |_, _| {}).unwrap();
    assert!(report.clean && report.checked.entries == report.checked.last_seq, "{}", report.text());
    assert_eq!(recall_now(&world).unwrap().segments, 0);
}

#[test]
fn each_condition_that_does_not_hold_refuses_and_changes_nothing() {
    let template = world();
    let first = template.frames()[100];
    type Change<'a> = Box<dyn Fn(&World) + 'a>;
    let flip = |path: PathBuf, at: usize| {
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let archived = |world: &World| world.beside("archive/segments/0000000001.segment.zst");
    let cases: [(&str, i32, Change<'_>); 7] = [
        (
            "storage.release",
            1,
            Box::new(|world| fs::remove_file(world.directory().join(RELEASE_FILE)).unwrap()),
        ),
        ("two proven checkpoints", 1, Box::new(|world| fs::remove_file(&checkpoints(world)[0]).unwrap())),
        ("two proven checkpoints", 1, Box::new(|world| flip(checkpoints(world)[1].clone(), 1_000))),
        ("not those that the index names", 1, Box::new(|world| flip(archived(world), 1_000))),
        ("it is not there", 1, Box::new(|world| fs::remove_file(archived(world)).unwrap())),
        ("is not what was shipped", 1, Box::new(|world| world.flip(&first.at, 300, 1))),
        ("no archive is here", 66, Box::new(|world| fs::remove_file(world.beside("archive/index")).unwrap())),
    ];
    for (expected, code, change) in cases {
        let world = World::new();
        template.copy_all_to(&world);
        change(&world);
        let record = fs::read(world.directory().join(RELEASE_FILE)).ok();
        let refused = release_now(&world).unwrap_err();
        assert_eq!(i32::from(refused.exit_code()), code, "{refused}");
        assert!(refused.to_string().contains(expected), "{refused}");
        assert_eq!(segments(&world), segments(&template), "{expected}");
        assert_eq!(fs::read(world.directory().join(RELEASE_FILE)).ok(), record, "{expected}");
    }
    let young = release(&template.directory(), &template.beside("archive"), Nanos::from_secs(1), THEN);
    assert!(young.unwrap_err().to_string().contains("--keep-hours"));
    let held = disk::DirectoryLock::acquire(&template.directory().join("lock"), "a test").unwrap();
    assert_eq!(release_now(&template).unwrap_err().exit_code(), 75);
    drop(held);
    assert_eq!(release_now(&template).unwrap().segments, 2, "and now they all hold");
}

#[test]
fn a_kill_at_any_step_is_taken_by_a_start_and_ended_by_the_next_run() {
    let (before, after) = (world(), World::new());
    before.copy_all_to(&after);
    release_now(&after).unwrap();
    let record = |world: &World| fs::read(world.directory().join(RELEASE_FILE)).unwrap();
    let (old, new) = (record(&before), record(&after));
    let mixed = [&new[..65_536], &old[65_536..]].concat();
    let torn = [&vec![0x5a; 65_536][..], &old[65_536..]].concat();
    // What the record's file says, and how many segments are removed already.
    for (step, record, removed) in
        [(0, &torn, 0), (1, &mixed, 0), (2, &new, 0), (3, &new, 1), (4, &mixed, 1), (5, &new, 2)]
    {
        let world = World::new();
        before.copy_all_to(&world);
        fs::write(world.directory().join(RELEASE_FILE), record).unwrap();
        for segment in 0..removed {
            fs::remove_file(world.segment(SegmentNumber(segment))).unwrap();
        }
        let report = verify_with(&world.directory(), None, &mut |_, _| {}).unwrap();
        assert!(report.clean, "step {step}: {}", report.text());
        is_sound(&world);
        match release_now(&world) {
            Ok(report) => assert_eq!(report.first_retained, 2, "step {step}: {}", report.text()),
            Err(error) => assert!(removed == 2, "step {step}: {error}"),
        }
        assert_eq!(segments(&world)[0], 2, "step {step}");
        is_sound(&world);
    }
}

#[test]
fn what_is_missing_and_cannot_be_done_without_is_refused_and_recalled() {
    let template = world();
    let refused = |world: &World, expected: &str| {
        let error = world.try_start().expect_err(expected);
        assert_eq!(error.exit_code(), 99, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    let mended = |world: &World| {
        assert!(recall_now(world).unwrap().segments > 0);
        is_sound(world);
        let report = verify_with(&world.directory(), None, &mut |_, _| {}).unwrap();
        assert!(report.clean && report.checked.entries == report.checked.last_seq, "{}", report.text());
    };
    // More is gone than the record says: money is exact, verify finds it, and it comes back too.
    let world = World::new();
    template.copy_all_to(&world);
    fs::remove_file(world.segment(SegmentNumber(1))).unwrap();
    is_sound(&world);
    assert!(!verify_with(&world.directory(), None, &mut |_, _| {}).unwrap().clean);
    mended(&world);

    release_now(&template).unwrap();
    let copy = || {
        let world = World::new();
        template.copy_all_to(&world);
        world
    };
    let world = copy();
    checkpoints(&world).iter().for_each(|path| fs::remove_file(path).unwrap());
    refused(&world, "ron-ledgerctl recall --archive /");
    let verified = verify_with(&world.directory(), None, &mut |_, _| {}).unwrap_err();
    assert_eq!(verified.exit_code(), 99, "{verified}");
    let whole = verify_with(&world.directory(), Some(&world.beside("archive")), &mut |_, _| {}).unwrap();
    assert!(whole.clean, "{}", whole.text());
    mended(&world);

    let world = copy();
    fs::write(world.directory().join(RELEASE_FILE), vec![7; 131_072]).unwrap();
    refused(&world, "recall");
    mended(&world);

    // Derived files cannot be derived: money is as it was, what needs them is in the archive.
    let world = copy();
    fs::remove_dir_all(world.directory().join("derived")).unwrap();
    let role = world.start();
    assert_eq!(bob(&role), BOB);
    let last = Seq(2 * TRANSFERS);
    for ask in [
        ReadAsk::Entry(Seq(3)),
        ReadAsk::Entry(last),
        ReadAsk::EntryProof(Seq(3)),
        ReadAsk::Inclusion { seq: Seq(3), size: None },
        ReadAsk::Roots { since: Seq(0), limit: 9 },
    ] {
        let found = world::read(&role, ask);
        assert!(matches!(found, Found::Refused(Reason::Archived)), "{found:?}");
    }
    world.stop(role);
    mended(&world);
    let role = world.start();
    assert_eq!(entry(&role, 3), Ok(3), "derived anew");
    world.stop(role);
}
