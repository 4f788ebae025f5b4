//! Readiness of the roles: what each cannot work without makes it unready.

use std::sync::Arc;

use server::{LedgerPort, LedgerTelemetry, Readiness, Role};
use wire::Status;

/// Ledger time may be this far from the wall clock before it is worth a word.
const CLOCK_MILLIS: i64 = 60_000;

/// Why the ledger is not ready, or what is not as it should be; empty if all is well.
fn reason(status: &Status, is_ram: bool) -> &'static str {
    let health = status.health;
    match status.refusing {
        Some(reason) => reason.word(),
        None if health.space_low => "space_low",
        None if health.mirror_lost => "mirror_lost",
        None if health.clock_ahead_millis >= CLOCK_MILLIS => "clock_ahead",
        None if health.clock_ahead_millis <= -CLOCK_MILLIS => "clock_behind",
        None if health.derived_lost => "derived_lost",
        None if is_ram => "ram_only",
        None => "",
    }
}

/// The ledger's own readiness.
#[derive(Debug)]
pub(crate) struct LedgerReadiness {
    pub(crate) ledger: Arc<dyn LedgerPort>,
    pub(crate) telemetry: LedgerTelemetry,
    /// Whether nothing of it is on disk.
    pub(crate) is_ram: bool,
}

impl Role for LedgerReadiness {
    fn readiness(&self) -> Readiness {
        let status = self.ledger.status();
        let reason = reason(&status, self.is_ram);
        Readiness {
            ready: status.accepting,
            degraded: !reason.is_empty(),
            reason: reason.into(),
            deps: Vec::new(),
            committer_lag_ms: Some(status.committer_lag_millis),
            backpressure_ok: Some(status.intake_depth < status.intake_capacity),
            kms_ready: Some(true),
            policy_ready: Some(true),
            wallet_ready: Some(true),
        }
    }

    fn refresh(&self) {
        self.telemetry.observe(&self.ledger.status());
    }
}

/// The wallet cannot write without the ledger.
#[derive(Debug)]
pub(crate) struct WalletReadiness(pub(crate) Arc<dyn LedgerPort>);

impl Role for WalletReadiness {
    fn readiness(&self) -> Readiness {
        let status = self.0.status();
        Readiness {
            ready: status.accepting,
            degraded: !status.accepting,
            reason: status.refusing.map(|reason| format!("ledger: {}", reason.word())).unwrap_or_default(),
            deps: vec!["ledger"],
            committer_lag_ms: None,
            backpressure_ok: None,
            kms_ready: None,
            policy_ready: None,
            wallet_ready: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Incarnation, LedgerId, Reason};
    use wire::{Committed, Health};

    use super::*;

    #[test]
    fn what_is_worst_is_told() {
        let status = |refusing: Option<Reason>, health| Status {
            ledger: LedgerId([1; 16]),
            incarnation: Incarnation(1),
            accepting: refusing.is_none(),
            refusing,
            committed: Committed::default(),
            intake_depth: 0,
            intake_capacity: 1,
            committer_lag_millis: 0,
            health,
        };
        let well = Health::default();
        let low = Health { space_low: true, clock_ahead_millis: CLOCK_MILLIS, derived_lost: true, ..well };
        for (refusing, health, expected) in [
            (None, well, ""),
            (Some(Reason::NoSpace), low, "no_space"),
            (Some(Reason::SafeMode), well, "safe_mode"),
            (None, low, "space_low"),
            (None, Health { space_low: false, mirror_lost: true, ..low }, "mirror_lost"),
            (None, Health { space_low: false, ..low }, "clock_ahead"),
            (None, Health { clock_ahead_millis: -CLOCK_MILLIS, ..well }, "clock_behind"),
            (None, Health { clock_ahead_millis: CLOCK_MILLIS - 1, ..well }, ""),
            (None, Health { derived_lost: true, ..well }, "derived_lost"),
        ] {
            assert_eq!(reason(&status(refusing, health), false), expected);
            let in_memory = if expected.is_empty() { "ram_only" } else { expected };
            assert_eq!(reason(&status(refusing, health), true), in_memory);
        }
    }
}
