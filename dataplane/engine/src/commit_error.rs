//! What a failed write is called: the operation, the file, and the kernel's words for it.
//!
//! Leaves to others: what is done about it (`commit_loop`).

use disk::Errno;
use journal::{Poison, Position, SLOT_FILE, WriteFailure, segment_file_name};

/// The cause in words; `position` is where the frame was to lie, if it is one.
pub(crate) fn words(poison: &Poison, position: Option<Position>) -> String {
    match poison {
        Poison::Frame { frame, failure } => {
            let place = position.map_or_else(String::new, |at| {
                format!(", segments/{} at offset {}", segment_file_name(at.segment), at.offset)
            });
            format!("the write of frame {frame}{place}: {}", failed(*failure))
        }
        Poison::Slot { failure } => {
            format!("the write of the frontier slot, {SLOT_FILE}: {}", failed(*failure))
        }
        Poison::Membership { failure } => {
            format!("the write of the record of members: {}", failed(*failure))
        }
        Poison::Backend { failure } => format!("what carries the writes has failed: {}", failed(*failure)),
        Poison::Unasked => "a write has ended that was never begun: this is a defect".into(),
    }
}

fn failed(failure: WriteFailure) -> String {
    match failure {
        WriteFailure::Error(errno) => Errno::from_raw_os_error(errno).to_string(),
        WriteFailure::Short(bytes) => format!("only {bytes} bytes were written"),
    }
}

#[cfg(test)]
mod tests {
    use journal::{FrameNumber, SegmentNumber};

    use super::*;

    #[test]
    fn a_failed_write_is_told_with_its_file_and_the_kernels_words() {
        let position = Position { segment: SegmentNumber(7), offset: 8_192 };
        let poison = Poison::Frame { frame: FrameNumber(5_587), failure: WriteFailure::Error(5) };
        assert_eq!(
            words(&poison, Some(position)),
            "the write of frame 5587, segments/0000000007.segment at offset 8192: Input/output error (os error 5)"
        );
        let poison = Poison::Slot { failure: WriteFailure::Short(512) };
        assert_eq!(words(&poison, None), "the write of the frontier slot, slot: only 512 bytes were written");
    }
}
