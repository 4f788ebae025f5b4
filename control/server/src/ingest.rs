//! `POST /ingest`: entries for the ledger, as a group.
//!
//! Holds: an entry's idempotency key is `(subject, idem_id, idx)`; what was asked before is
//! answered as it was then. Leaves to others: how a batch reads (`wallet`), the rules (`ledger`).

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderValue, Request, Response},
};
use caps::{Action, Capability};
use model::{Declined, Outcome, Posting, Reason, Seq};
use wallet::{Code, EntryResult, IngestAnswer, IngestBody, Problem, Surface};
use wire::Ask;

use crate::{
    MoneyParts, Refusal,
    answer::json_text,
    body::{JSON, check_type, read},
    reader::Reader,
    refusal::{EntriesRejected, REPLAYED},
    status,
};

/// Takes a batch.
pub(crate) async fn ingest(
    State(parts): State<Arc<MoneyParts>>,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    check_type(&head.headers, &[JSON])?;
    let bytes = read(&head.headers, body, &parts.params).await?;
    let capability = parts.bearer(&head.headers)?;
    capability.require(Action::LedgerIngest).map_err(Refusal::of_capability)?;
    let batch = IngestBody::parse(&bytes).map_err(|error| Refusal::of_body(&error, Surface::Ledger))?;
    drop(bytes);
    let mut plan = batch.plan(capability.subject(), |request| admit(&capability, request));

    let (outcomes, committed) = if plan.group.requests.is_empty() {
        (Vec::new(), parts.ledger.status().committed)
    } else {
        let ask = Ask::Money(std::mem::take(&mut plan.group));
        let asked = parts.ledger.submit(ask, parts.params.answer_timeout);
        let answer = asked.await.map_err(Refusal::of_write)?;
        let Ask::Money(group) = answer.ask else {
            return Err(Refusal::defect("a batch was answered with another question"));
        };
        plan.group = group;
        (answer.outcomes, answer.committed)
    };
    if outcomes.len() != plan.group.requests.len() {
        return Err(Refusal::defect("a batch was not answered with one outcome per entry"));
    }
    let stored = stored(&parts.reader(), &outcomes).await?;
    let mut results = plan.results(&outcomes, |seq| stored.get(&seq).copied());
    if results.iter().all(|result| result.outcome == EntryResult::unknown(0).outcome) {
        return Err(Problem::unknown(Code::Timeout).into());
    }
    if let Some(reason) = refused_as_one(&results) {
        return Err(Problem::of_declined(&Declined { reason, number: 0 }).into());
    }
    if !capability.allows(Action::LedgerRead) {
        results = results.into_iter().map(EntryResult::without_balance).collect();
    }
    Ok(answered(&IngestAnswer::new(results, &committed), batch.atomic))
}

fn answered(answer: &IngestAnswer, atomic: bool) -> Response<Body> {
    let code = match (answer.accepted, atomic) {
        (true, _) => status::OK,
        (false, true) => status::CONFLICT,
        (false, false) => status::MULTI_STATUS,
    };
    let mut response = json_text(answer.to_json());
    *response.status_mut() = status::code(code);
    let rejected = answer.reasons.iter().map(|refusal| refusal.reason.word()).collect();
    response.extensions_mut().insert(EntriesRejected(rejected));
    if answer.results.iter().all(|result| result.replayed) {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// What an entry needs of the capability, beside `ledger:ingest`.
fn admit(capability: &Capability, request: &model::Request) -> Result<(), Reason> {
    let kind_allowed = Action::of_entry(request.kind).is_none_or(|action| capability.allows(action));
    let allowed = kind_allowed && capability.allows_account(request.owner());
    if allowed { Ok(()) } else { Err(Reason::CapInvalid) }
}

/// The entries that hold the first outcomes of what was asked before. One that the durable view
/// does not have yet is left out, and its outcome is open.
async fn stored(reader: &Reader, outcomes: &[Outcome]) -> Result<BTreeMap<Seq, Posting>, Refusal> {
    let mut stored = BTreeMap::new();
    for outcome in outcomes {
        if let Outcome::Replayed { seq } = outcome
            && let Some(entry) = reader.entry(*seq).await?
        {
            stored.insert(*seq, entry.posting);
        }
    }
    Ok(stored)
}

/// The reason of a batch that was refused whole, for one reason that is not about its entries'
/// accounts and that nothing in the ledger keeps. It is answered as a problem, whose status tells
/// the sender what to do.
fn refused_as_one(results: &[EntryResult]) -> Option<Reason> {
    let first = results.first()?.reason?;
    let about_all = matches!(
        first,
        Reason::Busy
            | Reason::CapInvalid
            | Reason::IdemConflict
            | Reason::IdemExpired
            | Reason::Internal
            | Reason::NoSpace
            | Reason::Quota
            | Reason::SafeMode
            | Reason::Timeout
            | Reason::TooLarge
            | Reason::UnknownKind
    );
    let one = results.iter().all(|result| result.reason == Some(first) && result.seq.is_none());
    (about_all && one).then_some(first)
}
