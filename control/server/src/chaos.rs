//! `Chaos`: faults that an operator injects into one role's requests, to see what its callers do.
//!
//! Holds: a node without `chaos.enabled` has none of this in its path; one with it and nothing
//! injected pays one atomic load a request. A fault ends by itself. Health, readiness, metrics and
//! version are never touched. Leaves to others: who may inject (`node`).

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use model::{Instant, Nanos};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};
use wire::admin::{Fault, FaultStatus, Inject, Target};

use crate::{Clock, ServerError};

/// The faults of one role.
#[derive(Debug)]
pub struct Chaos {
    target: Target,
    clock: Arc<dyn Clock>,
    armed: AtomicBool,
    /// At most one of each kind.
    faults: Mutex<Vec<Armed>>,
    latency: IntCounter,
    disconnect: IntCounter,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    millis: u64,
    until: Instant,
    met: u64,
}

/// What a request meets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Met {
    /// How long it waits before it is looked at.
    pub(crate) wait: Option<Duration>,
    /// Whether its connection is closed in place of the answer.
    pub(crate) disconnect: bool,
}

/// Marks an answer that is not to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disconnected;

impl fmt::Display for Disconnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an injected fault closes the connection in place of the answer")
    }
}

impl std::error::Error for Disconnected {}

impl Chaos {
    /// No faults yet; the counters are registered, each at zero.
    ///
    /// # Errors
    /// `Metrics` if a name is taken in this registry.
    pub fn register(registry: &Registry, target: Target, clock: Arc<dyn Clock>) -> Result<Self, ServerError> {
        let met = IntCounterVec::new(
            Opts::new("chaos_faults_total", "requests that met an injected fault, by fault"),
            &["fault"],
        )?;
        registry.register(Box::new(met.clone()))?;
        Ok(Self {
            target,
            clock,
            armed: AtomicBool::new(false),
            faults: Mutex::default(),
            latency: met.with_label_values(&[Fault::Latency.word()]),
            disconnect: met.with_label_values(&[Fault::Disconnect.word()]),
        })
    }

    /// Begins a fault in place of one of its kind.
    pub fn inject(&self, inject: &Inject) {
        let Inject { fault, millis, for_secs, .. } = *inject;
        let until = self.clock.instant().after(Nanos::from_secs(for_secs));
        let mut faults = self.faults();
        faults.retain(|armed| armed.fault != fault);
        faults.push(Armed { fault, millis, until, met: 0 });
        self.armed.store(true, Ordering::Release);
    }

    /// Ends all faults.
    pub fn clear(&self) {
        self.faults().clear();
        self.armed.store(false, Ordering::Release);
    }

    /// The faults that are in force now.
    #[must_use]
    pub fn status(&self) -> Vec<FaultStatus> {
        let now = self.clock.instant();
        let mut faults = self.faults();
        self.expire(&mut faults, now);
        let status = |armed: &Armed| FaultStatus {
            target: self.target,
            fault: armed.fault,
            millis: armed.millis,
            left_secs: armed.until.since(now).as_millis().div_ceil(1_000),
            met: armed.met,
        };
        faults.iter().map(status).collect()
    }

    /// What the next request meets; counted.
    pub(crate) fn meet(&self) -> Met {
        if !self.armed.load(Ordering::Acquire) {
            return Met::default();
        }
        let mut faults = self.faults();
        self.expire(&mut faults, self.clock.instant());
        let mut met = Met::default();
        for armed in faults.iter_mut() {
            armed.met += 1;
            match armed.fault {
                Fault::Latency => {
                    met.wait = Some(Duration::from_millis(armed.millis));
                    self.latency.inc();
                }
                Fault::Disconnect => {
                    met.disconnect = true;
                    self.disconnect.inc();
                }
            }
        }
        met
    }

    fn expire(&self, faults: &mut Vec<Armed>, now: Instant) {
        faults.retain(|armed| armed.until > now);
        self.armed.store(!faults.is_empty(), Ordering::Release);
    }

    fn faults(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;
    use crate::tests::StillClock;

    fn inject(fault: Fault, millis: u64, for_secs: u64) -> Inject {
        Inject { target: Target::Wallet, fault, millis, for_secs }
    }

    #[test]
    fn faults_are_met_counted_replaced_and_end_by_themselves() {
        let clock = Arc::new(StillClock::at(Timestamp::from_millis(1_000)));
        let registry = Registry::new();
        let chaos = Chaos::register(&registry, Target::Wallet, Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
        assert_eq!((chaos.meet(), chaos.status()), (Met::default(), Vec::new()));
        chaos.inject(&inject(Fault::Latency, 50, 10));
        chaos.inject(&inject(Fault::Latency, 70, 10));
        chaos.inject(&inject(Fault::Disconnect, 0, 3));
        assert_eq!(chaos.meet(), Met { wait: Some(Duration::from_millis(70)), disconnect: true });
        assert_eq!(chaos.status().len(), 2);
        clock.set(Timestamp::from_millis(4_000));
        assert_eq!(chaos.meet(), Met { wait: Some(Duration::from_millis(70)), disconnect: false });
        let [left] = chaos.status().try_into().unwrap();
        assert_eq!((left.fault, left.left_secs, left.met), (Fault::Latency, 7, 2));
        clock.set(Timestamp::from_millis(11_000));
        assert_eq!((chaos.meet(), chaos.status()), (Met::default(), Vec::new()));
        assert_eq!((chaos.latency.get(), chaos.disconnect.get()), (2, 1));
        chaos.inject(&inject(Fault::Disconnect, 0, 3));
        chaos.clear();
        assert_eq!(chaos.meet(), Met::default());
    }
}
