//! The names of the files in a ledger's data directory.

use alloc::{format, string::String};

use crate::{FrameNumber, Position, SegmentNumber};

/// The lock that one writer holds.
pub const LOCK_FILE: &str = "lock";
/// The two copies of the superblock.
pub const SUPERBLOCK_FILE: &str = "superblock";
/// The two copies of the frontier slot.
pub const SLOT_FILE: &str = "slot";
/// The two copies of the membership record, where there is or was a mirror.
pub const MEMBERSHIP_FILE: &str = "membership";
/// The two copies of the release record; not there before anything may be released.
pub const RELEASE_FILE: &str = "release";
/// The directory of segments.
pub const SEGMENT_DIR: &str = "segments";
/// The directory of checkpoints.
pub const CHECKPOINT_DIR: &str = "checkpoints";
/// The directory of bytes that recovery cut from a torn tail.
pub const CUT_DIR: &str = "cut";

const SEGMENT_SUFFIX: &str = ".segment";
const CHECKPOINT_SUFFIX: &str = ".checkpoint";

/// The name of a segment's file: its number in ten digits, `0000000007.segment`.
#[must_use]
pub fn segment_file_name(segment: SegmentNumber) -> String {
    format!("{:010}{SEGMENT_SUFFIX}", segment.0)
}

/// The number of the segment in the file `name`; `None` for a name that no segment has.
#[must_use]
pub fn segment_number(name: &str) -> Option<SegmentNumber> {
    let digits = digits(name, SEGMENT_SUFFIX, 10)?;
    digits.parse().ok().map(SegmentNumber)
}

/// The name of the checkpoint through `frame`: its number in twenty digits.
#[must_use]
pub fn checkpoint_file_name(frame: FrameNumber) -> String {
    format!("{:020}{CHECKPOINT_SUFFIX}", frame.0)
}

/// The frame that the checkpoint in the file `name` ends with; `None` for a name that none has.
#[must_use]
pub fn checkpoint_frame(name: &str) -> Option<FrameNumber> {
    let digits = digits(name, CHECKPOINT_SUFFIX, 20)?;
    digits.parse().ok().map(FrameNumber)
}

/// The name of the file that holds bytes cut at `from` when the ledger went from `epoch` on.
#[must_use]
pub fn cut_file_name(epoch: model::Epoch, from: Position) -> String {
    format!("{:010}-{:010}-{:010}.cut", epoch.0, from.segment.0, from.offset)
}

fn digits<'a>(name: &'a str, suffix: &str, count: usize) -> Option<&'a str> {
    let digits = name.strip_suffix(suffix)?;
    (digits.len() == count && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_other_names_do_not() {
        for number in [0, 7, u32::MAX] {
            let name = segment_file_name(SegmentNumber(number));
            assert_eq!(segment_number(&name), Some(SegmentNumber(number)), "{name}");
            assert_eq!(checkpoint_frame(&name), None);
        }
        for number in [1, u64::MAX] {
            let name = checkpoint_file_name(FrameNumber(number));
            assert_eq!(checkpoint_frame(&name), Some(FrameNumber(number)), "{name}");
            assert_eq!(segment_number(&name), None);
        }
        for name in [
            "",
            "7.segment",
            "+000000007.segment",
            "4294967296.segment",
            "0000000007.segment.new",
            ".segment",
        ] {
            assert_eq!(segment_number(name), None, "{name:?}");
        }
        assert_eq!(
            cut_file_name(model::Epoch(3), Position { segment: SegmentNumber(2), offset: 4096 }),
            "0000000003-0000000002-0000004096.cut"
        );
    }
}
