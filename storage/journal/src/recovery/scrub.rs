//! The scrub of a segment that the journal has left: every frame's hashes and the chain, from one
//! place to the segment's end.
//!
//! Holds: one damage is told once, and does not hide the next: frames behind it are found again by
//! their own headers. What never held a frame may be zeros and nothing else. Leaves to others: which
//! segments are closed, how fast they are read, and what is done about damage.

use core::convert::Infallible;

use model::{LedgerId, Seq};

use super::{
    BadFrame, LastFrame, RecoveryError, SegmentSource, follows, recovery_buffer_bytes, window::Window,
};
use crate::{
    FrameHeader, FrameKey, FrameNumber, Geometry, HEADER_BYTES, ParsedHeader, Position, SegmentNumber,
    fields::is_zero,
};

/// What a scrub knows before it reads.
#[derive(Clone, Copy, Debug)]
pub struct ScrubInput<'a> {
    /// The journal's sizes.
    pub geometry: Geometry,
    /// The ledger.
    pub ledger: LedgerId,
    /// The journal's key.
    pub key: &'a FrameKey,
}

/// Something in a closed segment that is not what was written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins.
    pub at: Position,
    /// The frame that should be there, and the entry that it would begin with, if that is known.
    pub expected: Option<(FrameNumber, Seq)>,
    /// What is wrong.
    pub bad: BadFrame,
}

/// Bytes that are no frame of this place, up to the next one or to the segment's end.
struct Stretch {
    damage: Damage,
    is_zero: bool,
}

/// Checks a segment from `from` to its end. `link` is the last frame before it, `None` if that is not
/// known, and then the last one in it. Where `from` is not the segment's beginning and `link` is
/// unknown, it may lie within a frame, and what is before the first header is not looked at.
///
/// # Errors
/// `Read`: go on behind what cannot be read with an unknown link. `Buffer`: it holds less than
/// `recovery_buffer_bytes`.
pub fn scrub_segment<S: SegmentSource>(
    input: &ScrubInput<'_>,
    from: Position,
    link: &mut Option<LastFrame>,
    source: &mut S,
    buffer: &mut [u8],
    found: &mut impl FnMut(Damage),
) -> Result<(), RecoveryError<Infallible>> {
    if buffer.len() < recovery_buffer_bytes(input.geometry) {
        return Err(RecoveryError::Buffer);
    }
    let mut window = Window::new(buffer, input.geometry, source.segments());
    let mut blind = from.offset > 0 && link.is_none();
    let mut stretch: Option<Stretch> = None;
    let mut place = from;
    loop {
        let bytes = window.bytes(source, place, HEADER_BYTES)?;
        if bytes.is_empty() {
            break;
        }
        match header(input, place, bytes) {
            Ok(parsed) => {
                blind = false;
                if let Some(stretch) = stretch.take() {
                    found(stretch.damage);
                    *link = None;
                }
                let bytes = window.bytes(source, place, parsed.frame_bytes)?;
                if let Some(bad) = take(input, &parsed, bytes, link) {
                    found(Damage { at: place, expected: expected(&parsed.header), bad });
                }
                place.offset += parsed.frame_bytes as u64;
            }
            Err(bad) => {
                let stride = bytes.get(..input.geometry.stride_len()).unwrap_or(bytes);
                let is_zero = is_zero(stride);
                match &mut stretch {
                    Some(stretch) => stretch.is_zero &= is_zero,
                    None if blind => {}
                    None => {
                        let expected = link.map(|last| (last.frame.next(), last.seq.next()));
                        stretch = Some(Stretch { damage: Damage { at: place, expected, bad }, is_zero });
                    }
                }
                place.offset += u64::from(input.geometry.stride());
            }
        }
    }
    // The rest of a segment into which the next frame did not fit is zeros. A last frame that is gone
    // without a trace is missed by the next segment's first.
    if let Some(stretch) = stretch.filter(|stretch| !stretch.is_zero) {
        found(stretch.damage);
        *link = None;
    }
    Ok(())
}

/// The link before the journal's first frame.
#[must_use]
pub fn scrub_begin(first: SegmentNumber) -> Option<LastFrame> {
    (first == SegmentNumber(0)).then_some(LastFrame::NONE)
}

fn header(input: &ScrubInput<'_>, place: Position, bytes: &[u8]) -> Result<ParsedHeader, BadFrame> {
    let parsed = FrameHeader::parse(bytes, input.key, input.geometry)?;
    if parsed.header.ledger != input.ledger {
        return Err(BadFrame::OtherLedger);
    }
    if parsed.header.position != place {
        return Err(BadFrame::Misplaced(parsed.header.position));
    }
    Ok(parsed)
}

/// Checks one authentic header's chain and payload; what is wrong with them.
fn take(
    input: &ScrubInput<'_>,
    parsed: &ParsedHeader,
    bytes: &[u8],
    link: &mut Option<LastFrame>,
) -> Option<BadFrame> {
    let chained = link.is_none_or(|last| follows(&parsed.header, &last));
    // Of a frame that does not follow, nobody knows whether it or the one before is the stranger.
    *link = chained.then(|| LastFrame::of(&parsed.header, parsed.hash));
    if !chained {
        return Some(BadFrame::Unchained);
    }
    parsed.open(bytes, input.key).err().map(BadFrame::from)
}

fn expected(header: &FrameHeader) -> Option<(FrameNumber, Seq)> {
    Some((header.frame, header.first_seq))
}
