//! The preparer on a real directory: what was told as prepared stays as the committer left it.

use std::os::unix::fs::FileExt;

use super::*;

const SEGMENT: u64 = 8 << 20;

struct Bench {
    directory: tempfile::TempDir,
    preparer: Preparer,
}

impl Bench {
    fn new(resume: Position, before: impl FnOnce(&Path)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        before(directory.path());
        let committer = Arc::new(Bell::new().unwrap());
        let preparer =
            Preparer::start([Some(directory.path()), None], SEGMENT, resume, Direct::Preferred, committer)
                .unwrap();
        Self { directory, preparer }
    }

    /// Waits until the segment is told as prepared up to its end.
    fn whole(&self, segment: SegmentNumber) {
        let begun = crate::clock::monotonic();
        loop {
            match self.preparer.prepared() {
                Some(prepared) if prepared.segment == segment && prepared.bytes == SEGMENT => return,
                Some(_) => {}
                None => std::thread::yield_now(),
            }
            assert!(crate::clock::monotonic().since(begun) < Nanos::from_secs(60), "not within 60 s");
        }
    }

    fn bytes(&self, segment: SegmentNumber) -> Vec<u8> {
        std::fs::read(self.directory.path().join(segment_file_name(segment))).unwrap()
    }
}

#[test]
fn a_segment_left_half_filled_by_a_kill_is_filled_anew() {
    let segment = SegmentNumber(3);
    let bench = Bench::new(Position::default(), |directory| {
        // Short, not whole strides, and not zeros: an unwritten extent may hold anything.
        std::fs::write(directory.join(segment_file_name(segment)), vec![0x5a; 12_345]).unwrap();
    });
    bench.preparer.want(segment);
    bench.whole(segment);
    let bytes = bench.bytes(segment);
    assert_eq!(bytes.len() as u64, SEGMENT);
    assert!(bytes.iter().all(|byte| *byte == 0));
}

#[test]
fn the_segment_in_use_keeps_what_lies_before_the_place_to_go_on() {
    let segment = SegmentNumber(0);
    let resume = Position { segment, offset: 8_192 };
    let bench = Bench::new(resume, |directory| {
        std::fs::write(directory.join(segment_file_name(segment)), vec![0x5a; 16_384]).unwrap();
    });
    bench.preparer.want(segment);
    bench.whole(segment);
    let bytes = bench.bytes(segment);
    assert!(bytes[..8_192].iter().all(|byte| *byte == 0x5a) && bytes[8_192..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_second_try_does_not_touch_what_the_first_has_told() {
    let directory = tempfile::tempdir().unwrap();
    let committer = Arc::new(Bell::new().unwrap());
    let shared = Arc::new(Shared {
        wanted: ArrayQueue::new(QUEUE),
        prepared: ArrayQueue::new(QUEUE),
        bell: Bell::new().unwrap(),
        committer,
        stop: AtomicBool::new(false),
        stuck: AtomicBool::new(false),
        failed: ArrayQueue::new(QUEUE),
        lost: [AtomicBool::new(false), AtomicBool::new(false)],
    });
    let work = Work {
        shared: Arc::clone(&shared),
        segments: [Some(directory.path().into()), None],
        segment_bytes: SEGMENT,
        resume: Position::default(),
        direct: Direct::Preferred,
    };
    let segment = SegmentNumber(0);
    let mut done = Progress { files: [None, None], ready: 0, step: FIRST_BYTES };
    // The first try got this far, and a frame went in; then the disk was full for a while.
    let path = directory.path().join(segment_file_name(segment));
    done.files[0] = Some(work.open(directory.path(), segment).unwrap());
    done.files[0].as_ref().unwrap().write_zeros(0, FIRST_BYTES).unwrap();
    done.ready = FIRST_BYTES;
    let frame = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    frame.write_all_at(&[0x77; 4096], 4096).unwrap();
    work.prepare(segment, &mut done).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes.len() as u64, SEGMENT);
    assert!(bytes[4096..8192].iter().all(|byte| *byte == 0x77), "the frame is still there");
    assert_eq!(shared.prepared.pop().map(|prepared| prepared.bytes), Some(SEGMENT));
}
