//! Which flush covers which write.

use super::*;

fn file(index: u64) -> FileId {
    FileId::at(index)
}

/// Takes what has ended.
fn take<T>(barrier: &mut Barrier<T>) -> Vec<(T, Result<(), Errno>)> {
    std::iter::from_fn(|| barrier.ended()).collect()
}

#[test]
fn a_flush_covers_what_had_ended_when_it_began() {
    let mut barrier = Barrier::new(8);
    barrier.written(file(0), 'a');
    barrier.written(file(0), 'b');
    assert!(take(&mut barrier).is_empty(), "nothing is durable without a flush");
    assert_eq!(barrier.begin(), Some(file(0)));
    // Too late for the flush in flight, and no second one runs beside it.
    barrier.written(file(0), 'c');
    assert_eq!(barrier.begin(), None);
    barrier.flushed(file(0), Ok(()));
    assert_eq!(take(&mut barrier), [('a', Ok(())), ('b', Ok(()))]);
    assert_eq!(barrier.begin(), Some(file(0)));
    barrier.flushed(file(0), Ok(()));
    assert_eq!((take(&mut barrier), barrier.count()), (vec![('c', Ok(()))], 0));
}

#[test]
fn files_are_flushed_each_by_itself() {
    let mut barrier = Barrier::new(8);
    barrier.written(file(0), 'a');
    barrier.written(file(1), 'b');
    barrier.written(file(0), 'c');
    assert_eq!((barrier.begin(), barrier.begin(), barrier.begin()), (Some(file(0)), Some(file(1)), None));
    barrier.flushed(file(1), Ok(()));
    assert_eq!(take(&mut barrier), [('b', Ok(()))]);
    barrier.flushed(file(0), Ok(()));
    assert_eq!(take(&mut barrier), [('a', Ok(())), ('c', Ok(()))]);
}

#[test]
fn after_a_failed_flush_nothing_is_durable_and_none_is_tried_again() {
    let mut barrier = Barrier::new(8);
    barrier.written(file(0), 'a');
    barrier.begin();
    barrier.written(file(0), 'b');
    barrier.flushed(file(0), Err(Errno::IO));
    barrier.written(file(1), 'c');
    assert_eq!(barrier.begin(), None);
    let failed: Vec<_> = ['a', 'b', 'c'].into_iter().map(|item| (item, Err(Errno::IO))).collect();
    assert_eq!(take(&mut barrier), failed);
}

/// Every order of up to seven events on two files, beside a device that makes durable, at a
/// flush's end, what had been written when that flush began.
#[test]
fn in_no_order_is_a_write_told_before_a_flush_that_covers_it() {
    let mut orders = 0;
    for code in 0..5_u32.pow(7) {
        orders += u32::from(check_order(code, false).expect("only durable writes are told"));
    }
    assert!(orders > 10_000, "{orders} orders told a write");
}

/// The same orders find a backend that says that a flush has ended when it has only begun.
#[test]
fn a_flush_that_is_not_waited_for_is_found() {
    let found = (0..5_u32.pow(7)).find(|code| check_order(*code, true).is_err());
    assert!(found.is_some_and(|code| code < 1_000), "{found:?}");
}

/// Plays the order that the digits of `code` in base 5 spell; whether a write was told, or which
/// one was told and is not durable.
fn check_order(mut code: u32, hasty: bool) -> Result<bool, u32> {
    let mut barrier = Barrier::new(8);
    // By file: what was written, what a flush in flight began with, what is durable.
    let mut device = [(Vec::new(), None, Vec::new()), (Vec::new(), None, Vec::new())];
    let mut told = false;
    for item in 0..7_u32 {
        let (event, digit) = (code % 5, u64::from(code % 2));
        code /= 5;
        let index = usize::try_from(digit).expect("0 or 1");
        match event {
            0 | 1 => {
                device[index].0.push(item);
                barrier.written(file(digit), item);
            }
            2 => {
                while let Some(flushing) = barrier.begin() {
                    let (written, in_flight, _) = &mut device[flushing.index()];
                    assert!(in_flight.is_none(), "one flush of a file at a time");
                    *in_flight = Some(written.clone());
                    if hasty {
                        barrier.flushed(flushing, Ok(()));
                    }
                }
            }
            _ => {
                let (_, in_flight, durable) = &mut device[index];
                let Some(written) = in_flight.take() else { continue };
                *durable = written;
                if !hasty {
                    barrier.flushed(file(digit), Ok(()));
                }
            }
        }
        for (item, verdict) in take(&mut barrier) {
            assert_eq!(verdict, Ok(()));
            let is_durable = device.iter().any(|(_, _, durable)| durable.contains(&item));
            told = is_durable.then_some(true).ok_or(item)?;
        }
    }
    Ok(told)
}
