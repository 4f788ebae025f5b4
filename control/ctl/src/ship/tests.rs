//! Archives of a ledger that the real role wrote: what is shipped, what is refused, what is found.

use std::{fs, path::PathBuf};

use journal::{IMAGE_BYTES, SegmentNumber, Superblock};

use super::*;
use crate::{
    archive::{self, Archive, ArchiveReport},
    snapshot::{CreateParams, Point, RestoreParams, create, restore},
    tests::world::World,
};

/// Transfers that fill two segments of 1 MiB and begin a third.
const TRANSFERS: u64 = 530;

fn world() -> World {
    let world = World::new();
    world.keep_keys();
    world.life(TRANSFERS);
    world
}

fn ship(world: &World) -> Result<u64, ArchiveError> {
    let mut shipping = Shipping::open(&world.directory(), None, &world.beside("archive"))?;
    shipping.run(&mut |_| {}).map(|report| report.shipped)
}

fn checked(world: &World) -> Result<ArchiveReport, ArchiveError> {
    archive::check(&world.beside("archive"), None, &mut |_, _| {})
}

fn file(world: &World, name: &str) -> PathBuf {
    world.beside("archive").join(name)
}

fn segment_file(world: &World, segment: u32) -> PathBuf {
    file(world, "segments").join(file_name(SegmentNumber(segment)))
}

#[test]
fn what_is_sealed_is_shipped_once_and_is_what_lies_there() {
    let world = world();
    assert_eq!(ship(&world).unwrap(), 2);
    let report = checked(&world).unwrap();
    assert!(report.clean && report.segments == 2, "{}", report.text());
    assert!(report.file_bytes < report.bytes && report.entries == report.last_seq, "{}", report.text());
    let index = Archive::open(&world.beside("archive")).unwrap().unwrap().index;
    for row in &index.segments {
        let bytes = fs::read(world.segment(row.segment)).unwrap();
        let end = usize::try_from(row.bytes).unwrap();
        let shipped = zstd::decode_all(&fs::read(segment_file(&world, row.segment.0)).unwrap()[..]).unwrap();
        assert!(shipped == bytes[..end], "segment {}", row.segment);
    }
    let before = fs::metadata(segment_file(&world, 0)).unwrap().modified().unwrap();
    assert_eq!(ship(&world).unwrap(), 0, "nothing new is sealed");
    world.life_again(TRANSFERS);
    // What a kill leaves: a file half written, and one whose name the index does not have yet.
    fs::write(file(&world, "segments/.0000000002.segment.zst.new"), b"half").unwrap();
    fs::write(segment_file(&world, 2), b"not yet in the index").unwrap();
    fs::write(file(&world, ".index.new"), b"half").unwrap();
    assert_eq!(ship(&world).unwrap(), 2);
    assert_eq!(fs::metadata(segment_file(&world, 0)).unwrap().modified().unwrap(), before);
    let after = Archive::open(&world.beside("archive")).unwrap().unwrap().index;
    assert_eq!(after.segments[..2], index.segments);
    assert!(checked(&world).unwrap().clean);
    assert!(!file(&world, ".index.new").exists());
}

#[test]
fn every_bit_of_what_is_signed_and_every_byte_of_a_file_counts() {
    let world = world();
    ship(&world).unwrap();
    for name in ["index", "log.vkey", "superblock"] {
        let path = file(&world, name);
        let whole = fs::read(&path).unwrap();
        // Of the superblock's file one byte of each thousand: its digest does not tell them apart.
        for at in (0..whole.len()).step_by(if name == "superblock" { 1_000 } else { 1 }) {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                fs::write(&path, flipped).unwrap();
                let opened = Archive::open(&world.beside("archive"));
                assert!(opened.is_err(), "{name}: bit {bit} of byte {at} is not missed");
            }
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(Archive::open(&world.beside("archive")).is_err(), "{name}: cut");
        fs::write(&path, whole).unwrap();
    }
    assert!(checked(&world).unwrap().clean, "all of it is as it was");
    let path = segment_file(&world, 1);
    let whole = fs::read(&path).unwrap();
    for at in [0, 5, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&path, flipped).unwrap();
        let report = checked(&world).unwrap();
        assert!(!report.clean && report.findings[0].contains("0000000001.segment.zst"), "{}", report.text());
    }
    fs::remove_file(&path).unwrap();
    assert!(checked(&world).unwrap().findings[0].contains("it is not there"));
    fs::write(&path, whole).unwrap();
    let other = NoteSigner::new("example.test/ledger", &[2; 32]).unwrap().verifier();
    let pinned = archive::check(&world.beside("archive"), Some(&other), &mut |_, _| {});
    assert!(matches!(pinned, Err(ArchiveError::Damaged { .. })));
}

#[test]
fn rot_is_told_and_not_shipped() {
    let world = world();
    let frames = world.frames();
    // A payload, a header, the last frame before the next segment, and bytes that no hash covers.
    let last = frames[frames.len() - 1];
    for (place, inside) in
        [(frames[100], 300), (frames[100], 20), (last, 300), (frames[100], frames[100].bytes - 1)]
    {
        world.flip(&place.at, inside, 1);
        let error = ship(&world).unwrap_err();
        let ArchiveError::Rot { segment: SegmentNumber(0), offset, .. } = error else { panic!("{error}") };
        assert_eq!((offset, error.exit_code()), (place.at.offset, 1), "{error}");
        assert_eq!(checked(&world).unwrap().segments, 0);
        world.flip(&place.at, inside, 1);
    }
    assert_eq!(ship(&world).unwrap(), 2);
}

#[test]
fn what_is_no_place_for_this_archive_is_refused_by_its_code() {
    let world = World::new();
    let code = |world: &World| ship(world).map_err(|error| error.exit_code());
    assert_eq!(code(&world), Err(66));
    world.life(1);
    assert_eq!(code(&world), Err(94), "no keys");
    world.keep_keys();
    assert_eq!(code(&world), Ok(0), "nothing is sealed");
    assert_eq!(checked(&world).unwrap().segments, 0);
    fs::create_dir(file(&world, "lost+found")).unwrap();
    assert_eq!(code(&world), Ok(0), "a file system's root has one");
    fs::write(file(&world, "other"), b"").unwrap();
    assert!(ship(&world).unwrap_err().to_string().contains("/archive/other: "));
    assert_eq!(code(&world), Err(65));
    fs::remove_file(file(&world, "other")).unwrap();
    for name in ["superblock", "log.vkey"] {
        let kept = fs::read(file(&world, name)).unwrap();
        fs::remove_file(file(&world, name)).unwrap();
        assert_eq!(code(&world), Err(65), "{name}");
        fs::write(file(&world, name), kept).unwrap();
    }
    let held = disk::DirectoryLock::acquire(&file(&world, "lock"), "a test").unwrap();
    assert_eq!(code(&world), Err(75));
    drop(held);
    // The same ledger in another life: its entries are not this archive's.
    let superblock = world.superblock();
    let later = Superblock { incarnation: model::Incarnation(superblock.incarnation.0 + 1), ..superblock };
    let mut image = [0; IMAGE_BYTES];
    later.encode(&mut image);
    fs::write(world.directory().join("superblock"), [&image[..], &[0; 61_440], &image[..]].concat()).unwrap();
    assert_eq!(code(&world), Err(99));
    fs::write(world.beside("keys/checkpoint.key"), "02".repeat(32)).unwrap();
    assert_eq!(code(&world), Err(94), "another log's key");
    assert_eq!(archive::check(&world.beside("nowhere"), None, &mut |_, _| {}).unwrap_err().exit_code(), 66);
}

#[test]
fn holes_in_the_archive_are_told_by_every_run_and_do_not_stop_the_shipping() {
    let world = world();
    assert_eq!(ship(&world).unwrap(), 2);
    world.life_again(TRANSFERS);
    let path = segment_file(&world, 0);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[1..]).unwrap();
    fs::remove_file(segment_file(&world, 1)).unwrap();
    for _ in 0..2 {
        let error = ship(&world).unwrap_err();
        let ArchiveError::Holes { files, .. } = &error else { panic!("{error}") };
        assert_eq!((files.len(), error.exit_code()), (2, 1), "{error}");
        assert!(files[0].contains("0000000000.segment.zst has"), "{error}");
        assert!(files[1].contains("0000000001.segment.zst is not there"), "{error}");
    }
    let index = Archive::open(&world.beside("archive")).unwrap().unwrap().index;
    assert!(index.segments.len() >= 4, "what was sealed since is shipped");
    fs::write(&path, whole).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        segment_file(&world, 1),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    assert!(ship(&world).unwrap_err().to_string().contains("0000000001.segment.zst is no ordinary file"));
    assert!(checked(&world).unwrap().findings[0].contains("it is no ordinary file"));
}

/// Entries of the first life that the second one keeps.
const KEPT: u64 = 500;

/// The ledger after a restore that dropped its last entries, gone on under the keys that its node tells.
fn second_life(world: &World) -> World {
    let file = world.beside("snapshot.tar.zst");
    let (data_dir, out) = (world.directory(), file.clone());
    create(&CreateParams { data_dir, keys: None, out, mib_per_s: None }).unwrap();
    let second = World::new();
    let to_dir = second.directory().parent().unwrap().to_path_buf();
    let to = Some(Point::Seq(model::Seq(KEPT)));
    let params = RestoreParams { file, key: None, to_dir, to, same_life: false, reason: None };
    let restored = restore(&params, &mut |_, _| {}).unwrap();
    assert!(restored.dropped > 0 && restored.kept == KEPT && restored.incarnation == 2, "{restored:?}");
    second.keep_keys();
    let role = second.start();
    let key = role.report.log_key.to_string();
    second.stop(role);
    fs::write(second.beside("keys/log.vkey"), key + "\n").unwrap();
    second.life_again(TRANSFERS);
    second
}

#[test]
fn a_second_life_has_an_archive_of_its_own() {
    let world = world();
    assert_eq!(ship(&world).unwrap(), 2);
    let second = second_life(&world);
    let refused = Shipping::open(&second.directory(), None, &world.beside("archive")).map(drop).unwrap_err();
    let (said, place) = (refused.to_string(), world.beside("archive").display().to_string());
    assert_eq!(refused.exit_code(), 99, "{said}");
    for words in [place.as_str(), "the archive of ledger", "incarnation 1", "incarnation 2", "name another"] {
        assert!(said.contains(words), "{words:?} is not in {said:?}");
    }
    assert!(checked(&world).unwrap().clean, "the archive of the old life is as it was");

    // Of its own it holds both lives: what was kept, and what came after.
    let shipped = ship(&second).unwrap();
    let report = checked(&second).unwrap();
    assert!(report.clean && shipped >= 3, "{shipped} shipped: {}", report.text());
    assert!(report.last_seq > KEPT + 1 && report.entries == report.last_seq, "{}", report.text());
    let signed = Archive::open(&second.beside("archive")).unwrap().unwrap().verifier;
    assert!(signed.name().contains("/incarnation/2-"), "{}", signed.name());
    let old = Shipping::open(&world.directory(), None, &second.beside("archive")).map(drop).unwrap_err();
    assert_eq!(old.exit_code(), 99, "and takes nothing of the old life: {old}");
}
