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
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use wire::Group;

use crate::{
    BodyError, EntryResult, FieldPath, IdempotencyKey, Intent,
    body::{Fields, Loose, Name, ObjectSeed, fail, parse_with, refuse_all_but, shown},
    intent::{AMOUNT, ASSET, REFERENCE, account, amount_above_zero},
};

const ENTRY: &[&str; 11] = &[
    "id",
    "ts",
    "kind",
    "account",
    "counter_account",
    "asset",
    "amount",
    "nonce",
    "ref_seq",
    "reference",
    "v",
];
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
        parse_with(body, BatchSeed { fault: &mut fault }).map_err(|error| fault.unwrap_or(error))
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
    fields.parsed("id", REFERENCE, Text::new)?;
    fields.number("ts")?;
    let ref_seq = fields.number("ref_seq")?;
    let reference = fields.parsed("reference", REFERENCE, Text::new)?.unwrap_or_default();
    let nonce = fields.number("nonce")?;
    if fields.number("v")?.is_some_and(|version| version != 1) {
        return Err(fields.wrong("v", "1, the version of an entry"));
    }
    let kind = fields.required("kind", "the name of a kind", |word| Some(Kind::from_word(word)))?;
    let Some((kind, debit, credit)) = sides(kind, fields)? else {
        return Ok(Err(Reason::UnknownKind));
    };
    if ref_seq.is_some() {
        return Err(fields.wrong("ref_seq", "null: this kind refers to no other entry"));
    }
    Ok(Ok(Intent {
        kind,
        debit,
        credit,
        asset: fields.required("asset", ASSET, |text| Asset::parse(text).ok())?,
        amount: fields.required("amount", AMOUNT, amount_above_zero)?,
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
            | Kind::Horizon,
        )
        | None => return Ok(None),
    };
    Ok(Some((kind, debit, credit)))
}

/// The ledger's own account on the other side; a caller may leave it out or name it rightly.
fn counter(fields: &Fields<'_, 11>, owned: AccountName) -> Result<AccountName, BodyError> {
    let expected = "null, or the ledger's own account that this kind implies";
    let named =
        fields.parsed("counter_account", expected, |text| (text == owned.as_str()).then_some(owned))?;
    Ok(named.unwrap_or(owned))
}

struct BatchSeed<'f> {
    fault: &'f mut Option<BodyError>,
}

impl BatchSeed<'_> {
    fn fail<E: Error>(self, fault: BodyError) -> E {
        fail(self.fault, fault)
    }

    fn refuse<E: Error>(self) -> E {
        self.fail(BodyError::Wrong { field: path(""), expected: "an object" })
    }
}

fn path(name: &'static str) -> FieldPath {
    FieldPath { entry: None, name: Cow::Borrowed(name) }
}

impl<'de> DeserializeSeed<'de> for BatchSeed<'_> {
    type Value = IngestBody;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for BatchSeed<'_> {
    type Value = IngestBody;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    refuse_all_but!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.refuse())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut batch, mut key, mut atomic) = (None, None, None);
        while let Some(Name(name)) = map.next_key::<Name<'de>>()? {
            let twice = match name.as_ref() {
                "batch" => {
                    batch.replace(map.next_value_seed(EntriesSeed { fault: &mut *self.fault })?).is_some()
                }
                "idem_id" => key.replace(map.next_value::<Loose<'de>>()?).is_some(),
                "atomic" => atomic.replace(map.next_value::<Loose<'de>>()?).is_some(),
                _ => {
                    let field = FieldPath { entry: None, name: shown(&name) };
                    return Err(self.fail(BodyError::Unknown(field)));
                }
            };
            if twice {
                let field = FieldPath { entry: None, name: shown(&name) };
                return Err(self.fail(BodyError::Twice(field)));
            }
        }
        finish(batch, key, atomic).map_err(|fault| self.fail(fault))
    }
}

fn finish(
    batch: Option<Vec<Result<Intent, Reason>>>,
    key: Option<Loose<'_>>,
    atomic: Option<Loose<'_>>,
) -> Result<IngestBody, BodyError> {
    let idem_id = match key {
        None | Some(Loose::Null) => return Err(BodyError::Missing(path("idem_id"))),
        Some(Loose::Text(text)) => IdempotencyKey::new(&text).ok(),
        Some(Loose::Truth(_) | Loose::Number(_) | Loose::Other) => None,
    };
    let idem_id = idem_id.ok_or(BodyError::Wrong { field: path("idem_id"), expected: KEY })?;
    let atomic = match atomic {
        None | Some(Loose::Null) => false,
        Some(Loose::Truth(atomic)) => atomic,
        Some(Loose::Number(_) | Loose::Text(_) | Loose::Other) => {
            return Err(BodyError::Wrong { field: path("atomic"), expected: "true or false" });
        }
    };
    let entries = batch.ok_or(BodyError::Missing(path("batch")))?;
    if entries.is_empty() {
        return Err(BodyError::Wrong { field: path("batch"), expected: "at least one entry" });
    }
    Ok(IngestBody { idem_id, atomic, entries })
}

struct EntriesSeed<'f> {
    fault: &'f mut Option<BodyError>,
}

impl<'de> DeserializeSeed<'de> for EntriesSeed<'_> {
    type Value = Vec<Result<Intent, Reason>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntriesSeed<'_> {
    type Value = Vec<Result<Intent, Reason>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of entries")
    }

    refuse_all_but!(visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(self.refuse())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        loop {
            let seed = ObjectSeed { names: ENTRY, entry: Some(entries.len()), fault: &mut *self.fault };
            let Some(fields) = array.next_element_seed(seed)? else {
                return Ok(entries);
            };
            if entries.len() == INGEST_ENTRIES_MAX {
                return Err(fail(self.fault, BodyError::TooMany { limit: INGEST_ENTRIES_MAX }));
            }
            match entry(&fields) {
                Ok(entry) => entries.push(entry),
                Err(fault) => return Err(fail(self.fault, fault)),
            }
        }
    }
}

impl EntriesSeed<'_> {
    fn refuse<E: Error>(self) -> E {
        fail(self.fault, BodyError::Wrong { field: path("batch"), expected: "an array of entries" })
    }
}

#[cfg(test)]
mod tests;
