//! Every kind of damage to every stride of a journal at rest: what was durable and is known to have
//! been is called rot, and what nobody knows of is cut.

use std::collections::BTreeMap;

use journal::{FrameNumber, IMAGE_BYTES, ImageCopy, Tail, Witness};
use tests::{
    damage::Damage,
    disk::{BLOCK_BYTES, Disk, FileName},
    node::Flaw,
    oracle::{SealedFrame, Violation},
    script::{Play, SCRIPT},
    store::{self, Reopened},
};

/// What must come of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Expected {
    /// All frames, and nothing after them.
    Whole,
    /// All frames, and something after them that is none.
    Litter,
    /// Rot, at this frame.
    Rot(FrameNumber),
    /// The frames before this one: nobody knew of it.
    Cut(FrameNumber),
    /// Rot: both slots are gone.
    SlotLost,
}

/// The script's journal when nothing is in flight any more.
pub(super) struct Rest {
    pub(super) disk: Disk,
    pub(super) frames: Vec<SealedFrame>,
    pub(super) slot_frame: FrameNumber,
}

impl Rest {
    pub(super) fn new() -> Self {
        Self::reach().expect("an undisturbed script keeps its promises")
    }

    fn reach() -> Result<Self, Violation> {
        let mut play = Play::new(Flaw::None)?;
        for (index, step) in SCRIPT.iter().enumerate() {
            play.step(*step, index as u64)?;
        }
        assert!(play.disk.in_flight().is_empty(), "the script ends at rest");
        let whole = store::reopen(&play.disk, None)?;
        play.oracle.compare(&whole.frames, true)?;
        let slot_frame = whole.slot.expect("nothing is damaged yet").frame;
        Ok(Self { disk: play.disk, frames: whole.frames, slot_frame })
    }

    /// What the table says of a damaged stride, from what was sealed alone.
    fn expected(&self, name: FileName, offset: usize, damaged: &Disk) -> Expected {
        let FileName::Segment(segment) = name else { return Expected::Whole };
        if damaged.view(name) == self.disk.view(name) {
            return Expected::Whole;
        }
        let place = (segment, offset as u64);
        let end = |frame: &SealedFrame| frame.position.offset + frame.bytes as u64;
        let found = self.frames.iter().find(|frame| {
            frame.position.segment.0 == segment && (frame.position.offset..end(frame)).contains(&place.1)
        });
        let last = self.frames.last().expect("the script writes frames");
        let Some(hit) = found else {
            let after = place >= (last.position.segment.0, end(last));
            return if after { Expected::Litter } else { Expected::Whole };
        };
        let known = hit.frame <= self.slot_frame
            || self.frames.iter().any(|later| later.frame > hit.frame && later.claims >= hit.frame);
        if known { Expected::Rot(hit.frame) } else { Expected::Cut(hit.frame) }
    }

    fn found(&self, reopened: &Reopened) -> Option<Expected> {
        let frames = reopened.frames.len();
        if reopened.frames != self.frames[..frames] {
            return None;
        }
        let next = FrameNumber(frames as u64 + 1);
        let whole = frames == self.frames.len();
        Some(match &reopened.recovered.tail {
            Tail::Rot(rot) if rot.witness == Witness::SlotLost => Expected::SlotLost,
            Tail::Rot(rot) => Expected::Rot(rot.expected),
            Tail::Torn(_) if whole => Expected::Litter,
            Tail::Clean if whole => Expected::Whole,
            Tail::Torn(_) | Tail::Clean => Expected::Cut(next),
        })
    }
}

type Outcomes = BTreeMap<Expected, usize>;

/// Damages every stride in every way and compares each outcome with the table.
fn every_damage(reopen: impl Fn(&Disk) -> Result<Reopened, Violation>) -> Result<Outcomes, String> {
    let rest = Rest::new();
    let mut outcomes = Outcomes::new();
    let names: Vec<FileName> = rest.disk.names().collect();
    for name in names {
        for offset in (0..rest.disk.view(name).len()).step_by(BLOCK_BYTES) {
            for damage in Damage::ALL {
                let mut disk = rest.disk.clone();
                damage.apply(&mut disk, name, offset);
                let expected = rest.expected(name, offset, &disk);
                let reopened = reopen(&disk).map_err(|violation| violation.to_string())?;
                let found = rest.found(&reopened);
                if found != Some(expected) {
                    return Err(format!("{damage:?} {name:?} at {offset}: {expected:?}, found {found:?}"));
                }
                *outcomes.entry(expected).or_default() += 1;
            }
        }
    }
    Ok(outcomes)
}

#[test]
fn every_damage_to_every_stride_has_its_documented_outcome() {
    let outcomes = every_damage(|disk| store::reopen(disk, None)).unwrap();
    println!("proof: crash: {} damaged images: {outcomes:?}", outcomes.values().sum::<usize>());
    let count = |wanted: fn(&Expected) -> bool| outcomes.keys().filter(|expected| wanted(expected)).count();
    let frames = Rest::new().frames.len();
    let (rot, cut) = (count(|e| matches!(e, Expected::Rot(_))), count(|e| matches!(e, Expected::Cut(_))));
    assert_eq!(rot + cut, frames, "each frame was damaged: {outcomes:?}");
    assert!(rot >= 8 && cut >= 1, "{outcomes:?}");
    assert!(outcomes.contains_key(&Expected::Litter) && outcomes.contains_key(&Expected::Whole));
}

#[test]
fn without_either_slot_nothing_is_cut() {
    let rest = Rest::new();
    for damage in Damage::ALL {
        let mut disk = rest.disk.clone();
        for copy in ImageCopy::BOTH {
            damage.apply(&mut disk, FileName::Slot, store::image_offset(copy));
        }
        // One of the strides is its own stale content.
        if damage == Damage::Stale {
            let last = 2 * IMAGE_BYTES - BLOCK_BYTES;
            Damage::Zeroed.apply(&mut disk, FileName::Slot, last);
        }
        let reopened = store::reopen(&disk, None).unwrap();
        assert_eq!(rest.found(&reopened), Some(Expected::SlotLost), "{damage:?}");
        assert_eq!(reopened.recovered.resume_after_flush(store::EMPTY_ROOT), None);
    }
}

#[test]
fn canary_a_recovery_that_calls_everything_torn_is_found_out() {
    let found = every_damage(|disk| {
        let mut reopened = store::reopen(disk, None)?;
        if matches!(reopened.recovered.tail, Tail::Rot(_)) {
            reopened.recovered.tail = Tail::Clean;
        }
        Ok(reopened)
    });
    println!("{found:?}");
    assert!(found.is_err_and(|text| text.contains("found Some(Cut")));
}
