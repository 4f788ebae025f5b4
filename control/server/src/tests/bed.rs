//! `Bed`: three roles over one desk, with a clock that stands still, and ways to ask them.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, Response, header},
};
use caps::{Action, ActionPattern, Caveat, Grant, KeyId, Keyring, Macaroon, RootKey};
use model::{Instant, Text, Timestamp};
use prometheus::Registry;
use serde_json::Value;

use super::{desk::Desk, usage::Shards};
use crate::{
    AccountingTelemetry, Admin, Authority, Clock, CorrMaker, Front, HttpParams, HttpTelemetry, LedgerPort,
    LedgerTelemetry, MoneyParts, ProcessTelemetry, Readiness, Role, Service, Site, UsageParts, Version,
    WalletTelemetry, admin_router, ledger_router, usage_router, wallet_router,
};

/// 2025-10-16T16:11:02Z.
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_760_631_062_000);

#[derive(Debug)]
pub(crate) struct StillClock(AtomicU64);

impl StillClock {
    pub(crate) const fn at(now: Timestamp) -> Self {
        Self(AtomicU64::new(now.0))
    }

    pub(crate) fn set(&self, at: Timestamp) {
        self.0.store(at.0, Ordering::Relaxed);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        Instant(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct LedgerRole(Arc<Desk>, LedgerTelemetry);

impl Role for LedgerRole {
    fn readiness(&self) -> Readiness {
        let ready = self.0.status().accepting;
        let reason = if ready { String::new() } else { "safe_mode".to_owned() };
        Readiness { ready, reason, committer_lag_ms: Some(0), ..Readiness::default() }
    }

    fn refresh(&self) {
        self.1.observe(&self.0.status());
    }
}

#[derive(Debug)]
struct PlainRole;

impl Role for PlainRole {
    fn readiness(&self) -> Readiness {
        Readiness { ready: true, deps: vec!["ledger"], ..Readiness::default() }
    }
}

pub(super) struct Bed {
    pub(super) desk: Arc<Desk>,
    pub(super) shards: Arc<Shards>,
    pub(super) clock: Arc<StillClock>,
    pub(super) ledger: Arc<Site>,
    pub(super) wallet: Arc<Site>,
    pub(super) accounting: Arc<Site>,
    pub(super) token: String,
    keyring: Keyring,
}

impl Bed {
    pub(super) fn new() -> Self {
        Self::with(HttpParams::default())
    }

    pub(super) fn with(params: HttpParams) -> Self {
        let keyring = Keyring::new(KeyId::parse("k1").unwrap(), &RootKey::new([9; 32]));
        let (desk, shards) = (Arc::new(Desk::new(NOW)), Arc::new(Shards::default()));
        let clock = Arc::new(StillClock(AtomicU64::new(NOW.0)));
        let authority = Arc::new(Authority::new(keyring.clone()));
        let money = MoneyParts {
            ledger: Arc::clone(&desk) as Arc<dyn LedgerPort>,
            authority: Arc::clone(&authority),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            params,
        };
        let usage = UsageParts {
            usage: Arc::clone(&shards) as Arc<dyn crate::UsagePort>,
            authority,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            params,
        };
        let site = |service, routes: Router| site(service, routes, &desk, &clock, params);
        let mut bed = Self {
            ledger: site(Service::Ledger, ledger_router(money.clone())),
            wallet: site(Service::Wallet, wallet_router(money)),
            accounting: site(Service::Accounting, usage_router(usage)),
            token: String::new(),
            desk,
            shards,
            clock,
            keyring,
        };
        bed.token = bed.mint("dev", vec![ActionPattern::any()], vec![]);
        bed
    }

    pub(super) fn mint(&self, subject: &str, actions: Vec<ActionPattern>, caveats: Vec<Caveat>) -> String {
        let grant = Grant { subject: Text::new(subject).unwrap(), actions, caveats };
        Macaroon::mint(&self.keyring, [1; 16], &grant).unwrap().to_text()
    }

    pub(super) fn token_for(&self, actions: &[Action], caveats: Vec<Caveat>) -> String {
        self.mint("dev", actions.iter().map(|action| ActionPattern::only(*action)).collect(), caveats)
    }

    /// Asks the wallet to write, with everything that it wants.
    pub(super) async fn write(&self, path: &str, key: &str, body: &str) -> Seen {
        ask(&self.wallet, post(path, &self.token).header("idempotency-key", key).body(body.to_owned())).await
    }

    pub(super) async fn get(&self, site: &Site, path: &str) -> Seen {
        let request = Request::get(path).header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        ask(site, request.body(String::new())).await
    }

    /// Gives `account` this much.
    pub(super) async fn issue(&self, account: &str, amount: &str) {
        let key = format!("issue-{account}-{amount}-{}", self.desk.size());
        let body = format!(r#"{{"to":"{account}","asset":"ron","amount_minor":"{amount}"}}"#);
        let seen = self.write("/v1/issue", &key, &body).await;
        assert_eq!(seen.status, 200, "{seen:?}");
    }
}

fn site(
    service: Service,
    routes: Router,
    desk: &Arc<Desk>,
    clock: &Arc<StillClock>,
    params: HttpParams,
) -> Arc<Site> {
    let registry = Registry::new();
    let telemetry = HttpTelemetry::register(&registry, service).unwrap();
    let process = ProcessTelemetry::register(&registry).unwrap();
    let wallet = (service == Service::Wallet).then(|| WalletTelemetry::register(&registry).unwrap());
    let role: Arc<dyn Role> = match service {
        Service::Ledger => {
            Arc::new(LedgerRole(Arc::clone(desk), LedgerTelemetry::register(&registry).unwrap()))
        }
        Service::Accounting => {
            AccountingTelemetry::register(&registry).unwrap();
            Arc::new(PlainRole)
        }
        Service::Wallet => Arc::new(PlainRole),
    };
    let version = Version {
        service: service.name(),
        version: "0.1.0",
        git: "unknown",
        rustc: "1.95",
        features: vec![],
        openapi: "",
        pq: false,
        storage: None,
    };
    let admin = admin_router(Arc::new(Admin { role, registry, process, version }));
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let front = Front::new(clock, CorrMaker::new(1), telemetry, wallet, params.inflight_max);
    Arc::new(Site::new(routes.merge(admin), Arc::new(front)))
}

/// An answer, read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) text: String,
}

impl Seen {
    pub(super) async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, 16 << 20).await.unwrap();
        let text_of = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
        Self {
            status: head.status.as_u16(),
            headers: head.headers.iter().map(|(name, value)| (name.to_string(), text_of(value))).collect(),
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The stable code of a problem, checked to be one.
    pub(super) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        for member in ["type", "title", "code", "retryable"] {
            assert!(!problem[member].is_null(), "{member}: {self:?}");
        }
        problem["code"].as_str().unwrap().to_owned()
    }
}

/// A POST of JSON with a capability.
pub(super) fn post(path: &str, token: &str) -> axum::http::request::Builder {
    Request::post(path)
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/json")
}

pub(super) async fn ask(site: &Site, request: axum::http::Result<Request<String>>) -> Seen {
    Seen::of(site.respond(request.unwrap().map(Body::from)).await).await
}

/// The value of a series, written as it stands in the metrics; `None` if there is none.
pub(super) async fn series(site: &Site, name: &str) -> Option<f64> {
    let seen = ask(site, Request::get("/metrics").body(String::new())).await;
    assert_eq!(seen.status, 200);
    let value = seen.text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    Some(value.parse().unwrap())
}
