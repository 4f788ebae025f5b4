//! What every role answers on its admin address: health, readiness, metrics, version.

use std::{fmt, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderValue, Response, header},
    response::IntoResponse,
    routing::get,
};
use prometheus::{Encoder, Registry, TextEncoder};
use serde::Serialize;

use crate::{ProcessTelemetry, Refusal, Version, status};

/// The media type of the Prometheus text format.
const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What `GET /readyz` answers. A role leaves out the fields that it does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether the role can do its work.
    pub ready: bool,
    /// Whether something that it can do without for a while is missing.
    pub degraded: bool,
    /// Why it is not ready or degraded; empty if neither.
    pub reason: String,
    /// What the role depends on.
    pub deps: Vec<&'static str>,
    /// Age of the oldest frame that is not durable, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub committer_lag_ms: Option<u64>,
    /// Whether the queues have room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backpressure_ok: Option<bool>,
    /// Whether the keys are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_ready: Option<bool>,
    /// Whether the policy is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_ready: Option<bool>,
    /// Whether the wallet is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wallet_ready: Option<bool>,
}

/// What the admin routes ask of their role. Both are cheap and never wait.
pub trait Role: Send + Sync + fmt::Debug {
    /// How the role is. What depends on it does not enter into its own readiness.
    fn readiness(&self) -> Readiness;

    /// Brings gauges that mirror a state up to date; called before the metrics are written.
    fn refresh(&self) {}
}

/// What the admin routes serve.
#[derive(Debug)]
pub struct Admin {
    /// The role.
    pub role: Arc<dyn Role>,
    /// The role's series.
    pub registry: Registry,
    /// The process's series in that registry.
    pub process: ProcessTelemetry,
    /// The build.
    pub version: Version,
}

/// The admin routes of a role.
pub fn admin_router(admin: Arc<Admin>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/version", get(version))
        .with_state(admin)
}

#[derive(Serialize)]
struct Health {
    ok: bool,
    version: &'static str,
}

async fn healthz(State(admin): State<Arc<Admin>>) -> Json<Health> {
    Json(Health { ok: true, version: admin.version.version })
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response<Body> {
    let readiness = admin.role.readiness();
    let code = if readiness.ready { status::OK } else { status::UNAVAILABLE };
    (status::code(code), Json(readiness)).into_response()
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Result<Response<Body>, Refusal> {
    admin.role.refresh();
    admin.process.refresh();
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&admin.registry.gather(), &mut text)
        .map_err(|error| Refusal::defect(format!("the metrics could not be written: {error}")))?;
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, PROMETHEUS_TEXT);
    Ok(response)
}

async fn version(State(admin): State<Arc<Admin>>) -> Json<Version> {
    Json(admin.version.clone())
}
