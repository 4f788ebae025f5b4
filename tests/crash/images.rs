//! After each step of a script, every image that a power loss may leave.
//!
//! `SEED=n` draws the scripts from that seed on, `CRASH_RUNS=n` as many of them.

use journal::Tail;
use tests::{
    disk::{BLOCK_BYTES, Disk, FileName},
    flaw::Flaw,
    images::images,
    oracle::{Oracle, Violation},
    random::from_environment,
    script::{Play, SCRIPT, Step, drawn},
    store::{self, Reopened},
};

/// Of so many images one is started again with its cut half done: that costs as much as many images.
const CUT_EVERY: usize = 8;

#[derive(Debug, Default)]
struct Counts {
    points: usize,
    images: usize,
    torn: usize,
    /// Images of a start that was itself cut short while it zeroed a torn tail.
    again: usize,
    in_flight_max: usize,
}

/// Reopens the image: nothing answered for is missing, and nothing is called rot.
fn check(image: &Disk, oracle: &Oracle) -> Result<Reopened, Violation> {
    let reopened = store::reopen(image, None)?;
    if let Tail::Rot(rot) = reopened.recovered.tail {
        return Err(Violation::FalseRot(rot));
    }
    oracle.compare(&reopened.frames, true)?;
    Ok(reopened)
}

/// A start that crashed while it zeroed the cut, after any of its strides, finds the same journal.
fn check_cut(image: &Disk, reopened: &Reopened, oracle: &Oracle) -> Result<usize, Violation> {
    let Tail::Torn(cut) = &reopened.recovered.tail else { return Ok(0) };
    let strides = cut.ranges.iter().flat_map(|range| {
        let name = FileName::Segment(range.segment.0);
        (range.from..range.to).step_by(BLOCK_BYTES).map(move |offset| (name, offset))
    });
    let mut in_order = image.clone();
    let mut count = 0;
    for (name, offset) in strides {
        let offset = usize::try_from(offset).expect("a small segment");
        let mut alone = image.clone();
        for disk in [&mut in_order, &mut alone] {
            disk.damage(name, offset, |stride| stride.fill(0));
            let again = check(disk, oracle)?;
            assert_eq!(
                (again.frames, again.recovered.next),
                (reopened.frames.clone(), reopened.recovered.next)
            );
            count += 1;
        }
    }
    Ok(count)
}

fn every_image(script: &[Step], flaw: Flaw, counts: &mut Counts) -> Result<(), Violation> {
    let mut play = Play::new(flaw)?;
    for (index, step) in script.iter().enumerate() {
        play.step(*step, index as u64)?;
        counts.points += 1;
        counts.in_flight_max = counts.in_flight_max.max(play.disk.in_flight().len());
        for image in images(&play.disk) {
            let reopened = check(&image, &play.oracle)?;
            counts.images += 1;
            counts.torn += usize::from(matches!(reopened.recovered.tail, Tail::Torn(_)));
            if counts.images.is_multiple_of(CUT_EVERY) {
                counts.again += check_cut(&image, &reopened, &play.oracle)?;
            }
        }
    }
    Ok(())
}

#[test]
fn every_image_of_every_crash_keeps_what_was_answered_for() {
    let (first, runs) = (from_environment("SEED", 1), from_environment("CRASH_RUNS", 5));
    let mut counts = Counts::default();
    let fixed = every_image(SCRIPT, Flaw::None, &mut counts);
    fixed.unwrap_or_else(|violation| panic!("the fixed script: {violation}"));
    for seed in first..first + runs {
        let drawn = every_image(&drawn(seed), Flaw::None, &mut counts);
        drawn.unwrap_or_else(|violation| panic!("SEED={seed} CRASH_RUNS=1: {violation}"));
    }
    println!("proof: crash: {runs} drawn scripts from SEED={first}: {counts:?}");
    assert!(counts.images > 400 && counts.torn > 200 && counts.again > 100, "{counts:?}");
    assert!(counts.in_flight_max >= 3, "{counts:?}");
}

#[test]
fn canary_an_early_answer_is_found_out() {
    let mut counts = Counts::default();
    let violation =
        every_image(SCRIPT, Flaw::EarlyAnswer, &mut counts).expect_err("some image lacks the frame");
    assert!(matches!(violation, Violation::Lost(_)), "{violation}");
}
