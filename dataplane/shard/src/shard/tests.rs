//! The machine against a model that only adds up, and its answers one by one.

mod answers;
mod world;

use model::ShardId;
use world::World;

use super::*;

fn params() -> Params {
    Params {
        tenants_max: 16,
        rows_max: 64,
        producers_max: 8,
        connections_max: 8,
        ahead_millis_max: 10_000,
        credits: 8,
        backlog_max: 12,
        exports_max: 3,
        events_max: 64,
        ..Params::new("node", ShardId(0), 1, 1_000).unwrap()
    }
}

fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (0..60).collect(),
    }
}

#[test]
fn the_ledger_holds_exactly_what_producers_sent() {
    let (mut crashes, mut duplicates, mut corrections, mut slices) = (0, 0, 0, 0);
    for seed in seeds() {
        println!("SEED={seed}");
        let mut world = World::new(seed, params());
        for _ in 0..1_500 {
            world.step(true);
        }
        world.settle();
        let (ledger, producers) = (world.ledger_books(), world.producer_books());
        for key in ledger.keys().chain(producers.keys()) {
            assert_eq!(ledger.get(key), producers.get(key), "SEED={seed} {key:?}");
        }
        crashes += world.crashes;
        duplicates += world.duplicates;
        corrections += world.shard.counters().slices_correcting;
        slices += world.ledger.len();
    }
    println!("{crashes} crashes, {duplicates} duplicates, {corrections} corrections, {slices} slices");
    if std::env::var("SEED").is_err() {
        assert!(crashes > 500 && duplicates > 500 && corrections > 100, "the world was too kind");
    }
}

#[test]
fn a_slice_that_is_missing_is_noticed() {
    let mut world = World::new(1, params());
    for _ in 0..500 {
        world.step(false);
    }
    world.settle();
    assert_eq!(world.ledger_books(), world.producer_books());
    world.ledger.pop().expect("something was sealed");
    assert_ne!(world.ledger_books(), world.producer_books(), "the comparison can fail");
}

#[test]
fn the_same_events_give_the_same_slices() {
    let run = || {
        let mut world = World::new(7, params());
        for _ in 0..800 {
            world.step(true);
        }
        world.settle();
        world.ledger.iter().map(|(slice, _)| slice.digest).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}
