//! Journals that real threads have written, verified whole, damaged, forged, and while they grow.

mod derived;
mod forge;

use std::{
    fs,
    sync::atomic::{AtomicBool, Ordering},
};

use journal::{HEADER_BYTES, SegmentNumber, segment_file_name};
use model::Kind;

use super::*;
use crate::tests::world::{self, Place, World};

fn verified(world: &World) -> Report {
    verify(&world.directory(), &mut |_, _| {}).unwrap()
}

#[test]
fn a_journal_of_the_ledgers_own_is_clean_and_counted() {
    let world = World::new();
    let wrote = world.life(12);
    let report = verified(&world);
    assert!(report.clean, "{}", report.text());
    assert_eq!(report.tail, TailReport::Clean);
    assert_eq!(report.holder, None);
    let Checked { entries_by_kind: kinds, .. } = &report.checked;
    assert_eq!((kinds["transfer"], kinds["mint"], kinds["refused"], kinds["usage"]), (12, 1, 1, 3));
    assert_eq!(kinds["open"], 3, "both accounts and the one that issues");
    assert_eq!((report.checked.entries, report.checked.last_seq), (wrote.size, wrote.size));
    assert_eq!(report.checked.root, hex::encode(wrote.root));
    assert_eq!((report.checked.keys, report.checked.refusals), (14, 1));
    assert_eq!((report.checked.slices, report.checked.streams), (3, 1));
    assert_eq!(report.checked.roots, report.checked.frames);
    assert_eq!((report.checked.checkpoints, report.checked.slot), (1, true));
    assert_eq!(report.checked.assets["ron"].minted, "1000");
    assert!(report.text().contains("clean: nothing was found"), "{}", report.text());

    // A second life goes on in the same chain.
    world.life_again(5);
    let report = verified(&world);
    assert!(report.clean, "{}", report.text());
    assert_eq!((report.checked.entries_by_kind["transfer"], report.checked.epochs), (17, 2));
}

#[test]
fn one_flipped_bit_anywhere_in_any_frame_is_found_at_its_frame() {
    let world = World::new();
    world.life(9);
    let frames = world.frames();
    assert!(frames.len() >= 12, "{} frames", frames.len());
    for (index, Place { at, payload, bytes }) in frames.iter().enumerate() {
        let mut inside = vec![9, 100 + 7 * index, HEADER_BYTES - 1, bytes - 1];
        inside.extend((*payload > 0).then_some(HEADER_BYTES + payload / 2));
        for offset in inside {
            let flip = || world.flip(at, offset, 1 << (index % 8));
            flip();
            let report = verified(&world);
            let first = report.findings.first().unwrap_or_else(|| panic!("{at} + {offset}: not found"));
            assert_eq!((first.segment, first.offset), (at.segment.0, at.offset), "{at} + {offset}: {first}");
            flip();
        }
    }
    assert!(verified(&world).clean, "every flip was taken back");
}

#[test]
fn damage_in_every_frame_at_once_is_told_frame_by_frame() {
    let world = World::new();
    world.life(9);
    let frames: Vec<Place> = world.frames().into_iter().filter(|frame| frame.payload > 0).collect();
    for frame in &frames {
        world.flip(&frame.at, HEADER_BYTES + 40, 4);
    }
    let report = verified(&world);
    for frame in &frames {
        let told =
            |finding: &Finding| (finding.segment, finding.offset) == (frame.at.segment.0, frame.at.offset);
        assert!(report.findings.iter().any(told), "{}: {}", frame.at, report.text());
    }
    assert_eq!(report.tail, TailReport::Rot);
    assert_eq!(report.beyond.unwrap().frames_damaged, frames.len() as u64);
}

#[test]
fn a_forged_balance_under_good_seals_and_roots_is_found() {
    let world = World::new();
    world.life(9);
    let (seq, balance) = forge::raise_credit(&world, Kind::Transfer, 4, 500);
    let report = verified(&world);
    let first = report.findings.first().expect("the forgery is found");
    assert_eq!(first.seq, Some(seq), "{}", report.text());
    assert_eq!(first.expected, Some((balance - 500).to_string()), "{first}");
    assert_eq!(first.found, Some(balance.to_string()), "{first}");
    assert_eq!(report.tail, TailReport::Clean, "the bytes themselves are in order");
    assert_eq!(report.checked.roots, report.checked.frames, "so are the roots");
}

#[test]
fn a_running_ledger_is_verified_beside_it() {
    let world = World::new();
    let role = world.start();
    world::mint(&role, 1_000_000);
    let enough = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let spend = scope.spawn(|| {
            let mut sent = 0;
            while !enough.load(Ordering::Acquire) {
                sent += 1;
                world::transfer(&role, sent);
            }
            sent
        });
        let mut seen = 0;
        for _ in 0..12 {
            let report = verified(&world);
            assert!(report.clean, "{}", report.text());
            assert_eq!(report.holder, Some(Holder { pid: std::process::id() }));
            assert_eq!(report.tail, TailReport::Moving);
            assert!(report.checked.last_seq >= seen);
            seen = report.checked.last_seq;
        }
        enough.store(true, Ordering::Release);
        assert!(spend.join().unwrap() > 0);
    });
    assert!(role.stop());
    assert!(verified(&world).clean);
}

#[test]
fn what_a_kill_leaves_is_told_and_is_no_damage() {
    let world = World::new();
    let role = world.start();
    world::mint(&role, 1_000);
    world::transfer(&role, 1);
    let killed = World::new();
    world.copy_to(&killed);
    assert!(role.stop());
    let before = verified(&killed);
    assert!(before.clean, "{}", before.text());
    assert!(before.checked.last_seq >= 4);
    // The next frame's first bytes reached the disk, the rest did not.
    let last = killed.frames().pop().expect("there are frames");
    let path = killed.directory().join("segments").join(segment_file_name(last.at.segment));
    let mut bytes = fs::read(&path).unwrap();
    let end = usize::try_from(last.at.offset).unwrap() + last.bytes;
    bytes[end..end + 100].fill(0x5a);
    fs::write(&path, &bytes).unwrap();
    let report = verified(&killed);
    assert!(report.clean, "{}", report.text());
    let TailReport::Torn { bytes: 4096, .. } = report.tail else { panic!("{:?}", report.tail) };
    assert_eq!(report.checked.last_seq, before.checked.last_seq);
    assert!(report.text().contains("no damage"), "{}", report.text());
}

#[test]
fn what_is_no_ledger_says_so_by_its_own_code() {
    let world = World::new();
    let code = |world: &World| verify(&world.directory(), &mut |_, _| {}).unwrap_err().exit_code();
    assert_eq!(code(&world), 66);
    fs::create_dir_all(world.directory()).unwrap();
    assert_eq!(code(&world), 66);
    world.life(1);
    let superblock = world.directory().join("superblock");
    let whole = fs::read(&superblock).unwrap();
    let mut one = whole.clone();
    one[40] ^= 1;
    fs::write(&superblock, &one).unwrap();
    let report = verified(&world);
    assert!(report.clean && report.remarks[0].contains("superblock: the first copy"), "{}", report.text());
    fs::write(&superblock, vec![7; whole.len()]).unwrap();
    assert_eq!(code(&world), 80);
    fs::remove_file(&superblock).unwrap();
    assert_eq!(code(&world), 81);
    let denied = disk::DiskError::File {
        operation: disk::Operation::Open,
        path: superblock,
        errno: disk::Errno::ACCESS,
    };
    assert_eq!(VerifyError::from(denied).exit_code(), 77);
}

#[test]
fn a_lost_slot_and_a_lost_segment_are_findings() {
    let world = World::new();
    world.life(3);
    let slot = world.directory().join("slot");
    let whole = fs::read(&slot).unwrap();
    fs::write(&slot, vec![0; whole.len()]).unwrap();
    let report = verified(&world);
    assert!(report.findings[0].what.contains("frontier slot are damaged"), "{}", report.text());
    fs::write(&slot, &whole).unwrap();
    let first = world.directory().join("segments").join(segment_file_name(SegmentNumber(0)));
    fs::remove_file(first).unwrap();
    assert_eq!((verified(&world).clean, verified(&world).checked.frames), (false, 0));
}

#[test]
fn a_pipe_in_a_files_place_keeps_neither_the_audit_nor_a_start_waiting() {
    let world = World::new();
    world.life(2);
    for name in ["superblock", "slot"] {
        let (path, aside) = (world.directory().join(name), world.beside("aside"));
        fs::rename(&path, &aside).unwrap();
        let (pipe, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &path, pipe, mode, 0).unwrap();
        let refused = verify(&world.directory(), &mut |_, _| {}).unwrap_err();
        assert_eq!(refused.exit_code(), 91, "{refused}");
        assert!(refused.to_string().contains("no ordinary file"), "{refused}");
        let refused = world.try_start().map(drop).unwrap_err();
        assert_eq!(refused.exit_code(), 91, "{refused}");
        assert!(refused.to_string().contains("no ordinary file"), "{refused}");
        fs::rename(&aside, &path).unwrap();
    }
    assert!(verify(&world.directory(), &mut |_, _| {}).unwrap().clean);
}
