//! What each role tells beside its requests: handles that the composition feeds.
//!
//! Holds: every series exists at zero from the start. Leaves to others: when to feed them (`node`).

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use model::Nanos;

use crate::{
    ServerError, Service, Storage,
    http_telemetry::{counter, gauge, histogram, seconds},
};

/// Upper bounds of commit latency, in seconds: 25 µs doubling to 1.6 s and a last step.
const COMMIT_BUCKETS_SECONDS: [f64; 18] = [
    0.000_025, 0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.000_8, 0.001_6, 0.003_2, 0.006_4, 0.012_5, 0.025, 0.05,
    0.1, 0.2, 0.4, 0.8, 1.6, 3.2,
];

/// Upper bounds of the latency of exports, in seconds.
const EXPORT_BUCKETS_SECONDS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Targets that a breaker could open for.
const BREAKER_TARGETS: [&str; 3] = ["kms", "policy", "wallet"];

/// The ledger's own series.
#[derive(Clone, Debug)]
pub struct LedgerTelemetry {
    commit_latency: Histogram,
    batch_latency: Histogram,
    busy_ingress: IntCounter,
    safe_mode: IntGauge,
    committed_size: IntGauge,
    queue_depth: IntGauge,
    queue_capacity: IntGauge,
    full: IntGauge,
    space_low: IntGauge,
    clock_ahead: IntGauge,
    derived_lost: IntGauge,
    storage: IntGaugeVec,
    registered_buffers: IntGauge,
    mirror: MirrorGauges,
}

/// What there is to tell of the two copies of the journal.
#[derive(Clone, Debug)]
struct MirrorGauges {
    lost: IntGauge,
    repaired_bytes: IntGauge,
}

impl MirrorGauges {
    fn register(registry: &Registry) -> Result<Self, ServerError> {
        Ok(Self {
            lost: gauge(
                registry,
                "ledger_mirror_lost",
                "1 if one of the two copies of the journal does not count",
            )?,
            repaired_bytes: gauge(
                registry,
                "ledger_mirror_repaired_bytes",
                "bytes that one copy lacked at the start and was given",
            )?,
        })
    }
}

impl LedgerTelemetry {
    /// Registers the ledger's series.
    ///
    /// # Errors
    /// `Metrics` if a name is taken in this registry.
    pub fn register(registry: &Registry) -> Result<Self, ServerError> {
        let busy = IntCounterVec::new(
            Opts::new("busy_rejections_total", "calls refused because a queue was full"),
            &["q"],
        )?;
        registry.register(Box::new(busy.clone()))?;
        let breakers = IntCounterVec::new(
            Opts::new("breaker_open_seconds", "seconds that the breaker of a target has been open"),
            &["target"],
        )?;
        registry.register(Box::new(breakers.clone()))?;
        for target in BREAKER_TARGETS {
            breakers.with_label_values(&[target]).reset();
        }
        let storage = IntGaugeVec::new(
            Opts::new("ledger_storage_info", "1 for how the journal is written"),
            &["io", "commit", "direct"],
        )?;
        registry.register(Box::new(storage.clone()))?;
        counter(registry, "tls_handshake_failures_total", "TLS handshakes that failed")?;
        counter(registry, "ledger_seq_gap_detected_total", "gaps found in the sequence")?;
        Ok(Self {
            commit_latency: histogram(
                registry,
                "ledger_commit_latency_seconds",
                "call taken to durable answer, in seconds",
                &COMMIT_BUCKETS_SECONDS,
            )?,
            batch_latency: histogram(
                registry,
                "committer_batch_latency_seconds",
                "batch taken to its answers queued, in seconds",
                &COMMIT_BUCKETS_SECONDS,
            )?,
            busy_ingress: busy.with_label_values(&["ingress"]),
            safe_mode: gauge(registry, "ledger_safe_mode", "1 while the ledger takes no writes")?,
            committed_size: gauge(registry, "ledger_committed_seq", "the newest durable sequence number")?,
            queue_depth: queue(registry, "queue_depth", "calls that wait in a queue", "commit")?,
            queue_capacity: queue(registry, "queue_capacity", "calls that a queue holds", "commit")?,
            full: gauge(registry, "ledger_full", "1 while no new entries are taken for want of space")?,
            space_low: gauge(
                registry,
                "ledger_space_low",
                "1 while the next segment cannot be prepared, for want of space or otherwise",
            )?,
            clock_ahead: gauge(
                registry,
                "ledger_clock_ahead_seconds",
                "ledger time less the wall clock, in whole seconds",
            )?,
            derived_lost: gauge(
                registry,
                "ledger_derived_lost",
                "1 while tiles and frame index are not there, until they are derived anew",
            )?,
            mirror: MirrorGauges::register(registry)?,
            storage,
            registered_buffers: gauge(
                registry,
                "ledger_registered_buffers",
                "buffers of the journal that the kernel keeps pinned",
            )?,
        })
    }

    /// Shows how the journal is written.
    pub fn storage(&self, storage: &Storage) {
        let direct = if storage.direct { "true" } else { "false" };
        self.storage.with_label_values(&[storage.io, storage.commit, direct]).set(1);
        self.registered_buffers.set(i64::try_from(storage.registered_buffers).unwrap_or(i64::MAX));
    }

    /// One call went from the intake to its durable answer.
    pub fn committed(&self, took: Nanos) {
        self.commit_latency.observe(seconds(took));
    }

    /// One batch went from being taken to its answers.
    pub fn batch_committed(&self, took: Nanos) {
        self.batch_latency.observe(seconds(took));
    }

    /// A call was refused because the intake was full.
    pub fn busy(&self) {
        self.busy_ingress.inc();
    }

    /// Shows how the ledger is; called when the metrics are read.
    pub fn observe(&self, status: &wire::Status) {
        let reasons = [Some(model::Reason::SafeMode), Some(model::Reason::NoSpace)];
        self.safe_mode.set(i64::from(reasons.contains(&status.refusing)));
        self.committed_size.set(i64::try_from(status.committed.size).unwrap_or(i64::MAX));
        self.queue_depth.set(i64::try_from(status.intake_depth).unwrap_or(i64::MAX));
        self.queue_capacity.set(i64::try_from(status.intake_capacity).unwrap_or(i64::MAX));
        self.full.set(i64::from(status.refusing == Some(model::Reason::NoSpace)));
        self.space_low.set(i64::from(status.health.space_low));
        self.clock_ahead.set(status.health.clock_ahead_millis / 1_000);
        self.derived_lost.set(i64::from(status.health.derived_lost));
        self.mirror.lost.set(i64::from(status.health.mirror_lost));
        self.mirror.repaired_bytes.set(i64::try_from(status.health.repaired_bytes).unwrap_or(i64::MAX));
    }
}

/// The wallet's own series.
#[derive(Clone, Debug)]
pub struct WalletTelemetry {
    /// Answers of 409 but for insufficient funds.
    pub conflicts: IntCounter,
    /// Times that the ledger could not be reached.
    pub ledger_connect_errors: IntCounter,
}

impl WalletTelemetry {
    /// Registers the wallet's series.
    ///
    /// # Errors
    /// `Metrics` if a name is taken in this registry.
    pub fn register(registry: &Registry) -> Result<Self, ServerError> {
        gauge(
            registry,
            "accounting_flush_lag_seconds",
            "age of the oldest metered request that accounting has not taken",
        )?;
        Ok(Self {
            conflicts: counter(registry, "wallet_conflicts_total", "409 answers but insufficient funds")?,
            ledger_connect_errors: counter(
                registry,
                "ledger_connect_errors_total",
                "times that the ledger was not there",
            )?,
        })
    }
}

/// Accounting's own series.
#[derive(Clone, Debug)]
pub struct AccountingTelemetry {
    backlog: IntGauge,
    backlog_of_service: IntGauge,
    export_latency: Histogram,
}

impl AccountingTelemetry {
    /// Registers accounting's series.
    ///
    /// # Errors
    /// `Metrics` if a name is taken in this registry.
    pub fn register(registry: &Registry) -> Result<Self, ServerError> {
        let backlog_of = IntGaugeVec::new(
            Opts::new("accounting_export_backlog", "sealed slices that are not in the ledger yet"),
            &["service"],
        )?;
        registry.register(Box::new(backlog_of.clone()))?;
        counter(registry, "service_restarts_total", "starts after an end that was not clean")?;
        let dropped = "messages dropped because a subscriber was slow";
        counter(registry, "bus_overflow_dropped_total", dropped)?;
        Ok(Self {
            backlog: gauge(
                registry,
                "ron_accounting_export_backlog_gauge",
                "sealed slices that are not in the ledger yet",
            )?,
            backlog_of_service: backlog_of.with_label_values(&[Service::Accounting.name()]),
            export_latency: histogram(
                registry,
                "ron_accounting_export_latency_seconds",
                "slice sealed to slice durable in the ledger, in seconds",
                &EXPORT_BUCKETS_SECONDS,
            )?,
        })
    }

    /// Sealed slices that wait for the ledger, at this moment.
    pub fn backlog(&self, slices: usize) {
        let slices = i64::try_from(slices).unwrap_or(i64::MAX);
        self.backlog.set(slices);
        self.backlog_of_service.set(slices);
    }

    /// One slice is durable in the ledger, so long after it was sealed.
    pub fn exported(&self, took: Nanos) {
        self.export_latency.observe(seconds(took));
    }
}

fn queue(registry: &Registry, name: &str, help: &str, queue: &str) -> Result<IntGauge, ServerError> {
    let gauges = IntGaugeVec::new(Opts::new(name, help), &["q"])?;
    registry.register(Box::new(gauges.clone()))?;
    Ok(gauges.with_label_values(&[queue]))
}
