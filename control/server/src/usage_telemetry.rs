//! `UsageTelemetry`: what the shards count, mirrored when the metrics are read.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::{
    ServerError,
    http_telemetry::{counter, gauge},
};

/// Counts with the words that they stand for.
pub type Counts = Vec<(&'static str, u64)>;

/// Sums over the shards. What counts only grows while the process lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageNumbers {
    /// Connections now.
    pub connections: usize,
    /// Connections taken.
    pub connections_taken: u64,
    /// Connections closed, by reason.
    pub closed: Counts,
    /// Connections refused, by reason.
    pub refused: Counts,
    /// Frames that could not be read, by fault.
    pub faults: Counts,
    /// Records counted.
    pub records: u64,
    /// Records not counted because their label was refused.
    pub records_refused: u64,
    /// Label sets refused, by reason.
    pub labels_refused: Counts,
    /// Batches, by outcome.
    pub batches: Counts,
    /// Events of the HTTP surface, by outcome.
    pub events: Counts,
    /// Slices sealed.
    pub slices_sealed: u64,
    /// Slices that are in the ledger.
    pub slices_exported: u64,
    /// Slices offered again.
    pub exports_retried: u64,
    /// Streams whose slices the ledger will not take any more.
    pub streams_halted: u64,
    /// Tenants known.
    pub tenants: usize,
    /// Label sets in use.
    pub label_sets: usize,
}

/// The series of the usage path.
#[derive(Clone, Debug)]
pub struct UsageTelemetry {
    connections: IntGauge,
    connections_taken: IntCounter,
    closed: IntCounterVec,
    refused: IntCounterVec,
    faults: IntCounterVec,
    records: IntCounter,
    records_refused: IntCounter,
    labels_refused: IntCounterVec,
    batches: IntCounterVec,
    events: IntCounterVec,
    slices_sealed: IntCounter,
    slices_exported: IntCounter,
    exports_retried: IntCounter,
    streams_halted: IntCounter,
    tenants: IntGauge,
    label_sets: IntGauge,
}

impl UsageTelemetry {
    /// Registers the series. `memlock_bytes` is how much memory may be locked, `None` for no limit;
    /// it does not change while the process lives.
    ///
    /// # Errors
    /// `Metrics` if a name is taken in this registry.
    pub fn register(registry: &Registry, memlock_bytes: Option<u64>) -> Result<Self, ServerError> {
        let memlock = gauge(registry, "ron_accounting_memlock_bytes", "memory that may be locked, -1: any")?;
        memlock.set(memlock_bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)));
        let closed = Opts::new("ron_accounting_connections_closed_total", "connections closed");
        let refused = Opts::new("ron_accounting_connections_refused_total", "connections refused");
        let faults = Opts::new("ron_accounting_frame_faults_total", "frames that could not be read");
        let labels = Opts::new("ron_accounting_labels_refused_total", "label sets refused");
        let batches = Opts::new("ron_accounting_batches_total", "batches of producers");
        let events = Opts::new("ron_accounting_events_total", "events of the HTTP surface");
        Ok(Self {
            connections: gauge(registry, "ron_accounting_connections", "connections of producers")?,
            connections_taken: counter(registry, "ron_accounting_connections_total", "connections taken")?,
            closed: family(registry, closed, "reason")?,
            refused: family(registry, refused, "reason")?,
            faults: family(registry, faults, "fault")?,
            records: counter(registry, "ron_accounting_records_total", "records counted")?,
            records_refused: counter(
                registry,
                "ron_accounting_records_refused_total",
                "records not counted because their label was refused",
            )?,
            labels_refused: family(registry, labels, "reason")?,
            batches: family(registry, batches, "outcome")?,
            events: family(registry, events, "outcome")?,
            slices_sealed: counter(registry, "ron_accounting_slices_sealed_total", "slices sealed")?,
            slices_exported: counter(
                registry,
                "ron_accounting_slices_exported_total",
                "slices that are in the ledger",
            )?,
            exports_retried: counter(
                registry,
                "ron_accounting_exports_retried_total",
                "slices offered to the ledger again",
            )?,
            streams_halted: counter(
                registry,
                "ron_accounting_streams_halted_total",
                "streams whose slices the ledger will not take any more",
            )?,
            tenants: gauge(registry, "ron_accounting_tenants", "tenants known")?,
            label_sets: gauge(registry, "ron_accounting_label_sets", "label sets in use")?,
        })
    }

    /// Shows how the shards are; called when the metrics are read.
    pub fn observe(&self, numbers: &UsageNumbers) {
        self.connections.set(shown(numbers.connections));
        self.tenants.set(shown(numbers.tenants));
        self.label_sets.set(shown(numbers.label_sets));
        let counters = [
            (&self.connections_taken, numbers.connections_taken),
            (&self.records, numbers.records),
            (&self.records_refused, numbers.records_refused),
            (&self.slices_sealed, numbers.slices_sealed),
            (&self.slices_exported, numbers.slices_exported),
            (&self.exports_retried, numbers.exports_retried),
            (&self.streams_halted, numbers.streams_halted),
        ];
        counters.into_iter().for_each(|(counter, count)| raise(counter, count));
        let families = [
            (&self.closed, &numbers.closed),
            (&self.refused, &numbers.refused),
            (&self.faults, &numbers.faults),
            (&self.labels_refused, &numbers.labels_refused),
            (&self.batches, &numbers.batches),
            (&self.events, &numbers.events),
        ];
        for (family, counts) in families {
            counts.iter().for_each(|(word, count)| raise(&family.with_label_values(&[*word]), *count));
        }
    }
}

fn family(registry: &Registry, options: Opts, label: &str) -> Result<IntCounterVec, ServerError> {
    let family = IntCounterVec::new(options, &[label])?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// Brings a counter up to `count`. Two readers of the metrics at once may add twice what came
/// between; the next reading does not.
fn raise(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}

fn shown(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_follow_what_the_shards_count() {
        let telemetry = UsageTelemetry::register(&Registry::new(), Some(8 << 20)).unwrap();
        for records in [3, 7, 7] {
            let batches = vec![("ok", records), ("gap", 0)];
            telemetry.observe(&UsageNumbers { records, batches, ..UsageNumbers::default() });
            assert_eq!(telemetry.records.get(), records);
            assert_eq!(telemetry.batches.with_label_values(&["ok"]).get(), records);
        }
    }
}
