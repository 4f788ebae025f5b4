//! Planted defects: each is found within a stated number of worlds, and the same worlds without it
//! hold. How each is modelled stands at its `Flaw`: in the simulated engine, in the start, in the
//! preparer and the checkpointer, or in the bytes that recovery is given (`Forged`); never in what is
//! shipped.
//!
//! `SEED=n` begins with that world.

use std::fmt::Debug;

use journal::FrameHeader;
use model::{Incarnation, LedgerId, Timestamp};
use tests::{
    disk::FileName,
    flaw::Flaw,
    money::{Money, MoneyFlaw},
    oracle::Violation,
    random::from_environment,
    script::{Play, SCRIPT},
    store,
    world::{run, run_with},
};

use super::LIVES;

/// Each defect, and the worlds that it may take to be found.
const DEFECTS: [(Flaw, u64); 20] = [
    (Flaw::EarlyAnswer, 50),
    (Flaw::UnorderedAnswer, 50),
    (Flaw::FailureIgnored, 200),
    (Flaw::ShortIgnored, 200),
    (Flaw::RootAboveDurable, 50),
    (Flaw::RootBeforeSlot, 200),
    (Flaw::NoFlush, 200),
    (Flaw::SegmentForgotten, 400),
    (Flaw::FlushRetried, 2000),
    (Flaw::NotRewritten, 1000),
    (Flaw::ImagesUnflushed, 400),
    (Flaw::SuperblockUnflushed, 100),
    (Flaw::BlindCut, 200),
    (Flaw::LockIgnored, 600),
    (Flaw::CheckpointAhead, 200),
    (Flaw::CheckpointTrusted, 600),
    (Flaw::DirectoryUnsynced, 50),
    (Flaw::ZerosLate, 50),
    (Flaw::SegmentReused, 50),
    (Flaw::Unchecked, 1000),
];

/// The first of so many worlds that breaks a promise.
fn found(within: u64, mut run: impl FnMut(u64) -> Option<Violation>) -> Option<(u64, Violation)> {
    let first = from_environment("SEED", 1);
    (first..first + within).find_map(|seed| run(seed).map(|violation| (seed, violation)))
}

fn expect_found(flaw: impl Debug, within: u64, run: impl FnMut(u64) -> Option<Violation>) -> u64 {
    let first = from_environment("SEED", 1);
    let (seed, violation) = found(within, run)
        .unwrap_or_else(|| panic!("{flaw:?} was not found in {within} worlds from SEED={first}"));
    println!(
        "proof: defect {flaw:?}: found in world {seed}, {within} allowed from SEED={first}: {violation}"
    );
    seed
}

#[test]
fn every_planted_defect_is_found_and_the_same_worlds_without_it_hold() {
    let mut last = 0;
    for (flaw, within) in DEFECTS {
        last = last.max(expect_found(flaw, within, |seed| run(seed, LIVES, flaw).err()));
    }
    let first = from_environment("SEED", 1);
    for seed in first..=last {
        if let Err(violation) = run(seed, LIVES, Flaw::None) {
            panic!("SEED={seed}: without a defect: {violation}");
        }
    }
}

#[test]
fn an_old_frame_is_told_by_each_of_zeros_chain_and_epoch() {
    // `Unchecked`, which has none of the three, is found; any one that is left is enough.
    for flaw in [Flaw::CutKept, Flaw::ChainUnchecked, Flaw::EpochUnchecked] {
        let found = found(200, |seed| run(seed, LIVES, flaw).err());
        assert_eq!(found, None, "{flaw:?}");
    }
}

#[test]
fn books_and_keys_that_differ_after_a_restart_are_found() {
    for flaw in [MoneyFlaw::Credulous, MoneyFlaw::ReplyLost] {
        let run = |flaw| move |seed| run_with(seed, LIVES, Flaw::None, &mut Money::new(flaw)).err();
        let seed = expect_found(flaw, 50, run(flaw));
        let held = found(seed, run(MoneyFlaw::None));
        assert_eq!(held, None);
    }
}

#[test]
fn a_world_is_a_function_of_its_seed() {
    for seed in 1..40 {
        assert_eq!(run(seed, LIVES, Flaw::None), run(seed, LIVES, Flaw::None));
        let money = || run_with(seed, LIVES, Flaw::None, &mut Money::new(MoneyFlaw::None));
        assert_eq!(money(), money());
    }
}

/// What is changed in a header that would follow in every other way.
type Change = fn(&mut FrameHeader);

#[test]
fn a_frame_of_another_incarnation_or_ledger_that_follows_is_taken_only_without_the_check() {
    let changes: [(&str, Change); 2] = [
        ("incarnation", |header| header.incarnation = Incarnation(7)),
        ("ledger", |header| header.ledger = LedgerId([7; 16])),
    ];
    let mut play = Play::new(Flaw::None).expect("a start without a crash");
    for (index, step) in SCRIPT.iter().enumerate() {
        play.step(*step, index as u64).expect("an undisturbed script");
    }
    let whole = store::reopen(&play.disk, None).expect("it can be read").recovered;
    let (last, position) = (whole.last, whole.next);
    let follows = FrameHeader {
        ledger: store::LEDGER,
        incarnation: last.incarnation,
        epoch: last.epoch,
        frame: last.frame.next(),
        position,
        first_seq: last.seq.next(),
        count: 0,
        at: Timestamp(9),
        previous: last.hash,
        durable_frame: last.frame,
        durable: last.seq,
        tree_size: last.tree_size,
        root: last.root,
        cut_bytes: 0,
        payload_bytes: 0,
    };
    let geometry = store::superblock(&play.disk).expect("it is whole").geometry;
    for (what, change) in changes {
        // The defect is a recovery that does not look: it takes what a forger has given its own words.
        for (forged, expected) in [(false, Ok(())), (true, Err(Violation::Invented(follows.frame)))] {
            let mut header = follows;
            if !forged {
                change(&mut header);
            }
            let mut bytes = vec![0; geometry.stride_len()];
            journal::seal(&header, store::key(), geometry, &mut bytes);
            let mut disk = play.disk.clone();
            let offset = usize::try_from(position.offset).expect("a small segment");
            let name = FileName::Segment(position.segment.0);
            disk.damage(name, offset, |block| block.copy_from_slice(&bytes));
            let reopened = store::reopen(&disk, None).expect("it can be read");
            assert_eq!(play.oracle.compare(&reopened.frames, true), expected, "{what}, forged: {forged}");
        }
    }
}
