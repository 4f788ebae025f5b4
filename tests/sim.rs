//! The committer and recovery on a disk that lies as disks do, thousands of crashes at a time.
//!
//! `SEED=n` runs the worlds from that seed on, `SIM_RUNS=n` as many of them.

mod mirror;

use tests::{
    money::Money,
    node::Flaw,
    oracle::Violation,
    random::from_environment,
    world::{Report, run, run_with},
};

/// Lives of one world.
const LIVES: u32 = 12;
/// Worlds that a canary may take to be found out.
const CANARY_RUNS: u64 = 400;

/// The first world in which the flaw was found out.
fn found_out(flaw: Flaw) -> (u64, Violation) {
    let first = from_environment("SEED", 1);
    (first..first + CANARY_RUNS)
        .find_map(|seed| run(seed, LIVES, flaw).err().map(|violation| (seed, violation)))
        .unwrap_or_else(|| panic!("{flaw:?} was not found out in {CANARY_RUNS} worlds from seed {first}"))
}

/// Whether something that was answered for is gone, whoever noticed it first.
const fn is_loss(violation: &Violation) -> bool {
    matches!(
        violation,
        Violation::Lost(_) | Violation::Changed(_) | Violation::FalseRot(_) | Violation::WrongFrame { .. }
    )
}

#[test]
fn nothing_answered_for_is_lost_in_any_crash() {
    let (first, runs) = (from_environment("SEED", 1), from_environment("SIM_RUNS", 1500));
    let mut total = Report::default();
    for seed in first..first + runs {
        match run(seed, LIVES, Flaw::None) {
            Ok(report) => total.add(&report),
            Err(violation) => panic!("SEED={seed} SIM_RUNS=1: {violation}"),
        }
    }
    println!("proof: sim: worlds {runs} of {LIVES} lives from SEED={first}: {total:?}");
    if runs >= 1500 {
        let Report { crashes, starts, stops, poisoned, promised, cuts, rots, uncovered } = total;
        assert!(crashes >= 10_000 && starts >= 5000 && promised >= 10_000, "the worlds are lively");
        let seen = [stops, poisoned, cuts, rots, uncovered];
        assert!(seen.iter().all(|count| *count >= 10), "every outcome is seen: {total:?}");
    }
}

#[test]
fn money_and_keys_come_back_as_the_books_have_them() {
    let (first, runs) = (from_environment("SEED", 1), from_environment("SIM_RUNS", 1500) / 5);
    let mut total = Report::default();
    for seed in first..first + runs.max(1) {
        match run_with(seed, LIVES, Flaw::None, &mut Money::new(false)) {
            Ok(report) => total.add(&report),
            Err(violation) => panic!("SEED={seed} SIM_RUNS=1: {violation}"),
        }
    }
    println!("proof: sim: worlds of money {} of {LIVES} lives from SEED={first}: {total:?}", runs.max(1));
}

#[test]
fn canary_books_that_keep_what_a_crash_took_are_found_out() {
    let first = from_environment("SEED", 1);
    let found = (first..first + CANARY_RUNS)
        .find_map(|seed| run_with(seed, LIVES, Flaw::None, &mut Money::new(true)).err());
    println!("{found:?}");
    assert!(matches!(found, Some(Violation::Content(_))), "{found:?}");
}

#[test]
fn canary_answers_before_the_disk_has_them_are_found_out() {
    let (seed, violation) = found_out(Flaw::EarlyAnswer);
    println!("seed {seed}: {violation}");
    assert!(is_loss(&violation), "{violation}");
}

#[test]
fn canary_recovery_without_a_flush_is_found_out() {
    let (seed, violation) = found_out(Flaw::NoFlush);
    println!("seed {seed}: {violation}");
    assert!(is_loss(&violation), "{violation}");
}

#[test]
fn canary_rot_cut_as_a_torn_tail_is_found_out() {
    let (seed, violation) = found_out(Flaw::BlindCut);
    println!("seed {seed}: {violation}");
    assert!(is_loss(&violation), "{violation}");
}

#[test]
fn canary_a_failed_write_taken_for_a_good_one_is_found_out() {
    let (seed, violation) = found_out(Flaw::FailureIgnored);
    println!("seed {seed}: {violation}");
    assert!(is_loss(&violation), "{violation}");
}
