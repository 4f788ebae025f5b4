//! The wallet's routes: `/v1/transfer`, `/v1/issue`, `/v1/burn`, `/wallet/spend`, and reads.
//!
//! Holds: a write is answered when it is durable, and the same key is answered with the same bytes
//! for as long as the ledger keeps it. Leaves to others: what a body may say and how an answer
//! reads (`wallet`), the rules (`ledger`).

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response},
    response::IntoResponse,
    routing::{get, post},
};
use caps::{Action, Capability};
use model::{AccountName, Kind, Outcome, TxId};
use wallet::{
    BalanceAnswer, BodyError, Code, IdempotencyKey, Intent, Problem, ProofDocument, ProofError, Render,
    SequenceAnswer, Surface, Visible, money_answer,
};
use wire::{Ask, Group, StoredEntry};

use crate::{
    MoneyParts, Refusal,
    answer::json_text,
    authority::require,
    body::{JSON, check_type, read},
    query::{Part, Query, account, part},
    refusal::REPLAYED,
    tlog_proof::tlog_proof,
};

/// The header that names a write.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The wallet's routes.
pub fn wallet_router(parts: MoneyParts) -> Router {
    Router::new()
        .route("/v1/transfer", post(transfer))
        .route("/wallet/spend", post(spend))
        .route("/v1/issue", post(issue))
        .route("/v1/burn", post(burn))
        .route("/v1/balance", get(balance))
        .route("/v1/tx/{txid}", get(transaction))
        .route("/v1/tx/{txid}/proof", get(proof))
        .route("/v1/accounts/{*rest}", get(sequence))
        .with_state(Arc::new(parts))
}

/// One way to ask for money: how its body is read, and what it needs.
#[derive(Clone, Copy)]
struct Operation {
    parse: fn(&[u8]) -> Result<Intent, BodyError>,
    action: Action,
}

type Answer = Result<Response<Body>, Refusal>;

async fn transfer(State(parts): State<Arc<MoneyParts>>, request: Request<Body>) -> Answer {
    write(&parts, request, Operation { parse: Intent::transfer, action: Action::WalletTransfer }).await
}

async fn spend(State(parts): State<Arc<MoneyParts>>, request: Request<Body>) -> Answer {
    write(&parts, request, Operation { parse: Intent::spend, action: Action::WalletTransfer }).await
}

async fn issue(State(parts): State<Arc<MoneyParts>>, request: Request<Body>) -> Answer {
    write(&parts, request, Operation { parse: Intent::issue, action: Action::WalletIssue }).await
}

async fn burn(State(parts): State<Arc<MoneyParts>>, request: Request<Body>) -> Answer {
    write(&parts, request, Operation { parse: Intent::burn, action: Action::WalletBurn }).await
}

async fn write(parts: &MoneyParts, request: Request<Body>, operation: Operation) -> Answer {
    let (head, body) = request.into_parts();
    check_type(&head.headers, &[JSON])?;
    let bytes = read(&head.headers, body, &parts.params).await?;
    let capability = parts.bearer(&head.headers)?;
    let key = idempotency_key(&head.headers)?;
    let intent = (operation.parse)(&bytes).map_err(|error| Refusal::of_body(&error, Surface::Wallet))?;
    require(&capability, operation.action, intent.owner())?;
    let request = intent.request(capability.subject(), &key);

    let ask = Ask::Money(Group { requests: vec![request], atomic: false });
    let asked = parts.ledger.submit(ask, parts.params.answer_timeout);
    let answer = asked.await.map_err(Refusal::of_write)?;
    let [outcome] = answer.outcomes.as_slice() else {
        return Err(Refusal::defect("a request was not answered with one outcome"));
    };
    let (posting, leaf, replayed) = match outcome {
        Outcome::Decided { posting, leaf } => (*posting, *leaf, false),
        Outcome::Replayed { seq } => {
            // Not in the durable view yet: the first answer is still on its way.
            let stored = parts.reader().entry(*seq).await?.ok_or_else(|| Refusal::of(Code::InFlight))?;
            (stored.posting, stored.leaf, true)
        }
        Outcome::Declined(declined) => return Err(Problem::of_declined(declined).into()),
        Outcome::Unknown => return Err(Problem::unknown(Code::Timeout).into()),
        Outcome::SliceTaken { .. } => {
            return Err(Refusal::defect("a money request was answered as a slice"));
        }
    };
    // The fingerprint binds a key to its request, so the names are the first request's own.
    let entry = StoredEntry { posting, leaf, debit: Some(request.debit), credit: Some(request.credit) };
    let incarnation = parts.ledger.status().lives.of(entry.posting.head.seq);
    let mut response = match money_answer(Render::CURRENT, &entry, incarnation, Some(&key)) {
        Ok(receipt) => json_text(receipt.to_json()),
        Err(problem) => Refusal::from(problem).into_response(),
    };
    if replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Refusal> {
    let mut values = headers.get_all(&IDEMPOTENCY_KEY).iter();
    let value = values.next().ok_or_else(|| Refusal::of(Code::IdempotencyKeyRequired))?;
    if values.next().is_some() {
        return Err(Refusal::new(Code::BadRequest, "Idempotency-Key is given twice"));
    }
    Ok(IdempotencyKey::from_header(value.as_bytes())?)
}

async fn balance(
    State(parts): State<Arc<MoneyParts>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let capability = parts.bearer(&headers)?;
    let query = Query::parse(query.as_deref(), &["account", "asset", "at"])?;
    if query.text("at").is_some() {
        return Err(Refusal::new(Code::BadRequest, "balances of the past (at) are not in this version"));
    }
    let (name, asset) = (account(query.required("account")?)?, query.asset()?);
    require(&capability, Action::WalletRead, &name)?;
    let state = parts.reader().account(name, asset).await?.ok_or_else(no_account)?;
    Ok(json_text(BalanceAnswer::new(name, &state, parts.clock.now()).to_json()))
}

/// `GET /v1/accounts/{id}/sequence`. An account's name may hold slashes, so the route takes the
/// rest of the path and the last part of it tells what is asked.
async fn sequence(
    State(parts): State<Arc<MoneyParts>>,
    rest: Part,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let rest = part(rest)?;
    let Some(name) = rest.strip_suffix("/sequence") else {
        return Err(Refusal::new(Code::NotFound, "of an account, this version has /sequence only"));
    };
    let capability = parts.bearer(&headers)?;
    let name = account(name)?;
    let asset = Query::parse(query.as_deref(), &["asset"])?.asset()?;
    require(&capability, Action::WalletRead, &name)?;
    let state = parts.reader().account(name, asset).await?.ok_or_else(no_account)?;
    Ok(json_text(SequenceAnswer::new(name, &state).to_json()))
}

async fn transaction(State(parts): State<Arc<MoneyParts>>, id: Part, headers: HeaderMap) -> Answer {
    let capability = parts.bearer(&headers)?;
    let id = transaction_id(&part(id)?)?;
    let entry = parts.reader().transaction(id).await?;
    readable(&capability, &entry)?;
    let receipt =
        money_answer(Render::CURRENT, &entry, id.incarnation, None).map_err(|_| no_transaction())?;
    Ok(json_text(receipt.to_json()))
}

async fn proof(State(parts): State<Arc<MoneyParts>>, id: Part, headers: HeaderMap) -> Answer {
    let capability = parts.bearer(&headers)?;
    let id = transaction_id(&part(id)?)?;
    let reader = parts.reader();
    readable(&capability, &*reader.transaction(id).await?)?;
    let proof = reader.entry_proof(id.seq).await?.ok_or_else(no_transaction)?;
    let may_read = |name: &Option<AccountName>| name.is_some_and(|name| capability.allows_account(&name));
    let visible = Visible { debit: may_read(&proof.entry.debit), credit: may_read(&proof.entry.credit) };
    let receipt = money_answer(Render::CURRENT, &proof.entry, id.incarnation, None)?;
    let document = tlog_proof(&proof.proof, &proof.checkpoint)
        .ok_or(ProofError::Mixed)
        .and_then(|text| ProofDocument::new(receipt, &proof, visible, text));
    let document =
        document.map_err(|error| Refusal::defect(format!("the proof of {} is no proof: {error}", id.seq)))?;
    Ok(json_text(document.to_json()))
}

/// Whether the bearer may see this entry: money that moved, on a side that is the bearer's.
fn readable(capability: &Capability, entry: &StoredEntry) -> Result<(), Refusal> {
    capability.require(Action::WalletRead).map_err(Refusal::of_capability)?;
    let moved = match entry.posting.head.kind {
        Kind::Transfer | Kind::Mint | Kind::Burn | Kind::Credit | Kind::Debit => true,
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
        | Kind::Incarnation => false,
    };
    let sides = [&entry.debit, &entry.credit];
    if !moved || !sides.into_iter().flatten().any(|name| capability.allows_account(name)) {
        // One answer for both, so that ids of others cannot be told from ids that are not there.
        return Err(no_transaction());
    }
    Ok(())
}

fn transaction_id(text: &str) -> Result<TxId, Refusal> {
    TxId::parse(text).map_err(|error| Refusal::new(Code::BadRequest, error.to_string()))
}

fn no_transaction() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such transaction")
}

fn no_account() -> Refusal {
    Refusal::new(Code::NotFound, "there is no such account in this asset")
}
