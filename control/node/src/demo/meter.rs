//! `Meter`: usage over the accounting socket, counted beside every write. The producer keeps what is
//! not in the ledger yet, through the kill and after it.

use std::{sync::Arc, time::Duration};

use producer::{Label, Options, Producer, StartError};
use wire::usage::{LabelSet, Tally, Totals};

use super::{
    child::Child,
    violation::{DemoError, Violation, same},
};
use crate::keys::random;

/// Tenants of the payers.
const TENANTS: u16 = 4;
const FLUSH_EVERY: Duration = Duration::from_millis(20);
/// How long usage may take into the ledger after the last of it.
const DURABLE_MAX: Duration = Duration::from_secs(60);

/// A producer, and a label set for each tenant.
#[derive(Debug)]
pub(crate) struct Meter {
    producer: Producer,
    labels: Vec<Label>,
}

/// The tenant that a payer's usage is counted for.
pub(crate) fn tenant(payer: u16) -> String {
    format!("tenant-{}", payer % TENANTS)
}

impl Meter {
    pub(crate) fn start(child: &Child, shards: u16) -> Result<Arc<Self>, DemoError> {
        let id = random().map_err(|error| DemoError::Producer(error.to_string()))?;
        let id = *id.first_chunk().expect("32 bytes hold 16");
        let options = Options::new(child.endpoints.accounting_socket.clone(), id);
        let options = Options { shards, flush_every: FLUSH_EVERY, ..options };
        let refused = |error: StartError| DemoError::Producer(error.to_string());
        let producer = Producer::start(&options).map_err(refused)?;
        let label = |payer| {
            let labels = LabelSet::new(&tenant(payer), "POST", "/v1", "demo", "");
            producer.label(&labels.expect("short texts"))
        };
        let labels = (0..TENANTS).map(label).collect();
        Ok(Arc::new(Self { producer, labels }))
    }

    /// Counts one write of a payer. Never waits.
    pub(crate) fn count(&self, payer: u16, tally: Tally) {
        let label = self.labels.get(usize::from(payer % TENANTS));
        self.producer.record(*label.expect("one for each tenant"), tally);
    }

    /// Waits until everything that was counted is in the ledger.
    pub(crate) async fn settle(self: &Arc<Self>, recorded: Totals) -> Result<(), DemoError> {
        let meter = Arc::clone(self);
        let waited = tokio::task::spawn_blocking(move || meter.producer.wait_durable(DURABLE_MAX));
        let durable = waited.await.expect("waiting does not panic");
        let status = self.producer.status();
        if !durable {
            let expected = format!("in the ledger within {} s", DURABLE_MAX.as_secs());
            return Err(Violation::new("the producer's batches", expected, format_args!("{status:?}")).into());
        }
        let add = |sum: Totals, more: Totals| sum.join(more).expect("a run's counts are small");
        let sum = |of: fn(&wire::usage::ProducerStatus) -> Totals| {
            status.lanes.iter().map(of).fold(Totals::ZERO, add)
        };
        same("what the producer recorded", &recorded, &sum(|lane| lane.recorded))?;
        same("what the producer dropped", &Totals::ZERO, &sum(|lane| lane.dropped))?;
        same("what the shards rejected", &Totals::ZERO, &sum(|lane| lane.lost))?;
        Ok(())
    }
}
