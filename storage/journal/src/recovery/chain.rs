//! A walk along the chain from a given frame on, without a verdict on what lies after it: for whoever
//! reads segments that the journal has left.

use super::{BadFrame, Input, LastFrame, RecoveryError, SegmentSource, Step, Walk};
use crate::{Frame, Position};

/// Where a walk begins: the frame before, and the place of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainStart {
    /// The frame before.
    pub last: LastFrame,
    /// Where the next one begins.
    pub next: Position,
}

impl ChainStart {
    /// Before the first frame of a journal.
    pub const GENESIS: Self =
        Self { last: LastFrame::NONE, next: Position { segment: crate::SegmentNumber(0), offset: 0 } };
}

/// Gives `take` each frame that follows `start`, and says where and why there is no further one.
/// Of the input, geometry, ledger, incarnation and key are looked at.
///
/// # Errors
/// `RecoveryError`; `Replay` if `take` refuses a frame.
pub fn follow<S: SegmentSource, E>(
    input: &Input<'_>,
    start: &ChainStart,
    source: &mut S,
    buffer: &mut [u8],
    mut take: impl FnMut(&Frame<'_>) -> Result<(), E>,
) -> Result<(ChainStart, BadFrame), RecoveryError<E>> {
    let mut walk = Walk::new(input, source, buffer)?;
    (walk.last, walk.next) = (start.last, start.next);
    loop {
        if let Step::Bad(bad) = walk.step(&mut take)? {
            return Ok((ChainStart { last: walk.last, next: walk.next }, bad));
        }
    }
}
