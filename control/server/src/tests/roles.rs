//! What every role answers: health, metrics from the start, correlation, limits, unknown routes.

use axum::{body::Body, http::Request};

use super::{
    bed::{Bed, ask, series},
    desk::Mood,
};
use crate::{HttpParams, PortError};

fn get(path: &str) -> axum::http::Result<Request<String>> {
    Request::get(path).body(String::new())
}

#[tokio::test]
async fn every_series_exists_at_zero_from_the_start() {
    let bed = Bed::new();
    let everywhere = ["inflight_requests", "quota_exhaustions_total", "tasks_leaked_total"];
    for site in [&bed.ledger, &bed.wallet, &bed.accounting] {
        for name in everywhere {
            assert!(series(site, name).await.is_some(), "{name}");
        }
        for family in ["process_resident_memory_bytes", "tokio_workers"] {
            assert!(series(site, family).await.unwrap() > 0.0, "{family}");
        }
    }
    for name in [
        r#"rejected_total{reason="unknown_kind"}"#,
        r#"rejected_total{reason="unauth"}"#,
        r#"busy_rejections_total{q="ingress"}"#,
        r#"breaker_open_seconds{target="kms"}"#,
        "ledger_safe_mode",
        "ledger_seq_gap_detected_total",
        "tls_handshake_failures_total",
        "committer_batch_latency_seconds_count",
        r#"ledger_commit_latency_seconds_bucket{le="0.0001"}"#,
        r#"http_requests_total{service="ron-ledger",status="503"}"#,
    ] {
        assert_eq!(series(&bed.ledger, name).await, Some(0.0), "{name}");
    }
    for name in [
        r#"rejected_total{reason="cap"}"#,
        "wallet_conflicts_total",
        "ledger_connect_errors_total",
        "accounting_flush_lag_seconds",
        r#"http_requests_total{service="svc-wallet",status="401"}"#,
        r#"request_latency_seconds_bucket{service="svc-wallet",le="1.6"}"#,
    ] {
        assert_eq!(series(&bed.wallet, name).await, Some(0.0), "{name}");
    }
    for name in [
        "ron_accounting_export_backlog_gauge",
        r#"accounting_export_backlog{service="ron-accounting"}"#,
        "ron_accounting_export_latency_seconds_count",
        r#"ron_accounting_rejected_total{reason="degraded"}"#,
        "service_restarts_total",
        "bus_overflow_dropped_total",
    ] {
        assert_eq!(series(&bed.accounting, name).await, Some(0.0), "{name}");
    }
}

#[tokio::test]
async fn readiness_says_why_not() {
    let bed = Bed::new();
    let ready = ask(&bed.ledger, get("/readyz")).await;
    assert_eq!((ready.status, &ready.json()["ready"]), (200, &true.into()));
    bed.desk.set(Mood::Failing(PortError::SafeMode));
    let poisoned = ask(&bed.ledger, get("/readyz")).await;
    assert_eq!((poisoned.status, &poisoned.json()["reason"]), (503, &"safe_mode".into()));
    assert_eq!(series(&bed.ledger, "ledger_safe_mode").await, Some(1.0));
    assert_eq!(series(&bed.ledger, r#"queue_capacity{q="commit"}"#).await, Some(64.0));
    let wallet = ask(&bed.wallet, get("/readyz")).await;
    assert_eq!(wallet.text, r#"{"ready":true,"degraded":false,"reason":"","deps":["ledger"]}"#);
    let health = ask(&bed.ledger, get("/healthz")).await;
    assert_eq!(health.text, r#"{"ok":true,"version":"0.1.0"}"#);
    let version = ask(&bed.ledger, get("/version")).await.json();
    for field in ["service", "version", "git", "rustc", "features", "openapi", "pq"] {
        assert!(!version[field].is_null(), "{field}");
    }
}

#[tokio::test]
async fn a_correlation_id_is_taken_or_made_and_echoed() {
    let bed = Bed::new();
    let with =
        |id: &str| ask(&bed.ledger, Request::get("/nowhere").header("x-corr-id", id).body(String::new()));
    assert_eq!(with("abc-1").await.header("x-corr-id"), Some("abc-1"));
    for bad in ["", "a b", &"x".repeat(65)] {
        let made = with(bad).await;
        assert!(made.header("x-corr-id").unwrap().starts_with("0000000000000001-"), "{bad:?}");
    }
    let twice = [ask(&bed.ledger, get("/roots")).await, ask(&bed.ledger, get("/roots")).await];
    assert_ne!(twice[0].header("x-corr-id"), twice[1].header("x-corr-id"));
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let bed = Bed::new();
    for (path, later) in [
        ("/v1/holds", true),
        ("/v1/holds/7/capture", true),
        ("/v1/idempotency/k", true),
        ("/openapi.json", true),
        ("/v1/holdsx", false),
        ("/nowhere", false),
    ] {
        let seen = ask(&bed.wallet, get(path)).await;
        assert_eq!((seen.status, seen.code().as_str()), (404, "not_found"), "{path}");
        let detail = seen.json()["detail"].as_str().unwrap().to_owned();
        assert_eq!(detail.contains("not in this version"), later, "{path}: {detail}");
    }
    let seen = ask(&bed.wallet, get("/v1/transfer")).await;
    assert_eq!((seen.status, seen.header("allow")), (405, Some("POST")), "{seen:?}");
    assert_eq!(seen.code(), "method_not_allowed");
}

#[tokio::test]
async fn more_requests_than_the_ceiling_are_turned_away() {
    let bed = Bed::with(HttpParams { inflight_max: 1, ..HttpParams::default() });
    // A body that never ends keeps the first request in work.
    let body = Body::new(Never);
    let slow = Request::post("/ingest").header("content-type", "application/json").body(body).unwrap();
    let first = bed.ledger.respond(slow);
    let mut first = std::pin::pin!(first);
    let polled =
        std::future::poll_fn(|context| std::task::Poll::Ready(first.as_mut().poll(context).is_pending()));
    assert!(polled.await, "the first request waits for its body");
    let second = ask(&bed.ledger, get("/roots")).await;
    assert_eq!((second.status, second.code().as_str()), (503, "overloaded"));
    assert_eq!(second.header("retry-after"), Some("1"));
    assert_eq!(ask(&bed.ledger, get("/healthz")).await.status, 200, "health is answered whatever the load");
    assert_eq!(series(&bed.ledger, r#"rejected_total{reason="overloaded"}"#).await, Some(1.0));
}

/// A body that never goes on.
struct Never;

impl axum::body::HttpBody for Never {
    type Data = axum::body::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Self::Data>, Self::Error>>> {
        std::task::Poll::Pending
    }
}
