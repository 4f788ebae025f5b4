//! The committer's times go to the ledger's histograms.

use engine::CommitObserver;
use model::Nanos;
use server::LedgerTelemetry;

/// Feeds `LedgerTelemetry`. Its calls are a few atomic additions.
#[derive(Debug)]
pub(crate) struct TelemetryObserver(pub LedgerTelemetry);

impl CommitObserver for TelemetryObserver {
    fn frame(&mut self, nanos: u64, _entries: u64) {
        self.0.batch_committed(Nanos(nanos));
    }

    fn call(&mut self, nanos: u64) {
        self.0.committed(Nanos(nanos));
    }

    fn write(&mut self, _nanos: u64, _bytes: u64) {}
}
