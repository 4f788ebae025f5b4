//! After each step of the fixed script, a power loss that takes two disks, each in its own way.

use journal::Tail;
use tests::{
    disk::Disk,
    images::images,
    mirror::reread,
    node::Flaw,
    oracle::{Oracle, Violation},
    script::{Play, SCRIPT},
    store,
};

/// Images of the other disk beside each image of one, at most.
const BESIDE: usize = 6;

/// Both together keep what was answered for, and what one has of it the other has afterwards.
fn check(first: &Disk, second: &Disk, oracle: &Oracle) -> Result<bool, Violation> {
    let (frames, tail, repaired) = reread(first, second)?;
    if let Tail::Rot(rot) = tail {
        return Err(Violation::FalseRot(rot));
    }
    oracle.compare(&frames, true)?;
    let mut helped = false;
    for (disk, before) in repaired.iter().zip([first, second]) {
        let alone = store::reopen(disk, None)?;
        assert_eq!(alone.frames, frames, "each copy has everything once it is repaired");
        helped |= store::reopen(before, None)?.frames.len() < frames.len();
    }
    Ok(helped)
}

#[test]
fn every_pair_of_images_keeps_what_was_answered_for() {
    let (mut pairs, mut helped) = (0, 0);
    let mut play = Play::new(Flaw::None).expect("it starts");
    for (index, step) in SCRIPT.iter().enumerate() {
        play.step(*step, index as u64).expect("no flaw");
        let images: Vec<Disk> = images(&play.disk).collect();
        for (number, first) in images.iter().enumerate() {
            for other in 0..images.len().min(BESIDE) {
                // Spread over all of them, the same one among them.
                let second = &images[(number + other * images.len().div_ceil(BESIDE)) % images.len()];
                let lacked = check(first, second, &play.oracle);
                let lacked =
                    lacked.unwrap_or_else(|violation| panic!("step {index} image {number}: {violation}"));
                (pairs, helped) = (pairs + 1, helped + usize::from(lacked));
            }
        }
    }
    println!("proof: crash: two disks: {pairs} pairs of images, one lent a frame in {helped}");
    assert!(pairs > 1_000 && helped > 100, "pairs {pairs}, helped {helped}");
}
