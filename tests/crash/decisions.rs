//! The decision table of `docs/recovery.md`, row by row: the page is what is enforced.

use std::collections::BTreeMap;

use journal::{
    Checkpoint, FrameHash, FrameNumber, IMAGE_BYTES, ImageCopy, SegmentNumber, Slot, Superblock, Tail,
    Witness,
};
use model::{Incarnation, Seq};
use tests::{
    damage::Damage,
    disk::{BLOCK_BYTES, Disk, FileName},
    oracle::{SealedFrame, Violation},
    store,
};

use super::damage::Rest;

/// What the page says: row to verdict.
fn page() -> BTreeMap<String, String> {
    let text = include_str!("../../docs/recovery.md");
    let (_, rows) = text.split_once("## The last frame, and after").expect("the section is there");
    let (rows, _) = rows.split_once("## Damage by stride").expect("the next section is there");
    let rows = rows.lines().filter_map(|line| line.strip_prefix("| "));
    rows.filter_map(|row| {
        let mut cells = row.split('|').map(str::trim);
        let (name, _, verdict) = (cells.next()?, cells.next()?, cells.next()?);
        let verdict = verdict.split_once(':').map_or(verdict, |(word, _)| word);
        (!name.is_empty()).then(|| (name.to_owned(), verdict.to_owned()))
    })
    .collect()
}

/// The verdict in the page's words.
fn word(tail: &Tail) -> String {
    match tail {
        Tail::Clean => "clean".into(),
        Tail::Torn(_) => "torn tail".into(),
        Tail::Rot(rot) => {
            let witness = match rot.witness {
                Witness::Slot => "Slot",
                Witness::LaterFrame(_) => "LaterFrame",
                Witness::Checkpoint => "Checkpoint",
                Witness::SlotLost => "SlotLost",
                Witness::SegmentLost(_) => "SegmentLost",
                Witness::SlotContradicts => "SlotContradicts",
                Witness::Superblock(_) => "Superblock",
            };
            format!("rot, `{witness}`")
        }
    }
}

fn tail(disk: &Disk) -> String {
    word(&store::reopen(disk, None).expect("it can be read").recovered.tail)
}

/// One copy of the slot is as `change` makes it, the other is gone.
fn with_slot(rest: &Rest, change: impl FnOnce(&mut Slot)) -> Disk {
    let mut disk = rest.disk.clone();
    let mut slot = store::slot(&disk).expect("nothing is damaged yet");
    change(&mut slot);
    let mut image = [0; IMAGE_BYTES];
    slot.encode(&store::key(), &mut image);
    for (copy, bytes) in [(slot.copy(), image), (other(slot.copy()), [0; IMAGE_BYTES])] {
        for (block, bytes) in bytes.chunks(BLOCK_BYTES).enumerate() {
            let at = store::image_offset(copy) + block * BLOCK_BYTES;
            disk.damage(FileName::Slot, at, |stride| stride.copy_from_slice(bytes));
        }
    }
    disk
}

fn other(copy: ImageCopy) -> ImageCopy {
    match copy {
        ImageCopy::First => ImageCopy::Second,
        ImageCopy::Second => ImageCopy::First,
    }
}

/// Damages every stride of a frame.
fn damage(disk: &mut Disk, frame: &SealedFrame, damage: Damage) {
    let from = usize::try_from(frame.position.offset).expect("a small segment");
    for offset in (from..from + frame.bytes).step_by(BLOCK_BYTES) {
        damage.apply(disk, FileName::Segment(frame.position.segment.0), offset);
    }
}

fn damaged(rest: &Rest, frame: &SealedFrame, kind: Damage) -> Disk {
    let mut disk = rest.disk.clone();
    damage(&mut disk, frame, kind);
    disk
}

/// The last frames of the script: the one before the last is claimed by the last, and nobody knows of
/// the last. Neither is in the slot.
fn uncovered(rest: &Rest) -> (&SealedFrame, &SealedFrame) {
    let [.., claimed, last] = rest.frames.as_slice() else { panic!("the script writes frames") };
    assert!(claimed.frame > rest.slot_frame && last.claims == claimed.frame);
    (claimed, last)
}

/// The superblock names an incarnation that has no frame.
fn begun(rest: &Rest) -> Disk {
    let mut disk = rest.disk.clone();
    let superblock = store::superblock(&disk).expect("it is whole");
    let superblock = Superblock { incarnation: Incarnation(2), ..superblock };
    for copy in ImageCopy::BOTH {
        store::write_superblock(&mut disk, &superblock, copy, true);
    }
    disk
}

fn verdict(row: &str, rest: &Rest) -> String {
    let (claimed, last) = uncovered(rest);
    let covered = rest.frames.iter().find(|frame| frame.frame == rest.slot_frame).expect("it is there");
    match row {
        "1" => {
            let mut disk = rest.disk.clone();
            for copy in ImageCopy::BOTH {
                Damage::Flipped.apply(&mut disk, FileName::Slot, store::image_offset(copy));
            }
            tail(&disk)
        }
        "2" => {
            let by_hash = tail(&with_slot(rest, |slot| slot.hash = FrameHash([9; 32])));
            let by_root = tail(&with_slot(rest, |slot| slot.root = [9; 32]));
            assert_eq!(by_hash, by_root);
            by_hash
        }
        "2a" => tail(&begun(rest)),
        "3" => tail(&damaged(rest, covered, Damage::Torn)),
        "4" => {
            let disk = damaged(rest, last, Damage::Torn);
            let known = store::reopen_knowing(&disk, None, last.frame, |_| Ok(()));
            word(&known.expect("it can be read").recovered.tail)
        }
        "5" => {
            let announced = SegmentNumber(last.position.segment.0 + 1);
            let mut disk = with_slot(rest, |slot| slot.segment = announced);
            if disk.names().any(|name| name == FileName::Segment(announced.0)) {
                disk.remove(FileName::Segment(announced.0));
            }
            tail(&disk)
        }
        "6" => {
            let epoch = store::superblock(&rest.disk).expect("it is whole").epoch;
            let mut disk = with_slot(rest, |slot| {
                (slot.clean, slot.epoch) = (true, epoch);
                (slot.frame, slot.hash, slot.durable) = (last.frame, last.hash, Seq(last.last_seq));
            });
            // Litter that a search would find.
            let (segment, end) = (last.position.segment.0, last.position.offset + last.bytes as u64);
            let name = FileName::Segment(segment);
            let end = usize::try_from(end).expect("a small segment");
            assert!(end < disk.view(name).len(), "there is room after the last frame");
            disk.damage(name, end, |stride| stride.fill(7));
            tail(&disk)
        }
        "7" => tail(&damaged(rest, claimed, Damage::Torn)),
        "8" => tail(&damaged(rest, last, Damage::Torn)),
        "9" => tail(&damaged(rest, last, Damage::Zeroed)),
        "c" => {
            let wrong = Checkpoint {
                ledger: store::LEDGER,
                incarnation: store::superblock(&rest.disk).expect("it is whole").incarnation,
                frame: last.frame,
                hash: FrameHash([9; 32]),
                position: last.position,
                through: Seq(last.last_seq),
                tree_size: last.tree_size,
                root: last.root,
            };
            error(store::reopen(&rest.disk, Some(&wrong)).map(|_| ()))
        }
        "d" => error(store::reopen_with(&rest.disk, None, |_| Err("no".into())).map(|_| ())),
        _ => panic!("row {row} of docs/recovery.md has no test"),
    }
}

fn error(outcome: Result<(), Violation>) -> String {
    match outcome {
        Err(Violation::Recovery(words)) => {
            let word: String = words.chars().take_while(|letter| letter.is_alphabetic()).collect();
            format!("`{word}`")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_row_of_the_decision_table_is_what_recovery_decides() {
    let rest = Rest::new();
    let mut page = page();
    assert_eq!(page.len(), 14, "ten verdicts and four errors: {page:?}");
    // A read that fails and a frame of a newer format need another device and another build:
    // `journal::recovery::tests::what_cannot_be_read_or_is_too_new_stops_recovery`.
    for (row, error) in [("a", "`Read`"), ("b", "`Format`")] {
        assert_eq!(page.remove(row).as_deref(), Some(error));
    }
    for (row, said) in page {
        assert_eq!(verdict(&row, &rest), said, "row {row}");
    }
}

#[test]
fn a_row_comes_before_those_below_it() {
    let rest = Rest::new();
    let (claimed, _) = uncovered(&rest);
    let covered = rest.frames.iter().find(|frame| frame.frame == rest.slot_frame).expect("it is there");
    let both_slots = |disk: &mut Disk| {
        for copy in ImageCopy::BOTH {
            Damage::Zeroed.apply(disk, FileName::Slot, store::image_offset(copy));
            let last = store::image_offset(copy) + IMAGE_BYTES - BLOCK_BYTES;
            Damage::Zeroed.apply(disk, FileName::Slot, last);
        }
    };
    // Lost evidence outweighs what a later frame or the lost slot would have said.
    for frame in [covered, claimed] {
        let mut disk = damaged(&rest, frame, Damage::Torn);
        both_slots(&mut disk);
        assert_eq!(tail(&disk), "rot, `SlotLost`");
    }
    // The slot is asked before a search reads anything.
    let mut disk = damaged(&rest, covered, Damage::Torn);
    damage(&mut disk, claimed, Damage::Flipped);
    assert_eq!(tail(&disk), "rot, `Slot`");
    let first = rest.frames.first().expect("the script writes frames");
    let reopened = store::reopen(&damaged(&rest, first, Damage::Zeroed), None).expect("it can be read");
    assert!(matches!(reopened.recovered.tail, Tail::Rot(rot) if rot.expected == FrameNumber(1)));
    assert_eq!(reopened.recovered.resume_after_flush(store::EMPTY_ROOT), None);
}
