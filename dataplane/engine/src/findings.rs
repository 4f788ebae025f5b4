//! `Findings`: what is known to be damaged of what is stored, told once each.
//!
//! Holds: one place is one finding, however often it is met; a pass of the scrub that finds a place
//! whole again takes the finding back. Leaves to others: looking (`Scrubber`, the reader, the start).

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::store::Gap;

/// Findings that are kept one by one; more are counted.
const KEPT: usize = 1_000;

/// Where something is damaged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// In a segment.
    Segment {
        /// Its number.
        segment: u32,
        /// From its beginning.
        offset: u64,
    },
    /// In another file.
    File(String),
}

/// What is wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The bytes are not what was written.
    Damaged,
    /// The device does not give them up.
    Unreadable,
    /// The file is gone or too short.
    Lost,
}

/// Something that is damaged.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) place: Place,
    pub(crate) wrong: Wrong,
    /// The frame there and the entry that it begins with, where that is known.
    pub(crate) frame: Option<(u64, u64)>,
    pub(crate) detail: String,
}

impl From<Gap> for Finding {
    fn from(gap: Gap) -> Self {
        let detail = match gap.bytes {
            None => "there is no such file".to_owned(),
            Some(bytes) => format!("its file has {bytes} bytes, which is not what a segment has"),
        };
        let place = Place::Segment { segment: gap.segment.0, offset: gap.bytes.unwrap_or(0) };
        Self { place, wrong: Wrong::Lost, frame: None, detail }
    }
}

/// What is known to be damaged.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Each with the pass in which it was met last.
    known: BTreeMap<Place, (Finding, u64)>,
    more: u64,
    pass: u64,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Segment { segment, offset } => write!(f, "segment {segment}, offset {offset}")?,
            Place::File(name) => f.write_str(name)?,
        }
        if let Some((frame, seq)) = self.frame {
            write!(f, ", frame {frame}, entry {seq}")?;
        }
        let wrong = match self.wrong {
            Wrong::Damaged => "damaged",
            Wrong::Unreadable => "unreadable",
            Wrong::Lost => "lost",
        };
        write!(f, ": {wrong}: {}", self.detail)
    }
}

impl Findings {
    /// Something is damaged. It is logged if that is news.
    pub(crate) fn report(&self, finding: Finding) {
        let mut state = self.lock();
        let (pass, full) = (state.pass, state.known.len() >= KEPT);
        match state.known.entry(finding.place.clone()) {
            Entry::Occupied(mut known) => {
                known.get_mut().1 = pass;
                return;
            }
            Entry::Vacant(_) if full => state.more += 1,
            Entry::Vacant(place) => drop(place.insert((finding.clone(), pass))),
        }
        drop(state);
        tracing::error!(
            "stored bytes are lost: {finding}; reads of them fail, all else goes on; restore that file from a backup"
        );
    }

    /// A pass of the scrub begins.
    pub(crate) fn begin_pass(&self) {
        let mut state = self.lock();
        state.pass += 1;
        state.more = 0;
    }

    /// The pass has looked at every other file and at these segments; what it did not meet is whole.
    pub(crate) fn end_pass(&self, segments: std::ops::Range<u32>) {
        let mut state = self.lock();
        let pass = state.pass;
        state.known.retain(|place, (finding, met)| {
            let looked_at = match place {
                Place::Segment { segment, .. } => segments.contains(segment),
                Place::File(_) => true,
            };
            let stays = *met == pass || !looked_at;
            if !stays {
                tracing::info!("whole again: {finding}");
            }
            stays
        });
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        let state = self.lock();
        u64::try_from(state.known.len()).expect("a count fits in 64 bits") + state.more
    }

    /// The first of them, for people.
    pub(crate) fn texts(&self, at_most: usize) -> Vec<String> {
        self.lock().known.values().take(at_most).map(|(finding, _)| finding.to_string()).collect()
    }

    /// The first segment in which something is damaged.
    pub(crate) fn first_segment(&self) -> Option<u32> {
        self.lock().known.keys().find_map(|place| match place {
            Place::Segment { segment, .. } => Some(*segment),
            Place::File(_) => None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(segment: u32, offset: u64) -> Finding {
        let place = Place::Segment { segment, offset };
        Finding { place, wrong: Wrong::Damaged, frame: Some((7, 9)), detail: "the payload".into() }
    }

    #[test]
    fn one_place_is_one_finding_until_a_pass_finds_it_whole() {
        let findings = Findings::default();
        findings.report(at(3, 0));
        findings.report(at(3, 0));
        findings.report(at(5, 4_096));
        assert_eq!((findings.count(), findings.first_segment()), (2, Some(3)));
        assert_eq!(findings.texts(1), ["segment 3, offset 0, frame 7, entry 9: damaged: the payload"]);
        // The next pass begins behind the first and meets neither; what it did not look at stays.
        findings.begin_pass();
        findings.end_pass(4..6);
        assert_eq!((findings.count(), findings.first_segment()), (1, Some(3)));
        findings.begin_pass();
        findings.report(at(3, 0));
        findings.end_pass(0..6);
        assert_eq!(findings.count(), 1);
        findings.begin_pass();
        findings.end_pass(0..6);
        assert_eq!((findings.count(), findings.texts(9).len()), (0, 0));
    }

    #[test]
    fn many_are_counted_and_not_kept() {
        let findings = Findings::default();
        for offset in 0..2_000 {
            findings.report(at(0, offset * 4_096));
        }
        assert_eq!(findings.count(), 2_000);
        assert_eq!(findings.texts(2_000).len(), KEPT);
    }
}
