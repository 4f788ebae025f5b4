//! A ledger on two disks, of which either dies, goes missing, is damaged or comes back as it was.
//!
//! `SEED=n` runs the worlds from that seed on, `SIM_RUNS=n` as many of them.

use tests::{
    mirror::{MirrorFlaw, MirrorReport, run},
    oracle::Violation,
    random::from_environment,
};

/// Lives of one world.
const LIVES: u32 = 12;
/// Worlds that a canary may take to be found out.
const CANARY_RUNS: u64 = 400;

/// The first world in which the flaw was found out.
fn found_out(flaw: MirrorFlaw) -> (u64, Violation) {
    let first = from_environment("SEED", 1);
    let found = (first..first + CANARY_RUNS)
        .find_map(|seed| run(seed, LIVES, flaw).err().map(|violation| (seed, violation)));
    let (seed, violation) = found
        .unwrap_or_else(|| panic!("{flaw:?} was not found out in {CANARY_RUNS} worlds from seed {first}"));
    println!("{flaw:?}: seed {seed}: {violation}");
    (seed, violation)
}

#[test]
fn nothing_answered_for_is_lost_with_either_disk() {
    let (first, runs) = (from_environment("SEED", 1), from_environment("SIM_RUNS", 1000));
    let mut total = MirrorReport::default();
    for seed in first..first + runs {
        match run(seed, LIVES, MirrorFlaw::None) {
            Ok(report) => total.add(&report),
            Err(violation) => panic!("SEED={seed} SIM_RUNS=1: {violation}"),
        }
    }
    println!("proof: sim: worlds of two disks {runs} of {LIVES} lives from SEED={first}: {total:?}");
    if runs >= 1000 {
        let MirrorReport { crashes, starts, promised, lost, copied, alone, refused, repairs } = total;
        assert!(
            crashes >= 8_000 && starts >= 8_000 && promised >= 10_000,
            "the worlds are lively: {total:?}"
        );
        let seen = [lost, copied, alone, refused, repairs];
        assert!(seen.iter().all(|count| *count >= 100), "every outcome is seen: {total:?}");
    }
}

#[test]
fn canary_a_release_before_the_record_of_who_is_left_is_found_out() {
    let (_, violation) = found_out(MirrorFlaw::EarlyRecord);
    assert!(violation.to_string().contains("has answered alone"), "{violation}");
}

#[test]
fn canary_an_answer_for_what_one_of_two_has_is_found_out() {
    let (_, violation) = found_out(MirrorFlaw::OneIsEnough);
    assert!(matches!(violation, Violation::Lost(_) | Violation::FalseRot(_)), "{violation}");
}

#[test]
fn canary_damage_that_is_left_on_one_copy_is_found_out() {
    let (_, violation) = found_out(MirrorFlaw::NoRepair);
    assert!(matches!(violation, Violation::Lost(_) | Violation::FalseRot(_)), "{violation}");
}

#[test]
fn canary_a_member_that_counts_before_it_is_flushed_is_found_out() {
    let (_, violation) = found_out(MirrorFlaw::NoFlush);
    assert!(!matches!(violation, Violation::Frontier(_)), "{violation}");
}
