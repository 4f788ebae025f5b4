//! The scrub of closed segments, on the same journals.

use super::*;
use crate::fields::is_zero;

/// Scrubs everything, as one pass over closed segments does: what was found, by frame.
fn scrub(journal: &Journal) -> Vec<Damage> {
    let (mut found, mut link) = (Vec::new(), scrub_begin(SegmentNumber(0)));
    for segment in journal.segments.keys() {
        let from = Position { segment: SegmentNumber(*segment), offset: 0 };
        scrub_from(journal, from, &mut link, &mut found).unwrap();
    }
    found
}

fn scrub_from(
    journal: &Journal,
    from: Position,
    link: &mut Option<LastFrame>,
    found: &mut Vec<Damage>,
) -> Result<(), RecoveryError<core::convert::Infallible>> {
    let files = journal
        .segments
        .iter()
        .map(|(number, bytes)| SegmentFile { segment: SegmentNumber(*number), bytes: bytes.len() as u64 });
    let mut source = Source { files: files.collect(), segments: &journal.segments, bytes_read: 0 };
    let key = key();
    let input = ScrubInput { geometry: geometry(), ledger: LEDGER, key: &key };
    let mut buffer = vec![0; recovery_buffer_bytes(geometry())];
    scrub_segment(&input, from, link, &mut source, &mut buffer, &mut |damage| found.push(damage))
}

/// Three segments and a beginning of a fourth; frames of one to three strides.
fn journal() -> Journal {
    let mut journal = Journal::new();
    journal.write(&[100, 0, 700, 1_200, 100, 1_000, 0, 900, 1_300, 100, 100, 1_000, 300, 700, 0, 1_200, 50]);
    assert!(journal.segments.len() >= 3);
    journal
}

#[test]
fn a_whole_journal_has_nothing_to_tell() {
    assert_eq!(scrub(&journal()), []);
    let mut restarted = journal();
    restarted.restart();
    restarted.write(&[100, 900, 0]);
    assert_eq!(scrub(&restarted), [], "an epoch later");
}

#[test]
fn every_frame_that_is_damaged_is_told_once_and_hides_no_other() {
    let frames = journal().placed.len() as u64;
    type Damages = fn(&mut [u8]);
    let cases: [(&str, Damages); 4] = [
        ("payload", |frame| {
            let at = frame.len().min(HEADER_BYTES + 40) - 1;
            frame[at] ^= 1;
        }),
        ("header", |frame| frame[100] ^= 1),
        ("magic", |frame| frame[0] ^= 1),
        ("zeroed", |frame| frame.fill(0)),
    ];
    for (name, damages) in cases {
        for number in 1..=frames {
            let mut journal = journal();
            let at = |number: u64| {
                journal.placed.iter().find(|(frame, _, _)| frame.0 == number).map(|(_, at, _)| *at)
            };
            let (place, after) = (at(number).unwrap(), at(number + 1));
            damages(journal.frame(number));
            let found = scrub(&journal);
            let payload = name == "payload" && journal.frame(number).len() > STRIDE;
            let is_last_of_segment = after.is_none_or(|after| after.segment != place.segment);
            if name == "payload" && !payload {
                // A short frame's padding is in no hash; an empty one has no payload.
                assert!(found.len() <= 1, "{name} {number}: {found:?}");
                continue;
            }
            if name == "zeroed" && is_last_of_segment {
                // It leaves what an unused rest leaves; the next segment's first frame misses it.
                assert_eq!(found.len(), usize::from(after.is_some()), "{number}: {found:?}");
                continue;
            }
            assert_eq!(found.len(), 1, "{name} {number}: {found:?}");
            assert_eq!(found[0].at, place, "{name} {number}");
            assert_eq!(found[0].expected.map(|(frame, _)| frame.0), Some(number), "{name} {number}");
        }
    }
    let mut journal = journal();
    let all = [2, 3, 6, 9];
    all.iter().for_each(|number| journal.frame(*number)[30] ^= 1);
    // Frames 2 and 3 lie side by side: one stretch.
    assert_eq!(scrub(&journal).len(), all.len() - 1);
}

#[test]
fn an_old_frame_of_the_same_place_a_copy_and_another_ledgers_are_told() {
    let whole = journal();
    // Another life of the same ledger wrote other frames to the same places.
    let mut other = Journal::new();
    other.epoch = Epoch(7);
    other.write(&[100, 0, 700, 1_200, 100, 1_000, 0]);
    let mut stale = whole.clone();
    let bytes = other.frame(3).to_vec();
    stale.frame(3).copy_from_slice(&bytes);
    let found = scrub(&stale);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].expected.unwrap().0.0, found[0].bad), (3, BadFrame::Unchained));

    let mut copied = whole.clone();
    let bytes = copied.frame(1).to_vec();
    copied.frame(5).copy_from_slice(&bytes);
    let found = scrub(&copied);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(matches!(found[0].bad, BadFrame::Misplaced(_)), "{found:?}");

    let mut behind = whole;
    let rest = behind.segments.get_mut(&0).unwrap();
    let last = rest.len() - STRIDE;
    if is_zero(&rest[last..]) {
        rest[last + 7] = 1;
        assert_eq!(scrub(&behind).len(), 1, "what is behind the last frame is not zero");
    }
}

#[test]
fn behind_what_cannot_be_read_the_scrub_goes_on() {
    let mut journal = journal();
    let first = journal.segments.get_mut(&1).unwrap();
    first[..10].copy_from_slice(b"unreadable");
    let (mut link, mut found) = (None, Vec::new());
    let from = |offset| Position { segment: SegmentNumber(1), offset };
    let refused = scrub_from(&journal, from(0), &mut link, &mut found).unwrap_err();
    assert!(matches!(refused, RecoveryError::Read { .. }), "{refused:?}");
    // Within a frame or not: what is before the next header is not judged, what is behind it is.
    for stride in 1..SEGMENT / STRIDE {
        scrub_from(&journal, from((stride * STRIDE) as u64), &mut None, &mut found).unwrap();
        assert_eq!(found, [], "{stride}");
    }
    let last = journal.placed.iter().rev().find(|(_, at, _)| at.segment.0 == 1).unwrap().0;
    journal.frame(last.0)[HEADER_BYTES - 1] ^= 1;
    scrub_from(&journal, from(STRIDE as u64), &mut None, &mut found).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
}
