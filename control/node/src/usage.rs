//! The accounting role as the node composes it: its parameters, its socket's place, its numbers.

use std::{
    ffi::OsString,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf, absolute},
    sync::Arc,
};

use engine::{
    AcceptorBoard, CloseReason, SHARD_REFUSALS, ShardBoard, ShardStatus, SocketCounters, UsageObserver,
    UsageParams, UsageRole,
};
use model::{Nanos, ShardId};
use server::{AccountingTelemetry, Counts, LedgerPort, Readiness, Role, UsageNumbers, UsageTelemetry};
use shard::{Counters, ParamsError};
use wire::usage::{FrameFault, TENANT_ROWS_MAX};

use crate::params::Params;

/// The name in the streams of this process: one accounting role feeds one ledger.
const NODE_NAME: &str = "macronode";
/// How long a window can be asked for after its end, in milliseconds, however short it is.
const RETAINED_MILLIS: u32 = 5 * 60 * 1000;
/// Bytes of a socket's path at most (unix(7)).
const PATH_BYTES_MAX: usize = 107;

/// What the role runs with.
///
/// # Errors
/// If the settings do not fit together.
pub(crate) fn usage_params(
    params: &Params,
    cores: Vec<Option<usize>>,
    secret: u64,
) -> Result<UsageParams, ParamsError> {
    let accounting = &params.accounting;
    let tenant_rows_max = u32::try_from(TENANT_ROWS_MAX).expect("a small constant");
    let shard = |number| {
        let shard = ShardId(number);
        let defaults = shard::Params::new(NODE_NAME, shard, accounting.shards, accounting.window_millis)?;
        Ok(shard::Params {
            rows_max: accounting.label_limit,
            tenant_rows_max: accounting.label_limit.min(tenant_rows_max),
            secret,
            windows_retained: defaults.windows_retained.max(RETAINED_MILLIS / accounting.window_millis),
            ..defaults
        })
    };
    let shards = (0..accounting.shards).map(shard).collect::<Result<_, _>>()?;
    let socket =
        socket_path(accounting.socket.as_deref(), std::env::var_os("XDG_RUNTIME_DIR"), &params.data_dir);
    Ok(UsageParams { cores, executor: accounting.executor, ..UsageParams::new(shards, socket) })
}

/// Where producers connect: as configured, else in the runtime directory, else beside the data. A
/// path that is too long for a socket becomes a short one, and the log says so.
fn socket_path(configured: Option<&Path>, runtime: Option<OsString>, data_dir: &Path) -> PathBuf {
    let runtime = runtime.map(PathBuf::from).filter(|runtime| runtime.is_absolute());
    let wanted = match (configured, runtime) {
        (Some(path), _) => path.to_owned(),
        (None, Some(runtime)) => runtime.join("ron").join("accounting.sock"),
        (None, None) => data_dir.join("run").join("accounting.sock"),
    };
    let wanted = absolute(&wanted).unwrap_or(wanted);
    if wanted.as_os_str().len() <= PATH_BYTES_MAX {
        return wanted;
    }
    let mut hasher = DefaultHasher::new();
    wanted.hash(&mut hasher);
    let user = rustix::process::geteuid().as_raw();
    let short = PathBuf::from(format!("/tmp/ron-{user}-{:016x}/accounting.sock", hasher.finish()));
    tracing::warn!(
        "{}: over {PATH_BYTES_MAX} bytes, too long for a socket; producers connect to {}",
        wanted.display(),
        short.display()
    );
    short
}

/// The latency of exports goes to accounting's histogram.
#[derive(Debug)]
pub(crate) struct ExportObserver(pub(crate) AccountingTelemetry);

impl UsageObserver for ExportObserver {
    fn exported(&mut self, took: Nanos) {
        self.0.exported(took);
    }
}

/// Accounting's readiness and numbers.
#[derive(Debug)]
pub(crate) struct AccountingState {
    boards: Vec<Arc<ShardBoard>>,
    acceptor: Arc<AcceptorBoard>,
    ledger: Arc<dyn LedgerPort>,
    accounting: AccountingTelemetry,
    usage: UsageTelemetry,
}

impl AccountingState {
    pub(crate) fn new(
        role: &UsageRole,
        ledger: Arc<dyn LedgerPort>,
        accounting: AccountingTelemetry,
        usage: UsageTelemetry,
    ) -> Self {
        let (boards, acceptor) = (role.boards.clone(), Arc::clone(&role.acceptor_board));
        Self { boards, acceptor, ledger, accounting, usage }
    }

    fn statuses(&self) -> Vec<ShardStatus> {
        self.boards.iter().map(|board| board.status()).collect()
    }
}

impl Role for AccountingState {
    /// While the ledger takes nothing, or the backlog is full, producers are sent elsewhere if they
    /// can be; those that are here are served as long as there is room (AD19).
    fn readiness(&self) -> Readiness {
        let statuses = self.statuses();
        let is_full = statuses.iter().any(|status| status.is_degraded);
        let draining = statuses.iter().any(|status| status.is_draining);
        let refusing = self.ledger.status().refusing;
        let reason = match refusing {
            _ if draining => "draining".into(),
            Some(reason) => format!("ledger: {}", reason.word()),
            None if is_full => "export backlog full".into(),
            None => String::new(),
        };
        Readiness {
            ready: reason.is_empty(),
            degraded: !reason.is_empty(),
            reason,
            deps: vec!["ledger"],
            backpressure_ok: Some(!is_full),
            ..Readiness::default()
        }
    }

    fn refresh(&self) {
        let statuses = self.statuses();
        self.accounting.backlog(statuses.iter().map(|status| status.backlog).sum());
        self.usage.observe(&numbers(&statuses, &self.acceptor.counters()));
    }
}

fn numbers(statuses: &[ShardStatus], acceptor: &SocketCounters) -> UsageNumbers {
    let sum = |of: fn(&Counters) -> u64| statuses.iter().map(|status| of(&status.counters)).sum::<u64>();
    let count = |of: fn(&ShardStatus) -> usize| statuses.iter().map(of).sum::<usize>();
    let socket = statuses.iter().fold(*acceptor, |sum, status| sum.plus(&status.socket));
    let mut batches: Counts = vec![("ok", sum(|counters| counters.batches))];
    batches.extend(words(&Counters::rejection_words(), statuses, |counters| &counters.rejected));
    let closed = CloseReason::ALL.map(CloseReason::word);
    let faults = FrameFault::ALL.map(FrameFault::word);
    UsageNumbers {
        connections: count(|status| status.connections),
        connections_taken: socket.connections,
        closed: closed.into_iter().zip(socket.closed).collect(),
        refused: SHARD_REFUSALS.into_iter().zip(socket.refused).collect(),
        faults: faults.into_iter().zip(socket.faults).collect(),
        records: sum(|counters| counters.records),
        records_refused: sum(|counters| counters.records_refused),
        labels_refused: words(&Counters::label_refusal_words(), statuses, |counters| {
            &counters.labels_refused
        }),
        batches,
        events: words(&Counters::item_words(), statuses, |counters| &counters.items),
        slices_sealed: sum(|counters| counters.slices_sealed),
        slices_exported: sum(|counters| counters.slices_durable),
        exports_retried: sum(|counters| counters.exports_retried),
        streams_halted: sum(|counters| counters.streams_halted),
        tenants: count(|status| status.tenants),
        label_sets: count(|status| status.rows),
    }
}

fn words(words: &[&'static str], statuses: &[ShardStatus], of: fn(&Counters) -> &[u64]) -> Counts {
    let at = |index: usize| statuses.iter().filter_map(|status| of(&status.counters).get(index)).sum::<u64>();
    words.iter().enumerate().map(|(index, word)| (*word, at(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_lies_where_the_strongest_setting_says() {
        let data = Path::new("/data");
        let runtime = || Some(OsString::from("/run/user/7"));
        let path = |configured, runtime| socket_path(configured, runtime, data);
        assert_eq!(path(Some(Path::new("/a/b.sock")), runtime()), Path::new("/a/b.sock"));
        assert_eq!(path(None, runtime()), Path::new("/run/user/7/ron/accounting.sock"));
        assert_eq!(path(None, None), Path::new("/data/run/accounting.sock"));
        assert_eq!(path(None, Some("not/absolute".into())), Path::new("/data/run/accounting.sock"));
        let long = Path::new("/").join("d".repeat(120));
        let short = path(Some(&long), None);
        assert!(short.as_os_str().len() <= PATH_BYTES_MAX, "{short:?}");
        assert_ne!(short, path(Some(&long.join("x")), None), "each long path has its own");
    }
}
