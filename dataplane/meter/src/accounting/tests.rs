//! Nothing is lost: not between threads, not between ticks, not when rows run out.

use std::{num::NonZeroUsize, sync::atomic::AtomicBool, sync::atomic::Ordering, thread};

use super::*;
use crate::{labels, LABEL_BYTES_MAX, OVERFLOW};

fn meter_with(label_limit: usize) -> Accounting {
    let label_limit = NonZeroUsize::new(label_limit).unwrap();
    Accounting::new(Settings { label_limit, ..Settings::default() })
}

fn sum<'a>(entries: impl IntoIterator<Item = &'a (Labels, Counters)>) -> (u64, u64, u64) {
    entries.into_iter().fold((0, 0, 0), |sum, (_, counted)| {
        (sum.0 + counted.reqs, sum.1 + counted.bytes_in, sum.2 + counted.bytes_out)
    })
}

#[test]
fn ticks_under_load_lose_nothing_and_tell_nothing_twice() {
    const EACH: u64 = 50_000;
    let accounting = meter_with(4);
    let done = AtomicBool::new(false);
    let ticks = thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|number| {
                let accounting = &accounting;
                scope.spawn(move || {
                    let sets: Vec<_> =
                        (0..5).map(|route| labels().tenant("t").route(format!("/{route}"))).collect();
                    let handle = accounting.meter(&sets[number]);
                    for (turn, set) in (0..EACH).zip(sets.iter().cycle()) {
                        accounting.incr_request(set);
                        accounting.add_bytes_in(set, turn);
                        handle.add_bytes_out(1);
                    }
                })
            })
            .collect();
        let (accounting, done) = (&accounting, &done);
        let ticker = scope.spawn(move || {
            let mut ticks = Vec::new();
            while !done.load(Ordering::Acquire) {
                ticks.extend_from_slice(accounting.window_tick().entries());
            }
            ticks
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::Release);
        let mut ticks = ticker.join().unwrap();
        ticks.extend_from_slice(accounting.window_tick().entries());
        ticks
    });
    let expected = (3 * EACH, 3 * EACH * (EACH - 1) / 2, 3 * EACH);
    assert_eq!(sum(&ticks), expected);
    assert_eq!(sum(accounting.snapshot().entries()), expected);
    assert!(accounting.window_tick().entries().is_empty());
    let names: Vec<_> = accounting.snapshot().entries().iter().map(|(set, _)| set.route.clone()).collect();
    assert_eq!(names.len(), 5, "four rows and the overflow row: {names:?}");
}

#[test]
fn rows_that_run_out_keep_the_tenant() {
    let accounting = meter_with(2);
    for (tenant, route, row) in [
        ("a", "/0", ("a", "/0")),
        ("a", "/1", ("a", "/1")),
        ("a", "/2", ("a", OVERFLOW)),
        ("b", "/0", ("b", OVERFLOW)),
        ("c", "/0", (OVERFLOW, OVERFLOW)),
        ("a", "/3", ("a", OVERFLOW)),
    ] {
        let before = accounting.snapshot();
        accounting.incr_request(&labels().tenant(tenant).route(route));
        let count = |snapshot: &Snapshot| {
            let found = snapshot.entries().iter().find(|(set, _)| (&*set.tenant, &*set.route) == row);
            found.map_or(0, |(_, counted)| counted.reqs)
        };
        assert_eq!(count(&accounting.snapshot()), count(&before) + 1, "{tenant} {route}");
    }
}

#[test]
fn labels_that_are_too_long_overflow() {
    let accounting = meter_with(10);
    let long = "x".repeat(LABEL_BYTES_MAX + 1);
    accounting.incr_request(&labels().tenant("a").route(long.as_str()));
    accounting.incr_request(&labels().tenant(long));
    let snapshot = accounting.snapshot();
    let names: Vec<_> = snapshot.entries().iter().map(|(set, _)| (&*set.tenant, &*set.route)).collect();
    assert_eq!(names, [(OVERFLOW, OVERFLOW), ("a", OVERFLOW)]);
}

#[test]
fn types_are_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<(Accounting, Meter, Labels, Counters, Snapshot, Settings)>();
}
