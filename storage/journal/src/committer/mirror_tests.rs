//! The machine with two members: what is durable, and what becomes of one that fails.

use alloc::{vec, vec::Vec};

use model::Timestamp;

use super::*;
use crate::{Active, HEADER_BYTES};

const ROOT: [u8; 32] = [7; 32];
const FAILURE: WriteFailure = WriteFailure::Error(5);
const LEDGER: LedgerId = LedgerId([1; 16]);
const SEGMENT_BYTES: u64 = 8192;

/// A committer with two members whose segments are prepared.
struct Pair(Committer);

impl Pair {
    fn new() -> Self {
        let identity = Identity { ledger: LEDGER, incarnation: Incarnation(0), epoch: Epoch(1) };
        let start = Start {
            identity,
            geometry: Geometry::new(512, SEGMENT_BYTES).unwrap(),
            key: FrameKey::new(&[3; 32]),
            resume: Resume::genesis(ROOT),
            slot: Slot::genesis(LEDGER, identity.incarnation, ROOT),
            membership: Membership::alone(LEDGER, identity.incarnation).next(Member::First, Active::Both),
            in_flight_max: 4,
        };
        let mut pair = Self(Committer::new(start, Instant(0)));
        pair.apply(Event::Tick);
        pair.apply(Event::Prepared { segment: SegmentNumber(0), bytes: SEGMENT_BYTES });
        pair
    }

    fn apply(&mut self, event: Event<'_>) -> Vec<Effect> {
        let mut out = Effects::new();
        self.0.apply(Instant(0), event, &mut out);
        out.drain().collect()
    }

    fn begin(&mut self) -> Vec<Effect> {
        let first_seq = self.0.next_seq();
        let mut buffer = vec![0; HEADER_BYTES + 512];
        let batch = Batch {
            buffer: &mut buffer,
            payload_bytes: 0,
            first_seq,
            count: 1,
            at: Timestamp(1),
            tree_size: first_seq.0,
            root: ROOT,
        };
        self.apply(Event::Begin(batch))
    }

    fn wrote(&mut self, member: Member, frame: u64) -> Vec<Effect> {
        self.apply(Event::Persisted { member, frame: FrameNumber(frame), result: Ok(()) })
    }

    fn failed(&mut self, member: Member, frame: u64) -> Vec<Effect> {
        self.apply(Event::Persisted { member, frame: FrameNumber(frame), result: Err(FAILURE) })
    }

    fn slot(&mut self, member: Member, sequence: u64) -> Vec<Effect> {
        self.apply(Event::SlotWritten { member, sequence, result: Ok(()) })
    }

    fn settled(&mut self, generation: u64) -> Vec<Effect> {
        self.apply(Event::MembershipWritten { generation, result: Ok(()) })
    }
}

fn release(frame: u64) -> Effect {
    Effect::Release { frame: FrameNumber(frame), through: Seq(frame) }
}

/// The record that says that `survivor` goes on alone, because this frame failed on the other.
fn alone(survivor: Member, frame: u64) -> Effect {
    let pair = Membership::alone(LEDGER, Incarnation(0)).next(Member::First, Active::Both);
    let membership = pair.next(survivor, Active::Only(survivor));
    Effect::WriteMembership {
        membership,
        cause: Poison::Frame { frame: FrameNumber(frame), failure: FAILURE },
    }
}

#[test]
fn a_frame_is_durable_when_both_members_have_it() {
    for first in Member::BOTH {
        let mut pair = Pair::new();
        pair.begin();
        pair.begin();
        assert_eq!(pair.wrote(first, 1), []);
        assert_eq!(pair.wrote(first, 2), []);
        assert_eq!(pair.wrote(first.other(), 2), []);
        assert_eq!(pair.0.frontiers().durable, Seq(0));
        assert_eq!(pair.wrote(first.other(), 1)[..2], [release(1), release(2)]);
        assert_eq!(pair.wrote(first, 2), [Effect::Poisoned(Poison::Unasked)], "a second word of one write");
    }
}

#[test]
fn after_a_failure_nothing_is_released_until_the_record_is_durable_on_the_other() {
    for lost in Member::BOTH {
        let survivor = lost.other();
        let mut pair = Pair::new();
        for _ in 0..3 {
            pair.begin();
        }
        assert_eq!(pair.wrote(survivor, 1), []);
        assert_eq!(pair.failed(lost, 1), [alone(survivor, 1)]);
        assert_eq!(pair.0.membership().active, Active::Only(survivor));
        assert_eq!(pair.wrote(survivor, 2), [], "the record is on its way");
        assert_eq!(pair.wrote(lost, 2), [], "word from the lost one counts for nothing");
        assert_eq!(pair.failed(lost, 3), [], "nor do its other failures");
        assert!(pair.0.may_begin(), "the next frames need not wait");
        assert_eq!(pair.begin().len(), 1);
        assert_eq!(pair.settled(2)[..2], [release(1), release(2)]);
        assert_eq!(pair.wrote(survivor, 3), [release(3)]);
        assert_eq!(pair.wrote(survivor, 4), [release(4)]);
        assert!(!pair.0.is_poisoned());
        pair.begin();
        let poisoned = Effect::Poisoned(Poison::Frame { frame: FrameNumber(5), failure: FAILURE });
        assert_eq!(pair.failed(survivor, 5), [poisoned], "the last one");
    }
}

#[test]
fn a_survivor_that_fails_before_its_record_is_durable_poisons() {
    for step in 0..3 {
        let mut pair = Pair::new();
        pair.begin();
        pair.begin();
        pair.wrote(Member::First, 1);
        pair.failed(Member::Second, 1);
        let poison = match step {
            0 => pair.failed(Member::First, 2),
            1 => pair.apply(Event::MembershipWritten { generation: 2, result: Err(FAILURE) }),
            _ => pair.settled(7),
        };
        assert!(matches!(poison[..], [Effect::Poisoned(_)]), "{poison:?}");
        assert_eq!(pair.settled(2), [], "what comes back afterwards frees nothing");
        assert_eq!(pair.wrote(Member::First, 2), []);
        assert_eq!(pair.0.frontiers().acked, Seq(0));
    }
}

#[test]
fn a_slot_is_published_when_every_member_that_counts_has_it() {
    let mut pair = Pair::new();
    pair.begin();
    pair.wrote(Member::First, 1);
    pair.wrote(Member::Second, 1);
    assert!(matches!(pair.apply(Event::Publish)[..], [Effect::WriteSlot { .. }]));
    assert_eq!(pair.slot(Member::Second, 1), []);
    let failed = Event::SlotWritten { member: Member::First, sequence: 1, result: Err(FAILURE) };
    assert!(matches!(
        pair.apply(failed)[..],
        [Effect::WriteMembership { cause: Poison::Slot { .. }, membership }] if membership.holder == Member::Second
    ));
    assert_eq!(pair.settled(2), [Effect::Published { tree_size: 1, root: ROOT }]);
}

#[test]
fn a_stop_waits_for_the_record() {
    let mut pair = Pair::new();
    pair.begin();
    pair.wrote(Member::First, 1);
    pair.failed(Member::Second, 1);
    assert_eq!(pair.apply(Event::Stop), []);
    let effects = pair.settled(2);
    assert_eq!(effects[0], release(1));
    let Effect::WriteSlot { slot, .. } = effects[1] else { panic!("{effects:?}") };
    assert!(slot.clean);
    assert!(pair.slot(Member::First, slot.sequence).contains(&Effect::Stopped { clean: true }));
    assert_eq!(pair.wrote(Member::Second, 1), [], "a late word after the end");
}

#[test]
fn what_carries_the_writes_takes_both_members_along() {
    let mut pair = Pair::new();
    pair.begin();
    let failed = Event::BackendFailed { failure: FAILURE };
    assert_eq!(pair.apply(failed), [Effect::Poisoned(Poison::Backend { failure: FAILURE })]);
    assert_eq!(pair.apply(Event::BackendFailed { failure: FAILURE }), []);
}

#[test]
fn a_segment_that_fails_on_one_member_gives_it_up_and_on_the_last_one_changes_nothing() {
    let mut pair = Pair::new();
    let failed = |member| Event::PrepareFailed { member, failure: FAILURE };
    let effects = pair.apply(failed(Member::Second));
    let cause = Poison::Segment { failure: FAILURE };
    assert!(matches!(effects[..], [Effect::WriteMembership { membership, cause: why }]
            if membership.active == Active::Only(Member::First) && why == cause));
    for member in Member::BOTH {
        assert_eq!(pair.apply(failed(member)), []);
    }
    assert_eq!(pair.settled(2), []);
    assert_eq!(pair.apply(failed(Member::First)), []);
    assert!(pair.0.may_begin());
}
