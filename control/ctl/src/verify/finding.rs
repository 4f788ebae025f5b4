//! `Finding`: one thing that is wrong with the journal: where, what was expected, what is there.

use journal::{FrameNumber, Position};
use ledger::{Fault, Which};
use model::{Posting, RecordRef, Seq};
use serde::Serialize;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The segment.
    pub segment: u32,
    /// Bytes from the segment's beginning to the frame.
    pub offset: u64,
    /// The frame, as far as it is known.
    pub frame: u64,
    /// The entry; of a frame, its first; `None` where no entry can be told.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// What should be there, where one value can be named.
    pub expected: Option<String>,
    /// What is there instead.
    pub found: Option<String>,
}

impl Finding {
    /// A finding about the frame at `at`.
    pub(crate) fn of_frame(at: Position, frame: FrameNumber, what: impl Into<String>) -> Self {
        let (segment, offset) = (at.segment.0, at.offset);
        Self { segment, offset, frame: frame.0, seq: None, what: what.into(), expected: None, found: None }
    }

    pub(crate) fn at_seq(mut self, seq: Seq) -> Self {
        self.seq = Some(seq.0);
        self
    }

    pub(super) fn expected(mut self, expected: impl ToString, found: impl ToString) -> Self {
        (self.expected, self.found) = (Some(expected.to_string()), Some(found.to_string()));
        self
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "segment {} offset {} frame {}", self.segment, self.offset, self.frame)?;
        if let Some(seq) = self.seq {
            write!(f, " seq {seq}")?;
        }
        write!(f, ": {}", self.what)?;
        if let Some(expected) = &self.expected {
            write!(f, "; expected {expected}")?;
        }
        match &self.found {
            Some(found) => write!(f, "; found {found}"),
            None => Ok(()),
        }
    }
}

/// What the audit expected of a record and what the record says, where one value can be named.
pub(super) fn compared(fault: &Fault, record: &RecordRef<'_>) -> Option<(String, String)> {
    let posting = match record {
        RecordRef::Posting(posting) => Some(posting),
        RecordRef::Slice(..) | RecordRef::Beginning(_) => None,
    };
    let head = record.head();
    let (expected, found) = match (fault, posting, record) {
        (Fault::Gap { expected }, ..) => (expected.to_string(), head.seq.to_string()),
        (Fault::Balance { which, expected }, Some(posting), _) => {
            (expected.to_string(), side(posting, *which).balance.units().to_string())
        }
        (Fault::AccountSeq { which, expected }, Some(posting), _) => {
            (expected.to_string(), side(posting, *which).seq.to_string())
        }
        (Fault::Nonce { expected }, Some(posting), _) => (expected.to_string(), posting.nonce.to_string()),
        (Fault::KeyTwice { first }, ..) => (format!("its outcome at entry {first} alone"), "a second".into()),
        (Fault::SliceChain { expected }, _, RecordRef::Slice(slice, _)) => {
            (format!("slice {expected} after the one before"), format!("slice {}", slice.number))
        }
        (Fault::SliceDigest, _, RecordRef::Slice(slice, body)) => {
            (hex::encode(slice.digest), ledger_body_digest(body))
        }
        _ => return None,
    };
    Some((expected, found))
}

fn side(posting: &Posting, which: Which) -> &model::Side {
    match which {
        Which::Debit => &posting.debit,
        Which::Credit => &posting.credit,
    }
}

fn ledger_body_digest(body: &[u8]) -> String {
    hex::encode(ledger::HashKind::Blake3.digest(body))
}
