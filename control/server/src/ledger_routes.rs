//! The ledger's routes: `/ingest`, `/roots`, `/checkpoint`, `/proof/..`, `/accounts/..`.
//!
//! Roots, checkpoints and proofs are open to everyone who reaches the listener: they are what
//! makes the ledger verifiable, and they show hashes only. Everything else needs a capability.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Response},
    routing::{get, post},
};
use caps::Action;
use model::Seq;
use serde::Serialize;
use wire::ROOTS_MAX;

use wallet::Code;

use crate::{
    Authority, Clock, HttpParams, LedgerPort, Refusal,
    answer::{json, of_type},
    authority::require,
    ingest::ingest,
    query::{Part, Query, account, part},
    reader::Reader,
};

/// Roots of one answer where no limit is given.
const ROOTS_DEFAULT: u64 = 100;

/// What the ledger's and the wallet's routes work with.
#[derive(Clone, Debug)]
pub struct MoneyParts {
    /// The ledger.
    pub ledger: Arc<dyn LedgerPort>,
    /// Who may do what.
    pub authority: Arc<Authority>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub params: HttpParams,
}

impl MoneyParts {
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.ledger), self.params.answer_timeout)
    }

    pub(crate) fn bearer(&self, headers: &HeaderMap) -> Result<Arc<caps::Capability>, Refusal> {
        self.authority.bearer(headers, self.clock.now())
    }
}

/// The ledger's routes.
pub fn ledger_router(parts: MoneyParts) -> Router {
    Router::new()
        .route("/ingest", post(ingest))
        .route("/roots", get(roots))
        .route("/checkpoint", get(checkpoint))
        .route("/proof/inclusion", get(inclusion))
        .route("/proof/consistency", get(consistency))
        .route("/accounts/{*name}", get(account_state))
        .with_state(Arc::new(parts))
}

#[derive(Serialize)]
struct RootItem {
    seq: u64,
    root: String,
    ts: u64,
}

#[derive(Serialize)]
struct Roots {
    roots: Vec<RootItem>,
    next: u64,
}

async fn roots(
    State(parts): State<Arc<MoneyParts>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Roots>, Refusal> {
    let query = Query::parse(query.as_deref(), &["since", "limit"])?;
    let since = query.number("since")?.unwrap_or(0);
    let limit = query.number("limit")?.unwrap_or(ROOTS_DEFAULT);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if limit == 0 || limit > ROOTS_MAX {
        return Err(Refusal::new(Code::BadRequest, format!("limit is 1 to {ROOTS_MAX}")));
    }
    let found = parts.reader().roots(Seq(since), limit).await?;
    let next = found.last().map_or(since, |root| root.seq.0);
    let roots = found
        .iter()
        .map(|root| RootItem { seq: root.seq.0, root: hex::encode(root.root), ts: root.at.as_millis() })
        .collect();
    Ok(Json(Roots { roots, next }))
}

async fn checkpoint(State(parts): State<Arc<MoneyParts>>) -> Result<Response<Body>, Refusal> {
    let note = parts.reader().checkpoint().await?.note;
    Ok(of_type("text/plain; charset=utf-8", note))
}

#[derive(Serialize)]
struct Inclusion {
    seq: u64,
    leaf_index: u64,
    size: u64,
    leaf_hash: String,
    root: String,
    path: Vec<String>,
}

async fn inclusion(
    State(parts): State<Arc<MoneyParts>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Inclusion>, Refusal> {
    let query = Query::parse(query.as_deref(), &["seq", "size"])?;
    query.required("seq")?;
    let seq = Seq(query.number("seq")?.unwrap_or(0));
    let nothing = || Refusal::new(Code::NotFound, "there is no such entry in a tree of that size");
    let leaf_index = seq.leaf_index().ok_or_else(nothing)?;
    let proof = parts.reader().inclusion(seq, query.number("size")?).await?.ok_or_else(nothing)?;
    Ok(Json(Inclusion {
        seq: seq.0,
        leaf_index,
        size: proof.size,
        leaf_hash: hex::encode(proof.leaf),
        root: hex::encode(proof.root),
        path: proof.path.iter().map(hex::encode).collect(),
    }))
}

#[derive(Serialize)]
struct Consistency {
    from: u64,
    to: u64,
    path: Vec<String>,
}

async fn consistency(
    State(parts): State<Arc<MoneyParts>>,
    RawQuery(query): RawQuery,
) -> Result<Json<Consistency>, Refusal> {
    let query = Query::parse(query.as_deref(), &["from", "to"])?;
    query.required("from")?;
    query.required("to")?;
    let (from, to) = (query.number("from")?.unwrap_or(0), query.number("to")?.unwrap_or(0));
    if from > to {
        return Err(Refusal::new(Code::BadRequest, "from is at most to"));
    }
    let path = parts.reader().consistency(from, to).await?;
    let path = path.ok_or_else(|| Refusal::new(Code::NotFound, "there is no tree of that size"))?;
    Ok(Json(Consistency { from, to, path: path.iter().map(hex::encode).collect() }))
}

#[derive(Serialize)]
struct Account<'a> {
    account: &'a str,
    asset: &'a str,
    posted: String,
    held: String,
    available: String,
    account_seq: u64,
    nonce_last: u64,
    as_of: String,
    as_of_seq: u64,
}

async fn account_state(
    State(parts): State<Arc<MoneyParts>>,
    name: Part,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Refusal> {
    let capability = parts.bearer(&headers)?;
    let name = account(&part(name)?)?;
    let asset = Query::parse(query.as_deref(), &["asset"])?.asset()?;
    require(&capability, Action::LedgerRead, &name)?;
    let found = parts.reader().account(name, asset).await?;
    let state =
        found.ok_or_else(|| Refusal::new(Code::NotFound, "there is no such account in this asset"))?;
    Ok(json(&Account {
        account: name.as_str(),
        asset: asset.as_str(),
        posted: state.balance.to_string(),
        held: state.held.to_string(),
        available: state.balance.available(state.held).to_string(),
        account_seq: state.account_seq,
        nonce_last: state.nonce,
        as_of: state.as_of.rfc3339(),
        as_of_seq: state.as_of_seq.0,
    }))
}
