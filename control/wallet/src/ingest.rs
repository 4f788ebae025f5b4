//! `IngestBody`: the batch of `POST /ingest`, and `IngestPlan`: what of it goes to the ledger.
//!
//! A body that does not parse is refused whole. A kind that this version does not decide is
//! refused alone, as `unknown_kind`, so that a newer producer's batch is not lost for one entry.

use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use model::{
    AccountName, Asset, Kind, Outcome, Posting, Preconditions, Reason, Request, Seq, Text,
    limits::INGEST_ENTRIES_MAX,
};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use wire::Group;

use crate::{
    BodyError, EntryResult, FieldPath, IdempotencyKey, Intent,
    body::{Field, Fields, Loose, Name, ObjectSeed, fail, parse_with, shown, told},
    intent::{ACCOUNT, AMOUNT, ASSET, NUMBER, REFERENCE, account, amount_above_zero},
};

const ENTRY: &[Field; 11] = &[
    Field { name: "id", expected: REFERENCE },
    Field { name: "ts", expected: NUMBER },
    Field { name: "kind", expected: "the name of a kind" },
    Field { name: "account", expected: ACCOUNT },
    Field {
        name: "counter_account",
        expected: "an account's name for a transfer; otherwise null, or the ledger's own account of this kind",
    },
    Field { name: "asset", expected: ASSET },
    Field { name: "amount", expected: AMOUNT },
    Field { name: "nonce", expected: NUMBER },
    Field { name: "ref_seq", expected: "null for a kind that refers to no other entry, or its number" },
    Field { name: "reference", expected: REFERENCE },
    Field { name: "v", expected: "1, the version of an entry" },
];
const ENTRIES: &str = "an array of 1 to 2000 entries";
const TRUTH: &str = "true or false";
const KEY: &str = "an idempotency key: 1 to 64 visible ASCII characters";

/// A decoded batch, not yet tied to a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestBody {
    /// The key of the batch; an entry's own key adds its index.
    pub idem_id: IdempotencyKey,
    /// All or none.
    pub atomic: bool,
    /// The entries, 1 to `model::limits::INGEST_ENTRIES_MAX`; a refusal stands in for a kind
    /// that this version does not decide.
    pub entries: Vec<Result<Intent, Reason>>,
}

/// What of a batch goes to the ledger, and what was refused before it came there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestPlan {
    /// The entries to be decided, in order; may be empty.
    pub group: Group,
    /// The others, in order.
    pub refused: Vec<(u16, Reason)>,
}

impl IngestBody {
    /// Reads the body of `POST /ingest`.
    ///
    /// # Errors
    /// Names the field and what was expected; `TooMany` past the limit of entries.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let mut fault = None;
        parse_with(body, BatchSeed { fault: &mut fault }).map_err(|error| told(&error, fault))
    }

    /// Ties the batch to `subject` and asks `admit` about each entry; what it refuses does not
    /// reach the ledger. One refusal empties an atomic batch.
    pub fn plan(&self, subject: &str, mut admit: impl FnMut(&Request) -> Result<(), Reason>) -> IngestPlan {
        let mut group = Group { requests: Vec::with_capacity(self.entries.len()), atomic: self.atomic };
        let mut refused = Vec::new();
        for (idx, entry) in self.entries.iter().enumerate() {
            let idx = u16::try_from(idx).expect("the limit of entries fits");
            let request = entry.and_then(|intent| {
                let request = Request {
                    idx,
                    key: self.idem_id.of_entry(subject, idx),
                    ..intent.request(subject, &self.idem_id)
                };
                admit(&request).map(|()| request)
            });
            match request {
                Ok(request) => group.requests.push(request),
                Err(reason) => refused.push((idx, reason)),
            }
        }
        if self.atomic && !refused.is_empty() {
            let aborted = group.requests.drain(..).map(|request| (request.idx, Reason::BatchAborted));
            refused.extend(aborted);
            refused.sort_unstable_by_key(|(idx, _)| *idx);
        }
        assert_eq!(group.requests.len() + refused.len(), self.entries.len(), "each entry has one place");
        IngestPlan { group, refused }
    }
}

impl IngestPlan {
    /// The result of every entry, in order, from the ledger's outcomes of `group`. `stored` finds
    /// the entry that holds the first outcome of a replayed one; what it does not find is unknown.
    ///
    /// # Panics
    /// If there is not one outcome per request.
    pub fn results(
        &self,
        outcomes: &[Outcome],
        mut stored: impl FnMut(Seq) -> Option<Posting>,
    ) -> Vec<EntryResult> {
        assert_eq!(outcomes.len(), self.group.requests.len(), "one outcome per request");
        let decided = self.group.requests.iter().zip(outcomes).map(|(request, outcome)| match outcome {
            Outcome::Decided { posting, .. } => EntryResult::of_posting(request.idx, posting, false),
            Outcome::Replayed { seq } => stored(*seq).map_or(EntryResult::unknown(request.idx), |posting| {
                EntryResult::of_posting(request.idx, &posting, true)
            }),
            Outcome::Declined(declined) => EntryResult::refused(request.idx, declined.reason),
            Outcome::Unknown | Outcome::SliceTaken { .. } => EntryResult::unknown(request.idx),
        });
        let refused = self.refused.iter().map(|(idx, reason)| EntryResult::refused(*idx, *reason));
        let mut results: Vec<_> = decided.chain(refused).collect();
        results.sort_unstable_by_key(|result| result.idx);
        results
    }
}

/// One entry of the batch.
fn entry(fields: &Fields<'_, 11>) -> Result<Result<Intent, Reason>, BodyError> {
    fields.optional("id", Text::new)?;
    fields.number("ts")?;
    let ref_seq = fields.number("ref_seq")?;
    let reference = fields.optional("reference", Text::new)?.unwrap_or_default();
    let nonce = fields.number("nonce")?;
    if fields.number("v")?.is_some_and(|version| version != 1) {
        return Err(fields.wrong("v"));
    }
    let kind = fields.required("kind", |word| Some(Kind::from_word(word)))?;
    let Some((kind, debit, credit)) = sides(kind, fields)? else {
        return Ok(Err(Reason::UnknownKind));
    };
    if ref_seq.is_some() {
        return Err(fields.wrong("ref_seq"));
    }
    Ok(Ok(Intent {
        kind,
        debit,
        credit,
        asset: fields.required("asset", |text| Asset::parse(text).ok())?,
        amount: fields.required("amount", amount_above_zero)?,
        preconditions: Preconditions { nonce, ..Preconditions::default() },
        reference,
    }))
}

/// The kind and its debited and credited accounts; `None` for a kind that this version does not
/// decide, of which no field is looked at.
fn sides(
    kind: Option<Kind>,
    fields: &Fields<'_, 11>,
) -> Result<Option<(Kind, AccountName, AccountName)>, BodyError> {
    let own = || account(fields, "account");
    let (kind, debit, credit) = match kind {
        Some(kind @ Kind::Transfer) => (kind, own()?, account(fields, "counter_account")?),
        Some(kind @ Kind::Mint) => (kind, counter(fields, AccountName::issuance())?, own()?),
        Some(kind @ Kind::Burn) => (kind, own()?, counter(fields, AccountName::issuance())?),
        Some(kind @ Kind::Credit) => (kind, counter(fields, AccountName::external())?, own()?),
        Some(kind @ Kind::Debit) => (kind, own()?, counter(fields, AccountName::external())?),
        Some(
            Kind::Hold
            | Kind::Capture
            | Kind::Release
            | Kind::Reverse
            | Kind::Open
            | Kind::Flag
            | Kind::Usage
            | Kind::UsageLoss
            | Kind::Refused
            | Kind::Horizon
            | Kind::Incarnation,
        )
        | None => return Ok(None),
    };
    Ok(Some((kind, debit, credit)))
}

/// The ledger's own account on the other side; a caller may leave it out or name it rightly.
fn counter(fields: &Fields<'_, 11>, owned: AccountName) -> Result<AccountName, BodyError> {
    let named = fields.optional("counter_account", |text| (text == owned.as_str()).then_some(owned))?;
    Ok(named.unwrap_or(owned))
}

struct BatchSeed<'f> {
    fault: &'f mut Option<BodyError>,
}

fn path(name: &'static str) -> FieldPath {
    FieldPath { entry: None, name: Cow::Borrowed(name) }
}

fn wrong(name: &'static str, expected: &'static str) -> BodyError {
    BodyError::Wrong { field: path(name), expected }
}

impl<'de> DeserializeSeed<'de> for BatchSeed<'_> {
    type Value = IngestBody;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        *self.fault = Some(wrong("", "an object"));
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BatchSeed<'_> {
    type Value = IngestBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let fault = self.fault;
        *fault = None;
        let (mut entries, mut key, mut atomic) = (None, None, None);
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let field = FieldPath { entry: None, name: shown(&name) };
            let twice = match name.as_ref() {
                "batch" => entries.is_some(),
                "idem_id" => key.is_some(),
                "atomic" => atomic.is_some(),
                _ => return Err(fail(fault, BodyError::Unknown(field))),
            };
            if twice {
                return Err(fail(fault, BodyError::Twice(field)));
            }
            match name.as_ref() {
                "batch" => entries = Some(map.next_value_seed(EntriesSeed { fault: &mut *fault })?),
                "idem_id" => {
                    *fault = Some(wrong("idem_id", KEY));
                    key = Some(map.next_value::<Loose<'de>>()?);
                }
                _ => {
                    *fault = Some(wrong("atomic", TRUTH));
                    atomic = Some(map.next_value::<Loose<'de>>()?);
                }
            }
            *fault = None;
        }
        finish(entries, key, atomic).map_err(|error| fail(fault, error))
    }
}

fn finish(
    entries: Option<Vec<Result<Intent, Reason>>>,
    key: Option<Loose<'_>>,
    atomic: Option<Loose<'_>>,
) -> Result<IngestBody, BodyError> {
    let idem_id = match key {
        None | Some(Loose::Null) => return Err(BodyError::Missing(path("idem_id"))),
        Some(Loose::Text(text)) => IdempotencyKey::new(&text).ok(),
        Some(Loose::Truth(_) | Loose::Number(_)) => None,
    };
    let idem_id = idem_id.ok_or(wrong("idem_id", KEY))?;
    let atomic = match atomic {
        None | Some(Loose::Null) => false,
        Some(Loose::Truth(atomic)) => atomic,
        Some(Loose::Number(_) | Loose::Text(_)) => return Err(wrong("atomic", TRUTH)),
    };
    let entries = entries.ok_or(BodyError::Missing(path("batch")))?;
    if entries.is_empty() {
        return Err(wrong("batch", ENTRIES));
    }
    Ok(IngestBody { idem_id, atomic, entries })
}

struct EntriesSeed<'f> {
    fault: &'f mut Option<BodyError>,
}

impl<'de> DeserializeSeed<'de> for EntriesSeed<'_> {
    type Value = Vec<Result<Intent, Reason>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        *self.fault = Some(wrong("batch", ENTRIES));
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EntriesSeed<'_> {
    type Value = Vec<Result<Intent, Reason>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let fault = self.fault;
        let mut entries = Vec::new();
        loop {
            let seed = ObjectSeed { known: ENTRY, entry: Some(entries.len()), fault: &mut *fault };
            let Some(fields) = array.next_element_seed(seed)? else {
                return Ok(entries);
            };
            if entries.len() == INGEST_ENTRIES_MAX {
                return Err(fail(fault, BodyError::TooMany { limit: INGEST_ENTRIES_MAX }));
            }
            match entry(&fields) {
                Ok(entry) => entries.push(entry),
                Err(error) => return Err(fail(fault, error)),
            }
        }
    }
}

const _: () = assert!(INGEST_ENTRIES_MAX == 2000, "the number that ENTRIES tells");

#[cfg(test)]
mod tests;
