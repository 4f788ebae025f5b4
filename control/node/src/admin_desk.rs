//! `AdminDesk`: answers operators: how the node is, and which faults are in force.
//!
//! Holds: nothing here waits. Leaves to others: the socket (`AdminSocket`), the faults themselves
//! (`server::Chaos`).

use std::sync::Arc;

use engine::{ScrubAsker, StatusBoard, monotonic};
use model::{Epoch, Instant, Nanos, Reason};
use server::{Chaos, Front, LedgerPort, Role};
use wire::admin::{
    ChaosStatus, FAULT_MILLIS_MAX, FAULT_SECS_MAX, FINDINGS_MAX, Fault, Inject, LedgerStatus, NodeStatus,
    Outcome, Refusal, RefusalCode, RoleStatus, ScrubStatus, Target, Verb,
};

use crate::{cli::Build, endpoints::Endpoints, params::Params};

/// What does not change while the node runs.
#[derive(Debug)]
pub(crate) struct Identity {
    build: Build,
    data_dir: String,
    epoch: Epoch,
    log_key: String,
    started: Instant,
}

impl Identity {
    /// The node that starts now.
    pub(crate) fn new(build: &Build, params: &Params, epoch: Epoch, log_key: &str) -> Self {
        let data_dir = std::path::absolute(&params.data_dir).unwrap_or_else(|_| params.data_dir.clone());
        let (data_dir, log_key) = (data_dir.display().to_string(), log_key.into());
        Self { build: *build, data_dir, epoch, log_key, started: monotonic() }
    }
}

/// One role, as the desk sees it.
#[derive(Debug)]
pub(crate) struct DeskRole {
    target: Target,
    role: Arc<dyn Role>,
    front: Arc<Front>,
}

impl DeskRole {
    pub(crate) fn new(target: Target, role: &Arc<dyn Role>, front: &Arc<Front>) -> Self {
        Self { target, role: Arc::clone(role), front: Arc::clone(front) }
    }
}

/// Answers operators.
#[derive(Debug)]
pub(crate) struct AdminDesk {
    identity: Identity,
    endpoints: Endpoints,
    ledger: Arc<dyn LedgerPort>,
    board: Arc<StatusBoard>,
    scrub: ScrubAsker,
    roles: Vec<DeskRole>,
}

impl AdminDesk {
    pub(crate) fn new(
        identity: Identity,
        endpoints: Endpoints,
        ledger: Arc<dyn LedgerPort>,
        board: Arc<StatusBoard>,
        scrub: ScrubAsker,
        roles: Vec<DeskRole>,
    ) -> Self {
        Self { identity, endpoints, ledger, board, scrub, roles }
    }

    /// The answer to one question.
    pub(crate) fn answer(&self, ask: &Verb) -> Outcome {
        match ask {
            Verb::Status {} => Outcome::Status(Box::new(self.status())),
            Verb::ChaosInject(inject) => self.inject(inject).map_or_else(Outcome::Error, Outcome::Chaos),
            Verb::ScrubStatus {} => Outcome::Scrub(self.scrub_status()),
            Verb::ScrubStart {} => self.start_scrub(),
            Verb::ChaosClear { target } => self.clear(*target).map_or_else(Outcome::Error, Outcome::Chaos),
        }
    }

    fn status(&self) -> NodeStatus {
        let Identity { build, data_dir, epoch, log_key, started } = &self.identity;
        let roles: Vec<RoleStatus> = self.roles.iter().map(|role| self.role(role)).collect();
        NodeStatus {
            service: build.service.into(),
            version: build.version.into(),
            git: build.git.into(),
            pid: std::process::id(),
            uptime_secs: monotonic().since(*started).as_millis() / 1_000,
            data_dir: data_dir.clone(),
            log_key: log_key.clone(),
            ready: roles.iter().all(|role| role.ready),
            degraded: roles.iter().any(|role| role.degraded),
            roles,
            ledger: self.ledger_status(*epoch),
            chaos: self.chaos(),
        }
    }

    fn role(&self, desk: &DeskRole) -> RoleStatus {
        let (http, admin) = match desk.target {
            Target::Ledger => (self.endpoints.ledger, self.endpoints.ledger_admin),
            Target::Wallet => (self.endpoints.wallet, self.endpoints.wallet_admin),
            // One address for both.
            Target::Accounting => (self.endpoints.accounting_admin, self.endpoints.accounting_admin),
        };
        let readiness = desk.role.readiness();
        RoleStatus {
            name: desk.front.telemetry.service().name().into(),
            ready: readiness.ready,
            degraded: readiness.degraded,
            reason: readiness.reason,
            http: http.to_string(),
            admin: admin.to_string(),
        }
    }

    fn ledger_status(&self, epoch: Epoch) -> LedgerStatus {
        let status = self.ledger.status();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        LedgerStatus {
            id: hex::encode(status.ledger.0),
            incarnation: status.incarnation.0,
            epoch: epoch.0,
            durable_seq: self.board.durable(),
            size: status.committed.size,
            root: hex::encode(status.committed.root),
            at: status.committed.at.rfc3339(),
            safe_mode: status.refusing == Some(Reason::SafeMode),
            intake_depth: count(status.intake_depth),
            intake_capacity: count(status.intake_capacity),
            committer_lag_millis: status.committer_lag_millis,
            scrub: self.scrub_status(),
        }
    }

    fn scrub_status(&self) -> ScrubStatus {
        let upkeep = self.ledger.status().upkeep;
        ScrubStatus {
            bytes_per_s: self.scrub.bytes_per_s(),
            runs: upkeep.scrub_runs,
            segment: upkeep.scrub_segment,
            segments: self.board.closed_before().0,
            bytes: upkeep.scrub_bytes,
            last_pass: (upkeep.scrub_passed.0 > 0).then(|| upkeep.scrub_passed.rfc3339()),
            findings_count: upkeep.findings,
            findings: self.board.finding_texts(FINDINGS_MAX),
        }
    }

    fn start_scrub(&self) -> Outcome {
        if self.scrub.begin() {
            return Outcome::Scrub(self.scrub_status());
        }
        let message = "the scrub is off in this node; start it with storage.scrub_mib_per_s above 0".into();
        Outcome::Error(Refusal { code: RefusalCode::ScrubOff, message })
    }

    fn chaos(&self) -> ChaosStatus {
        let places = self.places();
        let faults = places.iter().flat_map(|(_, chaos)| chaos.status()).collect();
        ChaosStatus { enabled: !places.is_empty(), faults }
    }

    fn places(&self) -> Vec<(Target, &Chaos)> {
        self.roles.iter().filter_map(|role| Some((role.target, role.front.chaos()?.as_ref()))).collect()
    }

    fn inject(&self, inject: &Inject) -> Result<ChaosStatus, Refusal> {
        self.check_enabled()?;
        let bad = |message: String| Refusal { code: RefusalCode::BadRequest, message };
        let millis_fit = match inject.fault {
            Fault::Latency => (1..=FAULT_MILLIS_MAX).contains(&inject.millis),
            Fault::Disconnect => inject.millis == 0,
        };
        if !millis_fit {
            return Err(bad(format!("latency takes 1 to {FAULT_MILLIS_MAX} milliseconds, disconnect none")));
        }
        if !(1..=FAULT_SECS_MAX).contains(&inject.for_secs) {
            return Err(bad(format!("a fault lasts 1 to {FAULT_SECS_MAX} seconds")));
        }
        for (_, chaos) in self.places().into_iter().filter(|(target, _)| *target == inject.target) {
            chaos.inject(inject);
            let (fault, target) = (inject.fault.word(), inject.target.word());
            let span = Nanos::from_secs(inject.for_secs).as_millis();
            tracing::warn!("chaos: {fault} at {target} for {span} ms, millis={}", inject.millis);
        }
        Ok(self.chaos())
    }

    fn clear(&self, target: Option<Target>) -> Result<ChaosStatus, Refusal> {
        self.check_enabled()?;
        for (_, chaos) in
            self.places().into_iter().filter(|(place, _)| target.is_none_or(|only| only == *place))
        {
            chaos.clear();
        }
        tracing::warn!("chaos: cleared at {}", target.map_or("every role", Target::word));
        Ok(self.chaos())
    }

    fn check_enabled(&self) -> Result<(), Refusal> {
        if !self.places().is_empty() {
            return Ok(());
        }
        let message = "faults are not enabled in this node; start it with chaos.enabled = true".into();
        Err(Refusal { code: RefusalCode::ChaosDisabled, message })
    }
}
