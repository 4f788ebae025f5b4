//! What only `server` decodes, through its real routes: query strings, paths, `CloudEvents`.
//!
//! The port behind them counts nothing and forgets everything: deciding is not what is looked at.

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use caps::{ActionPattern, Grant, KeyId, Keyring, Macaroon, RootKey};
use model::{Instant, Text, Timestamp};
use server::{
    Authority, Clock, CorrMaker, Front, HttpParams, HttpTelemetry, PortError, Promise, Registry, Service,
    Site, UsageParts, UsagePort, usage_router,
};
use wire::usage::{ItemOutcome, UsageItem, UsageQuery, UsageWindow};

use super::harness::Target;

const NOW: Timestamp = Timestamp::from_millis(1_760_631_062_000);

#[derive(Debug)]
struct StillClock;

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn instant(&self) -> Instant {
        Instant(0)
    }
}

/// Remembers what came through.
#[derive(Debug, Default)]
struct Port {
    items: Mutex<Vec<UsageItem>>,
    queries: Mutex<Vec<UsageQuery>>,
}

impl UsagePort for Port {
    fn count(&self, items: Vec<UsageItem>, _: Duration) -> Promise<'_, Result<Vec<ItemOutcome>, PortError>> {
        let outcomes = vec![ItemOutcome::Ok; items.len()];
        *self.items.lock().unwrap() = items;
        Box::pin(async { Ok(outcomes) })
    }

    fn windows(&self, query: UsageQuery, _: Duration) -> Promise<'_, Result<Vec<UsageWindow>, PortError>> {
        self.queries.lock().unwrap().push(query);
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Accounting's routes, a token for them, and what came through.
struct Bench {
    site: Site,
    token: String,
    port: Arc<Port>,
}

impl Bench {
    fn new() -> Self {
        let keyring = Keyring::new(KeyId::parse("k1").unwrap(), &RootKey::new([9; 32]));
        let grant = Grant {
            subject: Text::new("dev").unwrap(),
            actions: vec![ActionPattern::any()],
            caveats: Vec::new(),
        };
        let token = Macaroon::mint(&keyring, [1; 16], &grant).unwrap().to_text();
        let port = Arc::new(Port::default());
        let parts = UsageParts {
            usage: Arc::clone(&port) as Arc<dyn UsagePort>,
            authority: Arc::new(Authority::new(keyring)),
            clock: Arc::new(StillClock),
            params: HttpParams::default(),
        };
        let telemetry = HttpTelemetry::register(&Registry::new(), Service::Accounting).unwrap();
        let front = Front::new(Arc::new(StillClock), CorrMaker::new(1), telemetry, None, 8);
        Self { site: Site::new(usage_router(parts), Arc::new(front)), token, port }
    }

    /// The status, or `None` if no request can be made of the target.
    fn ask(&self, method: &str, target: &str, kind: &str, body: &[u8]) -> Option<u16> {
        let request = hyper::Request::builder()
            .method(method)
            .uri(target)
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", kind)
            .body(body.to_vec().into())
            .ok()?;
        let mut answering = pin!(self.site.respond(request));
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(response) = answering.as_mut().poll(&mut context) else {
            panic!("nothing of this waits");
        };
        let status = response.status().as_u16();
        let headers = response.headers();
        assert!(headers.contains_key("x-corr-id"));
        let media_type = headers["content-type"].to_str().unwrap();
        let expected = if status == 200 { "application/json" } else { "application/problem+json" };
        assert_eq!(media_type, expected, "{status}");
        assert_ne!(status, 500, "a defect");
        Some(status)
    }
}

fn event(id: &str, extra: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"gw-1","type":"svc-gateway","subject":"acme",{extra}"data":{{"method":"GET","route":"/v1/o/:id","region":"eu","requests":2,"bytes_in":10,"bytes_out":500}}}}"#
    )
}

fn cloud_events(name: &'static str, kind: &str, seeds: &[String]) {
    let bench = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (_entered, bench) = (bench.enter(), Bench::new());
    let target = Target {
        name,
        times: 1,
        seeds: seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect(),
        repair: None,
        fixed: 64 << 10,
        factor: 64,
        refusals: &["400"],
    };
    let ask = |bytes: &[u8]| match bench.ask("POST", "/v1/usage", kind, bytes) {
        Some(200) => Ok(()),
        other => Err(other.unwrap_or(0)),
    };
    let seen = target.run(ask, |bytes| {
        ask(bytes).unwrap();
        for item in bench.port.items.lock().unwrap().drain(..) {
            assert!(!item.labels.tenant.is_empty());
        }
    });
    assert_eq!(seen.refused.len(), 1, "{seen:?}");
}

#[test]
fn one_cloud_event() {
    let seeds = [event("e1", ""), event("e2", r#""time":"2025-10-16T16:10:59.5Z","#)];
    cloud_events("cloud_event", "application/cloudevents+json", &seeds);
}

#[test]
fn batches_of_cloud_events() {
    let seeds = [format!("[{},{}]", event("e1", ""), event("e2", ""))];
    cloud_events("cloud_event_batch", "application/cloudevents-batch+json", &seeds);
}

#[test]
fn queries() {
    let bench = Bench::new();
    let seeds = [
        "tenant=acme&from=2025-10-16T16:11:00Z&to=1760631059000&group_by=route",
        "tenant=%61cme%2Fx+y&group_by=region",
    ];
    let target = Target {
        name: "query",
        times: 1,
        seeds: seeds.map(|seed| seed.as_bytes().to_vec()).into(),
        repair: None,
        fixed: 32 << 10,
        factor: 32,
        refusals: &["400"],
    };
    let ask = |bytes: &[u8]| {
        let query = String::from_utf8_lossy(bytes);
        match bench.ask("GET", &format!("/v1/usage?{query}"), "text/plain", &[]) {
            Some(200) => Ok(()),
            other => Err(other.unwrap_or(0)),
        }
    };
    target.run(ask, |bytes| {
        ask(bytes).unwrap();
        let query = bench.port.queries.lock().unwrap().drain(..).next_back().unwrap();
        assert!(!query.tenant.is_empty());
    });
}
