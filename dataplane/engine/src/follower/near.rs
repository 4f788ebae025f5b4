//! `Near`: the stretch of the journal that was read with a frame, for the frames after it.
//!
//! A follower that lags reads frame after frame. Where they are small, one read brings many: two reads
//! for each would take the device longer than a commit does, so that whoever lagged would lag for as
//! long as commits went on, and slow them down. Holds: what is given out is a whole frame whose hashes
//! are right; what was not yet written when the stretch was read is read again.

use journal::Position;

use super::Follower;

/// Bytes of a stretch: no slower to read than two single pages are.
const NEAR_BYTES: u64 = 64 << 10;

/// A stretch of a segment in memory.
#[derive(Debug, Default)]
pub(super) struct Near {
    place: Position,
    bytes: Vec<u8>,
}

impl Follower {
    /// The frame at `place`, from the stretch that is here or from one that begins with it; `None` if
    /// it is longer, or cannot be read this way.
    pub(super) fn read_near(&mut self, place: Position) -> Option<Vec<u8>> {
        if let Some(frame) = self.frame_near(place) {
            return Some(frame);
        }
        let len = NEAR_BYTES.min(self.geometry().segment_bytes().checked_sub(place.offset)?);
        let mut bytes = std::mem::take(&mut self.state.near.bytes);
        bytes.resize(usize::try_from(len).expect("a small length"), 0);
        // A segment that is still being prepared may end before; the frame by itself may not.
        if self.segments.read_at(place.segment, place.offset, &mut bytes).is_err() {
            bytes.clear();
        }
        self.state.near = Near { place, bytes };
        self.frame_near(place)
    }

    fn frame_near(&self, place: Position) -> Option<Vec<u8>> {
        let near = &self.state.near;
        let start = place.offset.checked_sub(near.place.offset)?;
        let rest = near.bytes.get(usize::try_from(start).ok()?..)?;
        if near.place.segment != place.segment || rest.is_empty() {
            return None;
        }
        let frame = journal::open(rest, &self.key, self.geometry()).ok()?;
        (frame.header.position == place).then(|| rest.get(..frame.frame_bytes).map(<[u8]>::to_vec))?
    }
}
