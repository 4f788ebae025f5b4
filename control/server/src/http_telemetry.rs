//! `HttpTelemetry`: what every role counts about its requests. All series exist from the start.

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

use model::Nanos;

use crate::{ServerError, Service, status};

/// Upper bounds of request latency, in seconds (the wallet's `latency_buckets_ms`).
const LATENCY_BUCKETS_SECONDS: [f64; 13] =
    [0.005, 0.010, 0.020, 0.030, 0.050, 0.075, 0.100, 0.150, 0.200, 0.250, 0.400, 0.800, 1.600];

/// Counters and gauges of one role's HTTP, resolved once.
#[derive(Debug)]
pub struct HttpTelemetry {
    service: Service,
    by_status: Vec<(u16, IntCounter)>,
    other_status: IntCounter,
    rejected: Vec<(&'static str, IntCounter)>,
    rejected_other: IntCounter,
    latency: Histogram,
    inflight: IntGauge,
    inflight_requests: IntGauge,
    quota_exhaustions: IntCounter,
    pub(crate) connections: IntGauge,
    pub(crate) connections_broken: IntCounter,
    pub(crate) tasks_leaked: IntCounter,
}

impl HttpTelemetry {
    /// Registers the series of `service`, each at zero.
    ///
    /// # Errors
    /// `Metrics` if a name is taken in this registry.
    pub fn register(registry: &Registry, service: Service) -> Result<Self, ServerError> {
        let requests = IntCounterVec::new(
            Opts::new("http_requests_total", "HTTP requests answered, by status"),
            &["service", "status"],
        )?;
        let rejected = IntCounterVec::new(
            Opts::new(service.rejected_metric(), "requests refused, by reason"),
            &["reason"],
        )?;
        let options = HistogramOpts::new("request_latency_seconds", "head read to answer made, in seconds")
            .buckets(LATENCY_BUCKETS_SECONDS.to_vec());
        let latency = HistogramVec::new(options, &["service"])?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(rejected.clone()))?;
        registry.register(Box::new(latency.clone()))?;
        let of_status = |label: &str| requests.with_label_values(&[service.name(), label]);
        Ok(Self {
            service,
            by_status: status::ALL.iter().map(|code| (*code, of_status(&code.to_string()))).collect(),
            other_status: of_status("other"),
            rejected: status::reject_reasons(service)
                .map(|reason| (reason, rejected.with_label_values(&[reason])))
                .collect(),
            rejected_other: rejected.with_label_values(&["other"]),
            latency: latency.with_label_values(&[service.name()]),
            inflight: gauge(registry, "inflight", "requests in work")?,
            inflight_requests: gauge(registry, "inflight_requests", "requests in work")?,
            quota_exhaustions: counter(
                registry,
                "quota_exhaustions_total",
                "requests refused by a rate or a quota",
            )?,
            connections: gauge(registry, "http_connections", "connections open, admin included")?,
            connections_broken: counter(
                registry,
                "connections_broken_total",
                "connections that ended before their answer was taken, deadlines included",
            )?,
            tasks_leaked: counter(
                registry,
                "tasks_leaked_total",
                "connections that outlived the drain deadline and were cut",
            )?,
        })
    }

    /// Whose requests these are.
    #[must_use]
    pub const fn service(&self) -> Service {
        self.service
    }

    pub(crate) fn began(&self) {
        self.inflight.inc();
        self.inflight_requests.inc();
    }

    pub(crate) fn ended(&self) {
        self.inflight.dec();
        self.inflight_requests.dec();
    }

    pub(crate) fn answered(&self, status: u16, took: Nanos) {
        let known = self.by_status.iter().find(|(code, _)| *code == status);
        known.map_or(&self.other_status, |(_, counter)| counter).inc();
        self.latency.observe(seconds(took));
    }

    pub(crate) fn rejected(&self, reason: &'static str) {
        let known = self.rejected.iter().find(|(word, _)| *word == reason);
        known.map_or(&self.rejected_other, |(_, counter)| counter).inc();
        if reason == "quota" {
            self.quota_exhaustions.inc();
        }
    }
}

/// A span as the seconds that Prometheus counts in.
pub(crate) fn seconds(span: Nanos) -> f64 {
    std::time::Duration::from_nanos(span.0).as_secs_f64()
}

/// A registered counter.
pub(crate) fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, ServerError> {
    let counter = IntCounter::new(name, help)?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

/// A registered gauge.
pub(crate) fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, ServerError> {
    let gauge = IntGauge::new(name, help)?;
    registry.register(Box::new(gauge.clone()))?;
    Ok(gauge)
}

/// A registered histogram with the given upper bounds in seconds.
pub(crate) fn histogram(
    registry: &Registry,
    name: &str,
    help: &str,
    bounds: &[f64],
) -> Result<Histogram, ServerError> {
    let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(bounds.to_vec()))?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}
