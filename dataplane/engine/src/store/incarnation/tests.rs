//! An incarnation begins whole or not at all, whatever step a crash comes after, or in.

use std::path::PathBuf;

use disk::Io;
use model::{Nanos, Seq, TxId};
use wire::{Found, ReadAsk};

use super::*;
use crate::ledger_role::tests::{Scratch, ask, balance, params, read, request, seq_of, start};

const FRAME_KEY: [u8; 32] = [8; 32];

fn new_life() -> NewLife {
    NewLife {
        cause: Cause::Restore,
        reason: Text::new("the other disk was lost").unwrap(),
        parent: None,
        above: Incarnation::FIRST,
        life: [6; 8],
        wall: crate::clock::wall(),
    }
}

/// A ledger with some entries, stopped; the last of them.
fn stopped(name: &str, transfers: u32) -> (Scratch, Seq) {
    let scratch = Scratch::new(name);
    let role = start(&scratch.0, Io::Pwrite);
    ask(&role, vec![request(Kind::Mint, "@issuance", "alice", 1_000, "m")]);
    let mut last = Seq::ZERO;
    for number in 0..transfers {
        let paid = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, &format!("t{number}"))]);
        last = seq_of(&paid.outcomes[0]);
    }
    assert!(role.stop());
    (scratch, last)
}

fn copy(from: &Path, name: &str) -> Scratch {
    let scratch = Scratch::new(name);
    copy_tree(from, &scratch.0);
    scratch
}

fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_tree(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// The plan as it would be carried out in this directory now.
fn planned(directory: &Path) -> (Places, FrameKey, Plan) {
    let params = params(directory, Io::Pwrite).store;
    let places = Places { root: directory.into() };
    let superblock = open::existing_superblock(&places).unwrap();
    let key = FrameKey::new(&superblock.frame_key);
    let members = Members::alone(&places, &superblock);
    let slot = open::slot(&members, &superblock, &key).unwrap().unwrap();
    let mut trail = Trail { tree: Tree::new(HashKind::Sha256), at: Timestamp::default(), lives: 0 };
    let recovered = walk(&params, &members, &superblock, &key, Some(&slot), &mut trail).unwrap();
    let resume = recovered.resume_after_flush(HashKind::Sha256.empty()).unwrap();
    let (tree, at) = (trail.tree, trail.at);
    let kept = Kept { superblock: &superblock, key: &key, slot: &slot, resume: &resume, tree, at };
    let plan = plan(&kept, &new_life(), copies(&places).unwrap()).unwrap();
    (places, key, plan)
}

/// What the step writes, in which file and where.
fn target(places: &Places, plan: &Plan, step: Step) -> Option<(PathBuf, u64, usize)> {
    let Position { segment, offset } = plan.header.position;
    match step {
        Step::Zeros | Step::Names => None,
        Step::Frame => {
            Some((places.segments().join(segment_file_name(segment)), offset, plan.sealed.frame_bytes))
        }
        Step::Superblock(copy) => {
            Some((places.root.join(journal::SUPERBLOCK_FILE), copy.offset(), IMAGE_BYTES))
        }
        Step::Slot => Some((places.root.join(journal::SLOT_FILE), plan.slot.copy().offset(), IMAGE_BYTES)),
    }
}

/// Puts back the second half of what was there before the step: it tore.
fn tear(target: &(PathBuf, u64, usize), before: &[u8]) {
    use std::os::unix::fs::FileExt;
    let (path, offset, bytes) = target;
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&before[bytes / 2..], offset + *bytes as u64 / 2).unwrap();
}

fn bytes_at(target: &(PathBuf, u64, usize)) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let (path, offset, bytes) = target;
    let mut found = vec![0; *bytes];
    std::fs::File::open(path).unwrap().read_exact_at(&mut found, *offset).unwrap();
    found
}

/// Starts twice on what a crash left: it is the old life with all its entries, or the new one with
/// its first entry, and it stays what it is.
fn is_new_life(directory: &Path, last: Seq, what: &str) -> bool {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let role = start(directory, Io::Pwrite);
        let status = role.board.status(crate::clock::monotonic(), 0, 1);
        let size = role.board.durable();
        assert_eq!(balance(&role, "bob"), i128::from(last.0) - 4, "{what}");
        let begun = u64::from(status.incarnation == Incarnation(2));
        assert_eq!(size, last.0 + begun, "{what}: {status:?}");
        assert_eq!(status.lives.of(last), Incarnation::FIRST, "{what}");
        seen.push(begun == 1);
        assert!(role.stop());
    }
    assert_eq!(seen[0], seen[1], "{what}");
    seen[0]
}

#[test]
fn every_cut_leaves_the_old_life_or_the_new_one() {
    let (kept, last) = stopped("cuts", 9);
    assert_eq!(last, Seq(13), "the two accounts of the ledger's own kind, alice, bob, and ten entries");
    let steps = planned(&kept.0).2.steps;
    assert_eq!(steps.len(), 6);
    let mut lives = Vec::new();
    for done in 0..=steps.len() {
        for torn in [false, true] {
            let here = copy(&kept.0, &format!("cuts-{done}-{torn}"));
            let (places, key, plan) = planned(&here.0);
            let act = |step| act(&places, Direct::Preferred, &key, &plan, step).unwrap();
            steps[..done].iter().for_each(|step| act(*step));
            let next = steps.get(done).copied();
            let torn_target = next.filter(|_| torn).and_then(|step| target(&places, &plan, step));
            match (torn, torn_target) {
                (true, Some(target)) => {
                    let before = bytes_at(&target);
                    act(next.unwrap());
                    tear(&target, &before);
                }
                (true, None) => continue,
                (false, _) => {}
            }
            let what = format!("{done} steps, torn {torn}");
            lives.push((done, is_new_life(&here.0, last, &what)));
        }
    }
    // The first copy of the superblock decides, and a torn one does not.
    let first = steps.iter().position(|step| matches!(step, Step::Superblock(_))).unwrap();
    for (done, new) in lives {
        assert_eq!(new, done > first, "{done} steps");
    }
}

#[test]
fn the_first_frame_of_a_life_is_vouched_for_by_the_superblock_alone() {
    let (kept, _) = stopped("vouched", 3);
    let (places, key, plan) = planned(&kept.0);
    // All but the slot, and then the frame is lost.
    for step in plan.steps.iter().filter(|step| **step != Step::Slot) {
        act(&places, Direct::Preferred, &key, &plan, *step).unwrap();
    }
    let frame = target(&places, &plan, Step::Frame).unwrap();
    tear(&(frame.0, frame.1 - frame.2 as u64, 2 * frame.2), &vec![0; 2 * frame.2]);
    let refused = crate::ledger_role::tests::try_start(&kept.0, Io::Pwrite, |_| {}).unwrap_err();
    let words = refused.to_string();
    assert_eq!(refused.exit_code(), 82, "{words}");
    assert!(words.contains("incarnation 2 begins with it"), "{words}");
}

#[test]
fn a_life_goes_on_with_what_was_kept_and_under_its_own_name() {
    let (kept, last) = stopped("goes-on", 9);
    let begun = begin_incarnation(&kept.0, Direct::Preferred, &new_life()).unwrap();
    assert_eq!((begun.beginning.head.seq, begun.size), (last.next(), last.0 + 1));
    assert_eq!((begun.beginning.parent.size, begun.beginning.dropped()), (last.0, 0));

    let role = start(&kept.0, Io::Pwrite);
    assert_eq!(role.report.log_key.name(), "example.test/ledger/incarnation/2-0606060606060606");
    let Found::Checkpoint(head) = read(&role, ReadAsk::Checkpoint) else { panic!() };
    assert_eq!((head.size, head.root), (begun.size, begun.root));
    ledger::open_checkpoint(&head.note, &role.report.log_key).unwrap();

    // A key of before has its first outcome, and ids of before and after name their lives.
    let again = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, "t8")]);
    assert!(matches!(again.outcomes[0], model::Outcome::Replayed { .. }), "{again:?}");
    let paid = ask(&role, vec![request(Kind::Transfer, "alice", "bob", 1, "after")]);
    let status = role.board.status(crate::clock::monotonic(), 0, 1);
    for (seq, incarnation) in [(last, 1), (seq_of(&paid.outcomes[0]), 2)] {
        let Found::Entry(Some(entry)) = read(&role, ReadAsk::Entry(seq)) else { panic!("{seq}") };
        let id = entry.posting.tx_id(status.lives.of(seq), &entry.leaf);
        assert_eq!(id.incarnation, Incarnation(incarnation));
        assert_eq!(TxId::parse(&id.to_string()), Ok(id));
    }
    let Found::Entry(none) = read(&role, ReadAsk::Entry(begun.beginning.head.seq)) else { panic!() };
    assert!(none.is_none(), "it is no entry about money");
    assert!(role.stop());

    // Another life begins after that one.
    let wall = crate::clock::wall().after(Nanos::from_secs(1));
    let next = begin_incarnation(&kept.0, Direct::Preferred, &NewLife { wall, ..new_life() }).unwrap();
    assert_eq!(next.beginning.incarnation, Incarnation(3));
    let role = start(&kept.0, Io::Pwrite);
    assert_eq!(balance(&role, "bob"), 10);
    assert!(role.stop());
}

#[test]
fn an_open_store_begins_a_life_and_goes_on() {
    let (kept, last) = stopped("in-process", 9);
    let params = params(&kept.0, Io::Pwrite).store;
    let places = Places { root: kept.0.clone() };
    let log_key = open::existing_superblock(&places).unwrap().log_key;
    let birth = crate::ledger_role::tests::birth(FRAME_KEY);
    let mut store = open::open(&params, &birth, &log_key).unwrap();
    let begun = store.begin_incarnation(&params, &new_life()).unwrap();
    assert_eq!(store.rules.0.lives().incarnation(), Incarnation(2));
    assert_eq!((store.rules.1.size(), store.rules.1.root()), (begun.size, begun.root));
    assert_eq!((store.resume.seq, store.slot.frame), (last.next(), store.resume.frame));
    let replay = store.replay.as_ref().unwrap();
    assert_eq!((replay.tree.root(), replay.ledger.last()), (begun.root, last.next()));
    drop(store);
    assert!(is_new_life(&kept.0, last, "after an open store"));
}

#[test]
fn evidence_of_another_life_is_neither_believed_nor_forgotten() {
    let (kept, _) = stopped("evidence", 3);
    let old_superblock = std::fs::read(kept.0.join(journal::SUPERBLOCK_FILE)).unwrap();
    begin_incarnation(&kept.0, Direct::Preferred, &new_life()).unwrap();
    // The superblock of before is put back: the slot knows of frames that it does not.
    std::fs::write(kept.0.join(journal::SUPERBLOCK_FILE), old_superblock).unwrap();
    let refused = crate::ledger_role::tests::try_start(&kept.0, Io::Pwrite, |_| {}).unwrap_err();
    let words = refused.to_string();
    assert!(words.contains("incarnation 2, which the superblock does not know"), "{words}");
    assert!(words.contains("the frontier slot knows it to have been durable"), "{words}");
}
