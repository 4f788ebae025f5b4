//! Accounting's routes: `POST /v1/usage` and `GET /v1/usage`.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{RawQuery, State},
    http::{HeaderMap, Request, Response},
    routing::get,
};
use caps::Action;
use model::{Text, Timestamp};
use serde::Serialize;
use wire::usage::{ItemOutcome, ItemRefusal, LabelSet, Totals, UsageQuery, UsageRow, UsageWindow};

use wallet::Code;

use crate::{
    Authority, Clock, HttpParams, Refusal, UsagePort,
    answer::json,
    body::{check_type, read},
    cloud_event::{self, Event},
    query::Query,
    refusal::EntriesRejected,
};

/// What accounting's routes work with.
#[derive(Clone, Debug)]
pub struct UsageParts {
    /// The shards.
    pub usage: Arc<dyn UsagePort>,
    /// Who may do what.
    pub authority: Arc<Authority>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The bounds.
    pub params: HttpParams,
}

/// Accounting's routes.
pub fn usage_router(parts: UsageParts) -> Router {
    Router::new().route("/v1/usage", get(windows).post(count)).with_state(Arc::new(parts))
}

#[derive(Serialize)]
struct Counted {
    results: Vec<EventResult>,
}

#[derive(Clone, Serialize)]
struct EventResult {
    idx: usize,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
}

async fn count(
    State(parts): State<Arc<UsageParts>>,
    request: Request<Body>,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let kind = check_type(&head.headers, &[cloud_event::SINGLE, cloud_event::BATCH])?;
    let bytes = read(&head.headers, body, &parts.params).await?;
    let now = parts.clock.now();
    let capability = parts.authority.bearer(&head.headers, now)?;
    capability.require(Action::UsageWrite).map_err(Refusal::of_capability)?;
    let events = cloud_event::parse(kind, &bytes)?;
    drop(bytes);

    let decoded: Vec<_> = events.iter().map(|event: &Event| event.item(now)).collect();
    let items: Vec<_> = decoded.iter().filter_map(|item| item.as_ref().ok().copied()).collect();
    let expected = items.len();
    let counted = parts.usage.count(items, parts.params.answer_timeout);
    let outcomes = counted.await.map_err(Refusal::of_write)?;
    assert_eq!(outcomes.len(), expected, "one outcome per event");
    refused_for_load(&outcomes)?;
    let mut outcomes = outcomes.into_iter();
    let result = |(idx, item): (usize, &Result<_, &'static str>)| match item {
        Ok(_) => result_of(idx, outcomes.next().expect("one outcome per event, counted above")),
        Err(detail) => {
            EventResult { idx, outcome: "rejected", reason: Some("invalid"), detail: Some(detail) }
        }
    };
    let results: Vec<_> = decoded.iter().enumerate().map(result).collect();
    let rejected = results.iter().filter_map(|result| result.reason).collect();
    let mut response = json(&Counted { results });
    response.extensions_mut().insert(EntriesRejected(rejected));
    Ok(response)
}

/// A batch of which nothing was counted for want of room is refused as a whole, so that the
/// status tells the sender to slow down.
fn refused_for_load(outcomes: &[ItemOutcome]) -> Result<(), Refusal> {
    let all = |refusal| !outcomes.is_empty() && outcomes.iter().all(|o| *o == ItemOutcome::Rejected(refusal));
    if all(ItemRefusal::Busy) {
        return Err(Refusal::of(Code::Busy));
    }
    if all(ItemRefusal::Draining) {
        return Err(Refusal::new(Code::Degraded, "the node is stopping"));
    }
    Ok(())
}

fn result_of(idx: usize, outcome: ItemOutcome) -> EventResult {
    let reason = match outcome {
        ItemOutcome::Rejected(refusal) => Some(refusal.word()),
        ItemOutcome::Skewed => Some("skewed"),
        ItemOutcome::Ok | ItemOutcome::Duplicate | ItemOutcome::Late | ItemOutcome::Overflowed => None,
    };
    EventResult { idx, outcome: outcome.word(), reason, detail: None }
}

#[derive(Serialize)]
struct Usage<'a> {
    tenant: &'a str,
    windows: Vec<Window>,
}

#[derive(Serialize)]
struct Window {
    start: String,
    end: String,
    state: &'static str,
    totals: Numbers,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<GroupTotals>,
}

/// Whole numbers, exact; they may pass 2^53 in theory.
#[derive(Serialize)]
struct Numbers {
    requests: u128,
    bytes_in: u128,
    bytes_out: u128,
}

#[derive(Serialize)]
struct GroupTotals {
    by: String,
    totals: Numbers,
}

/// What the rows of a window can be grouped by.
#[derive(Clone, Copy)]
struct GroupBy(fn(&LabelSet) -> Text);

impl GroupBy {
    fn parse(word: &str) -> Result<Self, Refusal> {
        Ok(Self(match word {
            "method" => |labels| labels.method,
            "route" => |labels| labels.route,
            "service" => |labels| labels.service,
            "region" => |labels| labels.region,
            _ => {
                let detail = "group_by is method, route, service or region";
                return Err(Refusal::new(Code::BadRequest, detail));
            }
        }))
    }
}

async fn windows(
    State(parts): State<Arc<UsageParts>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response<Body>, Refusal> {
    let now = parts.clock.now();
    let capability = parts.authority.bearer(&headers, now)?;
    capability.require(Action::UsageRead).map_err(Refusal::of_capability)?;
    let query = Query::parse(query.as_deref(), &["tenant", "from", "to", "group_by"])?;
    let tenant = query.required("tenant")?;
    let group_by = query.text("group_by").map(GroupBy::parse).transpose()?;
    let ask = UsageQuery {
        tenant: Text::new(tenant)
            .filter(|tenant| !tenant.is_empty())
            .ok_or_else(|| Refusal::new(Code::BadRequest, "tenant has 1 to 64 printable ASCII characters"))?,
        from_millis: query.text("from").map(time_millis).transpose()?.unwrap_or(0),
        to_millis: query.text("to").map(time_millis).transpose()?.unwrap_or(u64::MAX),
    };
    let found = parts.usage.windows(ask, parts.params.answer_timeout).await.map_err(Refusal::of_read)?;
    let windows = found.iter().map(|window| window_of(window, group_by)).collect::<Option<_>>();
    let windows = windows.ok_or_else(|| Refusal::of(Code::Overflow))?;
    Ok(json(&Usage { tenant, windows }))
}

/// A time as RFC 3339, or as whole milliseconds since 1970.
fn time_millis(text: &str) -> Result<u64, Refusal> {
    let millis = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        cloud_event::rfc3339_millis(text)
    };
    let detail = "a time is RFC 3339 or whole milliseconds since 1970";
    millis.ok_or_else(|| Refusal::new(Code::BadRequest, detail))
}

/// A window with its totals; `None` past 128 bits.
fn window_of(window: &UsageWindow, group_by: Option<GroupBy>) -> Option<Window> {
    let sum = |wanted: &dyn Fn(&UsageRow) -> bool| {
        let mut rows = window.rows.iter().filter(|row| wanted(row));
        rows.try_fold(Totals::ZERO, |sum, row| sum.join(row.totals)).map(numbers)
    };
    let groups = match group_by {
        None => Vec::new(),
        Some(GroupBy(label)) => {
            let mut names: Vec<_> = window.rows.iter().map(|row| label(&row.labels)).collect();
            names.sort_unstable();
            names.dedup();
            let group = |name: &Text| {
                let totals = sum(&|row| label(&row.labels) == *name)?;
                Some(GroupTotals { by: name.as_str().to_owned(), totals })
            };
            names.iter().map(group).collect::<Option<_>>()?
        }
    };
    let end = window.start_millis.saturating_add(window.window_millis.into());
    Some(Window {
        start: Timestamp::from_millis(window.start_millis).rfc3339(),
        end: Timestamp::from_millis(end).rfc3339(),
        state: if window.is_final { "final" } else { "open" },
        totals: sum(&|_| true)?,
        groups,
    })
}

const fn numbers(totals: Totals) -> Numbers {
    Numbers { requests: totals.requests, bytes_in: totals.bytes_in, bytes_out: totals.bytes_out }
}
