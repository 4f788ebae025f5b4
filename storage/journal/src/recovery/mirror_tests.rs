//! Two copies of one journal, each damaged in its own way.

use alloc::{vec, vec::Vec};

use super::{
    tests::{Journal, LEDGER, SEGMENT, STRIDE, geometry, key},
    *,
};
use crate::Member;

/// Frames over three segments, one of them of five strides.
const PAYLOADS: [usize; 7] = [100, 2200, 600, 200, 0, 3840, 10];

fn journal() -> Journal {
    let mut journal = Journal::new();
    journal.write(&PAYLOADS);
    journal
}

fn pair<'a>(
    first: &'a Journal,
    second: &'a Journal,
) -> Mirrored<impl SegmentSource + 'a, impl SegmentSource + 'a> {
    let expected = Expected { geometry: geometry(), ledger: LEDGER, key: key() };
    Mirrored::new(first.source(), second.source(), expected)
}

/// What recovery from both makes of it, with the newer of the two slots.
fn recover_both(first: &Journal, second: &Journal) -> (Recovered, Vec<Repair>) {
    let slot = if second.slot.sequence > first.slot.sequence { second.slot } else { first.slot };
    let key = key();
    let input = Input {
        geometry: geometry(),
        ledger: LEDGER,
        incarnation: Incarnation(0),
        epoch: first.epoch,
        key: &key,
        slot: Some(&slot),
        checkpoint: None,
        checkpoint_frame_max: FrameNumber::ZERO,
    };
    let mut source = pair(first, second);
    let mut buffer = vec![0; recovery_buffer_bytes(geometry())];
    let recovered = recover(&input, &mut source, &mut buffer, |_| Ok::<(), ()>(())).unwrap();
    let repairs = source.repairs_before(recovered.next).collect();
    (recovered, repairs)
}

/// The slot as it was before the first frame, but for the segments that it announced.
fn forget(journal: &mut Journal) {
    let Slot { segment, sequence, .. } = journal.slot;
    journal.slot = Slot { segment, sequence, ..Slot::genesis(LEDGER, Incarnation(0), [0; 32]) };
}

fn repair(journal: &Journal, onto: Member, frame: u64) -> Repair {
    let found = journal.placed.iter().find(|(number, ..)| number.0 == frame);
    let (_, Position { segment, offset }, bytes) = *found.unwrap();
    Repair { onto, segment, from: offset, to: offset + bytes as u64 }
}

/// Damages one stride of a frame in each way there is.
fn damage(journal: &mut Journal, frame: u64, stride: usize, way: usize) {
    let older = journal.frame(1)[..STRIDE].to_vec();
    let bytes = &mut journal.frame(frame)[stride * STRIDE..][..STRIDE];
    match way {
        0 => bytes.fill(0),
        1 => bytes[STRIDE / 4..].fill(0),
        2 => bytes[7] ^= 4,
        _ => bytes.copy_from_slice(&older),
    }
}

#[test]
fn a_frame_that_is_whole_on_either_copy_is_kept_and_the_other_is_named() {
    let whole = journal();
    let (expected, none) = recover_both(&whole, &whole);
    assert_eq!((expected.last.frame, none.len()), (FrameNumber(7), 0));
    for frame in 1..=7 {
        let strides = whole.clone().frame(frame).len() / STRIDE;
        for (stride, way) in (0..strides).flat_map(|stride| (0..4).map(move |way| (stride, way))) {
            let mut hurt = whole.clone();
            damage(&mut hurt, frame, stride, way);
            let is_hurt = hurt.recover().unwrap().last.frame < FrameNumber(7);
            for onto in Member::BOTH {
                let copies = if onto == Member::First { [&hurt, &whole] } else { [&whole, &hurt] };
                let (recovered, repairs) = recover_both(copies[0], copies[1]);
                assert_eq!(recovered, expected, "frame {frame} stride {stride} way {way}");
                let wanted: Vec<_> = is_hurt.then(|| repair(&whole, onto, frame)).into_iter().collect();
                assert_eq!(repairs, wanted, "frame {frame} stride {stride} way {way}");
            }
        }
    }
}

#[test]
fn each_copy_lends_what_the_other_lacks() {
    let whole = journal();
    let (mut first, mut second) = (whole.clone(), whole.clone());
    for frame in 1..=7 {
        damage(if frame % 2 == 0 { &mut first } else { &mut second }, frame, 0, 0);
    }
    let (recovered, repairs) = recover_both(&first, &second);
    assert_eq!((recovered.last.frame, recovered.tail), (FrameNumber(7), Tail::Clean));
    let onto = |frame| if frame % 2 == 0 { Member::First } else { Member::Second };
    let wanted: Vec<_> = (1..=7).map(|frame| repair(&whole, onto(frame), frame)).collect();
    assert_eq!(repairs, wanted, "no two are side by side on one copy");
}

#[test]
fn a_frame_is_never_put_together_from_two_that_are_torn() {
    let whole = journal();
    let strides = whole.clone().frame(6).len() / STRIDE;
    for (one, other) in (0..strides).flat_map(|one| (0..strides).map(move |other| (one, other))) {
        let (mut first, mut second) = (whole.clone(), whole.clone());
        damage(&mut first, 6, one, 0);
        damage(&mut second, 6, other, 0);
        [&mut first, &mut second].into_iter().for_each(forget);
        let (recovered, repairs) = recover_both(&first, &second);
        assert_eq!((recovered.last.frame, repairs.len()), (FrameNumber(5), 0), "strides {one}, {other}");
    }
}

#[test]
fn what_is_bad_on_both_is_judged_as_one_journal_is() {
    let whole = journal();
    for frame in 1..=7 {
        for (one, other) in (0..4).flat_map(|one| (0..4).map(move |other| (one, other))) {
            let (mut first, mut second) = (whole.clone(), whole.clone());
            damage(&mut first, frame, 0, one);
            damage(&mut second, frame, 0, other);
            if first.recover().unwrap().last.frame.0 >= frame
                || second.recover().unwrap().last.frame.0 >= frame
            {
                continue; // An old write of the same bytes.
            }
            let (recovered, repairs) = recover_both(&first, &second);
            assert_eq!(recovered.last.frame.0, frame - 1);
            let single = first.recover().unwrap();
            assert_eq!(
                matches!(recovered.tail, Tail::Rot(_)),
                matches!(single.tail, Tail::Rot(_)),
                "frame {frame}: {recovered:?}"
            );
            assert_eq!(repairs, []);
        }
    }
}

#[test]
fn a_header_on_either_copy_is_a_witness() {
    let whole = journal();
    let (mut first, mut second) = (whole.clone(), whole.clone());
    for copy in [&mut first, &mut second] {
        damage(copy, 2, 0, 0);
        forget(copy);
    }
    // Only the second copy still has the header of a later frame, and that frame is torn.
    for frame in 3..=7 {
        first.frame(frame).fill(0);
        if frame != 6 {
            second.frame(frame).fill(0);
        }
    }
    damage(&mut second, 6, 3, 0);
    let (recovered, _) = recover_both(&first, &second);
    let Tail::Rot(rot) = recovered.tail else { panic!("{recovered:?}") };
    assert_eq!((rot.expected, rot.claimed), (FrameNumber(2), FrameNumber(5)));
}

#[test]
fn a_segment_that_is_gone_short_or_unreadable_on_one_copy_is_read_from_the_other() {
    let whole = journal();
    for (way, onto) in (0..3).flat_map(|way| Member::BOTH.map(|member| (way, member))) {
        let mut hurt = whole.clone();
        match way {
            0 => drop(hurt.segments.remove(&1)),
            1 => hurt.segments.get_mut(&1).unwrap().truncate(STRIDE),
            _ => hurt.segments.get_mut(&1).unwrap()[..10].copy_from_slice(b"unreadable"),
        }
        let copies = if onto == Member::First { [&hurt, &whole] } else { [&whole, &hurt] };
        let (recovered, repairs) = recover_both(copies[0], copies[1]);
        assert_eq!((recovered.last.frame, recovered.tail), (FrameNumber(7), Tail::Clean));
        assert!(!repairs.is_empty(), "way {way}");
        let there = |repair: &Repair| repair.onto == onto && repair.segment == SegmentNumber(1);
        assert!(repairs.iter().all(there), "{repairs:?}");
    }
}

#[test]
fn reads_of_any_length_give_the_same_bytes() {
    let whole = journal();
    let (mut first, mut second) = (whole.clone(), whole.clone());
    damage(&mut first, 2, 2, 0);
    damage(&mut second, 6, 4, 2);
    for strides in 1..=8 {
        let mut source = pair(&first, &second);
        for segment in whole.segments.keys() {
            let mut bytes = vec![0xee; SEGMENT];
            for (index, piece) in bytes.chunks_mut(strides * STRIDE).enumerate() {
                let offset = (index * strides * STRIDE) as u64;
                source.read(SegmentNumber(*segment), offset, piece).unwrap();
            }
            assert_eq!(bytes, whole.segments[segment], "segment {segment} by {strides} strides");
        }
    }
}

#[test]
fn of_two_whole_frames_in_one_place_the_later_start_counts() {
    let mut cut = journal();
    let old = cut.clone();
    damage(&mut cut, 7, 0, 1);
    forget(&mut cut);
    cut.restart();
    cut.write(&[10]);
    assert_ne!(cut.clone().frame(7), old.clone().frame(7));
    for copies in [[&cut, &old], [&old, &cut]] {
        let (recovered, repairs) = recover_both(copies[0], copies[1]);
        assert_eq!(recovered.last.epoch, cut.epoch);
        assert_eq!(repairs.len(), 1);
    }
}
