//! Every kind of damage to every 512-byte sector of a journal at rest, whose strides have one sector or
//! eight, against the table of `docs/recovery.md`, which is read here.

use std::collections::BTreeMap;

use journal::{CHECKPOINT_HEADER_BYTES, FrameNumber, HEADER_BYTES, IMAGE_BYTES, ImageCopy, Tail};
use tests::{
    checkpoints::{Checkpointer, choose},
    content::{Content, Opaque},
    damage::Damage,
    disk::{BLOCK_BYTES, Disk, FileName},
    flaw::Flaw,
    oracle::{SealedFrame, Violation},
    script::{Play, SCRIPT},
    store,
};

use super::decisions::word;

/// Bytes of the strides: the sector, and what is usual.
const STRIDES: [usize; 2] = [BLOCK_BYTES, 4096];

/// The script's journal when nothing is in flight any more.
pub(super) struct Rest {
    pub(super) disk: Disk,
    pub(super) frames: Vec<SealedFrame>,
    pub(super) slot_frame: FrameNumber,
    /// Bytes of header and payload of each frame; what follows is padding.
    lens: Vec<usize>,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self::with_stride(BLOCK_BYTES)
    }

    fn with_stride(stride: usize) -> Self {
        Self::reach(stride).expect("an undisturbed script keeps its promises")
    }

    fn reach(stride: usize) -> Result<Self, Violation> {
        let mut play = Play::with_stride(Flaw::None, stride)?;
        for (index, step) in SCRIPT.iter().enumerate() {
            play.step(*step, index as u64)?;
        }
        assert!(play.disk.in_flight().is_empty(), "the script ends at rest");
        let mut lens = Vec::new();
        let whole = store::reopen_with(&play.disk, None, |frame| {
            lens.push(HEADER_BYTES + frame.payload.len());
            Ok(())
        })?;
        play.oracle.compare(&whole.frames, true)?;
        let slot_frame = whole.slot.expect("nothing is damaged yet").frame;
        Ok(Self { disk: play.disk, frames: whole.frames, slot_frame, lens })
    }

    /// Two checkpoints beside the journal.
    fn with_checkpoints() -> Self {
        let mut rest = Self::new();
        let mut checkpointer = Checkpointer::new(Flaw::None);
        for frame in [6, 11] {
            for _ in 0..3 {
                let step = checkpointer.step(FrameNumber(frame), &Opaque::default(), &mut rest.disk);
                step.expect("every frame is there");
            }
        }
        rest
    }
}

/// A place in a file.
type Place = (FileName, usize);

/// One image: what is damaged, and the last frame that a checkpoint is said to know.
struct Case {
    places: Vec<Place>,
    /// Whether it counts only if every place is changed by it.
    all: bool,
    known: FrameNumber,
    /// The frame that is hit, if one is.
    frame: Option<FrameNumber>,
}

/// What the page says: position and evidence, and for each kind of damage the outcome.
fn page() -> Vec<(String, String, Vec<String>)> {
    let text = include_str!("../../docs/recovery.md");
    let (_, rows) = text.split_once("## Damage by sector").expect("the section is there");
    let (rows, _) = rows.split_once("What the words say").expect("the words are explained");
    let rows = rows.lines().filter_map(|line| line.strip_prefix("| ")).map(|row| {
        let cells: Vec<String> = row.split('|').map(|cell| cell.trim().to_owned()).collect();
        (cells[0].clone(), cells[1].clone(), cells[2..9].to_vec())
    });
    rows.collect()
}

/// The columns of the page.
fn kind(name: &str) -> Damage {
    match name {
        "torn" => Damage::Torn,
        "zeroed" => Damage::Zeroed,
        "stale" => Damage::Stale,
        "misdirected" => Damage::Misdirected,
        "duplicated" => Damage::Duplicated,
        "bit-flipped" => Damage::Flipped,
        "missing" => Damage::Missing,
        _ => panic!("{name} is no kind of damage"),
    }
}

/// Every sector of a position, and every whole frame, with what is known of it.
fn cases(rest: &Rest, position: &str, evidence: &str) -> Vec<Case> {
    match position {
        "header" | "payload" | "padding" => frame_cases(rest, position, evidence),
        "left segment" | "behind the end" => empty_cases(rest, position),
        "superblock, one copy" => image_cases(FileName::Superblock, false),
        "superblock, both" => image_cases(FileName::Superblock, true),
        "slot, one copy" => image_cases(FileName::Slot, false),
        "slot, both" => image_cases(FileName::Slot, true),
        _ => panic!("{position} has no test"),
    }
}

fn frame_cases(rest: &Rest, position: &str, evidence: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (frame, len) in rest.frames.iter().zip(&rest.lens) {
        let later = rest.frames.iter().any(|later| later.frame > frame.frame && later.claims >= frame.frame);
        let (by_slot, by_later) = (frame.frame <= rest.slot_frame, later && frame.frame > rest.slot_frame);
        let (fits, known) = match evidence {
            "slot" => (by_slot, FrameNumber::ZERO),
            "later frame" => (by_later, FrameNumber::ZERO),
            "checkpoint" => (!by_slot, frame.frame),
            "none" => (!by_slot && !by_later, FrameNumber::ZERO),
            "any" => (true, FrameNumber::ZERO),
            _ => panic!("{evidence} is no evidence"),
        };
        let name = FileName::Segment(frame.position.segment.0);
        let begin = usize::try_from(frame.position.offset).expect("a small segment");
        let sectors = (0..frame.bytes).step_by(BLOCK_BYTES).filter(|at| match position {
            "header" => *at < HEADER_BYTES,
            "payload" => *at >= HEADER_BYTES && at < len,
            _ => at >= len,
        });
        let case = |places| Case { places, all: false, known, frame: Some(frame.frame) };
        cases.extend(sectors.filter(|_| fits).map(|at| case(vec![(name, begin + at)])));
        if fits && position == "header" {
            let whole = (0..frame.bytes).step_by(BLOCK_BYTES).map(|at| (name, begin + at));
            cases.push(case(whole.collect()));
        }
    }
    cases
}

/// Sectors that hold no frame.
fn empty_cases(rest: &Rest, position: &str) -> Vec<Case> {
    let last = rest.frames.last().expect("the script writes frames");
    let end = (last.position.segment.0, last.position.offset + last.bytes as u64);
    let mut cases = Vec::new();
    for name in rest.disk.names() {
        let FileName::Segment(segment) = name else { continue };
        for at in (0..rest.disk.view(name).len()).step_by(BLOCK_BYTES) {
            let place = (segment, at as u64);
            let held = rest.frames.iter().any(|frame| {
                let begin = frame.position.offset;
                frame.position.segment.0 == segment && (begin..begin + frame.bytes as u64).contains(&place.1)
            });
            if !held && (place >= end) == (position == "behind the end") {
                let places = vec![(name, at)];
                cases.push(Case { places, all: false, known: FrameNumber::ZERO, frame: None });
            }
        }
    }
    cases
}

fn image_cases(name: FileName, both: bool) -> Vec<Case> {
    let case = |places| Case { places, all: both, known: FrameNumber::ZERO, frame: None };
    let sectors = (0..IMAGE_BYTES).step_by(BLOCK_BYTES);
    if both {
        let pair = |at| ImageCopy::BOTH.map(|copy| (name, store::image_offset(copy) + at)).to_vec();
        return sectors.map(|at| case(pair(at))).collect();
    }
    let alone = |at| ImageCopy::BOTH.map(|copy| case(vec![(name, store::image_offset(copy) + at)]));
    sectors.flat_map(alone).collect()
}

/// What came of an image, in the page's words.
fn outcome(rest: &Rest, disk: &Disk, case: &Case, cut_all: bool) -> String {
    let reopened = match store::reopen_knowing(disk, None, case.known, |_| Ok(())) {
        Ok(reopened) => reopened,
        Err(Violation::Recovery(words)) if words.starts_with("superblock") => return "error".to_owned(),
        Err(violation) => panic!("{violation}"),
    };
    let (found, whole) = (&reopened.frames, reopened.frames.len() == rest.frames.len());
    assert_eq!(found[..], rest.frames[..found.len()], "what comes back is what was written");
    match &reopened.recovered.tail {
        Tail::Rot(rot) if !cut_all => {
            let expected = case.frame.unwrap_or(FrameNumber(rest.frames.len() as u64 + 1));
            assert_eq!(rot.expected, expected, "the damaged frame is named");
            assert_eq!(reopened.recovered.resume_after_flush(store::EMPTY_ROOT), None);
            word(&reopened.recovered.tail)
        }
        Tail::Clean if whole => "nothing".to_owned(),
        Tail::Torn(_) if whole => "cleared".to_owned(),
        Tail::Clean | Tail::Torn(_) | Tail::Rot(_) => {
            let first_missing = FrameNumber(found.len() as u64 + 1);
            assert_eq!(Some(first_missing), case.frame, "nothing before the damage is missing");
            "cut".to_owned()
        }
    }
}

type Counts = BTreeMap<String, usize>;

/// Compares what comes of every image with the page. `cut_all` plants a recovery without evidence.
fn every_damage(cut_all: bool) -> Result<Counts, String> {
    let rests = STRIDES.map(Rest::with_stride);
    let page = page();
    let (_, _, columns) = &page[0];
    let kinds: Vec<Damage> = columns.iter().map(|name| kind(name)).collect();
    let mut counts = Counts::new();
    for (position, evidence, outcomes) in &page[1..] {
        if position.starts_with("checkpoint") || position.starts_with("derived") {
            continue;
        }
        let mut images = 0;
        for rest in &rests {
            for case in cases(rest, position, evidence) {
                for (kind, said) in kinds.iter().zip(outcomes) {
                    let mut disk = rest.disk.clone();
                    case.places.iter().for_each(|(name, at)| kind.apply(&mut disk, *name, *at));
                    let changed = |name| disk.view(name) != rest.disk.view(name);
                    let said =
                        if case.places.iter().any(|(name, _)| changed(*name)) { said } else { "nothing" };
                    let counts_here = !case.all || all_changed(rest, &disk, &case.places);
                    let found = outcome(rest, &disk, &case, cut_all);
                    if counts_here && found != said {
                        let at = &case.places;
                        return Err(format!(
                            "{position}, {evidence}, {kind:?} at {at:?}: {said}, found {found}"
                        ));
                    }
                    images += 1;
                    *counts.entry(found).or_default() += 1;
                }
            }
        }
        assert!(images > 0, "{position}, {evidence}: the journal has no such sector");
    }
    Ok(counts)
}

/// Whether the damage changed every place: the same sector may be zeros in one copy anyway.
fn all_changed(rest: &Rest, disk: &Disk, places: &[Place]) -> bool {
    let sector = |disk: &Disk, (name, at): Place| disk.view(name)[at..at + BLOCK_BYTES].to_vec();
    places.iter().all(|place| sector(disk, *place) != sector(&rest.disk, *place))
}

#[test]
fn every_damage_to_every_sector_has_its_documented_outcome() {
    let counts = every_damage(false).unwrap_or_else(|text| panic!("{text}"));
    println!("proof: crash: {} damaged images: {counts:?}", counts.values().sum::<usize>());
    for word in ["nothing", "cleared", "cut", "error", "rot, `Slot`", "rot, `LaterFrame`", "rot, `SlotLost`"]
    {
        assert!(counts.get(word).is_some_and(|count| *count > 5), "{word}: {counts:?}");
    }
}

#[test]
fn a_damaged_checkpoint_is_left_out_and_the_one_before_leads_to_the_same_state() {
    let rest = Rest::with_checkpoints();
    let newest = FileName::Checkpoint(11);
    let state = |disk: &Disk| {
        let (starts, _) = choose(disk, Flaw::None);
        let begin = starts.first().expect("the beginning at least");
        let mut state = Opaque::default();
        state.restore(begin.as_ref().map(|(_, payload)| payload.as_slice())).expect("a whole state");
        let checkpoint = begin.as_ref().map(|(checkpoint, _)| checkpoint);
        store::reopen_with(disk, checkpoint, |frame| state.replay(frame)).expect("nothing is damaged");
        (checkpoint.map_or(0, |checkpoint| checkpoint.frame.0), state.save())
    };
    let (from, whole) = state(&rest.disk);
    assert_eq!(from, 11);
    let mut images = 0;
    let rows = page().into_iter().filter(|(position, ..)| position.starts_with("checkpoint"));
    for (position, _, outcomes) in rows {
        assert!(outcomes.iter().all(|outcome| outcome == "the one before"), "{position}");
        for kind in Damage::ALL {
            for at in (0..rest.disk.view(newest).len()).step_by(BLOCK_BYTES) {
                let in_header = at < CHECKPOINT_HEADER_BYTES;
                if in_header != position.contains("header") {
                    continue;
                }
                let mut disk = rest.disk.clone();
                kind.apply(&mut disk, newest, at);
                let changed = disk.view(newest) != rest.disk.view(newest);
                assert_eq!(state(&disk), (if changed { 6 } else { 11 }, whole.clone()), "{kind:?} at {at}");
                images += 1;
            }
        }
        let mut disk = rest.disk.clone();
        disk.remove(newest);
        assert_eq!(state(&disk), (6, whole.clone()), "it is gone");
    }
    println!("proof: crash: {images} damaged checkpoints, each left out for the one before");
    assert!(images > 10);
}

#[test]
fn canary_a_recovery_that_calls_everything_torn_is_found_out() {
    let found = every_damage(true);
    println!("{found:?}");
    assert!(found.is_err_and(|text| text.contains("found cut")));
}
