//! Committer, ledger, recovery and checkpoints on a disk that lies as disks do, thousands of crashes at
//! a time.
//!
//! `SEED=n` runs the worlds from that seed on, `SIM_RUNS=n` as many of them.

mod defects;

use tests::{
    flaw::Flaw,
    money::{Money, MoneyFlaw},
    random::from_environment,
    world::{Report, run, run_with},
};

/// Lives of one world.
const LIVES: u32 = 12;

/// What `runs` worlds from `first` on come to; many are spread over two threads.
fn worlds(first: u64, runs: u64, world: impl Fn(u64) -> Report + Sync) -> Report {
    let threads: u64 = if runs > 1500 { 2 } else { 1 };
    let part = |thread: u64| {
        let mut total = Report::default();
        let seeds = (first..first + runs).filter(|seed| seed % threads == thread);
        seeds.for_each(|seed| total.add(&world(seed)));
        total
    };
    std::thread::scope(|scope| {
        let part = &part;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        let mut total = Report::default();
        for thread in running {
            let report = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            total.add(&report);
        }
        total
    })
}

#[test]
fn nothing_answered_for_is_lost_in_any_crash() {
    let (first, runs) = (from_environment("SEED", 1), from_environment("SIM_RUNS", 1500));
    let total = worlds(first, runs, |seed| match run(seed, LIVES, Flaw::None) {
        Ok(report) => report,
        Err(violation) => panic!("SEED={seed} SIM_RUNS=1: {violation}"),
    });
    println!("proof: sim: worlds {runs} of {LIVES} lives from SEED={first}: {total:?}");
    if runs >= 1500 {
        let Report { crashes, starts, checkpointed, waited, promised, .. } = total;
        assert!(crashes >= 10_000 && starts >= 5000 && promised >= 10_000, "the worlds are lively");
        assert!(checkpointed >= 500 && waited >= 2000, "{total:?}");
        let Report { refused, stops, poisoned, full, cuts, rots, uncovered, unseen, .. } = total;
        let seen = [refused, stops, poisoned, full, cuts, rots, uncovered, unseen];
        assert!(seen.iter().all(|count| *count >= 10), "every outcome is seen: {total:?}");
    }
}

#[test]
fn money_and_keys_come_back_as_the_books_have_them() {
    let (first, runs) = (from_environment("SEED", 1), from_environment("SIM_RUNS", 1500).div_ceil(5));
    let total = worlds(first, runs, |seed| {
        match run_with(seed, LIVES, Flaw::None, &mut Money::new(MoneyFlaw::None)) {
            Ok(report) => report,
            Err(violation) => panic!("SEED={seed} SIM_RUNS=1: {violation}"),
        }
    });
    println!("proof: sim: worlds of money {runs} of {LIVES} lives from SEED={first}: {total:?}");
}
