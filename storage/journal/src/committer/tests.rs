//! The machine, step by step: what each event brings in each state.

use alloc::{vec, vec::Vec};

use model::Timestamp;

use super::*;
use crate::HEADER_BYTES;

const ROOT: [u8; 32] = [7; 32];
const FAILURE: WriteFailure = WriteFailure::Error(5);

/// A committer with a clock and eyes.
struct Bench {
    committer: Committer,
    now: Instant,
}

impl Bench {
    fn with(in_flight_max: usize, segment_bytes: u64) -> Self {
        let identity = Identity { ledger: LedgerId([1; 16]), incarnation: Incarnation(0), epoch: Epoch(1) };
        let start = Start {
            identity,
            geometry: Geometry::new(512, segment_bytes).unwrap(),
            key: FrameKey::new(&[3; 32]),
            resume: Resume::genesis(ROOT),
            slot: Slot::genesis(identity.ledger, identity.incarnation, ROOT),
            membership: Membership::alone(identity.ledger, identity.incarnation),
            in_flight_max,
        };
        Self { committer: Committer::new(start, Instant(0)), now: Instant(0) }
    }

    /// One that has its segments and may begin.
    fn ready(in_flight_max: usize, segment_bytes: u64) -> Self {
        let mut bench = Self::with(in_flight_max, segment_bytes);
        let asked = bench.tick(0);
        let wanted = [0, 1].map(|number| Effect::PrepareSegment(SegmentNumber(number)));
        assert_eq!(asked, wanted);
        assert_eq!(bench.prepared(0, segment_bytes), []);
        bench
    }

    fn apply(&mut self, event: Event<'_>) -> Vec<Effect> {
        let mut out = Effects::new();
        self.committer.apply(self.now, event, &mut out);
        out.drain().collect()
    }

    fn tick(&mut self, millis: u64) -> Vec<Effect> {
        self.now = self.now.after(Nanos::from_millis(millis));
        self.apply(Event::Tick)
    }

    fn begin(&mut self, count: u32, payload_bytes: usize) -> Vec<Effect> {
        let mut buffer = vec![0; HEADER_BYTES + payload_bytes + 512];
        let first_seq = self.committer.next_seq();
        let batch = Batch {
            buffer: &mut buffer,
            payload_bytes,
            first_seq,
            count,
            at: Timestamp(1),
            tree_size: first_seq.0 + u64::from(count) - 1,
            root: ROOT,
        };
        self.apply(Event::Begin(batch))
    }

    fn persisted(&mut self, frame: u64, result: Result<(), WriteFailure>) -> Vec<Effect> {
        self.apply(Event::Persisted { member: Member::First, frame: FrameNumber(frame), result })
    }

    fn prepared(&mut self, segment: u32, bytes: u64) -> Vec<Effect> {
        self.apply(Event::Prepared { segment: SegmentNumber(segment), bytes })
    }

    fn slot_written(&mut self, sequence: u64) -> Vec<Effect> {
        self.apply(Event::SlotWritten { member: Member::First, sequence, result: Ok(()) })
    }
}

fn persist(frame: u64, segment: u32, offset: u64, bytes: usize) -> Effect {
    let position = Position { segment: SegmentNumber(segment), offset };
    Effect::Persist { frame: FrameNumber(frame), position, bytes }
}

fn release(frame: u64, through: u64) -> Effect {
    Effect::Release { frame: FrameNumber(frame), through: Seq(through) }
}

fn slot_of(effects: &[Effect]) -> Option<Slot> {
    effects
        .iter()
        .find_map(|effect| if let Effect::WriteSlot { slot, .. } = effect { Some(*slot) } else { None })
}

#[test]
fn frames_are_released_in_order_whatever_the_order_of_completions() {
    let mut bench = Bench::ready(4, 8192);
    assert_eq!(bench.begin(2, 100), [persist(1, 0, 0, 512)]);
    assert_eq!(bench.begin(3, 600), [persist(2, 0, 512, 1024)]);
    assert_eq!(bench.begin(0, 0), [persist(3, 0, 1536, 512)]);
    assert_eq!(bench.begin(1, 0), [persist(4, 0, 2048, 512)]);
    assert!(!bench.committer.may_begin());
    assert_eq!(bench.begin(1, 0), [Effect::Declined(Declined::Busy)]);

    assert_eq!(bench.persisted(3, Ok(())), []);
    assert_eq!(bench.persisted(2, Ok(())), []);
    assert_eq!(bench.committer.frontiers().durable, Seq(0));
    assert_eq!(bench.persisted(1, Ok(())), [release(1, 2), release(2, 5), release(3, 5)]);
    assert_eq!(bench.persisted(4, Ok(())), [release(4, 6)]);
    assert_eq!(bench.committer.frontiers(), Frontiers::level(Seq(6)));
    assert_eq!(bench.committer.durable_frame(), FrameNumber(4));
}

#[test]
fn a_frame_waits_for_its_segment_and_for_the_slot_that_announces_it() {
    let mut bench = Bench::ready(4, 2048);
    assert_eq!(bench.begin(1, 1200), [persist(1, 0, 0, 1536)]);
    // It does not fit: the rest of segment 0 stays zero.
    assert_eq!(bench.begin(1, 700), [Effect::PrepareSegment(SegmentNumber(2))]);
    let frontiers = bench.committer.frontiers();
    assert_eq!((frontiers.written, frontiers.assigned), (Seq(1), Seq(2)));
    assert!(!bench.committer.may_begin(), "one frame waits already");
    assert_eq!(bench.begin(1, 0), [Effect::Declined(Declined::Busy)]);

    let slot = slot_of(&bench.prepared(1, 512)).expect("the segment is announced when there is some of it");
    assert_eq!((slot.segment, slot.sequence, slot.clean), (SegmentNumber(1), 1, false));
    assert_eq!(bench.prepared(1, 2048), []);
    let written = bench.slot_written(1);
    assert_eq!(written, [Effect::Published { tree_size: 0, root: ROOT }, persist(2, 1, 0, 1024)]);
    assert_eq!(bench.committer.frontiers().written, Seq(2));
}

#[test]
fn a_segment_is_announced_before_it_is_needed() {
    let mut bench = Bench::ready(4, 2048);
    let slot = slot_of(&bench.prepared(1, 2048)).unwrap();
    assert_eq!(slot.segment, SegmentNumber(1));
    assert_eq!(bench.slot_written(1).len(), 1);
    assert_eq!(bench.begin(1, 1200), [persist(1, 0, 0, 1536)]);
    assert_eq!(
        bench.begin(1, 700),
        [persist(2, 1, 0, 1024), Effect::PrepareSegment(SegmentNumber(2))],
        "no wait at the border"
    );
}

#[test]
fn a_frame_waits_for_as_much_of_its_segment_as_it_needs() {
    let mut bench = Bench::with(4, 8192);
    bench.tick(0);
    assert_eq!(bench.begin(1, 1000), []);
    assert_eq!(bench.prepared(0, 1024), []);
    assert_eq!(bench.prepared(9, 8192), [], "word of another segment changes nothing");
    assert_eq!(bench.prepared(0, 1536), [persist(1, 0, 0, 1536)]);
}

#[test]
fn the_room_that_is_prepared_is_known_before_a_frame_is_sealed() {
    let mut bench = Bench::with(4, 8192);
    bench.tick(0);
    let room = |bench: &Bench| bench.committer.prepared_bytes();
    assert_eq!(room(&bench), 0);
    bench.prepared(0, 4096);
    assert_eq!(room(&bench), 4096);
    bench.begin(1, 1000);
    assert_eq!(room(&bench), 4096 - 1536);
    bench.prepared(0, 8192);
    assert_eq!(room(&bench), 8192 - 1536, "the rest of this segment");
    bench.prepared(1, 8192);
    assert_eq!(room(&bench), 8192, "what does not fit here goes to the next segment");
    bench.begin(1, 7000);
    assert_eq!(room(&bench), 8192 - 7680, "no segment is ready after that one");
}

#[test]
fn the_slot_follows_at_most_every_tenth_of_a_second_while_anything_is_new() {
    let mut bench = Bench::ready(4, 8192);
    assert_eq!(bench.tick(500), [], "nothing is new");
    bench.begin(1, 0);
    let slot = slot_of(&bench.persisted(1, Ok(()))).expect("long enough since the last");
    assert_eq!((slot.frame, slot.durable, slot.tree_size), (FrameNumber(1), Seq(1), 1));
    bench.begin(1, 0);
    assert_eq!(bench.persisted(2, Ok(())), [release(2, 2)], "one slot is being written");
    assert_eq!(bench.slot_written(1), [Effect::Published { tree_size: 1, root: ROOT }]);
    assert_eq!(bench.tick(99), []);
    assert_eq!(bench.committer.deadline(), Some(bench.now.after(Nanos::from_millis(1))));
    let slot = slot_of(&bench.tick(1)).expect("due");
    assert_eq!((slot.frame, slot.sequence), (FrameNumber(2), 2));
    assert_eq!(bench.slot_written(2).len(), 1);
    assert_eq!(bench.tick(500), []);
}

#[test]
fn a_publisher_need_not_wait() {
    let mut bench = Bench::ready(4, 8192);
    assert_eq!(bench.apply(Event::Publish), [], "nothing is new");
    bench.begin(1, 0);
    bench.persisted(1, Ok(()));
    assert!(slot_of(&bench.apply(Event::Publish)).is_some());
    bench.begin(1, 0);
    bench.persisted(2, Ok(()));
    assert_eq!(bench.apply(Event::Publish), [], "the next follows the one on its way");
    let slot = slot_of(&bench.slot_written(1)).expect("at once");
    assert_eq!(slot.tree_size, 2);
}

#[test]
fn after_a_quiet_second_one_empty_frame_carries_the_frontier() {
    let mut bench = Bench::ready(4, 8192);
    assert_eq!(bench.tick(5000), [], "an empty journal has nothing to carry");
    bench.begin(3, 0);
    bench.persisted(1, Ok(()));
    let wanted = |effects: Vec<Effect>| effects.contains(&Effect::WantIdleFrame);
    assert!(!wanted(bench.tick(999)));
    assert!(wanted(bench.tick(1)));
    assert!(!wanted(bench.tick(500)), "asked once a second");
    assert!(wanted(bench.tick(500)));
    assert_eq!(bench.begin(0, 0), [persist(2, 0, 512, 512)]);
    bench.persisted(2, Ok(()));
    assert!(!wanted(bench.tick(60_000)), "the last frame is empty already");
}

#[test]
fn a_failed_write_ends_everything() {
    for failed in [1, 2, 3] {
        for failure in [FAILURE, WriteFailure::Short(512)] {
            let mut bench = Bench::ready(4, 8192);
            for _ in 0..3 {
                bench.begin(1, 0);
            }
            let frame = FrameNumber(failed);
            let expected = [Effect::Poisoned(Poison::Frame { frame, failure })];
            assert_eq!(bench.persisted(failed, Err(failure)), expected);
            assert!(bench.committer.is_poisoned() && !bench.committer.may_begin());
            assert_eq!(bench.committer.deadline(), None);
            let before = bench.committer.frontiers();
            for other in 1..=3 {
                assert_eq!(bench.persisted(other, Ok(())), []);
                assert_eq!(bench.persisted(other, Err(FAILURE)), [], "said once");
            }
            assert_eq!(bench.begin(1, 0), [Effect::Declined(Declined::Poisoned)]);
            assert_eq!(bench.prepared(1, 8192), []);
            assert_eq!(bench.slot_written(1), []);
            assert_eq!(bench.tick(60_000), []);
            assert_eq!(bench.apply(Event::Publish), []);
            assert_eq!(bench.apply(Event::Stop), [Effect::Stopped { clean: false }]);
            assert_eq!(bench.committer.frontiers(), before);
        }
    }
}

#[test]
fn a_failed_slot_and_a_completion_nobody_asked_for_poison_too() {
    let mut bench = Bench::ready(4, 8192);
    bench.prepared(1, 8192);
    let failed = Event::SlotWritten { member: Member::First, sequence: 1, result: Err(FAILURE) };
    assert_eq!(bench.apply(failed), [Effect::Poisoned(Poison::Slot { failure: FAILURE })]);

    let unasked = [Effect::Poisoned(Poison::Unasked)];
    assert_eq!(Bench::ready(4, 8192).persisted(1, Ok(())), unasked);
    assert_eq!(Bench::ready(4, 8192).slot_written(1), unasked);
    let mut bench = Bench::ready(4, 8192);
    bench.begin(1, 0);
    bench.begin(1, 0);
    bench.persisted(2, Ok(()));
    assert_eq!(bench.persisted(2, Ok(())), unasked, "a second completion of one write");
    let mut bench = Bench::with(4, 8192);
    bench.begin(1, 0);
    assert_eq!(bench.persisted(1, Ok(())), unasked, "the frame was never handed to the disk");
}

#[test]
fn a_stop_finishes_what_is_in_flight_and_leaves_a_clean_slot() {
    let mut bench = Bench::ready(4, 8192);
    bench.begin(1, 0);
    bench.begin(1, 0);
    assert_eq!(bench.apply(Event::Stop), []);
    assert_eq!(bench.begin(1, 0), [Effect::Declined(Declined::Stopping)]);
    assert_eq!(bench.persisted(1, Ok(())), [release(1, 1)]);
    let slot = slot_of(&bench.persisted(2, Ok(()))).unwrap();
    assert!(slot.clean && slot.durable == Seq(2) && slot.frame == FrameNumber(2));
    let stopped = Effect::Stopped { clean: true };
    assert_eq!(bench.slot_written(1), [Effect::Published { tree_size: 2, root: ROOT }, stopped]);
    assert_eq!(bench.apply(Event::Stop), [stopped]);
    assert_eq!(bench.tick(60_000), []);
    assert_eq!(bench.begin(1, 0), [Effect::Declined(Declined::Stopping)]);
}

#[test]
fn a_stop_waits_for_the_slot_on_its_way_and_writes_another() {
    let mut bench = Bench::ready(4, 8192);
    assert!(slot_of(&bench.prepared(1, 8192)).is_some());
    assert_eq!(bench.apply(Event::Stop), []);
    let slot = slot_of(&bench.slot_written(1)).expect("a clean one follows");
    assert!(slot.clean && slot.sequence == 2);
    assert!(bench.slot_written(2).contains(&Effect::Stopped { clean: true }));
}

#[test]
fn a_write_that_fails_while_stopping_stops_uncleanly() {
    let mut bench = Bench::ready(4, 8192);
    bench.begin(1, 0);
    bench.apply(Event::Stop);
    let failed = Poison::Frame { frame: FrameNumber(1), failure: FAILURE };
    let expected = [Effect::Poisoned(failed), Effect::Stopped { clean: false }];
    assert_eq!(bench.persisted(1, Err(FAILURE)), expected);
}

#[test]
fn a_payload_that_no_frame_holds_is_declined() {
    let mut bench = Bench::ready(4, 2048);
    let mut buffer = vec![0; 8192];
    let batch = Batch {
        buffer: &mut buffer,
        payload_bytes: 2048 - HEADER_BYTES + 1,
        first_seq: Seq(1),
        count: 1,
        at: Timestamp(1),
        tree_size: 1,
        root: ROOT,
    };
    assert_eq!(bench.apply(Event::Begin(batch)), [Effect::Declined(Declined::TooLarge)]);
    assert_eq!(bench.committer.frontiers(), Frontiers::level(Seq(0)));
}

#[test]
fn what_was_recovered_is_put_in_the_slot_and_a_cut_is_told_in_the_first_frame() {
    let identity = Identity { ledger: LedgerId([1; 16]), incarnation: Incarnation(0), epoch: Epoch(9) };
    let geometry = Geometry::new(512, 8192).unwrap();
    let key = FrameKey::new(&[3; 32]);
    let resume = Resume {
        next: Position { segment: SegmentNumber(3), offset: 1024 },
        frame: FrameNumber(8),
        hash: FrameHash([4; 32]),
        seq: Seq(20),
        tree_size: 20,
        root: ROOT,
        quiet: true,
        cut_bytes: 1536,
    };
    let slot =
        Slot { segment: SegmentNumber(4), ..Slot::genesis(identity.ledger, identity.incarnation, ROOT) };
    let membership = Membership::alone(identity.ledger, identity.incarnation);
    let start = Start { identity, geometry, key: key.clone(), resume, slot, membership, in_flight_max: 2 };
    let mut bench = Bench { committer: Committer::new(start, Instant(0)), now: Instant(0) };
    let slot = slot_of(&bench.tick(0)).expect("recovered frames are about to be served");
    assert_eq!((slot.frame, slot.epoch, slot.segment), (FrameNumber(8), Epoch(9), SegmentNumber(4)));
    bench.prepared(3, 8192);
    assert!(bench.tick(1000).contains(&Effect::WantIdleFrame), "the cut is told even if nothing else is");

    for expected in [1536, 0] {
        let mut buffer = vec![0; 512];
        let batch = Batch {
            buffer: &mut buffer,
            payload_bytes: 0,
            first_seq: Seq(21),
            count: 0,
            at: Timestamp(1),
            tree_size: 20,
            root: ROOT,
        };
        bench.apply(Event::Begin(batch));
        let frame = frame::open(&buffer, &key, geometry).unwrap();
        assert_eq!(frame.header.cut_bytes, expected);
        assert_eq!(frame.header.epoch, Epoch(9));
    }
}
