//! `Site`: one listener's routes behind what every request passes.
//!
//! Holds: every answer carries `X-Corr-ID`, and all but the admin routes' are counted; more than `inflight_max` requests in
//! work are answered 503; a panic costs its request only. Leaves to others: the socket
//! (`listener`), what a route does.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderName, Response},
    response::IntoResponse,
};
use tower::ServiceExt;

use wallet::Code;

use crate::{
    Chaos, Clock, CorrId, CorrMaker, HttpTelemetry, Refusal, Service, WalletTelemetry,
    chaos::{Disconnected, Met},
    refusal::{EntriesRejected, Rejected, method_not_allowed},
    status,
};

/// The header that ties answers, requests and log lines together.
const CORR_ID: HeaderName = HeaderName::from_static("x-corr-id");

/// Routes that are answered whatever the load.
const ALWAYS: [&str; 4] = ["/healthz", "/readyz", "/metrics", "/version"];

/// What every request of a role passes, shared by its listeners.
#[derive(Debug)]
pub struct Front {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Makes ids for requests that bring none.
    pub corr: CorrMaker,
    /// Counts.
    pub telemetry: HttpTelemetry,
    /// Counts conflicts; the wallet only.
    pub wallet: Option<WalletTelemetry>,
    /// Requests in work at most.
    pub inflight_max: usize,
    inflight: AtomicUsize,
    chaos: Option<Arc<Chaos>>,
}

impl Front {
    /// A front with nothing in work.
    #[must_use]
    pub fn new(
        clock: Arc<dyn Clock>,
        corr: CorrMaker,
        telemetry: HttpTelemetry,
        wallet: Option<WalletTelemetry>,
        inflight_max: usize,
    ) -> Self {
        Self { clock, corr, telemetry, wallet, inflight_max, inflight: AtomicUsize::new(0), chaos: None }
    }

    /// The same, with a place where faults may be injected.
    #[must_use]
    pub fn with_chaos(self, chaos: Arc<Chaos>) -> Self {
        Self { chaos: Some(chaos), ..self }
    }

    /// Where faults may be injected; `None` where they are not enabled.
    #[must_use]
    pub fn chaos(&self) -> Option<&Arc<Chaos>> {
        self.chaos.as_ref()
    }

    /// Requests in work now.
    #[must_use]
    pub fn inflight(&self) -> usize {
        self.inflight.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Entered<'_> {
        let before = self.inflight.fetch_add(1, Ordering::Relaxed);
        self.telemetry.began();
        Entered { front: self, fits: before < self.inflight_max }
    }
}

/// A request in work; ends when it falls, however it ended.
struct Entered<'a> {
    front: &'a Front,
    fits: bool,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let before = self.front.inflight.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "each request that ends was counted when it began");
        self.front.telemetry.ended();
    }
}

/// An open connection, counted in the gauge.
pub(crate) struct Connected<'a>(&'a HttpTelemetry);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}

/// One listener's routes.
#[derive(Debug)]
pub struct Site {
    router: Router,
    front: Arc<Front>,
}

impl Site {
    /// Serves `router` behind `front`. What the router does not know is answered 404.
    #[must_use]
    pub fn new(router: Router, front: Arc<Front>) -> Self {
        let router = router.fallback(unknown_route).method_not_allowed_fallback(method_not_allowed);
        Self { router, front }
    }

    /// Whose requests these are.
    #[must_use]
    pub fn service(&self) -> Service {
        self.front.telemetry.service()
    }

    /// Answers one request.
    pub async fn respond(&self, request: Request) -> Response<Body> {
        let corr = request.headers().get(&CORR_ID).and_then(CorrId::take);
        let corr = corr.unwrap_or_else(|| self.front.corr.make());
        let mut response = if ALWAYS.contains(&request.uri().path()) {
            self.route(request).await
        } else {
            self.work(request, &corr).await
        };
        response.headers_mut().insert(CORR_ID, corr.header());
        response
    }

    /// Answers a request that is the role's work: bounded and counted.
    async fn work(&self, request: Request, corr: &CorrId) -> Response<Body> {
        let began = self.front.clock.instant();
        let said = tracing::enabled!(tracing::Level::DEBUG)
            .then(|| (request.method().clone(), request.uri().path().to_owned()));
        let entered = self.front.enter();
        let met = self.front.chaos.as_ref().map_or_else(Met::default, |chaos| chaos.meet());
        if let Some(wait) = met.wait.filter(|_| entered.fits) {
            tokio::time::sleep(wait).await;
        }
        let mut response = if entered.fits {
            self.route(request).await
        } else {
            Refusal::of(Code::Overloaded).into_response()
        };
        drop(entered);
        if met.disconnect {
            response.extensions_mut().insert(Disconnected);
        }
        if let Some((method, path)) = said {
            let (service, status) = (self.service().name(), response.status().as_u16());
            tracing::debug!(service, status, "{method} {path} status={status} corr_id={corr}");
        }
        self.count(&response, corr, self.front.clock.instant().since(began));
        response
    }

    async fn route(&self, request: Request) -> Response<Body> {
        let mut answering = pin!(self.router.clone().oneshot(request));
        let answer = poll_fn(|context| {
            let polled = catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context)));
            match polled {
                Ok(Poll::Pending) => Poll::Pending,
                Ok(Poll::Ready(Ok(response))) => Poll::Ready(Ok(response)),
                Ok(Poll::Ready(Err(never))) => match never {},
                Err(panic) => Poll::Ready(Err(panic)),
            }
        });
        answer.await.unwrap_or_else(|panic| {
            Refusal::defect(format!("it panicked: {}", panic_text(panic.as_ref()))).into_response()
        })
    }

    fn count(&self, response: &Response<Body>, corr: &CorrId, took: model::Nanos) {
        let telemetry = &self.front.telemetry;
        telemetry.answered(response.status().as_u16(), took);
        if let Some(EntriesRejected(reasons)) = response.extensions().get() {
            reasons.iter().for_each(|reason| telemetry.rejected(reason));
        }
        let Some(Rejected { code, note }) = response.extensions().get() else { return };
        let (service, reason) = (self.service().name(), status::reject_reason(self.service(), *code));
        telemetry.rejected(reason);
        if let Some(wallet) = &self.front.wallet {
            if status::is_wallet_conflict(*code) {
                wallet.conflicts.inc();
            }
            if *code == Code::UpstreamUnavailable {
                wallet.ledger_connect_errors.inc();
            }
        }
        if *code == Code::Internal {
            tracing::error!(service, reason, "a request met a defect: {note} corr_id={corr}");
        } else {
            tracing::debug!(service, reason, "refused code={code} {note} corr_id={corr}");
        }
    }

    pub(crate) fn count_leaked_tasks(&self, count: usize) {
        self.front.telemetry.tasks_leaked.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    pub(crate) fn count_broken_connection(&self) {
        self.front.telemetry.connections_broken.inc();
    }

    /// The whole answer, counted, to a connection on which no request was read.
    pub(crate) fn refuse_unread(&self, code: Code) -> Vec<u8> {
        let corr = self.front.corr.make();
        let (service, reason) = (self.service().name(), status::reject_reason(self.service(), code));
        self.front.telemetry.answered(status::of(code), model::Nanos(0));
        self.front.telemetry.rejected(reason);
        tracing::debug!(service, reason, "refused unread code={code} corr_id={corr}");
        Refusal::bare(code, &corr)
    }

    /// A connection is open until the guard falls.
    pub(crate) fn connected(&self) -> Connected<'_> {
        self.front.telemetry.connections.inc();
        Connected(&self.front.telemetry)
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text")
}

/// Routes that are documented and not built: the prefix tells them from what never will be.
const NOT_IN_THIS_VERSION: [&str; 8] = [
    "/v1/holds",
    "/v1/idempotency",
    "/entries",
    "/feed",
    "/tile",
    "/slices",
    "/openapi.json",
    "/v1/accounts",
];

async fn unknown_route(request: Request) -> Refusal {
    let path = request.uri().path();
    let under =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let detail = if NOT_IN_THIS_VERSION.iter().any(|prefix| under(prefix)) {
        "this route is not in this version"
    } else {
        "there is no such route"
    };
    Refusal::new(Code::NotFound, detail)
}
