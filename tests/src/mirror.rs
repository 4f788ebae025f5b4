//! Worlds of two disks: a ledger and its mirror, either of which may die, go missing, be damaged or
//! come back as it was.
//!
//! Holds: one fault at a time. While a disk is damaged or gone the other is whole, so nothing that was
//! answered may be missing, and a start that has all that the last answer rested on is not refused.

mod node;
mod pair;
mod world;

use journal::{Active, Tail};
pub use world::{MirrorReport, run};

use crate::{
    disk::Disk,
    oracle::{SealedFrame, Violation},
};

/// What a start makes of two disks that are both believed: the frames, what follows them, and the disks
/// when each was given what it lacked.
///
/// # Errors
/// `Recovery` if they cannot be read at all.
pub fn reread(first: &Disk, second: &Disk) -> Result<(Vec<SealedFrame>, Tail, [Disk; 2]), Violation> {
    let mut pair = pair::Pair::of([first.clone(), second.clone()]);
    let reread = pair.read(Active::Both)?;
    pair.repair(&reread.repairs);
    Ok((reread.frames, reread.recovered.tail, pair.disks))
}

/// A fault planted in the harness's own engine. A harness that does not find it is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorFlaw {
    /// None: nothing may be found.
    None,
    /// Releases go on before the record of who is left is durable.
    EarlyRecord,
    /// What one member has is taken for what both have.
    OneIsEnough,
    /// What one copy lacks is not written to it.
    NoRepair,
    /// A member that was brought up again counts before it is flushed.
    NoFlush,
}
