//! Usage events in, windows out, over shards that only remember.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use caps::Action;
use wire::usage::{
    ItemOutcome, ItemRefusal, LabelSet, Tally, Totals, UsageItem, UsageQuery, UsageRow, UsageWindow,
};

use super::bed::{Bed, NOW, Seen, ask, post, series};
use crate::{PortError, Promise, UsagePort};

/// Shards that count what they have not seen, in one window.
#[derive(Debug, Default)]
pub(super) struct Shards(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    seen: BTreeSet<[u8; 16]>,
    items: Vec<UsageItem>,
    refusal: Option<ItemRefusal>,
    failing: Option<PortError>,
}

impl Shards {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap()
    }
}

impl UsagePort for Shards {
    fn count(
        &self,
        items: Vec<UsageItem>,
        _patience: Duration,
    ) -> Promise<'_, Result<Vec<ItemOutcome>, PortError>> {
        let mut counted = self.counted();
        let refusal = counted.refusal;
        let mut outcomes = Vec::new();
        for item in items {
            outcomes.push(match refusal {
                Some(refusal) => ItemOutcome::Rejected(refusal),
                None if item.at_millis > NOW.as_millis() + 300_000 => ItemOutcome::Skewed,
                None if !counted.seen.insert(item.event.0) => ItemOutcome::Duplicate,
                None => {
                    counted.items.push(item);
                    ItemOutcome::Ok
                }
            });
        }
        let failing = counted.failing;
        Box::pin(async move { failing.map_or(Ok(outcomes), Err) })
    }

    fn windows(
        &self,
        query: UsageQuery,
        _patience: Duration,
    ) -> Promise<'_, Result<Vec<UsageWindow>, PortError>> {
        let counted = self.counted();
        let of_tenant = counted.items.iter().filter(|item| {
            item.labels.tenant == query.tenant
                && (query.from_millis..query.to_millis).contains(&item.at_millis)
        });
        let row = |item: &UsageItem| UsageRow { labels: item.labels, totals: Totals::from(item.tally) };
        let rows: Vec<_> = of_tenant.map(row).collect();
        let window = UsageWindow {
            start_millis: NOW.as_millis() / 60_000 * 60_000,
            window_millis: 60_000,
            is_final: false,
            rows,
        };
        let windows = if window.rows.is_empty() { vec![] } else { vec![window] };
        Box::pin(async move { Ok(windows) })
    }
}

const ONE: &str = "application/cloudevents+json";
const MANY: &str = "application/cloudevents-batch+json";

/// An event of tenant `acme`, with `extra` attributes.
fn event(id: &str, extra: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"gw-1","type":"svc-gateway","subject":"acme",{extra}
        "data":{{"method":"GET","route":"/v1/o/:id","region":"eu","requests":2,"bytes_in":10,"bytes_out":500}}}}"#
    )
}

async fn send(bed: &Bed, kind: &str, body: &str) -> Seen {
    let mut request = post("/v1/usage", &bed.token);
    request.headers_mut().unwrap().insert("content-type", kind.parse().unwrap());
    ask(&bed.accounting, request.body(body.to_owned())).await
}

#[tokio::test]
async fn an_event_is_counted_once_and_read_back() {
    let bed = Bed::new();
    let seen = send(&bed, ONE, &event("e1", r#""time":"2025-10-16T16:10:59.5Z","#)).await;
    assert_eq!((seen.status, seen.text.as_str()), (200, r#"{"results":[{"idx":0,"outcome":"ok"}]}"#));
    let batch = format!("[{},{}]", event("e1", ""), event("e2", ""));
    let seen = send(&bed, MANY, &batch).await;
    let expected = r#"{"results":[{"idx":0,"outcome":"duplicate"},{"idx":1,"outcome":"ok"}]}"#;
    assert_eq!(seen.text, expected);

    let first = bed.shards.counted().items[0];
    assert_eq!(first.at_millis, NOW.as_millis() - 2_500);
    assert_eq!(first.labels, LabelSet::new("acme", "GET", "/v1/o/:id", "svc-gateway", "eu").unwrap());
    assert_eq!(first.tally, Tally { requests: 2, bytes_in: 10, bytes_out: 500 });
    assert_eq!(bed.shards.counted().items[1].at_millis, NOW.as_millis(), "the time of arrival");

    let seen = bed.get(&bed.accounting, "/v1/usage?tenant=acme&group_by=region").await;
    let totals = r#"{"requests":4,"bytes_in":20,"bytes_out":1000}"#;
    let expected = format!(
        r#"{{"tenant":"acme","windows":[{{"start":"2025-10-16T16:11:00.000Z","end":"2025-10-16T16:12:00.000Z","state":"open","totals":{totals},"groups":[{{"by":"eu","totals":{totals}}}]}}]}}"#
    );
    assert_eq!(seen.text, expected);
    for (query, windows) in [
        ("tenant=other", 0),
        ("tenant=acme&from=2025-10-16T16:11:00Z", 1),
        ("tenant=acme&to=1760631059000", 0),
    ] {
        let seen = bed.get(&bed.accounting, &format!("/v1/usage?{query}")).await;
        assert_eq!(seen.json()["windows"].as_array().unwrap().len(), windows, "{query}");
    }
}

#[tokio::test]
async fn events_that_cannot_be_counted_do_not_hold_up_the_others() {
    let bed = Bed::new();
    let faults = [
        event("e1", "").replace("\"1.0\"", "\"0.3\""),
        event("", ""),
        event("e3", "").replace("acme", ""),
        event("e4", "").replace("eu", &"e".repeat(65)),
        event("e5", r#""time":"yesterday","#),
        event("e6", r#""time":"1969-12-31T23:59:59Z","#),
        event("e7", r#""datacontenttype":"text/plain","#),
    ];
    let batch = format!("[{},{}]", faults.join(","), event("good", ""));
    let seen = send(&bed, MANY, &batch).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    let answer = seen.json();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), faults.len() + 1);
    for (idx, result) in results.iter().enumerate() {
        let expected = if idx < faults.len() { "rejected" } else { "ok" };
        assert_eq!((&result["idx"], &result["outcome"]), (&idx.into(), &expected.into()), "{result}");
        assert_eq!(result["reason"] == "invalid", idx < faults.len());
    }
    let invalid = series(&bed.accounting, r#"ron_accounting_rejected_total{reason="invalid"}"#).await;
    assert_eq!(invalid, Some(7.0));

    let late = send(&bed, ONE, &event("e8", r#""time":"2026-10-16T16:10:59Z","#)).await;
    assert_eq!(late.text, r#"{"results":[{"idx":0,"outcome":"skewed","reason":"skewed"}]}"#);
}

#[tokio::test]
async fn bodies_that_are_not_events_are_refused_whole() {
    let bed = Bed::new();
    for (kind, body, status, code) in [
        ("application/json", event("e", ""), 400, "bad_request"),
        (MANY, event("e", ""), 400, "bad_request"),
        (ONE, format!("[{}]", event("e", "")), 400, "bad_request"),
        (ONE, event("e", r#""knid":"x","#), 400, "bad_request"),
        (ONE, event("e", "").replace(":2,", ":-2,"), 400, "bad_request"),
        (ONE, event("e", "").replace(":2,", ":2.5,"), 400, "bad_request"),
        (ONE, event("e", "").replace(":2,", ":\"2\","), 400, "bad_request"),
        (ONE, event("e", "").replace("bytes_in", "bytesin"), 400, "bad_request"),
        (ONE, "{".to_owned(), 400, "bad_request"),
        (MANY, format!("[{}]", vec!["0"; 8193].join(",")), 400, "bad_request"),
        (ONE, " ".repeat(1 << 20) + "{}", 413, "too_large"),
    ] {
        let seen = send(&bed, kind, &body).await;
        let shown: String = body.chars().take(200).collect();
        assert_eq!((seen.status, seen.code().as_str()), (status, code), "{kind} {shown}");
    }
    assert!(bed.shards.counted().items.is_empty());
}

#[tokio::test]
async fn a_shard_without_room_slows_its_senders_down() {
    let bed = Bed::new();
    for (refusal, status, code) in
        [(ItemRefusal::Busy, 429, "busy"), (ItemRefusal::Draining, 503, "degraded")]
    {
        bed.shards.counted().refusal = Some(refusal);
        let seen = send(&bed, ONE, &event("e", "")).await;
        assert_eq!((seen.status, seen.code().as_str()), (status, code));
        assert!(seen.header("retry-after").is_some());
    }
    let degraded = series(&bed.accounting, r#"ron_accounting_rejected_total{reason="degraded"}"#).await;
    assert_eq!(degraded, Some(1.0));
    bed.shards.counted().refusal = Some(ItemRefusal::TenantLimit);
    let seen = send(&bed, ONE, &event("e", "")).await;
    assert_eq!(seen.text, r#"{"results":[{"idx":0,"outcome":"rejected","reason":"tenant_limit"}]}"#);
    bed.shards.counted().failing = Some(PortError::Timeout);
    assert_eq!(send(&bed, ONE, &event("e", "")).await.json()["outcome"], "unknown");
}

#[tokio::test]
async fn usage_needs_its_own_capabilities() {
    let mut bed = Bed::new();
    bed.token = bed.token_for(&[Action::UsageRead, Action::WalletTransfer], vec![]);
    assert_eq!(send(&bed, ONE, &event("e", "")).await.code(), "forbidden");
    bed.token = bed.token_for(&[Action::UsageWrite], vec![]);
    assert_eq!(send(&bed, ONE, &event("e", "")).await.status, 200);
    assert_eq!(bed.get(&bed.accounting, "/v1/usage?tenant=acme").await.code(), "forbidden");
}

#[tokio::test]
async fn queries_of_usage_are_strict() {
    let bed = Bed::new();
    for query in ["", "tenant=", "tenant=acme&from=x", "tenant=acme&group_by=tenant", "tenant=acme&form=1"] {
        let seen = bed.get(&bed.accounting, &format!("/v1/usage?{query}")).await;
        assert_eq!(seen.code(), "bad_request", "{query}");
    }
}
