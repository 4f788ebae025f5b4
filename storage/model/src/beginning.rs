//! `Beginning`: the first entry of every incarnation but the first. Moves no money.
//!
//! It says in clear which history was left and why, so that whoever meets two histories of one
//! ledger can tell that the second was begun on purpose, and what it dropped.

use core::fmt;

use rkyv::{Archive, Deserialize, Serialize};

use crate::{BatchError, Head, Incarnation, Seq, Text, Timestamp, limits::RECORD_BYTES, posting::HeadRecord};

/// Why an incarnation was begun. The numbers are on disk and are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// A snapshot was restored; what came after it, or after the point asked for, was dropped.
    Restore = 1,
    /// An operator went on with one device of a mirror alone.
    ForceSingle = 2,
}

impl Cause {
    /// The number on disk.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The cause with this number, or `None` for a number that was never given out.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Restore, Self::ForceSingle].into_iter().find(|cause| cause.number() == number)
    }

    /// The word used in reports and logs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Restore => "restore",
            Self::ForceSingle => "force_single",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The history that an incarnation was begun from, as far as whoever began it knew it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent {
    /// Which life of the ledger.
    pub incarnation: Incarnation,
    /// Leaves of its newest known tree: at least as many as were kept.
    pub size: u64,
    /// The root of that tree.
    pub root: [u8; 32],
}

/// The first entry of an incarnation. What was kept of the parent is every entry before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// What every entry has.
    pub head: Head,
    /// The incarnation that begins.
    pub incarnation: Incarnation,
    /// Drawn at random: tells two incarnations of one number apart.
    pub life: [u8; 8],
    /// What was left.
    pub parent: Parent,
    /// Why.
    pub cause: Cause,
    /// Why, in an operator's words.
    pub reason: Text,
}

impl Beginning {
    /// Entries of the parent that are known and were not kept.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        (self.parent.size + 1).saturating_sub(self.head.seq.0)
    }
}

/// The stored form of `Beginning`: 216 bytes.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug)]
pub(crate) struct BeginningRecord {
    head: HeadRecord,
    incarnation: u32,
    parent_incarnation: u32,
    parent_size: u64,
    parent_root: [u8; 32],
    life: [u8; 8],
    reason: [u8; 64],
    reason_len: u8,
    cause: u8,
    spare: [u8; 86],
}

const _: () = assert!(size_of::<ArchivedBeginningRecord>() == RECORD_BYTES);
const _: () = assert!(align_of::<ArchivedBeginningRecord>() == 1);

impl BeginningRecord {
    pub(crate) fn new(beginning: &Beginning) -> Self {
        Self {
            head: HeadRecord::new(&beginning.head, 0),
            incarnation: beginning.incarnation.0,
            parent_incarnation: beginning.parent.incarnation.0,
            parent_size: beginning.parent.size,
            parent_root: beginning.parent.root,
            life: beginning.life,
            reason: *beginning.reason.padded(),
            reason_len: beginning.reason.len(),
            cause: beginning.cause.number(),
            spare: [0; 86],
        }
    }
}

impl ArchivedBeginningRecord {
    pub(crate) fn parse(&self, seq: Seq, at: Timestamp) -> Result<Beginning, BatchError> {
        if self.spare != [0; 86] {
            return Err(BatchError::Field("spare bytes of a beginning"));
        }
        let parent = Parent {
            incarnation: Incarnation(self.parent_incarnation.to_native()),
            size: self.parent_size.to_native(),
            root: self.parent_root,
        };
        let beginning = Beginning {
            head: self.head.parse(seq, at)?,
            incarnation: Incarnation(self.incarnation.to_native()),
            life: self.life,
            parent,
            cause: Cause::from_number(self.cause).ok_or(BatchError::Field("cause"))?,
            reason: Text::from_padded(&self.reason, self.reason_len).ok_or(BatchError::Field("reason"))?,
        };
        // A tree's size is its last entry's number, and numbers have a next one.
        let kept = beginning.head.seq.0.checked_sub(1).is_some_and(|kept| kept <= parent.size);
        let fits = parent.size < u64::MAX && kept && beginning.incarnation > parent.incarnation;
        if fits { Ok(beginning) } else { Err(BatchError::Field("parent")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BatchView, BatchWriter, Kind, RecordRef, limits::BATCH_PREAMBLE_BYTES};

    fn beginning() -> Beginning {
        let head = Head {
            seq: Seq(8),
            at: Timestamp(5),
            kind: Kind::Incarnation,
            op: Kind::Incarnation,
            reason: None,
            idx: 0,
        };
        let parent = Parent { incarnation: Incarnation(1), size: 9, root: [7; 32] };
        let reason = Text::new("the disk was replaced").unwrap();
        let (incarnation, cause) = (Incarnation(2), Cause::Restore);
        Beginning { head, incarnation, life: [3; 8], parent, cause, reason }
    }

    fn read_back(beginning: &Beginning) -> Result<Beginning, BatchError> {
        let mut writer = BatchWriter::with_capacity(4096);
        writer.push_beginning(beginning);
        let mut payload = [0; BATCH_PREAMBLE_BYTES + RECORD_BYTES];
        assert_eq!(writer.finish(&mut payload), payload.len());
        let record = BatchView::parse(&payload).unwrap().get(0).unwrap()?;
        let RecordRef::Beginning(beginning) = record else { panic!("{record:?}") };
        Ok(beginning)
    }

    #[test]
    fn reads_back_and_refuses_what_cannot_be() {
        let whole = beginning();
        assert_eq!(read_back(&whole), Ok(whole));
        assert_eq!(whole.dropped(), 2);
        let of = |size| Beginning { parent: Parent { size, ..whole.parent }, ..whole };
        assert_eq!(read_back(&of(7)).map(|kept| kept.dropped()), Ok(0));
        for wrong in [of(6), of(u64::MAX), Beginning { incarnation: Incarnation(1), ..whole }] {
            assert_eq!(read_back(&wrong), Err(BatchError::Field("parent")));
        }
        for cause in [Cause::Restore, Cause::ForceSingle] {
            assert_eq!(Cause::from_number(cause.number()), Some(cause));
        }
        assert_eq!(Cause::from_number(0), None);
    }
}
