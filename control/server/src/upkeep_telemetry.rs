//! What is told of the work beside the ledger's work.
//!
//! Holds: every series exists at zero from the start. Leaves to others: when to feed them (`node`).

use prometheus::{IntCounter, IntGauge, Registry};
use wire::Upkeep;

use crate::{
    ServerError,
    http_telemetry::{counter, gauge},
};

/// The series of checkpoints, scrub and space.
#[derive(Clone, Debug)]
pub(crate) struct UpkeepTelemetry {
    checkpoint_entries: IntGauge,
    checkpoint_age: IntGauge,
    checkpoint_failures: IntCounter,
    scrub_bytes: IntCounter,
    scrub_findings: IntGauge,
    scrub_position: IntGauge,
    scrub_last_pass: IntGauge,
    space_free: IntGauge,
}

impl UpkeepTelemetry {
    /// Registers them.
    ///
    /// # Errors
    /// `Metrics` if a name is taken in this registry.
    pub(crate) fn register(registry: &Registry) -> Result<Self, ServerError> {
        Ok(Self {
            checkpoint_entries: gauge(
                registry,
                "ledger_checkpoint_entries",
                "entries in the newest checkpoint that was proven",
            )?,
            checkpoint_age: gauge(
                registry,
                "ledger_checkpoint_age_seconds",
                "since the newest checkpoint was written, 0 without one",
            )?,
            checkpoint_failures: counter(
                registry,
                "ledger_checkpoint_failures_total",
                "checkpoints that could not be made or failed their proof",
            )?,
            scrub_bytes: counter(registry, "ledger_scrub_bytes_total", "bytes that the scrub has read")?,
            scrub_findings: gauge(
                registry,
                "ledger_scrub_findings",
                "places in which stored bytes are known to be damaged",
            )?,
            scrub_position: gauge(
                registry,
                "ledger_scrub_position",
                "the segment at which the scrub stands",
            )?,
            scrub_last_pass: gauge(
                registry,
                "ledger_scrub_last_pass_seconds",
                "when the last pass ended, seconds since 1970, 0 if none did",
            )?,
            space_free: gauge(registry, "ledger_space_free_bytes", "bytes free on the ledger's file system")?,
        })
    }

    /// Shows how it stands.
    pub(crate) fn observe(&self, upkeep: &Upkeep) {
        self.checkpoint_entries.set(signed(upkeep.checkpoint_entries));
        self.checkpoint_age.set(signed(upkeep.checkpoint_age_secs));
        raise(&self.checkpoint_failures, upkeep.checkpoint_failures);
        raise(&self.scrub_bytes, upkeep.scrub_bytes);
        self.scrub_findings.set(signed(upkeep.findings));
        self.scrub_position.set(i64::from(upkeep.scrub_segment));
        self.scrub_last_pass.set(signed(upkeep.scrub_passed.as_millis() / 1_000));
        self.space_free.set(signed(upkeep.free_bytes));
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Brings a counter up to a count that is kept elsewhere.
fn raise(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}
