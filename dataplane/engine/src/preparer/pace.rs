//! `Pace`: how fast zeros are written.
//!
//! A commit that meets a write of zeros in the device's queue waits for it. So while frames are
//! written the zeros come in small pieces with long pauses: fewer than one commit in a hundred meets
//! one. Where nothing is committed, or what is prepared runs out, they go as fast as they can.

use model::Nanos;

/// Bytes of a piece when nobody waits for the disk.
const PIECE_BYTES: usize = 1 << 20;
/// Bytes of a piece beside commits: some 60 us of an NVMe or virtio disk.
const SMALL_PIECE_BYTES: usize = 64 << 10;
/// How long the disk is left to commits before such a piece: 8 MiB a second.
const PAUSE: Nanos = Nanos::from_millis(8);
/// Prepared bytes below which there is no time for pauses: some 40 ms of full batches.
const URGENT_BYTES: u64 = 16 << 20;

/// What was seen at the last piece.
#[derive(Debug)]
pub(super) struct Pace {
    used: u64,
}

impl Pace {
    /// Frames end at `used` now.
    pub(super) const fn begin(used: u64) -> Self {
        Self { used }
    }

    /// Bytes of the next piece and the pause before it. Frames end at `used`, and up to `prepared`
    /// they have room; both count from the beginning of the journal.
    pub(super) fn next(&mut self, used: u64, prepared: u64) -> (usize, Nanos) {
        let is_idle = std::mem::replace(&mut self.used, used) == used;
        if is_idle || prepared.saturating_sub(used) < URGENT_BYTES {
            (PIECE_BYTES, Nanos(0))
        } else {
            (SMALL_PIECE_BYTES, PAUSE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_give_way_to_commits_unless_they_are_needed() {
        let fast = (PIECE_BYTES, Nanos(0));
        let slow = (SMALL_PIECE_BYTES, PAUSE);
        let mut pace = Pace::begin(4096);
        let far = 64 << 20;
        let cases = [
            (4096, far, fast),
            (8192, far, slow),
            (12_288, far, slow),
            (12_288, far, fast),
            (16_384, 16_384 + URGENT_BYTES - 1, fast),
            (20_480, 20_480 + URGENT_BYTES, slow),
            (24_576, 0, fast),
        ];
        for (used, prepared, expected) in cases {
            assert_eq!(pace.next(used, prepared), expected, "frames end at {used} of {prepared}");
        }
    }
}
